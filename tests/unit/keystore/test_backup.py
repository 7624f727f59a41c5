"""Wrapped backups: only two custodians together can open one, and it restores everything lost."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from samdrift.keystore.backup import (
    FORMAT,
    UNSIGNED,
    BackupHeader,
    Secret,
    read_header,
    signed_by,
    unwrap_backup,
    wrap_backup,
)
from samdrift.keystore.custody import Custodian, Custodians
from samdrift.keystore.keyfiles import KeyFault, KeyName
from samdrift.keystore.software import SoftwareKeyStore
from samdrift.keystore.unlocking import RootUnlocker
from samdrift.keystore.wrapping import PERSONS_COST
from samdrift.vault.sealing import Sealer
from tests.unit.keystore.test_software import add_key, expect
from tests.vaults import CHEAP

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
HEADER = BackupHeader("20260302-3f2a91", "0203:habo.se", NOW.isoformat(), ("anna", "bo"))
WORDS = {"anna": b"a long row of words", "bo": b"quite another row"}
SECRETS = (Secret("anna", WORDS["anna"]), Secret("bo", WORDS["bo"]))
SIGNERS = (
    Custodian("anna", Ed25519PrivateKey.generate()),
    Custodian("bo", Ed25519PrivateKey.generate()),
)
OFFICER = b"the officer's own words"
CLEAR = {"format": FORMAT, "number": "1", "organisation": "0203:habo.se", "at": "now", "wrapped": ""}


@dataclass(frozen=True)
class Place:
    """A key store with its seals, and content that was sealed with it."""

    folder: Path

    def open(self, passphrase: bytes = b"open sesame") -> SoftwareKeyStore:
        secrets = self.folder / "secrets"
        return SoftwareKeyStore(secrets, RootUnlocker(secrets, self.folder / "seals", passphrase, cost=CHEAP))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path)
    store = place.open()
    store.begin("a1")
    add_key(store, "a1", KeyName.SIGNING)
    add_key(store, "a1", KeyName.SIGNING)
    store.revoke("a1", KeyName.SIGNING, 2, "lost", at=NOW, compromised=False)
    return place


def written(store: SoftwareKeyStore) -> bytes:
    return wrap_backup(HEADER, [store.back_up("a1")], SECRETS, SIGNERS, CHEAP)


def sealed(store: SoftwareKeyStore) -> bytes:
    return sealer(store).seal(b"content", "place")


def sealer(store: SoftwareKeyStore) -> Sealer:
    keys = store.data_keys("a1")
    return Sealer("a1", keys, lambda: keys)


def test_content_opens_after_everything_was_lost_under_another_passphrase_of_the_installation(
    place: Place, tmp_path: Path
) -> None:
    store = place.open()
    content, certificate, data = sealed(store), store.signing_key("a1").certificate, written(store)
    for folder in ("secrets", "seals"):
        shutil.rmtree(tmp_path / folder)
    new = place.open(b"another passphrase")
    (backup,) = unwrap_backup(data, WORDS)
    new.restore(backup)
    assert sealer(new).open(content, "place") == b"content"
    assert new.signing_key("a1").certificate == certificate
    assert new.keys("a1") == store.keys("a1")
    assert sealer(place.open(b"another passphrase")).open(content, "place") == b"content"


def test_where_only_the_seal_was_lost_the_newer_keys_stay(place: Place, tmp_path: Path) -> None:
    store = place.open()
    content, data = sealed(store), written(store)
    newer = add_key(store, "a1", KeyName.SIGNING)
    for seal in (tmp_path / "seals").iterdir():
        seal.unlink()
    (backup,) = unwrap_backup(data, WORDS)
    with expect(KeyFault.MISSING):
        place.open().data_keys("a1")
    place.open().restore(backup)
    assert sealer(place.open()).open(content, "place") == b"content"
    assert place.open().signing_key("a1").certificate == newer


def test_keys_that_are_there_are_not_replaced(place: Place) -> None:
    store = place.open()
    (backup,) = unwrap_backup(written(store), WORDS)
    with expect(KeyFault.ACTIVE):
        store.restore(backup)
    store.relock("a1", None)
    with expect(KeyFault.MISMATCH):
        store.restore(backup)


def test_a_vault_that_its_officer_unlocks_is_restored_with_the_officer_alone(
    place: Place, tmp_path: Path
) -> None:
    store = place.open()
    content = sealed(store)
    store.relock("a1", OFFICER)
    data = wrap_backup(
        HEADER, [place.open().back_up("a1")], SECRETS, SIGNERS, CHEAP
    )  # A fresh store makes the backup, in which the vault is locked.
    for folder in ("secrets", "seals"):
        shutil.rmtree(tmp_path / folder)
    (backup,) = unwrap_backup(data, WORDS)
    for wrong in (None, b"somebody else's words"):
        with expect(KeyFault.LOCKED):
            place.open().restore(backup, wrong)
    place.open().restore(backup, OFFICER)
    new = place.open()
    with expect(KeyFault.LOCKED):
        new.data_keys("a1")
    new.unlock("a1", OFFICER)
    assert sealer(new).open(content, "place") == b"content"


@pytest.mark.parametrize(
    "passphrases",
    [
        {"anna": WORDS["anna"]},
        {"bo": WORDS["bo"]},
        {"anna": WORDS["anna"], "bo": WORDS["anna"]},
        {"anna": WORDS["bo"], "bo": WORDS["bo"]},
        {"anna": WORDS["bo"], "bo": WORDS["anna"]},
        {"anna": WORDS["anna"], "bo": b""},
        {"anna": WORDS["anna"], "cecilia": WORDS["bo"]},
        {},
    ],
)
def test_it_takes_both_passphrases(place: Place, passphrases: dict[str, bytes]) -> None:
    data = written(place.open())
    assert len(unwrap_backup(data, WORDS)) == 1
    with expect(KeyFault.LOCKED):
        unwrap_backup(data, passphrases)


def test_what_stands_in_the_clear_cannot_be_changed(place: Place) -> None:
    data = written(place.open())
    assert read_header(data) == HEADER
    document = json.loads(data)
    for change in ({"organisation": "0203:mullsjo.se"}, {"number": "1"}, {"more": "than there was"}):
        with expect(KeyFault.LOCKED):
            unwrap_backup(json.dumps(document | change).encode(), WORDS)


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"{}", b"[]", b"null", b'{"wrapped": "?"}', b"\xff", b'{"wrapped": 1}', b"[" * 200_000),
        json.dumps(CLEAR | {"custodians": [{}, {}]}).encode(),
        json.dumps(CLEAR | {"custodians": "ab"}).encode(),
    ],
)
def test_what_is_no_backup_is_told(data: bytes) -> None:
    for read in (read_header, lambda data: unwrap_backup(data, WORDS)):
        with expect(KeyFault.DAMAGED):
            read(data)


def test_no_secret_stands_in_the_clear(place: Place) -> None:
    store = place.open()
    backup = store.back_up("a1")
    data = written(store)
    for secret in (backup.seal, backup.root_share, *WORDS.values(), store.data_keys("a1").newest.key):
        for shown in (secret, secret.hex().encode()):
            assert shown not in data
    assert b"PRIVATE KEY" not in data


def test_no_secret_can_be_read_from_a_printed_object(place: Place) -> None:
    """Objects end up in tracebacks and log lines."""
    backup = place.open().back_up("a1")
    printed = f"{backup!r} {Secret('anna', WORDS['anna'])!r} {place.open().data_keys('a1')!r}"
    secrets = [WORDS["anna"], backup.root_share, backup.seal, *backup.files.values(), *backup.beside.values()]
    secrets += [each.key for each in place.open().data_keys("a1").generations]
    for secret in filter(None, secrets):
        assert repr(secret)[2:-1] not in printed
        assert secret.hex() not in printed


def custodians_with_keys(folder: Path) -> tuple[Custodians, tuple[Custodian, Custodian]]:
    custodians = Custodians(folder, cost=CHEAP)
    for name, words in (WORDS | {"cecilia": b"and yet another one"}).items():
        custodians.add(name, words)
    return custodians, (custodians.prove("anna", WORDS["anna"]), custodians.prove("bo", WORDS["bo"]))


def test_a_backup_is_signed_by_both_custodians(place: Place, tmp_path: Path) -> None:
    """One person can make up two passphrases, but not the signatures of two custodians."""
    custodians, (anna, bo) = custodians_with_keys(tmp_path / "persons")
    vaults = [place.open().back_up("a1")]
    data = wrap_backup(HEADER, vaults, SECRETS, (anna, bo), CHEAP)
    assert signed_by(data, custodians)
    assert len(unwrap_backup(data, WORDS)) == 1
    document = json.loads(data)
    signatures = document["signatures"]
    for change in (
        {"signatures": {}},
        {"signatures": None},
        {"signatures": [*signatures]},
        {"signatures": {"anna": signatures["anna"]}},
        {"signatures": {"anna": signatures["anna"], "bo": signatures["anna"]}},
        {"signatures": signatures | {"cecilia": signatures["bo"]}},
        {"signatures": signatures | {"bo": 7}},
        {"signatures": signatures | {"bo": "zz"}},
        {"wrapped": json.loads(wrap_backup(HEADER, vaults, SECRETS, (anna, bo), CHEAP))["wrapped"]},
        {"number": "20260302-000000"},
    ):
        assert not signed_by(json.dumps(document | change).encode(), custodians)
    for signers in ((anna, anna), (anna, Custodian("bo", anna.key)), SIGNERS):
        assert not signed_by(wrap_backup(HEADER, vaults, SECRETS, signers, CHEAP), custodians)


def test_a_custodian_of_then_who_is_none_now_has_not_signed(place: Place, tmp_path: Path) -> None:
    custodians, signers = custodians_with_keys(tmp_path / "persons")
    data = wrap_backup(HEADER, [place.open().back_up("a1")], SECRETS, signers, CHEAP)
    custodians.remove("bo")
    assert not signed_by(data, custodians)


def test_a_backup_of_version_0_1_opens_and_is_unsigned(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("samdrift.keystore.backup.FORMAT", UNSIGNED)
    document = json.loads(written(place.open()))
    del document["signatures"]
    data = json.dumps(document).encode()
    monkeypatch.undo()
    assert len(unwrap_backup(data, WORDS)) == 1
    assert not signed_by(data, custodians_with_keys(tmp_path / "persons")[0])


@pytest.mark.usefixtures("product_keys")
def test_a_file_says_what_a_guess_costs_and_costs_what_a_persons_passphrase_does_unless_told(
    place: Place,
) -> None:
    def cost(data: bytes) -> set[tuple[int, int, int]]:
        custodians = json.loads(data)["custodians"].values()
        return {(parts["n"], parts["r"], parts["p"]) for parts in custodians}

    vaults = [place.open().back_up("a1")]
    assert cost(wrap_backup(HEADER, vaults, SECRETS, SIGNERS, CHEAP)) == {(CHEAP.n, CHEAP.r, CHEAP.p)}
    told = {(PERSONS_COST.n, PERSONS_COST.r, PERSONS_COST.p)}
    assert cost(wrap_backup(HEADER, vaults, SECRETS, SIGNERS)) == told


def test_a_file_whose_fields_another_program_has_put_in_order_opens(place: Place) -> None:
    document = json.loads(written(place.open()))
    ordered = json.dumps(dict(sorted(document.items(), reverse=True))).encode()
    assert len(unwrap_backup(ordered, WORDS)) == 1
