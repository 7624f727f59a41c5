"""The embedded server: SCRAM from the first second, several servers, shared by processes, durable."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import pwd
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from errno import ENOSPC
from pathlib import Path

import psycopg
import pytest

from samdrift.vault.database import postgres
from samdrift.vault.database.postgres import EmbeddedPostgres
from samdrift.vault.database.server import Database
from samdrift.vault.errors import ServerBusy, ServerFailed
from tests import postgrestemplate
from tests.vaults import server_folder, settings_in


@pytest.fixture(scope="module", autouse=True)
def as_in_the_product() -> Iterator[None]:
    """Initialise each server separately, as the product does."""
    with postgrestemplate.made_each_time():
        yield


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """Yield a folder for one server that the tests here start and stop in turn."""
    with server_folder() as made:
        yield made / "server"


def secret() -> str:
    return "secret"


def ask(address: str, password: str, question: str) -> object:
    with psycopg.connect(address, user="postgres", password=password) as connection:
        return (connection.execute(question.encode()).fetchone() or (None,))[0]


def answers(address: str, password: str) -> bool:
    try:
        return ask(address, password, "SELECT 1") == 1
    except psycopg.OperationalError:
        return False


def test_two_servers_run_beside_each_other_and_take_only_their_own_password(folder: Path) -> None:
    long = folder.parent / ("a" * 60) / ("b" * 60)
    one, other = EmbeddedPostgres(folder, secret), EmbeddedPostgres(long, lambda: "second")
    try:
        at_one, at_other = one.start(), other.start()
        assert answers(at_one, "secret")
        assert answers(at_other, "second")
        assert not answers(at_one, "second")
        assert not answers(at_one, "")
    finally:
        one.stop()
        other.stop()
    assert not answers(at_one, "secret")


def test_the_server_is_durable_unreachable_by_network_and_keeps_values_out_of_its_log(folder: Path) -> None:
    server = EmbeddedPostgres(folder, secret)
    try:
        address = server.start()
        for name, value in {
            "fsync": "on",
            "synchronous_commit": "on",
            "full_page_writes": "on",
            "data_checksums": "on",
            "recovery_init_sync_method": "syncfs",
            "listen_addresses": "",
            "log_statement": "none",
        }.items():
            assert ask(address, "secret", f"SELECT current_setting('{name}')") == value
        rules = "SELECT string_agg(DISTINCT auth_method, ' ') FROM pg_hba_file_rules"
        assert ask(address, "secret", rules) == "scram-sha-256"
        with pytest.raises(psycopg.Error, match="Kim Svensson"):
            ask(address, "secret", "SELECT 'Kim Svensson'::text::int")
    finally:
        server.stop()
    assert "Kim" not in (folder / "data/server.log").read_text()


def test_a_connection_has_the_language_of_functions_before_it_calls_one(folder: Path) -> None:
    server = EmbeddedPostgres(folder, secret)
    loaded = "SELECT count(*) FROM pg_get_loaded_modules() WHERE file_name = 'plpgsql.so'"
    try:
        assert ask(server.start(), "secret", loaded) == 1
    finally:
        server.stop()


def test_the_last_one_to_leave_stops_the_server(folder: Path) -> None:
    one, other = EmbeddedPostgres(folder, secret), EmbeddedPostgres(folder, secret)
    address = one.start()
    other.start()
    one.stop()
    one.stop()
    assert answers(address, "secret")
    other.stop()
    assert not answers(address, "secret")


def test_a_process_that_was_killed_counts_as_gone(folder: Path) -> None:
    program = (
        "import os, pathlib; from samdrift.vault.database.postgres import EmbeddedPostgres;"
        f"EmbeddedPostgres(pathlib.Path({str(folder)!r}), lambda: 'secret').start();"
        "os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == -9
    server = EmbeddedPostgres(folder, secret)
    address = server.start()
    assert answers(address, "secret")
    server.stop()
    assert not answers(address, "secret")


HOLDS = """
import fcntl, sys, time
from samdrift.keystore.holders import signed
sys.argv = ["samdrift", "serve", "--config", "/etc/secret.toml"]
with open(FILE, "w+b") as lock:
    fcntl.flock(lock, fcntl.LOCK_EX)
    with signed(lock.fileno()):
        print("holds", flush=True)
        time.sleep(600)
