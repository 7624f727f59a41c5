"""Keys of the software store, from the first day of their use to the last."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from samdrift.keystore.keyfiles import KeyFault, KeyName
from samdrift.keystore.software import SoftwareKeyStore
from samdrift.keystore.unlocking import RootUnlocker
from tests.unit.keystore.test_software import SUBJECT, add_key, expect, issue, public
from tests.vaults import CHEAP

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
SIGNING, ENCRYPTION = KeyName.SIGNING, KeyName.ENCRYPTION


@dataclass
class Clock:
    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> SoftwareKeyStore:
    unlocker = RootUnlocker(tmp_path / "keys", tmp_path / "seals", b"open sesame", cost=CHEAP)
    return SoftwareKeyStore(tmp_path / "keys", unlocker, clock)


def planned(store: SoftwareKeyStore, name: KeyName, at: datetime) -> x509.Certificate:
    certificate = issue(store.create_key("a1", name, SUBJECT, bits=2048))
    store.install_certificate("a1", name, certificate, active_from=at)
    return certificate


def test_a_planned_key_takes_over_when_its_time_comes_without_anybody_doing_anything(
    store: SoftwareKeyStore, clock: Clock
) -> None:
    old, new = add_key(store, "a1", SIGNING), planned(store, SIGNING, NOW + HOUR)
    assert store.signing_key("a1").certificate == old
    before = store.installed("a1", SIGNING)
    clock.now = NOW + HOUR
    assert store.signing_key("a1").certificate == new
    assert store.installed("a1", SIGNING) != before, (
        "followers must see a change, so that they read the keys again"
    )


def test_a_planned_key_decrypts_at_once_and_the_former_one_goes_on(
    store: SoftwareKeyStore, clock: Clock
) -> None:
    old, new = add_key(store, "a1", ENCRYPTION), planned(store, ENCRYPTION, NOW + HOUR)
    for clock.now in (NOW, NOW + HOUR):
        assert [key.certificate for key in store.decryption_keys("a1")] == [new, old]


def test_the_client_certificate_changes_with_time_too(store: SoftwareKeyStore, clock: Clock) -> None:
    add_key(store, "a1", KeyName.TLS_CLIENT)
    planned(store, KeyName.TLS_CLIENT, NOW + HOUR)
    before, _ = store.tls_client("a1")
    clock.now = NOW + HOUR
    after, _ = store.tls_client("a1")
    assert (before.name, after.name) == ("tls-client-0001.pem", "tls-client-0002.pem")


def test_another_day_may_be_decided(store: SoftwareKeyStore) -> None:
    old, new = add_key(store, "a1", SIGNING), planned(store, SIGNING, NOW + HOUR)
    store.activate("a1", SIGNING, 2, NOW)
    assert store.signing_key("a1").certificate == new
    store.activate("a1", SIGNING, 2, NOW + HOUR)
    assert store.signing_key("a1").certificate == old
    with expect(KeyFault.MISSING):
        store.activate("a1", SIGNING, 3, NOW)


def test_a_revoked_key_signs_nothing_more_and_the_former_one_does_again(store: SoftwareKeyStore) -> None:
    old = add_key(store, "a1", SIGNING)
    add_key(store, "a1", SIGNING)
    store.revoke("a1", SIGNING, 2, "lost", at=NOW, compromised=False)
    assert [key.certificate for key in store.signing_keys("a1")] == [old]
    store.revoke("a1", SIGNING, 1, "lost too", at=NOW, compromised=False)
    with expect(KeyFault.MISSING):
        store.signing_key("a1")


def test_what_was_encrypted_for_a_revoked_key_opens_unless_it_is_compromised(store: SoftwareKeyStore) -> None:
    old, new = add_key(store, "a1", ENCRYPTION), add_key(store, "a1", ENCRYPTION)
    store.revoke("a1", ENCRYPTION, 1, "lost", at=NOW, compromised=False)
    assert [key.certificate for key in store.decryption_keys("a1")] == [new, old]
    store.revoke("a1", ENCRYPTION, 1, "seen elsewhere", at=NOW, compromised=True)
    assert [key.certificate for key in store.decryption_keys("a1")] == [new]


def test_the_key_in_use_is_not_retired_and_a_planned_waiting_or_revoked_one_is(
    store: SoftwareKeyStore, clock: Clock
) -> None:
    add_key(store, "a1", SIGNING)
    planned(store, SIGNING, NOW + HOUR)
    store.create_key("a1", SIGNING, SUBJECT, bits=2048)
    with expect(KeyFault.ACTIVE):
        store.retire("a1", SIGNING, 1)
    store.retire("a1", SIGNING, 3)
    store.retire("a1", SIGNING, 2)
    store.revoke("a1", SIGNING, 1, "lost", at=NOW, compromised=False)
    store.retire("a1", SIGNING, 1)
    assert store.keys("a1") == ()


def test_a_key_that_is_made_after_one_was_retired_has_no_past(store: SoftwareKeyStore) -> None:
    add_key(store, "a1", SIGNING)
    planned(store, SIGNING, NOW + HOUR)
    store.retire("a1", SIGNING, 2)
    new = add_key(store, "a1", SIGNING)
    assert store.signing_key("a1").certificate == new


def test_what_was_decided_is_listed_and_survives_that_everything_is_wrapped_anew(
    store: SoftwareKeyStore,
) -> None:
    add_key(store, "a1", SIGNING)
    planned(store, SIGNING, NOW + HOUR)
    store.revoke("a1", SIGNING, 1, "the laptop was stolen", at=NOW, compromised=True)
    store.rewrap("a1")
    newest, oldest = store.keys("a1")
    assert newest.state.active_from == NOW + HOUR
    assert not newest.state.revoked
    assert (oldest.state.revoked, oldest.state.compromised) == (True, True)
    assert oldest.reason == "the laptop was stolen"


def test_keys_that_wait_are_told_by_their_public_halves(store: SoftwareKeyStore) -> None:
    assert store.waiting("a1", SIGNING) == ()
    certificate = issue(store.create_key("a1", SIGNING, SUBJECT, bits=2048))
    assert store.waiting("a1", SIGNING) == (public(certificate),)
    store.install_certificate("a1", SIGNING, certificate)
    assert store.waiting("a1", SIGNING) == ()
