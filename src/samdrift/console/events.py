"""Events of the console, in the operator's log."""

from __future__ import annotations

from samdrift.audit.events import AuditEvent


class ConsoleEvent(AuditEvent):
    """An event of the console."""

    CONSOLE_SIGNED_IN = "org:console:signed-in"
    """A member of the operator's staff signed in to the console."""
    CONSOLE_SIGN_IN_REFUSED = "org:console:refused"
    """A sign-in to the console failed, with the reason."""
    OUTAGE_ANNOUNCED = "org:outage:announced"
    """A planned outage was announced to an organisation."""
    OUTAGE_WITHDRAWN = "org:outage:withdrawn"
    """A planned outage was withdrawn."""
    AVAILABILITY_MEASURED = "org:availability:measured"
    """A period in which the access point was watched, with the times when it could not be reached."""
