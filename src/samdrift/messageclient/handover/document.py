"""Content of a hand-over's PDF for typesetting; always in Swedish, for Swedish records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from samdrift.contracts.messages import Direction
from samdrift.messageclient import mail
from samdrift.messageclient.handover.blocks import Block, blocks
from samdrift.messageclient.handover.content import HandOver
from samdrift.messageclient.mail import Act, Message
from samdrift.messageclient.pages.delivery import event_words
from samdrift.messageclient.pages.shown import Shown, kind, marked_here, party
from samdrift.web.formats import SWEDEN
from samdrift.web.hostile import visible
from samdrift.web.texts import Phrase

ACTS = {
    Act.READ: Phrase("Read"),
    Act.FILE: Phrase("Opened a file"),
    Act.RAW: Phrase("Downloaded the raw data"),
    Act.PRINTED: Phrase("Printed"),
    Act.WHY: Phrase("Said why"),
    Act.HANDED_OVER: Phrase("Handed over"),
}


class Document:
    """A hand-over in words. Hidden characters in texts from other people are made visible."""

    def __init__(self, shown: Shown, handover: HandOver, site: str, digests: Mapping[str, str]) -> None:
        """``shown`` has lasting Swedish texts; ``site`` names the organisation; ``digests`` are by file.

        The messages of ``handover`` have their documents.
        """
        self._shown = shown
        self._handover = handover
        self._site = site
        self._digests = digests

    def content(self) -> dict[str, Any]:
        """Return all the data that the template reads."""
        say, handover = self._shown.say, self._handover
        conversation = handover.conversation
        exact = self._shown.formats.exact(handover.at)
        by = {"name": visible(self._shown.person(handover.person)), "time": exact}
        local = handover.at.astimezone(SWEDEN)
        marked = say(Phrase("Marked as confidential")) if conversation.confidential else ""
        return {
            "title": visible(self._shown.subject(conversation.subject)),
            "organisation": visible(self._site),
            "date": {"year": local.year, "month": local.month, "day": local.day},
            "head": visible(f"{self._site}, {handover.address}"),
            "mark": marked,
            "foot": say(Phrase("Handed over by %(name)s, %(time)s", by)),
            "labels": {name: say(phrase) for name, phrase in _LABELS.items()},
            "confidential": self._mark(conversation.confidential, here=marked_here(conversation)),
            "confidential_beside": say(Phrase("Check before it is disclosed.")),
            "facts": self._facts(),
            "messages": [self._message(number, each) for number, each in enumerate(conversation.messages, 1)],
            "notes": [
                {
                    "author": visible(self._shown.person(note.author)),
                    "at": self._shown.formats.exact(note.at),
                    "text": visible(note.text),
                }
                for note in conversation.notes
            ],
        }

    def _mark(self, confidential: bool, *, here: bool) -> str:
        if not confidential:
            return ""
        return self._shown.say(_MARKED_HERE if here else _MARKED_BY_SENDER)

    def _facts(self) -> list[dict[str, Any]]:
        say, handover, conversation = self._shown.say, self._handover, self._handover.conversation
        registered = conversation.registered
        ids = dict.fromkeys(each.conversation_id for each in conversation.messages)
        return _filled(
            _fact(say(Phrase("Number in our records")), registered.number if registered else ""),
            _fact(say(Phrase("Other party")), party(conversation.counterpart)),
            _fact(say(Phrase("Address")), handover.address),
            *(_fact(say(Phrase("Conversation")), each, mono=True) for each in ids),
        )

    def _message(self, number: int, one: Message) -> dict[str, Any]:
        count, time = len(self._handover.conversation.messages), self._shown.formats.longer(one.at)
        place = {"number": number, "count": count, "time": time}
        heading = (
            Phrase("Message %(number)s of %(count)s, received %(time)s", place)
            if one.direction is Direction.IN
            else Phrase("Message %(number)s of %(count)s, sent %(time)s", place)
        )
        files = [file for document in one.documents for file in document.files]
        return {
            "heading": self._shown.say(heading),
            "confidential": self._mark(one.confidential, here=one.direction is Direction.OUT),
            "facts": self._facts_of(one),
            "documents": [
                {
                    "name": visible(each.name) if len(one.documents) > 1 else "",
                    "blocks": [block for text in each.texts for block in blocks(text)],
                }
                for each in one.documents
            ]
            or [{"name": "", "blocks": self._nothing(one)}],
            "files": [
                {
                    "name": visible(file.name),
                    "kind": kind(file.media_type),
                    "size": self._shown.formats.size(file.size),
                    "sha256": self._digests.get(file.id, ""),
                }
                for file in files
            ],
            "delivery": self._delivery(one),
            "readers": [
                {
                    "who": visible(self._shown.person(each.person)),
                    "how": self._shown.say(ACTS[each.act]),
                    "at": self._shown.formats.longer(each.first_at),
                }
                for each in self._handover.readings.get(one.id, ())
                if each.act is not Act.HANDED_OVER
            ],
        }

    def _facts_of(self, one: Message) -> list[dict[str, Any]]:
        shown, say = self._shown, self._shown.say
        state = shown.delivery(one.delivery) if one.delivery else None
        author = shown.person(one.author) if one.author else ""
        sides: Sequence[tuple[Phrase, mail.Party, Phrase, Phrase]] = (
            (Phrase("From"), one.sender, Phrase("Persons at the sender"), Phrase("The sender’s references")),
            (
                Phrase("To"),
                one.recipient,
                Phrase("Persons at the recipient"),
                Phrase("The recipient’s references"),
            ),
        )
        facts = [_fact(say(Phrase("Subject")), shown.subject(one.subject))]
        for label, side, persons, references in sides:
            whose = f"{party(side)}\n{side.organisation}, {side.address}"
            facts.append(_fact(shown.say(label), whose))
            facts.append(_fact(shown.say(persons), "\n".join(map(shown.reference, side.persons))))
            facts.append(_fact(shown.say(references), "\n".join(map(shown.reference, side.references))))
        facts += [
            _fact(say(Phrase("Sent by")), author),
            _fact(say(Phrase("Received or sent")), shown.formats.exact(one.at)),
            _fact(
                say(Phrase("The sender’s time stamp")),
                shown.formats.exact(one.dated_at) if one.dated_at else "",
            ),
            _fact(say(Phrase("State")), f"{state.tag.text}. {state.beside}" if state else ""),
            _fact(say(Phrase("Message number")), one.message_id, mono=True),
        ]
        return _filled(*facts)

    def _delivery(self, one: Message) -> list[dict[str, str]]:
        if one.delivery is None:
            return []
        shown = self._shown
        return [
            {"at": shown.formats.longer(event.at), "words": visible(shown.say(event_words(event)))}
            for event in one.delivery.events
        ]

    def _nothing(self, one: Message) -> list[Block]:
        if one.too_large:
            why = Phrase("This message was too large to be fetched. It is at the message service alone.")
        elif one.stage is mail.Stage.UNREADABLE:
            why = Phrase("This message cannot be shown. It is in the package as it came.")
        else:
            why = Phrase("The message has no text.")
        return [
            {"kind": "paragraph", "runs": [{"text": self._shown.say(why), "bold": False, "italic": True}]}
        ]


_MARKED_BY_SENDER = Phrase("Marked as confidential by the sender")
_MARKED_HERE = Phrase("Marked as confidential as sent from here")
_LABELS = {
    "page": Phrase("Page"),
    "files": Phrase("Files"),
    "name": Phrase("Name"),
    "kind": Phrase("Type"),
    "size": Phrase("Size"),
    "digest": Phrase("SHA-256"),
    "delivery": Phrase("Delivery"),
    "time": Phrase("Time"),
    "step": Phrase("What happened"),
    "readers": Phrase("Who has read"),
    "who": Phrase("Who"),
    "how": Phrase("How"),
    "first": Phrase("First"),
    "notes": Phrase("Notes, not sent"),
}


def _fact(label: str, value: str, *, mono: bool = False) -> dict[str, Any]:
    return {"label": label, "value": visible(value), "mono": mono}


def _filled(*facts: dict[str, Any]) -> list[dict[str, Any]]:
    return [fact for fact in facts if fact["value"].strip()]
