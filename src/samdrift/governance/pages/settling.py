"""The page on which officers sign unsigned rights over or leave them, and end those that are left.

Ending them takes two officers. The unsigned rights are in the message client's own vault. If it is locked, or
another process has its keys, the page reports that, and the operator's command shows them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from samdrift.contracts.principals import Purpose, Role
from samdrift.contracts.statements import NumberedStatement
from samdrift.governance.pages.access import Access, RouteOf, Seen, Visit
from samdrift.governance.pages.frame import UNSIGNED, Frame
from samdrift.governance.pages.signing import Signing
from samdrift.governance.pages.waiting import foreseen, waiting
from samdrift.governance.pages.words import RIGHTS, Telling, refusal
from samdrift.rights.copies import Contradiction, Copy
from samdrift.rights.folding import Effect, Holding
from samdrift.rights.record import GOOD, Entry
from samdrift.rights.settling import SettlementAsked
from samdrift.rights.settlingfold import settled_in
from samdrift.rights.statements import Act, Given, Rights, Statement
from samdrift.rights.unsigned import Unsigned, stated_again
from samdrift.vault.errors import VaultError
from samdrift.vault.gate import Gate
from samdrift.vault.messageclient import MessageClientVault
from samdrift.web.forms import Form
from samdrift.web.texts import Phrase
from samdrift.web.uploads import received

_PAGE = 500


@dataclass(frozen=True, slots=True)
class Line:
    """An unsigned right, as displayed on the page."""

    id: str
    """Digest of the statement that grants it."""
    number: str
    holding: Holding
    state: tuple[Phrase, str]
    why_not: Phrase | None
    """Reason why this person cannot sign it over; ``None`` if they can, or if it need not be signed."""
    asked: bool
    """True when this person can sign it over."""


class SettlingPages:
    """The page of unsigned rights."""

    def __init__(self, frame: Frame, access: Access, signing: Signing, gate: Gate) -> None:
        self._frame, self._access, self._signing, self._gate = frame, access, signing, gate
        self._vaults = gate.worker("governance", Role.MESSAGE_CLIENT)

    def routes(self) -> Sequence[RouteOf]:
        """Return the routes of the page."""
        return (
            ("GET", UNSIGNED, self.show, Seen.ROLE),
            ("POST", UNSIGNED, self.state, Seen.OFFICER),
        )

    async def show(self, request: Request, visit: Visit) -> Response:
        """Show every unsigned right, with those that the person can sign over first."""
        found, signed = await self._unsigned(visit), "signed" in request.query_params
        return self._page(request, visit, found, Form(), signed=signed)

    async def state(self, request: Request, visit: Visit) -> Response:
        """Ask the officer to sign a right over, or to sign the end of all rights that are left."""
        form, found = await received(request), await self._unsigned(visit)
        if found is None:
            raise HTTPException(404)
        asked = await self._signing.ask(request, visit, form, _act(form, found), UNSIGNED)
        return asked or self._page(request, visit, found, form, 422)

    async def _unsigned(self, visit: Visit) -> Unsigned | None:
        """Return the unsigned rights, or ``None`` if they have ended or this process cannot read them."""
        organisation, stated = visit.organisation, list[NumberedStatement]()
        if settled_in(visit.record) is not None:
            return None
        try:
            if self._gate.registry.find(organisation, Role.MESSAGE_CLIENT) is not None:
                async with self._vaults.open(organisation, Purpose.AUTHORISE) as vault:
                    stated = await _own_statements(vault)
            signed = visit.record.statements()
            # In a thread: folding everything may take seconds, and other pages must be answered meanwhile.
            return await asyncio.to_thread(_folded, organisation.value, stated, [*signed], visit.now)
        except (VaultError, Contradiction):
            return None

    def _page(
        self,
        request: Request,
        visit: Visit,
        found: Unsigned | None,
        form: Form,
        status: int = 200,
        *,
        signed: bool = False,
    ) -> Response:
        wait = waiting(visit.record, visit.person, visit.now)
        ends = [each.entry for each in wait if isinstance(each.entry.statement.act, SettlementAsked)]
        return self._frame.page(
            request,
            visit,
            "unsigned.html",
            status,
            known=found is not None,
            settled=settled_in(visit.record),
            lines=[] if found is None else _lines(found, visit, [each.entry for each in wait]),
            left=() if found is None else found.left,
            ends=[(each, found is not None and each.statement.act == found.settlement) for each in ends],
            may_end=found is not None and visit.seen is Seen.OFFICER,
            labels=RIGHTS,
            is_rights=lambda what: isinstance(what, Rights),
            telling=Telling(visit.record, visit.names, self._frame.wording(request)),
            form=form,
            signed=signed,
        )


def _lines(found: Unsigned, visit: Visit, wait: Sequence[Entry]) -> list[Line]:
    asked_for = [each.statement.act.what for each in wait if isinstance(each.statement.act, Given)]
    left, lines = found.left, []
    for each in found.holdings:
        open_still = each in left and each.given.what not in asked_for
        why_not = None
        if each not in left:
            state = Phrase("Signed"), "good"
        elif not open_still:
            state = Phrase("Waits for another officer"), "warning"
        else:
            state = Phrase("Nobody has signed it"), "warning"
            effect = foreseen(visit.record, visit.person, visit.now, stated_again(each.given, visit.now))
            why_not = None if effect in GOOD else _why_not(effect)
        digest = each.statements[0]
        may = open_still and why_not is None and visit.seen is Seen.OFFICER
        lines.append(Line(digest, found.copy.number_of(digest), each, state, why_not, may))
    return sorted(lines, key=lambda line: (not line.asked, line.holding not in left))


def _why_not(effect: Effect) -> Phrase:
    if effect is Effect.SELF:
        return Phrase("You have this right yourself: another officer must sign it.")
    return refusal(effect)


def _act(form: Form, found: Unsigned) -> Callable[[datetime], Act]:
    """Return the act in a form; respond with 404 for a right that need not be signed over."""
    if form["decision"] == "settle":
        settlement = found.settlement
        return lambda at: settlement
    for each in found.left:
        if form["decision"] == "over" and form["of"] == each.statements[0]:
            return partial(stated_again, each.given)
    raise HTTPException(404)


async def _own_statements(vault: MessageClientVault) -> list[NumberedStatement]:
    found = list[NumberedStatement]()
    while page := await vault.statements_after(len(found), _PAGE):
        found += page
    return found


def _folded(
    organisation: str, stated: Sequence[NumberedStatement], signed: Sequence[Statement], moment: datetime
) -> Unsigned | None:
    """Return the unsigned rights, or ``None`` if this program does not understand one of the statements."""
    copy = Copy.of(organisation, ((each.number, each.content) for each in stated))
    copy.include(signed)
    return None if copy.not_understood is not None else Unsigned.of(copy, moment)
