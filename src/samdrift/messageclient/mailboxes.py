"""Creation of mailboxes and changes to their settings, each logged with its kind of change.

Callers check permissions: the pages check rights, and the operator's commands act for the operator.
"""

from __future__ import annotations

import secrets

from samdrift.contracts.errors import Explained
from samdrift.messageclient.events import MKEvent
from samdrift.vault.mailrecords import MailboxRecord
from samdrift.vault.messageclient import MessageClientVault

MAX_UNDO_SECONDS = 60
MAX_NAME = 100


class UnfitSetting(Explained):
    """Refusal of an invalid setting of a mailbox; ``field`` is its name. Nothing was changed."""

    def __init__(self, field: str, text: str) -> None:
        super().__init__(text)
        self.field = field


async def make_mailbox(vault: MessageClientVault, address: str, name: str, **facts: str) -> MailboxRecord:
    """Create a mailbox for a functional address; :class:`UnfitSetting` if it already has one.

    ``facts`` are added to the entry in the log.
    """
    made = MailboxRecord(secrets.token_hex(16), address, name)
    await _keep(vault, made, "made", facts)
    return made


async def change_mailbox(
    vault: MessageClientVault, before: MailboxRecord, after: MailboxRecord, **facts: str
) -> None:
    """Store changed settings of a mailbox; without a change nothing is stored or logged.

    Messages belong to the address that they were sent to, so a mailbox with messages keeps its address.
    """
    if before == after:
        return
    if after.address != before.address and await vault.mailbox_used(before.id):
        raise UnfitSetting(
            "address", "this address has received messages: create another mailbox for the new address"
        )
    await _keep(vault, after, _act(before, after), facts)


async def _keep(vault: MessageClientVault, mailbox: MailboxRecord, act: str, facts: dict[str, str]) -> None:
    _require_fit(mailbox)
    if not await vault.keep_mailbox(mailbox):
        raise UnfitSetting("address", "another mailbox has this address")
    vault.record(
        MKEvent.MK_MAILBOX_CHANGED,
        mailbox=mailbox.id,
        action=act,
        needs_approval=_said(mailbox.needs_approval),
        undo_seconds=str(mailbox.undo_seconds),
        asks_why=_said(mailbox.asks_why),
        **facts,
    )


def _require_fit(mailbox: MailboxRecord) -> None:
    if not mailbox.name.strip() or len(mailbox.name) > MAX_NAME:
        raise UnfitSetting("name", f"a mailbox has a name of at most {MAX_NAME} characters")
    if not 0 <= mailbox.undo_seconds <= MAX_UNDO_SECONDS:
        raise UnfitSetting("undo_seconds", f"the time for undoing is 0 to {MAX_UNDO_SECONDS} seconds")


def _act(before: MailboxRecord, after: MailboxRecord) -> str:
    if before.retired != after.retired:
        return "retired" if after.retired else "reopened"
    if before.address != after.address:
        return "readdressed"
    return "renamed" if before.name != after.name else "set"


def _said(flag: bool) -> str:
    return "yes" if flag else "no"
