"""The service ``reconciliation``, which compares an organisation's logs in this installation every night.

It reads the part of each log that covers recent exchanges of messages, and verifies it while reading: each
entry must belong to the tree whose root the log has signed, with the facts that it commits to. The outcome is
recorded in those logs, and a difference is reported as a dependency that is gone until the logs agree again.
This is for the process that has the keys of all vaults. Logs are compared only within one organisation.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta

from samdrift.audit.entries import LogEntry
from samdrift.audit.events import Retention
from samdrift.audit.leaves import Leaf, commitment
from samdrift.audit.notes import SignedCheckpoint, VerifierKey
from samdrift.audit.operations import unexpected
from samdrift.audit.reading import Malformed, Unverified
from samdrift.contracts import workers
from samdrift.contracts.clock import Clock
from samdrift.contracts.errors import Explained, Temporary
from samdrift.contracts.principals import Purpose, Role
from samdrift.evidence.reconciliation import EXCHANGE, SOURCES, ReadLog, Reconciliation, reconcile
from samdrift.installation.events import RunEvent
from samdrift.installation.health import ClockDiffers, Dependency, Note, SharedTime
from samdrift.net.background import in_background
from samdrift.scheduling.agenda import Agenda
from samdrift.vault import logbook
from samdrift.vault.gate import Gate
from samdrift.vault.logtree import LogTree, TreeState
from samdrift.wire.identifiers import ParticipantIdentifier

_ROLES = tuple(Role(source) for source in SOURCES)
_BACK = 2 * EXCHANGE
"""Length of the period that is read; an exchange that began in its first half had the second half to end."""
_NIGHT, _NIGHT_LASTS = time(0), timedelta(hours=4)
"""Hours (UTC) in which organisations are compared, each at its own moment."""
_AFTER_START = timedelta(minutes=15)
"""Period after a start in which each organisation is compared, to restore the earlier findings."""
_AGAIN = timedelta(hours=1)
_LOOK = timedelta(minutes=1)
_PAGE = 1000
_MOST = 500_000
"""Maximum number of a log's latest entries that are read, which bounds memory whatever the traffic."""
_LOGGER = logging.getLogger("samdrift")


class LogUnproved(Explained):
    """A part of a log does not match what the log has signed."""

    def __init__(self, number: int, why: str) -> None:
        super().__init__(f"entry {number}: {why}")


@dataclass(slots=True)
class Reconciler:
    """Compares organisations' logs when they are due."""

    gate: Gate
    clock: Clock
    note: Note = lambda *_: None
    agree: Callable[[], Awaitable[None]] | None = None
    """Compares this machine's clock with the database's; raises :class:`ClockDiffers`."""
    _due: Agenda[ParticipantIdentifier, datetime] = field(default_factory=Agenda)
    _names: dict[ParticipantIdentifier, str] = field(default_factory=dict)
    """Names under which differences of organisations compared here are reported."""

    async def keep(self) -> None:
        """Compare each organisation once a night, until cancelled."""
        report, version, now = unexpected("reconciliation"), (-1, -1), self.clock()
        while True:
            before, now = now, self.clock()
            if now < before:  # The clock was set back.
                self._plan(self._due.things(), now)
            if self.gate.registry.version != version:
                version = self.gate.registry.version
                self._follow(now)
            for organisation, _ in self._due.take(now):
                again = now
                try:
                    if self.agree is not None:
                        await self.agree()
                    async with self.gate.leases.working(organisation, self._first_role(organisation)):
                        await self.compare(organisation)
                    again = _next_night(organisation, now)
                except ClockDiffers:
                    pass  # Exchanges under way would be reported as never ended; retry in a minute.
                except Temporary:
                    again = now + _AGAIN
                except Exception as error:
                    again = now + _AGAIN
                    report(error)
                self._due.put(organisation, again)
            await asyncio.sleep(_LOOK.total_seconds())

    def _follow(self, now: datetime) -> None:
        """Schedule the organisations that this process now works for, and drop all others."""
        hosted = {one for role in _ROLES for one in self.gate.registry.organisations(role) if self._ours(one)}
        for gone in self._due.things() - hosted:
            self._due.drop(gone)
            if (origin := self._names.pop(gone, None)) is not None:
                self.note(Dependency.RECONCILIATION, origin, None)
        self._plan(hosted - self._due.things(), now)

    def _plan(self, organisations: Iterable[ParticipantIdentifier], now: datetime) -> None:
        """Schedule organisations as after a start."""
        for each in [*organisations]:
            self._due.put(each, now + _phase(each) * _AFTER_START)

    def _first_role(self, organisation: ParticipantIdentifier) -> Role | None:
        """Return the role whose lease decides which process compares all of the organisation's logs."""
        serves = self.gate.registry.serves
        return next((role for role in _ROLES if serves(organisation, role)), None)

    def _ours(self, organisation: ParticipantIdentifier) -> bool:
        return self.gate.leases.holds(organisation, self._first_role(organisation))

    async def compare(self, organisation: ParticipantIdentifier) -> Reconciliation | None:
        """Compare the logs of one organisation now, record the outcome, and report a difference.

        ``None`` if a log fails verification.
        """
        roles = [role for role in _ROLES if self.gate.registry.serves(organisation, role)]
        origin, logs = "", list[ReadLog]()
        try:
            for role in roles:
                async with self.gate.open(workers.RECONCILIATION, organisation, role, Purpose.TRACE) as vault:
                    state = await vault.tree.state()
                    origin = origin or state.origin
                    since = self.clock() - _BACK
                    logs.append(await _proved(vault.tree, state, organisation, role, since))
        except LogUnproved as fault:
            await self._record(organisation, roles, {"fault": str(fault)})
            self._noted(organisation, origin, f"a log differs from what was signed, {fault}")
            return None
        found = reconcile(logs)
        if found.compared or found.differences:
            await self._record(organisation, roles, _facts(found))
        kinds = sorted({each.kind.value for each in found.differences})
        reason = f"{len(found.differences)} differences between logs: {', '.join(kinds)}" if kinds else ""
        self._noted(organisation, origin, reason)
        return found

    async def _record(
        self, organisation: ParticipantIdentifier, roles: Sequence[Role], facts: dict[str, str]
    ) -> None:
        for role in roles:
            async with self.gate.open(workers.RECONCILIATION, organisation, role, Purpose.TRACE) as vault:
                vault.record(RunEvent.LOG_RECONCILED, **facts)

    def _noted(self, organisation: ParticipantIdentifier, origin: str, reason: str) -> None:
        self._names[organisation] = origin
        if reason:
            _LOGGER.error("ALARM logs that begin with %s: %s; see docs/log.md#reconciliation", origin, reason)
        self.note(Dependency.RECONCILIATION, origin, reason)


