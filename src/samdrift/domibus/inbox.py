"""Messages that wait at a Domibus for one organisation, by their headers."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

from samdrift.contracts.clock import Clock
from samdrift.contracts.transfer import InboxItem, TransferUnavailable
from samdrift.domibus.plugin import Plugin, PluginRefused, Retrieved
from samdrift.wire.errors import WireError
from samdrift.wire.identifiers import ParticipantIdentifier

GONE = "WS_PLUGIN:0009"
"""The fault for a message that does not wait (any more)."""
_PAGE = 20
"""Messages that one poll tells of."""
_SOON = timedelta(seconds=30)
_LATER = timedelta(minutes=10)
"""After which time a message is looked at again that did not come whole, or could not be used."""

_LOGGER = logging.getLogger("samdrift")


class NotForUs(Exception):
    """A message that must not be handed to the organisation."""


class WaitingMessages:
    """Remembers the headers of what waits, so that each message is opened once to be told of.

    A message that names another recipient, or is no envelope of the federation,
    is never handed on: it stays in Domibus, and the operator's log says why.
    """

    def __init__(self, plugin: Plugin, organisation: ParticipantIdentifier, clock: Clock) -> None:
        self._plugin = plugin
        self._organisation = organisation
        self._clock = clock
        self._known: dict[str, InboxItem] = {}
        self._passed_over: dict[str, datetime] = {}

    async def after(self, past: str) -> tuple[InboxItem, ...]:
        """The first messages that wait, of those after ``past`` when that is still among them."""
        ids = list(dict.fromkeys(await self._plugin.pending(self._organisation.value)))
        self._forget_all_but(ids)
        start = ids.index(past) + 1 if past in ids else 0
        found: list[InboxItem] = []
        for message_id in ids[start:]:
            if message_id in self._passed_over:
                continue
            item = self._known.get(message_id) or await self._look_at(message_id)
            if item is not None:
                found.append(item)
            if len(found) == _PAGE:
                break
        return tuple(found)

    def check(self, message_id: str, retrieved: Retrieved) -> None:
        """:class:`NotForUs` unless this is the message that was asked for, and for this organisation."""
        if retrieved.message.message_id != message_id:
            raise NotForUs("another message than asked for")
        if retrieved.message.recipient != self._organisation:
            raise NotForUs("names another recipient")

    def not_marked(self, message_id: str, refusal: PluginRefused) -> None:
        """A message that is safe with us, and that Domibus would not mark: it holds up no other.

        It is told of again later, and marked again when it is found to be known.
        """
        if refusal.fault.code != GONE:
            self._pass_over(message_id, f"not marked, fault {refusal.fault.code}".strip(), _LATER)

    def _forget_all_but(self, ids: Sequence[str]) -> None:
        now = self._clock()
        waiting = set(ids)
        self._known = {each: item for each, item in self._known.items() if each in waiting}
        passed_over = self._passed_over.items()
        self._passed_over = {each: until for each, until in passed_over if each in waiting and until > now}

    async def _look_at(self, message_id: str) -> InboxItem | None:
        """The message by its header; ``None`` when it cannot be handed on, which holds up no other."""
        try:
            async with self._plugin.retrieve(message_id) as retrieved:
                self.check(message_id, retrieved)
                item = self._item(retrieved)
                await retrieved.pass_over()
        except NotForUs as refusal:
            self._pass_over(message_id, str(refusal), _LATER)
        except WireError as error:
            self._pass_over(message_id, error.text, _LATER)
        except PluginRefused as refusal:
            self._pass_over(message_id, f"fault {refusal.fault.code}", _LATER)
        except TransferUnavailable as failure:
            self._pass_over(message_id, failure.text, _SOON)
        else:
            self._known[message_id] = item
            return item
        return None

    def _pass_over(self, message_id: str, why: str, so_long: timedelta) -> None:
        self._passed_over[message_id] = self._clock() + so_long
        organisation = self._organisation.value
        _LOGGER.warning("Domibus of %s: message %a passed over: %a", organisation, message_id, why)

    def _item(self, retrieved: Retrieved) -> InboxItem:
        """Domibus does not tell when a message came: that is when it was first seen here."""
        message = retrieved.message
        return InboxItem(
            id=message.message_id,
            envelope_id="",
            sender=message.sender.value,
            recipient=message.recipient.value,
            document=message.document.value,
            conversation_id=message.conversation_id,
            as4_message_id=message.message_id,
            peer=message.peer,
            received_at=self._clock(),
            size=0,
        )


def unavailable(refusal: PluginRefused, what: str) -> TransferUnavailable:
    """A fault as something that may pass."""
    text = f"{refusal.fault.code} {refusal.fault.text}".strip()
    return TransferUnavailable(f"{what}: Domibus answers {text}")
