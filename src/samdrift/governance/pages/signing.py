"""The page on which a person reads a statement in full and signs it.

Every form leads to a statement, which is shown both in words and as its exact text. The browser itself
computes the digest of the text on the page, an authenticator signs that digest after verifying the person,
and the record verifies the signature. If a page or a server shows one thing and has another signed, a reader
of the record can detect it. The page shows the digest, which can be computed from the same text with
`samdrift gov statement show` and `sha256sum`. Without script, or with an OpenSSH key, the person signs the
statement with the command that the page shows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from unicodedata import normalize
from urllib.parse import urlsplit

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from samdrift.governance.pages.access import Access, RouteOf, Seen, Visit
from samdrift.governance.pages.frame import INCIDENTS, REVIEWS, UNSIGNED, Frame
from samdrift.governance.pages.words import Telling, refusal
from samdrift.governance.papercode import NotACode, sign_by
from samdrift.governance.records import SilenceHeld, StatementRefused
from samdrift.rights.fields import StatementError
from samdrift.rights.incidents import INCIDENT_ACTS, IncidentOpened
from samdrift.rights.keyacts import Enrolled, Scheme
from samdrift.rights.record import GOOD
from samdrift.rights.reviews import ReviewClosed
from samdrift.rights.signing import Signed, namespace
from samdrift.rights.statements import MAX_REASON, Act, Given, Reviewed, Statement
from samdrift.web.forms import Form
from samdrift.web.policy import file_headers
from samdrift.web.signin.pending import local
from samdrift.web.sites import Site
from samdrift.web.texts import Phrase
from samdrift.web.uploads import received
from samdrift.wire.webauthn import Assertion, decoded

SIGN, SIGN_FILE = "/sign", "/sign/file"
_GOES_ON = re.compile(rf"{REVIEWS}/\d+|{INCIDENTS}/[0-9a-f]{{64}}|{UNSIGNED}")
"""Pages with more to sign afterwards: a review, an incident, and the page of unsigned rights."""
_HELD = Phrase(
    "A vault of the organisation is locked, or belongs to another process, so people may not have been able "
    "to answer. Unlock it, or close the review by samdrift gov review close."
)
_MOST_APART = 4
"""Maximum number of typed characters that normalisation combines into one."""
_FAULTS: Mapping[str, Phrase] = {
    "why": Phrase("Enter at most %(count)s characters, none of them invisible.", {"count": MAX_REASON}),
    "name": Phrase(
        "The person’s name is too long or has invisible characters. "
        "Ask the administrator of the sign-in service to correct it."
    ),
    "until": Phrase("The last day must be after the first, and at most a year later."),
}
"""Error texts for faults in what a person typed, by the field of the statement."""


@dataclass(frozen=True, slots=True)
class Passkey:
    """A key of the person that the browser can ask for."""

    fingerprint: str
    credential: str
    name: str


def host_of(site: Site) -> str:
    """Return the host name for which a site's keys are made."""
    return urlsplit(site.origin).hostname or ""


