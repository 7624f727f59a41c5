"""Pages of a vault that an organisation leaves, by the part that they are of."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from samdrift.vault.portability.departure import (
    AccessPointDeparture,
    Departure,
    MessageServiceDeparture,
    RecordKeepingDeparture,
)
from samdrift.vault.portability.parts import Part, Taken

_Read = Callable[[Any, Sequence[object]], Awaitable[list[Taken]]]

_READ: dict[str, _Read] = {
    "incoming": AccessPointDeparture.incoming,
    "transfers": AccessPointDeparture.transfers,
    "attempts": AccessPointDeparture.attempts,
    "events": AccessPointDeparture.events,
    "peer_certificates": AccessPointDeparture.peer_certificates,
    "messages": MessageServiceDeparture.messages,
    "receipts": MessageServiceDeparture.receipts,
    "digests": MessageServiceDeparture.digests,
    "processed": MessageServiceDeparture.processed,
    "cursors": MessageServiceDeparture.cursors,
    "work": MessageServiceDeparture.work,
    "session_keys": MessageServiceDeparture.session_keys,
    "mark_keys": MessageServiceDeparture.mark_keys,
    "records": RecordKeepingDeparture.records,
    "log": Departure.log,
    "former-log": Departure.former_log,
}


async def read_page(vault: Departure, part: Part, after: Sequence[object]) -> list[Taken]:
    """The page of ``part`` after the record with that key; empty after the last one."""
    return await _READ[part.name](vault, after)
