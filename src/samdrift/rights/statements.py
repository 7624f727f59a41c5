"""Statements: acts by which people give, ask for, approve, review, object to or end rights and other things.

A statement has an author, a moment and a reason, and is never changed. Its digest is the SHA-256 of its
canonical bytes (:mod:`samdrift.rights.canonical`). It is the statement's name, by which approvals, reviews,
objections and ends refer to it, and is what a signature covers. The state that results from statements is
computed in :mod:`samdrift.rights.folding`.

The reader refuses anything that it does not understand (another version, an unknown kind or field), because a
statement that is only half understood could hide an end. A writer cannot write a statement that it could not
read. A copy of statements ends before the first one that its program cannot read, and reports that it is
behind (:mod:`samdrift.rights.copies`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import Self, TypeAlias

from samdrift.rights.agreements import AGREEMENT_ACTS, AgreementAct
from samdrift.rights.canonical import CanonicalError, Json, decode, encode
from samdrift.rights.consents import CONSENT_ACTS, ConsentAct
from samdrift.rights.fields import (
    LONGEST,
    MAX_IDENTIFIER,
    ORGANISATION,
    Fields,
    NotUnderstood,
    Scope,
    StatementError,
    Subject,
    SubjectKind,
    moment_text,
)
from samdrift.rights.groups import MembersListed, directory_of
from samdrift.rights.incidents import INCIDENT_ACTS, IncidentAct
from samdrift.rights.keyacts import Enrolled, Lost
from samdrift.rights.reviews import REVIEW_ACTS, ReviewAct
from samdrift.rights.settling import SettlementAsked

__all__ = [
    "LONGEST",
    "OF_CONTENT",
    "OF_ORGANISATION",
    "ORGANISATION",
    "Act",
    "Approved",
    "Ended",
    "Given",
    "NotUnderstood",
    "Objected",
    "Outcome",
    "Reviewed",
    "Right",
    "Rights",
    "Scope",
    "Statement",
    "StatementError",
    "Subject",
    "SubjectKind",
    "Substitution",
    "moment_text",
]

VERSION = 1
MAX_REASON = 500


class Right(StrEnum):
    """A right to one mailbox, or a role in the whole organisation. No right includes another."""

    READ = "read"
    WRITE = "write"
    APPROVE = "approve"
    """Approving messages that others have written, before they are sent."""
    MANAGE = "manage"
    """Giving read, write and approve on this mailbox to others, without access to its content."""
    ADMINISTRATOR = "administrator"
    """Giving rights in the organisation, without access to content."""
    SECURITY_OFFICER = "security-officer"
    """Reading the log, objecting and ending, without access to content."""
    AUDITOR = "auditor"
    """Seeing how the organisation is governed, without changing anything or access to content."""


OFFICERS = frozenset({Right.ADMINISTRATOR, Right.SECURITY_OFFICER})
"""Roles of people who decide for the organisation."""
OF_ORGANISATION = OFFICERS | {Right.AUDITOR}
OF_CONTENT = frozenset({Right.READ, Right.WRITE, Right.APPROVE})
"""Rights that a manager can give, a claim or a group can have, and a substitute gets."""


class Outcome(StrEnum):
    """The result of a review."""

    KEEP = "keep"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True)
class Rights:
    """Rights of ``subject`` in ``scope``."""

    subject: Subject
    scope: Scope
    rights: frozenset[Right]


@dataclass(frozen=True, slots=True)
class Substitution:
    """The lending to ``subject`` of the rights to content that ``absent`` has in ``scope``.

    Rights that ``absent`` has through a substitution are not lent.
    """

    subject: Subject
    scope: Scope
    absent: Subject


@dataclass(frozen=True, slots=True)
class Given:
    """A grant of ``what`` from ``start`` until ``end`` or, if ``asked``, a request for it.

    A request has to be approved by another person.
    """

    what: Rights | Substitution
    start: datetime
    end: datetime
    asked: bool

    @property
    def roles(self) -> frozenset[Right]:
        """Roles in the organisation that it gives."""
        return self.what.rights & OF_ORGANISATION if isinstance(self.what, Rights) else frozenset()

    @property
    def receivers(self) -> tuple[Subject, ...]:
        """Subjects that would get, or lend, rights by it and therefore cannot approve it."""
        if isinstance(self.what, Substitution):
            return self.what.subject, self.what.absent
        return (self.what.subject,)


@dataclass(frozen=True, slots=True)
class Approved:
    """The second person's approval of the request in the statement ``of``."""

    of: str


