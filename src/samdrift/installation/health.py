"""The state of each dependency of a process: up or down, since when and why. Each change writes one log line.

Dependencies on this machine, or that serve only it, are tried every few seconds, so that an outage is noticed
even while they are not needed. Services of the federation are not called for that purpose: their state is
that of the last ordinary call.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Protocol

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from samdrift.audit.operations import unexpected
from samdrift.contracts.clock import MAX_DIFFERENCE, Clock
from samdrift.contracts.errors import Explained, for_operator
from samdrift.net.background import in_background
from samdrift.scheduling.ticks import tick

_LOGGER = logging.getLogger("samdrift")
_MOST = 200
"""Maximum number of dependencies kept: each recipient's SMP is one, and anyone can cause more of them."""
_EVERY, _WHILE_GONE = 10.0, 2.0
"""Seconds between two checks of a dependency, normally and while it is down."""
_PATIENCE = 15.0
_LONGEST = 200
_PARTLY = "it answers only some of the calls: {}"
_FALLS = 3
"""Outages within :data:`_WINDOW` that mark an intermittently answering dependency as partly available."""
_WINDOW = timedelta(seconds=60)
_SHARE = 10
"""Answers per failed call above which failures no longer count as an outage."""
GONE = "samdrift_dependency_gone"
"""Name of the metric."""
FOUND_BY_WORKERS = (
    "processes of organisations find it gone; where and why: journalctl -u samdrift -g 'gone since'"
)
"""Reason shown at level ``process``, where workers report only how many of them find a dependency gone."""


class Dependency(StrEnum):
    """Kinds of dependency, as named in the log, the metrics and ``samdrift doctor``."""

    DATABASE = "database"
    SESSIONS = "database-sessions"
    """Sessions of our logins within their bounds: gone from when one exceeds them to a minute later."""
    LOCKS = "database-locks"
    """Room in the cluster's lock table, without which nobody can connect."""
    CLOCK = "clock"
    """This machine's clock, compared with the database's clock."""
    LEASES = "leases"
    """This process's share of the work: gone while its clock is wrong and another process's is right."""
    OBJECTS = "object-store"
    KEY_STORE = "key-store"
    HSM = "hsm"
    SCANNER = "scanner"
    ACCESS_POINT = "access-point"
    """The access point that a message service uses over interface C."""
    SML = "sml"
    SMP = "smp"
    ADDRESS_BOOK = "address-book"
    REVOCATION = "revocation"
    MESSAGE_SERVICE = "message-service"
    """A message service that message clients use over interface D, identified by its host."""
    MAIL = "mail"
    """The mail server for notices, identified by its host."""
    IDENTITY_PROVIDER = "identity-provider"
    LOG = "log"
    """A log that is not signed or that a witness refuses, identified by its random name.

    Also a witness that does not answer, identified by its name and address, once for all logs.
    """
    TIME_STAMPS = "time-stamps"
    """The time-stamping authority for logs, identified by its host."""
    RECONCILIATION = "reconciliation"
    """The agreement of an organisation's logs with each other, identified by the first log's random name."""
    AGREEMENTS = "agreements"
    """The cover by agreements of every function of the organisations that are served here."""
    LOG_SYSTEM = "log-system"
    """A log system of organisations, by host and port; it must accept every log that is handed over to it."""
    WORKERS = "workers"
    """The workers that share an installation's work; gone when none of them serves."""
    WEBHOOK = "webhook"
    """A webhook that notifies an organisation of emergencies, identified by its host."""
    DIRECTORY = "directory"
    """A directory of an organisation, by its host.

    It must answer in full, with all groups that have rights.
    """


