"""The message service's way to an access point: made when it is first needed, and not before."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any, cast

import pytest

from samdrift.contracts.transfer import AccessPoint, Poll, TransferUnavailable
from samdrift.installation.accesspoints import LaterAccessPoint
from samdrift.keystore.keyfiles import KeyFault, KeyStoreError
from samdrift.vault.errors import VaultLocked, VaultSuspended


class Made:
    """An access point that answers."""

    async def poll(self, *arguments: object) -> Poll:
        return Poll((), ())

    async def fetch(self, item_id: str) -> AsyncGenerator[bytes, None]:
        yield item_id.encode()


class Connecting:
    """Fails as long as there is something to fail with; counts."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.connected = 0

    async def __call__(self) -> AccessPoint:
        await asyncio.sleep(0)
        if self.failures:
            raise self.failures.pop(0)
        self.connected += 1
        return cast(Any, Made())  # type: ignore[no-any-return]


async def test_an_organisation_without_a_certificate_waits_until_it_has_one() -> None:
    missing = KeyStoreError(KeyFault.MISSING, "the vault has no tls-client key with a certificate")
    connecting = Connecting(missing, VaultSuspended())
    access_point = LaterAccessPoint(connecting)
    with pytest.raises(TransferUnavailable) as caught:
        await access_point.poll(0, 0)
    assert "no tls-client key" in caught.value.text
    with pytest.raises(VaultSuspended):
        await access_point.acknowledge("a")
    assert await access_point.poll(0, 0) == Poll((), ())
    assert [piece async for piece in access_point.fetch("a")] == [b"a"]


async def test_an_organisation_whose_vault_is_locked_waits_for_its_officer() -> None:
    locked, missing = VaultLocked(), KeyStoreError(KeyFault.MISSING, "there is no key")
    connecting = Connecting(locked, missing, locked)
    access_point = LaterAccessPoint(connecting)
    for text in (
        VaultLocked().text,
        "the access point cannot be called: there is no key",
        VaultLocked().text,
    ):
        with pytest.raises(TransferUnavailable) as caught:
            await access_point.poll(0, 0)
        assert caught.value.text == text
    assert [piece async for piece in access_point.fetch("a")] == [b"a"]


async def test_it_is_connected_with_once_however_many_ask_at_once() -> None:
    connecting = Connecting()
    access_point = LaterAccessPoint(connecting)
    assert connecting.connected == 0
    await asyncio.gather(*(access_point.poll(0, 0) for _ in range(5)))
    assert connecting.connected == 1
