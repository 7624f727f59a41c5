"""Writing: a draft that is shared in its mailbox, saved while it is typed, with one writer at a time.

Chosen recipients, and references that a reply returns, are kept in the draft and not in the form. A form only
adds to them and removes from them. So are all but the last of very many references and persons of ours.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from dataclasses import replace

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from samdrift.messageclient.desk import Changed, Desk, DraftClosed, DraftTaken, NotHere, TooManyKept
from samdrift.messageclient.live.openpages import OpenPage
from samdrift.messageclient.mail import (
    Correspondent,
    Draft,
    DraftContent,
    DraftStage,
    Identifier,
    Problem,
    ProblemCode,
    TextTemplate,
)
from samdrift.messageclient.pages.delivery import NOT_COVERED
from samdrift.messageclient.pages.draftfiles import (
    FILE_PROBLEMS,
    Files,
    Refused,
    about,
    refused_before,
    why_refused,
    with_uploaded_files,
)
from samdrift.messageclient.pages.draftforms import (
    EARLIER,
    beside,
    content_of,
    earlier_forms,
    form_of,
    kept_form,
    key_of,
    typed_in,
)
from samdrift.messageclient.pages.frame import Frame, Place, RouteOf, saved_file, see
from samdrift.messageclient.pages.handling import version_of
from samdrift.messageclient.pages.shown import CODE_SYSTEMS, kind, party
from samdrift.messageclient.scope import OF_DRAFTS
from samdrift.rights import Right
from samdrift.web.forms import Form
from samdrift.web.hostile import visible
from samdrift.web.texts import Phrase
from samdrift.web.uploads import StaleForm, received, received_before
from samdrift.web.views import Attached

PROBLEMS = {
    ProblemCode.NO_RECIPIENT: Phrase("Choose who the message is for"),
    ProblemCode.TOO_MANY_RECIPIENTS: Phrase("Choose fewer recipients"),
    ProblemCode.UNKNOWN_RECIPIENT: Phrase(
        "Remove the recipient that is no longer in the address book, or look up its new address"
    ),
    ProblemCode.NO_SUBJECT: Phrase("Enter a subject"),
    ProblemCode.SUBJECT_TOO_LONG: Phrase("Enter a subject of no more than 256 characters"),
    ProblemCode.EMPTY: Phrase("Write a text or add a file"),
    ProblemCode.TOO_LARGE: Phrase("Remove files: the message is over 30 MB"),
    ProblemCode.FILE_TYPE: FILE_PROBLEMS[ProblemCode.FILE_TYPE],
    ProblemCode.NOT_APPROVED: Phrase("A second person must approve it first"),
    ProblemCode.NOT_COVERED: NOT_COVERED,
    ProblemCode.ENDED_MAILBOX: Phrase("The mailbox is closed: write in another one"),
    ProblemCode.REFERENCE: Phrase("Enter both the type and the value of the reference"),
}
FIELDS = {
    "recipients": "find",
    "recipient": "find",
    "to": "find",
    "subject": "subject",
    "text": "text",
    "files": "files",
    "references": "reference-value",
    "persons": "person-name",
}
"""Form field in which each problem is shown, by the problem's own field; the text field for any other."""
MAX_SIZE = 30_000_000
LIST = "list:"
"""Prefix of the form value that identifies a distribution list instead of a recipient."""
_CHOICES = 12
_SUGGESTED, _SHORTEST = 8, 2
"""Maximum number of suggestions, and minimum number of letters before any are made."""
_EMPTY_ROWS = 1
_ENDED = Phrase("Not saved: you no longer have access to the mailbox. The draft is kept there.")
_GONE = Phrase("Not saved: the draft is no longer here. Copy your text before you leave the page.")
_LOST = Phrase(
    "Your text could not be saved, because the draft was changed elsewhere. It is kept below: compare, then"
    " save again."
)
_YOURS = Phrase("The draft is yours now. What you typed earlier is kept below: copy what you need from it.")


