"""An organisation's vault in the message client: the organisation's own store of its messages."""

from __future__ import annotations

from samdrift.vault.statements import StatementKeeping


class MessageClientVault(StatementKeeping):
    """Opened with role ``mk``."""
