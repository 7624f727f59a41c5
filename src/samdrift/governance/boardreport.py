"""A report that compares the members of a joint board or municipal federation side by side.

It is for municipalities that share operation: a joint board (gemensam nämnd) is responsible for several of
them. For each duty the board sees the status in each member's own newest report, and how old that report is.
It sees nothing about the evidence, suppliers or people, which only the member itself sees.

A board sees a member only if the member's own officers have countersigned an agreement with it. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from typing import Any

from samdrift.governance.duties.catalogue import Duty, shipped
from samdrift.governance.report import Status
from samdrift.governance.reportpage import CLASSES, WORDS, age_text, whole_page
from samdrift.rights.agreementfold import Register
from samdrift.rights.agreements import Party, PartyKind
from samdrift.rights.fields import moment_text

_BOARDS = frozenset({PartyKind.JOINT_BOARD, PartyKind.MUNICIPAL_FEDERATION})
_TITLES = {
    "sv": ("Efterlevnad hos medlemmarna i {board}", "Rapport, ålder", "ingen rapport", "inte i dess katalog"),
    "en": ("Compliance of the members of {board}", "Report, age", "no report", "not in its catalogue"),
}


@dataclass(frozen=True, slots=True)
class Member:
    """A member and its newest report in machine-readable form, or ``None`` if it has no report."""

    organisation: str
    report: dict[str, Any] | None

    @property
    def at(self) -> datetime | None:
        """Moment at which its report was made, or ``None`` without one."""
        return None if self.report is None else datetime.fromisoformat(self.report["at"])

    def status(self, duty: str) -> Status | None:
        """Return the status of a duty: a gap without a report, ``None`` if the catalogue lacks it."""
        if self.report is None:
            return Status.GAP
        return next((Status(row["status"]) for row in self.report["rows"] if row["duty"] == duty), None)


def may_see(board: Party, register: Register) -> bool:
    """Return whether an organisation lists ``board`` as a board and has an agreement in force with it.

    ``register`` is the organisation's own register of agreements at the moment of the question.
    """
    named = register.parties.get(board)
    return (
        named is not None
        and named.form in _BOARDS
        and any(
            each.covers(register.moment) and board in (each.agreed.principal, each.agreed.performer)
            for each in register.agreements
        )
    )


def document(board: Party, members: Sequence[Member], moment: datetime) -> dict[str, Any]:
    """Return the report in machine-readable form."""
    return {
        "board": str(board),
        "at": moment_text(moment),
        "members": [
            {
                "organisation": each.organisation,
                "report_at": None if each.at is None else moment_text(each.at),
                "catalogue": None if each.report is None else each.report["catalogue"],
            }
            for each in members
        ],
        "rows": [
            {
                "duty": key,
                "reference": None if duty is None else duty.reference,
                "says": None if duty is None else {"sv": duty.says.sv, "en": duty.says.en},
                "statuses": {each.organisation: each.status(key) for each in members},
            }
            for key, duty in _duties(members).items()
        ],
    }


def page(board: Party, members: Sequence[Member], moment: datetime, language: str) -> str:
    """Return the report in a language as a self-contained HTML document without scripts."""
    words = WORDS[language]
    title, age, none, unknown = _TITLES[language]
    title = escape(title.format(board=board))
    ages = [none if each.at is None else age_text(moment - each.at, language) for each in members]
    parts = [
        f'<div class="members" role="region" aria-label="{title}" tabindex="0"><table><thead><tr>',
        f'<th scope="col">{escape(words["duty"])}</th>',
        *(f'<th scope="col">{escape(each.organisation)}</th>' for each in members),
        "</tr></thead><tbody>",
        f'<tr><th scope="row">{escape(age)}</th>',
        *(f"<td>{escape(each)}</td>" for each in ages),
        "</tr>",
        *(
            part
            for key, duty in _duties(members).items()
            for part in _row(key, duty, members, language, unknown)
        ),
        "</tbody></table></div>",
    ]
    return whole_page(title, parts, language, "board.css")


def _row(
    key: str, duty: Duty | None, members: Iterable[Member], language: str, unknown: str
) -> Iterable[str]:
    words = WORDS[language]
    said = "" if duty is None else duty.says.of(language)
    source = key if duty is None else f"{key}: {duty.reference}"
    yield f'<tr><th scope="row">{escape(said)} <span class="soft">{escape(source)}</span></th>'
    for each in members:
        status = each.status(key)
        shown = "" if status is None else f' class="status {CLASSES[status]}"'
        yield f"<td><span{shown}>{escape(unknown if status is None else words[status])}</span></td>"
    yield "</tr>"


def _duties(members: Iterable[Member]) -> dict[str, Duty | None]:
    """Return every duty in the members' reports, in the order in which they first appear.

    Duties are looked up in the catalogues that come with Samdrift. A duty that only a member's own catalogue
    defines has ``None``, so its text is not shown.
    """
    known = {key: duty for catalogue in shipped() for key, duty in catalogue.duties.items()}
    reports = [each.report["rows"] for each in members if each.report is not None]
    return {row["duty"]: known.get(row["duty"]) for rows in reports for row in rows}
