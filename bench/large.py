"""Large envelopes through an access point in a process of its own: its memory, and its CPU against bare work.

The floor of receiving is to decrypt, hash and unpack the bytes; that of sending
is to pack, hash and encrypt them. Each is done here on the same bytes, right
before the work. In addition the access point does TLS twice, the scan of the
envelope, the encryption at rest in both directions, and the database.
"""

from __future__ import annotations

import gc
import hashlib
import tempfile
import time
import zlib
from collections.abc import Awaitable, Callable
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bench import large_exchange
from bench.measure import Row, against_floor, reported
from bench.process import Process
from samdrift.contracts.transfer import TransferState
from samdrift.demo.testbed import separate_bed
from samdrift.federation.testbed import envelopes
from samdrift.federation.testbed.bed import Bed
from samdrift.federation.testbed.envelopes import Envelope
from samdrift.installation.loop import run
from samdrift.wire.identifiers import SDK_MESSAGE_EXTENDED

_MEMORY_BAR = 64.0
_TIME_BAR = 2.0
_ROUNDS = 5
_MB = 1 << 20
_SIZES = {"30 MB": 16 * _MB, "70 MB": 38 * _MB, "100 MB": 54 * _MB}
"""Size of the attachment for each named size, which results from two layers of base64."""


def rows() -> list[Row]:
    """Measure time against the floor and memory above idle, for each size and direction; then end to end."""
    with tempfile.TemporaryDirectory() as folder:
        through = run(_rows(Path(folder)))
    with tempfile.TemporaryDirectory() as folder:
        return [*through, *run(large_exchange.rows(Path(folder)))]


async def _rows(folder: Path) -> list[Row]:
    found: list[Row] = []
    async with separate_bed(folder) as (bed, pid):
        access_point = Process(pid)
        await _receive(bed, _envelope(bed, 1000))
        await _submit(bed, _outgoing(bed, 1000))
        for name, attachment in _SIZES.items():
            for direction, prepare, floor in (("received", _received, _unpacking), ("sent", _sent, _packing)):
                prepared = [prepare(bed, attachment) for _ in range(_ROUNDS)]
                found += await _measured(f"{name} {direction}", access_point, prepared, floor)
    return found


Prepared = tuple[bytes, Callable[[], Awaitable[None]]]


async def _measured(
    name: str, access_point: Process, prepared: list[Prepared], floor: Callable[[bytes], float]
) -> list[Row]:
    floors, works, used = [], [], []
    for data, work in prepared:
        floors.append(floor(data))
        idle = access_point.resident()
        access_point.forget_peak()
        gc.collect()
        before = access_point.cpu()
        await work()
        works.append(access_point.cpu() - before)
        used.append((access_point.peak() - idle) / _MB)
    return [
        against_floor(name, floors, works, bar=_TIME_BAR, unit="s CPU"),
        reported(f"{name}, memory above idle", used, "MiB", bar=_MEMORY_BAR),
    ]


def _envelope(bed: Bed, attachment: int) -> Envelope:
    return bed.message_from(bed.points["TestAP-01"], attachment=attachment)


def _received(bed: Bed, attachment: int) -> Prepared:
    """Return the envelope's bytes and the timed work: send it, get the answer, and fetch it over interface C.

    The test bed packs the envelope before the timing starts.
    """
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
    """Pack with Python's zlib, in the mode that is fastest and compresses base64 as well as any."""
    deflate = zlib.compressobj(1, zlib.DEFLATED, 31, zlib.DEF_MEM_LEVEL, zlib.Z_HUFFMAN_ONLY)
    return deflate.compress(data) + deflate.flush()
