"""The pages on queues: waiting transfers, single transfers with their attempts, retry and give up.

Retrying and giving up work as in ``samdrift queue``, with the same entries in the organisation's log under
the person's name. Only the ids of a transfer and the results of its attempts are shown.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from samdrift.administration.queue import TransferQueues
from samdrift.config.model import Config
from samdrift.console.frame import QUEUES, Frame, Visit
from samdrift.console.opened import Open, at_each
from samdrift.console.words import REASONS, STANDINGS, lasting
from samdrift.contracts.principals import Role
from samdrift.contracts.transfer import TransferReason, TransferState
from samdrift.vault.accesspoint import Standing
from samdrift.vault.gate import Gate
from samdrift.vault.records import TransferStatus
from samdrift.vault.transferdesk import TransferHistory
from samdrift.vault.transferrows import reason_and_detail
from samdrift.web.forms import Form
from samdrift.web.pages import Wording
from samdrift.web.texts import Phrase
from samdrift.wire.errors import WireError
from samdrift.wire.identifiers import ParticipantIdentifier

MOST = 1000
"""Maximum number of transfers of one organisation that are examined, the next ones due first."""
_MOST_LISTED = 50
_MAX_REASON = 200
Waiting = tuple[ParticipantIdentifier, TransferStatus]


class QueuePages:
    """Pages on waiting transfers."""

    def __init__(self, frame: Frame, config: Config, opened: Open) -> None:
        self._frame = frame
        self._config = config
        self._opened = opened

    async def show(self, request: Request, visit: Visit) -> Response:
        """Show waiting transfers by organisation and by reason, and list those that are stuck."""
        gate = (await self._opened()).gate

        async def waiting(queues: TransferQueues) -> list[TransferStatus]:
            return [status async for _, status in queues.waiting(MOST)]

        answers, silent = await at_each(gate, visit.name, visit.proof, waiting)
        every = [(organisation, status) for organisation, found in answers for status in found]
        stuck = [(whose, status) for whose, status in every if status.reason is not TransferReason.NONE]
        stuck.sort(key=lambda each: each[1].created_at)
        wording = self._frame.wording(request)
        return self._frame.page(
            request,
            "queues.html",
            number=len(every),
            reasons=_by_reason(every, visit, wording),
            organisations=_by_organisation(answers, visit, wording),
            stuck=stuck[:_MOST_LISTED],
            more=max(0, len(stuck) - _MOST_LISTED),
            silent=silent,
            reason_of=lambda status: REASONS[status.reason],
            attempts=self._attempts,
            full=any(len(found) >= MOST for _, found in answers),
            most=MOST,
        )

    async def transfer(self, request: Request, visit: Visit) -> Response:
        """Show one transfer with every attempt."""
        history = await self._history(request, visit)
        done = request.query_params.get("done", "")
        return self._transfer(request, history, {"retry": _HASTENED, "gave-up": _GAVE_UP}.get(done))

    async def retry(self, request: Request, visit: Visit, form: Form) -> Response:
        """Attempt a transfer now; this counts as one of its attempts."""
        queues, identifier = self._queues(request, visit, (await self._opened()).gate)
        stood = (await queues.retry(identifier, visit.now)).stood
        if stood is Standing.WAITING:
            return _to(request, "?done=retry")
        return self._nothing_done(request, await self._history(request, visit), stood)

    async def ask(self, request: Request, visit: Visit) -> Response:
        """Show the form that asks for the reason for giving up a transfer."""
        history = await self._history(request, visit)
        return self._asked(request, history, Form())

    async def give_up(self, request: Request, visit: Visit, form: Form) -> Response:
        """End a transfer as failed, with a reason that its sender is given."""
        why = form.required("reason", Phrase("Give a reason: the sender is notified."))
        if len(why) > _MAX_REASON or not why.isprintable():
            form.refuse("reason", Phrase("At most %(most)s characters on one line.", {"most": _MAX_REASON}))
        if form.errors:
            return self._asked(request, await self._history(request, visit), form, 422)
        queues, identifier = self._queues(request, visit, (await self._opened()).gate)
        stood = await queues.give_up(identifier, why, visit.now)
        if stood is Standing.WAITING:
            return _to(request, "?done=gave-up")
        return self._nothing_done(request, await self._history(request, visit), stood)

    def _queues(self, request: Request, visit: Visit, gate: Gate) -> tuple[TransferQueues, str]:
        """Return the queue and the transfer's id from the address; 404 for an unknown organisation."""
        try:
            organisation = ParticipantIdentifier.parse(request.path_params["organisation"])
        except WireError:
            raise HTTPException(404) from None
        if organisation not in gate.registry.organisations(Role.ACCESS_POINT):
            raise HTTPException(404)
        return TransferQueues(gate, visit.name, organisation, visit.proof), request.path_params["transfer"]

    async def _history(self, request: Request, visit: Visit) -> tuple[ParticipantIdentifier, TransferHistory]:
        queues, identifier = self._queues(request, visit, (await self._opened()).gate)
        found = await queues.history(identifier)
        if found is None:
            raise HTTPException(404)
        return found

    def _transfer(
        self,
        request: Request,
        found: tuple[ParticipantIdentifier, TransferHistory],
        notice: Phrase | None = None,
        status: int = 200,
    ) -> Response:
        organisation, history = found
        attempts = [(attempt.at, *reason_and_detail(attempt.error)) for attempt in history.attempts]
        return self._frame.page(
            request,
            "transfer.html",
            status,
            organisation=organisation,
            transfer=history.status,
            waits=history.status.state is TransferState.QUEUED,
            attempts=[(at, REASONS[reason], detail) for at, reason, detail in attempts],
            most=self._attempts,
            entries=[(entry.at, entry.event) for entry in history.log],
            reason=REASONS[history.status.reason],
            notice=notice,
        )

    def _asked(
        self,
        request: Request,
        found: tuple[ParticipantIdentifier, TransferHistory],
        form: Form,
        status: int = 200,
    ) -> Response:
        organisation, history = found
        if history.status.state is not TransferState.QUEUED:
            return self._transfer(request, found)
        return self._frame.page(
            request, "give_up.html", status, organisation=organisation, transfer=history.status, form=form
        )

    def _nothing_done(
        self, request: Request, found: tuple[ParticipantIdentifier, TransferHistory], stood: Standing
    ) -> Response:
        return self._transfer(request, found, STANDINGS[stood], 409)

    @property
    def _attempts(self) -> int | None:
        own = self._config.access_point
        return own.attempts if own is not None else None


