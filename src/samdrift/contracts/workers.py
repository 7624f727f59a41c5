"""Workers of the platform, by the names under which an organisation's log records their actions.

A worker that acts in only one role gets a gate of its own by its name (``Gate.worker``).
"""

from __future__ import annotations

from samdrift.contracts.principals import Principal, PrincipalKind

AGREEMENTS = Principal(PrincipalKind.WORKER, "agreements")
CLOSING = Principal(PrincipalKind.WORKER, "closing")
COMPLIANCE = Principal(PrincipalKind.WORKER, "compliance")
DEMONSTRATION = Principal(PrincipalKind.WORKER, "demonstration")
EXPORT = Principal(PrincipalKind.WORKER, "export")
GOVERNANCE = Principal(PrincipalKind.WORKER, "governance")
ISOLATION_CHECK = Principal(PrincipalKind.WORKER, "isolation-check")
LOG = Principal(PrincipalKind.WORKER, "log")
LOG_HAND_OVER = Principal(PrincipalKind.WORKER, "log-hand-over")
ORG_SHOW = Principal(PrincipalKind.WORKER, "org-show")
RECONCILIATION = Principal(PrincipalKind.WORKER, "reconciliation")
REMINDERS = Principal(PrincipalKind.WORKER, "reminders")
RESTORE = Principal(PrincipalKind.WORKER, "restore")
STORAGE = Principal(PrincipalKind.WORKER, "storage")
TESTBED = Principal(PrincipalKind.WORKER, "testbed")
UNLOCKING = Principal(PrincipalKind.WORKER, "unlocking")
UPKEEP = Principal(PrincipalKind.WORKER, "upkeep")
