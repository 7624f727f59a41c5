"""Decisions: whether a subject may do something now, and by which statements.

The answer is no by default. A subject can have a right in four ways, which are tried in this order:

- the subject was given it;
- the identity provider asserts a claim for the session of a person, and a statement gives that claim the
  right: at most what the statement names, as long as the session has the claim;
- a group of a directory was given it, and the person is in the group according to frozen statements; but not
  if the person gave or approved it;
- a person substitutes for another who was given it. This excludes rights that the other has by a claim, by a
  group or by substituting.

If several apply, the answer rests on the one that lasts longest, so that it is the same everywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from samdrift.rights.folding import Holding, State, fold
from samdrift.rights.statements import (
    OF_CONTENT,
    ORGANISATION,
    Right,
    Rights,
    Scope,
    Statement,
    Subject,
    SubjectKind,
    Substitution,
)


@dataclass(frozen=True, slots=True)
class Request:
    """The question whether ``subject`` has ``right`` in ``scope``; ``claims`` are those of its session."""

    organisation: str
    subject: Subject
    right: Right
    scope: Scope = ORGANISATION
    claims: frozenset[Subject] = frozenset()


@dataclass(frozen=True, slots=True)
class Decision:
    """An answer, with the digests of the statements that it rests on.

    For a denial, these are the ends, objections and departures from groups without which it would have
    been allowed. They are empty if such a right was never given.
    """

    allowed: bool
    rests_on: tuple[str, ...] = ()
    until: datetime | None = None
    """Moment at which the question has to be asked again at the latest."""


def decide(statements: Iterable[Statement], request: Request, moment: datetime) -> Decision:
    """Return whether ``statements`` allow ``request`` at ``moment``, and which of them do."""
    return decide_by(fold(request.organisation, statements), request, moment)


def decide_by(state: State, request: Request, moment: datetime) -> Decision:
    """Return the same answer as :func:`decide`, from statements that have already been folded."""
    if moment.tzinfo is None:
        raise ValueError("a time without a zone cannot be decided about")
    if request.organisation != state.organisation:
        return Decision(False)
    for way in (
        _given(state, request, moment),
        _claimed(state, request, moment),
        _listed(state, request, moment),
        _lent(state, request, moment),
    ):
        found = sorted(way, key=lambda chain: (-chain.end.timestamp(), chain.digests))
        if found:
            return Decision(True, found[0].digests, found[0].end)
    groups = [group for group, _ in state.memberships.of(request.subject, moment)]
    stopped = {
        digest
        for holding, digest in (
            *state.stopped(moment, request.subject, *_claims(request), *groups),
            *state.left(request.subject, moment),
        )
        if _covers(holding, request)
    }
    return Decision(False, tuple(sorted(stopped)))


@dataclass(frozen=True, slots=True)
class _Chain:
    """A chain of statements that gives a right, and the moment at which the first of them ends."""

    digests: tuple[str, ...]
    end: datetime

    @classmethod
    def of(cls, *holdings: Holding, listed: str = "") -> Self:
        digests = tuple(digest for holding in holdings for digest in holding.statements)
        return cls((*digests, listed) if listed else digests, min(each.given.end for each in holdings))


def _given(state: State, request: Request, moment: datetime) -> Iterator[_Chain]:
    if request.subject.kind not in (SubjectKind.CLAIM, SubjectKind.GROUP):
        for holding in state.holdings(moment, request.subject):
            if _covers(holding, request):
                yield _Chain.of(holding)


def _claims(request: Request) -> list[Subject]:
    if request.subject.kind is not SubjectKind.PERSON:
        return []
    return sorted((each for each in request.claims if each.kind is SubjectKind.CLAIM), key=str)


def _claimed(state: State, request: Request, moment: datetime) -> Iterator[_Chain]:
    claims = _claims(request)
    if claims:
        for holding in state.holdings(moment, *claims):
            if _covers(holding, request):
                yield _Chain.of(holding)


def _listed(state: State, request: Request, moment: datetime) -> Iterator[_Chain]:
    if request.subject.kind is SubjectKind.PERSON:
        for holding, digest in state.groups(request.subject, moment):
            if _covers(holding, request):
                yield _Chain.of(holding, listed=digest)


def _lent(state: State, request: Request, moment: datetime) -> Iterator[_Chain]:
    if request.right not in OF_CONTENT or request.subject.kind is not SubjectKind.PERSON:
        return
    for substitution in state.holdings(moment, request.subject):
        what = substitution.given.what
        if isinstance(what, Substitution) and what.scope in (ORGANISATION, request.scope):
            for holding in state.holdings(moment, what.absent):
                if _covers(holding, request):
                    yield _Chain.of(substitution, holding)


def _covers(holding: Holding, request: Request) -> bool:
    what = holding.given.what
    return isinstance(what, Rights) and request.right in what.rights and request.scope == what.scope
