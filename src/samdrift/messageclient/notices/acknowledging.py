"""Automatic acknowledgements: one reply to a conversation's first message, if its mailbox has a text for it.

Two machines that answer each other would never stop. Therefore none is sent in response to a reply, to a
message marked as automatic, or to the organisation itself, and at most one a day goes to the same address: an
unmarked machine that starts a new conversation with each reply does not get a second one.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from uuid import uuid4

from samdrift.contracts.messages import Direction
from samdrift.messageclient import content, drafts
from samdrift.messageclient.events import MKEvent
from samdrift.messageclient.mail import Party, Stage
from samdrift.messageclient.submitting import OUTBOX_DEADLINE
from samdrift.vault.bodies import new_id
from samdrift.vault.mailrecords import MailboxRecord, MailRecord, NewMail
from samdrift.vault.messageclient import MessageClientVault

SUBJECT = "Autosvar: ert meddelande har kommit fram"
FIRST_LINE = "Detta är ett automatiskt svar. Det säger inte att någon har läst meddelandet."
_AUTOMATIC = re.compile(
    r"\W*((re|sv|vb|fw)\W+)?(auto(matisk\w*)?[\s:-]*(svar|bekräftelse|reply|response)|auto:"
    r"|automatic (reply|response)|out of office|frånvaro|mottagningskvitto|mottagningsbekräftelse)",
    re.IGNORECASE,
)
_AGAIN_AFTER = timedelta(days=1)


def is_automatic(mail: MailRecord) -> bool:
    """Return whether a message's subject marks it as written by a machine."""
    return _AUTOMATIC.match(mail.content["subject"]) is not None


def may_acknowledge(mail: MailRecord, organisation: str) -> bool:
    """Return whether a message that began a conversation may be acknowledged."""
    own = mail.content["sender"]["organisation"] == organisation
    return not own and not mail.content["refers_to"] and not is_automatic(mail)


async def acknowledge(
    vault: MessageClientVault,
    organisation: str,
    mailbox: MailboxRecord,
    mail: MailRecord,
    text: str,
    now: datetime,
) -> bool:
    """Reply to a message with the mailbox's text; returns false if its sender may not get one."""
    sender = content.party(mail.content["sender"])
    known_by = f"{mailbox.id} {sender.organisation} {sender.address}"
    if not may_acknowledge(mail, organisation):
        return False
    if not await vault.begin_acknowledging(known_by, now=now, before=now - _AGAIN_AFTER):
        return False
    message_id = str(uuid4())
    thread = mail.content["conversation_id"]
    document = content.DocumentText(drafts.DOCUMENT_NAME, (f"{FIRST_LINE}\n\n{text}",), ())
    writer = vault.new_body()
    await writer.write(content.document_content_bytes([content.document_content(document, [])]))
    own = Party(organisation, mailbox.address, address_name=mailbox.name)
    head = {
        "remote_id": message_id,
        "message_id": message_id,
        "conversation_id": thread,
        "refers_to": mail.content["message_id"],
        "subject": SUBJECT,
        "sender": content.party_content(own),
        "recipient": content.party_content(sender),
    }
    record = MailRecord(
        id=new_id(),
        conversation=new_id(),
        direction=Direction.OUT,
        stage=Stage.OUTBOX.value,
        status=None,
        draft=None,
        author=None,
        at=now,
        dated_at=None,
        since=now,
        confidential=mail.confidential,
        due_at=now,
        deadline=now + OUTBOX_DEADLINE,
        attempts=0,
        opened_at=None,
        files=0,
        content=head,
        delivery={},
    )
    of = content.thread_of(thread, sender.organisation)
    new = NewMail(record, message_id, of, await writer.finish(), None, mail.content["message_id"])
    await vault.store_mail(new, mailbox.id, [], [])
    vault.record(MKEvent.MK_MESSAGE_SUBMITTED, message=message_id, mailbox=mailbox.id, action="automatic")
    return True
