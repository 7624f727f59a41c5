"""The pages on organisations and their checklists; the federation is asked only on request."""

from __future__ import annotations

from dataclasses import replace

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from samdrift.administration.administration import Administration
from samdrift.administration.checklist import Facts, Item, State, checklist, ready
from samdrift.administration.readiness import asking, gather, in_order, marks_lost, organisations_of
from samdrift.console.frame import Frame, Visit
from samdrift.console.opened import Open
from samdrift.console.words import STATES
from samdrift.vault.registry import RegistrationState
from samdrift.web.texts import Phrase
from samdrift.web.views import Kind
from samdrift.wire.errors import WireError
from samdrift.wire.identifiers import ParticipantIdentifier

_VAULTS = {
    RegistrationState.ACTIVE: (Phrase("active"), Kind.GOOD),
    RegistrationState.SUSPENDED: (Phrase("suspended"), Kind.WARNING),
    RegistrationState.CLOSING: (Phrase("being closed"), Kind.BAD),
}


class OrganisationPages:
    """The list of organisations, and the checklist of one."""

    def __init__(self, frame: Frame, opened: Open) -> None:
        self._frame = frame
        self._opened = opened

    async def show(self, request: Request, visit: Visit) -> Response:
        """Show every organisation with its vaults and missing items, as far as they are known locally."""
        installation = await self._opened()
        found = [await gather(installation, one, None, visit.now) for one in organisations_of(installation)]
        lines = [(facts, _lacking(facts)) for facts in in_order(found)]
        return self._frame.page(request, "organisations.html", lines=lines, vaults=_VAULTS)

    async def one(self, request: Request, visit: Visit) -> Response:
        """Show one organisation's checklist; with ``federation`` in the query, the federation is asked."""
        installation = await self._opened()
        organisation = _named(request, installation)
        asked = "federation" in request.query_params
        if asked:
            async with asking(installation.config, visit.now) as federation:
                facts = await gather(installation, organisation, federation, visit.now)
        else:
            facts = await gather(installation, organisation, None, visit.now)
        facts = replace(facts, lost_marks=await marks_lost(installation, organisation))
        items = checklist(facts)
        return self._frame.page(
            request,
            "organisation.html",
            facts=facts,
            items=items,
            states=STATES,
            ready=ready(items),
            lacking=len(_lacking(facts)),
            asked=asked,
        )


def _lacking(facts: Facts) -> list[Item]:
    return [item for item in checklist(facts) if item.state is State.MISSING]


def _named(request: Request, installation: Administration) -> ParticipantIdentifier:
    try:
        organisation = ParticipantIdentifier.parse(request.path_params["organisation"])
    except WireError:
        raise HTTPException(404) from None
    if organisation not in set(organisations_of(installation)):
        raise HTTPException(404)
    return organisation
