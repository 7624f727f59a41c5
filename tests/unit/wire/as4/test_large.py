"""A message of 100 MB is processed in memory independent of its size (transport-profile-as4 2.8 a)."""

from __future__ import annotations

import base64
import random
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

from samdrift.wire.as4 import (
    As4Reader,
    Complete,
    Compressor,
    NeedData,
    Payload,
    PreparedMessage,
    SignedHeader,
    prepare,
)
from tests.unit.wire.as4.parties import NOW, decryption, message, receiver, seeded, sender

_MIB = 1 << 20
_SIZE = 100_000_000
_PIECE = 1 << 16
_ALLOWED = 4 * _MIB


def _payload() -> Iterator[bytes]:
    """Yield 100 MB that compress like an encrypted envelope, generated on demand."""
    block = base64.b64encode(random.Random(1).randbytes(_PIECE * 3 // 4))
    for _ in range(_SIZE // len(block)):
        yield block


def _compress(into: Path) -> Compressor:
    """Compress the payload as an access point does: the gzip bytes go to a file, their digest is signed."""
    compressor = Compressor()
    with into.open("wb") as file:
        for piece in _payload():
            file.write(compressor.feed(piece))
        file.write(compressor.finish())
    return compressor


def _encode(prepared: PreparedMessage, source: Path, into: Path) -> None:
    with source.open("rb") as file, into.open("wb") as body:
        for piece in prepared.encode(iter(lambda: file.read(_PIECE), b"")):
            body.write(piece)


def _read(content_type: str, source: Path) -> Complete:
    reader = As4Reader(content_type)
    with source.open("rb") as file:
        while True:
            event = reader.next_event()
            if isinstance(event, NeedData):
                reader.receive(file.read(_PIECE))
            elif isinstance(event, SignedHeader):
                reader.decrypt_with(decryption(receiver()))
            elif isinstance(event, Complete):
                return event
            else:
                assert isinstance(event, Payload)


def _resident() -> int:
    """Return the resident memory of this process in bytes, including C libraries."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


def test_100_mb_pass_through_in_little_memory(tmp_path: Path) -> None:
    """Clauses: transport-profile-as4 2.8 a."""
    compressed, body = tmp_path / "payload.gz", tmp_path / "body"
    resident = _resident()
    tracemalloc.start()
    try:
        compressor = _compress(compressed)
        prepared = prepare(
            message(),
            compressor.compressed,
            signer=sender().signing_key(),
            recipient=receiver().certificate,
            rng=seeded(),
            created=NOW,
        )
        _encode(prepared, compressed, body)
        assert body.stat().st_size == prepared.content_length
        complete = _read(prepared.content_type, body)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert complete.size >= _SIZE - _PIECE * 2
    assert complete.digest == compressor.digest
    assert peak < _ALLOWED
    assert _resident() - resident < 2 * _ALLOWED
