"""Starts witnesses, ours and two from other projects, each with the same key, for the same logs."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from samdrift.audit.notes import Algorithm, VerifierKey
from tests.interop.tlog.build import program
from tests.interop.tools import require
from tests.programs import found
from tests.unit.audit.signing import Signer

WITNESS = Signer("witness.example/interop", Algorithm.COSIGNATURE)
_WITHIN = 60.0
_OFFLINE = {"HTTP_PROXY": "http://127.0.0.1:9", "HTTPS_PROXY": "http://127.0.0.1:9", "NO_PROXY": ""}
"""Proxy settings that keep a program from contacting the public logs that it knows."""


def post(address: str, body: bytes) -> tuple[int, str, bytes]:
    """Return status, content type and body of the response of the witness at ``address``."""
    request = urllib.request.Request(f"{address}/add-checkpoint", body, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=_WITHIN) as answer:
            return answer.status, answer.headers.get("content-type", ""), answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers.get("content-type", ""), error.read()


@contextlib.contextmanager
def ours(folder: Path, logs: Sequence[Signer]) -> Iterator[str]:
    """Run ``samdrift witness serve``, and yield its address."""
    folder.mkdir(mode=0o700)
    state = folder / "state"
    policy = folder / "logs"
    policy.write_text("".join(f"log {log.key}\n" for log in logs) + "quorum none\n")
    port = free_port()
    command = [sys.executable, "-m", "samdrift.cli.main", "witness", "serve", state, "--name", WITNESS.name]
    with running([*command, "--logs", policy, "--listen", f"127.0.0.1:{port}"], folder / "log", port):
        yield f"http://127.0.0.1:{port}"


def key_of_ours(folder: Path) -> VerifierKey:
    """Return the key that ``samdrift witness serve`` made and prints."""
    printed = (folder / "log").read_text()
    return VerifierKey.parse(
        next(line for line in printed.splitlines() if line.startswith("witness key: "))[13:]
    )


@contextlib.contextmanager
def litewitness(folder: Path, logs: Sequence[Signer]) -> Iterator[str]:
    """Run litewitness with its key in an ssh-agent; raise :class:`Unavailable` without Go or OpenSSH."""
    path = program("litewitness")
    require("ssh-agent", "OpenSSH")
    folder.mkdir(mode=0o700)
    agent, database, port = folder / "agent", folder / "w.db", free_port()
    key = folder / "key"
    key.touch(mode=0o600)
    key.write_bytes(WITNESS.private.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
    wire = WITNESS.private.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).split()[1]
    digest = hashlib.sha256(base64.b64decode(wire)).digest()
    fingerprint = "SHA256:" + base64.b64encode(digest).decode().rstrip("=")
    with ExitStack() as stack:
        stack.enter_context(running([found("ssh-agent"), "-D", "-a", agent], folder / "agent.log", agent))
        environment = os.environ | {"SSH_AUTH_SOCK": str(agent)}
        subprocess.run([f"{found('ssh-add')}", key], env=environment, capture_output=True, check=True)
        command = [path, "-ssh-agent", agent, "-name", WITNESS.name, "-key", fingerprint, "-db", database]
        stack.enter_context(running([*command, "-listen", f"127.0.0.1:{port}"], folder / "log", port))
        with contextlib.closing(sqlite3.connect(database)) as connection, connection:
            empty = base64.b64encode(hashlib.sha256(b"").digest()).decode()
            connection.executemany("INSERT INTO log VALUES (?, 0, ?)", [(log.name, empty) for log in logs])
            connection.executemany(
                "INSERT INTO key VALUES (?, ?)", [(log.name, str(log.key)) for log in logs]
            )
        yield f"http://127.0.0.1:{port}"


@contextlib.contextmanager
def omniwitness(folder: Path, logs: Sequence[Signer]) -> Iterator[str]:
    """Run omniwitness; raise :class:`Unavailable` without Go."""
    path = program("omniwitness")
    folder.mkdir(mode=0o700)
    listed = "".join(
        f"  - Origin: {log.name}\n    URL: https://{log.name}\n    PublicKey: {log.key}\n    Feeder: none\n"
        for log in logs
    )
    (folder / "logs.yaml").write_text(f"Logs:\n{listed}")
    private = folder / "key"
    private.touch(mode=0o600)
    key = VerifierKey(WITNESS.name, Algorithm.ED25519, WITNESS.key.public)
    seed = base64.b64encode(b"\x01" + WITNESS.private.private_bytes_raw()).decode()
    private.write_text(f"PRIVATE+KEY+{key.name}+{key.id.hex()}+{seed}")
    port = free_port()
    command = [path, "--private_key_path", private, "--db_file", folder / "w.db", "--metrics_listen", ""]
    command += ["--additional_logs", folder / "logs.yaml", "--listen", f"127.0.0.1:{port}"]
    with running(command, folder / "log", port):
        yield f"http://127.0.0.1:{port}"


def free_port() -> int:
    """Return a port of this machine that is not in use."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@contextlib.contextmanager
def running(command: Sequence[object], log: Path, ready: int | Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program during the context; it is ready when its port or socket accepts connections."""
    with log.open("w") as output:
        process = subprocess.Popen(
            [str(each) for each in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=os.environ | _OFFLINE,
        )
    try:
        until = time.monotonic() + _WITHIN
        while not _accepts(ready):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < until, log.read_text()
            time.sleep(0.05)
        yield process
    finally:
        process.terminate()
        process.wait(timeout=_WITHIN)


def _accepts(ready: int | Path) -> bool:
    if isinstance(ready, Path):
        return ready.exists()
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", ready), timeout=1):
        return True
    return False
