"""Ways into an organisation's data that no statement gives: keys, logins, clients, custodians, copies. Pure.

A database login or a backup is not signed for: it exists because the installation was set up that way. Such
ways are counted each time that a person asks who can reach the data, and those that are new or gone since the
last count are recorded in governance's log. The ways that existed on an earlier day are therefore read from
the log, and the answer is always the same.
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
"""Maximum length of a fact about a way, in characters, well below the limit of 1000 for log entries."""
_LISTS = " "
"""Separator of a list's members in a log entry; the members are names without spaces."""


class DoorEvent(AuditEvent):
    """An event of counting the ways into an organisation's data."""

    GOV_DOOR_SEEN = "gov:door:seen"
    """A way was found that did not exist at the last count."""
    GOV_DOOR_GONE = "gov:door:gone"
    """A way that existed at the last count is gone."""
    GOV_DOORS_COUNTED = "gov:door:counted"
    """All ways were counted; the entry has their number."""


class DoorKind(StrEnum):
    """Kinds of ways that statements do not give."""

    MEMBER = "member"
    """A person whom the sign-in service lists as a member of a group with a right."""
    MESSAGE_CLIENT = "message-client"
    SIGN_IN = "sign-in"
    """A service that authenticates people or message clients."""
    CUSTODIAN = "custodian"
    STORED_KEY = "stored-key"
    LOGIN = "database-login"
    ACCOUNT = "system-account"
    """An operating system account that can read the installation's files."""
    BACKUP = "backup"
    EXPORT = "export"
    WITNESS = "witness"


LEFT = frozenset({DoorKind.BACKUP, DoorKind.EXPORT})
"""Kinds whose copies have left the installation; they are never gone, because their fate is unknown."""


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
    """Moment, in ISO 8601, since which it is known to exist, if earlier than the count."""

    @property
    def name(self) -> str:
        """A short digest of all its facts."""
        return hashlib.sha256(json.dumps(self.facts(), sort_keys=True).encode()).hexdigest()[:16]

    def facts(self) -> dict[str, str]:
        """Return the facts of the way's log entry."""
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
        """Parse the facts of a log entry; raise :class:`ValueError` for an unknown kind."""
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
    """The counts of ways into one organisation's data, from its governance log entries in order."""

    counted: list[datetime] = field(default_factory=list)
    """Moments of the counts."""
    _seen: list[_Seen] = field(default_factory=list)
    _open: dict[str, _Seen] = field(default_factory=dict)

    @classmethod
    def of(cls, entries: Iterable[LogEntry]) -> Self:
        """Return the counts in a log, ignoring other entries."""
        doors = cls()
        for entry in entries:
            doors.take(entry)
        return doors

    def take(self, entry: LogEntry) -> None:
        """Add one log entry."""
        at = entry.at.replace(microsecond=0)  # A period includes all of its last second.
        match entry.event:
            case DoorEvent.GOV_DOORS_COUNTED:
                self.counted.append(at)
            case DoorEvent.GOV_DOOR_SEEN:
                try:
                    seen = _Seen(Door.of(entry.ids), at)
                except ValueError:
                    return  # A newer version counts kinds that are unknown here.
                self._seen.append(seen)
                self._open[entry.ids.get("door", "")] = seen
            case DoorEvent.GOV_DOOR_GONE:
                seen_before = self._open.pop(entry.ids.get("door", ""), None)
                if seen_before is not None:
                    seen_before.gone = at
            case _:
                pass

    def last_count(self, moment: datetime) -> datetime | None:
        """Return the moment of the last count until ``moment``."""
        return max((each for each in self.counted if each <= moment), default=None)

    def between(self, first: datetime, last: datetime) -> Iterator[tuple[Door, datetime, datetime | None]]:
        """Yield the ways that existed at any moment from ``first`` to ``last``, with beginning and end.

        The end is ``None`` if it is later than ``last``.
        """
        for each in self._seen:
            if each.since <= last and (each.gone is None or each.gone > first):
                yield (
                    each.door,
                    each.since,
                    each.gone if each.gone is not None and each.gone <= last else None,
                )

    def changes(self, doors: Collection[Door]) -> tuple[list[Door], list[str]]:
        """Return the ``doors`` that are new since the last count, and the names of those that are gone."""
        now = {each.name: each for each in doors}
        new = [door for name, door in now.items() if name not in self._open]
        gone = [name for name, seen in self._open.items() if name not in now and seen.door.kind not in LEFT]
        return new, gone


def _cut(value: str) -> str:
    return value if len(value) <= _MAX_FACT else f"{value[:_MAX_FACT]}…"
