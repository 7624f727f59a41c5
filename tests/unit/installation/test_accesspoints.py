"""The message service's way to an access point, which is made when it is first needed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from starlette.types import Receive, Scope, Send

from samdrift.config.reader import load
from samdrift.contracts.hold import Hold
from samdrift.contracts.transfer import AccessPoint, Poll, TransferUnavailable
from samdrift.federation.ports import free_port
from samdrift.installation.accesspoints import (
    LaterAccessPoint,
    connected,
    is_ours,
    is_own_listener,
    name_of_own,
)
from samdrift.installation.doors import Door
from samdrift.installation.listeners import InnerDoors, PublicDoors
from samdrift.installation.operator import Parts
from samdrift.keystore.keyfiles import KeyFault, KeyStoreError
from samdrift.net.inprocess import LocalApplication, called_here
from samdrift.net.server import CLIENT_CERTIFICATE
from samdrift.net.tls import TlsContext, TlsIdentity
from samdrift.vault.errors import VaultLocked, VaultSuspended
from tests.unit.config.test_reader import GOOD, write
from tests.unit.net.ways import HERE, Way


class Made:
    """An access point that answers."""

    async def poll(self, *arguments: object) -> Poll:
        return Poll((), ())

    async def fetch(self, item_id: str) -> AsyncGenerator[bytes, None]:
        yield item_id.encode()


class Connecting:
    """A connection that fails as long as it has errors left, and counts the attempts."""

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


async def test_our_own_access_point_that_waits_for_its_database_is_there() -> None:
    """The database reports its own outage; another installation's access point has no such line here."""

    class Waiting(Made):
        def __init__(self, *errors: TransferUnavailable) -> None:
            self.errors = list(errors)

        async def poll(self, *arguments: object) -> Poll:
            raise self.errors.pop(0)

    told: list[str] = []

    async def noted(*, ours: bool) -> list[str]:
        del told[:]
        errors = (
            TransferUnavailable("HTTP status 503: it waits", Hold.DATABASE),
            TransferUnavailable("POST: timeout"),
        )

        async def connect() -> AccessPoint:
            return made

        made = cast(Any, Waiting(*errors))
        access_point = LaterAccessPoint(connect, lambda reason, began: told.append(reason), ours=ours)
        for error in errors:
            with pytest.raises(TransferUnavailable, match=error.text):
                await access_point.poll(0, 0)
        return [*told]

    assert await noted(ours=True) == ["POST: timeout"]
    assert await noted(ours=False) == ["HTTP status 503: it waits", "POST: timeout"]


def test_only_the_access_point_of_this_installation_is_called_by_another_name_than_its_address(
    tmp_path: Path,
) -> None:
    """No authority certifies a loopback address; elsewhere the address has to match."""
    address = 'address = "https://sdk.example.se/as4"\nlease_seconds = 20'
    config = load(write(tmp_path, GOOD.replace("lease_seconds = 20", address)))
    assert name_of_own(config, "https://[::1]:8444") == "sdk.example.se"
    for other in ("https://[::1]:8445", "https://127.0.0.1:8444", "https://sdk.example.com:8444"):
        assert name_of_own(config, other) is None
    public = GOOD.replace("lease_seconds = 20", address).replace("[::1]:8444", "192.0.2.1:8444")
    assert name_of_own(load(write(tmp_path, public)), "https://192.0.2.1:8444") is None


def test_an_access_point_is_ours_where_ours_listens(tmp_path: Path) -> None:
    address = 'address = "https://sdk.example.se/as4"\nlease_seconds = 20'
    config = load(write(tmp_path, GOOD.replace("lease_seconds = 20", address)))
    for ours in ("https://[::1]:8444", "https://sdk.example.se:8444"):
        assert is_ours(config, ours)
    for other in ("https://[::1]:8445", "https://sdk.example.se", "https://ap.example.com:8444"):
        assert not is_ours(config, other)


def test_only_where_this_installation_listens_is_its_own_access_point(tmp_path: Path) -> None:
    """Another supplier's is reached over the network, and so is our own under another name."""
    config = load(write(tmp_path, GOOD))
    assert is_own_listener(config, "https://[::1]:8444")
    for other in (
        "https://[::1]:8445",
        "https://[::1]",
        "https://127.0.0.1:8444",
        "https://localhost:8444",
        "https://ap.example.com:8444",
        "http://[::1]:8444",
    ):
        assert not is_own_listener(config, other)
    assert not is_own_listener(replace(config, access_point=None), "https://[::1]:8444")


class OneVault:
    """A gate to a message service's vault, whose client certificate is in a file."""

    def __init__(self, identity: TlsIdentity) -> None:
        self._identity = identity

    def worker(self, *_: object) -> OneVault:
        return self

    @contextlib.asynccontextmanager
    async def open(self, *_: object) -> AsyncIterator[OneVault]:
        yield self

    def tls_client(self) -> Callable[[], tuple[Path, str]]:
        return lambda: (self._identity.certificate, "")


async def test_the_access_point_of_this_process_is_called_directly_and_no_other(tmp_path: Path) -> None:
    """The addresses have no listeners, so the answer has not gone over the network."""
    asked = []

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        asked.append((scope["method"], scope["path"], scope[CLIENT_CERTIFICATE]))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b'{"events": [], "inbox": []}'})

    way = Way(HERE, tmp_path)
    identity = way.identity("caller")
    gate: Any = OneVault(identity)
    address = 'address = "https://localhost/as4"\nlease_seconds = 20'
    text = GOOD.replace("lease_seconds = 20", address).replace(
        "[::1]:8444", f"127.0.0.1:{free_port('127.0.0.1')}"
    )
    config = replace(load(write(tmp_path, text)), inner_issuers=way.trust)
    assert config.access_point is not None
    own = f"https://127.0.0.1:{config.access_point.listen_c.port}"
    other = f"https://localhost:{config.access_point.listen_c.port}"
    async with called_here(application, way.listener()) as local, contextlib.AsyncExitStack() as stack:

        async def poll(address: str, way: LocalApplication | None) -> Poll:
            organisation = replace(config.organisations[0], access_point=address, domibus=None)
            return await (await connected(stack, organisation, gate, config, way)).poll(0, 0)

        assert await poll(own, local) == Poll((), ())
        shown = x509.load_pem_x509_certificate(identity.certificate.read_bytes())
        assert asked == [("POST", "/c/v1/poll", shown.fingerprint(SHA256()).hex())]
        for elsewhere, direct in ((other, local), (own, None)):
            with pytest.raises(TransferUnavailable):
                await poll(elsewhere, direct)
    assert len(asked) == 1


def test_interface_c_is_called_directly_but_behind_a_front(tmp_path: Path) -> None:
    """Each of several workers has all of interface C, and serves the organisation in both roles."""
    way = Way(HERE, tmp_path)
    config = replace(load(write(tmp_path, GOOD)), inner_issuers=way.trust)
    doors = PublicDoors(config, way.identity("server"))
    nothing: Any = None
    alone = Parts(config, config.roles, nothing, nothing, doors)
    assert isinstance(alone.called_with(Door.C), TlsContext)
    assert isinstance(replace(alone, workers=tmp_path).called_with(Door.C), TlsContext)
    assert replace(alone, doors=InnerDoors({})).called_with(Door.C) is None
