"""Mail as page elements: references, handlers, dates and delivery in words, and links to pages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from types import MappingProxyType

from samdrift.contracts.messages import Direction
from samdrift.messageclient import mail
from samdrift.messageclient.live.openpages import Present
from samdrift.messageclient.notices import manning
from samdrift.messageclient.pages import delivery
from samdrift.web.messagetext import kept_text
from samdrift.web.pages import Wording
from samdrift.web.texts import Phrase
from samdrift.web.views import (
    Attached,
    Delivery,
    Document,
    Kind,
    Message,
    Note,
    OverdueNotice,
    Row,
    Step,
    StepState,
    Tag,
)

_LOCAL = "1.2.752.129.2.1.2.1"
CODE_SYSTEMS: Mapping[str, Phrase] = MappingProxyType(
    {
        "dnr": Phrase("Record number"),
        "1.2.752.129.2.1.3.1": Phrase("Personal identity number"),
        "1.2.752.129.2.1.3.3": Phrase("Coordination number"),
        "1.2.752.74.9.1": Phrase("National reserve number"),
        "1.3.88": Phrase("GLN"),
        "1.2.752.29.6.2.1": Phrase("HSA id"),
        "0.9.2342.19200300.100.1.3": Phrase("Email"),
        _LOCAL: Phrase("Local id"),
        "unregistred": Phrase("Reference"),
    }
)
"""Code systems of persons and references, spelt as in the specification (content-specification 4.3.1)."""
_OF_PERSONS = frozenset({"1.2.752.129.2.1.3.1", "1.2.752.129.2.1.3.3", "1.2.752.74.9.1"})
"""Code systems of personal numbers, which are shown on a conversation's own page but never in a list."""
_LISTED = 2
_NAMED = 3
"""Maximum number of people named as having a conversation open; further ones are only counted."""
_NOTHING_MORE = "NA"
"""Detail code of a step without further details (api-mt-mk, Mappning Kvittens och Event)."""
_CLOCKS_DIFFER = timedelta(minutes=10)
_TYPES = MappingProxyType(
    {
        "application/pdf": "PDF",
        "text/plain": "TXT",
        "text/html": "HTML",
        "text/xml": "XML",
        "application/xml": "XML",
        "application/msword": "DOC",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "DOCX",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "XLSX",
        "application/vnd.openxmlformats-officedocument.presentationml.presentation": "PPTX",
        "application/vnd.ms-excel": "XLS",
        "image/jpeg": "JPEG",
        "image/png": "PNG",
        "image/tiff": "TIFF",
        "image/gif": "GIF",
    }
)


def kind(media_type: str) -> str:
    """Return a short name for a file type."""
    return _TYPES.get(media_type) or media_type.rpartition("/")[2].rpartition(".")[2][:5].upper() or "FIL"


def party(one: mail.Party | mail.Recipient) -> str:
    """Return the names of an organisation and its function, or their identifiers if no name is known.

    Clauses: content-specification 4.3.2.3 sentence 3.
    """
    names = (one.organisation_name or one.organisation, one.address_name or one.address)
    return ", ".join(filter(None, names))


def marked_here(one: mail.Conversation) -> bool:
    """Return whether no incoming message of a conversation was marked as confidential."""
    return not any(each.confidential and each.direction == "in" for each in one.messages)


def _listed(references: Sequence[mail.Identifier]) -> list[str]:
    """Return the references that identify a conversation in a list."""
    return [one.extension for one in references if one.root not in _OF_PERSONS][:_LISTED]


_LEFT_OF_THEIRS = Phrase(
    "It is still at the message service. Ask the sender to send it again in smaller parts, each under 30 "
    "MB; whoever runs your message service can give you what arrived."
)
_LEFT_OF_OURS = Phrase("It is still at the message service, and can be read in the system that sent it.")


