"""Paths to an organisation's data: who can or could reach it, by what means, since when, from whom. Pure.

A path is given by statements (rights, substitutes, keys of officers, agreements with suppliers), or exists
because the installation was set up that way (:mod:`samdrift.governance.whodoors`). The answer for a day is
computed from the statements made until the end of that day, the counts in governance's log until then, and
the logs of the ninety days before it. Nothing that happens later changes it, so that it is always the same,
byte for byte, as long as the logs are kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from samdrift.governance.whodoors import Door, DoorKind, Doors
from samdrift.governance.whouses import Uses
from samdrift.rights.agreementfold import Agreements
from samdrift.rights.consentfold import Consents
from samdrift.rights.copies import Copy
from samdrift.rights.fields import ORGANISATION, Subject, SubjectKind, moment_text, same_person
from samdrift.rights.folding import Holding
from samdrift.rights.record import Record
from samdrift.rights.statements import OF_CONTENT, Approved, Rights, Substitution

UNUSED = timedelta(days=90)
"""Time without use after which a path is marked as unused."""
_WHOLE = "organisation"


class PathKind(StrEnum):
    """Kinds of paths: those given by statements, and those that exist by installation."""

    PERSON = "person"
    GROUP = "group"
    """A group of people: those with a claim from the sign-in service, or in a group of a directory."""
    SYSTEM = "system"
    SIGNING_KEY = "signing-key"
    """A key that makes decisions for the organisation, with the person who holds it."""
    SUPPLIER = "supplier"
    STAFF = "operator-account"
    """A name under which one of the operator's staff has run commands about the organisation."""
    MEMBER = "member"
    MESSAGE_CLIENT = "message-client"
    SIGN_IN = "sign-in"
    CUSTODIAN = "custodian"
    STORED_KEY = "stored-key"
    LOGIN = "database-login"
    ACCOUNT = "system-account"
    BACKUP = "backup"
    EXPORT = "export"
    WITNESS = "witness"
    SUPPORT = "support-session"


_SEEN_IN_LOGS = frozenset(
    {
        PathKind.PERSON,
        PathKind.GROUP,
        PathKind.SYSTEM,
        PathKind.SIGNING_KEY,
        PathKind.MEMBER,
        PathKind.MESSAGE_CLIENT,
        PathKind.CUSTODIAN,
    }
)
"""Kinds whose use is logged, so that a path without an entry is unused."""
_OF_ORGANISATION = _SEEN_IN_LOGS - {PathKind.SIGNING_KEY, PathKind.CUSTODIAN}
"""Kinds whose use is metadata of the organisation; signatures are not, since consents rest on the record."""
_SYSTEMS = frozenset({PathKind.SYSTEM, PathKind.MESSAGE_CLIENT})


@dataclass(frozen=True, slots=True)
class Path:
    """A path by which a person, system or other party can reach an organisation's data."""

    kind: PathKind
    who: str
    through: str
    can: tuple[str, ...]
    where: str
    since: datetime
    until: datetime | None
    """End set when the path was given; ``None`` if it has no end."""
    ended: datetime | None
    """Moment at which it was ended early, if within the period asked about."""
    by: str
    rests_on: tuple[str, ...]
    """Numbers of the statements; those of signed ones begin with S, such as ``S12``."""
    used: datetime | None = None
    unused: bool = False

    @property
    def key(self) -> tuple[str, ...]:
        """Members that identify the same path on different days."""
        return (self.kind, self.who, self.through, self.where, " ".join(self.can), " ".join(self.rests_on))


@dataclass(frozen=True, slots=True)
class Basis:
    """All the facts on which an answer rests."""

    copy: Copy
    """Rights from both the message client's own statements and the signed ones."""
    record: Record
    doors: Doors
    uses: Uses


def paths(basis: Basis, first: datetime, last: datetime) -> tuple[Path, ...]:
    """Return every path that existed at some moment from ``first`` to ``last``, which may be equal.

    The use of a path is taken from the ninety days before ``last``.
    """
    found = [
        *_by_rights(basis, first, last),
        *_by_keys(basis, first, last),
        *_by_agreements(basis, first, last),
        *_by_doors(basis, first, last),
        *_by_commands(basis, first, last),
        *_by_consent(basis, first, last),
    ]
    judged = (_judged(each, basis.uses, last) for each in found)
    return tuple(sorted(judged, key=lambda each: (*each.key, each.since)))


