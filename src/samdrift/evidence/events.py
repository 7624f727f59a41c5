"""Events of evidence that leaves the house."""

from __future__ import annotations

from samdrift.audit.events import AuditEvent


class ProofEvent(AuditEvent):
    """An export of evidence, or a look at a message's way."""

    ORGANISATION_EVIDENCE_EXPORTED = "org:evidence:exported"
    ORGANISATION_TRACED = "org:trace:shown"
    """The way of a message was shown to a person of the operator's, and why."""
