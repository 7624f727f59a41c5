"""Incidents of the operator: organisations that cannot be reached, or that have left."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from samdrift.administration import incidents
from samdrift.administration.administration import Administration
from samdrift.administration.closing import Order, close
from samdrift.contracts.principals import Role
from samdrift.evidence.trace import Asked
from samdrift.governance.incidents import IncidentEvent
from samdrift.rights.incidents import Clock, IncidentClosed, IncidentNoted, IncidentOpened, IncidentTold
from samdrift.vault.errors import VaultUnavailable
from samdrift.vault.gate import Gate
from samdrift.vault.openkeys import open_keys
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.unit.administration.closings import (
    DECISION,
    PERSONS,
    administration,
    certify_operator,
    suspended,
)
from tests.vaults import Installation, until

WHO = Asked("anna", "INC-7")


@pytest.fixture
def place(installation: Installation, tmp_path: Path) -> Administration:
    keys = open_keys(installation.settings)
    certify_operator(keys)
    return administration(installation, keys, tmp_path)


def now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def opening(*clocks: Clock) -> IncidentOpened:
    return IncidentOpened("Nycklar kopierades", now() - timedelta(hours=1), now(), frozenset(clocks))


def without(monkeypatch: pytest.MonkeyPatch, away: ParticipantIdentifier) -> None:
    """Have one organisation's HSM, or its database, away."""
    record = Gate.record_for_organisation

    async def recorded(
        self: Gate, principal: Any, organisation: ParticipantIdentifier, *rest: Any, **named: Any
    ) -> bool:
        if organisation == away:
            raise VaultUnavailable("the HSM does not respond")
        return await record(self, principal, organisation, *rest, **named)

    monkeypatch.setattr(Gate, "record_for_organisation", recorded)


async def events_of(installation: Installation, organisation: ParticipantIdentifier) -> list[str]:
    async with installation.open(organisation, Role.MESSAGE_SERVICE) as vault:
        return [one.event for one in await vault.log(limit=1000) if one.event in tuple(IncidentEvent)]


async def test_the_clocks_of_an_incident_end_also_when_every_organisation_has_left(
    installation: Installation, place: Administration
) -> None:
    organisation = await installation.organisation()
    identifier, _ = await incidents.open_for(place, opening(Clock.CONCERNED), [organisation], WHO)
    await suspended(installation, organisation, at=datetime.now(UTC))
    await close(place, Order(organisation, DECISION), PERSONS, lambda: datetime.now(UTC))
    await until(lambda: installation.gate.registry.find(organisation, Role.MESSAGE_SERVICE) is None)

    await incidents.add(place, identifier, IncidentTold(identifier, Clock.CONCERNED, now(), "brev"), WHO)
    assert await incidents.add(place, identifier, IncidentClosed(identifier), WHO) == incidents.Reported()
    incident = (await incidents.operators_incidents(place))[0][identifier]
    assert [one.told is None for one in incident.running(datetime.now(UTC))] == [False]
    assert not incident.open_at(datetime.now(UTC) + timedelta(days=4))
    written = [
        one.event
        for one in await installation.gate.read_operator_log(limit=100_000)
        if one.ids.get("incident") == identifier
    ]
    assert written == [
        IncidentEvent.GOV_INCIDENT_OPENED,
        IncidentEvent.GOV_INCIDENT_TOLD,
        IncidentEvent.GOV_INCIDENT_CLOSED,
    ]


async def test_an_organisation_whose_vault_is_away_keeps_no_other_from_hearing(
    installation: Installation, place: Administration, monkeypatch: pytest.MonkeyPatch
) -> None:
    roles = [Role.MESSAGE_SERVICE]
    first, second = sorted([await installation.organisation(roles) for _ in range(2)], key=str)
    with monkeypatch.context() as patch:
        without(patch, first)
        both = incidents.open_for(place, opening(Clock.CONCERNED), [first, second], WHO)
        (opened,) = await asyncio.gather(both, return_exceptions=True)
        assert isinstance(opened, tuple), "it must not end because the vault of one is away"
        identifier, untold = opened
        note = IncidentNoted(identifier, frozenset())
        reported = await incidents.add(place, identifier, note, WHO)
    assert list(untold) == [str(first)]
    assert reported == incidents.Reported((str(second),), untold)
    assert await events_of(installation, first) == []
    assert await events_of(installation, second) == [
        IncidentEvent.GOV_INCIDENT_OPENED,
        IncidentEvent.GOV_INCIDENT_NOTED,
    ]
    _, whose = await incidents.operators_incidents(place)
    assert whose[identifier] == {str(first), str(second)}, "the operator's log must have all of them"
    telling = IncidentTold(identifier, Clock.CONCERNED, now(), "telefon")
    assert (await incidents.add(place, identifier, telling, WHO)).told == (str(first), str(second))


async def test_a_suspended_organisation_has_it_in_its_log_and_is_named(
    installation: Installation, place: Administration
) -> None:
    """Its people cannot read the log before it is active again, so they are told by other means."""
    organisation = await installation.organisation()
    await suspended(installation, organisation, exported=False, at=datetime.now(UTC))
    _, untold = await incidents.open_for(place, opening(), [organisation], WHO)
    assert "cannot read it while it is suspended" in untold.get(str(organisation), "")