def changed(before: Iterable[Path], after: Iterable[Path]) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
    """Return the paths that were added, and those that disappeared, between two moments."""
    first, last = {each.key: each for each in before}, {each.key: each for each in after}
    came = tuple(path for key, path in last.items() if key not in first)
    return came, tuple(path for key, path in first.items() if key not in last)


@dataclass(frozen=True, slots=True)
class _Held:
    holding: Holding
    since: datetime
    ended: datetime | None

    @property
    def digest(self) -> str:
        return self.holding.statements[0]


def _by_rights(basis: Basis, first: datetime, last: datetime) -> Iterator[Path]:
    held = [
        _Held(holding, max(holding.given.start, holding.begins[0]), ended)
        for holding, ended in basis.copy.state.between(first, last)
    ]
    of: dict[Subject, list[_Held]] = {}
    for each in held:
        of.setdefault(each.holding.given.what.subject, []).append(each)
    members = _members(basis, first, last)
    for each in held:
        what = each.holding.given.what
        if isinstance(what, Substitution):
            for lent in of.get(what.absent, []):
                if _lends(what, lent) and _together(basis, each, lent, first, last):
                    yield _substitute(basis, each, lent)
            continue
        path = _path(basis, each, _KINDS[what.subject.kind], str(what.subject), "")
        yield path
        if what.subject.kind is SubjectKind.GROUP:
            yield from _by_group(basis, each, path, first, last)
        for door, since, gone in members.get(str(what.subject), []):
            moments = [first, since, *basis.copy.state.beginnings(each.digest)]
            there = [one for one in moments if since <= one and (gone is None or one < gone)]
            if not any(first <= one <= last and basis.copy.state.counts(each.digest, one) for one in there):
                continue
            through = f"{what.subject}"
            yield replace(
                path,
                kind=PathKind.MEMBER,
                who=door.who,
                through=through,
                since=max(since, path.since),
                ended=min((one for one in (gone, path.ended) if one is not None), default=None),
            )


def _by_group(basis: Basis, held: _Held, path: Path, first: datetime, last: datetime) -> Iterator[Path]:
    """Yield a path for each person who was in a directory's group while the group had a right.

    Each path rests on the grant and on the reading by which the person joined the group.
    """
    state, group = basis.copy.state, held.holding.given.what.subject
    author = state.author(held.holding)
    for spell in state.memberships.spells(group):
        if spell.since > last or (spell.end is not None and spell.end <= first):
            continue
        moments = (first, spell.since, *state.beginnings(held.digest))
        there = [each for each in moments if spell.since <= each and (spell.end is None or each < spell.end)]
        counts = any(first <= each <= last and state.counts(held.digest, each) for each in there)
        if not counts or same_person(spell.person, author):
            continue
        gone = spell.end if spell.end is not None and spell.end <= last else None
        read = state.memberships.statement(group, spell.joined).act.read_at
        yield replace(
            path,
            kind=PathKind.MEMBER,
            who=str(spell.person),
            through=f"{group}, read {moment_text(read)}",
            since=max(spell.since, path.since),
            ended=min((one for one in (gone, path.ended) if one is not None), default=None),
            rests_on=(*path.rests_on, *_numbers(basis, (spell.joined,))),
        )


_KINDS = {
    SubjectKind.PERSON: PathKind.PERSON,
    SubjectKind.SYSTEM: PathKind.SYSTEM,
    SubjectKind.CLAIM: PathKind.GROUP,
    SubjectKind.GROUP: PathKind.GROUP,
}


def _members(
    basis: Basis, first: datetime, last: datetime
) -> dict[str, list[tuple[Door, datetime, datetime | None]]]:
    found: dict[str, list[tuple[Door, datetime, datetime | None]]] = {}
    by_digest = {
        digest: str(holding.given.what.subject)
        for holding, _ in basis.copy.state.between(first, last)
        for digest in holding.statements[:1]
    }
    for door, since, gone in basis.doors.between(first, last):
        if door.kind is DoorKind.MEMBER and door.through in by_digest:
            known = found.setdefault(by_digest[door.through], [])
            for place, (other, began, over) in enumerate(known):
                # The same membership, counted once for each right that was given to the group.
                if door.who == other.who and (over is None or since <= over):
                    known[place] = other, began, _later(over, gone)
                    break
            else:
                known.append((door, since, gone))
    return found


