"""Folding: computes the rights that result from a set of statements, at any moment.

The order in which statements arrive is irrelevant; only their moments count. Within one moment, which is a
second, there are three steps:

1. ends, objections and reviews, each judged by the rights that existed before the moment, so that two people
   who end each other's role in the same second both succeed;
2. grants, requests and approvals, judged without the rights that ended in step 1: **an end wins over a grant
   or an approval of the same moment**;
3. the rights given in step 2 begin. They do not lend authority to another act of the same moment, so that
   statements cannot authorise each other in a circle.

A statement without an effect is not an error here. Its effect has the reason (:class:`Effect`), and
callers that append check it first (:meth:`State.judge`) and refuse it. Authority is needed when a
statement is made, not later: a grant by an administrator does not end with the administrator's own
role. The following have authority:

- to give rights to a mailbox and to appoint substitutes: an administrator and, for read, write and approve on
  one mailbox, its manager;
- to give a role in the organisation: two of its administrators or custodians, one who asks and one who
  approves;
- to end something: its giver, its approver, the person that has it, those with authority to give it, and a
  security officer;
- to end an objection: the person who made it, or a security officer.

People cannot give to themselves, nor approve anything that they asked for or would get. A claim or a
substitution does not lend authority: neither can name the right to manage or a role.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import groupby
from typing import Any, TypeAlias

from samdrift.rights.canonical import Json, encode
from samdrift.rights.fields import same_person
from samdrift.rights.groups import MembersListed
from samdrift.rights.memberships import Memberships
from samdrift.rights.reviews import ReviewClosed, ReviewOpened
from samdrift.rights.statements import (
    OF_CONTENT,
    OFFICERS,
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
    moment_text,
)

_Instant: TypeAlias = tuple[datetime, int]
"""A moment and a step within it; whatever is judged at an instant takes into account only earlier ones."""

_ENDING, _JUDGING, _BEGINNING, _AFTER = range(4)
_CLOSE_REVIEWS = frozenset({SubjectKind.CUSTODIAN, SubjectKind.OPERATOR})
"""Kinds of subjects that may close an overdue review, in addition to its reviewers and officers."""


class Effect(StrEnum):
    """The effect of a statement, or the reason why it has none."""

    TAKEN = "taken"
    WAITING = "waiting"
    """A request that has not been approved yet."""
    OTHER_ORGANISATION = "other-organisation"
    NO_AUTHORITY = "no-authority"
    SELF = "self"
    """Given to oneself, or approved by the subject that asked or would get it."""
    TAKES_TWO = "takes-two"
    """A role in the organisation given by one person alone."""
    NAMES_NOTHING = "names-nothing"
    """The statement that it refers to does not exist at that moment, or is of another kind."""
    OVER = "over"
    """The thing that it refers to has ended, or was approved earlier."""
    TOO_LONG = "too-long"
    """An extension beyond the maximum for two people (:mod:`samdrift.rights.agreementfold`)."""
    TOO_EARLY = "too-early"
    """The end of a review before its due time, while items have no answer."""
    KEY_TAKEN = "key-taken"
    """A key that another subject has, or that was lost (:mod:`samdrift.rights.enrolment`)."""
    OTHER_LISTING = "other-listing"
    """A reading of a group that does not continue the previous one (:mod:`samdrift.rights.groupfold`)."""
    EMPTIES = "empties"
    """A reading that would leave a group empty."""


class OutOfOrder(ValueError):
    """Error raised for a statement earlier than the last folded one: all have to be folded again."""


@dataclass(frozen=True, slots=True)
class Holding:
    """Something given, the instant from which it counts, and its grant, or its request and approval."""

    given: Given
    begins: _Instant
    statements: tuple[str, ...]


class State:
    """The rights that result from one organisation's statements; :meth:`extend` only moves forward in time.

    Rows are only ever added to the tables, and every row has its moment. The state at any earlier
    moment can therefore be read from them, and is the same, byte for byte, as if nothing had been
    stated since.
    """

    def __init__(self, organisation: str) -> None:
        self.organisation = organisation
        self._statements: dict[str, Statement] = {}
        self._effects: dict[str, Effect] = {}
        self._holdings: dict[str, Holding] = {}
        self._by_subject: dict[Subject, dict[str, None]] = {}
        self._standing: dict[str, None] = {}
        """Requests by subjects with the authority to make them."""
        self._ends: dict[str, tuple[_Instant, str]] = {}
        self._objections: dict[str, dict[str, _Instant]] = {}
        self._reviews: dict[str, None] = {}
        """Reviews that have been opened."""
        self._closed: dict[str, tuple[_Instant, str]] = {}
        """Instant at which each closed review was closed, and the statement that closed it."""
        self._kept: dict[str, dict[str, None]] = {}
        """Statements that answered an item of a review by keeping it, by item."""
        self.memberships = Memberships()
        """The people in each group of a directory, at any moment."""
        self._last: datetime | None = None
        self._batch: dict[str, Statement] = {}
        self._added: list[tuple[dict[Any, Any], Any]] = []
        self._grants_alone = False
        """True while the last moment has only grants and requests, which do not depend on each other."""
        self._ordered = True
        """True while the rows of the last moment are in the order of its statements."""

    @property
    def last(self) -> datetime | None:
        """The moment of the latest statement."""
        return self._last

    def extend(self, statements: Iterable[Statement]) -> None:
        """Fold in more statements, ignoring known ones; raise :class:`OutOfOrder` for earlier ones."""
        new = {each.digest: each for each in statements if each.digest not in self._statements}
        if self._last is not None and any(each.at < self._last for each in new.values()):
            raise OutOfOrder("a statement is earlier than the last one")
        for moment, batch in groupby(
            sorted(new.values(), key=lambda each: each.at), key=lambda each: each.at
        ):
            further = {each.digest: each for each in batch}
            if moment != self._last:
                self._put_in_order()
                self._last, self._batch, self._added, self._grants_alone = moment, {}, [], True
            self._grants_alone &= all(isinstance(each.act, Given) for each in further.values())
            self._ordered = not self._batch
            self._batch |= further
            if self._grants_alone:
                self._fold(further)
            else:
                self._fold_again()

    def close(self, digests: Iterable[str], moment: datetime, by: str) -> None:
        """End at ``moment``, by the statement ``by``, whatever ``digests`` give and has not ended yet."""
        for digest in digests:
            self._ends.setdefault(digest, ((moment, _ENDING), by))

    def judge(self, statement: Statement) -> Effect:
        """Return the effect that ``statement`` would have, leaving the state unchanged."""
        if statement.digest in self._statements:
            return self.effect(statement.digest)
        last, batch, added = self._last, dict(self._batch), self._added
        alone, ordered, before = self._grants_alone, self._ordered, len(added)
        self.extend([statement])
        effect = self.effect(statement.digest)
        added_alone = statement.at == last and self._grants_alone
        self._undo(before if added_alone else 0)
        self._last, self._batch, self._added = last, batch, added
        self._grants_alone, self._ordered = alone, ordered or statement.at != last
        if statement.at == last and not added_alone:
            self._fold_again()
        return effect

    def effect(self, digest: str) -> Effect:
        """Return the effect of a statement; raise :class:`KeyError` if it does not exist."""
        effect = self._effects[digest]
        return Effect.TAKEN if effect is Effect.WAITING and digest in self._holdings else effect

    def statement(self, digest: str) -> Statement:
        """Return a statement by its digest; raise :class:`KeyError` if it does not exist."""
        return self._statements[digest]

    def holdings(self, moment: datetime, *subjects: Subject) -> Iterator[Holding]:
        """Yield the holdings of ``subjects``, or of everyone by default, that are in force at ``moment``."""
        for digest in self._of(*subjects):
            if self.counts(digest, moment):
                yield self._holdings[digest]

    def stopped(self, moment: datetime, *subjects: Subject) -> Iterator[tuple[Holding, str]]:
        """Yield what ``subjects`` lack at ``moment`` through an end or objection, and that one's digest."""
        now = (moment, _AFTER)
        for digest in self._of(*subjects):
            by = self._stop(digest, now)
            if by is not None and self._current(digest, now):
                yield self._holdings[digest], by

    def between(self, first: datetime, last: datetime) -> Iterator[tuple[Holding, datetime | None]]:
        """Yield the holdings in force at some moment from ``first`` to ``last``, and when they were ended.

        The second value is ``None`` if a holding was not ended until ``last``. To be included, a holding
        must be in force at ``first``, or at one of its beginnings within the period (see
        :meth:`beginnings`).
        """
        self._put_in_order()
        for digest, holding in self._holdings.items():
            began = max(holding.given.start, holding.begins[0])
            if began > last or holding.given.end <= first:
                continue
            moments = (first, *self.beginnings(digest))
            if any(first <= each <= last and self.counts(digest, each) for each in moments):
                end = self._ends.get(digest)
                yield holding, end[0][0] if end is not None and end[0][0] <= last else None

    def beginnings(self, digest: str) -> list[datetime]:
        """Return the moments at which a holding begins to count: at first, and after each objection ends."""
        holding, objections = self._holdings[digest], self._objections.get(digest, ())
        began = max(holding.given.start, holding.begins[0])
        return [began, *(self._ends[each][0][0] for each in objections if each in self._ends)]

    def counts(self, digest: str, moment: datetime) -> bool:
        """Return whether a holding counts at a moment."""
        return self._in_force(digest, (moment, _AFTER), (moment, _AFTER))

    def reviews(self) -> tuple[Statement, ...]:
        """Return the statements that opened reviews, in order."""
        return tuple(self._statements[digest] for digest in self._reviews)

    def closed(self, review: str) -> tuple[datetime, str] | None:
        """Return when a review was closed, and by which statement, or ``None``."""
        found = self._closed.get(review)
        return None if found is None else (found[0][0], found[1])

    def ended(self, digest: str) -> tuple[datetime, str] | None:
        """Return when the grant of a statement was ended, and by which statement, or ``None``."""
        found = self._ends.get(digest)
        return None if found is None else (found[0][0], found[1])

    def answer(self, review: str, item: str, moment: datetime) -> Statement | None:
        """Return the statement with which the reviewer or the stand-in kept an item, or ``None``.

        An answer about a right that its author has is not valid.
        """
        opening = self._statements[review]
        opened, named = opening.act, self._statements[item].act
        assert isinstance(opened, ReviewOpened)
        assert isinstance(named, Given)
        for digest in self._kept.get(item, {}):
            stated = self._statements[digest]
            reviews = stated.by in (opened.reviewer, opened.stand_in)
            own = self.memberships.has(stated.by, named.what.subject, stated.at)
            if reviews and not own and opening.at <= stated.at <= moment:
                return stated
        return None

    def unanswered(self, review: str, moment: datetime) -> tuple[str, ...]:
        """Return the items of a review that are in force at a moment and have not been answered."""
        opened, now = self._statements[review].act, (moment, _ENDING)
        assert isinstance(opened, ReviewOpened)
        return tuple(
            digest
            for digest in opened.items
            if self._in_force(digest, now, now) and self.answer(review, digest, moment) is None
        )

    def ends_by_silence(self, closing: Statement) -> bool:
        """Return whether the closing of a review would end something that has not been answered."""
        act = closing.act
        if not isinstance(act, ReviewClosed) or act.of not in self._reviews:
            return False
        return bool(self.unanswered(act.of, closing.at))

    def is_officer(self, subject: Subject, moment: datetime) -> bool:
        """Return whether ``subject`` is an officer of the organisation at ``moment``."""
        return self._has_role(subject, (moment, _JUDGING))

    def as_of(self, moment: datetime) -> bytes:
        """Return everything that is in force at ``moment``, as sorted lines of canonical JSON."""
        rows = [*map(_line, self.holdings(moment)), *self.memberships.rows(moment)]
        return b"".join(sorted(encode(row) + b"\n" for row in rows))

    def groups(self, person: Subject, moment: datetime) -> Iterator[tuple[Holding, str]]:
        """Yield the holdings of the groups that a person is in at ``moment``.

        Each comes with the digest of the statement by which the person is in the group. Holdings that the
        person gave or approved are left out, because people cannot give to themselves.
        """
        for group, digest in self.memberships.of(person, moment):
            for holding in self.holdings(moment, group):
                if not same_person(self.author(holding), person):
                    yield holding, digest

    def left(self, person: Subject, moment: datetime) -> Iterator[tuple[Holding, str]]:
        """Yield what a person would have at ``moment`` if a group's directory still listed them.

        Each comes with the digest of the statement by which the person left the group.
        """
        for group, digest in self.memberships.left(person, moment):
            for holding in self.holdings(moment, group):
                yield holding, digest

    def author(self, holding: Holding) -> Subject:
        """Return the subject whose statement gave a holding: its approver or, without one, its giver."""
        return self._statements[holding.statements[-1]].by

    def _of(self, *subjects: Subject) -> list[str]:
        self._put_in_order()
        if not subjects:
            return list(self._holdings)
        return [digest for subject in subjects for digest in self._by_subject.get(subject, ())]

    def _put(self, table: dict[Any, Any], key: Any, value: Any) -> None:
        if key not in table:
            table[key] = value
            self._added.append((table, key))

    def _undo(self, count: int = 0) -> None:
        """Remove the rows of the last moment, except for the first ``count``."""
        for table, key in reversed(self._added[count:]):
            del table[key]
        del self._added[count:]

    def _put_in_order(self) -> None:
        """Put rows in the order of their statements, so that answers do not depend on arrival order."""
        if not self._ordered:
            self._fold_again()

    def _fold_again(self) -> None:
        self._undo()
        self._ordered = True
        self._fold(self._batch)

    def _fold(self, statements: Mapping[str, Statement]) -> None:
        """Fold statements of the last moment, in the order of the steps."""
        batch = [statements[digest] for digest in sorted(statements)]
        for each in batch:
            self._put(self._statements, each.digest, each)
        mine = [each for each in batch if each.organisation == self.organisation]
        for each in batch:
            if each.organisation != self.organisation:
                self._put(self._effects, each.digest, Effect.OTHER_ORGANISATION)
        steps: tuple[tuple[type, Callable[[Statement, Any], Effect]], ...] = (
            (Objected, self._object),
            (Reviewed, self._review),
            (Ended, self._end),
            (ReviewClosed, self._close_review),
            (ReviewOpened, self._open_review),
            (Given, self._give),
            (Approved, self._approve),
            (MembersListed, self._list),
        )
        for kind, step in steps:
            for each in mine:
                if isinstance(each.act, kind):
                    self._put(self._effects, each.digest, step(each, each.act))

    def _list(self, statement: Statement, act: MembersListed) -> Effect:
        self.memberships.put(self._put, statement.digest, statement.at, act)
        return Effect.TAKEN

    def _object(self, statement: Statement, act: Objected) -> Effect:
        named = self._named(act.of, Given)
        if named is None:
            return Effect.NAMES_NOTHING
        if not self._may_end(statement, named):
            return Effect.NO_AUTHORITY
        self._put(self._objections, act.of, {})
        self._put(self._objections[act.of], statement.digest, (statement.at, _ENDING))
        return Effect.TAKEN

    def _review(self, statement: Statement, act: Reviewed) -> Effect:
        if act.outcome is Outcome.REMOVE:
            return self._end(statement, Ended(of=act.of))
        named = self._named(act.of, Given)
        if named is None:
            return Effect.NAMES_NOTHING
        if not self._may_end(statement, named):
            return Effect.NO_AUTHORITY
        self._put(self._kept, act.of, {})
        self._put(self._kept[act.of], statement.digest, None)
        return Effect.TAKEN

    def _open_review(self, statement: Statement, act: ReviewOpened) -> Effect:
        now = (statement.at, _ENDING)
        for digest in act.items:
            named = self._named(digest, Given)
            if named is None or digest not in self._holdings:
                return Effect.NAMES_NOTHING
            those = (statement.by, act.reviewer, act.stand_in)
            if not all(self._may_review(each, named, now) for each in those):
                return Effect.NO_AUTHORITY
        self._put(self._reviews, statement.digest, None)
        return Effect.TAKEN

    def _close_review(self, statement: Statement, act: ReviewClosed) -> Effect:
        now, by = (statement.at, _ENDING), statement.by
        if act.of not in self._reviews:
            return Effect.NAMES_NOTHING
        opened = self._statements[act.of].act
        assert isinstance(opened, ReviewOpened)
        reviews = by.kind in _CLOSE_REVIEWS or by in (opened.reviewer, opened.stand_in)
        if not (reviews or self._has_role(by, now)):
            return Effect.NO_AUTHORITY
        if act.of in self._closed:
            return Effect.OVER
        unanswered = self.unanswered(act.of, statement.at)
        if unanswered and statement.at < opened.due:
            return Effect.TOO_EARLY
        self._put(self._closed, act.of, (now, statement.digest))
        for digest in set(unanswered) - set(self._spared(unanswered, now)):
            self._put(self._ends, digest, (now, statement.digest))
        return Effect.TAKEN

    def _spared(self, unanswered: Iterable[str], now: _Instant) -> list[str]:
        """Return the one administrator's role that is kept if a review would end all of them by silence."""
        roles = {
            digest for digest, holding in self._holdings.items() if Right.ADMINISTRATOR in holding.given.roles
        }
        going_on = (now[0], _JUDGING)  # A role that another statement ends at this moment does not count.
        standing = {digest for digest in roles if self._in_force(digest, now, going_on)}
        going = standing.intersection(unanswered)
        if not going or standing - going:
            return []
        return [max(going, key=lambda digest: (self._holdings[digest].given.end, digest))]

    def _may_review(self, by: Subject, named: Statement, now: _Instant) -> bool:
        given = named.act
        assert isinstance(given, Given)
        return self._may_give(by, given, now) or self._has(by, Right.SECURITY_OFFICER, ORGANISATION, now)

    def _end(self, statement: Statement, act: Ended) -> Effect:
        now, by = (statement.at, _ENDING), statement.by
        if act.subject is not None:
            if by != act.subject and not self._has_role(by, now):
                return Effect.NO_AUTHORITY
            for digest in self._given_to(act.subject):
                self._put(self._ends, digest, (now, statement.digest))
            return Effect.TAKEN
        named = self._named(act.of, Given, Objected)
        if named is None:
            return Effect.NAMES_NOTHING
        if isinstance(named.act, Objected):
            allowed = by == named.by or self._has(by, Right.SECURITY_OFFICER, ORGANISATION, now)
        else:
            allowed = self._may_end(statement, named)
        if not allowed:
            return Effect.NO_AUTHORITY
        if named.digest in self._ends:
            return Effect.OVER
        self._put(self._ends, named.digest, (now, statement.digest))
        return Effect.TAKEN

    def _give(self, statement: Statement, act: Given) -> Effect:
        now, by, role = (statement.at, _JUDGING), statement.by, bool(act.roles)
        self._index(act.what.subject, statement.digest)
        if act.asked:
            if role and not self._may_give(by, act, now):
                return Effect.NO_AUTHORITY
            self._put(self._standing, statement.digest, None)
            return Effect.WAITING
        if role:
            return Effect.TAKES_TWO
        if by == act.what.subject:
            return Effect.SELF
        if not self._may_give(by, act, now):
            return Effect.NO_AUTHORITY
        self._begin(act, statement.at, statement.digest)
        return Effect.TAKEN

    def _approve(self, statement: Statement, act: Approved) -> Effect:
        now, by = (statement.at, _JUDGING), statement.by
        asked = self._named(act.of, Given)
        if asked is None or not isinstance(asked.act, Given) or not asked.act.asked:
            return Effect.NAMES_NOTHING
        if any(same_person(by, each) for each in (asked.by, *asked.act.receivers)):
            return Effect.SELF
        if act.of not in self._standing or not self._may_give(by, asked.act, now):
            return Effect.NO_AUTHORITY
        ended = act.of in self._ends and self._ends[act.of][0] < now
        if ended or asked.act.end <= statement.at or act.of in self._holdings:
            return Effect.OVER
        self._begin(asked.act, statement.at, act.of, statement.digest)
        return Effect.TAKEN

    def _index(self, subject: Subject, digest: str) -> None:
        self._put(self._by_subject, subject, {})
        self._put(self._by_subject[subject], digest, None)

    def _begin(self, given: Given, moment: datetime, *statements: str) -> None:
        self._put(self._holdings, statements[0], Holding(given, (moment, _BEGINNING), statements))

    def _named(self, digest: str | None, *kinds: type) -> Statement | None:
        """Return the organisation's own statement ``digest`` if it is of one of ``kinds``."""
        named = self._statements.get(digest or "")
        mine = named is not None and named.organisation == self.organisation
        return named if mine and named is not None and isinstance(named.act, kinds) else None

    def _given_to(self, subject: Subject) -> list[str]:
        """Return the digests of all grants and requests for ``subject`` up to the moment being folded."""
        earlier = list(self._by_subject.get(subject, ()))
        same = [
            digest
            for digest, each in self._batch.items()
            if isinstance(each.act, Given) and each.act.what.subject == subject
        ]
        return earlier + same

    def _may_give(self, by: Subject, given: Given, now: _Instant) -> bool:
        what = given.what
        if self._has(by, Right.ADMINISTRATOR, ORGANISATION, now):
            return True
        if given.roles:
            return by.kind is SubjectKind.CUSTODIAN
        manageable = isinstance(what, Substitution) or what.rights <= OF_CONTENT
        return manageable and what.scope != ORGANISATION and self._has(by, Right.MANAGE, what.scope, now)

    def _may_end(self, statement: Statement, named: Statement) -> bool:
        now, by = (statement.at, _ENDING), statement.by
        if not isinstance(named.act, Given):
            return False
        holding = self._holdings.get(named.digest)
        approver = self._statements[holding.statements[-1]].by if holding else named.by
        if by in (named.by, approver, named.act.what.subject) or self._may_give(by, named.act, now):
            return True
        return self._has(by, Right.SECURITY_OFFICER, ORGANISATION, now)

    def _has_role(self, by: Subject, now: _Instant) -> bool:
        return any(self._has(by, role, ORGANISATION, now) for role in OFFICERS)

    def _has(self, subject: Subject, right: Right, scope: Scope, now: _Instant) -> bool:
        """Return whether ``subject`` had the right directly, begun before the moment of ``now``."""
        for digest in self._by_subject.get(subject, ()):
            holding = self._holdings.get(digest)
            what = holding.given.what if holding else None
            if isinstance(what, Rights) and right in what.rights and what.scope == scope:
                began = (now[0], _ENDING)
                if self._in_force(digest, began, now):
                    return True
        return False

    def _in_force(self, digest: str, began: _Instant, now: _Instant) -> bool:
        """Return whether a holding began before ``began`` and is still in force at ``now``."""
        return self._current(digest, began) and self._stop(digest, now) is None

    def _current(self, digest: str, now: _Instant) -> bool:
        holding = self._holdings.get(digest)
        if holding is None or not holding.begins < now:
            return False
        return holding.given.start <= now[0] < holding.given.end

    def _stop(self, digest: str, now: _Instant) -> str | None:
        """Return the digest of the end or objection that stops a holding at ``now``, or ``None``."""
        end = self._ends.get(digest)
        if end is not None and end[0] < now:
            return end[1]
        for objection, since in self._objections.get(digest, {}).items():
            lifted = self._ends.get(objection)
            if since < now and not (lifted is not None and lifted[0] < now):
                return objection
        return None


def fold(organisation: str, statements: Iterable[Statement]) -> State:
    """Return the state that results from ``statements`` of ``organisation``, in any order."""
    state = State(organisation)
    state.extend(statements)
    return state


def _line(holding: Holding) -> dict[str, Json]:
    what = holding.given.what
    gets: dict[str, Json] = (
        {"rights": sorted(what.rights)} if isinstance(what, Rights) else {"for": str(what.absent)}
    )
    return gets | {
        "to": str(what.subject),
        "scope": str(what.scope),
        "from": moment_text(max(holding.given.start, holding.begins[0])),
        "until": moment_text(holding.given.end),
        "statements": list(holding.statements),
    }
