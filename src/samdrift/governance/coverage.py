"""Coverage: whether agreements carry each duty, from the organisation to its last supplier, on any day.

A duty that they do not carry is reported as a gap of a named kind. A function that another party performs
needs a chain: an agreement of the organisation that names the function, and so on from party to party. Each
link has to carry, in a numbered clause, each duty that has to be passed on for the function. Agreements that
lead back to a party of the same chain, agreements that no chain reaches, and several agreements between the
same parties are shown, but do not cover anything in themselves.

Pure: the register of agreements, the catalogue and the moment are passed in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from samdrift.contracts.cover import Mode
from samdrift.governance.duties.catalogue import Catalogue, Duty, PassOn, in_force
from samdrift.rights.agreementfold import Agreements, Countersigned, Register
from samdrift.rights.agreements import ROLES, AtEnd, Function, Party

CHAIN_DUTY = "sdk-3.1-avtal"
"""The duty to bind each performer by agreement, reported when the agreement itself is missing."""
WARNINGS = (180, 90, 30, 7)
"""Days ahead of the end of cover at which people are warned."""


class Missing(StrEnum):
    """Kinds of gaps."""

    PARTY = "party"
    """The organisation has not stated which party it is."""
    AGREEMENT = "agreement"
    """No agreement leads to a party that performs the function."""
    CLAUSE = "clause"
    """The agreement has no clause that carries the duty."""
    KIND = "kind"
    """There is a clause, but in a kind of agreement that cannot carry the duty."""


@dataclass(frozen=True, slots=True, order=True)
class Gap:
    """A duty that is not carried: for which function, by which party, and what is missing."""

    function: Function
    duty: str
    party: str
    """The party that is not bound; empty if it is not known."""
    missing: Missing
    principal: str = ""
    """The party that has to bind it; empty if it is not known."""
    agreements: tuple[str, ...] = ()
    """Digests of the agreements between the two parties that lack the clause."""


@dataclass(frozen=True, slots=True)
class Held:
    """A duty that an agreement carries over one link of a chain."""

    function: Function
    duty: str
    principal: Party
    party: Party
    agreement: str
    clause: str


@dataclass(frozen=True, slots=True)
class Link:
    """A step in a chain: the agreements in force between two parties for a function."""

    function: Function
    principal: Party
    performer: Party
    agreements: tuple[Countersigned, ...]

    @property
    def overlapping(self) -> bool:
        """True when several agreements of the same kind are in force between the two parties."""
        kinds = [each.agreed.form for each in self.agreements]
        return len(set(kinds)) < len(kinds)


@dataclass(frozen=True, slots=True)
class Coverage:
    """The coverage of one organisation at a moment."""

    register: Register
    functions: tuple[Function, ...]
    """Functions that are switched on, or that agreements or notices name."""
    held: tuple[Held, ...]
    gaps: tuple[Gap, ...]
    links: tuple[Link, ...]
    circles: tuple[Link, ...]
    """Links that lead back to a party of their own chain."""
    loose: tuple[Countersigned, ...]
    """Agreements in force that are not reached by any chain."""
    taken_over: bool = False
    """True while a single inherited agreement, which has not been signed, carries everything."""

    @property
    def covered(self) -> bool:
        """True when at least one function is performed and no duty is missing."""
        return bool(self.functions) and not self.gaps

    @property
    def inherited(self) -> bool:
        """True when the cover rests on the inherited agreement alone, which is shown as a fault."""
        return self.taken_over and bool(self.gaps)

    def covers(self, function: Function) -> bool:
        """Return whether agreements or, for a limited time, the inherited one cover a function."""
        return self.taken_over or self.agreed(function)

    def agreed(self, function: Function) -> bool:
        """Return whether agreements cover a function, including every function that serves all roles."""
        missing = any(gap.function is function or gap.function not in ROLES for gap in self.gaps)
        return function in self.functions and not missing


def coverage(
    register: Register, duties: Mapping[str, Duty], performers: Mapping[Function, Party | None]
) -> Coverage:
    """Return the coverage at the moment of ``register``.

    ``performers`` maps each function that is switched on to the party that performs it here. An
    organisation that performs a function itself does not need an agreement for it.
    """
    engaged = _engaged(register)
    current = [
        each
        for each in register.agreements
        if each.covers(register.moment)
        and {each.agreed.principal, each.agreed.performer} <= set(register.parties)
    ]
    named = {function for each in current for function in each.agreed.functions}
    functions = [each for each in Function if each in performers or each in named or each in engaged]
    held: list[Held] = []
    gaps: set[Gap] = set()
    links: list[Link] = []
    circles: list[Link] = []
    reached_by: set[str] = set()
    for function in functions:
        found, back = _chain(register.own, function, current)
        links += found
        circles += back
        reached_by |= {each.digest for link in (*found, *back) for each in link.agreements}
        gaps |= set(_unreached(register.own, function, engaged.get(function, ()), found, performers))
        for link in found:
            for duty in _of(link, duties.values(), register.own):
                carried = _carried(link, duty)
                if isinstance(carried, Gap):
                    gaps.add(carried)
                else:
                    held.append(carried)
    loose = tuple(each for each in current if each.digest not in reached_by)
    gaps |= {gap for each in loose for gap in _loose(each)}
    return Coverage(
        register, tuple(functions), tuple(held), tuple(sorted(gaps)), tuple(links), tuple(circles), loose
    )


@dataclass(frozen=True, slots=True)
class Basis:
    """All the facts from which an organisation's coverage is computed, for any moment."""

    agreements: Agreements
    catalogues: Sequence[Catalogue]
    performers: Mapping[Function, Party | None]
    inherited: tuple[datetime, datetime] | None = None
    """Start and end of an inherited agreement that carries everything, if there is one."""

    def at(self, moment: datetime) -> Coverage:
        """Return the coverage at a moment, according to what was known then."""
        return self._of(self.agreements.at(moment))

    def ahead(self, now: datetime, moment: datetime) -> Coverage:
        """Return the coverage at a later moment, according to what is known ``now``."""
        return self._of(replace(self.agreements.at(now), moment=moment))

    def _of(self, register: Register) -> Coverage:
        day = register.moment.astimezone(UTC).date()
        found = coverage(register, in_force(self.catalogues, day, register.released), self.performers)
        start, end = self.inherited or (register.moment, register.moment)
        return replace(found, taken_over=start <= register.moment < end)

    def turns(self) -> set[datetime]:
        """Return the moments at which a catalogue or the inherited agreement starts or ceases to apply."""
        moments = {datetime.combine(each.applies, datetime.min.time(), UTC) for each in self.catalogues}
        return moments | set(self.inherited or ())


