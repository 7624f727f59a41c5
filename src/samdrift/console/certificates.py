"""The page on certificates of keys in use, of the operator and of organisations, by date of expiry."""

from __future__ import annotations

import asyncio
from datetime import datetime

from starlette.requests import Request
from starlette.responses import Response

from samdrift.administration.administration import Administration
from samdrift.console.frame import Frame, Visit
from samdrift.console.opened import Open
from samdrift.console.words import KEYS
from samdrift.installation.expiry import Expiries, Expiry
from samdrift.installation.keyrows import WARNED
from samdrift.web.texts import Phrase
from samdrift.web.views import Kind

OPERATOR = "operator"
"""Name of the owner of the operator's own keys."""


def soonest(installation: Administration, now: datetime) -> list[Expiry]:
    """Return the certificates of all keys in use, the first to expire first."""
    gate = installation.gate
    looked = Expiries(installation.keys, gate.registry, lambda: now, per_organisation=True)
    return sorted(looked.found(now), key=lambda each: (each.until, each.owner, each.key.name))


class CertificatesPage:
    """The page on certificates."""

    def __init__(self, frame: Frame, opened: Open) -> None:
        self._frame = frame
        self._opened = opened

    async def show(self, request: Request, visit: Visit) -> Response:
        """Show every certificate in order of expiry."""
        found = await asyncio.to_thread(soonest, await self._opened(), visit.now)
        wording = self._frame.wording(request)
        text, formats = wording.text, wording.formats

        def state(each: Expiry) -> tuple[str, str, str]:
            left = (each.until - visit.now).days
            if each.until <= visit.now:
                return "", text(Phrase("has ended")), Kind.BAD
            days = text(Phrase("%(count)s days", {"count": left}))
            return "", days, Kind.WARNING if each.until - visit.now <= WARNED else Kind.GOOD

        rows = [
            (
                text(Phrase("The operator")) if each.owner == OPERATOR else each.owner,
                text(KEYS[each.key.name]) if each.key.name in KEYS else each.key.name.value,
                formats.longer(each.until),
                state(each),
                _command(each),
            )
            for each in found
        ]
        return self._frame.page(request, "certificates.html", rows=rows)


def _command(expiry: Expiry) -> str:
    if expiry.owner == OPERATOR:
        return f"samdrift keys request {expiry.key.name.value}"
    return f"samdrift org keys create {expiry.owner} {expiry.key.name.value}"
