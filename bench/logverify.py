"""Verification of an exported log: its CPU against bare hashing of the same bytes, and its memory.

The floor only computes the necessary hashes: salt and facts of each entry, the entry, and one
node of the tree. Both read the same file, in turn; memory is the peak of a separate process.
"""

from __future__ import annotations

import asyncio
import os
import resource
import subprocess
import sys
import time
from collections import deque
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bench.measure import Row, against_floor, reported
from samdrift.accesspoint.events import APEvent
from samdrift.attestation.archive import ArchiveFile
from samdrift.audit.chain import origin
from samdrift.audit.entries import Happening
from samdrift.audit.events import LogEvent
from samdrift.audit.leaves import Leaf, commitment
from samdrift.audit.logparts import FACTS, MAX_FACTS, facts_in
from samdrift.audit.logverifying import LogVerifier
from samdrift.audit.merkle import Frontier
from samdrift.audit.notes import Algorithm, Checkpoint, VerifierKey
from samdrift.audit.policies import Policy
from samdrift.audit.tiles import WIDTH, Tile
from samdrift.evidence.logexport import Kept, verify_log, write_log

ENTRIES = "SAMDRIFT_BENCH_LOG_ENTRIES"
"""Environment variable with the number of entries; the target is set for 10 million."""
_DEFAULT, _ROUNDS, _EACH = 200_000, 3, 2560
_BAR, _MEMORY_BAR = 3.0, 64.0
_BEGUN = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


def rows() -> list[Row]:
    """Measure the CPU seconds of verifying a log, and the peak memory."""
    count = int(os.environ.get(ENTRIES, _DEFAULT))
    rounds = _ROUNDS if count <= _DEFAULT else 1
    with TemporaryDirectory(prefix="samdrift-bench-") as folder:
        path, policy = Path(folder) / "log", Path(folder) / "policy"
        policy.write_bytes(asyncio.run(_made(count, path)))
        floors, works = [], []
        for _ in range(rounds):
            floors.append(_hashed(path))
            works.append(_verified(path, policy))
        peak = subprocess.run(
            [sys.executable, "-m", "bench.logverify", str(path), str(policy)],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
    return [
        against_floor(f"verify {count} entries", floors, works, bar=_BAR, unit="s CPU"),
        reported("memory of a verification", [float(peak.stdout)], "MB", bar=_MEMORY_BAR),
    ]


async def _made(count: int, path: Path) -> bytes:
    """Write a log with that many entries and a checkpoint every ten bundles; return its policy."""
    source = _Source(count)
    await write_log(source, "bench", path)
    return f"log {source.key}\nquorum none\n".encode()


class _Source:
    """A log whose entries are generated as it is read."""

    def __init__(self, count: int) -> None:
        self.chain_begins = origin("bench").hash
        self.keys: list[tuple[VerifierKey, bytes, bytes]] = []
        self._count = count
        self._ahead: deque[Kept] = deque()
        """Entries that a checkpoint already covers and that are written next."""
        self._private = Ed25519PrivateKey.generate()
        self.key = VerifierKey("bench", Algorithm.ED25519, self._private.public_key().public_bytes_raw())

    async def chain(self) -> AsyncIterator[bytes]:
        for page in list[bytes]():
            yield page

    async def entries(self) -> AsyncIterator[list[Kept]]:
        for start in range(0, self._count, WIDTH):
            yield [self._ahead.popleft() for _ in range(min(WIDTH, self._count - start))]

    async def stamps(self) -> AsyncIterator[tuple[bytes, bytes]]:
        for none in ():
            yield none

    async def checkpoints(self) -> AsyncIterator[tuple[int, bytes]]:
        tree = Frontier()
        for number in range(1, self._count + 1):
            self._ahead.append(_kept(number))
            tree.append(self._ahead[-1].leaf.hash)
            if number % _EACH == 0 or number == self._count:
                stated = Checkpoint(self.key.name, number, tree.root())
                yield number, stated.signed([self.key.line(stated.text, self._private.sign)])


_ANY = UUID(int=(1 << 128) - 1)
"""Placeholder in the template for the ids of each entry."""


def _content(at: datetime, own: UUID) -> bytes:
    facts = {name: str(own) for name in ("envelope", "conversation", "transfer", "as4")}
    facts |= {"recipient": "0203:habo.se", "size": "10000"}
    return Happening(at, APEvent.AP_TRANSFER_QUEUED, "worker:access-point", "send", facts).content()


_TEMPLATE = _content(_BEGUN, _ANY).decode()
_TIME = _BEGUN.isoformat(timespec="microseconds")


def _kept(number: int) -> Kept:
    """Return an entry with the facts of an envelope, filled into a template that was written once."""
    at = _BEGUN + timedelta(seconds=number)
    event: APEvent | LogEvent = APEvent.AP_TRANSFER_QUEUED
    if number == 1:
        event, head = LogEvent.LOG_TREE_BEGUN, {"entries": "0", "head": origin("bench").hash.hex()}
        content = Happening(at, event, "worker:access-point", "send", head).content()
    else:
        own = f"00000000-0000-0000-0000-{number:012x}"
        written = _TEMPLATE.replace(_TIME, at.isoformat(timespec="microseconds"), 1)
        content = written.replace(str(_ANY), own).encode()
    salt = number.to_bytes(16)
    leaf = Leaf(number, event.retention, commitment(salt, content))
    return Kept(leaf, salt + content)


def _hashed(path: Path) -> float:
    """Return the CPU seconds of the hashing alone, without reading and parsing."""
    spent, entries = 0.0, list[bytes]()
    with path.open("rb") as file:
        archive = ArchiveFile(file)
        while member := archive.next():
            content = archive.whole(member, MAX_FACTS)
            if member.name.startswith("tile/"):
                tile = Tile.parse(member.name)
                entries = tile.entries(content)
            elif member.name.startswith(FACTS):
                records = facts_in(content, tile)
                before = time.process_time()
                for entry, record in zip(entries, records, strict=True):
                    sha256(record).digest()
                    sha256(sha256(b"\0" + entry).digest() + entry[:33]).digest()
                spent += time.process_time() - before
    return spent


def _verified(path: Path, policy: Path) -> float:
    """Verify a log and return the CPU seconds."""
    before = time.process_time()
    verdict = verify_log(path, LogVerifier(Policy.parse(policy.read_bytes()), int(time.time())))
    if not verdict.holds:
        raise RuntimeError(f"the log of the bench does not hold: {verdict.first_wrong}")
    return time.process_time() - before


if __name__ == "__main__":
    _verified(Path(sys.argv[1]), Path(sys.argv[2]))
    sys.stdout.write(str(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))
