"""The *who can* report against reality: everyone tries every mailbox, and the report lists who succeeds.

Both directions hold: everyone who gets in is in the report, and every path in the report leads in.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from samdrift.administration.administration import administering
from samdrift.administration.inventory import basis_of, count_doors
from samdrift.config.reader import load
from samdrift.contracts.isolation import Verdict
from samdrift.contracts.principals import Principal, PrincipalKind, Purpose, Role
from samdrift.governance.records import Records
from samdrift.governance.who import UNUSED, Basis, PathKind, paths
from samdrift.governance.who import Path as Way
from samdrift.isolationcheck import whocan
from samdrift.isolationcheck.check import strangers
from samdrift.isolationcheck.ledger import Ledger
from samdrift.messageclient.desk import NotHere
from samdrift.messageclient.mail import Folder, Person
from samdrift.messageclient.owndesk import desk
from samdrift.messageclient.permissions import Assignments
from samdrift.rights import (
    ORGANISATION,
    Ended,
    Given,
    Objected,
    Right,
    Rights,
    Scope,
    Subject,
    Substitution,
)
from samdrift.vault.errors import VaultDenied
from samdrift.vault.mailrecords import MailboxRecord
from samdrift.vault.messageclient import MessageClientVault
from samdrift.vault.people import Identity
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.unit.cli import test_org_commands
from tests.unit.governance.test_records import roots
from tests.unit.messageclient.desks import EmptyBook
from tests.unit.rights.building import ANNA, BO
from tests.unit.rights.signers import YEAR, House, founded
from tests.vaults import Installation

config = test_org_commands.config
MK, GOV = Role.MESSAGE_CLIENT, Role.GOVERNANCE
ISSUER = "https://login.habo.test"
BOXES = ("box", "other")
PEOPLE = ("given", "grouped", "absent", "standing-in", "held-back", "dismissed", "nobody", "claiming-else")
GROUP = Subject.claim(ISSUER, "groups", "skola")
CLAIMS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "grouped": {"groups": ("skola", "annat")},
    "claiming-else": {"groups": ("annat",)},
}


@dataclass
class World:
    """An organisation whose people have rights in every possible way, some of which have ended."""

    organisation: ParticipantIdentifier
    house: House
    ids: Mapping[str, str]

    def person(self, name: str) -> Subject:
        return Subject.parse(f"person:{self.ids[name]}")

    def states(self) -> None:
        """State all rights, and then their endings."""
        house, person = self.house, self.person
        start = house.now + timedelta(hours=1)

        def gives(what: Rights | Substitution) -> str:
            return house.state(ANNA, Given(what, start, start + YEAR, asked=False)).digest

        def rights(to: Subject, box: str, *named: Right) -> Rights:
            return Rights(to, Scope(box), frozenset(named))

        gives(rights(person("given"), "box", Right.READ, Right.WRITE))
        gives(rights(GROUP, "other", Right.READ))
        gives(rights(person("absent"), "box", Right.READ))
        gives(Substitution(person("standing-in"), ORGANISATION, person("absent")))
        held_back = gives(rights(person("held-back"), "box", Right.READ))
        gives(rights(person("dismissed"), "other", Right.READ))
        gives(rights(Subject.parse("system:journal"), "box", Right.READ))
        house.now += timedelta(hours=2)
        house.state(BO, Objected(held_back))
        house.state(BO, Ended(subject=person("dismissed")))


async def world(installation: Installation) -> World:
    """Make the organisation, its people, and statements from this morning."""
    organisation = await installation.organisation([MK, GOV, Role.ACCESS_POINT])
    ids = {}
    async with installation.open(organisation, MK) as vault:
        for box in BOXES:
            await vault.keep_mailbox(MailboxRecord(box, f"{box}:{organisation}", box))
        for name in PEOPLE:
            identity = Identity(ISSUER, name, name, dict(CLAIMS.get(name, {})))
            ids[name] = await vault.know_person(identity)
    house = founded(organisation.value, datetime.now(UTC).replace(microsecond=0) - timedelta(hours=9))
    made = World(organisation, house, ids)
    made.states()
    for each in house.record.entries:
        records = Records(installation.gate, lambda at=each.statement.at: at)  # type: ignore[misc]
        await records.append(organisation, [each.signed], roots)
    return made


async def through(installation: Installation, made: World) -> set[tuple[str, str]]:
    """Try every mailbox as every person who can sign in; return who could open which mailbox."""

    async def names(vault: MessageClientVault) -> dict[str, str]:
        return {}

    assignments = Assignments(installation.gate.worker("test", MK), lambda: datetime.now(UTC))
    seen = set()
    for name, box in itertools.product(PEOPLE, BOXES):
        found = await assignments.of(made.organisation, ISSUER, name, CLAIMS.get(name, {}))
        sits = desk(
            installation.gate,
            made.organisation,
            found,
            Person(made.ids[name], name),
            EmptyBook(),
            lambda: datetime.now(UTC),
            names,
        )
        with contextlib.suppress(NotHere):
            await sits.lines(Folder.OPEN, box)
            seen.add((f"person:{made.ids[name]}", f"mailbox:{box}"))
    return seen


async def test_whoever_gets_through_is_in_the_report_and_each_path_gets_through(
    installation: Installation, config: Path
) -> None:
    made = await world(installation)
    so = await through(installation, made)
    assert {name for name in PEOPLE if any(who == f"person:{made.ids[name]}" for who, _ in so)} == {
        *("given", "grouped", "absent", "standing-in"),
    }
    async with administering(load(config), changes=False) as beside:
        await count_doors(beside, made.organisation)
        now = datetime.now(UTC).replace(microsecond=0)
        basis = await basis_of(beside, made.organisation, now - UNUSED, now)
    found = paths(basis, now, now)
    people = {PathKind.PERSON, PathKind.MEMBER}
    told = {(each.who, each.where) for each in found if each.kind in people and "read" in each.can}
    assert told == so
    for each in found:
        if each.kind in people and (each.who, each.where) in so:
            assert each.used is not None, "these people have just used their access"
    (group,) = [each for each in found if each.kind is PathKind.GROUP]
    assert group.who == str(GROUP)


def leaks(ledger: Ledger) -> list[str]:
    assert len(ledger.of(Verdict.DENIED, Verdict.LEAKED)) == 2
    return [one.why for one in ledger.of(Verdict.LEAKED)]


async def test_the_isolation_check_compares_both_ways_and_finds_what_the_report_lacks_or_makes_up(
    installation: Installation, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await world(installation)
    keys, loaded = installation.gate._keys, load(config)
    ledger = Ledger()
    await whocan.against_what_is_so(loaded, keys, made.organisation, ledger)
    assert leaks(ledger) == []
    for change, leak in {
        "left out": "1 got through whom the report does not have",
        "made up": "1 paths of the report do not get through",
    }.items():

        def changed(basis: Basis, first: datetime, last: datetime, change: str = change) -> list[Way]:
            found = list(paths(basis, first, last))
            own = next(each for each in found if each.who == str(made.person("given")))
            if change == "left out":
                return [each for each in found if each.who != own.who]
            return [*found, replace(own, who=str(made.person("nobody")))]

        monkeypatch.setattr(whocan, "paths", changed)
        ledger = Ledger()
        await whocan.against_what_is_so(loaded, keys, made.organisation, ledger)
        assert leaks(ledger) == [leak]


async def test_the_isolation_check_says_that_a_canary_without_governance_was_not_tried(
    installation: Installation, config: Path
) -> None:
    organisation, ledger = await installation.organisation([MK]), Ledger()
    await whocan.against_what_is_so(load(config), installation.gate._keys, organisation, ledger)
    (untried,) = ledger.of(*Verdict)
    assert (untried.verdict, untried.expected) == (Verdict.UNTRIED, True)


async def test_a_stranger_gets_through_nowhere_and_is_in_no_report(
    installation: Installation, config: Path
) -> None:
    made = await world(installation)
    other = await installation.organisation([MK])
    tried = strangers(other, made.organisation)
    for role, principal in itertools.product((MK, GOV), tried.values()):
        with pytest.raises(VaultDenied):
            async with installation.gate.open(principal, made.organisation, role, Purpose.READ):
                pytest.fail("access was granted")
    async with administering(load(config), changes=False) as beside:
        await count_doors(beside, made.organisation)
        now = datetime.now(UTC).replace(microsecond=0)
        basis = await basis_of(beside, made.organisation, now - UNUSED, now)
    names = {f"{each.kind}:{each.name}" for each in tried.values() if each.name}
    assert not names & {each.who for each in paths(basis, now, now)}, (
        "a denied actor must not be in the report"
    )


async def test_staff_at_the_desk_for_transfers_are_in_the_report(
    installation: Installation, config: Path
) -> None:
    made = await world(installation)
    person = Principal(PrincipalKind.OPERATOR, "night-shift")
    async with installation.gate.operate(person, made.organisation) as transfers:
        await transfers.waiting(1)
    async with administering(load(config), changes=False) as beside:
        now = datetime.now(UTC).replace(microsecond=0)
        basis = await basis_of(beside, made.organisation, now - UNUSED, now)
    found = {each.who: each for each in paths(basis, now, now) if each.kind is PathKind.STAFF}
    assert "operator:night-shift" in found
