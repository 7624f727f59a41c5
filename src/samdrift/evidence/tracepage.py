"""The path of a message as a page in one file, which loads nothing, needs no scripts, and can be printed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from gettext import NullTranslations
from pathlib import Path

from samdrift import __version__
from samdrift.evidence.trace import Step
from samdrift.evidence.traceview import FORMER, PLACES, erds, moments, stations, words
from samdrift.web.formats import Formats
from samdrift.web.pages import standalone
from samdrift.web.texts import OWN, Language, Phrase, Texts
from samdrift.web.views import StepState

_HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class _Station:
    text: str
    state: StepState
    at: datetime | None
    when: str
    """Its day and time, in whole seconds."""


@dataclass(frozen=True, slots=True)
class _Moment:
    text: str
    at: datetime | None


@dataclass(frozen=True, slots=True)
class _Line:
    """A step, as displayed on the page."""

    words: str
    at: datetime
    place: str
    number: int
    event: str
    erds: str | None
    principal: str
    ids: tuple[tuple[str, str], ...]


def trace_page(
    organisation: str, message_id: str, steps: Sequence[Step], now: datetime, language: Language
) -> bytes:
    """Return the page as one HTML file."""
    texts = Texts((OWN, _HERE / "locale"))
    translations = texts.of(language)
    return standalone(
        "trace.html",
        texts,
        language,
        now,
        _HERE / "templates",
        version=__version__,
        organisation=organisation,
        message_id=message_id,
        stations=[
            _Station(
                each.text.into(translations), each.state, each.at, _when(each.at, Formats(language, now))
            )
            for each in stations(steps, message_id)
        ],
        moments=[_Moment(each.text.into(translations), each.at) for each in moments(steps, message_id)],
        certificates=_signers(steps),
        logs=_logs(steps, translations),
        steps=[
            _Line(
                words(step).into(translations),
                step.at,
                _place(step, translations),
                step.number,
                step.what,
                erds(step, message_id),
                step.principal,
                tuple(sorted(step.ids.items())),
            )
            for step in steps
        ],
    )


def _when(at: datetime | None, formats: Formats) -> str:
    return f"{formats.day(at)} {at.astimezone(formats.zone):%H:%M:%S}" if at is not None else ""


def _place(step: Step, translations: NullTranslations) -> str:
    """Return the organisation and role in which a step took place."""
    former = f", {FORMER.into(translations)}" if step.former else ""
    return f"{step.organisation}, {PLACES[step.role].into(translations)}{former}"


def _logs(steps: Iterable[Step], translations: NullTranslations) -> list[str]:
    """Return the logs that the steps are in, with the numbers of their entries."""
    numbers: dict[str, list[int]] = {}
    for step in steps:
        numbers.setdefault(_place(step, translations), []).append(step.number)
    return [
        Phrase("%(place)s: entries %(numbers)s", {"place": place, "numbers": ", ".join(map(str, each))}).into(
            translations
        )
        for place, each in numbers.items()
    ]


def _signers(steps: Iterable[Step]) -> list[str]:
    """Return the subjects of the certificates that signed message and receipt, each once."""
    return list(dict.fromkeys(step.ids["signer"] for step in steps if "signer" in step.ids))
