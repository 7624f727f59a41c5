"""A process killed while it changes a vault's keys leaves them whole, either old or new."""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from samdrift.keystore import confined
from samdrift.keystore.hsm.locks import Hsm
from samdrift.keystore.hsm.store import HsmKeyStore
from samdrift.keystore.hsm.unlocking import HsmUnlocker
from samdrift.keystore.keyfiles import KeyFault, KeyName, KeyStoreError
from samdrift.keystore.software import SoftwareKeyStore
from tests.unit.keystore.test_software import SUBJECT, add_key, issue
from tests.vaults import CHEAP, key_store

TODAY = date(2026, 3, 2)
OFFICER = b"the officer's own"
_CHANGES = {"os.rename", "os.remove", "os.link", "os.mkdir", "os.rmdir"}
_WRITES = os.O_WRONLY | os.O_RDWR


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a key store with one vault that has a key of each kind, and one that has a data key."""
    folder = tmp_path_factory.mktemp("made")
    store = key_store(folder / "keys")
    add_key(store, "a1", KeyName.SIGNING)
    store.create_key("a1", KeyName.ENCRYPTION, SUBJECT, bits=2048)
    store.begin("a1")
    store.rotate_data_key("a1")
    store.token_keys("a1", TODAY)
    store.log_keys("a1")
    store.begin("b2")
    return folder


@pytest.fixture
def fresh(made: Path, tmp_path: Path) -> Callable[[], Path]:
    """Return a function that makes copies of the key store, one after the other."""

    def fresh() -> Path:
        shutil.rmtree(tmp_path)
        shutil.copytree(made, tmp_path)
        return tmp_path / "keys"

    return fresh


def store_of_installation(folder: Path) -> SoftwareKeyStore:
    """Return the key store as an installation without HSMs has it."""
    seals, tokens = folder.with_name(f"{folder.name}-seals"), Hsm(None)
    return HsmKeyStore(folder, HsmUnlocker(folder, seals, b"open sesame", tokens, cost=CHEAP), tokens)


def held(store: SoftwareKeyStore) -> list[object]:
    """Return everything that the vault's secret opens."""
    return [
        store.data_keys("a1"),
        [key.certificate for key in store.signing_keys("a1")],
        [(key.name, key.number) for key in store.keys("a1")],
        [key.public.public_numbers() for key in store.token_keys("a1", TODAY)],
        [key.public for key in store.log_keys("a1")],
    ]


def seals(folder: Path, vault: str) -> list[Path]:
    """Return the vault's seals, and anything that looks like one."""
    return [path for path in folder.with_name("keys-seals").iterdir() if vault in path.name]


def killed(folder: Path, change: Callable[[SoftwareKeyStore], object], moment: int) -> bool:
    """Run the change in a process that dies before write number ``moment``; return whether it died."""
    process = os.fork()
    if process == 0:
        try:
            store, left = key_store(folder), moment

            def before(event: str, arguments: tuple[object, ...]) -> None:
                nonlocal left
                flags = arguments[2] if event == "open" else 0
                if event in _CHANGES or (isinstance(flags, int) and flags & _WRITES):
                    left -= 1
                    if left == 0:
                        os._exit(9)

            sys.addaudithook(before)
            change(store)
            os._exit(0)
        finally:
            os._exit(1)
    status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    assert status in (0, 9)
    return status == 9


def moments(fresh: Callable[[], Path], change: Callable[[SoftwareKeyStore], object]) -> Iterator[Path]:
    """Yield the key store as a process leaves it that is killed at each moment of the change."""
    for moment in range(1, 200):
        folder = fresh()
        if not killed(folder, change, moment):
            assert moment > 3, "the change ended before it could be killed"
            return
        yield folder
    raise AssertionError("there is no end to it")


def test_wrapping_anew_is_done_or_not_and_can_be_done_again(fresh: Callable[[], Path]) -> None:
    known = held(key_store(fresh()))
    for folder in moments(fresh, lambda store: store.rewrap("a1")):
        assert held(key_store(folder)) == known
        key_store(folder).rewrap("a1")
        assert held(key_store(folder)) == known
        assert len(list((folder / "a1").iterdir())) == 1, "nothing is left behind"


def test_a_new_generation_is_there_or_not(fresh: Callable[[], Path]) -> None:
    known = key_store(fresh()).data_keys("a1")
    for folder in moments(fresh, lambda store: store.rotate_data_key("a1")):
        found = key_store(folder).data_keys("a1")
        assert found.generations[-2:] == known.generations


