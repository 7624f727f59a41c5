"""One hierarchy of errors: those explained to a person, and those that may be resolved by trying again later.

A text states what is wrong, where, and what to do. It never contains message content, personal data or keys,
since it may end up in a log or in an answer to a peer.
"""

from __future__ import annotations

from samdrift.contracts.hold import Hold


class Explained(Exception):
    """An error with a text written for a person; a command prints it unchanged."""

    hold = Hold.OTHER
    """Reason under which a message that is held by this error is counted."""


class NotServed(Explained):
    """The organisation is not served here, or not for the caller; retries wait until it is announced."""


class Temporary(Explained):
    """An outage: the same call may succeed later. Retry loops catch this and treat nothing as final."""

    expected = False
    """True when a person caused the outage and will end it, so that it is not reported as a failure."""
    service = ""
    """Name of the service that is down, shown to a waiting sender (``SMP``); empty if the text suffices."""
    cause = ""
    """Our description of what failed and where (``connection refused at 192.0.2.1:5432``), for the operator.

    It is never part of an answer to a peer or client.
    """
    reported = False
    """True when the outage of a dependency has been logged on a line of its own, with this cause."""
    announced = False
    """True when the waiting worker will be notified of the outage's end and need not retry before then."""


def for_operator(error: Explained) -> str:
    """Return the reason for an error for the operator: the cause of an outage if known, else the text."""
    return (error.cause if isinstance(error, Temporary) else "") or str(error)
