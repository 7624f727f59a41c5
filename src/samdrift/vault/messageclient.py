"""An organisation's vault in the message client: the organisation's own store of its messages."""

from __future__ import annotations

from samdrift.vault.mailwriting import MailWriting


class MessageClientVault(MailWriting):
    """Opened with role ``mk``."""
