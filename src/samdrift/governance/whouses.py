"""Uses of an organisation's data according to its logs: who did what, where, and when last. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from samdrift.audit.entries import LogEntry
from samdrift.rights.fields import moment_text

_DENIED = ("vault:opening:denied", "mk:access:denied", "mk:sign-in:refused", "mt:token:refused")
_DENIED_TOO = ("mt:client:denied", "gov:statement:refused", "gov:page:refused")
DENIED = frozenset((*_DENIED, *_DENIED_TOO))
"""Events of denied attempts, which are not uses."""
_KINDS = {"user": "person", "system": "system", "operator": "operator", "worker": "worker"}
_BY_NAME = frozenset({"org:command:run", "log:export:written"})
"""Events whose facts name the member of the operator's staff who acts."""


@dataclass(frozen=True, slots=True, order=True)
class Deed:
    """A kind of act by one actor in one place."""

    actor: str
    """`person:ID`, `system:ID`, `operator:NAME`, `custodian:NAME` or `worker:NAME`."""
    event: str
    where: str
    """A mailbox, or empty."""


@dataclass(slots=True)
class Count:
    """Number of times that something was done, with the first and last time."""

    first: datetime
    last: datetime
    times: int = 1


@dataclass(slots=True)
class Uses:
    """Deeds in a period, collected from the logs that could be read."""

    first: datetime
    last: datetime
    roles: set[str] = field(default_factory=set)
    """Roles whose logs were read completely."""
    deeds: dict[Deed, Count] = field(default_factory=dict)
    _last: dict[tuple[str, str], datetime] = field(default_factory=dict)

    def take(self, entries: Iterable[LogEntry]) -> None:
        """Count the entries in the period, ignoring others."""
        for entry in entries:
            at = entry.at.replace(microsecond=0)  # A period includes all of its last second.
            if self.first <= at <= self.last:
                for actor in actors_of(entry):
                    self._count(Deed(actor, entry.event, entry.ids.get("mailbox", "")), at)

    def last_use(self, actor: str, where: str = "") -> datetime | None:
        """Return when an actor last did something that was not denied, in a mailbox, or anywhere.

        ``where`` is the mailbox; if it is empty, every place counts.
        """
        return self._last.get((actor, where))

    def actors(self, kind: str) -> dict[str, Count]:
        """Return the actors of a kind that did something that was not denied, and when."""
        found: dict[str, Count] = {}
        for deed, count in self.deeds.items():
            if deed.actor.startswith(f"{kind}:") and deed.event not in DENIED:
                known = found.setdefault(deed.actor, Count(count.first, count.last, 0))
                known.first, known.last = min(known.first, count.first), max(known.last, count.last)
                known.times += count.times
        return found

    def _count(self, deed: Deed, at: datetime) -> None:
        count = self.deeds.get(deed)
        if count is None:
            self.deeds[deed] = Count(at, at)
        else:
            count.first, count.last = min(count.first, at), max(count.last, at)
            count.times += 1
        if deed.event not in DENIED:
            for place in {deed.where, ""}:
                before = self._last.get((deed.actor, place))
                self._last[deed.actor, place] = at if before is None else max(before, at)


def actors_of(entry: LogEntry) -> list[str]:
    """Return the actors in a log entry.

    These are its principal and the client through which a person acts or, for some events, the person
    or custodians named in it.
    """
    kind, _, name = entry.principal.partition(":")
    if entry.event in _BY_NAME and entry.ids.get("by"):
        return [f"operator:{entry.ids['by']}"]
    if entry.event.startswith("gov:statement:") and entry.ids.get("by"):
        return [entry.ids["by"]]
    if entry.event.startswith("gov:page:") and entry.ids.get("person"):
        return [f"person:{entry.ids['person']}"]
    if entry.event.startswith("custody:"):
        named = dict.fromkeys(entry.ids[each] for each in ("first", "second") if entry.ids.get(each))
        return [f"custodian:{each}" for each in named]
    through = entry.ids.get("through", "")
    return [f"{_KINDS.get(kind, kind)}:{name}", *([f"system:{through}"] if through else [])]


def deeds_document(uses: Uses) -> list[dict[str, Any]]:
    """Return deeds in machine-readable form, in order."""
    return [
        {
            "who": deed.actor,
            "did": deed.event,
            "denied": deed.event in DENIED,
            "where": deed.where,
            "times": count.times,
            "first": moment_text(count.first),
            "last": moment_text(count.last),
        }
        for deed, count in sorted(uses.deeds.items())
    ]


def deeds_rows(document: Mapping[str, Any]) -> list[list[str]]:
    """Return the deeds of a document as rows of a table, after a row of column names."""
    names = ["who", "did", "denied", "where", "times", "first", "last"]
    return [names, *([str(each[name]) for name in names] for each in document["deeds"])]
