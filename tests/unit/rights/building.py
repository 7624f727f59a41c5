"""Statements for tests: a small organisation, with times counted in hours."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from samdrift.rights import (
    ORGANISATION,
    Approved,
    Ended,
    Given,
    Objected,
    Outcome,
    Reviewed,
    Right,
    Rights,
    Scope,
    Statement,
    Subject,
    SubjectKind,
    Substitution,
)
from samdrift.rights.groups import MembersListed, directory_of, listing
from samdrift.rights.statements import Act

HABO = "0203:habo.se"
ANNA, BO, CILLA, DAG = (Subject.parse(f"person:{name}") for name in ("anna", "bo", "cilla", "dag"))
KARIN, KURT = (Subject.parse(f"custodian:{name}") for name in ("karin", "kurt"))
ROBOT = Subject.parse("system:case-management")
GROUP = Subject.claim("https://idp.habo.se", "groups", "CN=Elevhälsa,OU=Skola")
LISTED = Subject.group("ad", "cn=Elevhälsa Norr,ou=Grupper,dc=habo,dc=se")
AD = Subject.parse("directory:ad")
SCHOOL, CARE = Scope("school"), Scope("care")
DAY = datetime(2026, 3, 2, tzinfo=UTC)


def at(hour: float) -> datetime:
    return DAY + timedelta(hours=hour)


def stated(by: Subject, hour: float, act: Act, why: str = "beslut 12", organisation: str = HABO) -> Statement:
    return Statement(organisation, by, at(hour), why, act)


def rights(to: Subject, scope: Scope, *names: Right) -> Rights:
    return Rights(to, scope, frozenset(names))


def grant(
    by: Subject, hour: float, what: Rights | Substitution, start: float | None = None, end: float = 1000
) -> Statement:
    return stated(by, hour, Given(what, at(hour if start is None else start), at(end), asked=False))


def ask(
    by: Subject, hour: float, what: Rights | Substitution, start: float | None = None, end: float = 1000
) -> Statement:
    return stated(by, hour, Given(what, at(hour if start is None else start), at(end), asked=True))


def approve(by: Subject, hour: float, of: Statement) -> Statement:
    return stated(by, hour, Approved(of.digest))


def review(by: Subject, hour: float, of: Statement, outcome: Outcome) -> Statement:
    return stated(by, hour, Reviewed(of.digest, outcome))


def objection(by: Subject, hour: float, of: Statement) -> Statement:
    return stated(by, hour, Objected(of.digest))


def end(by: Subject, hour: float, of: Statement | Subject) -> Statement:
    return stated(by, hour, Ended(subject=of) if isinstance(of, Subject) else Ended(of=of.digest))


def listed(
    hour: float,
    joined: Iterable[Subject] = (),
    left: Iterable[Subject] = (),
    after: Iterable[Subject] = (),
    group: Subject = LISTED,
) -> Statement:
    """Return a reading of a group, after which ``after``, by default ``joined``, are in it."""
    came, went = (tuple(sorted(each.id for each in those)) for those in (joined, left))
    now = [each.id for each in after] or list(came)
    by = Subject(SubjectKind.DIRECTORY, directory_of(group))
    act = MembersListed(group, "ldaps://dc1.habo.se", at(hour), came, went, len(now), listing(now))
    return stated(by, hour, act)


def founding(hour: float = 0) -> list[Statement]:
    """Return statements by which two custodians appoint Anna administrator and Dag security officer."""
    administrator = ask(KARIN, hour, rights(ANNA, ORGANISATION, Right.ADMINISTRATOR))
    officer = ask(KURT, hour, rights(DAG, ORGANISATION, Right.SECURITY_OFFICER))
    return [administrator, approve(KURT, hour, administrator), officer, approve(KARIN, hour, officer)]
