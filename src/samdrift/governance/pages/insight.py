"""Pages of agreements and their cover, the compliance report, the operator's view, and the record."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from starlette.requests import Request
from starlette.responses import Response

from samdrift.contracts.principals import Purpose, Role
from samdrift.governance.coverage import Basis, Missing, standing
from samdrift.governance.coverageview import picture
from samdrift.governance.duties.catalogue import vanished
from samdrift.governance.operatorview import Kind, lines
from samdrift.governance.pages.access import Access, RouteOf, Seen, Visit
from samdrift.governance.pages.entering import AT_END, Catalogues
from samdrift.governance.pages.frame import AGREEMENTS, OPERATOR_VIEW, RECORD, REPORT, Frame, Part
from samdrift.governance.pages.waiting import agreements_of
from samdrift.governance.pages.words import FORMS, FUNCTIONS, Telling, kind_of
from samdrift.governance.reportkeeping import read
from samdrift.rights.agreements import ROLES, Function, Party
from samdrift.vault.gate import Gate
from samdrift.web.texts import Phrase
from samdrift.wire.identifiers import ParticipantIdentifier

Performers = Callable[[ParticipantIdentifier], Mapping[Function, Party | None]]
"""Source of the functions that are switched on for an organisation, each with the party that performs it."""
_MISSING: Mapping[Missing, Phrase] = {
    Missing.PARTY: Phrase("The organisation has not stated which party it is."),
    Missing.AGREEMENT: Phrase("No agreement leads there."),
    Missing.CLAUSE: Phrase("No clause carries the duty."),
    Missing.KIND: Phrase("The agreement is of another kind."),
}
_STATUS: Mapping[str, tuple[Phrase, str]] = {
    "gap": (Phrase("Gap"), "bad"),
    "stale": (Phrase("Evidence too old"), "warning"),
    "silent": (Phrase("Nothing has happened"), "plain"),
    "held": (Phrase("Held"), "good"),
    "people's": (Phrase("Stays with people"), "plain"),
}
_KINDS: Mapping[Kind, Phrase] = {
    Kind.COMMAND: Phrase("Commands"),
    Kind.LISTENER: Phrase("Listeners"),
    Kind.ROUTE: Phrase("Routes without a login, on the machine itself"),
    Kind.METRIC: Phrase("Metrics"),
    Kind.EVENT: Phrase("Events of the operator’s log"),
    Kind.JOURNAL: Phrase("Lines of the program’s journal"),
}


class Insight:
    """Pages for everyone who has a role."""

    def __init__(
        self, frame: Frame, access: Access, gate: Gate, performers: Performers, catalogues: Catalogues
    ) -> None:
        self._frame, self._access, self._performers = frame, access, performers
        self._catalogues = catalogues
        self._vaults = gate.worker("pages", Role.GOVERNANCE)

    def routes(self) -> Sequence[RouteOf]:
        """Return the routes of these pages."""
        return (
            ("GET", AGREEMENTS, self.agreements, Seen.ROLE),
            ("GET", f"{AGREEMENTS}/chain.svg", self.chain, Seen.ROLE),
            ("GET", REPORT, self.report, Seen.ROLE),
            ("GET", OPERATOR_VIEW, self.operator_view, Seen.ROLE),
            ("GET", RECORD, self.record, Seen.ROLE),
        )

    async def agreements(self, request: Request, visit: Visit) -> Response:
        """Show the agreements, the picture of their chain, and the gaps."""
        basis = self._basis(visit)
        found = basis.at(visit.now)
        language = self._frame.wording(request).formats.language
        duties = {
            each.id: each.says.of(language)
            for catalogue in self._catalogues()
            for each in catalogue.duties.values()
        }
        return self._frame.page(
            request,
            visit,
            "agreements.html",
            found=found,
            register=found.register,
            waiting=found.register.waiting,
            standings=[standing(basis, each, visit.now) for each in Function if each in basis.performers],
            duties=duties,
            forms=FORMS,
            functions=FUNCTIONS,
            missing=_MISSING,
            at_end=AT_END[found.register.chosen(visit.now)],
            now=visit.now,
            vanished=vanished(self._catalogues(), visit.now.date(), found.register.released),
        )

    async def chain(self, request: Request, visit: Visit) -> Response:
        """Return the chain as a picture."""
        language = self._frame.wording(request).formats.language
        drawn = picture(self._basis(visit).at(visit.now), language)
        return Response(drawn, media_type="image/svg+xml")

    async def report(self, request: Request, visit: Visit) -> Response:
        """Show the newest compliance report."""
        async with self._vaults.open(visit.organisation, Purpose.READ) as vault:
            kept = await vault.last_report()
        at, made = (None, None) if kept is None else read(kept)
        order = list(_STATUS)
        rows = sorted(made["rows"], key=lambda row: order.index(row["status"])) if made else []
        return self._frame.page(request, visit, "report.html", made=made, at=at, rows=rows, statuses=_STATUS)

    async def operator_view(self, request: Request, visit: Visit) -> Response:
        """Show everything that the operator can see of the organisation without asking."""
        shown = lines()
        return self._frame.page(
            request,
            visit,
            "operator_view.html",
            opening=[each for each in shown if each.opens],
            groups=[
                (kind, phrase, [each for each in shown if each.kind is kind and not each.opens])
                for kind, phrase in _KINDS.items()
            ],
        )

    async def record(self, request: Request, visit: Visit) -> Response:
        """Show the record, newest statement first."""
        entries = visit.record.entries[::-1]
        part = Part.asked(request, len(entries))
        return self._frame.page(
            request,
            visit,
            "record.html",
            entries=entries[part.first - 1 : part.last],
            part=part,
            kind_of=kind_of,
            telling=Telling(visit.record, visit.names, self._frame.wording(request)),
        )

    def _basis(self, visit: Visit) -> Basis:
        performers = {
            function: party
            for function, party in self._performers(visit.organisation).items()
            if function in ROLES
        }
        return Basis(agreements_of(visit.record), list(self._catalogues()), performers)