@dataclass(frozen=True, slots=True)
class Reviewed:
    """An answer in a review about the statement ``of``: to end what it gives, or to keep it unchanged."""

    of: str
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Objected:
    """An objection: what the statement ``of`` gives is held back until the objection ends."""

    of: str


@dataclass(frozen=True, slots=True)
class Ended:
    """The end of what the statement ``of`` gives, of an objection, or of everything given to ``subject``."""

    of: str | None = None
    subject: Subject | None = None


Further: TypeAlias = (
    AgreementAct | ConsentAct | IncidentAct | ReviewAct | Enrolled | Lost | SettlementAsked | MembersListed
)
"""Acts defined by other modules of this package; each has ``kind``, ``members`` and ``read``."""
Act: TypeAlias = Given | Approved | Reviewed | Objected | Ended | Further
_FURTHER: Mapping[str, type[Further]] = {
    each.kind: each
    for each in (
        *(*AGREEMENT_ACTS, *CONSENT_ACTS, *INCIDENT_ACTS, *REVIEW_ACTS),
        *(Enrolled, Lost, SettlementAsked, MembersListed),
    )
}


@dataclass(frozen=True)
class Statement:
    """An act by ``by`` in one organisation at ``at``, in UTC and whole seconds, with a reason."""

    organisation: str
    by: Subject
    at: datetime
    why: str
    act: Act

    @classmethod
    def parse(cls, content: bytes) -> Self:
        """Parse canonical bytes; raise :class:`StatementError` naming the field if they are invalid."""
        try:
            fields = decode(content)
        except CanonicalError as error:
            raise StatementError(error.text, error.where) from None
        if not isinstance(fields, Mapping):
            raise StatementError("it is not an object")
        statement = cls._of(Fields(fields))
        vars(statement)["content"] = content  # no other bytes parse to this statement
        return statement

    @classmethod
    def _of(cls, fields: Fields) -> Self:
        version = fields.take("version")
        if version is True or version != VERSION:
            raise NotUnderstood("a version unknown to this program", "version")
        organisation = fields.text("organisation", MAX_IDENTIFIER)
        by, at, why = fields.subject("by"), fields.moment("at"), fields.text("why", MAX_REASON)
        if by.kind in (SubjectKind.CLAIM, SubjectKind.GROUP):
            raise StatementError(f"a {by.kind} makes no statements", "by")
        act = _act(fields, at)
        lists = act.group if isinstance(act, MembersListed) else None
        if (by.kind is SubjectKind.DIRECTORY or lists) and not (lists and by == _lister(lists)):
            raise StatementError("a directory states who is in its own groups, and nothing else", "by")
        fields.end()
        return cls(organisation, by, at, why, act)

    @cached_property
    def content(self) -> bytes:
        """The canonical bytes; raises :class:`StatementError` if they could not be parsed again."""
        fields = {
            "version": VERSION,
            "organisation": self.organisation,
            "by": str(self.by),
            "at": moment_text(self.at),
            "why": self.why,
            **_fields(self.act),
        }
        try:
            content = encode(fields)
        except CanonicalError as error:
            raise StatementError(error.text, error.where) from None
        if self.parse(content) != self:
            raise StatementError("it does not survive its canonical form")
        return content

    @property
    def kind(self) -> str:
        """The kind of act, as written in the statement."""
        return str(_fields(self.act)["kind"])

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the canonical bytes in hexadecimal: the statement's name, which signatures cover."""
        return hashlib.sha256(self.content).hexdigest()


