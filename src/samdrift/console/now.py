"""The *Now* page: running processes, the state of dependencies, and numbers of waiting items by reason."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from starlette.requests import Request
from starlette.responses import Response

from samdrift.config.model import Config
from samdrift.console.availability import GOAL
from samdrift.console.availabilitypage import AvailabilityPage
from samdrift.console.certificates import soonest
from samdrift.console.frame import AVAILABILITY, CERTIFICATES, ORGANISATIONS, QUEUES, Frame, Visit
from samdrift.console.opened import Open
from samdrift.console.words import DEPENDENCIES, EXAMINE, REASONS, TO_DO, lasting
from samdrift.contracts.errors import Explained, for_operator
from samdrift.installation.expiry import Expiry
from samdrift.installation.health import Condition
from samdrift.installation.keyrows import WARNED
from samdrift.installation.reporting import Running
from samdrift.installation.reports import Ask
from samdrift.web.pages import Wording
from samdrift.web.texts import Phrase
from samdrift.web.views import Kind


@dataclass(frozen=True, slots=True)
class Figure:
    """A number at the top of the page, with its caption and a link to details."""

    number: str
    text: Phrase
    href: str


class NowPage:
    """The first page, which does not need the database, so that it can show that the database is down."""

    def __init__(
        self, frame: Frame, config: Config, ask: Ask, opened: Open, availability: AvailabilityPage
    ) -> None:
        self._frame = frame
        self._config = config
        self._ask = ask
        self._opened = opened
        self._availability = availability

    async def show(self, request: Request, visit: Visit) -> Response:
        """Show the state of the installation as its processes report it."""
        wording, unheard = self._frame.wording(request), ""
        try:
            running = await self._ask()
        except (Explained, OSError) as error:
            running, unheard = (), str(error)
        conditions = merged(running)
        away = sorted(name for each in running for name, serves in each.workers.items() if not serves)
        unserved = sorted(
            role.value for role in self._config.roles - {role for each in running for role in each.roles}
        )
        gone = sum(each.gone_since is not None for each in conditions)
        figures, unopened = await self._figures(running, visit.now, wording)
        return self._frame.page(
            request,
            "now.html",
            figures=figures,
            unopened=unopened,
            troubles=gone + len(away) + len(unserved) + bool(unheard) + bool(unopened),
            running=running,
            unheard=unheard,
            unserved=unserved,
            away=away,
            workers=sum(len(each.workers) for each in running),
            dependencies=[_row(each, running, visit.now, wording) for each in conditions],
            held=_held(running, wording),
            held_unknown=self._config.metrics is None and any(each.workers for each in running),
            now=visit.now,
        )

    async def _figures(
        self, running: Sequence[Running], now: datetime, wording: Wording
    ) -> tuple[list[Figure], str]:
        """Return the figures, and the reason if those from the database are missing; otherwise ``""``."""
        number, ends, suspended, unopened = wording.formats.number, list[Expiry](), set[object](), ""
        try:
            installation = await self._opened()
            ends = await asyncio.to_thread(soonest, installation, now)
            suspended = {one.organisation for one in installation.gate.registry.all() if one.suspended}
        except Explained as error:
            unopened = for_operator(error)
        served = [
            one.identifier not in suspended
            and all(any(each.serves(one.identifier, role) for each in running) for role in one.roles)
            for one in self._config.organisations
        ]
        text = (
            Phrase("organisations, all served")
            if all(served)
            else Phrase("organisations, %(count)s not served", {"count": len(served) - sum(served)})
        )
        waiting = sum(one.number for each in running for one in each.held)
        found = [
            Figure(number(len(served)), text, ORGANISATIONS),
            Figure(number(waiting), Phrase("wait, for the reasons below"), QUEUES),
        ]
        month = await self._availability.current(now)
        if month is not None and month.availability is not None:
            values = {"month": wording.formats.month(now), "goal": number(GOAL * 100)}
            share = Phrase("reached in %(month)s, goal %(goal)s", values)
            found.append(Figure(f"{number(_floored(month.availability))} %", share, AVAILABILITY))
        if unopened:
            return found, unopened
        soon = sum(each.until - now <= WARNED for each in ends)
        found.append(
            Figure(
                number(soon),
                Phrase("certificates end within %(days)s days", {"days": WARNED.days}),
                CERTIFICATES,
            )
        )
        return found, ""


def merged(running: Iterable[Running]) -> list[Condition]:
    """Return each dependency once, missing ones first; one that any process misses counts as missing."""
    found: dict[tuple[str, str], Condition] = {}
    for each in running:
        for one in each.conditions:
            known = found.setdefault((one.dependency, one.at), one)
            if one.gone_since and (known.gone_since is None or one.gone_since < known.gone_since):
                found[one.dependency, one.at] = one
    return sorted(found.values(), key=lambda one: (one.gone_since is None, one.dependency, one.at))


def _row(one: Condition, running: Sequence[Running], now: datetime, wording: Wording) -> tuple[object, ...]:
    """Return a dependency as a row: name and place, state, since when, reason and command."""
    text, formats = wording.text, wording.formats
    name = text(DEPENDENCIES[one.dependency]) if one.dependency in DEPENDENCIES else one.dependency
    first = (name, one.at) if one.at else name
    if one.gone_since is not None:
        since = (text(lasting(now - one.gone_since)), formats.longer(one.gone_since))
        todo = text(Phrase("type: %(command)s", {"command": TO_DO.get(one.dependency, EXAMINE)}))
        return first, ("", text(Phrase("gone")), Kind.BAD), since, (one.reason, todo)
    began = one.there_since or min(each.since for each in running)
    since = (text(lasting(now - began)), formats.longer(began))
    return first, ("", text(Phrase("answers")), Kind.GOOD), since, _last(one, began, wording)


def _last(one: Condition, began: datetime, wording: Wording) -> object:
    """Return the last outage of an available dependency; a dash if it had none."""
    if one.last_gone is None:
        return "–"
    values = {
        "time": wording.text(lasting(began - one.last_gone)),
        "moment": wording.formats.longer(one.last_gone),
    }
    return wording.text(Phrase("gone %(time)s, %(moment)s", values)), one.last_reason


def _held(running: Iterable[Running], wording: Wording) -> list[tuple[str, ...]]:
    counted: Counter[tuple[str, str]] = Counter()
    for each in running:
        for one in each.held:
            counted[one.role, one.reason] += one.number
    return [
        (wording.text(REASONS[reason]) if reason in REASONS else reason, role, wording.formats.number(number))
        for (role, reason), number in counted.most_common()
    ]


def _floored(availability: float) -> float:
    """Return a share in per cent, rounded down to two decimals so that a missed goal never looks met."""
    return int(availability * 10_000) / 100