def test_a_vault_goes_over_to_its_officer_or_not(fresh: Callable[[], Path]) -> None:
    known = key_store(fresh()).data_keys("b2").generations
    for folder in moments(fresh, lambda store: store.relock("b2", OFFICER)):
        store = key_store(folder)
        if store.locked("b2"):
            store.unlock("b2", OFFICER)
            assert len(seals(folder, "b2")) == 1, (
                "unlocking must remove a former seal that was not destroyed yet"
            )
        assert store.data_keys("b2").generations[-len(known) :] == known
        store.relock("b2", OFFICER)
        assert store.data_keys("b2").generations[-len(known) :] == known
        assert len(seals(folder, "b2")) == 1


def test_what_was_begun_to_be_destroyed_opens_for_nobody(fresh: Callable[[], Path]) -> None:
    for folder in moments(fresh, lambda store: store.destroy("a1")):
        store = key_store(folder)
        if store.has_data_key("a1"):
            assert len(seals(folder, "a1")) == 1
        else:
            with pytest.raises(KeyStoreError) as caught:
                store.data_keys("a1")
            assert caught.value.fault in (KeyFault.MISSING, KeyFault.DAMAGED)
        store.destroy("a1")
        assert not (folder / "a1").exists()
        assert seals(folder, "a1") == []


def test_a_new_vault_is_begun_again(fresh: Callable[[], Path]) -> None:
    for folder in moments(fresh, lambda store: store.begin("c3")):
        store = key_store(folder)
        store.begin("c3")
        assert len(store.data_keys("c3").generations) == 1


def test_others_read_and_write_while_everything_is_wrapped_anew(fresh: Callable[[], Path]) -> None:
    folder = fresh()
    known, failures = key_store(folder).data_keys("a1").first, list[BaseException]()
    done = threading.Event()
    requests = list[bytes]()

    def reading() -> None:
        while not done.is_set():
            store = key_store(folder)
            assert store.data_keys("a1").first == known
            assert store.signing_key("a1").certificate
            assert store.token_keys("a1", TODAY)

    def writing() -> None:
        store = key_store(folder)
        while not done.is_set() and len(requests) < 3:
            store.rotate_data_key("a1")
            requests.append(store.create_key("a1", KeyName.TLS_CLIENT, SUBJECT, bits=2048))

    def watched(work: Callable[[], None]) -> threading.Thread:
        def run() -> None:
            try:
                work()
            except BaseException as failure:
                failures.append(failure)

        thread = threading.Thread(target=run)
        thread.start()
        return thread

    threads = [watched(reading), watched(writing)]
    store = key_store(folder)
    for _ in range(10):
        store.rewrap("a1")
    threads[1].join()
    store.rewrap("a1")
    done.set()
    threads[0].join()
    assert failures == []
    assert len(store.data_keys("a1").generations) == 2 + 3
    for request in requests:
        store.install_certificate("a1", KeyName.TLS_CLIENT, issue(request))
    assert len(store.installed("a1", KeyName.TLS_CLIENT)) == 3


def test_a_process_sees_each_change_of_another_however_soon_it_comes(fresh: Callable[[], Path]) -> None:
    """A change is seen even in the same tick of the system's clock as the look before it."""
    folder = fresh()
    running, other = key_store(folder), key_store(folder)
    for _ in range(20):
        before = running.state("a1")
        assert running.state("a1") == before
        other.rewrap("a1")
        assert running.state("a1") != before


