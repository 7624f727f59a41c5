"""Planned outages: Swedish working days, announced in time or late, withdrawn before or during the outage."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from samdrift.console.events import ConsoleEvent
from samdrift.console.outages import (
    PlannedOutage,
    announce_outage,
    planned_outages,
    withdraw_outage,
    working_days,
)
from samdrift.contracts.principals import NOT_PROVEN, Role
from samdrift.vault.errors import VaultUnavailable
from samdrift.vault.gate import Gate
from tests.unit.console.scene import Scene, config_of
from tests.vaults import Installation

ROLES = (Role.ACCESS_POINT,)


def day(text: str, hour: int = 12) -> datetime:
    return datetime.fromisoformat(text).replace(hour=hour, tzinfo=UTC)


@pytest.mark.parametrize(
    ("announced", "starts", "days"),
    [
        ("2026-11-02", "2026-11-02", 0),
        ("2026-11-02", "2026-11-03", 0),
        ("2026-11-02", "2026-11-09", 4),  # Monday to Monday, without the weekend.
        ("2026-11-02", "2026-11-10", 5),
        ("2026-12-21", "2026-12-30", 4),  # Without Christmas Eve, Christmas Day and the weekend.
        ("2026-03-30", "2026-04-08", 4),  # Without Good Friday and Easter Monday.
        ("2026-11-10", "2026-11-02", 0),
    ],
)
def test_whole_working_days_between_are_counted(announced: str, starts: str, days: int) -> None:
    assert working_days(day(announced), day(starts)) == days


def test_days_are_those_of_sweden() -> None:
    """23:30 in UTC is the next day in Sweden."""
    late = datetime(2026, 11, 2, 23, 30, tzinfo=UTC)
    assert working_days(late, day("2026-11-10")) == 4


def outage(announced: str, withdrawn: datetime | None = None) -> PlannedOutage:
    starts = day("2026-11-10")
    return PlannedOutage("1", day(announced), starts, starts + timedelta(hours=2), "Byte", ["x"], withdrawn)


def test_what_is_announced_five_working_days_before_is_in_time() -> None:
    assert outage("2026-11-02").in_time
    assert not outage("2026-11-03").in_time


def test_a_withdrawn_outage_covers_nothing_that_came_after() -> None:
    whole = outage("2026-11-02").window
    assert whole == (day("2026-11-10"), day("2026-11-10", 14))
    assert outage("2026-11-02", day("2026-11-04")).window == (whole[0], whole[0])
    within = day("2026-11-10", 13)
    assert outage("2026-11-02", within).window == (whole[0], within)


async def test_each_organisation_has_the_announcement_in_its_log_and_no_other_has_it(
    installation: Installation, tmp_path: object
) -> None:
    one, other, third = [await installation.organisation(ROLES) for _ in range(3)]
    scene = Scene(installation, config_of(installation.settings.secrets.parent), "https://console.test")
    starts = datetime.now(UTC).replace(microsecond=0) + timedelta(days=20)
    ends = starts + timedelta(hours=1)
    opened = await scene.opened()
    identifier = await announce_outage(
        opened, "jl", NOT_PROVEN, starts, ends, "Byte av databas", [one, other]
    )
    found = {each.id: each for each in planned_outages(await scene.operators_log())}[identifier]
    assert (found.starts, found.ends, found.text) == (starts, ends, "Byte av databas")
    assert found.organisations == [str(one), str(other)]
    assert found.in_time
    await withdraw_outage(opened, "anna-ap", NOT_PROVEN, found)
    found = {each.id: each for each in planned_outages(await scene.operators_log())}[identifier]
    assert found.withdrawn is not None
    for organisation, expected in ((one, 2), (other, 2), (third, 0)):
        async with installation.open(organisation, Role.ACCESS_POINT) as vault:
            entries = [each for each in await vault.log(0, 1000) if each.event.startswith("org:outage:")]
        assert len(entries) == expected
        for entry in entries:
            assert entry.ids["outage"] == identifier
            assert str(one if organisation == other else other) not in str(entry.ids)
        assert [each.principal for each in entries] == ["operator:jl", "operator:anna-ap"][:expected]


async def test_an_organisation_that_cannot_be_reached_keeps_no_other_from_hearing_and_is_named(
    installation: Installation, tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    away, other = sorted([await installation.organisation(ROLES) for _ in range(2)], key=str)
    scene = Scene(installation, config_of(installation.settings.secrets.parent), "https://console.test")
    starts = datetime.now(UTC).replace(microsecond=0) + timedelta(days=20)
    opened = await scene.opened()
    record = Gate.record_for_organisation

    async def recorded(self: Gate, principal: Any, organisation: Any, *rest: Any, **named: Any) -> bool:
        if organisation == away:
            raise VaultUnavailable("the HSM does not respond")
        return await record(self, principal, organisation, *rest, **named)

    monkeypatch.setattr(Gate, "record_for_organisation", recorded)
    ends = starts + timedelta(hours=1)
    announcing = announce_outage(opened, "jl", NOT_PROVEN, starts, ends, "Byte", [away, other])
    (identifier,) = await asyncio.gather(announcing, return_exceptions=True)
    assert isinstance(identifier, str), "it must not end because the vault of one is away"
    found = {each.id: each for each in planned_outages(await scene.operators_log())}[identifier]
    assert (found.organisations, found.untold) == ([str(away), str(other)], {str(away)})
    await asyncio.gather(withdraw_outage(opened, "jl", NOT_PROVEN, found), return_exceptions=True)
    async with installation.open(other, Role.ACCESS_POINT) as vault:
        heard = [each.event for each in await vault.log(0, 1000) if each.event.startswith("org:outage:")]
    assert heard == [ConsoleEvent.OUTAGE_ANNOUNCED, ConsoleEvent.OUTAGE_WITHDRAWN]


async def test_an_outage_is_withdrawn_also_when_every_organisation_has_left(
    installation: Installation, tmp_path: object
) -> None:
    one = await installation.organisation(ROLES)
    scene = Scene(installation, config_of(installation.settings.secrets.parent), "https://console.test")
    opened, starts = await scene.opened(), datetime.now(UTC) + timedelta(days=20)
    ends = starts + timedelta(hours=1)
    identifier = await announce_outage(opened, "jl", NOT_PROVEN, starts, ends, "Byte", [one])
    found = {each.id: each for each in planned_outages(await scene.operators_log())}[identifier]
    found.organisations = ["0203:gone.se"]
    await withdraw_outage(opened, "jl", NOT_PROVEN, found)
    found = {each.id: each for each in planned_outages(await scene.operators_log())}[identifier]
    assert found.withdrawn is not None
