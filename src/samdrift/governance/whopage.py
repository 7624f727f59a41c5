"""The answer to who can reach an organisation's data, as a page to read, print and keep.

It is a single file without scripts, and also answers who could reach the data, and who did what.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from html import escape
from typing import Any
from zoneinfo import ZoneInfo

from samdrift.governance.reportpage import whole_page

_SWEDEN = ZoneInfo("Europe/Stockholm")
_SOON_DAYS = 30
_WORDS: Mapping[str, Mapping[str, str]] = {
    "sv": {
        "who-can": "Vilka kan nå {organisation}",
        "who-could": "Vilka kunde nå {organisation}",
        "who-did": "Vilka gjorde vad i {organisation}",
        "moment": "Läget {to}, räknat ur undertecknade beslut och organisationens loggar.",
        "span": "Från {from} till {to}, räknat ur undertecknade beslut och organisationens loggar.",
        "counted": "Nycklar, inloggningar och kopior räknades senast {moment}.",
        "uncounted": "Nycklar, inloggningar och kopior var inte räknade då.",
        "came": "Tillkom",
        "went": "Försvann",
        "who": "Vem",
        "through": "Genom",
        "can": "Kan",
        "until": "Gäller",
        "used": "Senast här",
        "did": "Gjorde",
        "times": "Gånger",
        "decision": "beslut {numbers}, {by}",
        "since": "sedan {moment}",
        "to": "till {moment}",
        "ended": "avslutat {moment}",
        "days": "om {count} dagar",
        "unused": "inte använd på 90 dagar",
        "denied": "nekades",
        "none": "Ingen väg.",
        "person": "Person",
        "group": "Grupp",
        "member": "Genom grupp",
        "system": "System",
        "signing-key": "Nyckel för beslut",
        "supplier": "Leverantör",
        "operator-account": "Driftens konto",
        "message-client": "Meddelandeklient",
        "sign-in": "Inloggningstjänst",
        "custodian": "Nyckelförvaltare",
        "stored-key": "Nyckel",
        "database-login": "Databasinloggning",
        "system-account": "Systemkonto",
        "backup": "Säkerhetskopia",
        "export": "Export",
        "witness": "Vittne",
        "support-session": "Support",
        "read": "läsa",
        "write": "skriva",
        "approve": "godkänna",
        "manage": "ansvara",
        "administrator": "administratör",
        "security-officer": "säkerhetsansvarig",
        "decide": "besluta",
        "sign": "signera",
        "organisation": "hela organisationen",
    },
    "en": {
        "who-can": "Who can reach {organisation}",
        "who-could": "Who could reach {organisation}",
        "who-did": "Who did what in {organisation}",
        "moment": "As of {to}, computed from signed decisions and the organisation's logs.",
        "span": "From {from} to {to}, computed from signed decisions and the organisation's logs.",
        "counted": "Keys, logins and copies were counted last on {moment}.",
        "uncounted": "Keys, logins and copies had not been counted then.",
        "came": "Came",
        "went": "Went",
        "who": "Who",
        "through": "Through",
        "can": "Can",
        "until": "Valid",
        "used": "Last here",
        "did": "Did",
        "times": "Times",
        "decision": "decision {numbers}, {by}",
        "since": "since {moment}",
        "to": "until {moment}",
        "ended": "ended {moment}",
        "days": "in {count} days",
        "unused": "not used for 90 days",
        "denied": "denied",
        "none": "No path.",
        "person": "Person",
        "group": "Group",
        "member": "Through a group",
        "system": "System",
        "signing-key": "Key for decisions",
        "supplier": "Supplier",
        "operator-account": "Operator's account",
        "message-client": "Message client",
        "sign-in": "Sign-in service",
        "custodian": "Custodian",
        "stored-key": "Key",
        "database-login": "Database login",
        "system-account": "System account",
        "backup": "Backup",
        "export": "Export",
        "witness": "Witness",
        "support-session": "Support",
        "organisation": "the whole organisation",
    },
}
_MONTHS = {
    "sv": ["jan", "feb", "mars", "april", "maj", "juni", "juli", "aug", "sep", "okt", "nov", "dec"],
    "en": ["Jan", "Feb", "March", "April", "May", "June", "July", "Aug", "Sept", "Oct", "Nov", "Dec"],
}


def page(answer: Mapping[str, Any], names: Mapping[str, str], language: str) -> str:
    """Return an answer as an HTML document in a language; ``names`` has the names of people and mailboxes."""
    shown = _Page(answer, names, language)
    return whole_page(escape(shown.title), shown.body(), language, "who.css", "wide")


class _Page:
    def __init__(self, answer: Mapping[str, Any], names: Mapping[str, str], language: str) -> None:
        self._answer = answer
        self._names = names
        self._language = language
        self._words = _WORDS[language]
        self._to = datetime.fromisoformat(answer["to"])

    @property
    def title(self) -> str:
        return self._words[self._answer["question"]].format(organisation=self._answer["organisation"])

    def body(self) -> Iterator[str]:
        answer = self._answer
        moments = {each: self._moment(answer[each], clock=True) for each in ("from", "to")}
        text = self._words["moment" if answer["from"] == answer["to"] else "span"].format(**moments)
        yield f'<p class="soft">{escape(text)}</p>'
        if "deeds" in answer:
            yield from self._deeds(answer["deeds"])
            return
        counted = answer["doors_counted"]
        told = self._words["counted" if counted else "uncounted"]
        moment = self._moment(counted, clock=True) if counted else ""
        yield f'<p class="soft">{escape(told.format(moment=moment))}</p>'
        if "paths" in answer:
            yield from self._counts(answer["paths"])
            yield from self._paths(answer["paths"])
            return
        for each in ("came", "went"):
            yield f"<h2>{escape(self._words[each])}</h2>"
            yield from self._paths(answer[each])

    def _counts(self, paths: Sequence[Mapping[str, Any]]) -> Iterator[str]:
        counts = Counter(each["kind"] for each in paths)
        shown = "".join(
            f"<li><strong>{count}</strong> {escape(self._word(kind))}</li>" for kind, count in counts.items()
        )
        unused = sum(each["unused"] for each in paths)
        mark = f'<li class="warning"><strong>{unused}</strong> {escape(self._words["unused"])}</li>'
        yield f'<ul class="counts">{shown}{mark if unused else ""}</ul>'

    def _paths(self, paths: Sequence[Mapping[str, Any]]) -> Iterator[str]:
        if not paths:
            yield f"<p>{escape(self._words['none'])}</p>"
            return
        yield from self._table(("who", "through", "can", "until", "used"), map(self._path, paths))

    def _deeds(self, deeds: Sequence[Mapping[str, Any]]) -> Iterator[str]:
        if not deeds:
            yield f"<p>{escape(self._words['none'])}</p>"
            return
        yield from self._table(("who", "did", "times", "used"), map(self._deed, deeds))

    def _table(self, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
        heads = "".join(f'<th scope="col">{escape(self._words[each])}</th>' for each in columns)
        yield f'<table class="who"><thead><tr>{heads}</tr></thead><tbody>'
        for row in rows:
            cells = zip(columns, row, strict=True)
            labelled = (
                f'<td data-label="{escape(self._words[column])}">{cell}</td>' for column, cell in cells
            )
            yield f"<tr>{''.join(labelled)}</tr>"
        yield "</tbody></table>"

    def _path(self, path: Mapping[str, Any]) -> Sequence[str]:
        words = self._words
        since = words["since"].format(moment=self._moment(path["since"]))
        used = self._moment(path["used"]) if path["used"] else "–"
        numbers, by = ", ".join(path["statements"]), self._named(path["by"])
        decision = words["decision"].format(numbers=numbers, by=by) if numbers else by
        place = self._word(self._named(path["where"]))
        can = ", ".join(map(self._word, path["can"])) or "–"
        through = self._word(self._named(path["through"])) if path["through"] else self._word(path["kind"])
        return (
            _two(self._named(path["who"]), self._word(path["kind"])),
            _two(through, decision),
            _two(can, place),
            _two(self._until(path), since) + self._soon(path),
            escape(used) + (_mark(words["unused"]) if path["unused"] else ""),
        )

    def _until(self, path: Mapping[str, Any]) -> str:
        if path["ended"]:
            return self._words["ended"].format(moment=self._moment(path["ended"]))
        return self._words["to"].format(moment=self._moment(path["until"])) if path["until"] else "–"

    def _soon(self, path: Mapping[str, Any]) -> str:
        if path["ended"] or not path["until"]:
            return ""
        days = (datetime.fromisoformat(path["until"]) - self._to).days
        return _mark(self._words["days"].format(count=days)) if 0 <= days <= _SOON_DAYS else ""

    def _deed(self, deed: Mapping[str, Any]) -> Sequence[str]:
        denied = _mark(self._words["denied"]) if deed["denied"] else ""
        return (
            escape(self._named(deed["who"])),
            _two(deed["did"], self._named(deed["where"])) + denied,
            escape(str(deed["times"])),
            _two(self._moment(deed["last"], clock=True), self._moment(deed["first"], clock=True)),
        )

    def _named(self, text: str) -> str:
        return self._names.get(text, text)

    def _word(self, text: str) -> str:
        return self._words.get(text, text)

    def _moment(self, text: str, *, clock: bool = False) -> str:
        at = datetime.fromisoformat(text).astimezone(_SWEDEN)
        day = f"{at.day} {_MONTHS[self._language][at.month - 1]} {at.year}"
        return f"{day} {at:%H:%M}" if clock else day


def _two(first: str, second: str) -> str:
    return escape(first) + (f'<br><small class="soft">{escape(second)}</small>' if second else "")


def _mark(text: str) -> str:
    return f'<br><span class="status warning">{escape(text)}</span>'
