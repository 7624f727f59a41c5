"""Pages about notices: the events that a person is notified of by e-mail, and a mailbox's staffed hours."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from samdrift.contracts.clock import Clock
from samdrift.contracts.principals import Principal, PrincipalKind, Purpose, Role
from samdrift.messageclient.administering.frame import sections
from samdrift.messageclient.entrance.access import Access, Visit
from samdrift.messageclient.events import MKEvent
from samdrift.messageclient.notices.manning import (
    MAX_CLOSED,
    MAX_HOURS,
    MAX_TEXT,
    Hours,
    Manning,
    is_mail_address,
)
from samdrift.messageclient.notices.worker import How
from samdrift.rights import Right
from samdrift.vault.gate import Gate
from samdrift.vault.mailrecords import MailboxRecord
from samdrift.vault.messageclient import MessageClientVault
from samdrift.web.forms import Form
from samdrift.web.pages import Pages
from samdrift.web.texts import Phrase
from samdrift.web.uploads import received

TEMPLATES = Path(__file__).parent / "templates"
LOCALE = Path(__file__).parent / "locale"
_NUMBER = re.compile(r"[0-9]{1,3}")
_TIME = re.compile(r"([01]?\d|2[0-4])[:.]([0-5]\d)")
_PERIOD = re.compile(" ?[–—] ?| - ")
"""Separator between two days. White space is collapsed first, as matching long runs takes quadratic time."""
_END_OF_DAY = 24 * 60
_DAYS = (
    Phrase("Monday"),
    Phrase("Tuesday"),
    Phrase("Wednesday"),
    Phrase("Thursday"),
    Phrase("Friday"),
    Phrase("Saturday"),
    Phrase("Sunday"),
)
_NO_ADDRESS = Phrase("Enter an email address such as namn@kommun.se")
_SO_MANY_DAYS = Phrase("That is too many days: 400 at most")
_NO_TIME = Phrase("Enter times such as 08:00 and 17:00, the later one last, or leave both empty")


class NoticePages:
    """Pages about notices, and about the staffed hours of an organisation's mailboxes."""

    def __init__(self, pages: Pages, access: Access, gate: Gate, clock: Clock) -> None:
        self._pages = pages
        self._access = access
        self._gate = gate
        self._clock = clock

    def routes(self) -> tuple[Route, ...]:
        """Return the routes of these pages."""
        return (
            Route("/notices", self._access.page_endpoint(self.choice_form), methods=["GET"]),
            Route("/notices", self._access.form_endpoint(self.choose), methods=["POST"]),
            Route("/manning/{mailbox}", self._access.page_endpoint(self.manning_form), methods=["GET"]),
            Route("/manning/{mailbox}", self._access.form_endpoint(self.man), methods=["POST"]),
        )

    # --- what a person is told ----------------------------------------------------------------------------

    async def choice_form(self, request: Request, visit: Visit) -> Response:
        """Show the mailboxes that the person is notified of by e-mail."""
        async with self._opened(visit, Purpose.READ) as vault:
            mailboxes = [one for one in await vault.mailboxes() if visit.permissions.may(Right.READ, one.id)]
            kept = (await vault.notice_choices()).get(visit.person.id, {})
        return self._choices(request, visit, mailboxes, Form(_fields_of_choice(kept)))

    async def choose(self, request: Request, visit: Visit) -> Response:
        """Store the person's choice of notices."""
        form = await received(request)
        async with self._opened(visit, Purpose.PROCESS) as vault:
            mailboxes = [one for one in await vault.mailboxes() if visit.permissions.may(Right.READ, one.id)]
            chosen = {one.id: form[f"box-{one.id}"] for one in mailboxes if form[f"box-{one.id}"] in set(How)}
            address = form["address"].strip()
            if (chosen or address) and not is_mail_address(address):
                form.refuse("address", _NO_ADDRESS)
            hour = form["hour"]
            if hour not in _HOURS:
                form.refuse("hour", Phrase("Choose an hour"))
            if not form.errors:
                content = {"address": address, "mailboxes": chosen, "hour": int(hour)}
                vault.keep_notice_choice(visit.person.id, content)
                vault.record(MKEvent.MK_NOTICE_CHOSEN, mailboxes=" ".join(sorted(chosen)))
        if form.errors:
            return self._choices(request, visit, mailboxes, form, 422)
        return RedirectResponse("/notices?kept=1", 303)

    def _choices(
        self,
        request: Request,
        visit: Visit,
        mailboxes: Sequence[MailboxRecord],
        form: Form,
        status: int = 200,
    ) -> Response:
        named = sorted(mailboxes, key=lambda one: one.name.casefold())
        context = {"mailboxes": named, "form": form, "hours": _HOURS}
        return self._page(request, visit, "notices.html", status, **context)

    # --- manning ------------------------------------------------------------------------------------------

    async def manning_form(self, request: Request, visit: Visit) -> Response:
        """Show the staffed hours of a mailbox."""
        mailbox, manning = await self._managed(request, visit)
        return self._manning(request, visit, mailbox, Form(_fields_of_manning(manning)))

    async def man(self, request: Request, visit: Visit) -> Response:
        """Store the staffed hours of a mailbox."""
        form = await received(request)
        mailbox, _ = await self._managed(request, visit)
        manning = _manning_of(form)
        if manning is None:
            return self._manning(request, visit, mailbox, form, 422)
        async with self._opened(visit, Purpose.ADMINISTER) as vault:
            vault.keep_manning(mailbox.id, manning.content(), now=self._clock())
            vault.record(MKEvent.MK_MAILBOX_CHANGED, mailbox=mailbox.id, action="manning")
        return RedirectResponse(f"/manning/{mailbox.id}?kept=1", 303)

    def _manning(
        self, request: Request, visit: Visit, mailbox: MailboxRecord, form: Form, status: int = 200
    ) -> Response:
        context = {"mailbox": mailbox, "form": form, "days": tuple(enumerate(_DAYS))}
        return self._page(request, visit, "manning.html", status, **context)

    def _page(
        self, request: Request, visit: Visit, template: str, status: int, **context: object
    ) -> Response:
        context["sections"] = sections(self._pages, request, visit.permissions.held())
        context["kept"] = "kept" in request.query_params
        return self._pages.page(request, template, status, **context)

    async def _managed(self, request: Request, visit: Visit) -> tuple[MailboxRecord, Manning]:
        """Return the requested mailbox; one that the person does not manage is treated as non-existent."""
        asked, may = request.path_params["mailbox"], visit.permissions.may
        async with self._opened(visit, Purpose.READ) as vault:
            mailboxes, kept = await vault.mailboxes(), await vault.manning()
        for one in mailboxes:
            if one.id == asked and (may(Right.ADMINISTRATOR) or may(Right.MANAGE, one.id)):
                return one, Manning.read(kept[one.id]) if one.id in kept else Manning()
        async with self._opened(visit, Purpose.READ) as vault:
            vault.record(MKEvent.MK_ACCESS_DENIED, kind="manning")
        raise HTTPException(404)

    def _opened(self, visit: Visit, purpose: Purpose) -> AbstractAsyncContextManager[MessageClientVault]:
        principal = Principal(PrincipalKind.USER, visit.person.id, visit.organisation.value)
        return self._gate.open(principal, visit.organisation, Role.MESSAGE_CLIENT, purpose)


