"""The list of what operating an installation shows of an organisation without its consent. Pure.

Every command, listener, route, metric, event of the operator's log and module with lines for the journal has
a line here that says what it shows, whether it opens the organisation's vault, and whose log records that. A
new one without a line fails the build (``tests/unit/governance/test_operatorview.py``), so that the list is
never older than the program.
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
    """Kinds of things that the operator meets an organisation's data by."""

    COMMAND = "command"
    LISTENER = "listener"
    ROUTE = "route"
    METRIC = "metric"
    EVENT = "event"
    JOURNAL = "journal"
    """Lines that the running program writes for its operator, by the module that writes them."""


class Sight(StrEnum):
    """Sorts of things that can be seen of an organisation."""

    COUNTS = "counts"
    AGES = "ages"
    SIZES = "sizes"
    IDENTIFIERS = "identifiers"
    """Ids of transfers, messages and persons."""
    SETTINGS = "settings"
    """Names of organisations, what is configured for them, their certificates and states of keys."""
    FILE = "file"
    """A file that whoever runs the command has already."""
    METADATA = "metadata"
    """Senders, recipients, persons and their rights: all but what a message says."""
    CONTENT = "content"


class Recorded(StrEnum):
    """Log that has an entry about it."""

    NONE = "none"
    OPERATOR = "operator"
    ORGANISATION = "organisation"
    BOTH = "both"

    @property
    def by_organisation(self) -> bool:
        """Return whether the organisation finds it in its own log."""
        return self in (Recorded.ORGANISATION, Recorded.BOTH)

    @property
    def by_operator(self) -> bool:
        """Return whether the operator's log has it."""
        return self in (Recorded.OPERATOR, Recorded.BOTH)


class Leave(StrEnum):
    """Grounds on which a command opens a vault and shows metadata or content."""

    CONSENT = "consent"
    """The organisation's consent, or an emergency, whose scope covers it."""
    RECORD = "record"
    """It is the record of what the organisation's people decide, consents among that, and no message."""
    OWN_KEY = "own-key"
    """It takes the key of the organisation's own message client."""
    BROUGHT = "brought"
    """It takes in what the organisation brings, and shows nothing that is here."""


@dataclass(frozen=True, slots=True)
class Line:
    """A thing that the operator can use or look at without asking, and what it shows."""

    kind: Kind
    name: str
    shows: tuple[Sight, ...]
    opens: bool
    """True when it opens an organisation's vault."""
    recorded: Recorded
    labels: frozenset[str]
    """Names of a metric's labels; a histogram's limits are not among them."""
    says: Text
    leave: Leave | None = None
    """Ground of a command that opens a vault and shows metadata or content."""

    @property
    def unrecorded(self) -> bool:
        """Return whether it opens a vault and the organisation's log says nothing of that."""
        return self.opens and not self.recorded.by_organisation

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Self:
        """Return the line of a JSON object."""
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
        """The line as JSON."""
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
    """Return the list as a page in Markdown."""
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
