"""The members of a statement, each read exactly once, and the names in them: subjects and scopes.

Each kind of act reads its own members through :class:`Fields` and can write them again, so that the
written members are those that were read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from enum import StrEnum
from typing import Self, TypeVar

from samdrift.rights.canonical import Json, visible

E = TypeVar("E", bound=StrEnum)

MAX_IDENTIFIER = 256
LONGEST = timedelta(days=366)
"""Maximum time for which one statement gives something; after a year a new decision is needed."""

_GROUP = re.compile(r"[^# ]+#[^ ].*")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
_FORMAT = "%Y-%m-%dT%H:%M:%SZ"


class StatementError(ValueError):
    """Error raised for a refused statement: the reason and the ``field`` at fault, never its value."""

    def __init__(self, text: str, field: str = "") -> None:
        super().__init__(f"{text} (field {field})" if field else text)
        self.text = text
        self.field = field


class NotUnderstood(StatementError):
    """Error raised for a statement of another version or kind, which a newer program may understand."""


class SubjectKind(StrEnum):
    """Kinds of subjects that give or have rights."""

    PERSON = "person"
    SYSTEM = "system"
    CUSTODIAN = "custodian"
    """One of the people, two of whom set an organisation up before it has an administrator.

    A custodian has no rights by statements.
    """
    OPERATOR = "operator"
    """One of the operator's staff who asks for something; has no rights by statements."""
    CLAIM = "claim"
    """People for whom the identity provider asserts a claim, while their session lasts."""
    GROUP = "group"
    """People whom a directory lists, as frozen by statements (:mod:`samdrift.rights.groups`)."""
    DIRECTORY = "directory"
    """A directory of the organisation, which states the members of its groups; has no rights itself."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A subject that gives or has a right, such as ``person:7f3a…``."""

    kind: SubjectKind
    id: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse a subject; raise :class:`ValueError` if the text is not one."""
        kind, colon, name = text.partition(":")
        named = kind in (SubjectKind.CLAIM, SubjectKind.GROUP) and name == name.strip()
        spaced = "".join(name.split(" ")) if named else name
        fits = colon and 0 < len(name) <= MAX_IDENTIFIER and visible(name)
        if not fits or any(character.isspace() for character in spaced):
            raise ValueError("a subject is a kind, a colon and an identifier")
        if kind == SubjectKind.GROUP and not _GROUP.fullmatch(name):
            raise ValueError("a group must be the name of a directory, a # and a distinguished name")
        if kind == SubjectKind.DIRECTORY and "#" in name:
            raise ValueError("the name of a directory has no #")
        return cls(SubjectKind(kind), name)

    @classmethod
    def claim(cls, issuer: str, name: str, value: str) -> Self:
        """Return the subject for people with a claim of an issuer; may raise :class:`ValueError`."""
        if "#" in issuer or "#" in name or "=" in name:
            raise ValueError("an issuer has no #, and the name of a claim neither # nor =")
        return cls.parse(f"{SubjectKind.CLAIM}:{issuer}#{name}={value}")

    @classmethod
    def group(cls, directory: str, name: str) -> Self:
        """Return the subject for a group by its distinguished name; may raise :class:`ValueError`."""
        if "#" in directory:
            raise ValueError("the name of a directory has no #")
        return cls.parse(f"{SubjectKind.GROUP}:{directory}#{name}")

    def __str__(self) -> str:
        return f"{self.kind}:{self.id}"


def same_person(one: Subject, other: Subject) -> bool:
    """Return whether two subjects are the same person, which is decided by their names alone.

    One person may be a custodian, a member of the staff and a person of the organisation under the same
    name.
    """
    return one.id.casefold() == other.id.casefold()


@dataclass(frozen=True, slots=True)
class Scope:
    """One mailbox, by its role's identifier, or the whole organisation without one."""

    mailbox: str | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse a scope; raise :class:`ValueError` if the text is not one."""
        if text == "organisation":
            return cls()
        kind, _, name = text.partition(":")
        fits = kind == "mailbox" and 0 < len(name) <= MAX_IDENTIFIER and visible(name)
        if not fits or any(character.isspace() for character in name):
            raise ValueError("a scope must be organisation, or mailbox: and an identifier")
        return cls(name)

    def __str__(self) -> str:
        return "organisation" if self.mailbox is None else f"mailbox:{self.mailbox}"


ORGANISATION = Scope()


def moment_text(moment: datetime) -> str:
    """Return a moment as ``2026-03-03T08:00:00Z``.

    Raise :class:`StatementError` for a time without a zone or with fractions of a second.
    """
    if moment.tzinfo is None or moment.microsecond:
        raise StatementError("a time is in UTC and to the second")
    return moment.astimezone(UTC).strftime(_FORMAT)


def is_digest(text: str) -> bool:
    """Return whether a text has the form of a digest, by which statements are named."""
    return _DIGEST.fullmatch(text) is not None


class Fields:
    """The members of a statement, each of which must be read exactly once."""

    def __init__(self, fields: Mapping[str, Json]) -> None:
        self._left = dict(fields)

    def __contains__(self, name: str) -> bool:
        return name in self._left

    def take(self, name: str) -> Json:
        """Return and remove a member; raise :class:`StatementError` if it is missing."""
        if name not in self._left:
            raise StatementError("it is missing", name)
        return self._left.pop(name)

    def text(self, name: str, most: int) -> str:
        """Read a member as a text of 1 to ``most`` characters without surrounding whitespace."""
        value = self.take(name)
        if not isinstance(value, str) or not 0 < len(value) <= most or value != value.strip():
            raise StatementError(f"expected a text of 1 to {most} characters without space around it", name)
        return value

    def digest(self, name: str) -> str:
        """Read a member as the digest of a statement or a document."""
        value = self.take(name)
        if not isinstance(value, str) or not is_digest(value):
            raise StatementError("a digest is 64 digits in hexadecimal", name)
        return value

    def subject(self, name: str) -> Subject:
        """Read a member as a subject."""
        try:
            return Subject.parse(self.text(name, MAX_IDENTIFIER + 16))
        except StatementError:
            raise
        except ValueError:
            raise StatementError("it names no person, system, custodian, claim or group", name) from None

    def scope(self, name: str) -> Scope:
        """Read a member as a scope."""
        try:
            return Scope.parse(self.text(name, MAX_IDENTIFIER + 16))
        except StatementError:
            raise
        except ValueError:
            raise StatementError("it names neither the organisation nor a mailbox", name) from None

    def moment(self, name: str) -> datetime:
        """Read a member as a moment in UTC, in whole seconds."""
        value = self.take(name)
        try:
            if isinstance(value, str) and _MOMENT.fullmatch(value):
                return datetime.strptime(value, _FORMAT).replace(tzinfo=UTC)
        except ValueError:
            pass
        raise StatementError("a time is written as 2026-03-03T08:00:00Z", name)

    def one_of(self, name: str, kind: type[E]) -> E:
        """Read a member as one of the values of ``kind``."""
        value = self.take(name)
        known = {each.value: each for each in kind}
        if not isinstance(value, str) or value not in known:
            raise StatementError("it is not one of the permitted values", name)
        return known[value]

    def object(self, name: str) -> Fields:
        """Read a member as an object with members of its own."""
        value = self.take(name)
        if not isinstance(value, Mapping):
            raise StatementError("expected an object", name)
        return Fields(value)

    def end(self) -> None:
        """Raise :class:`StatementError` if a member was not read."""
        if self._left:
            raise StatementError("there is no such field in a statement of this kind", min(self._left))


def end_of(day: date, zone: tzinfo) -> datetime:
    """Return the last second of ``day`` in ``zone``, which a question about the day refers to."""
    return datetime.combine(day + timedelta(days=1), time(), zone) - timedelta(seconds=1)