@dataclass(frozen=True, slots=True)
class Condition:
    """The state of one dependency."""

    dependency: str
    at: str = ""
    """Host or address of the dependency, where there are several of a kind."""
    gone_since: datetime | None = None
    reason: str = ""
    there_since: datetime | None = None
    """Moment of its first answer since its last outage, or ever; ``None`` while it is gone."""
    last_gone: datetime | None = None
    """Start of its last outage, which has ended."""
    last_reason: str = ""
    gone_seconds: int | None = field(default=None, compare=False)
    """Length of the current outage, independent of the clock; ``None`` where it is not measured."""

    def document(self) -> dict[str, str | int | None]:
        """Return the condition as JSON."""
        return {
            "dependency": self.dependency,
            "at": self.at or None,
            "state": "gone" if self.gone_since else "there",
            "since": _text(self.gone_since),
            "seconds": self.gone_seconds,
            "reason": self.reason or None,
            "there_since": _text(self.there_since),
            "last_gone": _text(self.last_gone),
            "last_reason": self.last_reason or None,
        }

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Condition:
        """Parse a condition from JSON; the inverse of :meth:`document`."""
        return cls(
            str(document["dependency"]),
            document["at"] or "",
            _moment(document["since"]),
            document["reason"] or "",
            _moment(document.get("there_since")),
            _moment(document.get("last_gone")),
            document.get("last_reason") or "",
            document.get("seconds"),
        )


def _text(moment: datetime | None) -> str | None:
    return moment.isoformat(timespec="seconds") if moment else None


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _is_of_an_outage_before(began: datetime | None, there: Condition, now: datetime) -> bool:
    """Return whether a failed call began before the dependency last recovered."""
    return began is not None and there.there_since is not None and began < there.there_since <= now


@dataclass(slots=True)
class _Falls:
    """Recent failures of one dependency between its answers, to detect that it is only partly available."""

    moments: deque[tuple[datetime, int]] = field(default_factory=lambda: deque(maxlen=_FALLS))
    """The last failures, each with the number of answers before it."""
    answers: int = 0
    last: datetime | None = None
    """Moment of the last answer."""
    partly: bool = False

    def answered(self, now: datetime) -> bool:
        """Count an answer; return whether the dependency is only partly available."""
        self.answers += 1
        self.last = now
        if self.partly and now - self.moments[-1][0] >= _WINDOW:
            self.partly = False
            self.moments.clear()
        return self.partly

    def failed(self, now: datetime, *, gone: bool) -> bool:
        """Count a failure; return whether the dependency is only partly available.

        A dependency that is entirely gone is counted only when it first fails.
        """
        if self.partly and self.last is not None and now - self.last >= _WINDOW:
            self.partly = False
        if gone and not self.partly:
            return False
        self.moments.append((now, self.answers))
        if not self.partly and len(self.moments) == _FALLS:
            first, answers = self.moments[0]
            self.partly = now - first < _WINDOW and self.answers - answers <= _SHARE * _FALLS
        return self.partly


