"""One hierarchy of errors: those explained to a person, and those that a later retry may cure.

A text states what is wrong, where, and what to do. It never contains message content, personal data or keys,
since it may end up in a log or in an answer to a peer.
"""

from __future__ import annotations

from samdrift.contracts.hold import Hold


class Explained(Exception):
    """An error whose text is written for a person; a command prints it as it is."""

    hold = Hold.OTHER
    """The reason under which a message that waits for this is counted."""


class NotServed(Explained):
    """The organisation is not served here, or not for the caller: no retry until it is announced."""


class Temporary(Explained):
    """An outage: the same call may succeed later. Retry loops catch this and treat nothing as final."""

    expected = False
    """True when a person caused the outage and will end it, so that there is no failure to report."""
    service = ""
    """Name of the service that is down, for a waiting sender (``SMP``); empty where the text suffices."""
    cause = ""
    """Words of ours for what failed and where (``connection refused at 192.0.2.1:5432``), for the operator:
    no answer to a peer or client has them."""
    reported = False
    """True when a dependency is down whose outage has its own line in the log, with this cause."""
    announced = False
    """True when its end is announced to the waiting worker, which need not try before that."""


def for_operator(error: Explained) -> str:
    """Return why, as the operator reads it: the cause of an outage, or the text where it has none."""
    return (error.cause if isinstance(error, Temporary) else "") or str(error)
