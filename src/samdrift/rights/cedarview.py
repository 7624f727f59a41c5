"""Rights as Cedar policies, so that a second engine can check the answers of :func:`~samdrift.rights.decide`.

Each grant with an effect is a ``permit`` with the times at which it begins, ends and is objected to, as
seconds in ``context.now``. A substitution is one ``permit`` for every grant that it lends, and a grant to a
group is one for each of its members. The times are those of :mod:`samdrift.rights.gifts`; the authority of a
statement is taken from the fold.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from samdrift.rights.deciding import Request
from samdrift.rights.fields import Subject, SubjectKind
from samdrift.rights.folding import State
from samdrift.rights.gifts import Gift, Share, Span, gifts, shares
from samdrift.rights.statements import OF_CONTENT, ORGANISATION, Right, Rights, Scope, Statement

_KINDS = {
    SubjectKind.PERSON: "Person",
    SubjectKind.SYSTEM: "System",
    SubjectKind.CLAIM: "Claim",
    SubjectKind.CUSTODIAN: "Custodian",
    SubjectKind.OPERATOR: "Operator",
    SubjectKind.GROUP: "Group",
    SubjectKind.DIRECTORY: "Directory",
}


def policies(state: State, statements: Iterable[Statement]) -> str:
    """Return the policies of an organisation whose ``statements`` were folded to ``state``."""
    stated = list(statements)
    found = gifts(state, stated)
    return "\n".join((*_policies(found), *_of_members(shares(found, stated)))) + "\n"


def question(request: Request, moment: datetime) -> dict[str, object]:
    """Return a request in the form that Cedar engines accept."""
    return {
        "principal": _entity(request.subject),
        "action": f'Action::"{request.right.value}"',
        "resource": _scope(request.scope),
        "context": {"now": _seconds(moment), "claims": sorted(str(each) for each in request.claims)},
    }


def _policies(found: Sequence[Gift]) -> Iterator[str]:
    for gift in found:
        what = gift.given.what
        if what.subject.kind is SubjectKind.GROUP:
            continue  # Each member has a separate policy.
        if isinstance(what, Rights):
            yield _permit(what.subject, what.rights, what.scope, _when(gift.times))
            continue
        for lent in found:
            own = lent.given.what
            if not isinstance(own, Rights) or own.subject != what.absent:
                continue
            if what.scope in (ORGANISATION, own.scope) and own.rights & OF_CONTENT:
                both = f"{_when(gift.times)} && {_when(lent.times)}"
                yield _permit(what.subject, own.rights & OF_CONTENT, own.scope, both)


def _of_members(found: Iterable[Share]) -> Iterator[str]:
    for share in found:
        what = share.gift.given.what
        if isinstance(what, Rights):
            yield _permit(share.member, what.rights, what.scope, _when(share.times))


def _when(times: Iterable[Span]) -> str:
    """Return the Cedar condition that ``context.now`` is within ``times``."""
    spans = [f"context.now >= {_seconds(start)} && context.now < {_seconds(end)}" for start, end in times]
    return spans[0] if len(spans) == 1 else "(" + " || ".join(f"({each})" for each in spans) + ")"


def _permit(subject: Subject, rights: Iterable[Right], scope: Scope, when: str) -> str:
    actions = ", ".join(f'Action::"{each.value}"' for each in sorted(rights))
    who = f"principal == {_entity(subject)}"
    if subject.kind is SubjectKind.CLAIM:
        who, when = "principal is Person", f"context.claims.contains({_text(str(subject))}) && {when}"
    return f"permit({who}, action in [{actions}], resource == {_scope(scope)}) when {{ {when} }};"


def _entity(subject: Subject) -> str:
    return f"{_KINDS[subject.kind]}::{_text(subject.id)}"


def _scope(scope: Scope) -> str:
    return f"Scope::{_text(str(scope))}"


def _text(value: str) -> str:
    """Return a string literal; no other characters in identifiers need to be escaped."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())
