"""Ways into an organisation's data that no statement gives: keys, logins, clients, custodians, copies. Pure.

Nobody signs for a database login or a backup: they are there because the installation was set up so. Each
time that somebody asks who can, they are counted, and what is new or gone since the last time is an entry of
governance's log. So what was there on an earlier day is read from the log, and is the same answer whenever it
is asked for.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Self

from samdrift.audit.entries import LogEntry
from samdrift.audit.events import AuditEvent

_MAX_FACT = 400
"""Longest fact of a door, in characters: an entry of a log keeps at most a thousand."""
_LISTS = " "
"""Separates the members of a list in an entry; they are names without spaces."""


class DoorEvent(AuditEvent):
    """An event of a count of ways into an organisation's data."""

    GOV_DOOR_SEEN = "gov:door:seen"
    """A way that was not there at the last count."""
    GOV_DOOR_GONE = "gov:door:gone"
    """A way that was there at the last count, and is not any more."""
    GOV_DOORS_COUNTED = "gov:door:counted"
    """All ways were counted; the entry says how many."""


class DoorKind(StrEnum):
    """Kinds of ways that no statement gives."""

    MEMBER = "member"
    """A person whom the sign-in service vouches for as a member of a group that has a right."""
    MESSAGE_CLIENT = "message-client"
    SIGN_IN = "sign-in"
    """A service that vouches for people or message clients."""
    CUSTODIAN = "custodian"
    STORED_KEY = "stored-key"
    LOGIN = "database-login"
    ACCOUNT = "system-account"
    """An account of the operating system that can read the installation's files."""
    BACKUP = "backup"
    EXPORT = "export"
    WITNESS = "witness"


LEFT = frozenset({DoorKind.BACKUP, DoorKind.EXPORT})
"""Kinds that have left the house: they are never gone, since nobody can tell what became of a copy."""


@dataclass(frozen=True, slots=True, order=True)
class Door:
    """A way into an organisation's data."""

    kind: DoorKind
    who: str
    through: str = ""
    can: tuple[str, ...] = ()
    where: str = ""
    by: str = ""
    since: str = ""
    """Moment from which it is known to be there, in ISO 8601, where that is before the count."""

    @property
    def name(self) -> str:
        """A short digest of everything that is said of it."""
        return hashlib.sha256(json.dumps(self.facts(), sort_keys=True).encode()).hexdigest()[:16]

    def facts(self) -> dict[str, str]:
        """Return the facts of its entry in the log."""
        facts = {
            "kind": self.kind.value,
            "who": self.who,
            "through": self.through,
            "can": _LISTS.join(self.can),
            "where": self.where,
            "by": self.by,
            "since": self.since,
        }
        return {name: _cut(value) for name, value in facts.items() if value}

    @classmethod
    def of(cls, facts: Mapping[str, str]) -> Self:
        """Read the facts of an entry; :class:`ValueError` for a kind that is not known."""
        named = {name: facts.get(name, "") for name in ("who", "through", "where", "by", "since")}
        can = tuple(each for each in facts.get("can", "").split(_LISTS) if each)
        return cls(DoorKind(facts.get("kind", "")), can=can, **named)


@dataclass(slots=True)
class _Seen:
    door: Door
    since: datetime
    gone: datetime | None = None


@dataclass(slots=True)
class Doors:
    """The counts of one organisation's ways, from the entries of its governance log in their order."""

    counted: list[datetime] = field(default_factory=list)
    """Moments of the counts."""
    _seen: list[_Seen] = field(default_factory=list)
    _open: dict[str, _Seen] = field(default_factory=dict)

    @classmethod
    def of(cls, entries: Iterable[LogEntry]) -> Self:
        """Return the counts that a log has; entries about other things are passed over."""
        doors = cls()
        for entry in entries:
            doors.take(entry)
        return doors

    def take(self, entry: LogEntry) -> None:
        """Fold one entry in."""
        at = entry.at.replace(microsecond=0)  # A day ends with its last second, all of it.
        match entry.event:
            case DoorEvent.GOV_DOORS_COUNTED:
                self.counted.append(at)
            case DoorEvent.GOV_DOOR_SEEN:
                try:
                    seen = _Seen(Door.of(entry.ids), at)
                except ValueError:
                    return  # A newer version counts kinds that this one does not know.
                self._seen.append(seen)
                self._open[entry.ids.get("door", "")] = seen
            case DoorEvent.GOV_DOOR_GONE:
                seen_before = self._open.pop(entry.ids.get("door", ""), None)
                if seen_before is not None:
                    seen_before.gone = at
            case _:
                pass

    def last_count(self, moment: datetime) -> datetime | None:
        """Return the moment of the last count until then."""
        return max((each for each in self.counted if each <= moment), default=None)

    def between(self, first: datetime, last: datetime) -> Iterator[tuple[Door, datetime, datetime | None]]:
        """Yield what was there at some moment from ``first`` to ``last``: since when, and until when."""
        for each in self._seen:
            if each.since <= last and (each.gone is None or each.gone > first):
                yield (
                    each.door,
                    each.since,
                    each.gone if each.gone is not None and each.gone <= last else None,
                )

    def changes(self, doors: Collection[Door]) -> tuple[list[Door], list[str]]:
        """Return those of ``doors`` that are new since the last count, and the names of those gone."""
        now = {each.name: each for each in doors}
        new = [door for name, door in now.items() if name not in self._open]
        gone = [name for name, seen in self._open.items() if name not in now and seen.door.kind not in LEFT]
        return new, gone


def _cut(value: str) -> str:
    return value if len(value) <= _MAX_FACT else f"{value[:_MAX_FACT]}…"
