"""Commands about an organisation are recorded where its people look, for any set of roles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import pytest

from samdrift.administration.administration import Administration, record_command
from samdrift.administration.events import AdminEvent
from samdrift.audit.entries import LogEntry
from samdrift.contracts.principals import Role
from samdrift.evidence.trace import Asked
from tests.vaults import ELSEWHERE, Installation

GOV, MT = Role.GOVERNANCE, Role.MESSAGE_SERVICE
ROLES = (MT, GOV)
ASKED = Asked("anna", "INC-12")


@pytest.fixture
def place(installation: Installation) -> Administration:
    return Administration(cast(Any, None), cast(Any, None), installation.provisioner, installation.gate)


def commands(entries: Sequence[LogEntry]) -> list[tuple[str, str]]:
    found = [each for each in entries if each.event == AdminEvent.ORGANISATION_COMMAND]
    return [(each.ids["command"], each.ids["reason"]) for each in found]


async def test_a_command_is_in_the_log_of_each_of_its_roles_that_the_organisation_has(
    installation: Installation, place: Administration
) -> None:
    organisation = await installation.organisation(ROLES)
    await record_command(place, "gov board", ASKED, organisation, (GOV,))
    await record_command(place, "org show", ASKED, organisation)
    for role, seen in ((MT, ["org show"]), (GOV, ["gov board", "org show"])):
        async with installation.open(organisation, role) as vault:
            assert commands(await vault.log()) == [(each, "INC-12") for each in seen]


async def test_a_command_about_roles_that_an_organisation_does_not_have_is_in_its_log_all_the_same(
    installation: Installation, place: Administration
) -> None:
    organisation = await installation.organisation([MT])
    await record_command(place, "gov board", ASKED, organisation, (GOV,))
    async with installation.open(organisation, MT) as vault:
        assert commands(await vault.log()) == [("gov board", "INC-12")]


async def test_a_command_about_an_organisation_that_is_not_here_is_in_the_operators_log(
    installation: Installation, place: Administration
) -> None:
    await record_command(place, "gov board", ASKED, ELSEWHERE, (GOV,))
    last = (await installation.gate.read_operator_log(limit=100_000))[-1]
    assert (last.event, last.ids["command"]) == (AdminEvent.ORGANISATION_COMMAND, "gov board")
    assert (last.ids["organisation"], last.ids["organisation_log"]) == (ELSEWHERE.value, "not told")
