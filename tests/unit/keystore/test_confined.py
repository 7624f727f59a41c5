"""Attacks by a writer in a vault's folder: nothing there leads to another vault, or stops root."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from samdrift.keystore import confined
from samdrift.keystore.backup import VaultBackup
from samdrift.keystore.durablefiles import remove_tree
from samdrift.keystore.keyfiles import KeyFault, KeyName, KeyStoreError
from samdrift.keystore.software import SoftwareKeyStore
from samdrift.keystore.vaultfolder import current
from tests.unit.keystore.test_software import add_key
from tests.vaults import key_store

TODAY, NOW = date(2026, 3, 2), datetime(2026, 3, 2, tzinfo=UTC)
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files to others")
Plant = Callable[[Path, Path], None]


@pytest.fixture
def store(tmp_path: Path) -> SoftwareKeyStore:
    """Return a store with two vaults, the attacker's ``mine`` and ``other``."""
    store = key_store(tmp_path / "keys")
    for vault in ("mine", "other"):
        add_key(store, vault, KeyName.SIGNING)
        store.begin(vault)
        store.token_keys(vault, TODAY)
    return store


def numbered(store: SoftwareKeyStore, vault: str) -> Path:
    folder = current(store._folder / vault)
    assert folder is not None
    return folder


def _replaced(path: Path) -> Path:
    path.unlink()
    return path


LEADS: dict[str, Plant] = {
    "link to a data key": lambda mine, other: (mine / "data-key-0002").symlink_to(other / "data-key-0001"),
    "link in place of a data key": lambda mine, other: _replaced(mine / "data-key-0001").symlink_to(
        other / "data-key-0001"
    ),
    "link to the root key": lambda mine, other: (mine / "password-0001").symlink_to(
        other.parents[1] / "root"
    ),
    "link to a seal": lambda mine, other: (mine / "password-0001").symlink_to(
        other.parents[1].with_name("keys-seals") / "other.1"
    ),
    "link to a secret": lambda mine, other: _replaced(mine / "secret").symlink_to(other / "secret"),
    "hard link to a data key": lambda mine, other: (mine / "data-key-0002").hardlink_to(
        other / "data-key-0001"
    ),
    "link to a folder of states": lambda mine, other: (mine.parent / "states").symlink_to(other),
    "link among states": lambda mine, other: (
        (mine.parent / "states").mkdir(),
        (mine.parent / "states" / "signing-0001.revoked").symlink_to(other / "data-key-0001"),
    )[0],
    "link among references": lambda mine, other: (
        (mine.parent / "token").mkdir(),
        (mine.parent / "token" / "signing-0002.pem").symlink_to(other / "signing-0001.pem"),
    )[0],
}


@pytest.mark.parametrize("plant", LEADS.values(), ids=LEADS.keys())
def test_a_backup_holds_nothing_of_another_vault_that_a_link_leads_to(
    store: SoftwareKeyStore, plant: Plant
) -> None:
    """``org keys backup`` and ``restore`` once gave a worker another organisation's data key."""
    mine, other = numbered(store, "mine"), numbered(store, "other")
    foreign = [path.read_bytes() for path in other.iterdir()]
    plant(mine, other)
    held: list[bytes] = []
    with contextlib.suppress(KeyStoreError):
        backup = store.back_up("mine")
        held = [*backup.files.values(), *backup.beside.values()]
    assert not [data for data in held if any(each in data for each in foreign)]


@pytest.mark.parametrize("name", ["link to a data key", "hard link to a data key", "link among states"])
def test_a_link_among_the_files_of_a_vault_is_told_from_damage(store: SoftwareKeyStore, name: str) -> None:
    LEADS[name](numbered(store, "mine"), numbered(store, "other"))
    with pytest.raises(KeyStoreError) as caught:
        store.back_up("mine")
    assert caught.value.fault is KeyFault.TAMPERED
    assert "other" not in caught.value.text.replace("another", "")


