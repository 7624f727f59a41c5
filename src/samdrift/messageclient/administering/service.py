"""Page of the message service: its address, the organisation's credentials there, a check, and deletion."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from samdrift.client.keys import KeyUnusable
from samdrift.contracts.principals import Purpose
from samdrift.entrance.ownkeys import JWKS, OwnKeys
from samdrift.messageclient.administering.frame import SERVICE, Frame, Office, Routes, see
from samdrift.messageclient.deleting import DeletionRule, Reading
from samdrift.messageclient.desk import NotHere
from samdrift.messageclient.events import MKEvent
from samdrift.messageclient.mailboxes import UnfitSetting
from samdrift.messageclient.management import MAX_CONFIRMATION
from samdrift.messageclient.servicecheck import Step, Tried, Trouble, result_of, try_service
from samdrift.messageclient.working import ServiceSettings
from samdrift.rights import Right
from samdrift.web.forms import Form
from samdrift.web.texts import Phrase
from samdrift.web.uploads import received
from samdrift.wire.identifiers import ParticipantIdentifier

STEPS = {
    Step.NAME: Phrase("The host name can be resolved"),
    Step.CONNECTION: Phrase("The host answers, and its certificate is trusted"),
    Step.TOKEN: Phrase("The message client gets an access token"),
    Step.LIST: Phrase("The messages of the mailbox can be listed"),
    Step.BOOK: Phrase("The address is in the address book"),
}
TROUBLES: Mapping[Trouble, Phrase] = {
    Trouble.NO_NAME: Phrase(
        "The host name cannot be resolved. Check the address in the configuration, and that this "
        "installation can look "
        "names up."
    ),
    Trouble.NO_ANSWER: Phrase(
        "Nothing answers there. Ask the supplier whether the service is up, and whether a firewall lets this "
        "installation through."
    ),
    Trouble.NOT_ALLOWED: Phrase(
        "The address is one that this installation may not connect to, such as a private one. Check the "
        "address in the configuration."
    ),
    Trouble.NOT_TRUSTED: Phrase(
        "The certificate is not trusted, or is for another name. Check the issuers in the configuration "
        "(tls_issuers), or ask the supplier for a new certificate."
    ),
    Trouble.TOO_SLOW: Phrase("The answer took too long. Try again; if it keeps happening, ask the supplier."),
    Trouble.KEY: Phrase(
        "The key file holds no usable private key. Make a new one and hand over its public half."
    ),
    Trouble.REFUSED_TOKEN: Phrase(
        "The authorisation server does not accept the message client. Check the client id, and that the "
        "public key below is registered there. A clock that is wrong by minutes has the same effect."
    ),
    Trouble.NO_TOKEN: Phrase(
        "The authorisation server gave no usable answer. Check the address of its token endpoint."
    ),
    Trouble.REFUSED_LIST: Phrase(
        "The message service does not let the message client see this address. Ask the supplier to give it "
        "the address, with the right to read and to send."
    ),
    Trouble.NO_LIST: Phrase("The message service gave no usable answer. Ask the supplier."),
    Trouble.NOT_LISTED: Phrase(
        "The address is not in the address book: other organisations cannot write to it. Ask for it to be "
        "published."
    ),
    Trouble.BOOK_UNKNOWN: Phrase(
        "The address book could not be reached. Messages are still sent and received; try again later."
    ),
}


READINGS: Mapping[Reading, Phrase] = {
    Reading.ALONE: Phrase("No other client reads it"),
    Reading.OTHERS: Phrase("Another client reads it too: nothing is deleted"),
    Reading.UNCONFIRMED: Phrase("Not confirmed: nothing is deleted"),
}
_MOST = {"most": MAX_CONFIRMATION}


@dataclass(frozen=True, slots=True)
class Profile:
    """The configuration of an organisation's message client."""

    addresses: tuple[str, ...] = ()
    """Functional addresses that are configured for the organisation."""
    service: ServiceSettings | None = None


Profiles = Mapping[ParticipantIdentifier, Profile]


@dataclass(frozen=True, slots=True)
class Line:
    """A step of the check in words."""

    step: Phrase
    about: str
    trouble: Phrase | None
    detail: str