def test_a_vaults_folders_are_listed_again_only_when_they_have_changed(
    fresh: Callable[[], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    listed: list[int] = []
    real = os.scandir

    def noted(folder: int) -> object:
        listed.append(folder)
        return real(folder)

    running = key_store(fresh())
    monkeypatch.setattr(os, "scandir", noted)
    running.state("a1")
    first = len(listed)
    running.state("a1")
    assert len(listed) == 2 * first, "folders that have just changed must be listed again"
    monkeypatch.setattr(confined, "_SETTLED", 0)
    states = {running.state("a1") for _ in range(5)}
    assert (len(states), len(listed)) == (1, 3 * first)
    (folder,) = confined.numbered(running._folder / "a1")
    (running._folder / "a1" / folder / "data-key-0009").symlink_to("/etc/passwd")
    with pytest.raises(KeyStoreError):
        running.state("a1")


@pytest.mark.parametrize("store", [key_store, store_of_installation])
def test_keys_are_looked_for_again_only_when_the_vaults_folders_have_changed(
    fresh: Callable[[], Path], monkeypatch: pytest.MonkeyPatch, store: Callable[[Path], SoftwareKeyStore]
) -> None:
    """The first decision about a key creates the folder of decisions, which is noticed too."""
    folder = fresh()
    running, other = store(folder), key_store(folder)
    listed: list[int] = []
    real = os.scandir

    def noted(folder: int) -> object:
        listed.append(folder)
        return real(folder)

    monkeypatch.setattr(os, "scandir", noted)
    monkeypatch.setattr(confined, "_SETTLED", 0)

    def numbers() -> tuple[int, ...]:
        assert len(running.signing_keys("a1")) == len(running.installed("a1", KeyName.SIGNING))
        return running.installed("a1", KeyName.SIGNING)

    def unlisted(numbers_then: tuple[int, ...]) -> None:
        time.sleep(0.05)  # Longer than the granularity of file times, which show a change.
        numbers()
        listed.clear()
        assert (numbers(), listed) == (numbers_then, [])

    unlisted((1,))
    add_key(other, "a1", KeyName.SIGNING)
    assert numbers() == (2, 1)
    unlisted((2, 1))
    other.revoke("a1", KeyName.SIGNING, 2, "tried", at=datetime.now(UTC), compromised=False)
    assert numbers() == (1,)
    unlisted((1,))
    other.revoke("a1", KeyName.SIGNING, 1, "tried", at=datetime.now(UTC), compromised=True)
    with pytest.raises(KeyStoreError):
        running.signing_key("a1")
    other.destroy("a1")
    with pytest.raises(KeyStoreError):
        running.signing_keys("a1")


def test_for_the_keys_of_a_name_each_folder_that_is_there_is_looked_at_once(
    fresh: Callable[[], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    running = store_of_installation(fresh())
    looked: list[str] = []
    real = os.stat

    def noted(path: str, **named: Any) -> os.stat_result:
        looked.append(os.path.basename(path))
        return real(path, **named)

    def folders() -> list[str]:
        time.sleep(0.05)  # Longer than the granularity of file times, which show a change.
        running.signing_keys("a1")
        with monkeypatch.context() as noting:
            noting.setattr(os, "stat", noted)
            looked.clear()
            running.signing_keys("a1")
        return looked

    monkeypatch.setattr(confined, "_SETTLED", 0)
    add_key(running, "a1", KeyName.SIGNING)
    assert folders() == ["a1", "0001"]
    running.revoke("a1", KeyName.SIGNING, 1, "tried", at=datetime.now(UTC), compromised=False)
    assert folders() == ["a1", "0001", "states"]


def test_a_process_sees_what_another_wrapped_anew(fresh: Callable[[], Path]) -> None:
    folder = fresh()
    running = key_store(folder)
    known, state = held(running), running.state("a1")
    add_key(running, "a1", KeyName.TLS_CLIENT)
    path, password = running.tls_client("a1")
    key_store(folder).rewrap("a1")
    assert running.state("a1") != state
    assert held(running)[0] == known[0]
    again, other_password = running.tls_client("a1")
    assert (again != path, other_password != password, again.exists(), path.exists()) == (
        True,
        True,
        True,
        False,
    )


def test_a_retired_key_does_not_come_back(fresh: Callable[[], Path]) -> None:
    store = key_store(fresh())
    add_key(store, "a1", KeyName.SIGNING)
    store.retire("a1", KeyName.SIGNING, 1)
    store.rewrap("a1")
    assert store.installed("a1", KeyName.SIGNING) == (2,)
    assert isinstance(store.signing_key("a1").certificate.public_key(), rsa.RSAPublicKey)


def test_nothing_stays_of_a_retired_key_whose_certification_was_cut_short(fresh: Callable[[], Path]) -> None:
    folder = fresh()
    (certified,) = (folder / "a1").glob("*/signing-0001.pem")
    shutil.copy(certified, certified.with_suffix(".key"))  # A kill during the installation leaves both files.
    store = key_store(folder)
    add_key(store, "a1", KeyName.SIGNING)
    store.retire("a1", KeyName.SIGNING, 1)
    assert not list((folder / "a1").glob("*/signing-0001.*"))
    assert [key.number for key in store.keys("a1") if key.name is KeyName.SIGNING] == [2]


@pytest.mark.parametrize(("link", "to"), [("0000", "0001"), ("9999", "0001"), ("states", "states")])
def test_a_link_in_a_vaults_folder_leads_to_no_other_vault(
    fresh: Callable[[], Path], link: str, to: str
) -> None:
    """The folder belongs to the process of its organisation, which may have been broken into."""
    folder = fresh()
    store = key_store(folder)
    add_key(store, "b2", KeyName.SIGNING)
    known = store.data_keys("b2"), store.signing_key("b2").certificate
    (folder / "b2" / "states").mkdir()
    (folder / "a1" / link).symlink_to(folder / "b2" / to)
    store.rewrap("a1")
    store.revoke("a1", KeyName.SIGNING, 1, "lost", at=datetime.now(UTC), compromised=False)
    assert not (folder / "a1" / link).is_symlink()
    again = key_store(folder)
    assert (again.data_keys("b2"), again.signing_key("b2").certificate) == known