class Health(Collector):
    """The state of the dependencies of one process, by kind and place."""

    def __init__(
        self, clock: Clock, elsewhere: Collection[str] = (), elapsed: Callable[[], float] = time.monotonic
    ) -> None:
        """``elapsed`` returns monotonic seconds, because the clock is a dependency itself.

        ``elsewhere`` are dependencies whose changes are logged by another process.
        """
        self._clock = clock
        self._elapsed = elapsed
        self._began: dict[tuple[str, str], float] = {}
        self._elsewhere = frozenset(elsewhere)
        self._known: dict[tuple[str, str], Condition] = {}
        self._answered: dict[tuple[str, str], datetime] = {}
        self._falls: dict[tuple[str, str], _Falls] = {}

    def conditions(self) -> tuple[Condition, ...]:
        """Return every dependency that has been used or tried, those that are down first."""
        known = sorted(self._known.values(), key=lambda one: (one.gone_since is None, one.dependency, one.at))
        return tuple(replace(one, gone_seconds=self._gone_seconds(one)) for one in known)

    def _gone_seconds(self, one: Condition) -> int | None:
        began = self._began.get((one.dependency, one.at))
        return None if began is None else int(self._elapsed() - began)

    def note(
        self, dependency: str, at: str = "", reason: str | None = "", began: datetime | None = None
    ) -> None:
        """Record that a dependency answered, or why it did not; a change of state writes a log line.

        ``reason`` is empty for an answer, and ``None`` when this process no longer uses the dependency.
        ``began`` is the start of one of many concurrent calls: a failed call is ignored if a later one
        succeeded.
        """
        key, now = (dependency, at), self._clock()
        if reason is None:
            self._forget(key)
            return
        before = self._known.get(key)
        # A dependency without an address is local and is probed. Its first success counts, so that readiness
        # does not wait until it is stable.
        falls = self._falls.setdefault(key, _Falls()) if at else _Falls()
        if not reason:
            self._answered[key] = now
            if falls.answered(now):
                return  # Still unstable: it has answered between failures before.
        elif before is not None and _is_of_an_outage_before(began, before, now):
            return
        elif falls.failed(now, gone=before is not None and before.gone_since is not None):
            reason = _PARTLY.format(reason)
        elif began is not None and began < self._answered.get(key, began) <= now:
            # A later call succeeded. A success dated after ``now`` is from before the clock was set back, and
            # does not count.
            return
        name = f"{dependency} {at}".rstrip()
        logs = dependency not in self._elsewhere
        if reason:
            since = before.gone_since if before and before.gone_since else now
            self._began.setdefault(key, self._elapsed())
            if logs and (before is None or before.gone_since is None):
                _LOGGER.warning(
                    "%s: gone since %s: %s", name, f"{since:%Y-%m-%dT%H:%M:%SZ}", reason[:_LONGEST]
                )
            self._keep(Condition(dependency, at, since, reason[:_LONGEST]))
            return
        began_at = self._began.pop(key, None)
        if logs and began_at is not None:
            _LOGGER.warning("%s: back after %d s", name, self._elapsed() - began_at)
        if before is None:
            self._keep(Condition(dependency, at, there_since=now))
        elif before.gone_since is not None:
            last = before.gone_since, before.reason
            self._keep(Condition(dependency, at, None, "", now, *last))

    def of_tokens(self) -> Callable[[str, str], None]:
        """Return a function that records the state of tokens in HSMs, by label, callable from any thread."""
        loop = asyncio.get_running_loop()

        def note(label: str, reason: str) -> None:
            with contextlib.suppress(RuntimeError):  # The loop is closed because the process is ending.
                loop.call_soon_threadsafe(self.note, Dependency.HSM, label, reason)

        return note

    def _keep(self, condition: Condition) -> None:
        key = condition.dependency, condition.at
        if key not in self._known and len(self._known) >= _MOST:
            self._forget(
                next((one for one, state in self._known.items() if state.at), next(iter(self._known)))
            )
        self._known[key] = condition

    def _forget(self, key: tuple[str, str]) -> None:
        for kept in (self._known, self._answered, self._falls, self._began):
            kept.pop(key, None)

    def collect(self) -> Iterator[Metric]:
        """Yield the current value of the metric."""
        yield from Gone(self._known.values()).collect()


class Note(Protocol):
    """Callback with a dependency, its place, and the reason why it is gone.

    The reason is empty when it answers, and ``None`` when this process no longer uses it
    (:meth:`Health.note`).
    """

    def __call__(
        self, dependency: str, at: str, reason: str | None, began: datetime | None = None, /
    ) -> None: ...


@dataclass(slots=True)
class _Shared:
    """A service that was gone, with its last call, and the last failed call of each caller that lacks it."""

    called: float
    gone_for: dict[object, float] = field(default_factory=dict)


class SharedServices:
    """Services that many logs call, each with one state and one log line, however many logs there are.

    A service is gone after the first failed call, and available again once a call has succeeded for every
    caller for whom it was gone. One that is no longer called, because other processes took over its logs or
    it was replaced, is forgotten after a while.
    """

    def __init__(
        self,
        dependency: Dependency,
        note: Note,
        uncalled: timedelta,
        elapsed: Callable[[], float] = time.monotonic,
    ) -> None:
        """``uncalled`` is the time without a call after which a service is forgotten."""
        self._dependency = dependency
        self._note = note
        self._uncalled = uncalled.total_seconds()
        self._elapsed = elapsed
        self._known: dict[str, _Shared] = {}

    def note(self, at: str, reason: str, began: datetime | None = None, caller: object = None) -> None:
        """Record how a call ended: the reason for its failure, or an empty text.

        ``caller`` is the party that the call was made for, where a service may be gone for only some of them.
        """
        now = self._elapsed()
        known = self._known.get(at)
        if known is None:
            if not reason:
                return
            known = self._known[at] = _Shared(now)
        known.called = now
        if reason:
            known.gone_for[caller] = now
        else:
            known.gone_for.pop(caller, None)
        if reason or not known.gone_for:
            self._note(self._dependency, at, reason, began)

    def forget(self) -> None:
        """Forget services, and callers for whom a service is gone, that have made no call for long."""
        oldest = self._elapsed() - self._uncalled
        for at, known in list(self._known.items()):
            was_gone = bool(known.gone_for)
            for caller in [one for one, called in known.gone_for.items() if called < oldest]:
                del known.gone_for[caller]
            if known.called < oldest:
                del self._known[at]
                if was_gone:
                    self._note(self._dependency, at, None)


