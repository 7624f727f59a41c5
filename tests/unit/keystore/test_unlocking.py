"""Opening a vault's keys with passphrase, seal, officer, or a key that a process was handed."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from samdrift.keystore.keyfiles import KeyFault, KeyStoreError
from samdrift.keystore.software import SoftwareKeyStore
from samdrift.keystore.unlocking import HandedUnlocker, RootUnlocker
from samdrift.keystore.wrapping import ScryptCost
from tests.frozen import changeable
from tests.vaults import CHEAP, key_store

OFFICER = b"the officer's own"


def expect(fault: KeyFault) -> pytest.RaisesExc[KeyStoreError]:
    return pytest.RaisesExc(KeyStoreError, check=lambda error: error.fault is fault)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    store = key_store(tmp_path / "keys")
    store.begin("a1")
    store.begin("b2")
    return tmp_path / "keys"


def seals(folder: Path) -> list[Path]:
    return sorted(folder.with_name("keys-seals").iterdir())


def copied(folder: Path, to: str) -> Path:
    """Return the key store as a backup has it, without the seals."""
    return Path(shutil.copytree(folder, folder.with_name(to)))


def restored(backup: Path, folder: Path) -> SoftwareKeyStore:
    """Return the key store of a backup with the seals that remain now."""
    seals = folder.with_name("keys-seals")
    return SoftwareKeyStore(backup, RootUnlocker(backup, seals, b"open sesame", cost=CHEAP))


def test_destroying_a_vault_makes_copies_from_before_unreadable_without_its_seal(folder: Path) -> None:
    store = key_store(folder)
    known = store.data_keys("a1"), store.data_keys("b2")
    backup = copied(folder, "backup")
    before = restored(backup, folder)
    assert (before.data_keys("a1"), before.data_keys("b2")) == known
    store.destroy("a1")
    after = restored(backup, folder)
    with expect(KeyFault.MISSING):
        after.data_keys("a1")
    assert not after.has_data_key("a1")
    assert after.data_keys("b2") == known[1]


def test_another_vaults_seal_opens_nothing(folder: Path) -> None:
    one, other = seals(folder)
    one.write_bytes(other.read_bytes())
    with expect(KeyFault.DAMAGED):
        key_store(folder).data_keys("a1")
    one.write_bytes(b"short")
    with expect(KeyFault.DAMAGED):
        key_store(folder).data_keys("a1")


def test_a_folder_of_seals_that_is_not_there_is_not_made_anew(folder: Path) -> None:
    shutil.rmtree(folder.with_name("keys-seals"))
    with expect(KeyFault.MISSING):
        key_store(folder)


def test_a_key_store_that_is_not_there_is_not_made_anew_while_its_seals_are(folder: Path) -> None:
    away = folder.rename(folder.with_name("away"))
    for _ in range(2):
        with expect(KeyFault.MISSING):
            key_store(folder)
    assert not folder.exists(), "a folder that is not mounted must not be created"
    away.rename(folder)
    key_store(folder).data_keys("a1")


def test_a_key_store_of_an_unreleased_version_is_told_of(folder: Path) -> None:
    root = folder / "root"
    root.write_text(root.read_text().replace('"format": 2, ', ""))
    with pytest.raises(KeyStoreError, match="start with new folders"):
        key_store(folder)


def test_a_process_opens_what_it_was_handed_and_nothing_else(folder: Path) -> None:
    store = key_store(folder)
    child = SoftwareKeyStore(folder, HandedUnlocker({"a1": store.unlock_key("a1")}))
    assert child.data_keys("a1") == store.data_keys("a1")
    assert child.locked("b2")
    for what in (child.data_keys, child.unlock_key, child.rewrap, child.rotate_data_key):
        with expect(KeyFault.LOCKED):
            what("b2")
    for what in (child.begin, child.destroy):
        with expect(KeyFault.LOCKED):
            what("c3")
    with expect(KeyFault.LOCKED):
        child.destroy("a1")
    assert child.has_data_key("a1")


def test_the_key_of_one_vault_opens_no_other(folder: Path) -> None:
    key = key_store(folder).unlock_key("a1")
    with expect(KeyFault.DAMAGED):
        SoftwareKeyStore(folder, HandedUnlocker({"b2": key})).data_keys("b2")


def test_an_officers_vault_waits_for_the_officer_in_every_process(folder: Path) -> None:
    store, other = key_store(folder), key_store(folder)
    known = store.data_keys("a1")
    store.relock("a1", OFFICER)
    assert store.data_keys("a1").generations[1:] == known.generations, (
        "the process that set the passphrase has unlocked the vault"
    )
    known = store.data_keys("a1")
    assert other.locked("a1")
    assert other.has_data_key("a1")
    assert not other.locked("b2")
    with expect(KeyFault.LOCKED):
        other.data_keys("a1")
    with expect(KeyFault.LOCKED):
        other.unlock("a1", b"a guess")
    assert other.locked("a1")
    other.unlock("a1", OFFICER)
    assert other.data_keys("a1") == known
    assert key_store(folder).locked("a1"), "the passphrase must not be in a file"


def test_an_officers_vault_can_be_given_back(folder: Path) -> None:
    store = key_store(folder)
    store.relock("a1", OFFICER)
    with expect(KeyFault.LOCKED):
        key_store(folder).relock("a1", None)
    store.relock("a1", None)
    assert key_store(folder).data_keys("a1") == store.data_keys("a1")
    store.unlock("a1", b"anything: nobody asks")


def test_what_the_operator_could_open_is_closed_when_the_officer_takes_over(folder: Path) -> None:
    store = key_store(folder)
    backup = copied(folder, "backup")
    key = store.unlock_key("a1")
    store.relock("a1", OFFICER)
    assert len(seals(folder)) == 2
    with expect(KeyFault.MISSING):
        restored(backup, folder).data_keys("a1")
    with expect(KeyFault.DAMAGED):
        SoftwareKeyStore(folder, HandedUnlocker({"a1": key})).data_keys("a1")


def test_what_opened_a_vault_is_forgotten_when_that_is_asked_for(folder: Path) -> None:
    """An officer's passphrase and a handed key are gone; what the operator opens is read again."""
    store = key_store(folder)
    handed = SoftwareKeyStore(folder, HandedUnlocker({each: store.unlock_key(each) for each in ("a1", "b2")}))
    store.relock("a1", OFFICER)
    for forgetful in (store, handed):
        for vault in ("a1", "b2"):
            forgetful.forget(vault)
    with expect(KeyFault.LOCKED):
        store.data_keys("a1")
    with expect(KeyFault.LOCKED):
        handed.data_keys("b2")
    assert store.data_keys("b2") == key_store(folder).data_keys("b2")


