"""Number of openings, round trips, flushes, log entries and requests that an exchange takes.

Counts do not depend on the machine, so they show that an exchange became more expensive even where timings
are too noisy to do so.
"""

from __future__ import annotations

import contextlib
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from bench.measure import Row, reported
from samdrift.audit.entries import Happening
from samdrift.net.client import HttpClient
from samdrift.net.inprocess import InProcess
from samdrift.vault import work
from samdrift.vault.database.session import Row as Found
from samdrift.vault.database.session import Session, Statement
from samdrift.vault.opening import Vault
from samdrift.vault.work import UnitOfWork

_ELSEWHERE = "registry"
_NOT_OF_EXCHANGES = (" maintain", " read", " trace")
"""Purposes of openings that are not part of an exchange: periodic work, and the measuring itself."""
_IDENTIFIER = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}")
_ASKING = ("look_together", "_alone", "decide", "suppose_and_see", "see", "commit")
"""Methods of a unit of work that query the database."""
_INTERFACES = ("/c/v1/", "/as4")


class _Kinds(Counter[str]):
    """Counts by the kind of an opening."""

    def note(self, kind: str, number: int = 1) -> None:
        if not kind.endswith(_NOT_OF_EXCHANGES):
            self[kind] += number


@dataclass
class Counts:
    """Counts of some exchanges, by kind, without periodic work and without the measuring itself."""

    openings: _Kinds = field(default_factory=_Kinds)
    """Openings of vaults, by role, principal and purpose."""
    round_trips: _Kinds = field(default_factory=_Kinds)
    """Round trips to PostgreSQL, by the kind of the opening, or the registry's."""
    flushes: _Kinds = field(default_factory=_Kinds)
    """Committed transactions, by the kind of the opening, or the registry's."""
    entries: Counter[str] = field(default_factory=Counter)
    """Log entries, by event."""
    requests: Counter[str] = field(default_factory=Counter)
    """Requests over interfaces A and C, and to shared services."""
    calls: Counter[str] = field(default_factory=Counter)
    """Requests over interface C within a process, without HTTP."""

    def rows(self, exchanges: int, bars: dict[str, float]) -> list[Row]:
        """Return a row for each count, summed over all kinds."""
        return [
            reported(
                f"{name} per exchange",
                [counted.total() / exchanges],
                "",
                bar=bars.get(name),
            )
            for name, counted in (
                ("openings", self.openings),
                ("round trips", self.round_trips),
                ("flushes", self.flushes),
                ("log entries", self.entries),
                ("requests", self.requests),
                ("calls within a process", self.calls),
            )
        ]


@contextlib.contextmanager
def counted() -> Iterator[Counts]:
    """Count what this process does while the context lasts."""
    counts = Counts()
    kinds: WeakKeyDictionary[UnitOfWork, str] = WeakKeyDictionary()
    current: ContextVar[str] = ContextVar("current", default=_ELSEWHERE)
    begin, run, append, exchange = Vault.__init__, Session.run, work.append_statement, HttpClient.exchange

    def begun(vault: Vault, *given: Any) -> None:
        begin(vault, *given)
        principal = vault._reason.principal.name
        kind = f"{getattr(vault, '_role', '')} {principal} {vault._reason.purpose}"
        kinds[vault._work] = kind
        counts.openings.note(kind)

    def of_opening(method: Any) -> Any:
        async def counted(unit: UnitOfWork, *given: Any, **named: Any) -> Any:
            token = current.set(kinds.get(unit, _ELSEWHERE))
            try:
                return await method(unit, *given, **named)
            finally:
                current.reset(token)

        return counted

    async def ran(session: Session, statements: Sequence[Statement]) -> list[list[Found]]:
        counts.round_trips.note(current.get())
        counts.flushes.note(current.get(), sum(sql == "COMMIT" for sql, _ in statements))
        return await run(session, statements)

    def appended(happenings: Sequence[Happening]) -> Statement:
        if not current.get().endswith(_NOT_OF_EXCHANGES):
            counts.entries.update(str(one.event) for one in happenings)
        return append(happenings)

    def requested(client: HttpClient, method: str, address: str, *given: Any, **named: Any) -> Any:
        path = urlsplit(address).path
        ours = path.startswith(_INTERFACES)
        within = isinstance(client._transport, InProcess)
        by_way = counts.calls if within else counts.requests
        by_way[f"{method} {_IDENTIFIER.sub('ID', path)}" if ours else "shared service"] += 1
        return exchange(client, method, address, *given, **named)

    with contextlib.ExitStack() as patches:
        for owner, name, instead in (
            (Vault, "__init__", begun),
            (Session, "run", ran),
            (work, "append_statement", appended),
            (HttpClient, "exchange", requested),
            *((UnitOfWork, name, of_opening(getattr(UnitOfWork, name))) for name in _ASKING),
        ):
            patches.enter_context(patch.object(owner, name, instead))
        yield counts
