"""Storage of compliance reports in the organisation's own vault, whose pages show the newest one.

The collectors inspect the installation, which is outside this role. Reports are therefore made by the
operator's command and only stored here.
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
    """Store a report; return ``False`` if the organisation has no governance here."""
    if gate.registry.find(organisation, Role.GOVERNANCE) is None:
        return False
    async with gate.worker("report", Role.GOVERNANCE).open(organisation, Purpose.ADMINISTER) as vault:
        vault.keep_report(made.moment, json.dumps(document(made), ensure_ascii=False).encode())
        vault.record(
            GovEvent.REPORT_KEPT, gaps=str(made.count(Status.GAP)), stale=str(made.count(Status.STALE))
        )
    return True


async def last(gate: Gate, organisation: ParticipantIdentifier) -> dict[str, Any] | None:
    """Return the newest stored report in machine-readable form, or ``None`` if there is none."""
    async with gate.worker("report", Role.GOVERNANCE).open(organisation, Purpose.ADMINISTER) as vault:
        kept = await vault.last_report()
    return None if kept is None else read(kept)[1]


def read(kept: bytes) -> tuple[datetime, dict[str, Any]]:
    """Return the moment of a stored report, and the report in machine-readable form."""
    made: dict[str, Any] = json.loads(kept)
    return datetime.fromisoformat(made["at"]), made
