"""`samdrift trace` and evidence of an organisation whose logs cannot all be read, or that is not here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest

from samdrift.contracts.principals import Role
from samdrift.evidence.trace import Asked, trace
from samdrift.installation.evidence import VaultsEvidence
from samdrift.messageservice.events import MTEvent
from samdrift.vault.errors import VaultSuspended
from samdrift.vault.registry import RegistrationState
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.unit.cli.commandline import Ended, in_process
from tests.unit.cli.test_org_commands import config_of
from tests.vaults import Installation, until

AP, MT = Role.ACCESS_POINT, Role.MESSAGE_SERVICE
WHY = ("--by", "anna", "--reason", "test")


@pytest.fixture
async def config(installation: Installation, tmp_path: Path) -> AsyncIterator[Path]:
    async with installation.forgetting():
        yield config_of(installation, tmp_path)


async def scheduled(installation: Installation, organisation: ParticipantIdentifier) -> str:
    """Have a message in the log of the message service, and return its id."""
    message = str(uuid4())
    async with installation.open(organisation, MT) as vault:
        vault.record(MTEvent.MT_MESSAGE_SCHEDULED, message=message)
    return message


async def set_state(
    installation: Installation, organisation: ParticipantIdentifier, role: Role, state: RegistrationState
) -> None:
    await installation.provisioner.set_state(organisation, role, state)
    await until(lambda: not installation.gate.registry.serves(organisation, role))


async def run(*words: str | Path) -> Ended:
    return await asyncio.to_thread(in_process, *words, *WHY)


@pytest.mark.parametrize("why", [False, True], ids=["steps", "why"])
@pytest.mark.parametrize("resting", [(MT,), (AP, MT)], ids=["one role", "all roles"])
async def test_a_suspended_organisation_is_not_one_whose_logs_lack_the_message(
    installation: Installation, config: Path, resting: tuple[Role, ...], *, why: bool
) -> None:
    organisation = await installation.organisation([AP, MT])
    message = await scheduled(installation, organisation)
    command = ("trace", organisation.value, message, "--config", config, *(["--why"] if why else []))
    assert MTEvent.MT_MESSAGE_SCHEDULED in (await run(*command[:5], "--raw")).output
    for role in resting:
        await set_state(installation, organisation, role, RegistrationState.SUSPENDED)
    ended = await run(*command)
    assert (ended.status, ended.output) == (2, "")
    roles = ", ".join(each.value for each in resting)
    assert f"{organisation} is suspended here in role {roles}, so that its log" in ended.complaints
    assert f"first samdrift org resume {organisation}" in " ".join(ended.complaints.split())


async def test_evidence_of_a_suspended_organisation_is_refused_with_what_to_do(
    installation: Installation, config: Path, tmp_path: Path
) -> None:
    organisation = await installation.organisation([AP, MT])
    message = await scheduled(installation, organisation)
    await set_state(installation, organisation, AP, RegistrationState.SUSPENDED)
    out = tmp_path / "evidence.zip"
    export = ("evidence", "export", organisation.value, message, "--out", out, "--config", config)
    ended = await run(*export)
    assert (ended.status, out.exists()) == (2, False)
    assert f"{organisation} is suspended here in role ap, so that its log" in ended.complaints


async def test_one_that_is_being_closed_is_not_to_be_resumed(
    installation: Installation, config: Path
) -> None:
    organisation = await installation.organisation([MT])
    message = await scheduled(installation, organisation)
    await set_state(installation, organisation, MT, RegistrationState.CLOSING)
    ended = await run("trace", organisation.value, message, "--config", config)
    assert ended.status == 2
    assert f"{organisation} is being closed" in ended.complaints


async def test_an_organisation_without_vaults_here_is_refused(
    installation: Installation, config: Path
) -> None:
    ended = await run("trace", "0203:nowhere.se", str(uuid4()), "--config", config)
    assert (ended.status, ended.output) == (2, "")
    assert "0203:nowhere.se has no vault here" in ended.complaints


async def test_no_log_is_left_out_of_a_trace_while_its_role_is_suspended(
    installation: Installation,
) -> None:
    organisation = await installation.organisation([AP, MT])
    message = await scheduled(installation, organisation)
    await set_state(installation, organisation, AP, RegistrationState.SUSPENDED)
    with pytest.raises(VaultSuspended):
        await trace(installation.gate, organisation, message, Asked("anna", "test"))


async def test_no_log_is_left_out_of_evidence_for_a_client_while_its_role_is_suspended(
    installation: Installation,
) -> None:
    organisation = await installation.organisation([AP, MT])
    message = await scheduled(installation, organisation)
    await set_state(installation, organisation, AP, RegistrationState.SUSPENDED)
    package = VaultsEvidence(installation.gate, (AP, MT)).package(organisation, message, "system")
    (ended,) = await asyncio.gather(package, return_exceptions=True)
    assert isinstance(ended, VaultSuspended), "interface D must ask the client to retry"
