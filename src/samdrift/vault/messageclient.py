"""An organisation's vault in the message client: the organisation's own store of its messages."""

from __future__ import annotations

from samdrift.contracts.principals import Role
from samdrift.vault.holdings import HoldingsVault
from samdrift.vault.maildeletion import MailDeletion
from samdrift.vault.maildisposal import MailDisposal
from samdrift.vault.mailpresets import MailPresets
from samdrift.vault.noticing import Noticing


class MessageClientVault(MailPresets, MailDisposal, MailDeletion, Noticing, HoldingsVault):
    """The vault that is opened with role ``mk``."""

    _role = Role.MESSAGE_CLIENT
