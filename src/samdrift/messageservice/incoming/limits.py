"""Limited senders, as the polling of one organisation knows them: their envelopes wait without being judged.

Judging costs an opening of the vault, a signature and a private key each time. A sender of many meaningless
envelopes would otherwise take that of its recipient with each of them, again and again, for as long as they
wait. So one envelope of each limited sender is judged now and then, and shows whether the limit is over.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from samdrift.contracts.transfer import InboxItem
from samdrift.messageservice.incoming.judging import RECEIPTS
from samdrift.wire.identifiers import DocumentIdentifier


@dataclass(slots=True)
class _Limit:
    """A sender's limit as far as it is known."""

    until: datetime
    """Time from which one of its envelopes is judged again."""
    probe: str = ""
    """The item that was chosen for that."""


@dataclass(slots=True)
class Limits:
    """Senders of one organisation's inbox that were found to be limited."""

    again_after: timedelta
    """Time between two looks at whether a limit is over."""
    overdue_after: timedelta
    """Age at which an envelope is judged nevertheless: it is refused, because its receipt is overdue."""
    _limits: dict[str, _Limit] = field(default_factory=dict)
    _recorded: set[str] = field(default_factory=set)
    """Items whose wait has been recorded in the organisation's log."""

    def divide(
        self, items: Sequence[InboxItem], now: datetime
    ) -> tuple[list[InboxItem], list[InboxItem], list[InboxItem]]:
        """Return the items to judge, those that wait, and those among them whose wait is not recorded yet."""
        judged, waiting = list[InboxItem](), list[InboxItem]()
        for item in items:
            limit = self._limits.get(item.sender)
            if limit is not None and limit.until <= now and self.applies(item, now):
                limit.until, limit.probe = now + self.again_after, item.id
            (waiting if self.applies(item, now) else judged).append(item)
        return judged, waiting, [each for each in waiting if each.id not in self._recorded]

    def applies(self, item: InboxItem, now: datetime) -> bool:
        """Return whether an item waits because its sender was found to be limited."""
        limit = self._limits.get(item.sender)
        if limit is None or limit.probe == item.id:
            return False
        return _is_encrypted(item) and now < item.received_at + self.overdue_after

    def found(self, item: InboxItem, now: datetime) -> None:
        """Note that an item was judged, and waits because its sender is limited."""
        self._limits[item.sender] = _Limit(now + self.again_after)
        self._recorded.add(item.id)

    def recorded(self, item: InboxItem) -> None:
        """Note that the log says that the item waits."""
        self._recorded.add(item.id)

    def taken(self, item: InboxItem) -> None:
        """Note that an item was taken over; if it was its sender's probe, the limit is over."""
        self._recorded.discard(item.id)
        limit = self._limits.get(item.sender)
        if limit is not None and limit.probe == item.id:
            del self._limits[item.sender]


def _is_encrypted(item: InboxItem) -> bool:
    """Return whether the item is counted by the limit: message receipts are never decrypted."""
    document = DocumentIdentifier(item.document)
    return document.requires_protection and document not in RECEIPTS
