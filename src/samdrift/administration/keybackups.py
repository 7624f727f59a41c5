"""Wrapped backups of keys and the end of organisations: which were made, and which are no use any more."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from samdrift.audit.events import AuditEvent
from samdrift.vault.closing import Closing
from samdrift.vault.gate import Gate
from samdrift.wire.identifiers import ParticipantIdentifier

_AT_ONCE = 1000


async def made_backups(gate: Gate, organisation: ParticipantIdentifier) -> list[dict[str, Any]]:
    """Number, time and custodians of each, the earliest first, as the operator's log has them.

    That is read, and not the organisation's own, since a vault that waits for its officer does not open.
    """
    found: list[dict[str, Any]] = []
    after = 0
    while entries := await gate.read_operator_log(after, _AT_ONCE):
        after = entries[-1].sequence
        found += [
            {
                "number": entry.ids["backup"],
                "at": entry.at.isoformat(timespec="seconds"),
                "held_by": [entry.ids["first"], entry.ids["second"]],
            }
            for entry in entries
            if entry.event == AuditEvent.KEYS_BACKED_UP and entry.ids["organisation"] == organisation.value
        ]
    return found


def closed_vaults(closings: Iterable[Closing]) -> frozenset[str]:
    """The vaults that were destroyed, or are being destroyed, with their organisations."""
    return frozenset(vault["vault"] for closing in closings for vault in json.loads(closing.facts)["vaults"])
