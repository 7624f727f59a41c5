"""Pages of keys, a person's own and all officers': offering, enrolling, ending, and reporting loss."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from samdrift.contracts.principals import Purpose, Role
from samdrift.governance.events import GovEvent
from samdrift.governance.pages.access import Access, RouteOf, Seen, Visit, roles_of
from samdrift.governance.pages.frame import OFFICERS_PAGE, OWN_KEYS, Frame
from samdrift.governance.pages.signing import Signing, host_of
from samdrift.governance.pages.words import RIGHTS
from samdrift.rights.enrolment import Enrolment
from samdrift.rights.fields import Fields, StatementError, Subject, SubjectKind
from samdrift.rights.keyacts import MAX_NAME, Enrolled, Lost, PublicKey, Scheme
from samdrift.rights.statements import Act, Ended
from samdrift.vault.gate import Gate
from samdrift.vault.officers import OfferedKey
from samdrift.web.formats import SWEDEN
from samdrift.web.forms import Form
from samdrift.web.texts import Phrase
from samdrift.web.uploads import received
from samdrift.wire.crypto import sshsig
from samdrift.wire.identifiers import ParticipantIdentifier

LASTS = timedelta(days=365)
PROOF_NAMESPACE = "samdrift-sign-in"
"""Namespace of signatures that prove a sign-in is the signer's own; statements are never signed in it."""