class Gone(Collector):
    """Metric of the number of dependencies of each kind that are gone."""

    def __init__(self, conditions: Iterable[Condition]) -> None:
        self._conditions = conditions

    def collect(self) -> Iterator[Metric]:
        metric = GaugeMetricFamily(GONE, "Dependencies of a kind that are gone now", labels=["dependency"])
        numbers: dict[str, int] = {}
        for one in self._conditions:
            numbers[one.dependency] = numbers.get(one.dependency, 0) + bool(one.gone_since)
        for name, number in sorted(numbers.items()):
            metric.add_metric([name], number)
        yield metric


Try = Callable[[], Awaitable[object]]
"""Function that tries to reach a dependency; raises when it is gone."""


@contextlib.asynccontextmanager
async def trying(health: Health, tries: Mapping[str, Try]) -> AsyncIterator[None]:
    """Try each dependency periodically and independently while the context lasts."""
    work = (_keep_trying(health, name, one) for name, one in tries.items())
    async with in_background(*work, on_failure=unexpected("health")):
        yield


class ClockDiffers(Explained):
    """This machine's clock differs from that of the database."""

    def __init__(self, ahead: float) -> None:
        side = "ahead of" if ahead > 0 else "behind"
        super().__init__(f"{abs(ahead):.0f} s {side} the database's")


class SharedTime:
    """The database, and the difference between this machine's clock and its clock, which all hosts share.

    A deadline set by one host is judged by the clock of whichever host takes over its work. Without this
    comparison, a wrong clock would be noticed only after a message had failed too early.
    """

    def __init__(self, reach: Callable[[], Awaitable[float]], clock: Clock) -> None:
        """``reach`` returns the database's time as a POSIX timestamp."""
        self._reach = reach
        self._clock = clock
        self._ahead = 0.0

    async def reach(self) -> None:
        """Ask the database for its time and update the difference; errors of ``reach`` pass through."""
        began = self._clock().timestamp()
        theirs = await self._reach()
        ended = self._clock().timestamp()
        self._ahead = max(0.0, began - theirs) + min(0.0, ended - theirs)

    async def agrees(self) -> None:
        """Check the last known difference; :class:`ClockDiffers` where this machine's clock is wrong."""
        if abs(self._ahead) >= MAX_DIFFERENCE.total_seconds():
            raise ClockDiffers(self._ahead)


def note_set_aside(health: Health, aside: bool) -> None:
    """Record whether this process leaves its work to processes whose clock is right."""
    reason = "this clock differs from the database's: work is left to processes whose clock does not"
    health.note(Dependency.LEASES, reason=reason if aside else "")


async def _keep_trying(health: Health, name: str, one: Try) -> None:
    while True:
        reason = await outcome(one)
        health.note(name, reason=reason)
        await tick(_WHILE_GONE if reason else _EVERY)


async def outcome(one: Try) -> str:
    """Return why a dependency is gone, in a text of ours; empty when it answers."""
    try:
        async with asyncio.timeout(_PATIENCE):
            await one()
    except TimeoutError:
        return "no answer in time"
    except Exception as error:
        return in_words(error)
    return ""


def in_words(error: Exception) -> str:
    """Return why something failed, in a text of ours and never in one from outside."""
    if isinstance(error, Explained):
        return for_operator(error)
    if isinstance(error, OSError):
        return (error.strerror or type(error).__name__).lower()
    return type(error).__name__
