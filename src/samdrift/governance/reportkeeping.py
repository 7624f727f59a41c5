"""Reports about compliance in the organisation's own vault, where its pages show the newest.

Collectors look at the installation, which stands above this role: a report is made by the operator's command
and kept here.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from samdrift.contracts.principals import Purpose, Role
from samdrift.governance.events import GovEvent
from samdrift.governance.report import Report, Status, document
from samdrift.vault.gate import Gate
from samdrift.wire.identifiers import ParticipantIdentifier


async def keep(gate: Gate, organisation: ParticipantIdentifier, made: Report) -> bool:
    """Store a report; ``False`` where the organisation has no governance here."""
    if gate.registry.find(organisation, Role.GOVERNANCE) is None:
        return False
    async with gate.worker("report", Role.GOVERNANCE).open(organisation, Purpose.ADMINISTER) as vault:
        vault.keep_report(made.moment, json.dumps(document(made), ensure_ascii=False).encode())
        vault.record(
            GovEvent.REPORT_KEPT, gaps=str(made.count(Status.GAP)), stale=str(made.count(Status.STALE))
        )
    return True


async def last(gate: Gate, organisation: ParticipantIdentifier) -> dict[str, Any] | None:
    """Return the newest report that is kept, as a program reads it; ``None`` where none was made."""
    async with gate.worker("report", Role.GOVERNANCE).open(organisation, Purpose.ADMINISTER) as vault:
        kept = await vault.last_report()
    return None if kept is None else read(kept)[1]


def read(kept: bytes) -> tuple[datetime, dict[str, Any]]:
    """Return the moment of a report that was kept, and the report as a program reads it."""
    made: dict[str, Any] = json.loads(kept)
    return datetime.fromisoformat(made["at"]), made
