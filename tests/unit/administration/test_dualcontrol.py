"""Dual control over an installation: agreements between custodians, and their entries in the logs."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from samdrift.administration.administration import Administration
from samdrift.administration.custodians import admit, dismiss, restart
from samdrift.administration.dualcontrol import (
    Matter,
    Person,
    Persons,
    TwoPersons,
    approve,
    custodians_of,
    requests_of,
    two_persons,
)
from samdrift.administration.events import AdminEvent
from samdrift.audit.entries import LogEntry
from samdrift.contracts.principals import Role
from samdrift.keystore.custody import Custodians, CustodyError, CustodyFault
from samdrift.keystore.wrapping import ScryptCost
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.frozen import changeable
from tests.vaults import ELSEWHERE, Installation

ROLES = (Role.ACCESS_POINT, Role.MESSAGE_SERVICE)

CHEAP = ScryptCost(n=1 << 4, r=1, p=1)
ANNA, BO = Person("anna", b"a long row of words"), Person("bo", b"quite another row")


@pytest.fixture
def place(installation: Installation, tmp_path: Path) -> Administration:
    """Return the installation, with separate custodians for each test."""
    config = cast(Any, SimpleNamespace(vaults=SimpleNamespace(secrets=tmp_path)))
    return Administration(config, cast(Any, None), installation.provisioner, installation.gate)


@pytest.fixture
def staffed(place: Administration, tmp_path: Path) -> Administration:
    for each in (ANNA, BO):
        Custodians(tmp_path, cost=CHEAP).add(each.name, each.passphrase)
    return place


def about(organisation: ParticipantIdentifier) -> Matter:
    return Matter("org close", organisation.value, f"destroy the keys of {organisation}")


async def logged(installation: Installation, organisation: ParticipantIdentifier) -> list[LogEntry]:
    """Return the entries about custody in the organisation's log."""
    async with installation.open(organisation, Role.MESSAGE_SERVICE) as vault:
        return [entry for entry in await vault.log() if entry.event.startswith("custody:")]


async def refusal(place: Administration, matter: Matter, persons: Persons) -> CustodyFault:
    with pytest.raises(CustodyError) as caught:
        await two_persons(place, matter, persons)
    return caught.value.fault


async def test_two_at_one_terminal_agree_at_once_and_both_names_are_in_both_logs(
    installation: Installation, staffed: Administration, organisation: ParticipantIdentifier
) -> None:
    matter = about(organisation)
    assert await two_persons(staffed, matter, Persons(ANNA, BO)) == TwoPersons("anna", "bo")
    (entry,) = await logged(installation, organisation)
    facts = {
        "action": "org close",
        "what": matter.text,
        "first": "anna",
        "second": "bo",
        "proof": "passphrase",
    }
    assert (entry.event, entry.principal, entry.purpose) == (
        AdminEvent.CUSTODY_AGREED,
        "operator:anna",
        "administer",
    )
    assert entry.ids == facts
    last = (await installation.gate.read_operator_log(limit=100_000))[-1]
    assert last.event == AdminEvent.CUSTODY_AGREED
    assert last.ids == facts | {"organisation": organisation.value, "by": "anna"}


async def test_the_operators_log_says_when_the_organisations_could_not_be_told(
    installation: Installation, staffed: Administration
) -> None:
    """The organisation has no vault here; a locked one would be reported the same way."""
    await two_persons(staffed, about(ELSEWHERE), Persons(ANNA, BO))
    last = (await installation.gate.read_operator_log(limit=100_000))[-1]
    assert (last.ids["organisation"], last.ids["organisation_log"]) == (ELSEWHERE.value, "not told")


async def test_one_asks_another_approves_and_then_it_goes_through_once(
    installation: Installation, staffed: Administration, organisation: ParticipantIdentifier
) -> None:
    matter = about(organisation)
    with pytest.raises(CustodyError) as caught:
        await two_persons(staffed, matter, Persons(ANNA))
    (request,) = requests_of(staffed).open(datetime.now(UTC))
    assert caught.value.fault is CustodyFault.ASKED
    assert request.id in caught.value.text
    assert matter.text in caught.value.text
    assert (await approve(staffed, request.id, BO)).matter == matter
    assert await two_persons(staffed, matter, Persons(ANNA)) == TwoPersons("anna", "bo")
    assert await refusal(staffed, matter, Persons(ANNA)) is CustodyFault.ASKED
    names = [(entry.event, entry.principal) for entry in await logged(installation, organisation)]
    assert names == [
        (AdminEvent.CUSTODY_ASKED, "operator:anna"),
        (AdminEvent.CUSTODY_APPROVED, "operator:bo"),
        (AdminEvent.CUSTODY_AGREED, "operator:anna"),
        (AdminEvent.CUSTODY_ASKED, "operator:anna"),
    ]


