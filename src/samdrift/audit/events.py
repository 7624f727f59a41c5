"""Names of everything that is logged, as ``source:subject:action``.

A name says which part saw it, what it concerns and what happened; the facts of an entry say the rest.
An event is declared in the lowest package that writes it or must know it, as a member of a subclass of
:class:`AuditEvent`: here stand those that the log itself is verified by. All of them are in docs/log.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum, StrEnum
from types import MappingProxyType


class Retention(IntEnum):
    """Classes of entries by how long their facts are kept; a number never gets another meaning.

    The database gives an entry its class, by the same rule (``vault/sql/salted-log-1.sql``).
    """

    LOG = 0
    """About the log itself: never disposed of."""
    TRANSFER = 1
    """The way of a message or receipt."""
    READING = 2
    """A sight of a message's content."""
    ACCESS = 3
    """A vault was opened or denied, an access token issued or refused."""
    ADMINISTRATION = 4
    """Decisions of people, and all that is not known."""


class AuditEvent(StrEnum):
    """An event in an organisation's log or in the operator's; its members are those of its subclasses."""

    @property
    def retention(self) -> Retention:
        """The class of its entries; it never changes, since entries are verified by it for years."""
        found = retention_of(self.value)
        if found is None:
            raise LookupError("an event whose source and subject have no retention class")
        return found


class LogEvent(AuditEvent):
    """An event that a log is verified by."""

    LOG_TREE_BEGUN = "log:tree:begun"
    """Entries are leaves of a tree from now on; names the head of the chain before it."""
    LOG_FACTS_DISPOSED = "log:facts:disposed"
    """The facts of all entries of a class, up to a number, are disposed of by this decision."""
    LOG_KEY_STATED = "log:key:stated"
    """Its organisation, or whoever speaks for it, has signed that a key is this log's."""
    LOG_STAMPED = "log:stamp:kept"
    """A time-stamping authority has stamped a checkpoint; names the stamp by its SHA-256."""


_READINGS = frozenset({"mt:message:read"})
"""Sights of content whose subject has another class."""
_CLASSES: Mapping[str, Retention] = MappingProxyType(
    {
        **dict.fromkeys(("ap:transfer", "ap:envelope", "mt:message", "mt:receipt"), Retention.TRANSFER),
        **dict.fromkeys(("mt:malware", "mt:sender"), Retention.TRANSFER),
        **dict.fromkeys(("mk:message", "mk:conversation", "mk:draft"), Retention.TRANSFER),
        "mk:reading": Retention.READING,
        **dict.fromkeys(("vault:opening", "mt:token", "mt:client"), Retention.ACCESS),
        **dict.fromkeys(("mk:access", "mk:session", "mk:sign-in"), Retention.ACCESS),
        **dict.fromkeys(("custody", "gov", "isolation", "keys", "org"), Retention.ADMINISTRATION),
        **dict.fromkeys(("ap:peer", "mt:marks", "vault:lock", "vault:login"), Retention.ADMINISTRATION),
        **dict.fromkeys(("mk:disposal", "mk:mailbox", "mk:notice"), Retention.ADMINISTRATION),
        **dict.fromkeys(("mk:address", "mk:backup"), Retention.ADMINISTRATION),
        **dict.fromkeys(("mk:preset", "mk:rights", "mk:service"), Retention.ADMINISTRATION),
        "log": Retention.LOG,
    }
)
"""By source, or by source and subject."""


def retention_of(name: str) -> Retention | None:
    """Return the retention class of an event; ``None`` where its source and subject are not known here."""
    if name in _READINGS:
        return Retention.READING
    source, _, rest = name.partition(":")
    return _CLASSES.get(source, _CLASSES.get(f"{source}:{rest.partition(':')[0]}"))