_HASTENED = Phrase("It is attempted now.")
_GAVE_UP = Phrase("It has failed, and its sender is notified.")


def _by_reason(every: Sequence[Waiting], visit: Visit, wording: Wording) -> list[tuple[str, str, str]]:
    """Return the reasons, each with the number of transfers waiting and the age of the oldest."""
    counted = Counter(status.reason for _, status in every)
    oldest = {reason: min(one.created_at for _, one in every if one.reason is reason) for reason in counted}
    return [
        (
            wording.text(REASONS[reason]),
            wording.formats.number(number),
            wording.text(lasting(visit.now - oldest[reason])),
        )
        for reason, number in counted.most_common()
    ]


def _by_organisation(
    answers: Sequence[tuple[ParticipantIdentifier, list[TransferStatus]]], visit: Visit, wording: Wording
) -> list[tuple[str, str, str, str]]:
    """Return the organisations with waiting transfers, the one with the oldest first."""
    some = [(whose, found) for whose, found in answers if found]
    some.sort(key=lambda each: min(one.created_at for one in each[1]))
    return [
        (
            str(whose),
            wording.formats.number(len(found)),
            wording.formats.number(sum(one.reason is not TransferReason.NONE for one in found)),
            wording.text(lasting(visit.now - min(one.created_at for one in found))),
        )
        for whose, found in some
    ]


def _to(request: Request, query: str) -> RedirectResponse:
    organisation, transfer = (request.path_params[name] for name in ("organisation", "transfer"))
    return RedirectResponse(f"{QUEUES}/{organisation}/{transfer}{query}", 303)