def _facts(found: Reconciliation) -> dict[str, str]:
    """Return the outcome for the log: counts, kinds, and the first differences."""
    facts = {
        "compared": str(sum(found.compared.values())),
        "under_way": str(found.under_way),
        "differences": str(len(found.differences)),
    }
    if found.differences:
        facts["first"] = "; ".join(f"{each.kind.value} {each.about}" for each in found.differences[:10])
    return facts


async def _proved(
    tree: LogTree, state: TreeState, organisation: ParticipantIdentifier, role: Role, since: datetime
) -> ReadLog:
    """Read the signed entries of a log from ``since`` on; :class:`LogUnproved` if they do not verify."""
    name = f"{organisation.value} {role.value}"
    entries, disposed = list[LogEntry](), set[Retention]()
    if state.note is None or state.key is None:
        return ReadLog.of(name, organisation.value, role.value, entries, whole=False)
    stated = _checkpoint(state, [each.key for each in await tree.keys()])
    last = state.first + stated.size - 1
    start = await _start(tree, max(state.first, last - _MOST + 1), last, since)
    edge, number = await tree.frontier(start - state.first), start
    while edge.size < stated.size:
        rows = await tree.rows(number - 1, last, _PAGE)
        if not rows:
            raise LogUnproved(number, "it is missing")
        for sequence, content, _, digest, retention, salt in rows:
            if sequence != number:
                raise LogUnproved(number, "it is missing")
            if content is not None and commitment(salt, content) != digest:
                raise LogUnproved(number, "its facts are not those of the entry in the tree")
            number += 1
            if content is None:
                disposed.add(Retention(retention))
        edge.extend(Leaf(row[0], row[4], row[3]).hash for row in rows)
        entries += [logbook.entry(row) for row in rows if row[1] is not None]
    if edge.root() != stated.root:
        raise LogUnproved(start, "from here on the entries are not those that the log signed")
    whole = start == state.first and state.first == 1
    return ReadLog.of(name, organisation.value, role.value, entries, whole=whole, disposed=disposed)


@dataclass(frozen=True, slots=True)
class _Signed:
    size: int
    root: bytes


def _checkpoint(state: TreeState, keys: Sequence[str]) -> _Signed:
    try:
        signed = SignedCheckpoint.parse(state.note or b"", [VerifierKey.parse(key) for key in keys])
    except (Malformed, Unverified) as fault:
        raise LogUnproved(state.signed or 0, f"its checkpoint does not hold: {fault}") from None
    return _Signed(signed.checkpoint.size, signed.checkpoint.root)


async def _start(tree: LogTree, first: int, last: int, since: datetime) -> int:
    """Return the number of the first entry from ``since`` on; entries without facts count as older."""
    low, high = first, last + 1
    while low < high:
        middle = (low + high) // 2
        rows = await tree.rows(middle - 1, middle, 1)
        if rows and rows[0][1] is not None and logbook.entry(rows[0]).at >= since:
            high = middle
        else:
            low = middle + 1
    return low


def _phase(organisation: ParticipantIdentifier) -> float:
    """Return the moment of an organisation within the night, as a fraction of its hours."""
    digest = hashlib.sha256(f"reconciliation {organisation.value}".encode()).digest()
    return int.from_bytes(digest[:4]) / (1 << 32)


def _next_night(organisation: ParticipantIdentifier, now: datetime) -> datetime:
    moment = datetime.combine(now.date(), _NIGHT, now.tzinfo) + _phase(organisation) * _NIGHT_LASTS
    return moment if moment > now else moment + timedelta(days=1)


@contextlib.asynccontextmanager
async def reconciled(gate: Gate, clock: Clock, note: Note) -> AsyncIterator[Reconciler]:
    """Compare the logs of the organisations each night while the context lasts."""
    shared = SharedTime(gate.reach, clock)

    async def agree() -> None:
        await shared.reach()
        await shared.agrees()

    reconciler = Reconciler(gate, clock, note, agree)
    async with in_background(reconciler.keep(), on_failure=unexpected("reconciliation")):
        yield reconciler