class Writing:
    """The page for writing a message, and all requests that it posts."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame

    def routes(self) -> Sequence[RouteOf]:
        """Return the routes of these pages."""
        return (
            ("GET", "/drafts", self.drafts),
            ("POST", "/mailbox/{mailbox}/write", self.write),
            ("POST", "/message/{message}/reply", self.reply),
            ("POST", "/message/{message}/again", self.again),
            ("GET", "/draft/{draft}", self.draft),
            ("POST", "/draft/{draft}", self.post),
            ("POST", "/draft/{draft}/save", self.save),
            ("POST", "/suggest", self.suggest),
            ("POST", "/draft/{draft}/take-over", self.take_over),
            ("POST", "/draft/{draft}/discard", self.discard),
            ("GET", "/draft/{draft}/file/{file}", self.file),
        )

    async def drafts(self, request: Request, desk: Desk) -> Response:
        """Show the drafts of the mailboxes that the person writes in."""
        return await self._drafts(request, desk)

    async def _drafts(
        self, request: Request, desk: Desk, status: int = 200, notice: Phrase | None = None
    ) -> Response:
        shown = self._frame.voice(request, desk)
        drafts, mailboxes = await desk.drafts(), await desk.mailboxes()
        all_of_them = sum(box.drafts for box in mailboxes if box.rights.intersection(OF_DRAFTS))
        return await self._frame.page(
            request,
            desk,
            "drafts.html",
            Place(path="/drafts"),
            status,
            notice=notice,
            mailboxes=mailboxes,
            hidden=max(all_of_them - len(drafts), 0),
            drafts=[
                (
                    draft,
                    ", ".join(map(party, draft.content.recipients)),
                    shown.subject(draft.content.subject),
                    "" if draft.writer.id == desk.person.id else shown.person(draft.writer),
                )
                for draft in drafts
            ],
        )

    async def write(self, request: Request, desk: Desk) -> Response:
        """Start a message, or continue one that is still empty."""
        await received(request)
        mailbox = request.path_params["mailbox"]
        for draft in await desk.drafts(mailbox):
            if _untouched(draft) and draft.writer.id == desk.person.id:
                return see(f"/draft/{draft.id}")
        return await self._begun(request, desk, desk.new_draft(mailbox))

    async def reply(self, request: Request, desk: Desk) -> Response:
        """Start a reply."""
        await received(request)
        return await self._begun(request, desk, desk.reply(request.path_params["message"]))

    async def again(self, request: Request, desk: Desk) -> Response:
        """Start a new message with the content of one that was sent."""
        await received(request)
        return await self._begun(request, desk, desk.send_again(request.path_params["message"]))

    async def _begun(self, request: Request, desk: Desk, begun: Awaitable[Draft]) -> Response:
        """Redirect to a new draft, or show the list of drafts if the person has too many."""
        try:
            return see(f"/draft/{(await begun).id}")
        except TooManyKept as many:
            most = self._frame.voice(request, desk).formats.number(many.most)
            notice = Phrase(
                "No draft was started: you have %(most)s in the mailbox, which is the most that one person "
                "may "
                "have. Send or delete some of them first.",
                {"most": most},
            )
            return await self._drafts(request, desk, 409, notice)

    async def draft(self, request: Request, desk: Desk) -> Response:
        """Show an open draft to its writer as a form; otherwise redirect to its review or status."""
        draft = await desk.draft(request.path_params["draft"])
        if draft.stage is DraftStage.SENT and draft.conversation:
            return see(f"/conversation/{draft.conversation}")
        if draft.stage in (DraftStage.WINDOW, DraftStage.SENT):
            return see(f"/draft/{draft.id}/sending")
        if draft.stage is DraftStage.APPROVAL or draft.writer.id != desk.person.id:
            return see(f"/draft/{draft.id}/review")
        return await self._form(request, desk, draft, form_of(draft))

    async def post(self, request: Request, desk: Desk) -> Response:
        """Save the form with its files, then do what the chosen button asks for."""
        draft, form, files = await self._received(request, desk)
        try:
            draft = await with_uploaded_files(desk, draft, form, files)
            content = content_of(form, draft.content)
            if form["insert"]:
                content = await _with_template(desk, draft.mailbox, content, form["template"])
            if form["add"]:
                content = await _with_recipient(desk, content, form["add"])
            await desk.save_draft(draft.id, draft.version, content)
        except (Changed, DraftTaken, DraftClosed):
            return await self._conflict(request, desk, draft, form, files)
        if form["remove-file"]:
            await desk.remove_file(draft.id, form["remove-file"])
        return await self._after(request, desk, draft, form, files.refused or refused_before(form))

    async def _received(self, request: Request, desk: Desk) -> tuple[Draft, Form, Files]:
        """Read the form of a draft and store its files; returns the draft as it was before that."""
        draft = await desk.draft(request.path_params["draft"])
        files = Files(desk, draft.id)
        form = await received(request, files.open)
        if files.signed_out:
            raise StaleForm(form, files_lost=True)
        if files.without_rights is not None:
            files.without_rights.form = form
            raise files.without_rights
        return draft, form, files

    async def _after(
        self,
        request: Request,
        desk: Desk,
        draft: Draft,
        form: Form,
        refused: Sequence[Refused],
    ) -> Response:
        """Return the response to a form that has been saved."""
        draft = await desk.draft(draft.id)
        look = bool(form["look"] or (form["enter"] and form["find"].strip()))
        again = form_of(draft, form["find"] if look else "")
        if refused:
            again.refuse("files", why_refused(refused))
            return await self._form(request, desk, draft, again, 422)
        if look:
            return await self._form(request, desk, draft, again, look=True)
        if form["add"] or form["remove"] or form["remove-file"] or form["more"]:
            return see(f"/draft/{draft.id}#{'files' if form['remove-file'] else 'find'}")
        if form["insert"]:
            return see(f"/draft/{draft.id}#text")
        if form["later"]:
            return see("/drafts")
        review = await desk.review(draft.id)
        for problem in review.problems:
            again.refuse(FIELDS.get(problem.field, "text"), about(*why(draft, problem)))
        if again.errors:
            return await self._form(request, desk, draft, again, 422)
        return see(f"/draft/{draft.id}/review")

    async def save(self, request: Request, desk: Desk) -> Response:
        """Save what has been typed, and return the result in words with the version for the next save.

        A file may come with the form: the script sends files ahead of it, to show their progress. If a file
        is refused, the form itself carries the reason to the page that shows it.
        """
        try:
            return await self._save(request, desk)
        except NotHere as missing:
            await received_before(request)
            said = self._frame.text(request, _ENDED if missing.ended else _GONE)
            return JSONResponse({"said": said, "over": True})

    async def _save(self, request: Request, desk: Desk) -> Response:
        draft, form, files = await self._received(request, desk)
        shown = self._frame.voice(request, desk)
        try:
            draft = await with_uploaded_files(desk, draft, form, files)
            version = await desk.save_draft(draft.id, draft.version, content_of(form, draft.content))
        except DraftTaken as taken:
            phrase = Phrase("%(name)s is writing in this draft now.", {"name": shown.person(taken.writer)})
            return JSONResponse({"said": self._frame.text(request, phrase), "over": True, **files.answer()})
        except (Changed, DraftClosed):
            phrase = Phrase("Not saved: the draft was changed in another window.")
            return JSONResponse({"said": self._frame.text(request, phrase), "over": True, **files.answer()})
        return JSONResponse(
            {
                "said": self._frame.text(request, Phrase("Saved")),
                "fields": {"version": str(version)},
                **files.answer(),
            }
        )

    async def suggest(self, request: Request, desk: Desk) -> Response:
        """Return addresses that match what is being typed, for the script that shows them."""
        form = await received(request)
        words = form["find"].strip()
        found = await desk.correspondents(words, _SUGGESTED) if len(words) >= _SHORTEST else ()
        said = {True: Phrase("used before"), False: Phrase("not written to before")}
        return JSONResponse(
            {
                "found": [
                    {
                        "key": key_of(each.recipient),
                        "name": visible(party(each.recipient)),
                        "beneath": " · ".join(
                            self._frame.text(request, one)
                            for one in (
                                *((Phrase("close to what you typed"),) if each.near else ()),
                                *((Phrase("Favourite"),) if each.favourite else ()),
                                said[bool(each.used)],
                            )
                        ),
                    }
                    for each in found
                ]
            }
        )

    async def take_over(self, request: Request, desk: Desk) -> Response:
        """Become the writer of a draft. What the person typed is saved, or shown next to the newer text."""
        files = Files(desk, request.path_params["draft"])
        form = await received(request, files.pass_over)
        before = await desk.draft(request.path_params["draft"])
        try:
            draft = await desk.take_over_draft(before.id)
            if not form.all("subject"):
                return see(f"/draft/{draft.id}")
            if version_of(form) != before.version or draft.content != before.content:
                return await self._conflict(request, desk, draft, form, files)
            await desk.save_draft(draft.id, draft.version, content_of(form, draft.content))
        except (Changed, DraftTaken, DraftClosed):
            return await self._conflict(request, desk, before, form, files)
        earlier = earlier_forms(form)
        if not earlier and not files.passed_over:
            return see(f"/draft/{draft.id}")
        draft = await desk.draft(draft.id)
        return await self._form(
            request,
            desk,
            draft,
            form_of(draft),
            typed=earlier,
            lost=_YOURS,
            files_lost=files.passed_over,
        )

    async def discard(self, request: Request, desk: Desk) -> Response:
        """Ask for confirmation, then delete a draft."""
        form = await received(request)
        draft = await desk.draft(request.path_params["draft"])
        if form["sure"] != "yes":
            shown = self._frame.voice(request, desk)
            return await self._frame.page(
                request,
                desk,
                "discard.html",
                Place(draft.mailbox),
                draft=draft,
                subject=shown.subject(draft.content.subject),
            )
        try:
            await desk.discard_draft(draft.id, version_of(form))
        except (Changed, DraftTaken, DraftClosed):
            return see(f"/draft/{draft.id}")
        return see(f"/conversation/{draft.conversation}" if draft.conversation else "/drafts")

    async def file(self, request: Request, desk: Desk) -> Response:
        """Return a file of a draft as a download."""
        return saved_file(await desk.draft_file(request.path_params["draft"], request.path_params["file"]))

    async def _conflict(
        self,
        request: Request,
        desk: Desk,
        draft: Draft,
        form: Form,
        files: Files,
    ) -> Response:
        """Show what was typed next to the current draft, so that neither is lost."""
        draft = await desk.draft(draft.id)
        if draft.stage not in (DraftStage.OPEN, DraftStage.APPROVED):
            return await self._frame.page(
                request,
                desk,
                "closed_draft.html",
                Place(draft.mailbox),
                409,
                draft=draft,
                typed=[
                    typed_in(each, self._frame.voice(request, desk)) for each in (form, *earlier_forms(form))
                ],
                files_lost=files.passed_over,
            )
        return await self._form(
            request,
            desk,
            draft,
            form_of(draft),
            409,
            typed=(form, *earlier_forms(form)),
            files_lost=files.passed_over,
        )

    async def _form(
        self,
        request: Request,
        desk: Desk,
        draft: Draft,
        form: Form,
        status: int = 200,
        *,
        look: bool = False,
        typed: Sequence[Form] = (),
        lost: Phrase | None = None,
        files_lost: bool = False,
    ) -> Response:
        shown = self._frame.voice(request, desk)
        mine, live = draft.writer.id == desk.person.id, ""
        if draft.conversation and mine:
            view = OpenPage(conversation=draft.conversation, writing=True)
            live = await self._frame.live(request, desk, view)
        mailboxes = await desk.mailboxes()
        asks = look or not draft.content.recipients
        return await self._frame.page(
            request,
            desk,
            "draft.html",
            Place(draft.mailbox),
            status,
            mailboxes=mailboxes,
            draft=draft,
            form=form,
            typed=[typed_in(each, shown) for each in typed],
            earlier=(EARLIER, [kept_form(each) for each in typed]),
            lost=lost or (_LOST if mine else _taken(shown.person(draft.writer))),
            files_lost=files_lost,
            mine=mine,
            live=live,
            writer=shown.person(draft.writer),
            mailbox_name=next((box.name for box in mailboxes if box.id == draft.mailbox), ""),
            recipients=[(key_of(each), party(each)) for each in draft.content.recipients],
            choices=await _choices(desk, draft, form["find"], look=look) if asks else (),
            lists=await _lists(desk, form["find"]) if asks else (),
            looked=look,
            systems=[(root, phrase) for root, phrase in CODE_SYSTEMS.items() if root in OFFERED],
            person_systems=[(root, CODE_SYSTEMS[root]) for root in OFFERED_OF_PERSONS],
            **_named(draft.content),
            theirs=[shown.reference(each) for each in draft.content.recipient_references],
            attached=[
                (
                    file.id,
                    Attached(
                        f"/draft/{draft.id}/file/{file.id}", file.name, kind(file.media_type), file.size
                    ),
                )
                for file in draft.files
            ],
            limit=MAX_SIZE,
            templates=[(each.id, each.title) for each in await self._templates(desk, draft)],
            may_write=desk.may(Right.WRITE, draft.mailbox),
        )

    async def _templates(self, desk: Desk, draft: Draft) -> Sequence[TextTemplate]:
        return await desk.text_templates(draft.mailbox) if desk.may(Right.WRITE, draft.mailbox) else ()


def _named(content: DraftContent) -> dict[str, object]:
    """Return our references and persons: those that are fields of the form, and the number of the others."""
    persons, references = beside(content.persons), beside(content.references)
    return {
        "persons_beside": persons,
        "person_rows": content.persons[persons:] or (Identifier(OFFERED_OF_PERSONS[0], ""),),
        "references_beside": references,
        "rows": [*content.references[references:], *[Identifier("dnr", "")] * _EMPTY_ROWS],
    }


async def _choices(
    desk: Desk, draft: Draft, find: str, *, look: bool
) -> Sequence[tuple[str, str, Correspondent]]:
    """Return addresses to choose from; before the person searches, only those used before and favourites."""
    chosen = {(each.organisation, each.address) for each in draft.content.recipients}
    return [
        (key_of(each.recipient), party(each.recipient), each)
        for each in await desk.correspondents(find, _CHOICES)
        if (look or each.used or each.favourite)
        and (each.recipient.organisation, each.recipient.address) not in chosen
    ]


async def _lists(desk: Desk, find: str) -> Sequence[tuple[str, str, int]]:
    """Return the distribution lists with names that contain the search text."""
    return [
        (f"{LIST}{each.id}", each.name, len(each.recipients))
        for each in await desk.lists()
        if find.strip().casefold() in each.name.casefold()
    ]


OFFERED = ("dnr", "1.2.752.129.2.1.3.1", "1.2.752.129.2.1.3.3", "1.2.752.74.9.1", "1.3.88", "unregistred")
"""Code systems that a person can choose for references."""
OFFERED_OF_PERSONS = ("0.9.2342.19200300.100.1.3", "1.2.752.29.6.2.1", "1.2.752.129.2.1.2.1")
"""Code systems for contact persons on our side: e-mail, HSA id, local id."""


def why(draft: Draft, problem: Problem) -> tuple[Phrase, str]:
    """Return why a draft cannot be sent, and the file or recipient that this concerns, if any."""
    if problem.recipient is not None:
        return PROBLEMS[problem.code], party(problem.recipient)
    file = next((each.name for each in draft.files if each.id == problem.file), "")
    return (FILE_PROBLEMS if file else PROBLEMS)[problem.code], file


async def _with_template(desk: Desk, mailbox: str, content: DraftContent, template: str) -> DraftContent:
    """Return the content with a text template of the mailbox added after the existing text."""
    for each in await desk.text_templates(mailbox):
        if each.id == template:
            text = "\n\n".join(filter(None, (content.text.rstrip(), each.text)))
            return replace(content, text=text)
    return content


async def _with_recipient(desk: Desk, content: DraftContent, key: str) -> DraftContent:
    """Return the content with one more recipient, which is added only if it is in the address book."""
    if key.startswith(LIST):
        return await _with_list(desk, content, key.removeprefix(LIST))
    if any(key_of(each) == key for each in content.recipients):
        return content
    found = await desk.correspondent(key)
    return content if found is None else replace(content, recipients=(*content.recipients, found))


async def _with_list(desk: Desk, content: DraftContent, kept: str) -> DraftContent:
    """Return the content with the recipients of a distribution list added, without duplicates."""
    for each in await desk.lists():
        if each.id == kept:
            known = {key_of(one): one for one in (*content.recipients, *each.recipients)}
            return replace(content, recipients=tuple(known.values()))
    return content


def _taken(name: str) -> Phrase:
    return Phrase(
        "Not saved: %(name)s has taken over this draft. Your text is kept below: copy what you need "
        "before you go on.",
        {"name": name},
    )


def _untouched(draft: Draft) -> bool:
    return (
        draft.stage is DraftStage.OPEN
        and draft.content == DraftContent()
        and not draft.files
        and (draft.conversation is None)
    )
