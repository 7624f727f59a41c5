"""Rights as policies of Cedar, for a second opinion: what :func:`~samdrift.rights.decide` answers, another
engine has to answer too.

Each grant that has an effect is a ``permit`` with the times at which it begins, ends and is objected to, as
seconds in ``context.now``; each substitution is one for every grant that it lends. The times are read from
the statements themselves, not from what they were folded to; whether one had authority, the fold says.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from samdrift.rights.deciding import Request
from samdrift.rights.fields import Subject, SubjectKind
from samdrift.rights.folding import Effect, State
from samdrift.rights.statements import (
    OF_CONTENT,
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
)

_KINDS = {
    SubjectKind.PERSON: "Person",
    SubjectKind.SYSTEM: "System",
    SubjectKind.CLAIM: "Claim",
    SubjectKind.CUSTODIAN: "Custodian",
    SubjectKind.OPERATOR: "Operator",
}

_ABOUT_RIGHTS = (Given, Approved, Reviewed, Objected, Ended)


@dataclass(frozen=True, slots=True)
class _Gift:
    """A grant that counts, and when."""

    given: Given
    statement: Statement
    when: str
    """The condition on ``context.now``."""


def policies(state: State, statements: Iterable[Statement]) -> str:
    """Return the policies of an organisation whose ``statements`` were folded to ``state``."""
    about_rights = [each for each in statements if isinstance(each.act, _ABOUT_RIGHTS)]
    taken = [each for each in about_rights if state.effect(each.digest) is Effect.TAKEN]
    gifts = list(_gifts(taken))
    return "\n".join(_policies(gifts)) + "\n"


def question(request: Request, moment: datetime) -> dict[str, object]:
    """Return a request as Cedar's engines take it."""
    return {
        "principal": _entity(request.subject),
        "action": f'Action::"{request.right.value}"',
        "resource": _scope(request.scope),
        "context": {"now": _seconds(moment), "claims": sorted(str(each) for each in request.claims)},
    }


def _policies(gifts: Sequence[_Gift]) -> Iterator[str]:
    for gift in gifts:
        what = gift.given.what
        if isinstance(what, Rights):
            yield _permit(what.subject, what.rights, what.scope, gift.when)
            continue
        for lent in gifts:
            own = lent.given.what
            if not isinstance(own, Rights) or own.subject != what.absent:
                continue
            if what.scope in (ORGANISATION, own.scope) and own.rights & OF_CONTENT:
                both = f"{gift.when} && {lent.when}"
                yield _permit(what.subject, own.rights & OF_CONTENT, own.scope, both)


def _permit(subject: Subject, rights: Iterable[Right], scope: Scope, when: str) -> str:
    actions = ", ".join(f'Action::"{each.value}"' for each in sorted(rights))
    who = f"principal == {_entity(subject)}"
    if subject.kind is SubjectKind.CLAIM:
        who, when = "principal is Person", f"context.claims.contains({_text(str(subject))}) && {when}"
    return f"permit({who}, action in [{actions}], resource == {_scope(scope)}) when {{ {when} }};"


def _gifts(taken: Sequence[Statement]) -> Iterator[_Gift]:
    """Yield the grants that count, with their times, as statements that had an effect say them."""
    for each in taken:
        if not isinstance(each.act, Given):
            continue
        begins = _begins(each, each.act, taken)
        if begins is None:
            continue
        parts = [
            f"context.now >= {_seconds(max(begins, each.act.start))}",
            f"context.now < {_seconds(each.act.end)}",
            *(f"context.now < {_seconds(end)}" for end in _ends(each, each.act, taken)),
            *(_unless(since, until) for since, until in _objections(each, taken)),
        ]
        yield _Gift(each.act, each, " && ".join(parts))


def _begins(statement: Statement, given: Given, taken: Sequence[Statement]) -> datetime | None:
    if not given.asked:
        return statement.at
    approved = [
        each.at for each in taken if isinstance(each.act, Approved) and each.act.of == statement.digest
    ]
    return min(approved, default=None)


def _ends(statement: Statement, given: Given, taken: Sequence[Statement]) -> Iterator[datetime]:
    for each in taken:
        match each.act:
            case Ended(of=str(of)) if of == statement.digest:
                yield each.at
            case Reviewed(of=of, outcome=Outcome.REMOVE) if of == statement.digest:
                yield each.at
            case Ended(of=None, subject=subject) if subject == given.what.subject:
                if statement.at <= each.at:
                    yield each.at
            case _:
                pass


def _objections(
    statement: Statement, taken: Sequence[Statement]
) -> Iterator[tuple[datetime, datetime | None]]:
    for each in taken:
        if isinstance(each.act, Objected) and each.act.of == statement.digest:
            lifted = [
                other.at for other in taken if isinstance(other.act, Ended) and other.act.of == each.digest
            ]
            yield each.at, min(lifted, default=None)


def _unless(since: datetime, until: datetime | None) -> str:
    before = f"context.now < {_seconds(since)}"
    return f"({before})" if until is None else f"({before} || context.now >= {_seconds(until)})"


def _entity(subject: Subject) -> str:
    return f"{_KINDS[subject.kind]}::{_text(subject.id)}"


def _scope(scope: Scope) -> str:
    return f"Scope::{_text(str(scope))}"


def _text(value: str) -> str:
    """Return a string literal; identifiers have no other characters that would end or change it."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())
