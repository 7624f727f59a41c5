"""Deletion at the message service of messages that are stored in a message client's vault.

The database decides which messages may be deleted there, in the transaction that claims them: messages that
were stored here before a verified backup of this vault, have been opened if they were received, are final,
and are not on hold; and messages disposed of here, if a verified backup contains them or their record.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from samdrift.vault.bodies import new_id
from samdrift.vault.database.session import call
from samdrift.vault.mailrecords import Content, opened, sealed
from samdrift.vault.mailwriting import MailWriting

_NOTE = call("note_backup", 4)
_LAST_BACKUP = (
    "SELECT id, taken_at, noted_at, sealed FROM verified_backups ORDER BY taken_at DESC, id LIMIT 1"
)
_KEEP_READER = call("keep_sole_reader", 4)
_READERS = "SELECT id, person, at, sealed FROM sole_readers ORDER BY id"
_CLAIM = "SELECT message, attempt FROM claim_deletions($1, $2, $3, $4, $5, $6)"
_END = call("end_deletion", 4)
_CLAIM_DISPOSED = "SELECT message, attempt, sealed FROM claim_disposed_deletions($1, $2, $3, $4, $5)"
_END_DISPOSED = call("end_disposed_deletion", 4)
_COUNTS = """
SELECT count(*) FILTER (WHERE outcome = 'deleted'), count(*) FILTER (WHERE outcome = 'refused'),
       count(*) FILTER (WHERE outcome IS NULL AND attempts > 0), count(*) FILTER (WHERE attempts = 0)
FROM (
    SELECT outcome, attempts FROM service_deletions UNION ALL SELECT outcome, attempts FROM disposed_deletions
) AS found
"""
_STORING = timedelta(hours=1)
"""Margin before a backup, longer than any transaction: the backup contains all messages stored earlier."""


@dataclass(frozen=True, slots=True)
class BackupRecord:
    """A verified backup of the vault, which contains everything stored by ``taken_at``."""

    id: str
    taken_at: datetime
    noted_at: datetime
    content: Content


@dataclass(frozen=True, slots=True)
class SoleReaderRecord:
    """A confirmation that no other client reads the address of a mailbox at the message service."""

    mailbox: str
    person: str
    at: datetime
    content: Content


@dataclass(frozen=True, slots=True)
class DeletionCounts:
    """Numbers of messages deleted at the message service, refused by it, and in progress."""

    deleted: int
    refused: int
    begun: int
    disposed: int
    """Messages that were disposed of here, with no attempt yet to delete them at the message service."""


@dataclass(frozen=True, slots=True)
class DisposedDeletion:
    """A message that was disposed of here and is to be deleted at the message service."""

    id: str
    message_id: str
    remote_id: str
    attempt: int


class MailDeletion(MailWriting):
    """The part of a message client's vault for deletions at the message service."""

    def note_backup(self, taken_at: datetime, content: Content, *, now: datetime) -> str:
        """Store a verified backup of the vault and return its id; ``content`` says who noted it, and how."""
        new = new_id()
        value = sealed(content, _backup_place(new, taken_at), self._sealer)
        self._work.later(_NOTE, new, taken_at, now, value)
        return new

    async def last_backup(self) -> BackupRecord | None:
        """Return the verified backup of the latest state, if any; this query alone leaves no log entry."""
        for backup, taken_at, noted_at, value in await self._work.peek(_LAST_BACKUP):
            content = opened(value, _backup_place(backup, taken_at), self._sealer)
            return BackupRecord(backup, taken_at, noted_at, content)
        return None

    def keep_sole_reader(self, mailbox: str, person: str, content: Content | None, *, now: datetime) -> None:
        """Store or withdraw the confirmation that no other client reads a mailbox's address.

        ``None`` as ``content`` withdraws it.
        """
        place = _reader_place(mailbox, person)
        value = None if content is None else sealed(content, place, self._sealer)
        self._work.later(_KEEP_READER, mailbox, person, now, value)

    async def sole_readers(self) -> dict[str, SoleReaderRecord]:
        """Return the confirmations that no other client reads a mailbox's address, by mailbox."""
        return {
            mailbox: SoleReaderRecord(
                mailbox, person, at, opened(value, _reader_place(mailbox, person), self._sealer)
            )
            for mailbox, person, at, value in await self._work.peek(_READERS)
        }

    async def claim_deletions(
        self,
        homes: Sequence[str],
        backup: BackupRecord,
        *,
        stored_before: datetime,
        now: datetime,
        lease: timedelta,
        limit: int,
    ) -> dict[str, int]:
        """Claim messages to delete at the message service; return the attempt number of each.

        Only messages to and from the addresses of the mailboxes ``homes`` that ``backup`` contains are
        claimed.
        """
        backed_up = backup.taken_at - _STORING
        values = (list(homes), stored_before, backed_up, now, now + lease, limit)
        return {str(message): int(attempt) for message, attempt in await self._work.look(_CLAIM, *values)}

    async def end_deletion(
        self, message: str, outcome: str | None, *, now: datetime, due: datetime | None = None
    ) -> bool:
        """Record that the message service ``deleted`` or ``refused`` a message, or when to try again.

        Returns false if an outcome is already recorded.
        """
        return bool((await self._work.query(_END, message, outcome, now, due))[0][0])

    async def claim_disposed_deletions(
        self, homes: Sequence[str], backup: BackupRecord, *, now: datetime, lease: timedelta, limit: int
    ) -> tuple[DisposedDeletion, ...]:
        """Claim messages that were disposed of, in order to delete them at the message service too.

        Only messages to and from the addresses of the mailboxes ``homes`` are claimed, and only if ``backup``
        contains them or the record of their disposal.
        """
        values = (list(homes), backup.taken_at - _STORING, now, now + lease, limit)
        claimed = []
        for message, attempt, value in await self._work.look(_CLAIM_DISPOSED, *values):
            known = opened(value, f"disposed {message}", self._sealer)
            if known.get("home") not in homes:  # The row names another mailbox than the sealed record.
                continue
            remote = known["remote_id"] or known["message_id"]
            claimed.append(DisposedDeletion(message, known["message_id"], remote, attempt))
        return tuple(claimed)

    async def end_disposed_deletion(
        self, message: str, outcome: str | None, *, now: datetime, due: datetime | None = None
    ) -> bool:
        """Record the outcome of deleting a message that was disposed of, as :meth:`end_deletion` does."""
        return bool((await self._work.query(_END_DISPOSED, message, outcome, now, due))[0][0])

    async def deletion_counts(self) -> DeletionCounts:
        """Count deletions at the message service by outcome; this query alone leaves no log entry."""
        return DeletionCounts(*(await self._work.peek(_COUNTS))[0])


def _backup_place(backup: str, taken_at: datetime) -> str:
    return f"verified backup {backup} of {taken_at.astimezone(UTC).isoformat()}"


def _reader_place(mailbox: str, person: str) -> str:
    return f"sole reader {mailbox} by {person}"
