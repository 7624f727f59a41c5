"""The largest message that may be sent, between two organisations, with every role in a process of its own.

The time is wall-clock time, from the client's submission of the attachments until
the message receipt is back. The floor is the hashes, ciphers, gzip and base64
that the standards demand on the way, done one after the other on bytes of the
same sizes, without TLS, XML, the encryption at rest, the database or the disk.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import sys
import time
import zlib
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CBC

from bench.measure import Row, against_floor, reported
from bench.process import Process
from samdrift.demo.cast import OPERATORS, DemoOperator
from samdrift.demo.enrolment import enrol
from samdrift.demo.testbed import served
from samdrift.federation.server import LocalFederation
from samdrift.federation.server import running as federation_running
from samdrift.wire.sdkmessage.rules import MAX_BYTES

_ROUNDS = 5
_TIME_BAR, _ACCESS_POINT_BAR, _MESSAGE_SERVICE_BAR = 2.0, 64.0, 3.0
_ATTACHMENT = (MAX_BYTES - 8192) // 4 * 3
"""Bytes whose base64 fills a message of 30 MB, with room for the rest of it."""
_ENVELOPE = _ATTACHMENT * 16 // 9
_MB = 1 << 20
_NAMES = (
    "sender's access point",
    "sender's message service",
    "recipient's access point",
    "recipient's message service",
)


async def rows(folder: Path) -> list[Row]:
    """Measure time against the floor, and the peak memory of each role above idle."""
    floors, works = [], []
    async with AsyncExitStack() as stack:
        federation = await stack.enter_async_context(federation_running(folder / "federation"))
        sender, recipient = [
            await stack.enter_async_context(_operator(federation, operator, folder / operator.folder))
            for operator in OPERATORS
        ]
        await sender.send(1000)
        processes = sender.processes + recipient.processes
        idle = [process.resident() for process in processes]
        for process in processes:
            process.forget_peak()
        for _ in range(_ROUNDS):
            floors.append(_floor())
            works.append(await sender.send(_ATTACHMENT))
        used = [process.peak() - before for process, before in zip(processes, idle, strict=True)]
    return [
        against_floor("30 MB end to end", floors, works, bar=_TIME_BAR, unit="s"),
        *(_memory(name, bytes_used) for name, bytes_used in zip(_NAMES, used, strict=True)),
    ]


def _memory(name: str, used: int) -> Row:
    if "access point" in name:
        return reported(f"{name}, memory above idle", [used / _MB], "MiB", bar=_ACCESS_POINT_BAR)
    return reported(f"{name}, memory above idle", [used / _ENVELOPE], "envelopes", bar=_MESSAGE_SERVICE_BAR)


class _Operator:
    """An operator's two roles, each in its own process."""

    def __init__(self, access_point: int, message_service: asyncio.subprocess.Process) -> None:
        self._message_service = message_service
        self.processes = (Process(access_point), Process(message_service.pid))

    async def send(self, attachment: int) -> float:
        """Exchange a message and return the seconds that it took."""
        assert self._message_service.stdin is not None
        self._message_service.stdin.write(b"%d\n" % attachment)
        return float(await _line(self._message_service))


@asynccontextmanager
async def _operator(
    federation: LocalFederation, operator: DemoOperator, folder: Path
) -> AsyncIterator[_Operator]:
    enrolled = await enrol(federation, operator, folder)
    async with served(enrolled) as pid:
        command = [sys.executable, "-m", "bench.message_service", str(enrolled.config_file)]
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe)
        try:
            await _line(process)
            yield _Operator(pid, process)
        finally:
            process.terminate()
            await process.wait()


async def _line(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    line = await process.stdout.readline()
    if not line:
        raise RuntimeError("the message service ended")
    return line.decode().strip()


def _floor() -> float:
    attachment, cbc, gcm = (
        os.urandom(_ATTACHMENT),
        Cipher(AES256(bytes(32)), CBC(bytes(16))),
        AESGCM(bytes(16)),
    )
    nonce = bytes(12)
    started = time.perf_counter()
    envelope = b64encode(cbc.encryptor().update(b64encode(attachment)))
    hashlib.sha256(envelope).digest()
    deflate = zlib.compressobj(1, zlib.DEFLATED, 31, zlib.DEF_MEM_LEVEL, zlib.Z_HUFFMAN_ONLY)
    packed = deflate.compress(envelope) + deflate.flush()
    hashlib.sha256(packed).digest()
    sealed = gcm.encrypt(nonce, packed, None)
    packed = gcm.decrypt(nonce, sealed, None)
    hashlib.sha256(packed).digest()
    envelope = zlib.decompress(packed, wbits=31)
    hashlib.sha256(envelope).digest()
    b64decode(cbc.decryptor().update(b64decode(envelope)))
    return time.perf_counter() - started
