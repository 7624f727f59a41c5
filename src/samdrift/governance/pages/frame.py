"""The frame of the governance pages: the navigation at the side."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Any, Self

from starlette.requests import Request
from starlette.responses import Response

from samdrift.governance.pages.access import Seen, Visit
from samdrift.governance.pages.waiting import open_reviews, waiting
from samdrift.governance.pages.words import bands
from samdrift.web.pages import Pages, Wording, announce
from samdrift.web.texts import Phrase
from samdrift.web.views import Link, Section

TODAY, OWN_KEYS, OFFICERS_PAGE, RIGHTS_PAGE = "/", "/keys", "/officers", "/rights"
AGREEMENTS, REPORT, OPERATOR_VIEW, RECORD = "/agreements", "/report", "/operator-view", "/record"
UNSIGNED = f"{RIGHTS_PAGE}/unsigned"
CONSENTS, REVIEWS, INCIDENTS = "/consents", "/reviews", "/incidents"
PART = 50
"""Maximum number of lines of a long list on one page."""


@dataclass(frozen=True, slots=True)
class Part:
    """One page of a long list: lines ``first`` to ``last`` of ``count``, numbered from 1."""

    number: int
    count: int

    @classmethod
    def asked(cls, request: Request, count: int) -> Self:
        """Return the part that a request asks for, or the nearest existing one."""
        text = request.query_params.get("page", "")
        number = int(text) if text.isascii() and text.isdecimal() and len(text) < 7 else 1
        return cls(max(1, min(number, ceil(count / PART))), count)

    @staticmethod
    def first_of(number: int) -> int:
        """Return the number of the first line of a part."""
        return (number - 1) * PART + 1

    @property
    def first(self) -> int:
        """Number of its first line."""
        return self.first_of(self.number)

    @property
    def last(self) -> int:
        """Number of its last line."""
        return min(self.number * PART, self.count)

    @property
    def more(self) -> bool:
        """True if another part follows."""
        return self.last < self.count


class Frame:
    """Page rendering shared by all handlers."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages

    def wording(self, request: Request) -> Wording:
        """Return the wording for the language of a request."""
        return self._pages.wording(request)

    def page(
        self, request: Request, visit: Visit, template: str, status: int = 200, **context: Any
    ) -> Response:
        """Return a page with the navigation beside it."""
        own = {
            "sections": self._sections(request, visit),
            "officer": visit.seen is Seen.OFFICER,
            "names": visit.names,
        }
        announce(request, bands(visit.record, visit.names, visit.now))
        return self._pages.page(request, template, status, **own, **context)

    def _sections(self, request: Request, visit: Visit) -> tuple[Section, ...]:
        text, path = self.wording(request).text, request.url.path

        def link(phrase: Phrase, href: str, count: int = 0, *below: str) -> Link:
            inside = href != TODAY and path.startswith(f"{href}/")
            current = path == href or inside or any(path.startswith(each) for each in below)
            return Link(text(phrase), href, count, unread=count > 0, current=current)

        own = Section(text(Phrase("You")), (link(Phrase("Your keys"), OWN_KEYS),))
        officer = visit.seen is Seen.OFFICER
        asked = open_reviews(visit.record, visit.person, visit.now, officer=officer)
        if visit.seen is Seen.SIGNED_IN:
            links = [link(Phrase("A review"), f"{REVIEWS}/{number}", 1) for number, _ in asked]
            return (Section("", tuple(links)), own) if links else (own,)
        mine = len(asked) + sum(each.decides for each in waiting(visit.record, visit.person, visit.now))
        decided = (
            link(Phrase("Today"), TODAY, mine, "/decide"),
            link(Phrase("What the operator may see"), CONSENTS),
            link(Phrase("Who can read"), RIGHTS_PAGE),
            link(Phrase("Reviews"), REVIEWS),
            link(Phrase("Officers and keys"), OFFICERS_PAGE),
            link(Phrase("Agreements"), AGREEMENTS),
        )
        insight = (
            link(Phrase("Incidents"), INCIDENTS),
            link(Phrase("Compliance"), REPORT),
            link(Phrase("What operating sees"), OPERATOR_VIEW),
            link(Phrase("Signed statements"), RECORD),
        )
        return Section("", decided), Section(text(Phrase("Insight")), insight), own