def _later(one: datetime | None, other: datetime | None) -> datetime | None:
    return None if one is None or other is None else max(one, other)


def _lends(substitution: Substitution, lent: _Held) -> bool:
    what = lent.holding.given.what
    if not isinstance(what, Rights) or not what.rights & OF_CONTENT:
        return False
    return substitution.scope in (ORGANISATION, what.scope)


def _together(basis: Basis, one: _Held, other: _Held, first: datetime, last: datetime) -> bool:
    """Return whether both rights count at some moment from ``first`` to ``last``."""
    state = basis.copy.state
    moments = (first, *state.beginnings(one.digest), *state.beginnings(other.digest))
    return any(
        first <= each <= last and state.counts(one.digest, each) and state.counts(other.digest, each)
        for each in moments
    )


def _substitute(basis: Basis, each: _Held, lent: _Held) -> Path:
    what, given = each.holding.given.what, lent.holding.given.what
    assert isinstance(what, Substitution)
    assert isinstance(given, Rights)
    own = _path(basis, each, PathKind.PERSON, str(what.subject), f"substitute for {what.absent}")
    ended = min((one for one in (each.ended, lent.ended) if one is not None), default=None)
    return replace(
        own,
        can=tuple(sorted(given.rights & OF_CONTENT)),
        where=str(given.scope),
        since=max(each.since, lent.since),
        until=min(each.holding.given.end, lent.holding.given.end),
        ended=ended,
        rests_on=(*own.rests_on, *_numbers(basis, lent.holding.statements)),
    )


def _path(basis: Basis, held: _Held, kind: PathKind, who: str, through: str) -> Path:
    what = held.holding.given.what
    can = tuple(sorted(what.rights)) if isinstance(what, Rights) else ()
    author = basis.copy.state.statement(held.holding.statements[-1])
    return Path(
        kind,
        who,
        through,
        can,
        str(what.scope),
        held.since,
        held.holding.given.end,
        held.ended,
        str(author.by),
        _numbers(basis, held.holding.statements),
    )


def _numbers(basis: Basis, digests: Iterable[str]) -> tuple[str, ...]:
    return tuple(basis.copy.number_of(each) for each in digests)


def _by_keys(basis: Basis, first: datetime, last: datetime) -> Iterator[Path]:
    numbers = {each.statement.digest: each for each in basis.record.entries}
    for key in basis.record.keys.all():
        over = key.act.end if key.ended is None else min(key.ended, key.act.end)
        if key.begins is None or key.begins > last or over <= first:
            continue
        resting = [digest for digest in key.statements if digest in numbers]
        yield Path(
            PathKind.SIGNING_KEY,
            str(key.act.to),
            f"{key.key.scheme} {key.key.fingerprint[:16]}",
            ("decide",) if key.act.to.kind is SubjectKind.PERSON else ("sign",),
            _WHOLE,
            key.begins,
            key.act.end,
            key.ended if key.ended is not None and key.ended <= last else None,
            str(numbers[resting[-1]].statement.by) if resting else "",
            tuple(f"S{numbers[each].number}" for each in resting),
            _signed_with(basis.record, key.key.fingerprint, last),
        )


def _signed_with(record: Record, fingerprint: str, last: datetime) -> datetime | None:
    return max(
        (
            each.statement.at
            for each in record.entries
            if each.signed.key == fingerprint and each.statement.at <= last
        ),
        default=None,
    )


def _by_agreements(basis: Basis, first: datetime, last: datetime) -> Iterator[Path]:
    folded = next((each for each in basis.record.folds if isinstance(each, Agreements)), None)
    if folded is None:
        return
    numbers = {each.statement.digest: each.number for each in basis.record.entries}
    signers = {
        each.statement.act.of: str(each.statement.by)
        for each in basis.record.entries
        if isinstance(each.statement.act, Approved) and each.statement.at <= last
    }
    register = folded.at(last)
    for each in register.agreements:
        begins = max(each.agreed.start, each.since)
        if begins <= last and each.end > first:
            yield Path(
                PathKind.SUPPLIER,
                str(each.agreed.performer),
                f"agreement {each.agreed.form}",
                tuple(sorted(each.agreed.functions)),
                _WHOLE,
                begins,
                each.end,
                None,
                signers.get(each.digest, ""),
                (f"S{numbers[each.digest]}",),
            )
    for notice in register.notices:
        if notice.given.start <= last and not notice.objected:
            yield Path(
                PathKind.SUPPLIER,
                str(notice.given.performer),
                "notice of a sub-supplier",
                tuple(sorted(notice.given.functions)),
                _WHOLE,
                notice.given.start,
                None,
                None,
                "",
                (f"S{numbers[notice.digest]}",),
            )


