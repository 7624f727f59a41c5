"""``samdrift witness serve``: started, killed, started again; and folders and files that it refuses."""

from __future__ import annotations

import http.client
import random
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from samdrift.audit.merkle import MemoryTree, consistency_proof
from samdrift.audit.notes import Checkpoint, Note, VerifierKey
from samdrift.audit.proofs import WitnessRequest
from samdrift.transparency.witnessstate import WitnessState
from tests.sizes import count, seed, soak
from tests.unit.audit.signing import LOG, ONE, tree
from tests.unit.cli.commandline import in_process
from tests.unit.transparency.test_witness import forked

_WITHIN = 60.0


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    file = tmp_path / "logs.policy"
    file.write_text(f"log {LOG.key}\nquorum none\n")
    return file


class Running:
    """The command as a process of its own."""

    def __init__(self, folder: Path, logs: Path) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            self.port = taken.getsockname()[1]
        command = [
            sys.executable,
            "-m",
            "samdrift.cli.main",
            "witness",
            "serve",
            str(folder),
            "--name",
            "w.example/1",
        ]
        self._process = subprocess.Popen(
            [*command, "--logs", str(logs), "--listen", f"127.0.0.1:{self.port}"],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        lines = [self._process.stdout.readline() for _ in range(3)]
        assert lines[2] == f"listening on 127.0.0.1:{self.port}\n", lines
        self.key = VerifierKey.parse(lines[0].removeprefix("witness key: ").strip())

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(timeout=_WITHIN)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def ask(self, old: int, new: int, made: MemoryTree) -> tuple[int, bytes]:
        """Return status and body; the status is 0 if the process has ended."""
        stated = Checkpoint(LOG.name, new, made.root(new))
        proof = consistency_proof(old, new, made.node) if old <= new else []
        body = bytes(WitnessRequest(old, tuple(proof), stated.signed([LOG.line(stated.text)])))
        url = f"http://127.0.0.1:{self.port}/add-checkpoint"
        try:
            try:
                with urllib.request.urlopen(url, body, timeout=_WITHIN) as answer:
                    return answer.status, answer.read()
            except urllib.error.HTTPError as error:
                return error.code, error.read()
        except (OSError, http.client.HTTPException):
            return 0, b""


def test_it_goes_on_with_its_key_and_its_memory(tmp_path: Path, logs: Path) -> None:
    keys = []
    for old, new in ((0, 8), (8, 21)):
        running = Running(tmp_path / "witness", logs)
        try:
            status, line = running.ask(old, new, tree(21))
            assert status == 200
            note = Checkpoint(LOG.name, new, tree(new).root()).signed([line])
            assert Note.parse(note).verified([running.key])
            keys.append(running.key)
        finally:
            running.kill()
    assert keys[0] == keys[1]
    assert (tmp_path / "witness" / "key.pem").stat().st_mode & 0o777 == 0o600


@soak
def test_killed_at_any_moment_it_has_cosigned_one_history(tmp_path: Path, logs: Path) -> None:
    """Two histories are offered while it is killed; every cosignature that it gave is on the same one."""
    drawn = random.Random(seed(19))
    trees = (tree(60), forked(60, 3))
    cosigned: set[tuple[int, int]] = set()
    for _ in range(count(3, 60)):
        running = Running(tmp_path / "witness", logs)

        def offer(which: int, running: Running = running) -> None:
            for _ in range(40):
                status, body = running.ask(0, 1, trees[which])
                size = int(body) if status == 409 else 1
                status, _ = running.ask(size, min(size + 1, 60), trees[which])
                if status == 200 and min(size + 1, 60) > 3:
                    cosigned.add((min(size + 1, 60), which))

        threads = [threading.Thread(target=offer, args=(which,)) for which in (0, 1)]
        for each in threads:
            each.start()
        time.sleep(drawn.random() * 0.3)
        running.kill()
        for each in threads:
            each.join()
    assert len({which for _, which in cosigned}) <= 1
    with WitnessState(tmp_path / "witness" / "state.sqlite", running.key, new=False) as state:
        assert state.seen(LOG.name).size >= max((size for size, _ in cosigned), default=0)


def refused(folder: Path, logs: Path, name: str = "w.example/1", listen: str = "127.0.0.1:0") -> str:
    ended = in_process("witness", "serve", folder, "--name", name, "--logs", logs, "--listen", listen)
    assert ended.status == 2
    return ended.complaints


def test_what_cannot_be_used_is_refused_in_one_line(tmp_path: Path, logs: Path) -> None:
    folder = tmp_path / "witness"
    assert "spaces" in refused(folder, logs, name="w 1")
    assert "--listen" in refused(folder, logs, listen="here")
    assert "--listen" in refused(folder, logs, listen="127.0.0.1:70000")
    assert "no such file" in refused(folder, tmp_path / "nothing")
    logs.write_text(f"log {LOG.key}\n")
    assert "quorum" in refused(folder, logs)
    logs.write_text(f"log {ONE.key}\nquorum none\n")
    assert "line 1" in refused(folder, logs)
    assert not folder.exists()


def test_a_folder_with_half_of_it_is_refused(tmp_path: Path, logs: Path) -> None:
    folder = tmp_path / "witness"
    Running(folder, logs).kill()
    assert "another name or key" in refused(folder, logs, name="w.example/2")
    (folder / "key.pem").chmod(0o640)
    assert "users other than its owner" in refused(folder, logs)
    (folder / "key.pem").chmod(0o600)
    state = (folder / "state.sqlite").read_bytes()
    (folder / "state.sqlite").unlink()
    assert "missing" in refused(folder, logs)
    (folder / "state.sqlite").write_bytes(state)
    (folder / "key.pem").write_text("not a key\n")
    assert "not an Ed25519 key" in refused(folder, logs)
    (folder / "key.pem").unlink()
    assert "already" in refused(folder, logs)