def _lister(group: Subject) -> Subject:
    return Subject(SubjectKind.DIRECTORY, directory_of(group))


def _act(fields: Fields, at: datetime) -> Act:
    match fields.take("kind"):
        case str(kind) if kind in _FURTHER:
            return _FURTHER[kind].read(fields, at)
        case "grant":
            return _given(fields, at, asked=False)
        case "ask":
            return _given(fields, at, asked=True)
        case "approve":
            return Approved(fields.digest("of"))
        case "review":
            of, outcome = fields.digest("of"), fields.take("outcome")
            if outcome not in tuple(Outcome):
                raise StatementError("a review ends with keep or remove", "outcome")
            return Reviewed(of, Outcome(str(outcome)))
        case "object":
            return Objected(fields.digest("of"))
        case "end":
            return Ended(subject=fields.subject("to")) if "to" in fields else Ended(of=fields.digest("of"))
        case _:
            raise NotUnderstood("a kind unknown to this program", "kind")


def _given(fields: Fields, at: datetime, *, asked: bool) -> Given:
    to, scope = fields.subject("to"), fields.scope("scope")
    start, end = fields.moment("from"), fields.moment("until")
    if start < at:
        raise StatementError("it begins before it is stated", "from")
    if not start < end <= start + LONGEST:
        raise StatementError(
            f"it must end after its beginning, and at most {LONGEST.days} days after it", "until"
        )
    if "for" not in fields:
        return Given(_rights(to, scope, _read_rights(fields, "rights")), start, end, asked)
    absent = fields.subject("for")
    if to.kind is not SubjectKind.PERSON or absent.kind is not SubjectKind.PERSON or to == absent:
        raise StatementError("a person can only substitute for another person", "for")
    return Given(Substitution(to, scope, absent), start, end, asked)


def _read_rights(fields: Fields, name: str) -> frozenset[Right]:
    value = fields.take(name)
    try:
        found = [Right(each) for each in value] if isinstance(value, list) else []
    except ValueError:
        raise StatementError("it names an unknown right", name) from None
    if not found or found != sorted(set(found)):
        raise StatementError("expected a list of rights, sorted and without repeats", name)
    return frozenset(found)


def _rights(to: Subject, scope: Scope, rights: frozenset[Right]) -> Rights:
    roles = rights & OF_ORGANISATION
    if (scope == ORGANISATION and not len(rights) == len(roles) == 1) or (scope != ORGANISATION and roles):
        raise StatementError("it is one role in the organisation, or rights to a mailbox", "rights")
    allowed = {
        SubjectKind.PERSON: frozenset(Right),
        SubjectKind.SYSTEM: OF_CONTENT,
        SubjectKind.CLAIM: OF_CONTENT,
        SubjectKind.GROUP: OF_CONTENT,
        SubjectKind.DIRECTORY: frozenset[Right](),
        SubjectKind.CUSTODIAN: frozenset[Right](),
        SubjectKind.OPERATOR: frozenset[Right](),
    }
    if not rights <= allowed[to.kind]:
        raise StatementError("this kind of subject cannot have such a right", "rights")
    return Rights(to, scope, rights)


def _fields(act: Act) -> dict[str, Json]:
    match act:
        case Given(what, start, end, asked):
            fields: dict[str, Json] = {
                "kind": "ask" if asked else "grant",
                "to": str(what.subject),
                "scope": str(what.scope),
                "from": moment_text(start),
                "until": moment_text(end),
            }
            if isinstance(what, Rights):
                return fields | {"rights": sorted(what.rights)}
            return fields | {"for": str(what.absent)}
        case Approved(of):
            return {"kind": "approve", "of": of}
        case Reviewed(of, outcome):
            return {"kind": "review", "of": of, "outcome": outcome}
        case Objected(of):
            return {"kind": "object", "of": of}
        case Ended(of, subject):
            return {"kind": "end", "to": str(subject)} if subject else {"kind": "end", "of": of or ""}
        case further:
            return {"kind": further.kind, **further.members()}