class Keys:
    """Pages of keys."""

    def __init__(self, frame: Frame, access: Access, signing: Signing, gate: Gate) -> None:
        self._frame, self._access, self._signing = frame, access, signing
        self._vaults = gate.worker("pages", Role.GOVERNANCE)

    def routes(self) -> Sequence[RouteOf]:
        """Return the routes of these pages."""
        return (
            ("GET", OWN_KEYS, self.own, Seen.SIGNED_IN),
            ("POST", OWN_KEYS, self.offer, Seen.SIGNED_IN),
            ("POST", f"{OWN_KEYS}/withdraw", self.withdraw, Seen.SIGNED_IN),
            ("POST", f"{OWN_KEYS}/prove", self.prove, Seen.SIGNED_IN),
            ("GET", f"{OWN_KEYS}/openssh", self.ask_openssh, Seen.SIGNED_IN),
            ("POST", f"{OWN_KEYS}/openssh", self.offer_openssh, Seen.SIGNED_IN),
            ("GET", f"{OWN_KEYS}/paper", self.ask_paper, Seen.OFFICER),
            ("POST", f"{OWN_KEYS}/paper", self.enrol_paper, Seen.OFFICER),
            ("GET", OFFICERS_PAGE, self.officers, Seen.ROLE),
            ("GET", f"{OFFICERS_PAGE}/directory", self.ask_directory, Seen.OFFICER),
            ("POST", f"{OFFICERS_PAGE}/directory", self.enrol_directory, Seen.OFFICER),
            ("GET", f"{OFFICERS_PAGE}/offered/{{person}}", self.offered, Seen.OFFICER),
            ("POST", f"{OFFICERS_PAGE}/offered/{{person}}", self.enrol, Seen.OFFICER),
            ("GET", f"{OWN_KEYS}/{{digest}}/lost", self.ask_lost, Seen.SIGNED_IN),
            ("POST", f"{OWN_KEYS}/{{digest}}/lost", self.lose, Seen.SIGNED_IN),
        )

    async def own(self, request: Request, visit: Visit) -> Response:
        """Show the person's keys, and the ways to add a new one."""
        return self._own(request, visit, Form())

    async def offer(self, request: Request, visit: Visit) -> Response:
        """Accept the public key that the browser has made."""
        form = await received(request)
        form.required("why", Phrase("Enter which key it is, such as the device, and why"))
        key = _passkey(form, host_of(visit.site))
        if key is None:
            form.refuse("why", Phrase("The browser has not made a key that can be used here. Try again."))
        answer = None
        if key is not None and not form.errors:
            answer = await self._brought(request, visit, form, key)
        return answer or self._own(request, visit, form, 422)

    async def ask_openssh(self, request: Request, visit: Visit) -> Response:
        """Show the form for the public half of an OpenSSH key."""
        return self._frame.page(request, visit, "key_openssh.html", form=Form())

    async def offer_openssh(self, request: Request, visit: Visit) -> Response:
        """Accept the public half of an OpenSSH key that the person has made."""
        form = _without_secret(await received(request))
        key, answer = _pasted(form, Scheme.SSH), None
        form.required("why", Phrase("Enter which key it is, such as the device, and why"))
        if key is not None and not form.errors:
            answer = await self._brought(request, visit, form, key)
        return answer or self._frame.page(request, visit, "key_openssh.html", 422, form=form)

    async def ask_paper(self, request: Request, visit: Visit) -> Response:
        """Show the form for a code on paper, which the browser makes."""
        return self._frame.page(request, visit, "key_paper.html", form=Form())

    async def enrol_paper(self, request: Request, visit: Visit) -> Response:
        """Ask an officer to sign a request to enrol the public key of their code on paper."""
        form = await received(request)
        key, answer = _pasted(form, Scheme.PAPER), None
        if key is not None:
            act = _enrolling(visit.person, visit.name, key)
            answer = await self._signing.ask(request, visit, form, act, OWN_KEYS)
        return answer or self._frame.page(request, visit, "key_paper.html", 422, form=form)

    async def ask_directory(self, request: Request, visit: Visit) -> Response:
        """Show the form for the public half of a directory's key."""
        return self._frame.page(request, visit, "key_directory.html", form=Form())

    async def enrol_directory(self, request: Request, visit: Visit) -> Response:
        """Ask an officer to sign a request to enrol a directory's key, which states its groups' members."""
        form = _without_secret(await received(request))
        key, whose, answer = _pasted(form, Scheme.SSH), None, None
        try:
            whose = Subject.parse(f"{SubjectKind.DIRECTORY}:{form['directory'].strip()}")
        except ValueError:
            form.refuse("directory", Phrase("Enter the directory’s name as the operator has it, such as ad"))
        name = form.required("name", Phrase("Enter a name that people know the directory by"))
        if len(name) > MAX_NAME or not name.isprintable():
            most = {"count": MAX_NAME}
            form.refuse("name", Phrase("Enter at most %(count)s characters, none of them invisible.", most))
        if key is not None and whose is not None and not form.errors:
            act = _enrolling(whose, name, key)
            answer = await self._signing.ask(request, visit, form, act, f"{OFFICERS_PAGE}/directory")
        return answer or self._frame.page(request, visit, "key_directory.html", 422, form=form)

    async def _brought(self, request: Request, visit: Visit, form: Form, key: PublicKey) -> Response | None:
        """Accept another key of the person; return ``None`` if the form is refused.

        An officer who has a key signs a request to enrol the new one, and so does anyone with a code on
        paper, using the code. For everyone else the key is only offered, and an officer has to request its
        enrolment.
        """
        mine = list(visit.record.keys.in_force(visit.now, visit.person))
        if mine and (visit.seen is Seen.OFFICER or any(each.key.scheme is Scheme.PAPER for each in mine)):
            act = _enrolling(visit.person, visit.name, key)
            return await self._signing.ask(request, visit, form, act, OWN_KEYS)
        async with self._vaults.open(visit.organisation, Purpose.AUTHORISE) as vault:
            members = json.dumps(key.members())
            vault.offer_key(OfferedKey(visit.person.id, visit.now, visit.name, members))
            vault.record(GovEvent.KEY_OFFERED, person=visit.person.id, key=key.fingerprint)
        return RedirectResponse(f"{OWN_KEYS}?offered", 303)

    async def withdraw(self, request: Request, visit: Visit) -> Response:
        """Withdraw the key that the person offers."""
        await received(request)
        async with self._vaults.open(visit.organisation, Purpose.AUTHORISE) as vault:
            await vault.withdraw_key(visit.person.id)
        return RedirectResponse(OWN_KEYS, 303)

    async def prove(self, request: Request, visit: Visit) -> Response:
        """Change the person's id to the id in the record whose key they prove to have."""
        form = await received(request)
        found = self._proved(form, visit)
        if found is None:
            form.refuse("proof", Phrase("That is not a signature of this text by a key in the record."))
            return self._own(request, visit, form, 422)
        async with self._vaults.open(visit.organisation, Purpose.AUTHORISE) as vault:
            renamed = await vault.rename_person(visit.person.id, found.id)
            if renamed:
                vault.record(GovEvent.PERSON_PROVED, person=found.id, former=visit.person.id)
        if not renamed:
            form.refuse("proof", Phrase("That person is already linked to another sign-in."))
            return self._own(request, visit, form, 422)
        return RedirectResponse(OWN_KEYS, 303)

    async def copied(self, visit: Visit) -> list[tuple[str, datetime]]:
        """Return people whose authenticator reported a lower counter than before, and when.

        Such an authenticator may have been copied. Keys that have ended since, for example because they
        were reported lost, are left out.
        """
        found = []
        async with self._vaults.open(visit.organisation, Purpose.READ) as vault:
            for key in visit.record.keys.in_force(visit.now):
                if key.key.scheme is Scheme.WEBAUTHN:
                    entries = await vault.find_log(key.key.fingerprint)
                    moments = [each.at for each in entries if each.event == GovEvent.STATEMENT_REFUSED]
                    found += [(visit.names.of(key.act.to), max(moments))] if moments else []
        return found

    async def officers(self, request: Request, visit: Visit) -> Response:
        """Show all keys and their owners."""
        record, now = visit.record, visit.now
        rows = [
            (each, state_of(each, now), sorted(roles_of(record, each.act.to, now)))
            for each in record.keys.all()
        ]
        persons = {each.act.to for each, state, _ in rows if state == "in-force"}
        officers = {each for each in persons if record.state.is_officer(each, now)}
        return self._frame.page(
            request,
            visit,
            "officers.html",
            copied=await self.copied(visit),
            rows=[row for row in rows if row[1] != "over"],
            former=[row for row in rows if row[1] == "over"],
            offered=visit.offered,
            alone=len(officers) == 1,
            nobody=not officers,
            roles=RIGHTS,
            schemes=Scheme,
        )

    async def offered(self, request: Request, visit: Visit) -> Response:
        """Show an officer the key that a person offers."""
        return self._offered(request, visit, _offered_of(request, visit), Form())

    async def enrol(self, request: Request, visit: Visit) -> Response:
        """Ask an officer to sign a request to enrol an offered key."""
        offered, form = _offered_of(request, visit), await received(request)
        key, whose = public_key(offered), Subject(SubjectKind.PERSON, offered.person)
        if form["key"] != key.fingerprint:
            form.refuse("why", Phrase("Another key has been offered since. Compare its first digits."))
        act = _enrolling(whose, visit.names.of(whose), key)
        back = f"{OFFICERS_PAGE}/offered/{offered.person}"
        return await self._signing.ask(request, visit, form, act, back) or self._offered(
            request, visit, offered, form, 422
        )

    async def ask_lost(self, request: Request, visit: Visit) -> Response:
        """Show the form for ending a key or reporting it lost."""
        return self._lost(request, visit, _enrolment_of(request, visit), Form((("since", ""),)))

    async def lose(self, request: Request, visit: Visit) -> Response:
        """Ask the person to sign that a key is lost, or that it ends."""
        enrolment, form = _enrolment_of(request, visit), await received(request)
        made: Act = Ended(of=enrolment.id)
        if form["how"] == "lost":
            day = form.day("since", Phrase("Choose the day on which you had it last"))
            since = datetime.combine(day, datetime.min.time(), SWEDEN) if day else visit.now
            made = Lost(enrolment.id, min(since.astimezone(UTC), visit.now))
        answer = await self._signing.ask(request, visit, form, lambda at: made, OFFICERS_PAGE)
        return answer or self._lost(request, visit, enrolment, form, 422)

    def _own(self, request: Request, visit: Visit, form: Form, status: int = 200) -> Response:
        mine = [each for each in visit.record.keys.all() if each.act.to == visit.person]
        return self._frame.page(
            request,
            visit,
            "keys.html",
            status,
            rows=[(each, state_of(each, visit.now)) for each in mine],
            roles=[RIGHTS[each] for each in sorted(visit.roles)],
            offered=next((each for each in visit.offered if each.person == visit.person.id), None),
            fingerprint_of=lambda each: public_key(each).fingerprint,
            just_offered="offered" in request.query_params,
            who=visit.person,
            called=visit.name,
            host=host_of(visit.site),
            form=form,
            proof=proof_text(visit.organisation, visit.person),
            proof_namespace=PROOF_NAMESPACE,
            unknown=not mine,
        )

    def _offered(
        self, request: Request, visit: Visit, offered: OfferedKey, form: Form, status: int = 200
    ) -> Response:
        key = public_key(offered)
        return self._frame.page(
            request,
            visit,
            "offered.html",
            status,
            offered=offered,
            key=key,
            form=form,
            until=visit.now + LASTS,
        )

    def _lost(
        self, request: Request, visit: Visit, enrolment: Enrolment, form: Form, status: int = 200
    ) -> Response:
        return self._frame.page(request, visit, "lost.html", status, enrolment=enrolment, form=form)

    def _proved(self, form: Form, visit: Visit) -> Subject | None:
        """Return the person in the record whose key has signed that the sign-in is theirs."""
        text = proof_text(visit.organisation, visit.person).encode()
        for each in visit.record.keys.in_force(visit.now):
            if each.key.scheme is not Scheme.SSH or each.act.to.kind is not SubjectKind.PERSON:
                continue
            try:
                found = sshsig.check(each.key.ssh(), text, sshsig.unarmoured(form["proof"].strip()))
            except ValueError:
                continue
            if found is not None and found.present and found.namespace == PROOF_NAMESPACE:
                return each.act.to
        return None