_HOURS = tuple(str(hour) for hour in range(24))


def notice_routes(pages: Pages, access: Access, gate: Gate, clock: Clock) -> tuple[Route, ...]:
    """Return the routes of the pages about notices and staffed hours."""
    return NoticePages(pages, access, gate, clock).routes()


def _fields_of_choice(kept: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "address", kept.get("address", "")
    yield "hour", str(kept.get("hour", 8))
    for mailbox, how in kept.get("mailboxes", {}).items():
        yield f"box-{mailbox}", how


def _fields_of_manning(manning: Manning) -> Iterator[tuple[str, str]]:
    for number, hours in enumerate(manning.hours):
        for name, minutes in zip(("from", "to"), hours or (None, None), strict=True):
            yield f"{name}-{number}", "" if minutes is None else f"{minutes // 60:02}:{minutes % 60:02}"
    yield "holidays", "yes" if manning.holidays else ""
    yield "closed", "\n".join(sorted(day.isoformat() for day in manning.closed))
    yield "hours", str(manning.escalate_after) if manning.escalate_after else ""
    yield "to", manning.escalate_to
    yield "acknowledge", manning.acknowledge


def _manning_of(form: Form) -> Manning | None:
    """Return the settings in a form; ``None`` if any of them is refused."""
    hours = tuple(_hours_of(form, number) for number in range(len(_DAYS)))
    closed = _closed_of(form)
    after, to = form["hours"].strip(), form["to"].strip()
    if after and not (_NUMBER.fullmatch(after) and 0 < int(after) <= MAX_HOURS):
        form.refuse("hours", Phrase("Enter a number of hours from 1 to 200, or leave it empty"))
    if to and not is_mail_address(to):
        form.refuse("to", _NO_ADDRESS)
    if to and not after:
        form.refuse("hours", Phrase("Enter after how many hours the address is to be notified"))
    acknowledge = form["acknowledge"].strip()
    if len(acknowledge) > MAX_TEXT:
        form.refuse("acknowledge", Phrase("The reply is too long: 2 000 characters at most"))
    if form.errors:
        return None
    return Manning(hours, closed, form["holidays"] == "yes", int(after or 0), to, acknowledge)


def _hours_of(form: Form, number: int) -> Hours:
    fields = [f"{name}-{number}" for name in ("from", "to")]
    typed = [form[field].strip() for field in fields]
    if not any(typed):
        return None
    found = [_TIME.fullmatch(text) for text in typed]
    minutes = [int(each[1]) * 60 + int(each[2]) for each in found if each]
    if len(minutes) == 2 and minutes[0] < minutes[1] <= _END_OF_DAY:
        return minutes[0], minutes[1]
    form.refuse(fields[0], _NO_TIME)
    return None


def _closed_of(form: Form) -> frozenset[date]:
    """Return the days in a form: single ones, and those of periods such as ``2026-07-06 – 2026-07-31``."""
    closed = set[date]()
    lines = [text for line in form["closed"].splitlines() if (text := " ".join(line.split()))]
    if len(lines) > MAX_CLOSED:
        form.refuse("closed", _SO_MANY_DAYS)
        return frozenset()
    for text in lines:
        try:
            first, _, last = _PERIOD.sub("/", text).partition("/")
            begin, end = date.fromisoformat(first), date.fromisoformat(last or first)
        except ValueError:
            begin, end = date.max, date.min
        if not timedelta() <= end - begin <= timedelta(days=MAX_CLOSED):
            form.refuse("closed", Phrase("Enter a day or a period on each line: 2026-07-06 – 2026-07-31"))
            continue
        closed |= {begin + timedelta(days=number) for number in range((end - begin).days + 1)}
        if len(closed) > MAX_CLOSED:
            break
    if len(closed) > MAX_CLOSED:
        form.refuse("closed", _SO_MANY_DAYS)
    return frozenset(closed)