class Service:
    """Pages about the message service, for administrators."""

    def __init__(self, frame: Frame, profiles: Profiles) -> None:
        self._frame = frame
        self._profiles = profiles

    def routes(self) -> Routes:
        """Return the routes of these pages."""
        confirm = f"{SERVICE}/confirm"
        return (
            ("GET", SERVICE, self.show),
            ("POST", SERVICE, self.check),
            ("GET", f"{confirm}/{{mailbox}}", self.confirmation),
            ("POST", f"{confirm}/{{mailbox}}", self.confirm),
            ("POST", f"{confirm}/{{mailbox}}/take-back", self.take_back),
        )

    async def show(self, request: Request, office: Office) -> Response:
        """Show the message service, and the data that its supplier needs."""
        await self._record(office, "looked at")
        return await self._page(request, office, ())

    async def check(self, request: Request, office: Office) -> Response:
        """Check the message service, and show the result."""
        await received(request)
        if not office.scope.may(Right.ADMINISTRATOR):
            await office.scope.refuse("service")
        settings = self._profile(office).service
        tried: Sequence[Tried] = ()
        if settings is not None:
            mailboxes = {
                one.address: one.name for one in await office.management.mailboxes() if not one.retired
            }
            tried = await try_service(settings, mailboxes, office.scope.book, office.scope.now)
        await self._record(office, result_of(tried))
        return await self._page(request, office, tried)

    async def confirmation(self, request: Request, office: Office) -> Response:
        """Show the form in which an administrator confirms that no other client reads an address."""
        return await self._form(request, office, Form())

    async def confirm(self, request: Request, office: Office) -> Response:
        """Store the confirmation."""
        form = await received(request)
        rule, mailbox = self._confirmable(office), request.path_params["mailbox"]
        try:
            await office.management.confirm(mailbox, rule.interface, form["text"])
        except UnfitSetting:
            form.refuse("text", Phrase("Say how you know this, in no more than %(most)s characters", _MOST))
            return await self._form(request, office, form, 422)
        return see(SERVICE)

    async def take_back(self, request: Request, office: Office) -> Response:
        """Withdraw a confirmation."""
        await received(request)
        self._confirmable(office)
        await office.management.take_back(request.path_params["mailbox"])
        return see(SERVICE)

    async def _form(self, request: Request, office: Office, form: Form, status: int = 200) -> Response:
        rule = self._confirmable(office)
        if not office.scope.may(Right.ADMINISTRATOR):
            await office.scope.refuse("service")
        mailbox = await office.management.mailbox(request.path_params["mailbox"])
        return self._frame.page(
            request, office, "confirmation.html", status, form=form, mailbox=mailbox, interface=rule.interface
        )

    def _confirmable(self, office: Office) -> DeletionRule:
        """Return the deletion rule for another supplier's message service; otherwise :class:`NotHere`."""
        settings = self._profile(office).service
        if settings is None or settings.deletion is None or settings.deletion.others is not None:
            raise NotHere("confirmation", "")
        return settings.deletion

    async def _page(self, request: Request, office: Office, tried: Sequence[Tried]) -> Response:
        profile = self._profile(office)
        rule = None if profile.service is None else profile.service.deletion
        deletion = None if rule is None else await office.management.deletion(rule)
        return self._frame.page(
            request,
            office,
            "service.html",
            settings=profile.service,
            deletion=deletion,
            ours=rule is not None and rule.others is not None,
            states=READINGS,
            keys=await _public(profile.service),
            published=JWKS if _is_published(profile.service) else "",
            lines=[_line(one) for one in tried],
            good=bool(tried) and not any(one.trouble for one in tried),
        )

    def _profile(self, office: Office) -> Profile:
        return self._profiles.get(office.scope.organisation, Profile())

    async def _record(self, office: Office, result: str) -> None:
        async with office.scope.open(Purpose.ADMINISTER) as vault:
            if not office.scope.may(Right.ADMINISTRATOR):
                raise NotHere("service", "")
            vault.record(MKEvent.MK_SERVICE_CHECKED, result=result)


async def _public(settings: ServiceSettings | None) -> str:
    """Return the client's public key as a JWK set, to be registered at the message service."""
    try:
        return "" if settings is None else json.dumps(await settings.authentication().key_set(), indent=2)
    except KeyUnusable:
        return ""


def _is_published(settings: ServiceSettings | None) -> bool:
    """Return whether the keys are in the vault, and therefore published at an address for suppliers."""
    return settings is not None and isinstance(settings.key, OwnKeys)


def _line(one: Tried) -> Line:
    trouble = None if one.trouble is None else TROUBLES[one.trouble]
    return Line(STEPS[one.step], one.about, trouble, one.detail)