def test_a_process_makes_no_keys_that_access_tokens_are_signed_with(tmp_path: Path) -> None:
    """It could not write them where root reads; the process that handed it the vault's key makes them."""
    store = key_store(tmp_path / "keys")
    store.begin("a1")
    child = SoftwareKeyStore(tmp_path / "keys", HandedUnlocker({"a1": store.unlock_key("a1")}))
    with pytest.raises(KeyStoreError) as caught:
        child.token_keys("a1", date(2026, 3, 2))
    assert caught.value.fault is KeyFault.MISSING
    store.renew_token_keys("a1", date(2026, 3, 2))
    (made,) = child.token_keys("a1", date(2026, 3, 2))
    assert child.token_keys("a1", date(2027, 3, 2))[0].public == made.public
    assert not (tmp_path / "keys" / "a1" / "0001" / "token-20270302.key").exists()


def test_a_process_makes_no_keys_that_its_log_is_signed_with(tmp_path: Path) -> None:
    store = key_store(tmp_path / "keys")
    store.begin("a1")
    child = SoftwareKeyStore(tmp_path / "keys", HandedUnlocker({"a1": store.unlock_key("a1")}))
    with pytest.raises(KeyStoreError) as caught:
        child.log_keys("a1")
    assert caught.value.fault is KeyFault.MISSING
    store.make_log_key("a1")
    store.make_log_key("a1")
    (made,) = child.log_keys("a1")
    assert [key.public for key in store.log_keys("a1")] == [made.public]
    Ed25519PublicKey.from_public_bytes(made.public).verify(made.sign(b"checkpoint"), b"checkpoint")


def test_a_vault_that_is_locked_anew_has_a_new_key_of_its_log_beside_the_former(tmp_path: Path) -> None:
    """The former key announces the new one; an earlier copy of the key store has only the former."""
    store = key_store(tmp_path / "keys")
    store.begin("a1")
    (before,) = store.log_keys("a1")
    store.relock("a1", OFFICER)
    new, kept = store.log_keys("a1")
    assert kept.public == before.public != new.public
    assert new.public not in {key.public for key in store.log_keys("b2")}


def test_a_cost_of_sixteen_passes_is_the_highest_that_is_paid() -> None:
    assert ScryptCost(p=16).p == 16
    with pytest.raises(ValueError, match="outside the accepted limits"):
        ScryptCost(p=17)


def test_what_the_key_store_hands_out_cannot_be_changed() -> None:
    assert changeable("samdrift.keystore") == {"Session"}