@pytest.mark.parametrize(
    ("persons", "fault"),
    [
        (Persons(ANNA, ANNA), CustodyFault.SAME_PERSON),
        (Persons(ANNA, Person("anna", b"whatever it is")), CustodyFault.SAME_PERSON),
        (Persons(ANNA, Person("bo", ANNA.passphrase)), CustodyFault.PASSPHRASE),
        (Persons(Person("anna", BO.passphrase), BO), CustodyFault.PASSPHRASE),
        (Persons(Person("anna", BO.passphrase)), CustodyFault.PASSPHRASE),
        (Persons(ANNA, Person("cecilia", BO.passphrase)), CustodyFault.UNKNOWN),
    ],
)
async def test_who_is_not_two_persons_is_refused_and_that_is_logged(
    installation: Installation,
    staffed: Administration,
    organisation: ParticipantIdentifier,
    persons: Persons,
    fault: CustodyFault,
) -> None:
    assert await refusal(staffed, about(organisation), persons) is fault
    (entry,) = await logged(installation, organisation)
    assert (entry.event, entry.ids["reason"]) == (AdminEvent.CUSTODY_REFUSED, fault.value)
    assert not any(each in value for each in ("words", "another row") for value in entry.ids.values())


async def test_who_asked_cannot_approve_and_a_wrong_passphrase_approves_nothing(
    installation: Installation, staffed: Administration, organisation: ParticipantIdentifier
) -> None:
    matter = about(organisation)
    assert await refusal(staffed, matter, Persons(ANNA)) is CustodyFault.ASKED
    (request,) = requests_of(staffed).open(datetime.now(UTC))
    for person in (ANNA, Person("bo", ANNA.passphrase)):
        with pytest.raises(CustodyError):
            await approve(staffed, request.id, person)
    assert await refusal(staffed, matter, Persons(ANNA)) is CustodyFault.ASKED
    events = [entry.event for entry in await logged(installation, organisation)]
    assert events.count(AdminEvent.CUSTODY_REFUSED) == 2
    assert AdminEvent.CUSTODY_AGREED not in events


async def test_nothing_is_agreed_where_there_are_not_two_custodians(
    place: Administration, organisation: ParticipantIdentifier, tmp_path: Path
) -> None:
    Custodians(tmp_path, cost=CHEAP).add(ANNA.name, ANNA.passphrase)
    assert await refusal(place, about(organisation), Persons(ANNA)) is CustodyFault.TOO_FEW
    assert custodians_of(place).names() == ("anna",)


async def _ended_by_hand(place: Administration, tmp_path: Path) -> None:
    """Add two custodians through the commands, and then delete one of their files by hand."""
    custodians = Custodians(tmp_path, cost=CHEAP)
    for each in (ANNA, BO):
        await admit(place, custodians.new_key(each.name, each.passphrase), None)
    (tmp_path / "custodians" / "bo.json").unlink()


async def test_nobody_is_added_alone_once_there_were_two(
    installation: Installation, place: Administration, tmp_path: Path
) -> None:
    """There can be fewer than two again only after an explicit restart, which is logged."""
    await restart(place, "root", "the tests begin")
    await _ended_by_hand(place, tmp_path)
    custodians = Custodians(tmp_path, cost=CHEAP)
    key = custodians.new_key("mallory", b"a sentence of my own")
    with pytest.raises(CustodyError) as caught:
        await admit(place, key, None)
    assert caught.value.fault is CustodyFault.RESTART
    assert custodians.names() == ("anna",)
    (tmp_path / "custodians" / "anna.json").unlink()
    with pytest.raises(CustodyError) as caught:
        await admit(place, key, None)
    assert (caught.value.fault, custodians.names()) == (CustodyFault.RESTART, ())


async def test_a_restart_is_in_every_log_and_begins_without_custodians(
    installation: Installation, place: Administration, organisation: ParticipantIdentifier, tmp_path: Path
) -> None:
    await restart(place, "root", "the tests begin")
    await _ended_by_hand(place, tmp_path)
    assert await restart(place, "root", "bo has left, and his file with him") == ("anna",)
    custodians = Custodians(tmp_path, cost=CHEAP)
    assert custodians.names() == ()
    entry = (await logged(installation, organisation))[-1]
    facts = {"ended": "anna", "why": "bo has left, and his file with him", "proof": "none"}
    assert (entry.event, entry.ids) == (AdminEvent.CUSTODY_RESTARTED, facts)
    operators = [
        each.ids
        for each in await installation.gate.read_operator_log(limit=100_000)
        if each.event == AdminEvent.CUSTODY_RESTARTED and each.ids["why"] == facts["why"]
    ]
    assert facts | {"by": "root"} in operators
    for person in (ANNA, BO):
        await admit(place, custodians.new_key(person.name, person.passphrase), None)
    assert custodians.names() == ("anna", "bo")
    with pytest.raises(CustodyError) as caught:
        await restart(place, "root", "to be alone")
    assert caught.value.fault is CustodyFault.EXISTS
    assert custodians.names() == ("anna", "bo")


