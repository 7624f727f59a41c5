"""Large envelopes through an access point of its own process: its memory, and its CPU against bare work.

The floor of receiving is to decrypt, hash and unpack the bytes; that of sending
to pack, hash and encrypt them. Each is done here on the same bytes, right
before the work. The access point does besides: TLS twice, the scan of the
envelope, the encryption at rest in both ways, and the database.
"""

from __future__ import annotations

import gc
import hashlib
import re
import tempfile
import time
import zlib
from collections.abc import Awaitable, Callable
from pathlib import Path

import psutil
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bench.measure import Row, against_floor, reported
from samdrift.app.loop import run
from samdrift.app.testbed import separate_bed
from samdrift.contracts.transfer import TransferState
from samdrift.federation.testbed import envelopes
from samdrift.federation.testbed.bed import Bed
from samdrift.federation.testbed.envelopes import Envelope
from samdrift.wire.identifiers import SDK_MESSAGE_EXTENDED

_MEMORY_BAR = 64.0
_TIME_BAR = 2.0
_MB = 1 << 20
_SIZES = {"30 MB": 16 * _MB, "70 MB": 38 * _MB, "100 MB": 54 * _MB}
"""Bytes of attachment: base64 in the message and again in the envelope make the size that is named."""


def rows() -> list[Row]:
    """For each size and direction the time against its floor and the memory above idle."""
    with tempfile.TemporaryDirectory() as folder:
        return run(_rows(Path(folder)))


async def _rows(folder: Path) -> list[Row]:
    found: list[Row] = []
    async with separate_bed(folder) as (bed, pid):
        access_point = _Process(pid)
        await _receive(bed, _envelope(bed, 1000))
        await _submit(bed, _outgoing(bed, 1000))
        for name, attachment in _SIZES.items():
            for direction, work, floor in (
                ("received", _received(bed, attachment), _unpacking),
                ("sent", _sent(bed, attachment), _packing),
            ):
                found += await _measured(f"{name} {direction}", access_point, work, floor)
    return found


Prepared = tuple[bytes, Callable[[], Awaitable[None]]]


async def _measured(
    name: str, access_point: _Process, prepared: Prepared, floor: Callable[[bytes], float]
) -> list[Row]:
    data, work = prepared
    bare = floor(data)
    idle = access_point.resident()
    access_point.forget_peak()
    gc.collect()
    before = access_point.cpu()
    await work()
    taken = access_point.cpu() - before
    used = (access_point.peak() - idle) / _MB
    return [
        against_floor(name, [bare], [taken], bar=_TIME_BAR, unit="s CPU"),
        reported(f"{name}, memory above idle", [used], "MiB", bar=_MEMORY_BAR),
    ]


def _envelope(bed: Bed, attachment: int) -> Envelope:
    return bed.message_from(bed.points["TestAP-01"], attachment=attachment)


def _received(bed: Bed, attachment: int) -> Prepared:
    """The test bed packs before; what is timed is sending, the answer, and fetching over interface C."""
    envelope = _envelope(bed, attachment)
    return envelope.data, lambda: _receive(bed, envelope)


async def _receive(bed: Bed, envelope: Envelope) -> None:
    sent = await bed.points["TestAP-01"].send(bed.subject, envelope)
    if not sent.receipt:
        raise RuntimeError(f"not received: {sent.answer}")
    if len(await bed.arrived(envelope)) != 1:
        raise RuntimeError("did not arrive whole")


def _sent(bed: Bed, attachment: int) -> Prepared:
    envelope = _outgoing(bed, attachment)
    return envelope.data, lambda: _submit(bed, envelope)


def _outgoing(bed: Bed, attachment: int) -> Envelope:
    return envelopes.message(
        bed.subject_encryption,
        bed.points["TestAP-01"].correspondent,
        SDK_MESSAGE_EXTENDED,
        bed.subject.federation,
        bed.subject.keys.signing,
        attachment=attachment,
    )


async def _submit(bed: Bed, envelope: Envelope) -> None:
    await bed.subject.interface_c.submit(envelope.header.id, envelope.header.id, envelope.data)
    event = await bed.outcome(envelope, 120)
    if event is None or event.state is not TransferState.DELIVERED:
        raise RuntimeError("not delivered")


def _packing(data: bytes) -> float:
    started = time.process_time()
    packed = _gzip(data)
    hashlib.sha256(packed).digest()
    AESGCM(bytes(16)).encrypt(bytes(12), packed, None)
    return time.process_time() - started


def _unpacking(data: bytes) -> float:
    sealed = AESGCM(bytes(16)).encrypt(bytes(12), _gzip(data), None)
    started = time.process_time()
    opened = AESGCM(bytes(16)).decrypt(bytes(12), sealed, None)
    hashlib.sha256(opened).digest()
    zlib.decompress(opened, wbits=31)
    return time.process_time() - started


def _gzip(data: bytes) -> bytes:
    """By the zlib that comes with Python, in the way that takes the least time and gains as much as any."""
    deflate = zlib.compressobj(1, zlib.DEFLATED, 31, zlib.DEF_MEM_LEVEL, zlib.Z_HUFFMAN_ONLY)
    return deflate.compress(data) + deflate.flush()


class _Process:
    """A process as the kernel accounts for it."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self._folder = Path(f"/proc/{pid}")

    def cpu(self) -> float:
        """Seconds so far."""
        times = self._process.cpu_times()
        return times.user + times.system

    def resident(self) -> int:
        """Bytes of memory now."""
        return self._process.memory_info().rss

    def forget_peak(self) -> None:
        """Begin to look for the largest memory anew."""
        (self._folder / "clear_refs").write_text("5")

    def peak(self) -> int:
        """The most bytes of memory since then."""
        status = (self._folder / "status").read_text()
        match = re.search(r"VmHWM:\s+(\d+) kB", status)
        if match is None:
            raise RuntimeError("the kernel does not tell the largest memory")
        return int(match[1]) * 1024
