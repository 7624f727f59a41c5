"""The list of everything that operating an installation shows of an organisation without its consent. Pure.

Every command, listener, route, metric, event of the operator's log and module that writes to the journal has
a line here. The line states what it shows, whether it opens the organisation's vault, and which log records
that. Anything new without a line fails the build (``tests/unit/governance/test_operatorview.py``), so that
the list always matches the program.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Any, Self

from samdrift.governance.duties.catalogue import Text


class Kind(StrEnum):
    """Kinds of channels through which the operator can see an organisation's data."""

    COMMAND = "command"
    LISTENER = "listener"
    ROUTE = "route"
    METRIC = "metric"
    EVENT = "event"
    JOURNAL = "journal"
    """Lines that the program writes to its journal for the operator, by the module that writes them."""


class Sight(StrEnum):
    """Kinds of data of an organisation that can be seen."""

    COUNTS = "counts"
    AGES = "ages"
    SIZES = "sizes"
    IDENTIFIERS = "identifiers"
    """Ids of transfers, messages and people."""
    SETTINGS = "settings"
    """Names of organisations, their configuration and certificates, and the state of their keys."""
    FILE = "file"
    """A file that the person who runs the command already has."""
    METADATA = "metadata"
    """Senders, recipients, people and their rights: everything except the content of messages."""
    CONTENT = "content"


class Recorded(StrEnum):
    """The log that records the use of a line."""

    NONE = "none"
    OPERATOR = "operator"
    ORGANISATION = "organisation"
    BOTH = "both"

    @property
    def by_organisation(self) -> bool:
        """Return whether the organisation's own log records it."""
        return self in (Recorded.ORGANISATION, Recorded.BOTH)

    @property
    def by_operator(self) -> bool:
        """Return whether the operator's log records it."""
        return self in (Recorded.OPERATOR, Recorded.BOTH)


class Leave(StrEnum):
    """Grounds that allow a command to open a vault and show metadata or content."""

    CONSENT = "consent"
    """A consent of the organisation, or an emergency, that covers what is shown."""
    RECORD = "record"
    """The command shows only the record of decisions by the organisation's people, not messages."""
    OWN_KEY = "own-key"
    """The command requires the key of the organisation's own message client."""
    BROUGHT = "brought"
    """The command imports data that the organisation provides, and does not show any stored data."""


@dataclass(frozen=True, slots=True)
class Line:
    """One channel open to the operator without asking, and the data that it shows."""

    kind: Kind
    name: str
    shows: tuple[Sight, ...]
    opens: bool
    """True when it opens an organisation's vault."""
    recorded: Recorded
    labels: frozenset[str]
    """Names of a metric's labels, without a histogram's bucket limits."""
    says: Text
    leave: Leave | None = None
    """Ground of a command that opens a vault and shows metadata or content; ``None`` for anything else."""

    @property
    def unrecorded(self) -> bool:
        """Return whether it opens a vault without an entry in the organisation's log."""
        return self.opens and not self.recorded.by_organisation

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Self:
        """Parse a line from its JSON object."""
        return cls(
            Kind(document["kind"]),
            document["name"],
            tuple(map(Sight, document["shows"])),
            document["opens"],
            Recorded(document["recorded"]),
            frozenset(document.get("labels", ())),
            Text(document["sv"], document["en"]),
            Leave(document["leave"]) if "leave" in document else None,
        )

    def document(self) -> dict[str, Any]:
        """Return the line as a JSON object."""
        labels = {"labels": sorted(self.labels)} if self.labels else {}
        leave = {"leave": self.leave.value} if self.leave else {}
        return {
            "kind": self.kind.value,
            "name": self.name,
            "shows": [each.value for each in self.shows],
            "opens": self.opens,
            "recorded": self.recorded.value,
            **leave,
            **labels,
            "sv": self.says.sv,
            "en": self.says.en,
        }


@cache
def lines() -> tuple[Line, ...]:
    """Return every line, in the order of the file."""
    content = (files("samdrift.governance") / "operatorview.json").read_bytes()
    return tuple(map(Line.read, json.loads(content)["lines"]))


