"""Events of evidence that leaves the installation."""

from __future__ import annotations

from samdrift.audit.events import AuditEvent


class ProofEvent(AuditEvent):
    """An event of exporting evidence, or of looking at a message's path."""

    ORGANISATION_EVIDENCE_EXPORTED = "org:evidence:exported"
    ORGANISATION_TRACED = "org:trace:shown"
    """A message's path was shown to one of the operator's staff, for a stated reason."""