"""


@contextlib.contextmanager
def held(lock: Path) -> Iterator[int]:
    """Let another process hold a lock; yield its id."""
    script = HOLDS.replace("FILE", repr(str(lock)))
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as other:
        try:
            assert other.stdout is not None
            assert other.stdout.readline() == b"holds\n"
            yield other.pid
        finally:
            other.kill()


def test_a_process_that_starts_or_stops_it_for_long_is_named_and_not_waited_for(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """With a hanging `pg_ctl`, `samdrift doctor` waited without end and reported nothing."""
    monkeypatch.setattr(postgres, "_LOOKS", 3)
    monkeypatch.setattr(postgres, "_LOOKS_IN_SILENCE", 1)
    server, other = EmbeddedPostgres(folder, secret), EmbeddedPostgres(folder, secret)
    address = other.start()
    try:
        with held(folder / "starting") as process:
            with pytest.raises(ServerBusy) as busy:
                server.start()
            assert f"samdrift serve (process {process}, since " in str(busy.value)
            assert "data/server.log" in str(busy.value)
            assert "secret.toml" not in str(busy.value)
            (line,) = caplog.messages
            assert line.startswith(f"waiting for samdrift serve (process {process}, since ")
            assert answers(address, "secret")
        server.start()
    finally:
        server.stop()
        other.stop()
    assert not answers(address, "secret"), (
        "a process that could not start the server must not count as its user"
    )


def test_who_started_it_is_not_taken_for_another_one_that_holds_it_up_later(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A minute without the database was blamed on a doctor that had ended before."""
    monkeypatch.setattr(postgres, "_LOOKS", 3)
    server = EmbeddedPostgres(folder, secret)
    server.start()
    server.stop()
    with (folder / "starting").open("rb+") as unsigned:
        fcntl.flock(unsigned, fcntl.LOCK_EX)
        with pytest.raises(ServerBusy) as busy:
            server.start()
    assert "another command" in str(busy.value)


