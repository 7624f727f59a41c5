"""Events of sign-in at an organisation's pages, in the log of the role whose pages they are."""

from __future__ import annotations

from samdrift.audit.events import AuditEvent


class EntranceEvent(AuditEvent):
    """An event of the way in."""

    SIGN_IN_REFUSED = "mk:sign-in:refused"
    """A sign-in, or a notice of logout, that led to nothing, and why."""
    REQUEST_REFUSED = "mk:access:forged"
    """A request in a person's session was refused: it came from no page of ours, and how that was seen."""
