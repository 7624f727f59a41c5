"""The common part of the vaults of all roles: one opening is one unit of work."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from copy import copy
from dataclasses import dataclass, field
from datetime import date, timedelta
from types import TracebackType
from typing import Generic, Self, TypeVar

from samdrift.audit.chain import ChainHead, origin
from samdrift.audit.entries import Happening, LogEntry
from samdrift.audit.events import AuditEvent
from samdrift.audit.leaves import Leaf
from samdrift.audit.merkle import Frontier
from samdrift.audit.notes import Algorithm, VerifierKey
from samdrift.audit.promises import promises_of
from samdrift.contracts.clock import Clock
from samdrift.contracts.principals import Principal, PrincipalKind, Purpose
from samdrift.keystore.interface import KeyStore
from samdrift.keystore.keyfiles import KeyFault, KeyName, KeyStoreError
from samdrift.vault import logbook
from samdrift.vault.bodies import Body, BodyReader, BodyWriter, Shelf
from samdrift.vault.database.pool import Login, Pool
from samdrift.vault.database.session import Value
from samdrift.vault.errors import VaultUnavailable
from samdrift.vault.events import VaultEvent
from samdrift.vault.logtree import LogTree, signing
from samdrift.vault.moments import Moment
from samdrift.vault.sealing import Sealer
from samdrift.vault.work import Afterwards, UnitOfWork
from samdrift.wire.crypto.keys import SigningKey

_MOST_FOUND = 1000
_MOST_KNOWN = 10_000
_LEFT_BEHIND = timedelta(hours=12)
"""Age of an object that no row knows when it is removed: nothing takes that long to arrive."""
_KNOWN_BODIES = "SELECT id FROM bodies WHERE id = ANY($1::text[])"


PROMISES: ContextVar[list[str] | None] = ContextVar("promises", default=None)
"""Gathers the promises of the logs for all that is committed on behalf of one request, where one is set."""


@contextlib.contextmanager
def promised() -> Iterator[list[str]]:
    """Gather the promises (:mod:`samdrift.audit.promises`) of what is logged in the context."""
    gathered: list[str] = []
    token = PROMISES.set(gathered)
    try:
        yield gathered
    finally:
        PROMISES.reset(token)


class GroundsKnown:
    """Grounds (:mod:`samdrift.vault.grounds`), certificates and mailboxes that this process has stored in a
    vault today, by name, so that they are not sent there again.
    """

    def __init__(self) -> None:
        self._day: date | None = None
        self._names: set[str] = set()

    def has(self, name: str, day: date) -> bool:
        """Return whether they were stored on that day."""
        return self._day == day and name in self._names

    def add(self, name: str, day: date) -> None:
        """Remember that they are stored."""
        if self._day != day or len(self._names) >= _MOST_KNOWN:
            self._day, self._names = day, set()
        self._names.add(name)


@dataclass(frozen=True, slots=True)
class Room:
    """A hosted vault as this process can reach it: its database login, its bodies, its keys."""

    vault: str
    login: Login
    shelf: Shelf
    keys: KeyStore
    tell: Afterwards
    """Notifies waiters in this process."""
    notify: Callable[[], None]
    """Notifies other processes that something waits in it."""
    due: Callable[[Moment | None], None]
    """Brings the moment that a commit made to the registry; without one it is read from the vault."""
    state: Hashable
    """State of its keys when it was made: a room is not used for longer than that."""
    grown: Callable[[Sequence[Happening]], None] = lambda entries: None
    """A function to note that the log has, or may have, these further entries."""
    claimant: str = ""
    """The name of this process, as its claims carry it."""
    grounds: GroundsKnown = field(default_factory=GroundsKnown, compare=False)
    """The grounds, certificates and mailboxes that are known to be stored there."""


@dataclass(frozen=True, slots=True)
class Reason:
    """The principal and purpose of an opening."""

    principal: Principal
    purpose: Purpose
    clock: Clock

    @property
    def quiet(self) -> bool:
        """Return whether an opening in which nothing is seen or done leaves no entry.

        That of a worker, and a message service's question on interface C whether anything waits.
        """
        return self.principal.kind is PrincipalKind.WORKER or self.purpose is Purpose.DELIVER

    def happening(self, event: AuditEvent, facts: Mapping[str, str] | None = None) -> Happening:
        """An event that happens now, by that principal and for that purpose."""
        principal = f"{self.principal.kind}:{self.principal.name}"
        through = {"through": self.principal.through} if self.principal.through else {}
        proof = self.principal.proof.facts() if self.principal.proof is not None else {}
        return Happening(self.clock(), event, principal, self.purpose, {**(facts or {}), **through, **proof})


class Vault:
    """An opened vault. It is the scope: no method takes an organisation (invariant 1)."""

    def __init__(self, room: Room, reason: Reason, pool: Pool) -> None:
        self._room = room
        self._reason = reason
        opening = reason.happening(VaultEvent.VAULT_OPENING_GRANTED)
        self._promises = PROMISES.get()
        self._work = UnitOfWork(
            pool,
            room.login,
            opening,
            room.notify,
            room.due,
            quiet=reason.quiet,
            promising=self._promises is not None,
            grown=room.grown,
        )
        self._writers: dict[str, BodyWriter] = {}
        self._kept: set[str] = set()

    def new_body(self, *, digested: bool = False) -> BodyWriter:
        """Begin a body; it is dropped with the opening unless an operation stores it.

        With a digest for an envelope that is to be sent, and for no other: it is
        kept in the clear, where it tells that a guess at the content is right.
        """
        self._work.check_open()
        writer = BodyWriter(self._room.shelf, digested=digested)
        self._writers[writer.id] = writer
        return writer

    def record(self, event: AuditEvent, **facts: str) -> None:
        """Write an event in the organisation's log, in this opening's transaction."""
        self._work.record(self._reason.happening(event, facts))

    def expect(self) -> None:
        """Expect the next operation that changes something to succeed, and to be the last one.

        What is recorded and arranged from now on goes with it, in one round trip with the commit. The
        opening is over when the operation returns that it came about; where it returns anything else,
        what was to go with it is forgotten, and the opening goes on as if nothing had been expected.
        """
        self._work.expect()

    async def suppose(self, work: Callable[[], Awaitable[None]]) -> bool:
        """Do ``work`` as if each operation in it came about, in one round trip with the commit.

        The opening is over then. False where one did not: then nothing of ``work`` is done, and the opening
        goes on. In ``work`` nothing is read.
        """
        kept = set(self._kept)
        if await self._work.suppose(work):
            return True
        self._kept = kept
        return False

    def within(self, reason: Reason) -> Self:
        """Return this opening under another reason, with which everything done through it is recorded.

        It is one transaction with this one, which ends it.
        """
        part = copy(self)
        part._reason = reason
        return part

    async def log(self, after: int = 0, limit: int = 500) -> tuple[LogEntry, ...]:
        """Entries with a sequence over ``after``, the oldest first."""
        return tuple(map(logbook.entry, await self._work.query(logbook.AFTER, after, limit)))

    async def find_log(self, identifier: str) -> tuple[LogEntry, ...]:
        """Entries that name a message, envelope, conversation, transfer or AS4 message, the oldest first."""
        rows = await self._work.query(logbook.NAMING, logbook.trace(identifier), _MOST_FOUND)
        return tuple(entry for entry in map(logbook.entry, rows) if identifier in entry.ids.values())

    async def find_former_log(self, identifier: str) -> tuple[LogEntry, ...]:
        """Find entries as :meth:`find_log` does, in logs that the organisation brought from elsewhere."""
        rows = await self._work.query(logbook.FORMER, logbook.trace(identifier), _MOST_FOUND)
        return tuple(entry for entry in map(logbook.entry, rows) if identifier in entry.ids.values())

    async def log_head(self) -> ChainHead:
        """The sequence of the last entry, and the root of the tree that it is in; reads every leaf."""
        return await logbook.head(self._work.query)

    async def log_before(self, sequence: int) -> Frontier | None:
        """The tree before the entry ``sequence``; ``None`` when that is before the tree."""
        return await logbook.before(self._work.query, sequence)

    async def log_end(self) -> int:
        """The sequence of the last entry."""
        return int((await self._work.peek(logbook.LAST))[0][0])

    @property
    def tree(self) -> LogTree:
        """The signed tree of the log. Signing it and proving from it leave no entry, but a new key does."""
        work, room = self._work, self._room

        async def record(event: AuditEvent, facts: Mapping[str, str]) -> None:
            self.record(event, **facts)

        async def keep(sql: str, *values: Value) -> None:
            work.arrange(sql, *values)

        return LogTree(work.peek, work.look, keep, record, lambda: room.keys.log_keys(room.vault))

    def proving_key(self) -> SigningKey:
        """Signs what the organisation shows of its log and of its messages; ``KeyStoreError`` without one.

        Its key for that, or, where it has none, the one for envelopes.
        """
        self._work.use()
        keys, vault = self._room.keys, self._room.vault
        try:
            return keys.signing_key(vault, KeyName.LOG_SIGNING)
        except KeyStoreError as error:
            if error.fault is not KeyFault.MISSING:
                raise
        return keys.signing_key(vault)

    @property
    def log_origin(self) -> ChainHead:
        """The beginning of the log's chain, to verify it from."""
        return origin(self._room.vault)

    async def sweep(self) -> int:
        """Remove what a crash left in the object store: old objects that no row knows. Gives how many."""
        shelf = self._room.shelf
        before = self._reason.clock() - _LEFT_BEHIND
        stored = await shelf.objects.under(shelf.vault)
        names = {shelf.body_id(one.name): one.name for one in stored if one.modified < before}
        asked = await self._work.peek(_KNOWN_BODIES, list(names)) if names else []
        lost = names.keys() - {body_id for (body_id,) in asked}
        if lost:
            self._work.use()
        for body_id in lost:
            await shelf.objects.delete(names[body_id])
        await shelf.objects.drop_drafts(shelf.vault, before)
        return len(lost)

    @property
    def _sealer(self) -> Sealer:
        return self._room.shelf.sealer

    def _keep(self, body: Body) -> None:
        """Let a body that was stored stay when the opening ends."""
        self._kept.add(body.id)

    def _drop_object(self, body_id: str | None) -> None:
        """Remove a body's object once it is committed that its row is gone."""
        if body_id is not None:
            shelf = self._room.shelf
            self._work.after_commit(lambda: shelf.objects.delete(shelf.name(body_id)))

    async def _body(self, sql: str, *values: Value) -> BodyReader | None:
        """The body whose id, size and sealed stream ``sql`` selects."""
        rows = await self._work.query(sql, *values)
        return BodyReader(self._room.shelf, *rows[0]) if rows else None

    async def _commit(self) -> None:
        await self._work.commit()
        await self._promise()
        await self._discard(self._writers.keys() - self._kept)

    async def _promise(self) -> None:
        """Pass the promises of committed entries to their collector, if the log's key is here."""
        if self._promises is None or not self._work.committed:
            return
        origin = self._work.committed[0][0]
        leaves = [Leaf(*row[1:4]) for row in self._work.committed]
        with contextlib.suppress(KeyStoreError):
            key = self._room.keys.log_keys(self._room.vault)[0]
            verifier = VerifierKey(origin, Algorithm.ED25519, key.public)
            given = promises_of(origin, leaves, int(self._reason.clock().timestamp()))
            self._promises += await signing([key], lambda: [one.signed(verifier, key.sign) for one in given])

    async def _abandon(self) -> None:
        await self._work.abandon()
        if not self._work.perhaps_committed:  # Else rows may name them: a sweep finds those that none does.
            await self._discard(self._writers.keys())

    async def _discard(self, body_ids: Iterable[str]) -> None:
        for body_id in body_ids:
            with contextlib.suppress(VaultUnavailable):
                await self._writers[body_id].discard()


V = TypeVar("V", bound=Vault)


class Opening(Generic[V]):
    """``async with`` over one opening: committed when the block ends, rolled back when it raises."""

    def __init__(self, admit: Callable[[], Awaitable[V]]) -> None:
        self._admit = admit
        self._vault: V | None = None

    async def __aenter__(self) -> V:
        self._vault = await self._admit()
        return self._vault

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._vault is None:
            return
        if kind is None:
            await self._vault._commit()
        else:
            await self._vault._abandon()
