"""Hints for log control: readings in an exported log that deserve a question, by repeatable rules.

A hint is not a finding. The person who read so much, at that hour, or in another person's case may have had
every reason to; the organisation asks, and records the outcome. Only people are considered: a system reads
what it is there to fetch, at any hour.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, tzinfo
from enum import StrEnum

from samdrift.audit.entries import LogEntry
from samdrift.audit.events import Retention
from samdrift.messageclient.events import MKEvent

_PERSON = "user:"
_SATURDAY = 5
_CASE = "case"
"""Fact in readings and changes that identifies the case: the conversation as handled here."""


class HintKind(StrEnum):
    """Rules by which readings stand out."""

    MANY = "many-readings"
    """A person read more on one day than the rule allows."""
    HOURS = "odd-hours"
    """A person read at night or at a weekend."""
    ANOTHERS = "anothers-case"
    """A person read in a case that another person was handling."""


@dataclass(frozen=True, slots=True)
class Rules:
    """The parameters of the rules, which an organisation fixes in advance."""

    many: int
    """Number of readings by a person on one day above which they are many."""
    begins: time
    ends: time
    """End of the normal hours, which begin at ``begins``, on weekdays."""
    zone: tzinfo


@dataclass(frozen=True, slots=True)
class Hint:
    """Readings by one person on one day that a rule singles out."""

    kind: HintKind
    person: str
    """A random id, as in the log."""
    day: date
    readings: int
    first: int
    last: int
    """Number of the last of these entries; ``first`` is that of the first."""
    case: str = ""
    handler: str = ""


class _Found:
    """Counts of readings that belong together."""

    def __init__(self) -> None:
        self._counts: dict[tuple[HintKind, str, date, str, str], tuple[int, int, int]] = {}

    def add(self, kind: HintKind, entry: LogEntry, day: date, case: str = "", handler: str = "") -> None:
        key = kind, entry.principal, day, case, handler
        count, first, _ = self._counts.get(key, (0, entry.sequence, 0))
        self._counts[key] = count + 1, first, entry.sequence

    def hints(self, many: int) -> Iterator[Hint]:
        for (kind, who, day, case, handler), (count, first, last) in self._counts.items():
            if kind is not HintKind.MANY or count > many:
                yield Hint(kind, who.removeprefix(_PERSON), day, count, first, last, case, handler)


def hints(entries: Iterable[LogEntry], rules: Rules) -> list[Hint]:
    """Return the hints in the order of their first entries, using memory for people and days only."""
    found, handlers = _Found(), dict[str, str]()
    for entry in entries:
        case = entry.ids.get(_CASE, "")
        if entry.event == MKEvent.MK_CONVERSATION_CHANGED:
            handlers[case] = entry.ids.get("handler", "")
        if entry.retention != Retention.READING or not entry.principal.startswith(_PERSON):
            continue
        local = entry.at.astimezone(rules.zone)
        found.add(HintKind.MANY, entry, local.date())
        if _odd(local, rules):
            found.add(HintKind.HOURS, entry, local.date())
        handler = handlers.get(case, "") if case else ""
        if handler and handler != entry.principal.removeprefix(_PERSON):
            found.add(HintKind.ANOTHERS, entry, local.date(), case, handler)
    return sorted(found.hints(rules.many), key=lambda hint: (hint.first, hint.kind))


def _odd(local: datetime, rules: Rules) -> bool:
    return local.weekday() >= _SATURDAY or not rules.begins <= local.time() < rules.ends
