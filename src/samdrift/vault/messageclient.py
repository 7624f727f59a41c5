"""An organisation's vault in the message client: the organisation's own store of its messages."""

from __future__ import annotations

from samdrift.vault.mailkeeping import MailKeeping
from samdrift.vault.mailpresets import MailPresets
from samdrift.vault.noticing import Noticing


class MessageClientVault(MailPresets, MailKeeping, Noticing):
    """Opened with role ``mk``."""