class Shown:
    """Mail in words, in the language of one person, ``me``."""

    def __init__(self, wording: Wording, me: mail.Person) -> None:
        self._wording = wording
        self.formats = wording.formats
        self._me = me

    def say(self, phrase: Phrase) -> str:
        """Return a phrase in the person's language."""
        return self._wording.text(phrase)

    def person(self, person: mail.Person) -> str:
        """Return a person's name, or a text for a person who is no longer known."""
        return person.name or self.say(Phrase("A person who is no longer known here"))

    def part(self, one: mail.Conversation) -> str:
        """Return which messages of a conversation a page shows; empty if it shows them all."""
        if not one.others:
            return ""
        before = one.others - one.later
        numbers = {
            "first": before + 1,
            "last": before + len(one.messages),
            "count": len(one.messages) + one.others,
        }
        words = {name: self.formats.number(number) for name, number in numbers.items()}
        if numbers["first"] == numbers["last"]:
            return self.say(Phrase("Message %(first)s of %(count)s.", words))
        return self.say(Phrase("Messages %(first)s to %(last)s of %(count)s.", words))

    # --- references ---------------------------------------------------------------------------------------

    def reference(self, one: mail.Identifier) -> str:
        """Return a reference in words: its code system, its value, and the label that came with it.

        Clauses: content-specification 4.3.2.3 sentence 5, sentence 6.
        """
        system = CODE_SYSTEMS.get(one.root)
        name = self.say(system) if system else one.root
        label = f" ({one.label})" if one.label and one.label != one.extension else ""
        return f"{name} {one.extension}{label}".strip()

    def persons(self, persons: Sequence[mail.Identifier]) -> str:
        """Return the persons that a message names, each by the label that came with it and by its id.

        A local id is left out if there is a label, because it means nothing to other organisations.

        Clauses: content-specification 4.3.2.3 sentence 1, sentence 2.
        """
        return ", ".join(map(self._person, persons))

    def _person(self, one: mail.Identifier) -> str:
        if not one.extension or (one.label and one.root == _LOCAL):
            return one.label
        known = self.reference(replace(one, label=""))
        return f"{one.label} ({known})" if one.label else known

    def tags(self, ours: Sequence[mail.Identifier], theirs: mail.Party) -> tuple[Tag, ...]:
        """Return references as tags; those of the other side carry the name of their organisation."""
        whose = theirs.organisation_name.split(" ")[0] or theirs.organisation
        return (
            *(Tag(self.reference(one)) for one in ours),
            *(Tag(f"{whose}: {self.reference(one)}", Kind.ACCENT) for one in theirs.references),
        )

    def cautions(self, check: mail.RecipientCheck, phrases: Mapping[mail.Caution, Phrase]) -> tuple[str, ...]:
        """Return texts for the reasons to check a recipient again."""
        return tuple(self.say(phrase) for caution, phrase in phrases.items() if caution in check.cautions)

    def receipt(self, check: mail.RecipientCheck) -> str:
        """Return when a recipient last confirmed a message; empty if it never did."""
        if check.last_receipt_at is None:
            return ""
        return self.say(
            Phrase("Latest receipt %(time)s.", {"time": self.formats.longer(check.last_receipt_at)})
        )

    def here(self, there: Sequence[Present]) -> str:
        """Return a text about who else has a conversation open."""
        named = [self._here(one) for one in there[:_NAMED]]
        if len(there) > _NAMED:
            named.append(self.say(Phrase("%(count)s more", {"count": len(there) - _NAMED})))
        return ", ".join(named)

    def _here(self, one: Present) -> str:
        name = {"name": self.person(one.person)}
        return self.say(
            Phrase("%(name)s is writing now", name) if one.writing else Phrase("%(name)s is here", name)
        )

    # --- lists --------------------------------------------------------------------------------------------

    def row(self, line: mail.Line, query: str = "", current: str = "") -> Row:
        """Return a conversation as a row; ``query`` keeps track of the list that it is opened from."""
        return Row(
            href=f"/conversation/{line.id}{query}",
            id=line.id,
            sender=party(line.counterpart),
            subject=self.subject(line.subject),
            at=line.at,
            unread=line.unread,
            confidential=line.confidential,
            current=line.id == current,
            tags=tuple(self._line_tags(line)),
            beside=tuple(self._beside(line)),
        )

    def row_of(self, one: mail.Conversation, query: str) -> Row:
        """Return an open conversation as a row of a list in which it no longer belongs."""
        return Row(
            href=f"/conversation/{one.id}{query}",
            id=one.id,
            sender=party(one.counterpart),
            subject=self.subject(one.subject),
            at=max(each.at for each in one.messages),
            confidential=one.confidential,
            current=True,
            beside=(*_listed(one.references), self.handler(one.handler, one.substitutes)),
        )

    def overdue(self, overdue: manning.Overdue | None, query: str) -> OverdueNotice | None:
        """Return a text about messages left unread for too long, with a link to the oldest."""
        if overdue is None:
            return None
        one, hours = overdue.messages == 1, {"hours": overdue.hours}
        several = Phrase("%(count)s messages have been unread", {"count": overdue.messages})
        long = Phrase("for more than %(hours)s staffed hours.", hours)
        return OverdueNotice(
            self.say(Phrase("One message has been unread") if one else several),
            self.say(Phrase("for more than one staffed hour.") if overdue.hours == 1 else long),
            f"/conversation/{overdue.oldest}{query}",
            self.say(Phrase("Open it") if one else Phrase("Open the oldest")),
        )

    def subject(self, subject: str) -> str:
        """Return a subject, or a text for a missing one."""
        return subject.strip() or self.say(Phrase("(no subject)"))

    def _line_tags(self, line: mail.Line) -> Iterable[Tag]:
        if line.too_large:
            yield Tag(self.say(Phrase("Too large to be fetched")), Kind.WARNING)
        if line.unreadable:
            yield Tag(self.say(Phrase("Cannot be shown")), Kind.WARNING)
        if line.new_to_me and not line.unread:
            yield Tag(self.say(Phrase("New to you")), Kind.ACCENT)
        if line.delivery is not None:
            state, _ = delivery.words(line.delivery, self._wording)
            if state.kind in (Kind.BAD, Kind.WARNING):
                yield state
        if line.registered:
            number = {"number": line.registered.number}
            yield Tag(self.say(Phrase("Registered as %(number)s", number)), Kind.GOOD)
        if line.done:
            yield Tag(self.say(Phrase("Done")), Kind.GOOD)

    def _beside(self, line: mail.Line) -> Iterable[str]:
        yield from _listed(line.references)
        for writing in dict.fromkeys(draft.writer for draft in line.drafts):
            if writing.id == self._me.id:
                yield self.say(Phrase("your draft"))
            else:
                writer = {"name": self.person(writing)}
                yield self.say(Phrase("%(name)s is writing a reply", writer))
        if not line.done:
            yield self.handler(line.handler, line.substitutes)
        if line.files:
            phrase = Phrase("1 file") if line.files == 1 else Phrase("%(count)s files", {"count": line.files})
            yield self.say(phrase)

    def handler(self, handler: mail.Person | None, substitutes: Sequence[mail.Person] = ()) -> str:
        """Return a text about a conversation's handler, with substitutes while the handler is absent."""
        if handler is None:
            return self.say(Phrase("unassigned"))
        if handler.id == self._me.id:
            return self.say(Phrase("with you"))
        name = self.person(handler)
        if any(one.id == self._me.id for one in substitutes):
            return self.say(Phrase("with you, covering for %(name)s, who is absent", {"name": name}))
        if substitutes:
            others = ", ".join(map(self.person, substitutes))
            phrase = Phrase("with %(name)s, absent; %(others)s covering", {"name": name, "others": others})
            return self.say(phrase)
        return self.say(Phrase("with %(name)s", {"name": name}))

    def registered(self, registration: mail.Registration | None) -> str:
        """Return who registered a conversation, and when; empty if it has not been registered."""
        if registration is None:
            return ""
        by = {"name": self.person(registration.person), "time": self.formats.longer(registration.at)}
        return self.say(Phrase("%(name)s, %(time)s", by))

    # --- messages -----------------------------------------------------------------------------------------

    def message(self, one: mail.Message, *, may_write: bool, marked: bool = False) -> Message:
        """Return a message of a conversation; with ``marked``, a tag shows whether it is confidential."""
        came = one.direction is Direction.IN
        return Message(
            id=f"m-{one.id}",
            organisation=party(one.sender),
            person=self._author(one),
            attention=self._attention(one),
            tags=(self._mark(one),) if marked else (),
            at=one.at,
            documents=tuple(self._document(one, document) for document in one.documents),
            reply=f"/message/{one.id}/reply" if came and may_write else "",
            raw=f"/message/{one.id}/raw" if one.stage is mail.Stage.UNREADABLE else "",
            left=self.say(_LEFT_OF_THEIRS if came else _LEFT_OF_OURS) if one.too_large else "",
            read_by=one.read_by,
            readers=f"/message/{one.id}/readers",
            way=f"/message/{one.id}/way",
            received=self._received(one) if came else "",
            delivery=None if one.delivery is None else self._delivery(one, may_write=may_write),
        )

    def _mark(self, one: mail.Message) -> Tag:
        """Return a tag for confidential or not confidential (content-specification 4.3.2 sentence 11)."""
        if one.confidential:
            return Tag(self.say(Phrase("Confidential")), Kind.CONFIDENTIAL)
        return Tag(self.say(Phrase("Not marked as confidential")))

    def _author(self, one: mail.Message) -> str:
        if one.author is not None:
            return self.person(one.author)
        return self.persons(one.sender.persons)

    def _attention(self, one: mail.Message) -> str:
        persons = self.persons(one.recipient.persons)
        return self.say(Phrase("For the attention of %(persons)s", {"persons": persons})) if persons else ""

    def _document(self, one: mail.Message, document: mail.Document) -> Document:
        """Return a document with its name (content-specification 4.3.3.1 sentence 2)."""
        files = tuple(
            Attached(f"/message/{one.id}/file/{file.id}", file.name, kind(file.media_type), file.size)
            for file in document.files
        )
        return Document(kept_text("".join(document.texts)), files, document.name)

    def _received(self, one: mail.Message) -> str:
        if one.dated_at is None or abs(one.dated_at - one.at) <= _CLOCKS_DIFFER:
            return ""
        return self.say(
            Phrase("The sender’s own time: %(time)s", {"time": self.formats.longer(one.dated_at)})
        )

    def delivery(self, one: mail.Delivery) -> Delivery:
        """Return the delivery of a message in words."""
        tag, beside = delivery.words(one, self._wording)
        return Delivery(tag, beside)

    def _delivery(self, one: mail.Message, *, may_write: bool) -> Delivery:
        """Return the delivery of a message, with a link to undo it while permitted and possible."""
        assert one.delivery is not None
        undo = self.undo(one) if may_write else ""
        return replace(self.delivery(one.delivery), undo=undo)

    def undo(self, one: mail.Message) -> str:
        """Return the page on which the sending of a message can be undone; empty once it cannot."""
        until = None if one.delivery is None else one.delivery.until
        lasts = one.stage is mail.Stage.WINDOW and until is not None and self.formats.now < until
        return f"/draft/{one.draft}/sending" if lasts and one.draft else ""

    def note(self, note: mail.Note) -> Note:
        """Return a note of a conversation."""
        return Note(self.person(note.author), note.at, note.text, f"n-{note.id}")

    def way(self, one: mail.Message) -> tuple[Step, ...]:
        """Return the progress of a message's delivery as the steps of a picture."""
        if one.delivery is None:
            sent = Step(self.say(Phrase("Sent by the sender")), StepState.DONE, one.dated_at)
            came = Step(self.say(Phrase("Came in")), StepState.DONE, one.at)
            return (sent, came) if one.dated_at else (came,)
        written = Step(self.say(Phrase("Written")), StepState.DONE, one.at)
        return delivery.picture(one.delivery, written, self._wording)

    def steps(self, one: mail.Delivery) -> tuple[tuple[str, str, str], ...]:
        """Return the steps of a delivery in words: time, event, and the message service's own details."""
        return tuple(
            (
                self.formats.exact(event.at),
                self.say(delivery.event_words(event)),
                "" if event.detail.strip() == _NOTHING_MORE else event.detail,
            )
            for event in sorted(one.events, key=delivery.in_order)
        )