STOPS: dict[str, Plant] = {
    "FIFO": lambda mine, _: os.mkfifo(mine / "data-key-0002"),
    "FIFO in place of the secret": lambda mine, _: os.mkfifo(_replaced(mine / "secret")),
    "sparse file of 3 GB": lambda mine, _: os.truncate(_touched(mine / "data-key-0002"), 3 << 30),
    "sparse secret": lambda mine, _: os.truncate(mine / "secret", 3 << 30),
    "folder in place of a key": lambda mine, _: (mine / "data-key-0002").mkdir(),
    "nested JSON": lambda mine, _: _sized(mine / "secret", b"[" * 200_000),
    "nested JSON as a reason": lambda mine, _: (
        (mine.parent / "states").mkdir(),
        _sized(mine.parent / "states" / "signing-0001.revoked", b"[" * 200_000),
    )[0],
    "1 500 nested folders": lambda mine, _: nest(mine, 1500),
    "nested folders beside": lambda mine, _: nest(mine.parent, 1500),
    "20 000 files": lambda mine, _: _many(mine),
}


def _touched(path: Path) -> Path:
    path.touch()
    return path


def _sized(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def _many(folder: Path) -> None:
    for number in range(20_000):
        (folder / f"x{number}").touch()


def nest(folder: Path, depth: int) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("states", dir_fd=descriptor)
        inner = os.open("states", os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = inner
    os.close(descriptor)


PATIENCE = 60.0


@pytest.mark.parametrize("plant", STOPS.values(), ids=STOPS.keys())
def test_what_is_planted_in_one_vault_neither_hangs_nor_breaks_what_reads_it(
    store: SoftwareKeyStore, plant: Plant
) -> None:
    """Each call ends with a result or a typed error, and the other vault is read as before."""
    plant(numbered(store, "mine"), numbered(store, "other"))
    calls: list[Callable[[], object]] = [
        lambda: store.state("mine"),
        lambda: store.has_data_key("mine"),
        lambda: store.locked("mine"),
        lambda: store.unlock_key("mine"),
        lambda: store.keys("mine"),
        lambda: store.data_keys("mine"),
        lambda: store.back_up("mine"),
        lambda: store.rewrap("mine"),
    ]
    ended: list[object] = []

    def read() -> None:
        for call in calls:
            with contextlib.suppress(KeyStoreError):
                call()
            ended.append(call)

    reading = threading.Thread(target=read, daemon=True)
    reading.start()
    reading.join(PATIENCE)
    assert ended == calls
    assert store.data_keys("other").generations
    store.rewrap("other")
    store.destroy("mine")
    assert not (store._folder / "mine").exists()


@as_root
def test_a_file_of_another_user_is_not_read(store: SoftwareKeyStore) -> None:
    path = numbered(store, "mine") / "data-key-0001"
    os.chown(path, 4242, 4242)
    with pytest.raises(KeyStoreError) as caught:
        store.data_keys("mine")
    assert caught.value.fault is KeyFault.TAMPERED


@as_root
def test_a_folder_of_another_user_is_not_entered(store: SoftwareKeyStore) -> None:
    os.chown(numbered(store, "mine"), 4242, 4242)
    with pytest.raises(KeyStoreError) as caught:
        store.data_keys("mine")
    assert caught.value.fault is KeyFault.TAMPERED


def test_a_file_larger_than_any_key_is_not_read(store: SoftwareKeyStore) -> None:
    path = numbered(store, "mine") / "signing-0001.pem"
    path.write_bytes(path.read_bytes() + b"\n" * (1 << 20))
    with pytest.raises(KeyStoreError) as caught:
        store.keys("mine")
    assert caught.value.fault is KeyFault.TAMPERED


def test_only_files_that_the_key_store_makes_are_backed_up_and_restored(store: SoftwareKeyStore) -> None:
    (numbered(store, "mine") / "passphrase").write_bytes(b"planted")
    backup = store.back_up("mine")
    assert "passphrase" not in backup.files
    strange = {"passphrase": b"planted", "../other/secret": b"planted", "data-key-0001/x": b"planted"}
    store.destroy("mine")
    planted = VaultBackup(
        backup.vault, backup.root_share, backup.seal, {**backup.files, **strange}, {"states/../x": b"planted"}
    )
    store.restore(planted)
    found = [path for path in store._folder.rglob("*") if path.is_file() and path.read_bytes() == b"planted"]
    assert found == []
    assert store.data_keys("mine").generations


def test_a_file_is_neither_read_nor_written_under_a_name_that_the_key_store_does_not_make(
    store: SoftwareKeyStore,
) -> None:
    place = numbered(store, "mine") / "passphrase"
    place.write_bytes(b"x")
    with pytest.raises(KeyStoreError):
        confined.read(place)
    with pytest.raises(KeyStoreError):
        confined.write_new(place.with_name("another"), b"x")


def test_a_fifo_is_not_read_in_place_of_a_file(store: SoftwareKeyStore) -> None:
    path = numbered(store, "mine") / "data-key-0002"
    os.mkfifo(path)
    with pytest.raises(KeyStoreError) as caught:
        confined.read(path)
    assert caught.value.fault is KeyFault.TAMPERED


def test_a_link_is_an_alarm_in_the_log(store: SoftwareKeyStore, caplog: pytest.LogCaptureFixture) -> None:
    (store._folder / "mine" / "0000").symlink_to(store._folder / "other" / "0001")
    store.rotate_data_key("mine")
    assert "ALARM" in caplog.text
    assert store.data_keys("other").generations


@as_root
def test_what_root_makes_is_readable_for_the_group_of_the_vault_and_written_by_root_alone(
    store: SoftwareKeyStore,
) -> None:
    folder = store._folder / "mine"
    confined.give_to_group(folder, 0, 4242)
    store.rotate_data_key("mine")
    store.rewrap("mine")
    store.revoke("mine", KeyName.SIGNING, 1, "lost", at=NOW, compromised=False)
    found = [folder, *folder.rglob("*")]
    assert len(found) > 6
    for path in found:
        mode = 0o750 if path.is_dir() else 0o640
        assert (path.stat().st_uid, path.stat().st_gid, path.stat().st_mode & 0o777) == (0, 4242, mode), path


@as_root
@pytest.mark.parametrize("plant", LEADS.values(), ids=LEADS.keys())
def test_a_folder_that_holds_a_link_gives_nobody_what_it_leads_to(
    store: SoftwareKeyStore, plant: Plant
) -> None:
    """Root gives the vault's folder to its user's group at its start."""
    mine, other = numbered(store, "mine"), numbered(store, "other")
    plant(mine, other)
    with contextlib.suppress(KeyStoreError):
        confined.give_to_group(store._folder / "mine", 0, 4242)
    places = [other, *other.iterdir(), other.parents[1], other.parents[1] / "root"]
    assert not [path for path in places if path.stat().st_gid == 4242]


def test_a_tree_of_any_depth_is_removed_and_nothing_that_a_link_in_it_leads_to(tmp_path: Path) -> None:
    tree, kept = tmp_path / "tree", tmp_path / "kept"
    tree.mkdir()
    kept.mkdir()
    (kept / "file").write_bytes(b"stays")
    nest(tree, 5000)
    (tree / "link").symlink_to(kept)
    (tree / "states" / "link").symlink_to(kept)
    os.mkfifo(tree / "fifo")
    descriptor = os.open(tmp_path, os.O_RDONLY)
    remove_tree("tree", descriptor)
    os.close(descriptor)
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    assert (kept / "file").read_bytes() == b"stays"


def test_a_link_that_leads_nowhere_in_a_files_place_is_left_alone(store: SoftwareKeyStore) -> None:
    path = numbered(store, "mine") / "data-key-0002"
    path.symlink_to("nowhere")
    assert not confined.write_new(path, b"x")
    assert path.is_symlink()


def test_the_key_store_may_be_reached_over_a_link_of_the_operators(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir(mode=0o700)
    (tmp_path / "keys").symlink_to("disk")
    confined.make(tmp_path / "keys" / "v1" / "0001")
    assert (tmp_path / "disk" / "v1" / "0001").is_dir()


def test_what_lies_beside_the_files_is_restored_in_its_own_vault_alone(store: SoftwareKeyStore) -> None:
    """A forged backup names a decision about another vault's key."""
    backup = store.back_up("mine")
    store.destroy("mine")
    beside = {"../other/states/signing-0001.revoked": b"{}", "states/of-mine": b"{}"}
    store.restore(VaultBackup(backup.vault, backup.root_share, backup.seal, backup.files, beside))
    assert not [path.name for path in store._folder.rglob("states/*")]