def test_a_process_that_stops_it_for_long_is_named_too(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It holds both locks, and a user of the server meets the other one first."""
    monkeypatch.setattr(postgres, "_LOOKS", 3)
    with held(folder / "in-use"), pytest.raises(ServerBusy):
        EmbeddedPostgres(folder, secret).start()


def test_who_leaves_while_another_starts_it_leaves_it_to_that_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "_LOOKS", 3)
    server, last = EmbeddedPostgres(folder, secret), EmbeddedPostgres(folder, secret)
    address = server.start()
    with held(folder / "starting"):
        server.stop()
        assert answers(address, "secret")
    last.start()
    last.stop()
    assert not answers(address, "secret")


async def test_a_command_that_is_ended_while_it_waits_for_the_server_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = threading.Event()

    def look(lock: Path, operation: int) -> int:
        looked.set()
        raise BlockingIOError

    monkeypatch.setattr(postgres, "_lock", look)
    monkeypatch.setattr(postgres, "_LOOKS", 1_000_000)
    (tmp_path / "database").mkdir()
    (tmp_path / "database" / "starting").touch()
    starting = asyncio.create_task(Database.start(settings_in(tmp_path)))
    assert await asyncio.to_thread(looked.wait, 60)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(starting, 60)


def test_a_configuration_that_a_start_reads_just_now_is_not_changed_under_it(folder: Path) -> None:
    """The process that began the start was killed, and the next one begins another start."""
    server = EmbeddedPostgres(folder, secret)
    server.start()
    server.stop()
    files = [folder / "data" / name for name in ("postgresql.conf", "pg_hba.conf")]
    with files[0].open() as settings, files[1].open() as access:
        try:
            assert answers(server.start(), "secret")
        finally:
            server.stop()
        for opened, file in zip((settings, access), files, strict=True):
            assert os.fstat(opened.fileno()).st_ino != file.stat().st_ino
            assert opened.read() == file.read_text()


def test_a_server_that_runs_elsewhere_than_it_is_looked_for_is_started_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server started while its settings were being written kept every other from starting."""
    monkeypatch.setattr(postgres, "_BETWEEN_TRIES", 0.0)
    server = EmbeddedPostgres(folder, secret)
    server.start()
    server.stop()
    elsewhere = folder / "elsewhere"
    server._own(elsewhere)
    (folder / "data" / "postgresql.conf").write_text(
        f"unix_socket_directories = '{elsewhere}'\nlisten_addresses = ''\n"
    )
    server.control("start")
    assert list(elsewhere.iterdir())
    try:
        assert answers(server.start(), "secret")
        assert list(elsewhere.iterdir()) == []
    finally:
        server.stop()


def test_what_was_committed_survives_a_crash_of_the_server(folder: Path) -> None:
    server = EmbeddedPostgres(folder, secret)
    address = server.start()
    with psycopg.connect(address, user="postgres", password="secret") as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS value")
    server.control("stop", "-m", "immediate")
    try:
        assert server.start() == address
        assert ask(address, "secret", "SELECT value FROM kept") == 42
    finally:
        server.stop()


def test_a_server_whose_data_are_gone_is_not_brought_back_as_a_new_one(folder: Path) -> None:
    """The disk may not be mounted: an empty database would accept requests meant for the full one."""
    server = EmbeddedPostgres(folder, secret)
    server.start()
    server.control("stop", "-m", "immediate")
    data, aside = folder / "data", folder / "aside"
    data.rename(aside)
    try:
        with pytest.raises(ServerFailed, match="gone"):
            server.revive()
        assert not data.exists()
    finally:
        aside.rename(data)
    server.revive()
    server.stop()


def test_a_server_whose_folder_was_removed_is_left_and_a_start_there_is_a_typed_error(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The failed start reports its own reason, not a missing file."""
    place = folder / "database"
    server = EmbeddedPostgres(place, secret)
    server.start()
    server.control("stop", "-m", "immediate")
    shutil.rmtree(place)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "mkdir", lambda self, **how: None)
        with pytest.raises(ServerFailed, match="removed"):
            server.start()
    server.stop()
    assert not place.exists()
    server.start()
    server.stop()


def test_a_start_on_a_full_disk_is_a_typed_error_with_the_reason(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = EmbeddedPostgres(folder, secret)
    server.start()
    server.control("stop", "-m", "immediate")

    def full(self: Path, text: str) -> int:
        raise OSError(ENOSPC, os.strerror(ENOSPC))

    reason = f"^the embedded PostgreSQL in {folder} cannot be started: no space left on device$"
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", full)
        for begin in (server.revive, EmbeddedPostgres(folder, secret).start):
            with pytest.raises((ServerFailed, OSError), match="pace left") as caught:
                begin()
            assert isinstance(caught.value, ServerFailed)
            assert re.search(reason, str(caught.value))
    server.revive()
    server.stop()


def test_a_start_that_failed_leaves_no_lock_behind(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise this process would never stop the server that it starts later."""
    monkeypatch.setattr(postgres, "_BETWEEN_TRIES", 0.0)
    server = EmbeddedPostgres(folder, secret)

    def failing(self: EmbeddedPostgres, action: str, *options: str) -> None:
        raise ServerFailed("pg_ctl of the embedded PostgreSQL failed")

    with monkeypatch.context() as patch:
        patch.setattr(EmbeddedPostgres, "control", failing)
        with pytest.raises(ServerFailed):
            server.start()
    later = EmbeddedPostgres(folder, secret)
    address = later.start()
    later.stop()
    assert not answers(address, "secret")


def test_a_server_that_cannot_be_restarted_is_still_in_use(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "_BETWEEN_TRIES", 0.0)
    server, other = EmbeddedPostgres(folder, secret), EmbeddedPostgres(folder, secret)
    address = server.start()

    def failing(self: EmbeddedPostgres) -> None:
        raise ServerFailed("pg_ctl of the embedded PostgreSQL failed")

    with monkeypatch.context() as patch:
        patch.setattr(EmbeddedPostgres, "_answers", lambda self: False)
        patch.setattr(EmbeddedPostgres, "_configure", failing)
        with pytest.raises(ServerFailed):
            server.revive()
    other.start()
    other.stop()
    assert answers(address, "secret")
    server.stop()
    assert not answers(address, "secret")


def test_a_folder_that_holds_something_else_is_a_typed_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "_BETWEEN_TRIES", 0.0)
    (tmp_path / "data").mkdir()
    server = EmbeddedPostgres(tmp_path, secret)
    try:
        with pytest.raises(ServerFailed):
            server.start()
    finally:
        server.stop()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes the server's user")
def test_another_server_makes_the_user_at_the_same_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three worker processes of the suite, on a new machine, each tried to create the user."""
    name, look = f"samdrift-test-{os.getpid()}", pwd.getpwnam
    monkeypatch.setattr(postgres, "_USER", name)
    looks = 0

    def made_after_the_first_look(wanted: str) -> pwd.struct_passwd:
        nonlocal looks
        looks += 1
        if looks == 1:
            subprocess.run(["useradd", "--system", "--no-create-home", name], check=True)
            raise KeyError(wanted)
        return look(wanted)

    monkeypatch.setattr(pwd, "getpwnam", made_after_the_first_look)
    try:
        entry = postgres._system_user()
        assert entry is not None
        assert entry.pw_name == name
    finally:
        subprocess.run(["userdel", name], check=True, capture_output=True)
