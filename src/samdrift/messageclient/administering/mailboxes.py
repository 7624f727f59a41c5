"""Pages for managing mailboxes: creation and closing, settings, text templates, rules and figures."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from starlette.requests import Request
from starlette.responses import Response

from samdrift.messageclient.administering.frame import (
    ADMINISTRATION,
    FIGURES,
    LOG,
    MAILBOXES,
    Frame,
    Office,
    Routes,
    see,
)
from samdrift.messageclient.mail import HandlerRule, TextTemplate
from samdrift.messageclient.mailboxes import MAX_NAME, MAX_UNDO_SECONDS, UnfitSetting
from samdrift.messageclient.notices.manning import ZONE
from samdrift.messageclient.presets import MAX_TEXT, MAX_TITLE
from samdrift.rights import Right
from samdrift.vault.mailpresets import WeekRecord
from samdrift.vault.mailrecords import MailboxRecord
from samdrift.web.forms import Form
from samdrift.web.texts import Phrase
from samdrift.web.uploads import received

WEEKS = 8
_UNFIT = {
    "name": Phrase("Enter a name of no more than %(most)s characters", {"most": MAX_NAME}),
    "address": Phrase(
        "Choose one of the organisation’s addresses that no other mailbox has. An address that has received"
        " messages cannot be changed."
    ),
    "undo_seconds": Phrase("Enter a number of seconds from 0 to %(most)s", {"most": MAX_UNDO_SECONDS}),
    "title": Phrase("Enter a title of no more than %(most)s characters", {"most": MAX_TITLE}),
    "text": Phrase("Write a text of no more than %(most)s characters", {"most": MAX_TEXT}),
}

_UNFIT_RULE = {
    "organisation": Phrase("Enter words in the organisation’s name, in the subject, or both"),
    "handler": Phrase("Choose a person who writes in the mailbox"),
}


@dataclass(frozen=True, slots=True)
class Figures:
    """Figures of one mailbox for one week, with durations in words."""

    mailbox: str
    arrived: int
    sent: int
    failed: int
    opened_after: Phrase | None
    answered_after: Phrase | None


class Mailboxes:
    """Pages for administrators and managers of mailboxes."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame

    def routes(self) -> Routes:
        """Return the routes of these pages."""
        one = f"{ADMINISTRATION}/mailbox/{{mailbox}}"
        return (
            ("GET", ADMINISTRATION, self.start),
            ("GET", MAILBOXES, self.overview),
            ("GET", f"{MAILBOXES}/new", self.new),
            ("POST", f"{MAILBOXES}/new", self.make),
            ("GET", one, self.settings),
            ("POST", one, self.change),
            ("GET", f"{one}/end", self.ask_end),
            ("POST", f"{one}/end", self.end),
            ("GET", f"{one}/texts", self.texts),
            ("GET", f"{one}/texts/new", self.new_text),
            ("POST", f"{one}/texts/new", self.keep_text),
            ("GET", f"{one}/texts/{{text}}", self.text),
            ("POST", f"{one}/texts/{{text}}", self.keep_text),
            ("POST", f"{one}/texts/{{text}}/delete", self.drop_text),
            ("GET", f"{one}/rules", self.rules),
            ("POST", f"{one}/rules", self.add_rule),
            ("POST", f"{one}/rules/{{rule}}/delete", self.drop_rule),
            ("GET", FIGURES, self.figures),
        )

    async def start(self, request: Request, office: Office) -> Response:
        """Redirect to the first administration page that the person may see."""
        if office.manages:
            return see(MAILBOXES)
        if office.scope.may(Right.SECURITY_OFFICER):
            return see(LOG)
        return await office.scope.refuse("administration")

    async def overview(self, request: Request, office: Office) -> Response:
        """Show the mailboxes that the person manages."""
        mailboxes = await office.management.mailboxes()
        return self._frame.page(
            request,
            office,
            "mailboxes.html",
            mailboxes=mailboxes,
            may_make=office.management.is_administrator,
        )

    # --- making and ending --------------------------------------------------------------------------------

    async def new(self, request: Request, office: Office) -> Response:
        """Show the form for creating a mailbox."""
        return await self._new_page(request, office, Form())

    async def make(self, request: Request, office: Office) -> Response:
        """Create a mailbox, and redirect to its settings."""
        form = await received(request)
        if not form["address"]:
            form.refuse("address", Phrase("Choose an address"))
        form.required("name", Phrase("Enter a name"))
        if not form.errors:
            try:
                made = await office.management.make(form["address"], form["name"])
                return see(f"{ADMINISTRATION}/mailbox/{made.id}")
            except UnfitSetting as unfit:
                form.refuse(unfit.field, _UNFIT[unfit.field])
        return await self._new_page(request, office, form, 422)

    async def _new_page(self, request: Request, office: Office, form: Form, status: int = 200) -> Response:
        addresses = await office.management.free_addresses()
        return self._frame.page(
            request,
            office,
            "new_mailbox.html",
            status,
            form=form,
            addresses=[(one, one) for one in addresses],
        )

    async def ask_end(self, request: Request, office: Office) -> Response:
        """Ask whether to close a mailbox, or to reopen it."""
        mailbox = await self._of_administrator(request, office)
        return self._frame.page(request, office, "end_mailbox.html", mailbox=mailbox)

    async def end(self, request: Request, office: Office) -> Response:
        """Close a mailbox, or reopen it."""
        await received(request)
        mailbox = await self._of_administrator(request, office)
        await office.management.set_retired(mailbox.id, retired=not mailbox.retired)
        return see(MAILBOXES)

    async def _of_administrator(self, request: Request, office: Office) -> MailboxRecord:
        mailbox = await office.management.mailbox(request.path_params["mailbox"])
        if not office.management.is_administrator:
            await office.scope.refuse("mailbox", mailbox.id)
        return mailbox

    # --- settings -----------------------------------------------------------------------------------------

    async def settings(self, request: Request, office: Office) -> Response:
        """Show the settings of a mailbox."""
        mailbox = await office.management.mailbox(request.path_params["mailbox"])
        return await self._settings_page(request, office, mailbox, _form_of(mailbox))

    async def change(self, request: Request, office: Office) -> Response:
        """Change the settings of a mailbox to those in the form."""
        form = await received(request)
        mailbox = await office.management.mailbox(request.path_params["mailbox"])
        seconds = form["undo_seconds"].strip()
        if not (seconds.isascii() and seconds.isdecimal() and len(seconds) < 4):
            form.refuse("undo_seconds", _UNFIT["undo_seconds"])
        if not form.errors:
            try:
                await office.management.change(
                    mailbox.id,
                    needs_approval=form["needs_approval"] == "yes",
                    undo_seconds=int(seconds),
                    asks_why=form["asks_why"] == "yes",
                    name=form["name"] if office.management.is_administrator else None,
                    address=form["address"] or None,
                )
                return see(f"{ADMINISTRATION}/mailbox/{mailbox.id}?kept=yes")
            except UnfitSetting as unfit:
                form.refuse(unfit.field, _UNFIT[unfit.field])
        return await self._settings_page(request, office, mailbox, form, 422)

    async def _settings_page(
        self, request: Request, office: Office, mailbox: MailboxRecord, form: Form, status: int = 200
    ) -> Response:
        administrator = office.management.is_administrator
        free = await office.management.free_addresses() if administrator else ()
        return self._frame.page(
            request,
            office,
            "mailbox_settings.html",
            status,
            mailbox=mailbox,
            form=form,
            administrator=administrator,
            addresses=[mailbox.address, *free],
            kept=request.query_params.get("kept") == "yes",
        )

    # --- text templates -----------------------------------------------------------------------------------

    async def texts(self, request: Request, office: Office) -> Response:
        """Show the text templates of a mailbox."""
        mailbox = await office.management.mailbox(request.path_params["mailbox"])
        texts = await office.management.texts(mailbox.id)
        return self._frame.page(request, office, "texts.html", mailbox=mailbox, texts=texts)

    async def new_text(self, request: Request, office: Office) -> Response:
        """Show the form for a new text template."""
        mailbox = await office.management.mailbox(request.path_params["mailbox"])
        return self._text_page(request, office, mailbox, "", Form())

    async def text(self, request: Request, office: Office) -> Response:
        """Show a text template for editing."""
        mailbox = await office.management.mailbox(request.path_params["mailbox"])
        asked = request.path_params["text"]
        for one in await office.management.texts(mailbox.id):
            if one.id == asked:
                form = Form((("title", one.title), ("text", one.text)))
                return self._text_page(request, office, mailbox, one.id, form)
        return await office.scope.refuse("text", asked)

    async def keep_text(self, request: Request, office: Office) -> Response:
        """Store a text template, new or changed."""
        form = await received(request)
        mailbox = await office.management.mailbox(request.path_params["mailbox"])
        text = request.path_params.get("text", "")
        try:
            template = TextTemplate(text, form["title"].strip(), form["text"])
            await office.management.keep_text(mailbox.id, template)
        except UnfitSetting as unfit:
            form.refuse(unfit.field, _UNFIT[unfit.field])
            return self._text_page(request, office, mailbox, text, form, 422)
        return see(f"{ADMINISTRATION}/mailbox/{mailbox.id}/texts")

    async def drop_text(self, request: Request, office: Office) -> Response:
        """Ask for confirmation, then remove a text template."""
        form, asked = await received(request), request.path_params["text"]
        mailbox = await office.management.mailbox(request.path_params["mailbox"])
        place = f"{ADMINISTRATION}/mailbox/{mailbox.id}/texts"
        titles = {one.id: one.title for one in await office.management.texts(mailbox.id)}
        if asked in titles and form["sure"] != "yes":
            return self._sure(
                request,
                office,
                Phrase("Remove the template?"),
                titles[asked],
                Phrase("Messages written with it are kept. The template cannot be restored."),
                Phrase("Remove the template"),
                back=f"{place}/{asked}",
            )
        await office.management.drop_text(mailbox.id, asked)
        return see(place)

    def _text_page(
        self,
        request: Request,
        office: Office,
        mailbox: MailboxRecord,
        text: str,
        form: Form,
        status: int = 200,
    ) -> Response:
        return self._frame.page(request, office, "text.html", status, mailbox=mailbox, text=text, form=form)

    # --- rules --------------------------------------------------------------------------------------------

    async def rules(self, request: Request, office: Office) -> Response:
        """Show the rules of a mailbox, with a form for a new one."""
        mailbox = await office.management.mailbox(request.path_params["mailbox"])
        return await self._rules_page(request, office, mailbox, Form())

    async def add_rule(self, request: Request, office: Office) -> Response:
        """Add a rule."""
        form = await received(request)
        mailbox = await office.management.mailbox(request.path_params["mailbox"])
        try:
            rule = HandlerRule("", form["organisation"].strip(), form["subject"].strip(), form["handler"])
            await office.management.add_rule(mailbox.id, rule)
        except UnfitSetting as unfit:
            form.refuse(unfit.field, _UNFIT_RULE[unfit.field])
            return await self._rules_page(request, office, mailbox, form, 422)
        return see(f"{ADMINISTRATION}/mailbox/{mailbox.id}/rules")

    async def drop_rule(self, request: Request, office: Office) -> Response:
        """Ask for confirmation, then remove a rule."""
        form, asked = await received(request), request.path_params["rule"]
        mailbox = await office.management.mailbox(request.path_params["mailbox"])
        place = f"{ADMINISTRATION}/mailbox/{mailbox.id}/rules"
        handlers = {rule.id: name for rule, name in await office.management.rules(mailbox.id)}
        if asked in handlers and form["sure"] != "yes":
            return self._sure(
                request,
                office,
                Phrase("Remove the rule?"),
                handlers[asked],
                Phrase("Conversations that are already assigned stay as they are."),
                Phrase("Remove the rule"),
                back=place,
            )
        await office.management.drop_rule(mailbox.id, asked)
        return see(place)

    def _sure(
        self,
        request: Request,
        office: Office,
        question: Phrase,
        about: str,
        stays: Phrase,
        yes: Phrase,
        *,
        back: str,
    ) -> Response:
        """Ask for confirmation before something is removed for good; ``stays`` states what is kept."""
        return self._frame.page(
            request,
            office,
            "remove.html",
            question=question,
            about=about,
            stays=stays,
            yes=yes,
            action=request.url.path,
            back=back,
        )

    async def _rules_page(
        self, request: Request, office: Office, mailbox: MailboxRecord, form: Form, status: int = 200
    ) -> Response:
        rules = await office.management.rules(mailbox.id)
        handlers = await office.management.handlers(mailbox.id)
        return self._frame.page(
            request,
            office,
            "rules.html",
            status,
            mailbox=mailbox,
            form=form,
            rules=rules,
            handlers=[(each.id, each.name) for each in handlers],
        )

    # --- figures ------------------------------------------------------------------------------------------

    async def figures(self, request: Request, office: Office) -> Response:
        """Show counts of messages by week and mailbox, without any content."""
        mailboxes, found = await office.management.figures(WEEKS)
        names = {one.id: one.name for one in mailboxes}
        weeks: dict[datetime, list[Figures]] = {}
        for each in found:
            weeks.setdefault(each.week, []).append(_figures(each, names[each.mailbox]))
        return self._frame.page(
            request,
            office,
            "statistics.html",
            weeks=[
                (Phrase("Week %(number)s", {"number": week.astimezone(ZONE).isocalendar().week}), week, lines)
                for week, lines in weeks.items()
            ],
            most=WEEKS,
        )


def _form_of(mailbox: MailboxRecord) -> Form:
    return Form(
        (
            ("name", mailbox.name),
            ("address", mailbox.address),
            ("needs_approval", "yes" if mailbox.needs_approval else "no"),
            ("undo_seconds", str(mailbox.undo_seconds)),
            ("asks_why", "yes" if mailbox.asks_why else "no"),
        )
    )


def _figures(one: WeekRecord, mailbox: str) -> Figures:
    return Figures(
        mailbox, one.arrived, one.sent, one.failed, _duration(one.opened_after), _duration(one.answered_after)
    )


def _duration(seconds: float | None) -> Phrase | None:
    """Return a duration in words, with the precision that weekly figures need."""
    if seconds is None:
        return None
    minutes = round(seconds / 60)
    if minutes < 1:
        return Phrase("under a minute")
    if minutes < 120:
        return Phrase("%(count)s min", {"count": minutes})
    hours = round(minutes / 60)
    if hours < 48:
        return Phrase("%(count)s h", {"count": hours})
    return Phrase("%(count)s days", {"count": round(hours / 24)})
