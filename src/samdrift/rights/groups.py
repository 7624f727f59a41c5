"""The act of a directory that states the members of one of its groups, as read.

A right is given to a group by a person's signature, like any other right. The members of the group come from
the organisation's own directory and are frozen: each reading that finds a change is a statement of the people
who joined and left, signed with the directory's key, which two officers have enrolled. Answers about past
days therefore do not need the directory, and a directory that officers have not enrolled cannot put people
into a group.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar, Self

from samdrift.rights.canonical import Json
from samdrift.rights.fields import Fields, StatementError, Subject, SubjectKind, moment_text

MAX_CHANGES = 300
"""Maximum number of people who join or leave in one statement; a larger change takes several statements."""
MAX_MEMBERS = 10_000
"""Maximum number of people in one group."""
_MAX_COUNT = 2 * MAX_MEMBERS  # Replacing all members adds people before it removes others.
_MAX_SERVER = 300
_FIRST = re.compile(r"[^=]*=((?:\\.|[^,+\\])+)")
_STATED_WITHIN = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class MembersListed:
    """The people who joined and left ``group``, according to a reading of its directory at ``read_at``."""

    kind: ClassVar[str] = "members"

    group: Subject
    server: str
    """Address of the server that answered."""
    read_at: datetime
    joined: tuple[str, ...]
    """Ids of persons, sorted."""
    left: tuple[str, ...]
    count: int
    """Number of people in the group after this change."""
    listing: str
    """Digest of the resulting members, as computed by :func:`listing`."""

    @property
    def directory(self) -> str:
        """Name of the directory that the group is in."""
        return directory_of(self.group)

    def members(self) -> dict[str, Json]:
        """Return the act as JSON members of a statement."""
        return {
            "group": str(self.group),
            "server": self.server,
            "read": moment_text(self.read_at),
            "joined": list(self.joined),
            "left": list(self.left),
            "count": self.count,
            "listing": self.listing,
        }

    @classmethod
    def read(cls, fields: Fields, at: datetime) -> Self:
        """Parse the act of a statement made at ``at``; raise :class:`StatementError` if it is invalid."""
        group, server = fields.subject("group"), fields.text("server", _MAX_SERVER)
        if group.kind is not SubjectKind.GROUP:
            raise StatementError("it is not a group of a directory", "group")
        read = fields.moment("read")
        if not at - _STATED_WITHIN <= read <= at:
            raise StatementError("it must be read before it is stated, within the hour", "read")
        joined, left = _persons(fields, "joined"), _persons(fields, "left")
        if len(joined) + len(left) > MAX_CHANGES or set(joined) & set(left):
            raise StatementError(f"at most {MAX_CHANGES} people come or go, each once", "joined")
        count = fields.take("count")
        if isinstance(count, bool) or not isinstance(count, int) or not 0 <= count <= _MAX_COUNT:
            raise StatementError(f"expected a number from 0 to {_MAX_COUNT}", "count")
        return cls(group, server, read, joined, left, count, fields.digest("listing"))


def directory_of(group: Subject) -> str:
    """Return the name of the directory that a group is in."""
    return group.id.partition("#")[0]


def name_in_directory(group: Subject) -> str:
    """Return the distinguished name of a group."""
    return group.id.partition("#")[2]


def short_name(group: Subject) -> str:
    """Return the first part of a group's name, for display: ``Nattskiftet`` of ``cn=Nattskiftet,ou=…``."""
    first = _FIRST.match(name_in_directory(group))
    return first.group(1).replace("\\", "") if first else name_in_directory(group)


def listing(persons: Iterable[str]) -> str:
    """Return the digest of a group's members: SHA-256 of their sorted ids, each with a line feed."""
    return hashlib.sha256("".join(f"{each}\n" for each in sorted(persons)).encode()).hexdigest()


def changes(
    group: Subject, server: str, read_at: datetime, before: Iterable[str], after: Iterable[str]
) -> Sequence[MembersListed]:
    """Return the acts that lead from the previous members of a group to those found by a reading.

    If nothing changed, there is one act, which states that the group was read. People are added before
    others are removed, so that no step leaves the group empty.
    """
    now, wanted = set(before), set(after)
    coming, going = sorted(wanted - now), sorted(now - wanted)
    found = list[MembersListed]()
    while coming or going or not found:
        joined = coming[:MAX_CHANGES]
        left = going[: MAX_CHANGES - len(joined)]
        coming, going = coming[len(joined) :], going[len(left) :]
        now = (now | set(joined)) - set(left)
        found.append(
            MembersListed(group, server, read_at, tuple(joined), tuple(left), len(now), listing(now))
        )
    return found


def _persons(fields: Fields, name: str) -> tuple[str, ...]:
    value = fields.take(name)
    found = [each for each in value if isinstance(each, str)] if isinstance(value, list) else None
    if found is None or found != value or found != sorted(set(found)):
        raise StatementError("expected a list of ids of persons, sorted and without repeats", name)
    try:
        for each in found:
            Subject.parse(f"{SubjectKind.PERSON}:{each}")
    except ValueError:
        raise StatementError("it has something that is not an id of a person", name) from None
    return tuple(found)
