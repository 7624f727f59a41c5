"""The page on refusals by peer: access points with refused messages, how many, when and by which rules."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

from starlette.requests import Request
from starlette.responses import Response

from samdrift.administration.peers import PeerBreaches, by_peer
from samdrift.administration.queue import Refusal, TransferQueues
from samdrift.console.frame import Frame, Visit
from samdrift.console.opened import Open, at_each
from samdrift.web.pages import Wording

BACK = timedelta(days=30)
"""Period that the page covers."""
MOST = 1000
"""Maximum number of refusals that are read from one log, the latest first."""


class RefusalsPage:
    """The page on refusals."""

    def __init__(self, frame: Frame, opened: Open) -> None:
        self._frame = frame
        self._opened = opened

    async def show(self, request: Request, visit: Visit) -> Response:
        """Show the peers with refused messages, most refusals first."""
        gate, wording = (await self._opened()).gate, self._frame.wording(request)

        async def refused(queues: TransferQueues) -> list[Refusal]:
            return list(await queues.refused(MOST))

        answers, silent = await at_each(gate, visit.name, visit.proof, refused)
        nobodys = [Refusal("", entry) for entry in await gate.refused(MOST)]
        every = [*nobodys, *(each for _, found in answers for each in found)]
        since = visit.now - BACK
        peers = by_peer(every, since)
        recent = sum(each.entry.at >= since for each in every)
        return self._frame.page(
            request,
            "refusals.html",
            rows=[_row(each, wording) for each in peers],
            strangers=recent - sum(len(each.breaches) for each in peers),
            days=BACK.days,
            silent=silent,
            full=any(len(found) >= MOST for found in (nobodys, *(each for _, each in answers))),
            most=MOST,
        )


def _row(peer: PeerBreaches, wording: Wording) -> tuple[object, ...]:
    """Return a peer as a row: name and certificate, number, latest, and reasons with their rules."""
    reasons = Counter(each.reason for each in peer.breaches)
    rules = sorted({clause for each in peer.breaches for clause in each.clauses})
    formats = wording.formats
    return (
        (peer.party, peer.certificate[:16]),
        formats.number(len(peer.breaches)),
        formats.longer(peer.breaches[0].entry.at),
        (", ".join(f"{reason} ({number})" for reason, number in reasons.most_common()), ", ".join(rules)),
    )
