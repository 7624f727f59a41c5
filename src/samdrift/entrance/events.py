"""Events of sign-in at an organisation's pages, recorded in the log of the role that has the pages."""

from __future__ import annotations

from samdrift.audit.events import AuditEvent


class EntranceEvent(AuditEvent):
    """An event of signing in or of requests in a session."""

    SIGN_IN_REFUSED = "mk:sign-in:refused"
    """A sign-in or a notice of logout had no effect; the entry states why."""
    REQUEST_REFUSED = "mk:access:forged"
    """A request in a person's session was refused because it came from another site; states the evidence."""
