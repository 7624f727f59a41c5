"""The size that a draft is said to have, against that of the message that the message service makes of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from functools import partial
from uuid import uuid4

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from samdrift.client.outgoing import Attachment
from samdrift.contracts.messages import Direction
from samdrift.messageclient import content, drafts, sending, submitting
from samdrift.messageclient.mail import DraftContent, Identifier, ProblemCode, Recipient
from samdrift.messageservice.interface_d.drafting import draft
from samdrift.vault.mailrecords import FileRecord, MailboxRecord, MailRecord
from samdrift.wire.sdkmessage import MAX_BYTES, prepare

NOW = datetime(2026, 11, 27, tzinfo=UTC)
CONTENT = b"abc"
MAX_OVERHEAD = 8 << 10
MULLSJO = Recipient("0203:mullsjo.se", "registrator:0203:mullsjo.se", "Mullsjö", "Registrator")
MAILBOX = MailboxRecord("box", "inkorg01:0203:habo.se", "Socialtjänst")
PDF = "application/pdf"


def a_file(name: str, size: int, media_type: str = PDF) -> FileRecord:
    return FileRecord(str(uuid4()), "draft", 0, size, "body", {"name": name, "type": media_type})


def real_size(typed: DraftContent, files: Sequence[FileRecord], mailbox: MailboxRecord = MAILBOX) -> int:
    """Return the size of the largest message that the draft becomes.

    Files have little content here, and count with their size.
    """
    sizes = [_built(typed, files, mailbox, recipient) for recipient in typed.recipients]
    return max(sizes) + sum(_base64(file.size) - _base64(len(CONTENT)) for file in files)


def _base64(size: int) -> int:
    return -(-size // 3) * 4


def _built(
    typed: DraftContent, files: Sequence[FileRecord], mailbox: MailboxRecord, recipient: Recipient
) -> int:
    sender = submitting._sender("0203:habo.se", mailbox, typed)
    head = {
        "message_id": str(uuid4()),
        "conversation_id": str(uuid4()),
        "refers_to": str(uuid4()),
        "subject": typed.subject,
        "sender": content.party_content(sender),
        "recipient": content.party_content(submitting._receiver(recipient, typed)),
    }
    none = dict.fromkeys(("status", "draft", "author", "dated_at", "due_at", "deadline", "opened_at"), None)
    mail = MailRecord(
        id="mail",
        conversation="conversation",
        direction=Direction.OUT,
        stage="outbox",
        at=NOW,
        since=NOW,
        confidential=typed.confidential,
        attempts=0,
        files=len(files),
        content=head,
        delivery={},
        **none,
    )
    documents = json.loads(submitting._documents(typed, files))["documents"]
    attached = {one.id: Attachment(one.content["name"], _source, one.content["type"]) for one in files}
    sent = json.loads(asyncio.run(_joined(sending._outgoing(mail, documents, attached).pieces())))
    message = draft(
        sent["data"], message_id=str(uuid4()), conversation_id="", created="2026-11-27T00:00:00.000Z"
    )
    prepared = prepare(message)
    assert len(prepared.write()) == prepared.size
    return prepared.size


async def _source() -> AsyncIterator[bytes]:
    yield CONTENT


async def _joined(pieces: AsyncIterator[bytes]) -> bytes:
    return b"".join([piece async for piece in pieces])


TEXTS = st.text(
    st.one_of(
        st.sampled_from("&<>\r\n\t\"'"),
        st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"),
    ),
    max_size=200,
)
LABELS = TEXTS.map(lambda text: text or "-")
IDENTIFIERS = st.lists(st.builds(Identifier, LABELS, LABELS, LABELS), max_size=3).map(tuple)
DRAFTS = st.builds(
    DraftContent,
    recipients=st.lists(st.builds(Recipient, LABELS, LABELS, TEXTS, TEXTS), min_size=1, max_size=3).map(
        tuple
    ),
    subject=LABELS,
    text=LABELS,
    confidential=st.booleans(),
    persons=IDENTIFIERS,
    references=IDENTIFIERS,
    recipient_persons=IDENTIFIERS,
    recipient_references=IDENTIFIERS,
)
FILES = st.lists(st.builds(a_file, LABELS, st.integers(1, 100), LABELS), max_size=5)
MAILBOXES = st.builds(partial(MailboxRecord, "box"), LABELS, TEXTS)
ESCAPED = "&" * 256


@given(DRAFTS, FILES, MAILBOXES)
@example(DraftContent((MULLSJO,), "Svar", "text"), [], MailboxRecord("box", ESCAPED, ESCAPED))
def test_the_size_of_a_draft_is_never_below_that_of_its_message(
    typed: DraftContent, files: list[FileRecord], mailbox: MailboxRecord
) -> None:
    real = real_size(typed, files, mailbox)
    assert real <= drafts.message_size(typed, files) <= real + MAX_OVERHEAD


LONG_NAME = "Bilaga nummer 17 till ansökan om bistånd.pdf"


@pytest.mark.parametrize(
    ("text", "small"),
    [
        ("x" * 100_000, 0),
        ("&" * 100_000, 0),
        ("<b>" * 30_000, 0),
        ("rad\r\n" * 20_000, 0),
        ("\r\n" * 50_000, 0),
        ("hej", 499),
    ],
    ids=["plain", "ampersands", "tags", "lines", "blank", "many files"],
)
def test_a_draft_that_is_ready_fits_in_a_message_also_when_it_is_full(text: str, small: int) -> None:
    """The last file fills the room that is left, to the byte."""
    typed = DraftContent((MULLSJO,), "Svar", text)
    files = [a_file(LONG_NAME, 3) for _ in range(small)]
    room = drafts.room_for(typed, files, LONG_NAME, [PDF, "application/octet-stream"])
    full = [*files, a_file(LONG_NAME, room, "application/octet-stream")]
    assert drafts.problems(typed, full) == ()
    assert MAX_BYTES - MAX_OVERHEAD - 4 < real_size(typed, full) <= MAX_BYTES
    over = [*files, a_file(LONG_NAME, room + 3, "application/octet-stream")]
    assert [one.code for one in drafts.problems(typed, over)] == [ProblemCode.TOO_LARGE]
