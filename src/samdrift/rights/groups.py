"""The act of a directory: who is in one of its groups, as it was read.

A right is given to a group by a person's signature, like any right. Who is in the group comes from the
organisation's own directory and is frozen: each reading that finds a change is a statement of the people who
came and who went, signed with the directory's key, which two officers have enrolled. So a past day needs no
directory, and nobody is in a group by a directory that the officers did not enrol.
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
"""Most people who come and go by one statement; a reading that finds more makes several."""
MAX_MEMBERS = 10_000
"""Most people in one group."""
_MAX_COUNT = 2 * MAX_MEMBERS  # On the way from one list to another: people come before others go.
_MAX_SERVER = 300
_FIRST = re.compile(r"[^=]*=((?:\\.|[^,+\\])+)")
_STATED_WITHIN = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class MembersListed:
    """The people who came to ``group`` and who left it, by a reading of its directory at ``read_at``."""

    kind: ClassVar[str] = "members"

    group: Subject
    server: str
    """Address of the server that answered."""
    read_at: datetime
    joined: tuple[str, ...]
    """Ids of persons, sorted."""
    left: tuple[str, ...]
    count: int
    """The number of people in the group after this."""
    listing: str
    """Their :func:`listing`."""

    @property
    def directory(self) -> str:
        """Name of the directory that the group is in."""
        return directory_of(self.group)

    def members(self) -> dict[str, Json]:
        """Return the act in the form that statements have."""
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
        """Read the act of a statement of ``at``; :class:`StatementError` with the field at fault."""
        group, server = fields.subject("group"), fields.text("server", _MAX_SERVER)
        if group.kind is not SubjectKind.GROUP:
            raise StatementError("it is not a group of a directory", "group")
        read = fields.moment("read")
        if not at - _STATED_WITHIN <= read <= at:
            raise StatementError("it was read before it is stated, within the hour", "read")
        joined, left = _persons(fields, "joined"), _persons(fields, "left")
        if len(joined) + len(left) > MAX_CHANGES or set(joined) & set(left):
            raise StatementError(f"at most {MAX_CHANGES} people come or go, each once", "joined")
        count = fields.take("count")
        if isinstance(count, bool) or not isinstance(count, int) or not 0 <= count <= _MAX_COUNT:
            raise StatementError(f"a number from 0 to {_MAX_COUNT} is wanted", "count")
        return cls(group, server, read, joined, left, count, fields.digest("listing"))


def directory_of(group: Subject) -> str:
    """Return the name of the directory that a group is in."""
    return group.id.partition("#")[0]


def name_in_directory(group: Subject) -> str:
    """Return the distinguished name of a group."""
    return group.id.partition("#")[2]


def short_name(group: Subject) -> str:
    """Return the first part of a group's name, for people: ``Nattskiftet`` of ``cn=Nattskiftet,ou=…``."""
    first = _FIRST.match(name_in_directory(group))
    return first.group(1).replace("\\", "") if first else name_in_directory(group)


def listing(persons: Iterable[str]) -> str:
    """Return the digest of the people in a group: SHA-256 over their ids, sorted, each with a line feed."""
    return hashlib.sha256("".join(f"{each}\n" for each in sorted(persons)).encode()).hexdigest()


def changes(
    group: Subject, server: str, read_at: datetime, before: Iterable[str], after: Iterable[str]
) -> Sequence[MembersListed]:
    """Return the acts that lead from the people who were in a group to those whom a reading found.

    Where nothing changed it is one, which says that the group was read. People come before others go, so
    that no step on the way leaves the group empty.
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
        raise StatementError("a list of ids of persons, sorted and none twice, is wanted", name)
    try:
        for each in found:
            Subject.parse(f"{SubjectKind.PERSON}:{each}")
    except ValueError:
        raise StatementError("it has something that is not an id of a person", name) from None
    return tuple(found)
