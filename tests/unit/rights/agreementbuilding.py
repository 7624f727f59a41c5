"""Agreements for tests: a municipality, its suppliers, and people who enter and countersign them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from samdrift.rights.agreementfold import Agreements
from samdrift.rights.agreements import (
    Agreed,
    AgreementKind,
    Carried,
    Function,
    Party,
    PartyKind,
    PartyNamed,
    Secrecy,
    Signatory,
)
from samdrift.rights.fields import Subject
from samdrift.rights.folding import Effect
from samdrift.rights.statements import Act, Approved, Ended, Statement
from tests.unit.rights.building import ANNA, DAG, DAY, HABO, KARIN

OFFICERS = {ANNA, DAG}
STAFF = KARIN
"""One of the operator's people, who enters agreements that officers countersign."""


def number(count: int) -> str:
    """Return a Swedish organisation number with its check digit."""
    digits = f"2120{count:05d}"
    doubled = (sum(divmod(int(each) * (2 - place % 2), 10)) for place, each in enumerate(digits))
    return f"{digits[:6]}-{digits[6:]}{-sum(doubled) % 10}"


def party(count: int) -> Party:
    return Party("SE", number(count))


TOWN, OPERATOR, HOST, STORE, LAST = (party(count) for count in range(1, 6))
CHAIN = (TOWN, OPERATOR, HOST, STORE, LAST)
FOREVER = DAY + timedelta(days=1000)


def agreed(
    principal: Party = TOWN,
    performer: Party = OPERATOR,
    duties: Iterable[str] = (),
    functions: Iterable[Function] = Function,
    form: AgreementKind = AgreementKind.SERVICE,
    start: datetime = DAY,
    end: datetime = FOREVER,
    organisations: tuple[str, ...] = (HABO,),
) -> Agreed:
    signed = sorted((principal, performer))
    return Agreed(
        form,
        principal,
        performer,
        frozenset(functions),
        organisations,
        start,
        end,
        90,
        "d" * 64,
        tuple(Signatory(each, "Ansvarig Person") for each in signed),
        ("SE",),
        frozenset({Secrecy.LAW_2020_914}),
        tuple(Carried(each, f"4.{place}") for place, each in enumerate(sorted(duties))),
    )


def named(who: Party, participant: str = "") -> PartyNamed:
    form = PartyKind.MUNICIPALITY if participant else PartyKind.COMPANY
    return PartyNamed(who, f"Part {who.number}", form, participant)


class Book:
    """A list of statements about agreements, in the order in which they are made."""

    def __init__(self, *parties: Party, organisation: str = HABO) -> None:
        self.organisation = organisation
        self.second = 0
        self.agreements = Agreements(organisation, lambda who, _: who in OFFICERS)
        for each in parties:
            self.state(ANNA, named(each, organisation if each == TOWN else ""))

    def statement(self, by: Subject, act: Act) -> Statement:
        return Statement(self.organisation, by, DAY + timedelta(seconds=self.second), "beslut 12", act)

    def state(
        self, by: Subject, act: Act, effect: Effect = Effect.TAKEN, hour: float | None = None
    ) -> Statement:
        """Make a statement with this effect, a second after the last."""
        self.second = self.second + 1 if hour is None else round(hour * 3600)
        statement = self.statement(by, act)
        judged = self.agreements.judge(statement)
        self.agreements.take(statement)
        assert judged is effect, judged
        return statement

    def approve(self, of: Statement, by: Subject = ANNA, effect: Effect = Effect.TAKEN) -> Statement:
        return self.state(by, Approved(of.digest), effect)

    def end(self, of: Statement, by: Subject = ANNA, effect: Effect = Effect.TAKEN) -> Statement:
        return self.state(by, Ended(of=of.digest), effect)

    def enter(self, act: Agreed) -> Statement:
        """Enter an agreement and countersign it."""
        statement = self.state(STAFF, act, Effect.WAITING)
        self.approve(statement)
        return statement
