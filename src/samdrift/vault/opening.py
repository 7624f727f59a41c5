"""The common part of the vaults of all roles; one opening is one unit of work."""

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

_MOST_KNOWN = 10_000
_LEFT_BEHIND = timedelta(hours=12)
"""Age at which an object that no row refers to is removed: no body takes that long to arrive."""
_KNOWN_BODIES = "SELECT id FROM bodies WHERE id = ANY($1::text[])"


PROMISES: ContextVar[list[str] | None] = ContextVar("promises", default=None)
"""Collector of the logs' promises for everything committed on behalf of one request, if one is set."""


@contextlib.contextmanager
def promised() -> Iterator[list[str]]:
    """Collect the promises (:mod:`samdrift.audit.promises`) of entries logged in this context."""
    gathered: list[str] = []
    token = PROMISES.set(gathered)
    try:
        yield gathered
    finally:
        PROMISES.reset(token)


class GroundsKnown:
    """Names of grounds, certificates and mailboxes that this process has stored in a vault today.

    They are not sent to the vault again (:mod:`samdrift.vault.grounds`).
    """

    def __init__(self) -> None:
        self._day: date | None = None
        self._names: set[str] = set()

    def has(self, name: str, day: date) -> bool:
        """Return whether a name was stored on a day."""
        return self._day == day and name in self._names

    def add(self, name: str, day: date) -> None:
        """Remember that a name was stored on a day."""
        if self._day != day or len(self._names) >= _MOST_KNOWN:
            self._day, self._names = day, set()
        self._names.add(name)


@dataclass(frozen=True, slots=True)
class Room:
    """Access of this process to a hosted vault: its database login, its bodies and its keys."""

    vault: str
    login: Login
    shelf: Shelf
    keys: KeyStore
    tell: Afterwards
    """Function that notifies waiters in this process."""
    notify: Callable[[], None]
    """Function that notifies other processes that something is waiting in the vault."""
    due: Callable[[Moment | None], None]
    """Function that sends a commit's moment to the registry, or, given ``None``, the vault's current one."""
    state: Hashable
    """State of the vault's keys when this object was made, which is not used beyond that state."""
    behind: Callable[[str, int, int], None] = lambda record, has, head: None
    """Function that reports a record that is behind its head, by name, with both numbers."""
    grown: Callable[[Sequence[Happening]], None] = lambda entries: None
    """Function that notes that the log has, or may have, these further entries."""
    claimant: str = ""
    """Name of this process in its claims."""
    grounds: GroundsKnown = field(default_factory=GroundsKnown, compare=False)
    """Grounds, certificates and mailboxes that are known to be stored in the vault."""


@dataclass(frozen=True, slots=True)
class Reason:
    """The principal and purpose of an opening."""

    principal: Principal
    purpose: Purpose
    clock: Clock

    @property
    def quiet(self) -> bool:
        """Return whether an opening in which nothing is seen or done leaves no log entry.

        This applies to workers, and to a message service that asks on interface C whether anything is
        waiting.
        """
        return self.principal.kind is PrincipalKind.WORKER or self.purpose is Purpose.DELIVER

    def happening(self, event: AuditEvent, facts: Mapping[str, str] | None = None) -> Happening:
        """Return an event that happens now, by this principal and for this purpose."""
        principal = f"{self.principal.kind}:{self.principal.name}"
        through = {"through": self.principal.through} if self.principal.through else {}
        proof = self.principal.proof.facts() if self.principal.proof is not None else {}
        return Happening(self.clock(), event, principal, self.purpose, {**(facts or {}), **through, **proof})