async def test_a_restart_is_in_all_other_logs_while_the_keys_of_one_organisation_are_away(
    installation: Installation, place: Administration, organisation: ParticipantIdentifier, tmp_path: Path
) -> None:
    """Keys are away if, for instance, an HSM is unplugged; the operator's log names that organisation."""
    away = await installation.organisation(ROLES)
    registration = installation.gate.registry.find(away, Role.MESSAGE_SERVICE)
    assert registration is not None
    keys = installation.settings.secrets / registration.vault
    kept = keys.rename(tmp_path / "kept")
    try:
        (ended,) = await asyncio.gather(restart(place, "root", "while one is away"), return_exceptions=True)
    finally:
        kept.rename(keys)
    assert isinstance(ended, tuple), "the restart must not fail because the keys of one are away"
    assert (await logged(installation, organisation))[-1].ids["why"] == "while one is away"
    assert await logged(installation, away) == []
    untold = [
        each.ids["organisation"]
        for each in await installation.gate.read_operator_log(limit=100_000)
        if each.ids.get("why") == "while one is away" and each.ids.get("organisation_log") == "not told"
    ]
    assert away.value in untold
    assert organisation.value not in untold


async def test_the_asker_who_types_the_passphrase_of_a_third_makes_another_key_than_the_one_agreed_to(
    installation: Installation, staffed: Administration, tmp_path: Path
) -> None:
    """The text that both sign names the key, so that anna cannot act as cecilia as well.

    Bo agrees to the key that cecilia has made and reported to him; anna tries to substitute her own.
    """
    custodians = Custodians(tmp_path, cost=CHEAP)
    hers = custodians.new_key("cecilia", b"known to cecilia alone")
    annas = custodians.new_key("cecilia", b"typed by anna herself")
    assert hers.fingerprint != annas.fingerprint
    with pytest.raises(CustodyError):
        await admit(staffed, hers, Persons(ANNA))
    (request,) = requests_of(staffed).open(datetime.now(UTC))
    assert hers.fingerprint in request.matter.text
    assert hers.fingerprint.encode() in request.content(), "the signed request must contain the fingerprint"
    await approve(staffed, request.id, BO)
    with pytest.raises(CustodyError) as caught:
        await admit(staffed, annas, Persons(ANNA))
    assert caught.value.fault is CustodyFault.ASKED
    assert custodians.names() == ("anna", "bo")
    await admit(staffed, hers, Persons(ANNA))
    assert custodians.key("cecilia") == hers
    entry = (await installation.gate.read_operator_log(limit=100_000))[-1]
    assert entry.event == AdminEvent.CUSTODY_CUSTODIAN_ADDED
    assert (entry.ids["custodian"], entry.ids["fingerprint"]) == ("cecilia", hers.fingerprint)


async def test_two_removals_that_were_both_agreed_to_leave_two_and_only_one_is_logged(
    installation: Installation, staffed: Administration, tmp_path: Path
) -> None:
    """Each of the two was checked while there were three custodians."""
    Custodians(tmp_path, cost=CHEAP).add("cecilia", b"and yet another one")
    before = (await installation.gate.read_operator_log(limit=100_000))[-1].sequence
    ended = await asyncio.gather(
        dismiss(staffed, "anna", Persons(ANNA, BO)),
        dismiss(staffed, "bo", Persons(ANNA, BO)),
        return_exceptions=True,
    )
    assert [type(each) for each in ended].count(CustodyError) == 1
    assert len(custodians_of(staffed).names()) == 2
    events = [each.event for each in await installation.gate.read_operator_log(before, 100)]
    assert events.count(AdminEvent.CUSTODY_CUSTODIAN_REMOVED) == 1


def test_who_agreed_cannot_be_exchanged_and_no_passphrase_shows() -> None:
    """Objects may be printed in tracebacks and log lines."""
    assert changeable("samdrift.administration") == set()
    assert repr(ANNA.passphrase)[2:-1] not in repr(Persons(ANNA, BO))
    assert repr(BO.passphrase)[2:-1] not in repr(Persons(ANNA, BO))