def proof_text(organisation: ParticipantIdentifier, person: Subject) -> str:
    """Return the text that a person signs to prove that a sign-in is theirs."""
    return f"samdrift sign-in {organisation} {person}"


def public_key(offered: OfferedKey) -> PublicKey:
    """Return the key that a person offers."""
    return PublicKey.parse(offered.key)


def state_of(each: Enrolment, now: datetime) -> str:
    """Return the state of a key: ``in-force``, ``waits``, ``later`` or ``over``."""
    if each.over or each.act.end <= now:
        return "over"
    if each.begins is None:
        return "waits"
    return "in-force" if each.begins <= now else "later"


def _enrolling(to: Subject, name: str, key: PublicKey):  # type: ignore[no-untyped-def]
    def act(at: datetime) -> Act:
        return Enrolled(to, name, key, at + LASTS)

    return act


def _passkey(form: Form, site: str) -> PublicKey | None:
    members = {"scheme": Scheme.WEBAUTHN.value, "public": form["public"], "site": site}
    try:
        return PublicKey.read(Fields({**members, "credential": form["credential"]}))
    except StatementError:
        return None


def _pasted(form: Form, scheme: Scheme) -> PublicKey | None:
    """Return the public key in a form, an OpenSSH line without its comment; refuse anything else."""
    line = " ".join(form["public"].split()[:2])
    with suppress(StatementError):
        return PublicKey.read(Fields({"scheme": scheme.value, "public": line}))
    if scheme is Scheme.PAPER:
        form.refuse("why", Phrase("The browser has not made a code. Try again."))
    else:
        form.refuse(
            "public",
            Phrase("That is not the public half of a key of ssh-keygen: a line that begins with its kind"),
        )
    return None


def _without_secret(form: Form) -> Form:
    """Return a form without the private key that a person may have pasted by mistake."""
    if "PRIVATE KEY" not in form["public"]:
        return form
    kept = Form((name, "" if name == "public" else value) for name, value in form.fields)
    kept.refuse(
        "public",
        Phrase(
            "That was the private half, which has now left your machine. Make a new key, and bring its .pub"
        ),
    )
    return kept


def _offered_of(request: Request, visit: Visit) -> OfferedKey:
    for each in visit.offered:
        if each.person == request.path_params["person"]:
            return each
    raise HTTPException(404)


def _enrolment_of(request: Request, visit: Visit) -> Enrolment:
    """Return the enrolled key that an address names: for officers any key, for others only their own."""
    try:
        found = visit.record.keys.enrolment(request.path_params["digest"])
    except KeyError:
        raise HTTPException(404) from None
    if found.act.to != visit.person and visit.seen is not Seen.OFFICER:
        raise HTTPException(404)
    return found