@dataclass(frozen=True, slots=True)
class Standing:
    """The decision whether a function is on: its mode, since when, and until when as far as is known."""

    function: Function
    mode: Mode
    since: datetime | None
    """Moment at which cover ended, if it has."""
    until: datetime | None
    """Moment at which cover will end, if that is known."""
    inherited: bool

    @property
    def receives(self) -> bool:
        """True when messages are received."""
        return self.mode.receives

    @property
    def sends(self) -> bool:
        """True when new messages are sent."""
        return self.mode.sends

    def warning(self, now: datetime) -> int | None:
        """Return the days of the nearest warning that is due, or 0 if cover has ended."""
        if self.mode is not Mode.ON:
            return 0
        if self.until is None:
            return None
        left = self.until - now
        return min((days for days in WARNINGS if left <= timedelta(days=days)), default=None)


class Past:
    """A cache of answers to whether a function was covered at past moments.

    The answer for a moment changes only if something is stated about that moment or an earlier one.
    """

    def __init__(self) -> None:
        self._covered: dict[datetime, bool] = {}

    def covered(self, basis: Basis, function: Function, moment: datetime) -> bool:
        """Return whether a function was covered at a moment, computing each answer once."""
        if moment not in self._covered:
            self._covered[moment] = basis.at(moment).covers(function)
        return self._covered[moment]

    def forget(self, since: datetime) -> None:
        """Forget the answers for ``since`` and later."""
        self._covered = {each: covered for each, covered in self._covered.items() if each < since}


def standing(basis: Basis, function: Function, now: datetime, past: Past | None = None) -> Standing:
    """Return whether a function is on at ``now``, according to the agreements known then.

    ``past`` caches answers for the same basis; call :meth:`Past.forget` on it when something is stated.
    """
    current = basis.at(now)
    if current.covers(function):
        return Standing(function, Mode.ON, None, _end(basis, function, now), current.inherited)
    ended = _ended(basis, function, now, past or Past())
    if ended is None:
        return Standing(function, Mode.OFF, None, None, False)
    choice = current.register.chosen(ended)
    mode = Mode.UNCOVERED if choice is AtEnd.CONTINUE else Mode.RECEIVING
    return Standing(function, mode, ended, None, False)