def _by_doors(basis: Basis, first: datetime, last: datetime) -> Iterator[Path]:
    for door, seen, gone in basis.doors.between(first, last):
        if door.kind is not DoorKind.MEMBER:
            since = datetime.fromisoformat(door.since) if door.since else seen
            kind, where = PathKind(door.kind.value), door.where or _WHOLE
            yield Path(kind, door.who, door.through, door.can, where, since, None, gone, door.by, ())


def _by_commands(basis: Basis, first: datetime, last: datetime) -> Iterator[Path]:
    for name, count in basis.uses.actors("operator").items():
        if count.first <= last and count.last >= min(first, last - UNUSED):
            yield Path(
                PathKind.STAFF,
                name,
                "commands, under this name",
                ("run",),
                _WHOLE,
                count.first,
                None,
                None,
                "",
                (),
                count.last,
            )


def _by_consent(basis: Basis, first: datetime, last: datetime) -> Iterator[Path]:
    folded = next((each for each in basis.record.folds if isinstance(each, Consents)), None)
    numbers = {each.statement.digest: each.number for each in basis.record.entries}
    for each in folded.all() if folded is not None else ():
        if each.begins is None or each.end is None or each.begins > last:
            continue
        if min(each.end, each.ended or each.end) <= first:
            continue
        approved = [(by, digest) for by, at, digest in each.approvals if at <= last]
        digests = dict.fromkeys((each.id, *(digest for _, digest in approved)))
        yield Path(
            PathKind.SUPPORT,
            str(each.act.to),
            "emergency" if each.emergency else "consent",
            (each.act.level.value,),
            str(each.act.extent),
            each.begins,
            each.end,
            each.ended if each.ended is not None and each.ended <= last else None,
            ", ".join(str(by) for by, _ in approved),
            tuple(f"S{numbers[digest]}" for digest in digests),
        )


def _judged(path: Path, uses: Uses, last: datetime) -> Path:
    if path.kind not in _SEEN_IN_LOGS:
        return path
    used = path.used if path.kind is PathKind.SIGNING_KEY else _last_use(path, uses)
    rests = last if path.ended is None else path.ended
    idle = rests - path.since > UNUSED and (used is None or rests - used > UNUSED)
    return replace(path, used=used, unused=idle)


def _last_use(path: Path, uses: Uses) -> datetime | None:
    mailbox = path.where.removeprefix("mailbox:") if path.where.startswith("mailbox:") else ""
    if path.kind in _SYSTEMS:
        return uses.last_use(path.who if ":" in path.who else f"system:{path.who}")
    return uses.last_use(path.who, mailbox)


def without_use(path: Path) -> Path:
    """Return a path without the moment of its last use, if that is metadata of the organisation.

    A path that was not used for 90 days keeps its mark.
    """
    return replace(path, used=None) if path.kind in _OF_ORGANISATION else path


def document(path: Path) -> dict[str, Any]:
    """Return a path in machine-readable form."""
    return {
        "kind": path.kind.value,
        "who": path.who,
        "through": path.through,
        "can": list(path.can),
        "where": path.where,
        "since": _text(path.since),
        "until": _text(path.until),
        "ended": _text(path.ended),
        "by": path.by,
        "statements": list(path.rests_on),
        "used": _text(path.used),
        "unused": path.unused,
    }


def names(record: Record, moment: datetime) -> dict[str, str]:
    """Return the names of people in the record at a moment, by subject."""
    known = (each for each in record.keys.all() if each.statement.at <= moment)
    return {str(each.act.to): each.act.name for each in known}


def rows(documents: Iterable[Mapping[str, Any]], known: Mapping[str, str]) -> list[list[str]]:
    """Return paths as rows of a table, after a row of column names."""
    columns = ["kind", "who", "name", "through", "can", "where", "since", "until", "ended", "by"]
    columns += ["statements", "used", "unused"]
    found = [columns]
    for each in documents:
        given = {**each, "name": known.get(each["who"], "")}
        found.append([_cell(given[column]) for column in columns])
    return found


def _cell(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(value)
    return "" if value is None else str(value)


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment_text(moment.replace(microsecond=0))
