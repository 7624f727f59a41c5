"""Names of everything that is logged, as ``source:subject:action``.

A name states which part recorded it, what it concerns and what happened; the facts of an entry add the rest.
An event is declared in the lowest package that writes it or must know it, as a member of a subclass of
:class:`AuditEvent`. This module declares those that the log itself is verified by. All of them are listed in
docs/log.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum, StrEnum
from types import MappingProxyType


class Retention(IntEnum):
    """Retention classes of entries, by how long their facts are kept; a number never changes its meaning.

    The database assigns each entry its class, by the same rule (``vault/sql/salted-log-1.sql``).
    """

    LOG = 0
    """Events about the log itself, which are never disposed of."""
    TRANSFER = 1
    """Progress of a message or receipt."""
    READING = 2
    """Display of a message's content."""
    ACCESS = 3
    """Openings of a vault, granted or denied; access tokens, issued or refused."""
    ADMINISTRATION = 4
    """Decisions of people, and all other events."""


class AuditEvent(StrEnum):
    """An event in an organisation's log or in the operator's; the members are in its subclasses."""

    @property
    def retention(self) -> Retention:
        """Return the retention class of entries about this event; entries are verified by it for years."""
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
    """The organisation, or a representative of it, has signed that a key is this log's."""
    LOG_STAMPED = "log:stamp:kept"
    """A time-stamping authority has stamped a checkpoint; names the stamp by its SHA-256."""


_READINGS = frozenset({"mt:message:read"})
"""Events in which content is displayed although their subject has another class."""
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
"""Classes by source, or by source and subject."""


def retention_of(name: str) -> Retention | None:
    """Return the retention class of an event; ``None`` if its source and subject are not known here."""
    if name in _READINGS:
        return Retention.READING
    source, _, rest = name.partition(":")
    return _CLASSES.get(source, _CLASSES.get(f"{source}:{rest.partition(':')[0]}"))
