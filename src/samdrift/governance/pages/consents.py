"""Consents: what the operator's staff ask to see, what they see now, and what they have seen.

An officer decides a request from the page alone: who asks, for which reason, how much of what and for how
long, who else can approve, and how many it still takes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from starlette.requests import Request
from starlette.responses import Response

from samdrift.contracts.principals import Purpose, Role
from samdrift.governance.consent import Opened
from samdrift.governance.pages.access import Access, RouteOf, Seen, Visit
from samdrift.governance.pages.directory import Names
from samdrift.governance.pages.frame import CONSENTS, Frame
from samdrift.governance.pages.waiting import foreseen
from samdrift.governance.pages.words import EXTENTS
from samdrift.rights.consentfold import Consent, Stage, approvers, consents_of
from samdrift.rights.consents import ExtentKind, Ground
from samdrift.rights.folding import Effect
from samdrift.rights.statements import Approved, Ended
from samdrift.vault.gate import Gate
from samdrift.web.texts import Phrase

_USES_SHOWN = 50
"""Consents whose uses are counted for a page: those before have theirs in the log."""
GROUNDS: Mapping[Ground, Phrase] = {
    Ground.CASE: Phrase("The organisation’s own case"),
    Ground.OUTAGE: Phrase("An outage"),
    Ground.SECURITY: Phrase("Security"),
    Ground.LAWFUL_DEMAND: Phrase("A demand by law"),
    Ground.FEDERATION: Phrase("The federation’s support"),
}
_STAGES: Mapping[Stage, tuple[Phrase, str]] = {
    Stage.WAITING: (Phrase("Waits for a decision"), "warning"),
    Stage.LAPSED: (Phrase("Lapsed: nobody approved it in time"), "plain"),
    Stage.DECLINED: (Phrase("Refused"), "plain"),
    Stage.IN_FORCE: (Phrase("In force"), "warning"),
    Stage.REVOKED: (Phrase("Revoked"), "plain"),
    Stage.OVER: (Phrase("Over"), "plain"),
}


@dataclass(frozen=True, slots=True)
class Line:
    """A request, or an emergency, as a page shows it."""

    id: str
    who: str
    what: Phrase
    where: str
    """The mailbox, message or span of time."""
    ground: Phrase
    ticket: str
    minutes: int
    asked: datetime
    until: datetime | None
    waits_until: datetime
    state: tuple[Phrase, str]
    emergency: bool
    red: bool
    """True for an emergency that has no account in time."""
    missing: int
    approvers: tuple[str, ...]
    approved_by: tuple[str, ...]
    may_approve: bool
    may_end: bool
    opened: Opened | None = None
    """Its uses, once it has begun."""


class ConsentPages:
    """Pages of consents."""

    def __init__(self, frame: Frame, access: Access, gate: Gate) -> None:
        self._frame, self._access = frame, access
        self._vaults = gate.worker("pages", Role.GOVERNANCE)

    def routes(self) -> Sequence[RouteOf]:
        """Return the routes; a decision is taken on the page of the request's statement."""
        return (("GET", CONSENTS, self.show, Seen.ROLE),)

    async def show(self, request: Request, visit: Visit) -> Response:
        """Show everything that was asked for, what waits first."""
        by_stage: dict[Stage, list[Line]] = {}
        asked = tuple(reversed(consents_of(visit.record).all()))
        opened = await self._opened(visit, [each for each in asked if each.begins is not None])
        for each in asked:
            line = replace(line_of(each, visit), opened=opened.get(each.id))
            by_stage.setdefault(each.stage(visit.now), []).append(line)
        waiting, running = by_stage.pop(Stage.WAITING, []), by_stage.pop(Stage.IN_FORCE, [])
        past = sorted(
            (one for rows in by_stage.values() for one in rows), key=lambda one: one.asked, reverse=True
        )
        return self._frame.page(request, visit, "consents.html", waiting=waiting, running=running, past=past)

    async def _opened(self, visit: Visit, begun: Sequence[Consent]) -> dict[str, Opened]:
        """Return what was opened within the newest of some consents, by the log of governance."""
        async with self._vaults.open(visit.organisation, Purpose.READ) as vault:
            return {each.id: Opened.of(await vault.find_log(each.id)) for each in begun[:_USES_SHOWN]}


def line_of(consent: Consent, visit: Visit) -> Line:
    """Return a request in words, with what the person can do about it."""
    act, names, now = consent.act, visit.names, visit.now
    officer = visit.seen is Seen.OFFICER
    approval = foreseen(visit.record, visit.person, now, Approved(consent.id))
    ending = foreseen(visit.record, visit.person, now, Ended(of=consent.id))
    return Line(
        consent.id,
        names.of(act.to),
        EXTENTS[act.extent.kind, act.level],
        where(consent, names),
        GROUNDS[act.ground],
        act.ticket,
        int(act.lasts.total_seconds() // 60),
        consent.statement.at,
        consent.end if consent.stage(now) is Stage.IN_FORCE else None,
        consent.waits_until,
        _STAGES[consent.stage(now)],
        consent.emergency,
        consent.unanswered(now),
        consent.missing,
        tuple(names.of(each) for each in approvers(visit.record, consent, now)),
        tuple(names.of(who) for who, _, _ in consent.approvals),
        officer and approval in (Effect.TAKEN, Effect.WAITING),
        officer and ending is Effect.TAKEN,
    )


def where(consent: Consent, names: Names) -> str:
    """Return the mailbox by its name, or the message or the span of time as it is written."""
    extent = consent.act.extent
    if extent.kind is ExtentKind.MAILBOX:
        return names.mailboxes.get(extent.id, extent.id)
    return str(extent).partition(":")[2]
