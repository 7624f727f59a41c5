"""The log of the organisation's message client, for its security officer, by person and by period.

Reading the log is itself logged before anything is shown. The log contains identifiers and never content;
the names of people come from the vault.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from samdrift.audit.entries import LogEntry
from samdrift.contracts.principals import Purpose
from samdrift.entrance.events import EntranceEvent
from samdrift.messageclient.desk import NotHere
from samdrift.messageclient.events import MKEvent
from samdrift.messageclient.scope import People, Scope, is_id
from samdrift.rights import Right
from samdrift.vault.events import VaultEvent
from samdrift.vault.messageclient import MessageClientVault
from samdrift.web.tables import BEGINNING, csv_lines

PAGE = 100
"""Number of entries on a page."""
_BATCH = 1000
SECONDS = 2.0
"""Time limit in seconds for one page, after which the next one continues; matching entries may be rare."""
_SLACK = timedelta(minutes=5)
"""Entries are in the order of commit, so an entry's time may be this much earlier than its neighbour's."""
_PERSON = "person:"
"""Prefix of a person as the author of a statement."""
FAILED = frozenset(
    {
        MKEvent.MK_ACCESS_DENIED,
        EntranceEvent.SIGN_IN_REFUSED,
        EntranceEvent.REQUEST_REFUSED,
        VaultEvent.VAULT_OPENING_DENIED,
    }
)
"""Events of failed attempts."""


@dataclass(frozen=True, slots=True)
class LogQuestion:
    """Criteria for reading the log; the period is from ``since`` until before ``until``."""

    since: datetime
    until: datetime
    person: str = ""
    """Only acts of this person, and acts that concern them; empty for every person."""
    service: bool = False
    """Also acts of the service itself, if no person is named."""
    failed: bool = False
    """Only failed attempts."""


@dataclass(frozen=True, slots=True)
class LogLine:
    """An entry with the name of its person, which is empty for the service itself."""

    entry: LogEntry
    person: str


@dataclass(frozen=True, slots=True)
class LogPage:
    """Entries in order; ``after`` is the start of the next page, 0 on the last page."""

    lines: tuple[LogLine, ...]
    after: int
    mailboxes: Mapping[str, str]
    """Names of mailboxes, by their ids."""


class LogReading:
    """Access to the log for one person, who must be a security officer."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    async def persons(self) -> tuple[tuple[str, str], ...]:
        """Return the organisation's people by name, to choose one from."""
        scope = self._scope
        async with scope.open(Purpose.READ) as vault:
            self._require_officer()
            found = [(one.id, one.identity.name or one.identity.subject) for one in await vault.persons()]
            vault.record(MKEvent.MK_READING_LOG, person="", page="question")
        return tuple(sorted(found, key=lambda pair: (pair[1].casefold(), pair[0])))

    async def page(self, asked: LogQuestion, after: int = 0) -> LogPage:
        """Return a page of the log, starting after the entry with a given number."""
        scope = self._scope
        async with scope.open(Purpose.READ) as vault:
            self._require_officer()
            self._record(vault, asked, "page")
            people = await scope.people(vault)
            mailboxes = {one.id: one.name for one in await vault.mailboxes()}
            end = await vault.log_end()
            place = max(after, await self._begin(vault, asked.since, end))
            clock, found = asyncio.get_running_loop().time, list[LogEntry]()
            ends, begun = clock() + SECONDS, False
            while len(found) <= PAGE and place < end and not (begun and clock() >= ends):
                batch, place = await self._batch(vault, asked, place, end)
                found, begun = found + batch, True
        lines = tuple(_line(each, people) for each in found[:PAGE])
        onward = place if place < end else 0
        return LogPage(lines, found[PAGE - 1].sequence if len(found) > PAGE else onward, mailboxes)

    async def table(self, asked: LogQuestion) -> AsyncIterator[bytes]:
        """Return the log as CSV in pieces; the reading is logged before the first piece.

        Each piece is read in an opening of its own, so that a slow reader blocks nothing.
        """
        scope = self._scope
        async with scope.open(Purpose.READ) as vault:
            self._require_officer()
            self._record(vault, asked, "table")
            people = await scope.people(vault)
            end = await vault.log_end()
            place = await self._begin(vault, asked.since, end)
        return self._pieces(asked, people, place, end)

    async def _pieces(self, asked: LogQuestion, people: People, place: int, end: int) -> AsyncIterator[bytes]:
        yield BEGINNING + csv_lines([("number", "time", "person", "id", "event", "purpose", "facts")])
        while place < end:
            async with self._scope.open(Purpose.READ) as vault:
                self._require_officer()
                batch, place = await self._batch(vault, asked, place, end)
                vault.record(MKEvent.MK_READING_LOG, person=asked.person, page="table", up_to=str(place))
            rows = [_row(_line(each, people)) for each in batch]
            if rows:
                yield await asyncio.to_thread(csv_lines, rows)

    async def _begin(self, vault: MessageClientVault, since: datetime, end: int) -> int:
        """Return an entry number that precedes all entries of a period, found by bisection."""
        low, high = 0, end
        while high - low > _BATCH:
            middle = (low + high) // 2
            entries = await vault.log(middle, 1)
            if entries and entries[0].at < since - _SLACK:
                low = middle
            else:
                high = middle
        return low

    async def _batch(
        self, vault: MessageClientVault, asked: LogQuestion, place: int, end: int
    ) -> tuple[list[LogEntry], int]:
        """Return the matching entries of the next batch, and the position after it."""
        entries = [each for each in await vault.log(place, _BATCH) if each.sequence <= end]
        if not entries or entries[0].at > asked.until + _SLACK:
            return [], end
        return [each for each in entries if _fits(each, asked)], entries[-1].sequence

    def _record(self, vault: MessageClientVault, asked: LogQuestion, page: str) -> None:
        vault.record(
            MKEvent.MK_READING_LOG,
            person=asked.person if is_id(asked.person) else "",
            since=asked.since.isoformat(),
            until=asked.until.isoformat(),
            page=page,
        )

    def _require_officer(self) -> None:
        if not self._scope.may(Right.SECURITY_OFFICER):
            raise NotHere("log", "")


def person_of(entry: LogEntry) -> str:
    """Return the id of the person who acts in an entry or is concerned by it; empty for the service."""
    kind, _, name = entry.principal.partition(":")
    if kind == "user":
        return name
    stated_by = entry.ids.get("by", "")
    return stated_by.removeprefix(_PERSON) if stated_by.startswith(_PERSON) else entry.ids.get("person", "")


def _fits(entry: LogEntry, asked: LogQuestion) -> bool:
    if not asked.since <= entry.at < asked.until:
        return False
    if asked.failed and entry.event not in FAILED:
        return False
    if not asked.person:
        return asked.service or bool(person_of(entry)) or entry.event in FAILED
    return asked.person in (person_of(entry), entry.ids.get("person"), entry.ids.get("handler"))


def _line(entry: LogEntry, people: People) -> LogLine:
    person = person_of(entry)
    return LogLine(entry, people[person].name if person else "")


def _row(line: LogLine) -> tuple[str, ...]:
    entry = line.entry
    facts = "; ".join(f"{name}={value}" for name, value in sorted(entry.ids.items()) if value)
    return (
        str(entry.sequence),
        entry.at.isoformat(timespec="seconds"),
        line.person,
        entry.principal,
        entry.event,
        entry.purpose,
        facts,
    )
