"""Evidence in logs and records: for each collector something is broken, and its finding changes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from types import SimpleNamespace
from typing import Any, cast

import pytest

from samdrift.accesspoint.events import APEvent
from samdrift.administration.administration import Administration
from samdrift.audit.entries import LogEntry
from samdrift.audit.events import Retention
from samdrift.contracts.principals import Purpose, Role
from samdrift.governance.report import Collected
from samdrift.governance.whouses import Uses
from samdrift.operations.compliancelogs import (
    FIELDS,
    DrillEvent,
    _kept,
    drills,
    of_changes,
    of_drill,
    of_event_fields,
    of_last_drill,
    of_logs_and_records,
    of_retention,
    of_staff,
    take_drills,
)
from samdrift.rights import Approved, Subject
from samdrift.rights.record import Record
from samdrift.vault.events import VaultEvent
from samdrift.vault.signedstatements import NumberedStatement
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.separation.vaultlogin import superuser, vault_login
from tests.unit.rights.building import KARIN, KURT
from tests.unit.rights.signers import SecurityKey, Ssh, founded
from tests.vaults import Installation

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
EVA = Subject.parse("operator:eva")


def entry(event: str, principal: str = "worker:access-point", **ids: str) -> LogEntry:
    return LogEntry(1, NOW, event, principal, "send", ids, b"", b"")


async def seen(
    installation: Installation, organisation: ParticipantIdentifier
) -> dict[str, Collected | None]:
    return await of_logs_and_records(cast(Administration, installation), organisation, datetime.now(UTC))


@pytest.mark.parametrize("event", sorted(FIELDS))
def test_a_transfer_without_one_of_its_facts_turns_the_row(event: str) -> None:
    whole = dict.fromkeys(FIELDS[event], "x")
    good = of_event_fields([entry(event, **whole), entry("ap:transfer:queued")], NOW)
    assert good is not None
    assert good.good
    for name in whole:
        for ids in ({**whole, name: ""}, {each: "x" for each in whole if each != name}):
            found = of_event_fields([entry(event, **whole), entry(event, **ids)], NOW)
            assert found is not None
            assert not found.good, name


def test_without_a_transfer_there_is_no_evidence_and_one_given_up_by_hand_is_not_looked_at() -> None:
    assert of_event_fields([entry("ap:transfer:queued")], NOW) is None
    assert of_event_fields([entry(VaultEvent.AP_TRANSFER_FAILED, "operator:anna")], NOW) is None


async def test_fields_are_looked_at_in_the_access_points_own_log(installation: Installation) -> None:
    organisation = await installation.organisation([Role.ACCESS_POINT])
    assert (await seen(installation, organisation))["log.event-fields"] is None
    whole = dict.fromkeys(FIELDS[APEvent.AP_ENVELOPE_RECEIVED], "x")
    for facts, good in ((whole, True), (whole | {"peer": ""}, False)):
        async with installation.open(organisation, Role.ACCESS_POINT, Purpose.TRACE) as vault:
            vault.record(APEvent.AP_ENVELOPE_RECEIVED, **facts)
        found = (await seen(installation, organisation))["log.event-fields"]
        assert found is not None
        assert found.good is good


async def test_facts_that_were_taken_out_of_a_log_without_a_decision_turn_the_row(
    installation: Installation,
) -> None:
    organisation = await installation.organisation([Role.ACCESS_POINT])
    async with installation.open(organisation, Role.ACCESS_POINT, Purpose.TRACE) as vault:
        vault.record(APEvent.AP_TRANSFER_QUEUED, transfer="x")
    found = (await seen(installation, organisation))["log.retention"]
    assert found is not None
    assert found.good
    login = await vault_login(installation, organisation, Role.ACCESS_POINT)
    with (await superuser(installation)).connect(login.schema) as connection:
        connection.execute(
            f'UPDATE "{login.schema}".log SET content = NULL, salt = NULL WHERE sequence ='
            f' (SELECT max(sequence) FROM "{login.schema}".log)'
        )
    found = (await seen(installation, organisation))["log.retention"]
    assert found is not None
    assert not found.good


def test_what_was_disposed_of_by_decision_is_explained_and_one_more_is_not() -> None:
    ages = [{Retention.READING: (5, 0, 3)}, {Retention.TRANSFER: (2, 1, 0)}]
    assert of_retention(ages, {Retention.READING: 3}, NOW).good
    assert not of_retention(ages, {Retention.READING: 2}, NOW).good
    assert not of_retention(ages, {}, NOW).good
    assert not of_retention([{Retention.READING: (0, 0, 0)}], {}, NOW).good, "an empty log is not evidence"


def used(now: datetime, *names: str) -> Uses:
    uses = Uses(now - timedelta(days=31), now)
    ids = [{"by": name, "reason": "x"} for name in names]
    uses.take([LogEntry(1, now, "org:command:run", "operator:root", "", each, b"", b"") for each in ids])
    return uses


def test_a_change_of_permissions_without_an_entry_in_the_log_turns_the_row() -> None:
    house = founded()
    kept = {each.number: sha256(each.signed.content).hexdigest() for each in house.record.entries}
    assert of_changes(Record(house.organisation), kept, house.now) is None, "nothing was stated"
    good = of_changes(house.record, kept, house.now)
    assert good is not None
    assert (good.good, good.found.en) == (True, f"{len(kept)} changes, 0 without an entry")
    for changed in ({**kept, 3: "another"}, {n: each for n, each in kept.items() if n != 3}):
        found = of_changes(house.record, changed, house.now)
        assert found is not None
        assert (found.good, found.found.en) == (False, f"{len(kept)} changes, 1 without an entry")


async def test_changes_of_permissions_are_looked_for_in_governances_own_log(
    installation: Installation,
) -> None:
    organisation = await installation.organisation([Role.GOVERNANCE])
    async with installation.open(organisation, Role.GOVERNANCE) as vault:
        await vault.append_signed_statements([NumberedStatement(1, b"given")])
    found = await _kept(cast(Any, SimpleNamespace(gate=installation.gate)), organisation)
    assert found == {1: sha256(b"given").hexdigest()}


def test_a_name_without_a_key_in_hardware_turns_the_row() -> None:
    house = founded()
    assert of_staff(house.record, used(house.now), house.now) is None, "no command was run"
    nobody = of_staff(house.record, used(house.now, "eva"), house.now)
    assert nobody is not None
    assert not nobody.good
    for key, good in ((Ssh(EVA, "eva"), False), (SecurityKey(EVA, 7), True)):
        asked = house.state(KARIN, house.enrolment(key))
        house.state(KURT, Approved(asked.digest))
        found = of_staff(house.record, used(house.now, "eva"), house.now)
        assert found is not None
        assert found.good is good
    both = of_staff(house.record, used(house.now, "eva", "mallory"), house.now)
    assert both is not None
    assert not both.good
    later = house.now + timedelta(days=400)
    ended = of_staff(house.record, used(later, "eva"), later)
    assert ended is not None
    assert not ended.good, "an expired key must not count"


PASSED = {"backup": "ab", "taken": NOW.isoformat(), "compared": "90", "differences": "0", "seconds": "12"}


@pytest.mark.parametrize(
    ("changes", "good"),
    [
        ({}, True),
        ({"passed": "false"}, False),
        ({"differences": "1"}, False),
        ({"compared": "0"}, False),
        ({"compared": ""}, False),
        ({"differences": ""}, False),
    ],
)
def test_a_drill_counts_where_it_passed_and_compared_something(changes: dict[str, str], good: bool) -> None:
    facts = PASSED | {"passed": "true"} | changes
    assert of_drill(entry(DrillEvent.ORGANISATION_RESTORE_DRILLED, **facts)).good is good


def test_the_last_drill_of_the_organisation_or_of_the_whole_counts() -> None:
    name = DrillEvent.ORGANISATION_RESTORE_DRILLED
    good, bad = PASSED | {"passed": "true"}, PASSED | {"passed": "false"}

    def judged(*drilled: LogEntry) -> bool | None:
        found = dict[str, LogEntry]()
        take_drills(found, [replace(each, sequence=number) for number, each in enumerate(drilled)])
        last = of_last_drill(found, "a")
        return None if last is None else last.good

    assert judged(entry(name, organisation="a", **good), entry(name, organisation="b", **bad)) is True
    assert judged(entry(name, organisation="a", **good), entry(name, **bad)) is False
    assert judged(entry(name, **bad), entry(name, organisation="a", **good)) is True
    assert judged(entry(name, organisation="b", **good), entry("org:command:run")) is None


async def test_a_drill_is_found_in_the_operators_log_and_turns_with_the_next(
    installation: Installation,
) -> None:
    organisation = await installation.organisation([Role.ACCESS_POINT])
    here = cast(Administration, installation)
    assert of_last_drill(await drills(here), organisation.value) is None
    for passed in ("true", "false"):
        facts: dict[str, Any] = PASSED | {"passed": passed, "organisation": organisation.value}
        await installation.gate.operator_log(DrillEvent.ORGANISATION_RESTORE_DRILLED, **facts)
        found = of_last_drill(await drills(here), organisation.value)
        assert found is not None
        assert found.good is (passed == "true")
