"""Bounds on what sessions of our own logins take of limits that all logins of the cluster share.

A login may hold as many locks, open as many subtransactions, use as many transaction ids and keep a
transaction open as long as it likes; PostgreSQL lets each session lift the time limits that it was given. So
whoever has got one vault's password could stop every other organisation. The bounds are meant to be
far from the ordinary work of our own sessions. One that exceeds them is ended; its work is retried like after
any lost connection.

A session that keeps others waiting is one that holds the head of a log, for example: what is to contain it
must not wait for it.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

MAX_LOCKS = 1000
"""Locks of one session; each open subtransaction that writes is one. A snapshot takes some hundred."""
MAX_OF_LOGIN, FEW = 8000, 100
"""Locks of all sessions of a login together, and those of one that is not ended for it.

A login has up to 32 connections, each of which could stay just below its own bound.
"""
MAX_SECONDS = 360.0
"""Seconds of a transaction that writes: one minute more than our logins have by default."""
IDLE_SECONDS, BUSY_SECONDS = 5.0, 20.0
"""Seconds after which a transaction that keeps others waiting is ended: while it does nothing, or works.

Others wait for a lock for ten seconds, and then try again. Of our own statements, only the one that disposes
of a log's facts may work longer, up to thirty seconds; where others wait for that log, it is ended, too.
"""
MAX_IDS = 10_000.0
"""Transaction ids in a second, of the whole cluster, beyond which the login that uses most is looked for."""
_LOOKS, _SEEN = 10, 8
"""Number of looks at who has a transaction id, and how often a login must have had one to be held for it."""


class Bound(StrEnum):
    """A bound, as it is named in the log and the metrics."""

    LOCKS = "locks"
    AGE = "transaction-seconds"
    WAITING = "others-wait"
    IDS = "transaction-ids"


@dataclass(frozen=True, slots=True)
class Taken:
    """One session, and what it takes."""

    pid: int
    login: str
    locks: int
    """Number of locks that it holds or waits for."""
    seconds: float
    """Age of its transaction; 0 outside of one."""
    idle: bool
    """True while its transaction waits for the client."""
    writes: bool
    """True if it has a transaction id."""
    blocks: int = 0
    """Number of sessions that wait for it."""

    def exceeds(self) -> Bound | None:
        """Return the bound that it exceeds."""
        if self.locks > MAX_LOCKS:
            return Bound.LOCKS
        if self.blocks and self.seconds > (IDLE_SECONDS if self.idle else BUSY_SECONDS):
            return Bound.WAITING
        return Bound.AGE if self.writes and self.seconds > MAX_SECONDS else None


class IdsUsed:
    """Use of the cluster's transaction ids, of which there are two thousand million between clean-ups.

    PostgreSQL does not say which session used how many. So while far too many are used, the login counts that
    had one most often, over several looks.
    """

    def __init__(self) -> None:
        self._seen: deque[Counter[str]] = deque(maxlen=_LOOKS)
        self._last: tuple[int, float] | None = None

    def look(self, number: int, moment: float, taken: Iterable[Taken]) -> str | None:
        """Note the cluster's next transaction id at a moment in seconds; return the login that is over."""
        last, self._last = self._last, (number, moment)
        if last is None or moment <= last[1] or (number - last[0]) / (moment - last[1]) <= MAX_IDS:
            self._seen.clear()
            return None
        self._seen.append(Counter(each.login for each in taken if each.writes))
        ((login, _),) = sum(self._seen, Counter[str]()).most_common(1) or [("", 0)]
        return login if sum(login in each for each in self._seen) >= _SEEN else None


def crowding(taken: Iterable[Taken]) -> frozenset[str]:
    """Return the logins whose sessions have too many locks together."""
    locks = Counter[str]()
    for each in taken:
        locks[each.login] += each.locks
    return frozenset(login for login, count in locks.items() if count > MAX_OF_LOGIN)


def exceeding(
    taken: Collection[Taken], ours: Collection[str], spender: str | None = None
) -> Iterator[tuple[Taken, Bound]]:
    """Yield our sessions that exceed a bound; ``spender`` is the login that uses too many transaction ids."""
    crowded = crowding(taken)
    for each in taken:
        bound = each.exceeds()
        if bound is None and each.login in crowded and each.locks > FEW:
            bound = Bound.LOCKS
        if bound is None and each.login == spender and each.writes:
            bound = Bound.IDS
        if bound is not None and each.login in ours:
            yield each, bound
