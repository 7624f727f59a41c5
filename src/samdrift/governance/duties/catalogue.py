"""A catalogue of duties.

For each duty it has what the duty requires in our own words, its source, the parties it binds, the functions
it has to be passed on for, the part of the product that meets it, and what is left to people.

A catalogue is data with a version and a date. A later catalogue never removes a duty by itself: a duty that
it lacks stays in force for an organisation until two of its officers release it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, timedelta
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Any, Self, TypeVar

from samdrift.contracts.errors import Explained
from samdrift.governance.duties.officialtexts import Passage
from samdrift.rights.agreements import AgreementKind, Function
from samdrift.rights.canonical import visible

MAX_BYTES = 1024 * 1024
MAX_TEXT = 600

_ID = re.compile(r"[a-z0-9][a-z0-9.-]{0,63}")
_DIGEST = re.compile(r"[0-9a-f]{16}")
_FRESH = re.compile(r"P(?:(?P<days>[1-9]\d{0,3})D|T(?P<hours>[1-9]\d{0,2})H)")
_BOUND = ("all", "ap", "mk", "mt", "org", "persons")
_LANGUAGES = ("sv", "en")

Kind = TypeVar("Kind", bound=StrEnum)


class CatalogueUnfit(Explained):
    """Error raised for a catalogue that cannot be used; the text says where it is wrong."""

    def __init__(self, where: str, text: str) -> None:
        super().__init__(f"the catalogue of duties, {where}: {text}" if where else text)
        self.where = where


class PassOn(StrEnum):
    """The agreements that have to carry a duty."""

    CHAIN = "chain"
    """Every agreement down to the last supplier that performs a function to which the duty applies."""
    FIRST = "first"
    """Only the organisation's own agreement."""
    NO = "no"
    """None: the duty binds directly."""


@dataclass(frozen=True, slots=True)
class Text:
    """A text in Swedish and English."""

    sv: str
    en: str

    def of(self, language: str) -> str:
        """Return the text in a language."""
        return self.sv if language == "sv" else self.en


@dataclass(frozen=True, slots=True)
class Source:
    """A rulebook, annex, agreement or law that duties come from."""

    key: str
    title: str
    publisher: str
    version: str
    seen: bool
    """True when we have read the text itself in full."""
    text: str = ""
    """Name of the official text in a folder that the operator fills, without its version."""
    quotes: bool = False
    """True when the section numbers are those of another text that this one quotes."""
    replaced_by: tuple[str, ...] = ()
    note: Text | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """Evidence that the system collects: its collector, and its maximum age."""

    collector: str
    fresh: timedelta