class Vault:
    """An open vault; since it is the scope, no method accepts an organisation (invariant 1)."""

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

        A digest is only for an envelope that is to be sent: it is stored in the clear, where it could confirm
        a guess at the content.
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

        Everything recorded and arranged from now on goes with it, in one round trip with the commit. If the
        operation returns success, the opening is over. If it returns anything else, what was to go with it is
        discarded, and the opening continues as if nothing had been expected.
        """
        self._work.expect()

    async def suppose(self, work: Callable[[], Awaitable[None]]) -> bool:
        """Do ``work`` as if each operation in it succeeded, in one round trip with the commit.

        The opening is over afterwards. Returns false if an operation failed: then none of ``work`` is done,
        and the opening continues. ``work`` must not read anything.
        """
        kept = set(self._kept)
        if await self._work.suppose(work):
            return True
        self._kept = kept
        return False

    def within(self, reason: Reason) -> Self:
        """Return this opening under another reason, which is recorded with everything done through it.

        Both are one transaction, which ends with this opening.
        """
        part = copy(self)
        part._reason = reason
        return part

    async def log(self, after: int = 0, limit: int = 500) -> tuple[LogEntry, ...]:
        """Return log entries after the sequence ``after``, the oldest first."""
        return tuple(map(logbook.entry, await self._work.query(logbook.AFTER, after, limit)))

    async def find_log(
        self, identifier: str, most: int | None = None, *, event: str = ""
    ) -> tuple[LogEntry, ...]:
        """Return all log entries that name a message, envelope, conversation, transfer or AS4 message.

        With ``event``, only those whose event begins with it are read: a peer can cause any number of others
        about an envelope. The oldest come first. Raises :class:`TooManyEntries` if there are more than
        ``most``.
        """
        return await logbook.naming(self._work.query, identifier, most, event)

    async def find_former_log(self, identifier: str, most: int | None = None) -> tuple[LogEntry, ...]:
        """Return entries as :meth:`find_log` does, from logs that the organisation brought from elsewhere."""
        return await logbook.formerly_naming(self._work.query, identifier, most)

    async def log_head(self) -> ChainHead:
        """Return the sequence of the last entry, and the root of the tree that it is in; reads every leaf."""
        return await logbook.head(self._work.query)

    async def log_before(self, sequence: int) -> Frontier | None:
        """Return the tree before the entry ``sequence``, or ``None`` if that is earlier than the tree."""
        return await logbook.before(self._work.query, sequence)

    async def log_end(self) -> int:
        """Return the sequence of the last entry."""
        return int((await self._work.peek(logbook.LAST))[0][0])

    @property
    def tree(self) -> LogTree:
        """Return the signed tree of the log.

        Signing it and proving from it leave no log entry, but a new key does.
        """
        work, room = self._work, self._room

        async def record(event: AuditEvent, facts: Mapping[str, str]) -> None:
            self.record(event, **facts)

        async def keep(sql: str, *values: Value) -> None:
            work.arrange(sql, *values)

        return LogTree(work.peek, work.look, keep, record, lambda: room.keys.log_keys(room.vault))

    def proving_key(self) -> SigningKey:
        """Return the key that signs what the organisation shows of its log and of its messages.

        This is its key for that purpose, or, if it has none, the one for envelopes; ``KeyStoreError`` without
        either.
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
        """Return the beginning of the log's chain, from which to verify it."""
        return origin(self._room.vault)

    async def sweep(self) -> int:
        """Remove old objects that no row refers to, which a crash left behind; return their number."""
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
        """Keep a stored body when the opening ends."""
        self._kept.add(body.id)

    def _drop_object(self, body_id: str | None) -> None:
        """Remove a body's object once the removal of its row is committed."""
        if body_id is not None:
            shelf = self._room.shelf
            self._work.after_commit(lambda: shelf.objects.delete(shelf.name(body_id)))

    async def _body(self, sql: str, *values: Value) -> BodyReader | None:
        """Return the body whose id, size and sealed stream ``sql`` selects, if there is one."""
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
        if not self._work.perhaps_committed:  # Otherwise rows may name the bodies; a sweep removes orphans.
            await self._discard(self._writers.keys())

    async def _discard(self, body_ids: Iterable[str]) -> None:
        for body_id in body_ids:
            with contextlib.suppress(VaultUnavailable):
                await self._writers[body_id].discard()


V = TypeVar("V", bound=Vault)


class Opening(Generic[V]):
    """An ``async with`` block over one opening, which commits at its end and rolls back if it raises."""

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
