"""What the vaults of both roles have in common: one opening is one unit of work."""

from __future__ import annotations

from samdrift.audit.entries import LogEntry
from samdrift.audit.events import AuditEvent
from samdrift.vault.bodies import BodyWriter


class Vault:
    """An opened vault. It is the scope: no method takes an organisation (invariant 1)."""

    def new_body(self) -> BodyWriter:
        """Begin a body; it is dropped with the opening unless an operation stores it."""
        raise NotImplementedError

    def record(self, event: AuditEvent, **facts: str) -> None:
        """Write an event in the organisation's log, in this opening's transaction."""
        raise NotImplementedError

    async def log(self, after: int = 0, limit: int = 500) -> tuple[LogEntry, ...]:
        """Entries with a sequence over ``after``, the oldest first."""
        raise NotImplementedError

    async def find_log(self, identifier: str) -> tuple[LogEntry, ...]:
        """Entries that name a message, envelope, conversation, transfer or AS4 message, the oldest first."""
        raise NotImplementedError