def _end(basis: Basis, function: Function, now: datetime) -> datetime | None:
    """Return the first moment after ``now`` at which, as far as is known, the function is not covered."""
    register = basis.agreements.at(now)
    moments = {moment for each in register.agreements for moment in (each.agreed.start, each.end)}
    moments |= set(_engagements(register))
    moments |= basis.turns()
    later = sorted(moment for moment in moments if moment > now)
    return next((moment for moment in later if not basis.ahead(now, moment).covers(function)), None)


def _engagements(register: Register) -> Iterable[datetime]:
    """Return when each party is first engaged for each function; later notices do not change cover."""
    first: dict[tuple[Party, Function], datetime] = {}
    for notice in register.notices:
        for function in notice.given.functions if not notice.objected else ():
            whose = notice.given.performer, function
            first[whose] = min(first.get(whose, notice.given.start), notice.given.start)
    return first.values()


def _ended(basis: Basis, function: Function, now: datetime, past: Past) -> datetime | None:
    """Return when cover ended for a function that is not covered at ``now``, or ``None`` if it never was."""
    moments = basis.agreements.moments() | basis.turns()
    before = sorted((moment for moment in moments if moment <= now), reverse=True)
    since = now
    for moment in before:
        if past.covered(basis, function, moment):
            return since
        since = moment
    return None


def _engaged(register: Register) -> dict[Function, list[Party]]:
    """Return the engaged sub-suppliers by function, according to notices."""
    found: dict[Function, list[Party]] = {}
    for notice in register.notices:
        if notice.given.start <= register.moment and not notice.objected:
            for function in notice.given.functions:
                found.setdefault(function, []).append(notice.given.performer)
    return found


def _chain(
    root: Party | None, function: Function, current: Iterable[Countersigned]
) -> tuple[list[Link], list[Link]]:
    """Return the links of a function that lead away from the organisation, and those that lead back."""
    below: dict[Party, dict[Party, list[Countersigned]]] = {}
    for each in current:
        if function in each.agreed.functions:
            below.setdefault(each.agreed.principal, {}).setdefault(each.agreed.performer, []).append(each)
    links: list[Link] = []
    back: list[Link] = []
    for principal in _reached(root, below):
        for performer, agreements in below.get(principal, {}).items():
            # It leads back if every path to the principal passes through the performer.
            onward = principal in _reached(root, below, without=performer)
            (links if onward else back).append(Link(function, principal, performer, tuple(agreements)))
    return links, back


def _reached(
    root: Party | None, below: Mapping[Party, Iterable[Party]], without: Party | None = None
) -> list[Party]:
    """Return the parties that chains from the organisation lead to, nearest first."""
    found = [] if root is None or root == without else [root]
    for party in found:
        found += [each for each in sorted(below.get(party, ())) if each not in found and each != without]
    return found


def _unreached(
    own: Party | None,
    function: Function,
    engaged: Sequence[Party],
    links: Sequence[Link],
    performers: Mapping[Function, Party | None],
) -> Iterable[Gap]:
    """Yield a gap for each party that performs a function, or has to, and that no chain reaches."""
    if own is None:
        yield Gap(function, CHAIN_DUTY, "", Missing.PARTY)
        return
    reached = {link.performer for link in links}
    wanted = [*engaged]
    if function in performers:
        party = performers[function]
        if party is None and not links:
            yield Gap(function, CHAIN_DUTY, "", Missing.AGREEMENT)
        elif party is not None and party.whole != own.whole:
            wanted.append(party)
    for party in wanted:
        if party not in reached:
            yield Gap(function, CHAIN_DUTY, str(party), Missing.AGREEMENT)


def _loose(each: Countersigned) -> Iterable[Gap]:
    """Yield a gap for each function of an agreement that no chain reaches: its principal is not bound."""
    for function in each.agreed.functions:
        yield Gap(function, CHAIN_DUTY, str(each.agreed.principal), Missing.AGREEMENT)


def _of(link: Link, duties: Iterable[Duty], own: Party | None) -> Iterable[Duty]:
    for duty in duties:
        first = duty.pass_on is PassOn.FIRST and link.principal == own
        if link.function in duty.functions and (duty.pass_on is PassOn.CHAIN or first):
            yield duty


def _carried(link: Link, duty: Duty) -> Held | Gap:
    function, principal, performer = link.function, link.principal, link.performer
    wrong = False
    for each in link.agreements:
        clause = each.agreed.clause(duty.id)
        if clause is None:
            continue
        if not duty.kinds or each.agreed.form in duty.kinds:
            return Held(function, duty.id, principal, performer, each.digest, clause)
        wrong = True
    missing = Missing.KIND if wrong else Missing.CLAUSE
    digests = tuple(each.digest for each in link.agreements)
    return Gap(function, duty.id, str(performer), missing, str(principal), digests)