_SHOWS = {
    Sight.COUNTS: Text("antal", "counts"),
    Sight.AGES: Text("åldrar", "ages"),
    Sight.SIZES: Text("storlekar", "sizes"),
    Sight.IDENTIFIERS: Text("id:n", "identifiers"),
    Sight.SETTINGS: Text("inställningar", "settings"),
    Sight.FILE: Text("en fil", "a file"),
    Sight.METADATA: Text("metadata", "metadata"),
    Sight.CONTENT: Text("innehåll", "content"),
}
_RECORDED = {
    Recorded.NONE: Text("ingens", "none"),
    Recorded.OPERATOR: Text("operatörens", "the operator's"),
    Recorded.ORGANISATION: Text("organisationens", "the organisation's"),
    Recorded.BOTH: Text("bådas", "both"),
}
_NOTHING = Text("ingenting", "nothing")
_TITLES = {
    Kind.COMMAND: Text("Kommandon som inte öppnar något valv", "Commands that open no vault"),
    Kind.LISTENER: Text("Lyssnare", "Listeners"),
    Kind.ROUTE: Text(
        "Vägar utan inloggning, på maskinen själv", "Routes without a login, on the machine itself"
    ),
    Kind.METRIC: Text("Mätvärden", "Metrics"),
    Kind.EVENT: Text("Händelser i operatörens logg", "Events of the operator's log"),
    Kind.JOURNAL: Text(
        "Programmets driftmeddelanden, efter modulen som skriver dem",
        "Lines of the program's journal, by the module that writes them",
    ),
}
_UNRECORDED = Text(
    "Kommandon som öppnar ett valv utan post i organisationens logg",
    "Commands that open a vault without an entry in the organisation's log",
)
_OPENING = Text(
    "Kommandon som öppnar ett valv, med post i organisationens logg",
    "Commands that open a vault, with an entry in the organisation's log",
)
_WITHIN = Text(
    "Kommandon som kräver organisationens samtycke", "Commands that take the organisation's consent"
)
_HEAD = Text(
    "# Vad driften ser utan att fråga\n\n"
    "Listan säger vad operatörens personal kan se av en organisation utan dess samtycke: varje kommando,\n"
    "lyssnare, väg, mätvärde, händelse i operatörens logg och driftmeddelande. Den följer med programmet,\n"
    "och det som saknar rad bryter bygget. Root på maskinen kan mer, se hotmodellen. Det som visar metadata\n"
    "eller innehåll står först, och körs bara inom organisationens samtycke så länge den har någon som kan\n"
    "ge ett. Sedan det som öppnar ett valv, med vems logg det står i.\n",
    "# What operating sees without asking\n\n"
    "For officers and for the operator. The list says what the operator's staff can see of an organisation\n"
    "without its consent: each command, listener, route, metric, event of the operator's log and kind of\n"
    "line in the journal. It comes with the program, and a new one without a line fails the build. Root on\n"
    "the machine can do more: see [the threat model](threat-model.md#what-remains). What shows metadata or\n"
    "content comes first: it runs within the organisation's [consent](officers.md#consent-to-the-operator)\n"
    "alone, as long as somebody there can give one. Then what opens a vault, with whose log has it.\n\n"
    "Made by `samdrift gov operator-view`, in Swedish with `--language sv`, as JSON with `--json`.\n",
)
_COLUMNS = (Text("namn", "name"), Text("visar", "shows"), Text("i vems logg", "in whose log"), Text("", ""))


def page(language: str) -> str:
    """Return the list as a Markdown page."""
    return "\n".join([_HEAD.of(language), *_sections(language)]).rstrip() + "\n"


def _sections(language: str) -> Iterator[str]:
    commands = [each for each in lines() if each.kind is Kind.COMMAND]
    within = [each for each in commands if each.leave is Leave.CONSENT]
    yield from _table(_WITHIN, within, language)
    opening = [each for each in commands if each.opens and each not in within]
    if unrecorded := [each for each in opening if each.unrecorded]:
        yield from _table(_UNRECORDED, unrecorded, language)
    yield from _table(_OPENING, [each for each in opening if not each.unrecorded], language)
    yield from _table(_TITLES[Kind.COMMAND], [each for each in commands if not each.opens], language)
    for kind in Kind:
        if kind is not Kind.COMMAND:
            yield from _table(_TITLES[kind], [each for each in lines() if each.kind is kind], language)


def _table(title: Text, rows: Sequence[Line], language: str) -> Iterable[str]:
    yield f"## {title.of(language)}\n"
    yield f"| {' | '.join(each.of(language) for each in _COLUMNS)} |".replace("|  |", "| |")
    yield "| --- | --- | --- | --- |"
    for row in rows:
        shows = ", ".join(_SHOWS[each].of(language) for each in row.shows) or _NOTHING.of(language)
        labels = f" ({', '.join(sorted(row.labels))})" if row.labels else ""
        recorded = _RECORDED[row.recorded].of(language)
        yield f"| `{row.name}`{labels} | {shows} | {recorded} | {row.says.of(language)} |"
    yield ""
