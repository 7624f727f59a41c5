"""Events of the console, in the operator's log."""

from __future__ import annotations

from samdrift.audit.events import AuditEvent


class ConsoleEvent(AuditEvent):
    """An event of the console."""

    CONSOLE_SIGNED_IN = "org:console:signed-in"
    """A person of the operator's signed in to the console."""
    CONSOLE_SIGN_IN_REFUSED = "org:console:refused"
    """A sign-in to the console led to nothing, and why."""
    OUTAGE_ANNOUNCED = "org:outage:announced"
    """A planned outage was announced to an organisation."""
    OUTAGE_WITHDRAWN = "org:outage:withdrawn"
    """It will not take place."""
    AVAILABILITY_MEASURED = "org:availability:measured"
    """The time in which the access point was watched, and the times at which it could not be reached."""