class Signing:
    """The steps that turn a form into a signed statement in the record."""

    def __init__(self, frame: Frame, access: Access) -> None:
        self._frame = frame
        self._access = access

    async def ask(
        self, request: Request, visit: Visit, form: Form, act: Callable[[datetime], Act], back: str
    ) -> Response | None:
        """Show the statement that a form leads to, to be signed; return ``None`` if the form is refused.

        The field ``why`` is the reason. ``act`` returns the act for a given moment.
        """
        why = form.required("why", Phrase("Enter a reason, such as the number of a decision"))
        if len(why) <= _MOST_APART * MAX_REASON:  # Longer text is refused, and may be slow to normalise.
            why = normalize("NFC", why)
        if len(why) > MAX_REASON:
            form.refuse("why", _FAULTS["why"])
        if form.errors:
            return None
        try:
            statement = Statement(visit.organisation.value, visit.person, visit.now, why, act(visit.now))
            effect = visit.record.foresee(statement)
            content = statement.content
        except StatementError as error:
            said = _FAULTS.get(error.field)
            reason = said or Phrase("That cannot be stated: %(reason)s", {"reason": error.text})
            form.refuse(error.field if said else "why", reason)
            return None
        if effect not in GOOD:
            form.refuse("why", refusal(effect))
            return None
        return self.page(request, visit, statement, content.decode(), back)

    def page(
        self,
        request: Request,
        visit: Visit,
        statement: Statement,
        content: str,
        back: str,
        refused: Phrase | None = None,
    ) -> Response:
        """Show a statement for signing, with the reason if its signature was refused."""
        site, act = host_of(visit.site), statement.act
        mine = list(visit.record.keys.in_force(visit.now, visit.person))
        on_paper = isinstance(act, Enrolled) and act.to == visit.person and act.key.scheme is not Scheme.PAPER
        telling = Telling(visit.record, visit.names, self._frame.wording(request))
        return self._frame.page(
            request,
            visit,
            "sign.html",
            200 if refused is None else 422,
            lines=telling.lines(statement),
            about=telling.about(statement),
            statement=statement,
            content=content,
            passkeys=[
                Passkey(each.key.fingerprint, each.key.credential, each.act.name)
                for each in mine
                if each.key.scheme is Scheme.WEBAUTHN and each.key.site == site
            ],
            ssh=any(each.key.scheme is Scheme.SSH for each in mine),
            paper=on_paper and any(each.key.scheme is Scheme.PAPER for each in mine),
            keyless=not mine,
            namespace=namespace(statement),
            host=site,
            back=back,
            refused=refused,
        )

    async def file(self, request: Request, visit: Visit) -> Response:
        """Return the statement as a file, to be signed with `ssh-keygen`."""
        form = await received(request)
        statement = await self._own(form, visit)
        return Response(
            statement.content,
            media_type="application/json",
            headers=file_headers("statement.json"),
        )

    async def sign(self, request: Request, visit: Visit) -> Response:
        """Append a signed statement to the record, or show why it was refused."""
        form = await received(request)
        statement = await self._own(form, visit)
        back = local(form["back"])
        refused: Phrase
        try:
            signed = _signed(form, statement)
            entries = await self._access.records.append(visit.organisation, [signed], lambda _: ())
        except StatementRefused as error:
            refused = refusal(error.verdict)
        except SilenceHeld:
            refused = _HELD
        except NotACode:
            refused = Phrase("That is not a code: it has eight groups of four letters and digits.")
        except (StatementError, ValueError):
            refused = Phrase("The signature cannot be read. Sign again.")
        else:
            return RedirectResponse(f"{_onward(statement, back, entries[-1].number)}?signed", 303)
        return self.page(request, visit, statement, form["statement"], back, refused)

    async def _own(self, form: Form, visit: Visit) -> Statement:
        """Return the statement in a form; log any other than the person's own, and respond with 404."""
        try:
            statement = Statement.parse(form["statement"].encode())
        except StatementError:
            raise HTTPException(404) from None
        if statement.by != visit.person or statement.organisation != visit.organisation.value:
            await self._access.log_others(visit, statement)
            raise HTTPException(404)
        return statement

    def routes(self) -> Sequence[RouteOf]:
        """Return the routes for signing a statement and for its file."""
        return (
            ("POST", SIGN, self.sign, Seen.SIGNED_IN),
            ("POST", SIGN_FILE, self.file, Seen.SIGNED_IN),
        )


def _onward(statement: Statement, back: str, number: int) -> str:
    """Return the page to show after signing: one with more to sign, or that of the statement."""
    act = statement.act
    if isinstance(act, IncidentOpened):
        return f"{INCIDENTS}/{statement.digest}"
    answered = isinstance(act, (Reviewed, ReviewClosed, Given, *INCIDENT_ACTS)) and _GOES_ON.fullmatch(back)
    return back if answered else f"/record/{number}"


def _signed(form: Form, statement: Statement) -> Signed:
    """Return a statement with the form's signature, made by a passkey, OpenSSH, or a code on paper."""
    if form["signature"]:
        parts = (decoded(form[name]) for name in ("authenticator-data", "client-data", "signature"))
        return Signed(statement, form["key"], Assertion(*parts))
    if form["code"].strip():
        return sign_by(form["code"], statement)
    return Signed.by_ssh(statement, form["sshsig"].strip() + "\n")