@dataclass(frozen=True, slots=True)
class Duty:
    """A duty, with its source, the parties that it binds, and the evidence for it."""

    id: str
    source: Source
    section: str
    label: str
    level: str
    """The modal word of the source: ska, måste, bör, …"""
    bound: tuple[str, ...]
    functions: frozenset[Function]
    """Functions whose performer has to be bound to the duty."""
    pass_on: PassOn
    kinds: frozenset[AgreementKind]
    """Kinds of agreement that can carry it; if empty, every kind can."""
    says: Text
    control: Text
    evidence: Text
    people: Text | None
    collectors: tuple[Evidence, ...]
    seen: bool
    passage: Passage | None
    replaced_by: tuple[str, ...]

    @property
    def reference(self) -> str:
        """Source, version and section, in the form of a citation."""
        section = f", {self.section}" if self.section else ""
        label = f" [{self.label}]" if self.label else ""
        return f"{self.source.title} {self.source.version}{section}{label}"


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The duties in one version of the catalogue."""

    name: str
    version: str
    day: date
    applies: date
    """Date from which agreements have to carry its duties; until then new duties are only announced."""
    sources: Mapping[str, Source]
    duties: Mapping[str, Duty]

    @classmethod
    def read(cls, content: bytes) -> Self:
        """Read a catalogue; raise :class:`CatalogueUnfit`, naming the place, if it is malformed."""
        if len(content) > MAX_BYTES:
            raise CatalogueUnfit("", f"a catalogue of duties has at most {MAX_BYTES} bytes")
        try:
            value = json.loads(content, object_pairs_hook=_members)
        except (ValueError, RecursionError):
            raise CatalogueUnfit("", "the catalogue of duties is not JSON, or repeats a name") from None
        read = _Reader(value, "")
        sources = {key: _source(key, each) for key, each in read.table("sources").items()}
        for source in sources.values():
            _require(
                set(source.replaced_by) <= set(sources), f"sources.{source.key}.replaced_by", "no such source"
            )
        listed = [_duty(each, sources) for each in read.objects("duties")]
        duties = {duty.id: duty for duty in listed}
        _require(len(duties) == len(listed), "duties", "an identifier is repeated")
        for duty in listed:
            _require(set(duty.replaced_by) <= set(duties), f"{duty.id}.replaced_by", "no such duty")
        name, version = read.identifier("catalogue"), read.text("version", 32)
        found = cls(name, version, read.day("date"), read.day("applies"), sources, duties)
        _require(found.day <= found.applies, "applies", "it cannot apply before its date")
        read.end()
        return found

    @property
    def label(self) -> str:
        """Name and version, as cited in reports."""
        return f"{self.name}/{self.version}"


@dataclass(frozen=True, slots=True)
class Changes:
    """Differences between a catalogue and a later one."""

    added: tuple[str, ...]
    vanished: tuple[str, ...]
    altered: Mapping[str, tuple[str, ...]]
    """Names of the fields that differ, by duty."""

    @classmethod
    def between(cls, old: Catalogue, new: Catalogue) -> Self:
        """Compare a catalogue with a later one."""
        both = [key for key in new.duties if key in old.duties]
        altered = {key: _otherwise(old.duties[key], new.duties[key]) for key in both}
        return cls(
            tuple(key for key in new.duties if key not in old.duties),
            tuple(key for key in old.duties if key not in new.duties),
            {key: names for key, names in altered.items() if names},
        )


def in_force(catalogues: Sequence[Catalogue], day: date, released: Collection[str] = ()) -> dict[str, Duty]:
    """Return the duties that bind an organisation on a day.

    They are the duties of the newest catalogue that applies then, and the duties of earlier ones that
    have vanished since and are not ``released``. ``catalogues`` are in the order of their dates. The
    first one is also used for days before it applies, so that an older agreement is judged by the
    duties that are known. A duty of the newest catalogue cannot be released.
    """
    applying = _applying(catalogues, day)
    duties: dict[str, Duty] = {}
    for catalogue in applying:
        duties |= catalogue.duties
    known = applying[-1].duties if applying else {}
    return {key: duty for key, duty in duties.items() if key in known or key not in released}


def vanished(catalogues: Sequence[Catalogue], day: date, released: Collection[str] = ()) -> dict[str, Duty]:
    """Return the duties that bind on a day although the newest catalogue that applies then lacks them."""
    known = newest(catalogues, day).duties
    return {key: duty for key, duty in in_force(catalogues, day, released).items() if key not in known}


def newest(catalogues: Sequence[Catalogue], day: date) -> Catalogue:
    """Return the newest catalogue that applies on a day, or the first one if none applies yet."""
    return _applying(catalogues, day)[-1]


def _applying(catalogues: Sequence[Catalogue], day: date) -> list[Catalogue]:
    return [each for each in catalogues if each.applies <= day] or list(catalogues[:1])


@cache
def shipped() -> tuple[Catalogue, ...]:
    """Return the catalogues that come with this version of the program, newest last."""
    folder = files("samdrift.governance.duties")
    found = [Catalogue.read(each.read_bytes()) for each in folder.iterdir() if each.name.endswith(".json")]
    return tuple(sorted(found, key=lambda each: each.day))


def _otherwise(old: Duty, new: Duty) -> tuple[str, ...]:
    return tuple(each.name for each in fields(Duty) if getattr(old, each.name) != getattr(new, each.name))


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a name is repeated")
    return members


def _require(holds: bool, where: str, text: str) -> None:
    if not holds:
        raise CatalogueUnfit(where, text)


class _Reader:
    """The members of an object in the catalogue, each of which must be read exactly once."""

    def __init__(self, value: Any, where: str) -> None:
        _require(isinstance(value, dict), where, "expected an object")
        self._left: dict[str, Any] = dict(value)
        self._where = where

    def place(self, name: str) -> str:
        return f"{self._where}.{name}" if self._where else name

    def __contains__(self, name: str) -> bool:
        return name in self._left

    def take(self, name: str) -> Any:
        _require(name in self._left, self.place(name), "it is missing")
        return self._left.pop(name)

    def text(self, name: str, most: int = MAX_TEXT, least: int = 1) -> str:
        value = self.take(name)
        fits = (
            isinstance(value, str)
            and least <= len(value) <= most
            and visible(value)
            and value == value.strip()
        )
        _require(fits, self.place(name), f"expected a text of {least} to {most} visible characters")
        return str(value)

    def identifier(self, name: str) -> str:
        value = self.text(name, 64)
        _require(bool(_ID.fullmatch(value)), self.place(name), "expected a-z, 0-9, dots and hyphens")
        return value

    def flag(self, name: str) -> bool:
        value = self.take(name)
        _require(isinstance(value, bool), self.place(name), "expected true or false")
        return bool(value)

    def day(self, name: str) -> date:
        try:
            return date.fromisoformat(self.text(name, 10, 10))
        except ValueError:
            raise CatalogueUnfit(self.place(name), "a day is written as 2026-11-26") from None

    def texts(self, name: str, among: Iterable[str] | None = None) -> tuple[str, ...]:
        value = self.take(name) if name in self else []
        fits = isinstance(value, list) and all(isinstance(each, str) for each in value)
        known = None if among is None else set(among)
        _require(
            fits and len(set(value)) == len(value) and (known is None or set(value) <= known),
            self.place(name),
            "expected a list of known names, without repeats",
        )
        return tuple(value)

    def among(self, name: str, kind: type[Kind]) -> frozenset[Kind]:
        return frozenset(kind(each) for each in self.texts(name, kind))

    def both(self, name: str) -> Text:
        read = _Reader(self.take(name), self.place(name))
        found = Text(*(read.text(language) for language in _LANGUAGES))
        read.end()
        return found

    def table(self, name: str) -> dict[str, _Reader]:
        value = self.take(name)
        _require(isinstance(value, dict) and bool(value), self.place(name), "expected an object with members")
        return {key: _Reader(each, f"{name}.{key}") for key, each in value.items()}

    def objects(self, name: str) -> list[_Reader]:
        value = self.take(name) if name in self else []
        _require(isinstance(value, list), self.place(name), "expected a list of objects")
        return [_Reader(each, f"{self.place(name)}[{number}]") for number, each in enumerate(value)]

    def end(self) -> None:
        if self._left:
            raise CatalogueUnfit(self.place(min(self._left)), "there is no such field")


def _source(key: str, read: _Reader) -> Source:
    _require(bool(_ID.fullmatch(key)), read.place(""), "a source is named with a-z, 0-9, dots and hyphens")
    source = Source(
        key,
        read.text("title"),
        read.text("publisher"),
        read.text("version", 32),
        read.flag("seen"),
        read.identifier("text") if "text" in read else "",
        read.flag("quotes") if "quotes" in read else False,
        read.texts("replaced_by"),
        read.both("note") if "note" in read else None,
    )
    read.end()
    return source


def _duty(read: _Reader, sources: Mapping[str, Source]) -> Duty:
    source = read.text("source", 64)
    _require(source in sources, read.place("source"), "no such source")
    pass_on = read.text("pass_on")
    _require(pass_on in tuple(PassOn), read.place("pass_on"), "expected chain, first or no")
    duty = Duty(
        read.identifier("id"),
        sources[source],
        read.text("section", 64, 0),
        read.text("label", 4) if "label" in read else "",
        read.text("level", 16),
        read.texts("bound", _BOUND),
        read.among("functions", Function),
        PassOn(pass_on),
        read.among("kinds", AgreementKind),
        read.both("says"),
        read.both("control"),
        read.both("evidence"),
        read.both("people") if "people" in read else None,
        tuple(map(_evidence, read.objects("collectors"))),
        read.flag("seen"),
        _passage(_Reader(read.take("passage"), read.place("passage"))) if "passage" in read else None,
        read.texts("replaced_by"),
    )
    _require(bool(duty.bound), read.place("bound"), "a duty binds at least one party")
    _require(
        bool(duty.functions) == (duty.pass_on is not PassOn.NO),
        read.place("functions"),
        "a duty that is passed on concerns functions, and no other does",
    )
    _require(
        duty.passage is None or bool(duty.source.text), read.place("passage"), "its source names no text"
    )
    read.end()
    return duty


def _evidence(read: _Reader) -> Evidence:
    collector, fresh = read.identifier("collector"), _FRESH.fullmatch(read.text("fresh", 8))
    read.end()
    if fresh is None:
        raise CatalogueUnfit(read.place("fresh"), "an age is written as P1D or PT1H")
    return Evidence(collector, timedelta(days=int(fresh["days"] or 0), hours=int(fresh["hours"] or 0)))


def _passage(read: _Reader) -> Passage:
    words, digest = read.take("words"), read.text("digest", 16)
    fits = isinstance(words, int) and not isinstance(words, bool) and 2 < words < 200
    _require(
        fits and bool(_DIGEST.fullmatch(digest)), read.place("digest"), "expected words and their digest"
    )
    read.end()
    return Passage(words, digest)
