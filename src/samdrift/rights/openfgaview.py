"""Rights as an OpenFGA model and tuples, so that a second engine can check the answers of ``who-can``.

OpenFGA's ListUsers has to list the same people for a scope on a day. Each grant is an object of type
``grant`` for each span of time in which it counts (:mod:`samdrift.rights.gifts`), and its subject is a
``holder`` under the condition ``in_force``. A scope has a relation named after each right. It includes the
holders of the grant and the subjects that have it through an ``absence``: the substitutes of its holder in
that scope or in the whole organisation, who are themselves holders of grants with times.

People with a claim are ``claim#bearer``. The statements do not record who has which claim, so that a query
has to add it as a contextual tuple. For a grant to a group, each member holds a separate object, for the time
that the member's stay in the group and the grant have in common. The condition needs ``now`` in the context.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeAlias
from urllib.parse import quote

from samdrift.rights.fields import ORGANISATION, Scope, Subject, SubjectKind, moment_text
from samdrift.rights.folding import State
from samdrift.rights.gifts import Gift, Share, Span, gifts, shares
from samdrift.rights.statements import OF_CONTENT, Right, Rights, Statement

Tuple: TypeAlias = dict[str, Any]
"""A relationship for OpenFGA's Write: ``user``, ``relation``, ``object`` and possibly ``condition``."""

CONDITION = "in_force"
_MAX_READABLE = 200
"""Maximum length of a readable name, in characters; OpenFGA limits an object to 256 bytes."""
_HOLDERS = (SubjectKind.PERSON, SubjectKind.SYSTEM, SubjectKind.CLAIM)


def document(state: State, statements: Iterable[Statement]) -> dict[str, Any]:
    """Return the model and the tuples of an organisation whose ``statements`` were folded to ``state``.

    `fga store import` can read it, except for the model, which is in the JSON form that the server
    accepts.
    """
    return {"authorization_model": model(), "tuples": tuples(state, statements)}


def model() -> dict[str, Any]:
    """Return the authorisation model, which is the same for every organisation."""
    holders = [_type(each.value, "bearer" if each is SubjectKind.CLAIM else "") for each in _HOLDERS]
    lent = {
        "tupleToUserset": {
            "tupleset": {"object": "", "relation": "absence"},
            "computedUserset": {"object": "", "relation": "substitute"},
        }
    }
    of_grant = {"type": "grant", "relation": "holder"}
    by_absence = {"type": "grant", "relation": "lent"}
    return {
        "schema_version": "1.1",
        "type_definitions": [
            {"type": "person"},
            {"type": "system"},
            _definition("claim", {"bearer": [{"type": "person"}, _type("person")]}),
            _definition("grant", {"holder": holders, "absence": [_type("absence")]}, {"lent": lent}),
            _definition("absence", {"substitute": [of_grant]}),
            _definition(
                "scope",
                {each.value: [of_grant, by_absence] if each in OF_CONTENT else [of_grant] for each in Right},
            ),
        ],
        "conditions": {
            CONDITION: {
                "name": CONDITION,
                "expression": "now >= begins && now < ends",
                "parameters": {
                    each: {"type_name": "TYPE_NAME_TIMESTAMP"} for each in ("now", "begins", "ends")
                },
            }
        },
    }


def tuples(state: State, statements: Iterable[Statement]) -> list[Tuple]:
    """Return the sorted tuples of an organisation whose ``statements`` were folded to ``state``."""
    stated = list(statements)
    given = gifts(state, stated)
    found = [each for gift in given for each in _of_gift(gift)]
    found += [each for share in shares(given, stated) for each in _of_share(share)]
    return sorted(found, key=lambda each: (each["object"], each["relation"], each["user"]))


def bearing(person: Subject, claim: Subject, span: Span | None = None) -> Tuple:
    """Return the tuple for a person who has a claim, always or in a span of time."""
    return _tuple(user(person), "bearer", user(claim).partition("#")[0], span)


def user(subject: Subject) -> str:
    """Return a subject as an OpenFGA user; people with a claim are a set of users."""
    name = _named(subject.kind.value, subject.id)
    return f"{name}#bearer" if subject.kind is SubjectKind.CLAIM else name


def scope_object(scope: Scope) -> str:
    """Return a scope as an OpenFGA object."""
    return _named("scope", *_parts(scope))


def context(moment: datetime) -> dict[str, str]:
    """Return the context of a query about a moment."""
    return {"now": moment_text(moment)}


def _of_gift(gift: Gift) -> Iterator[Tuple]:
    what = gift.given.what
    if what.subject.kind is SubjectKind.GROUP:
        return
    for number, span in enumerate(gift.times, 1):
        name = f"grant:{gift.statement.digest}.{number}"
        yield _tuple(user(what.subject), "holder", name, span)
        if not isinstance(what, Rights):
            yield _tuple(f"{name}#holder", "substitute", _absence(what.absent, what.scope))
            continue
        lends = what.subject.kind is SubjectKind.PERSON and bool(what.rights & OF_CONTENT)
        for each in (what.scope, ORGANISATION) if lends else ():
            yield _tuple(_absence(what.subject, each), "absence", name, span)
        for right in sorted(what.rights):
            yield _tuple(f"{name}#holder", right.value, scope_object(what.scope))
            if lends and right in OF_CONTENT:
                yield _tuple(f"{name}#lent", right.value, scope_object(what.scope))


def _of_share(share: Share) -> Iterator[Tuple]:
    what = share.gift.given.what
    assert isinstance(what, Rights)
    for number, span in enumerate(share.times, 1):
        name = _named("grant", f"{share.gift.statement.digest}.{number}", share.member.id)
        yield _tuple(user(share.member), "holder", name, span)
        for right in sorted(what.rights):
            yield _tuple(f"{name}#holder", right.value, scope_object(what.scope))


def _tuple(who: str, relation: str, what: str, span: Span | None = None) -> Tuple:
    found: Tuple = {"user": who, "relation": relation, "object": what}
    if span is not None:
        begins, ends = map(moment_text, span)
        found["condition"] = {"name": CONDITION, "context": {"begins": begins, "ends": ends}}
    return found


def _absence(person: Subject, scope: Scope) -> str:
    return _named("absence", person.id, *_parts(scope))


def _parts(scope: Scope) -> Sequence[str]:
    return ("organisation",) if scope.mailbox is None else ("mailbox", scope.mailbox)


def _named(kind: str, *parts: str) -> str:
    """Return the name of an object: its parts, percent-encoded because OpenFGA reserves some characters.

    A name that would be too long is replaced by its digest, after a prefix that no other name has.
    """
    name = "/".join(quote(each, safe="") for each in parts)
    if len(name) > _MAX_READABLE:
        name = f"sha256={hashlib.sha256(name.encode()).hexdigest()}"
    return f"{kind}:{name}"


def _type(kind: str, relation: str = "") -> dict[str, str]:
    named = {"type": kind, "relation": relation} if relation else {"type": kind}
    return named | {"condition": CONDITION}


def _definition(
    kind: str, direct: Mapping[str, Sequence[Mapping[str, str]]], derived: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    related: dict[str, Any] = {each: {"directly_related_user_types": types} for each, types in direct.items()}
    further = dict(derived or {})
    return {
        "type": kind,
        "relations": {each: {"this": {}} for each in direct} | further,
        "metadata": {"relations": related | {each: {} for each in further}},
    }
