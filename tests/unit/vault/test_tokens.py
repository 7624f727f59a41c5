"""A vault's data for access tokens: keys that replace themselves, and assertions used only once."""

from __future__ import annotations

import asyncio
from datetime import date, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from samdrift.contracts.principals import Role
from samdrift.keystore.software import KeyFault, KeyStoreError, SoftwareKeyStore
from samdrift.vault.errors import VaultDenied
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.vaults import ELSEWHERE, MINUTE, NOW, Installation, key_store

MT = Role.MESSAGE_SERVICE
ROLES = (MT,)
TODAY = date(2026, 3, 2)
DAY = timedelta(days=1)


@pytest.fixture
def store(tmp_path: Path) -> SoftwareKeyStore:
    return key_store(tmp_path / "keys")


def numbers(store: SoftwareKeyStore, day: date, vault: str = "a1") -> list[ec.EllipticCurvePublicNumbers]:
    return [key.public.public_numbers() for key in store.token_keys(vault, day)]


def test_a_key_is_made_in_place_when_it_is_first_asked_for(store: SoftwareKeyStore) -> None:
    (key,) = store.token_keys("a1", TODAY)
    signature = key.sign(b"data")
    assert len(signature) == 64
    r, s = (int.from_bytes(half, "big") for half in (signature[:32], signature[32:]))
    key.public.verify(encode_dss_signature(r, s), b"data", ec.ECDSA(hashes.SHA256()))
    assert numbers(store, TODAY + DAY) == [key.public.public_numbers()]
    assert numbers(store, TODAY, "b2") != [key.public.public_numbers()]


def test_a_key_is_replaced_by_itself_and_the_former_one_goes_a_while_later(store: SoftwareKeyStore) -> None:
    first = numbers(store, TODAY)
    assert numbers(store, TODAY + 89 * DAY) == first
    later = TODAY + 90 * DAY
    new, *former = numbers(store, later)
    assert former == first
    assert new not in first
    assert numbers(store, later + 2 * DAY) == [new]
    assert numbers(store, later) == [new], "the former key must be removed, not hidden"


def test_a_key_opens_for_its_own_vault_alone(store: SoftwareKeyStore, tmp_path: Path) -> None:
    store.token_keys("a1", TODAY)
    store.begin("b2")
    file = "token-20260302.key"
    (tmp_path / "keys" / "b2" / "0001" / file).write_bytes(
        (tmp_path / "keys" / "a1" / "0001" / file).read_bytes()
    )
    with pytest.raises(KeyStoreError) as caught:
        store.token_keys("b2", TODAY)
    assert caught.value.fault is KeyFault.DAMAGED


async def test_an_assertion_is_used_once(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    async def use(mark: bytes) -> bool:
        async with installation.open(organisation, MT) as vault:
            return await vault.use_assertion(mark, until=NOW + MINUTE, now=NOW)

    assert sorted(await asyncio.gather(*(use(b"one") for _ in range(6)))) == [False] * 5 + [True]
    assert await use(b"another")
    assert not await use(b"one")


async def test_assertions_are_remembered_no_longer_than_they_are_valid(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    async with installation.open(organisation, MT) as vault:
        assert await vault.use_assertion(b"one", until=NOW + MINUTE, now=NOW)
        assert not await vault.use_assertion(b"one", until=NOW + MINUTE, now=NOW + MINUTE - DAY)
        assert await vault.use_assertion(b"two", until=NOW + 2 * MINUTE, now=NOW + MINUTE)
        rows = await vault._work.query("SELECT mark FROM used_assertions")
    assert rows == [(b"two",)]


async def test_a_vault_that_does_not_open_signs_nothing(installation: Installation) -> None:
    with pytest.raises(VaultDenied):
        async with installation.open(ELSEWHERE, MT) as vault:
            vault.token_keys(now=NOW)
