"""Logs in memory, as a vault stores them, signed and witnessed: for export, damage and verification."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from samdrift.accesspoint.events import APEvent
from samdrift.audit.chain import ChainHead, link, origin
from samdrift.audit.entries import Happening, LogEntry
from samdrift.audit.events import AuditEvent, LogEvent, Retention, retention_of
from samdrift.audit.leaves import Leaf, commitment
from samdrift.audit.merkle import MemoryTree
from samdrift.audit.notes import Checkpoint, VerifierKey
from samdrift.audit.policies import Policy
from samdrift.audit.tiles import WIDTH
from samdrift.cli.org.events import OrgEvent
from samdrift.evidence.logexport import Kept, write_log
from samdrift.messageservice.events import MTEvent
from samdrift.vault.events import VaultEvent
from tests.unit.audit.signing import LOG, ONE, THREE, TWO, Signer

POLICY = (
    f"log {LOG.key}\nwitness W1 {ONE.key}\nwitness W2 {TWO.key}\nwitness W3 {THREE.key}\n"
    "group G 2 W1 W2 W3\nquorum G\n"
).encode()
BEGUN = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
CADENCE = timedelta(minutes=5)
_EVENTS = (
    APEvent.AP_TRANSFER_QUEUED,
    MTEvent.MT_MESSAGE_READ,
    MTEvent.MT_MESSAGE_SUBMITTED,
    VaultEvent.VAULT_OPENING_DENIED,
    OrgEvent.KEYS_CREATED,
)


def policy() -> Policy:
    return Policy.parse(POLICY)


@dataclass(frozen=True)
class Row:
    """An entry of the tree, with the values of its database row."""

    number: int
    retention: int
    salt: bytes
    content: bytes | None
    """``None`` if it was disposed of."""
    hash: bytes

    @classmethod
    def of(cls, number: int, happening: Happening, salt: bytes) -> Row:
        content = happening.content()
        retention = retention_of(happening.event)
        assert retention is not None
        return cls(number, retention, salt, content, commitment(salt, content))

    def again(self, happening: Happening) -> Row:
        """Return the row that the owner of the database would write for other facts."""
        return Row.of(self.number, happening, self.salt)

    @property
    def happening(self) -> Happening:
        assert self.content is not None
        return Happening.parse(self.content)

    @property
    def leaf(self) -> Leaf:
        return Leaf(self.number, self.retention, self.hash)


@dataclass(frozen=True)
class Stated:
    """A stored checkpoint."""

    size: int
    note: bytes


@dataclass
class Log:
    """A log, with everything that an export contains."""

    chain: list[LogEntry] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    notes: list[Stated] = field(default_factory=list)
    begins: bytes = origin("log").hash
    keys: list[tuple[VerifierKey, bytes]] = field(default_factory=list)
    statements: dict[str, bytes] = field(default_factory=dict)
    """Statements about keys, by key."""
    stamps: list[tuple[bytes, bytes]] = field(default_factory=list)
    """Checkpoints that were time-stamped, each with its time stamp."""
    name: str = "test"

    def copy(self) -> Log:
        return replace(
            self, chain=list(self.chain), rows=list(self.rows), notes=list(self.notes), keys=list(self.keys)
        )

    def tree(self) -> MemoryTree:
        return MemoryTree(row.leaf.hash for row in self.rows)

    def add(self, event: AuditEvent, at: datetime, salt: bytes, **ids: str) -> None:
        number = len(self.chain) + len(self.rows) + 1
        self.rows.append(Row.of(number, Happening(at, event, "worker:test", "process", ids), salt))

    def sign(
        self, at: datetime, signers: tuple[Signer, ...] = (LOG, ONE, TWO), size: int | None = None
    ) -> None:
        """Sign a checkpoint at ``size``, by default the current one, as witnesses see it at a given time."""
        size = len(self.rows) if size is None else size
        self.notes.append(Stated(size, stated(self, size, at, signers)))

    def dispose(self, retention: Retention, through: int, at: datetime) -> int:
        """Dispose of a class up to a number by a decision, as the database does; return how many entries."""
        gone = 0
        for place, row in enumerate(self.rows):
            if row.retention == retention and row.number <= through and row.content is not None:
                self.rows[place] = replace(row, content=None, salt=b"")
                gone += 1
        ids = {"class": retention.name.lower(), "through": str(through), "entries": str(gone)}
        self.add(LogEvent.LOG_FACTS_DISPOSED, at, bytes(16), **ids)
        return gone

    def write(self, out: Path) -> Path:
        """Export the log."""
        asyncio.run(write_log(_Source(self), self.name, out))
        return out


def stated(log: Log, size: int, at: datetime, signers: tuple[Signer, ...] = (LOG, ONE, TWO)) -> bytes:
    """Return the signed checkpoint of a log at a size; witnesses sign at consecutive seconds."""
    checkpoint = Checkpoint(LOG.name, size, log.tree().root(size))
    lines = [
        signer.line(checkpoint.text, int(at.timestamp()) + place) for place, signer in enumerate(signers)
    ]
    return checkpoint.signed(lines)


class _Source:
    def __init__(self, log: Log) -> None:
        self._log = log
        self.chain_begins = log.begins
        self.keys = [(*key, log.statements.get(str(key[0]), b"")) for key in log.keys]

    async def chain(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self._log.chain), 100):
            page = self._log.chain[start : start + 100]
            yield b"".join(json.dumps(entry.document()).encode() + b"\n" for entry in page)

    async def entries(self) -> AsyncIterator[list[Kept]]:
        rows = self._log.rows
        for start in range(0, len(rows), WIDTH):
            yield [
                Kept(row.leaf, b"" if row.content is None else row.salt + row.content)
                for row in rows[start : start + WIDTH]
            ]

    async def stamps(self) -> AsyncIterator[tuple[bytes, bytes]]:
        for each in self._log.stamps:
            yield each

    async def checkpoints(self) -> AsyncIterator[tuple[int, bytes]]:
        for each in self._log.notes:
            yield each.size, each.note


def made(entries: int = 700, chained: int = 0, each: int = 40, seed: int = 1, disposed: bool = False) -> Log:
    """Return a log with a number of entries in the tree, and a checkpoint for every ``each`` of them."""
    drawn = random.Random(seed)
    log, at = Log(), BEGUN
    head = origin("log")
    for number in range(1, chained + 1):
        happening = Happening(at, APEvent.AP_TRANSFER_QUEUED, "worker:test", "", {"envelope": str(number)})
        hashed = link(head.hash, number, happening.content())
        log.chain.append(LogEntry.placed(happening, number, head.hash, hashed))
        head = ChainHead(number, hashed)
    named = {"entries": str(head.sequence), "head": head.hash.hex()}
    log.add(LogEvent.LOG_TREE_BEGUN, at, drawn.randbytes(16), **named)
    step = CADENCE / each
    while len(log.rows) < entries:
        at += step
        if disposed and len(log.rows) == entries * 3 // 4:
            log.dispose(Retention.READING, chained + entries // 3, at)
        else:
            event = drawn.choice(_EVENTS)
            log.add(event, at, drawn.randbytes(16), envelope=f"{drawn.getrandbits(64):016x}")
        if len(log.rows) % each == 0:
            log.sign(at + timedelta(seconds=10))
    if not log.notes or log.notes[-1].size != len(log.rows):
        log.sign(at + timedelta(seconds=10))
    return log
