"""Bonds: keyed marks that tie rows of a message client's vault to the columns in the clear that carry rights.

The mailbox of a conversation, the conversation of a message and the owner of a file are in the clear,
because the database searches and counts by them. An attacker who can write to the database cannot compute
the mark of another value, so a row that they move is refused. They can only restore an earlier state, such
as a conversation in a mailbox that it was in before.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import sha256

from samdrift.vault.errors import SealBroken
from samdrift.vault.sealing import Sealer


def conversation_bond(conversation: str, home: str, mailbox: str) -> str:
    """Return the text from which a conversation's mark is made."""
    return f"bond conversation {conversation} of {home} in {mailbox}"


def mail_bond(message: str, conversation: str, draft: str | None, body: str) -> str:
    """Return the text from which a message's mark is made; it covers the files of its draft."""
    return f"bond message {message} in {conversation} from {draft or '-'} with {body}"


def file_bond(file: str, owner: str, body: str) -> str:
    """Return the text from which a file's mark is made."""
    return f"bond file {file} of {owner} with {body}"


def session_bond(mark: bytes, used: datetime) -> str:
    """Return the text from which the mark of a session's last use is made."""
    return f"bond session {mark.hex()} used {used.astimezone(UTC).isoformat()}"


def approval_bond(
    draft: str, asked_by: str | None, approved_by: str | None, value: bytes, files: Sequence[str]
) -> str:
    """Return the text from which the mark of a draft's approval is made; ``value`` is its sealed content."""
    who = f"asked by {asked_by or '-'} approved by {approved_by or '-'}"
    return f"bond draft {draft} {who} with {sha256(value).hexdigest()} and {' '.join(sorted(files))}"


def require_bond(bound: bytes | None, bond: str, sealer: Sealer) -> None:
    """Raise :class:`SealBroken` if a row's mark does not match its columns."""
    if bound is None or not hmac.compare_digest(bound, sealer.mark(bond)):
        raise SealBroken


def mailbox_place(mailbox: str, needs_approval: object, undo_seconds: object) -> str:
    """Return the place for which a mailbox is sealed."""
    return f"mailbox {mailbox} {bool(needs_approval)} {undo_seconds}"


def note_place(note: str, conversation: str, author: str) -> str:
    """Return the place for which a note is sealed."""
    return f"note {note} {conversation} {author}"


def draft_place(draft: str, within: str, reply_to: str | None, writer: str) -> str:
    """Return the place for which a draft is sealed; ``within`` is its conversation, or else its mailbox."""
    return f"draft {draft} {within} {reply_to or '-'} {writer}"
