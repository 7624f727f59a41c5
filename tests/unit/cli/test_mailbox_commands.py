"""`samdrift mailbox`: mailboxes, and the first roles, which two custodians appoint."""

from __future__ import annotations

import asyncio
import contextlib
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from samdrift.administration.events import AdminEvent
from samdrift.cli.mailbox import app
from samdrift.cli.persons import login
from samdrift.config.errors import Unusable
from samdrift.contracts.principals import Role
from samdrift.messageclient.permissions import Assignments
from samdrift.net.clock import system_clock
from samdrift.rights import Right
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.secretfiles import secret_file
from tests.unit.cli import test_org_commands
from tests.vaults import Installation

MK = Role.MESSAGE_CLIENT
ISSUER = "https://login.habo.test"
config = test_org_commands.config


def served(config: Path, organisation: ParticipantIdentifier) -> None:
    """Configure the organisation with a message client at which people sign in."""
    (config.parent / "secret").write_text("secret")
    config.write_text(
        config.read_text().replace("[malware]", '[message_client]\nlisten = "127.0.0.1:0"\n\n[malware]')
        + f"""
[[organisations]]
identifier = "{organisation}"
name = "Habo kommun"
roles = ["mk"]
message_client_host = "habo.test"
functional_addresses = ["sdk.soc"]

[organisations.sign_in]
issuer = "{ISSUER}"
client_id = "samdrift"
secret_file = "secret"
levels = ["loa3"]
"""
    )


async def mailbox(config: Path, *arguments: str) -> str:
    """Run the command while the installation runs in this loop; return its output."""
    arguments = (*arguments, "--reason", "dnr 7", "--config", str(config))
    ended = await asyncio.to_thread(CliRunner().invoke, app, [*arguments], standalone_mode=False)
    if ended.exception is not None:
        raise ended.exception
    return ended.stdout


async def test_an_organisation_gets_mailboxes_and_an_administrator(
    installation: Installation, config: Path, tmp_path: Path
) -> None:
    organisation = await installation.organisation([MK])
    served(config, organisation)
    whose = str(organisation)
    two = test_org_commands.staff(installation, tmp_path)
    with pytest.raises(Unusable, match="is not a functional address"):
        await mailbox(config, "add", whose, "sdk.elsewhere", "Skola")
    for name in ("Soc", "Socialtjänsten"):
        assert await mailbox(config, "add", whose, "sdk.soc", name) == f"sdk.soc  {name}\n"
    (one,) = json.loads(await mailbox(config, "list", whose, "--json"))["mailboxes"]
    assert (one["address"], one["name"]) == ("sdk.soc", "Socialtjänsten")
    assert await mailbox(config, "list", whose) == (
        "ADDRESS  NAME            STATE\nsdk.soc  Socialtjänsten  open\n"
    )
    async with installation.open(organisation, MK) as vault:
        entries = [
            one.ids for one in await vault.log(0, 1000) if one.event == AdminEvent.ORGANISATION_COMMAND
        ]
    assert [one["command"] for one in entries] == ["mailbox add"] * 2 + ["mailbox list"] * 2
    assert {(one["by"], one["reason"]) for one in entries} == {(login(), "dnr 7")}

    with pytest.raises(Unusable, match="no change is given"):
        await mailbox(config, "change", whose, "sdk.soc")
    with pytest.raises(Unusable, match="no mailbox with that address"):
        await mailbox(config, "change", whose, "sdk.elsewhere", "--end")
    settings = ("--second-person", "--undo-seconds", "30", "--ask-why", "--end", "--by", "anna")
    changed = await mailbox(config, "change", whose, "sdk.soc", *settings)
    assert changed == "sdk.soc  Socialtjänsten  second person, undo 30 s, asks why, ended\n"
    await mailbox(config, "add", whose, "sdk.soc", "Socialtjänst")
    (kept,) = json.loads(await mailbox(config, "list", whose, "--json"))["mailboxes"]
    assert (kept["name"], kept["second_person"], kept["undo_seconds"], kept["ended"]) == (
        "Socialtjänst",
        True,
        30,
        True,
    ), "renaming must not change the settings"
    await mailbox(config, "change", whose, "sdk.soc", "--use-again")
    assert json.loads(await mailbox(config, "figures", whose, "--json")) == {"figures": []}
    (disposals,) = json.loads(await mailbox(config, "disposals", whose, "--json"))["mailboxes"]
    assert (disposals["rule"], disposals["disposals"]) == (None, [])
    with pytest.raises(Unusable, match="has no message_service"):
        await mailbox(config, "check", whose)

    who = ("--subject", "kim", "--name", "Kim Karlsson")
    with pytest.raises(Unusable, match="the role must be one of"):
        await mailbox(config, "appoint", whose, "read", *who, *two)
    with pytest.raises(Unusable, match="asked, not done yet"):
        await mailbox(config, "appoint", whose, "administrator", *who, *two[:4])
    assert json.loads(await mailbox(config, "rights", whose, "--json")) == {"rights": []}
    await mailbox(config, "appoint", whose, "administrator", *who, *two)
    (right,) = json.loads(await mailbox(config, "rights", whose, "--json"))["rights"]
    assert (right["scope"], right["what"], right["decision"]) == ("organisation", "administrator", 1)
    assert "Kim" not in await mailbox(config, "rights", whose)
    assignments = Assignments(installation.gate.worker("test", MK), system_clock)
    kim = await assignments.of(organisation, ISSUER, "kim", {})
    assert kim.may(Right.ADMINISTRATOR)
    assert not kim.may(Right.READ, one["id"]), "the role of administrator must not give access to content"

    assert "1 roles ended" in await mailbox(config, "dismiss", whose, "--subject", "kim", *two)
    assert not (await assignments.of(organisation, ISSUER, "kim", {})).may(Right.ADMINISTRATOR)
    with pytest.raises(Unusable, match="no such person"):
        await mailbox(config, "dismiss", whose, "--subject", "lo", *two)


async def test_a_custodian_who_is_named_is_proven_by_the_passphrase_and_not_before(
    installation: Installation, config: Path, tmp_path: Path
) -> None:
    """The command's first entry is written before the passphrase, perhaps another person's, is checked."""
    organisation = await installation.organisation([MK])
    served(config, organisation)
    two = test_org_commands.staff(installation, tmp_path)
    who = ("--subject", "kim", "--name", "Kim Karlsson")
    wrong = [*two[:3], str(secret_file(tmp_path / "wrong", b"not the one of this person"))]
    for options, proven in ((wrong, set()), (two, {AdminEvent.CUSTODY_AGREED})):
        with contextlib.suppress(Unusable):
            await mailbox(config, "appoint", str(organisation), "administrator", *who, *options)
        async with installation.open(organisation, MK) as vault:
            entries = list(await vault.log(0, 1000))
        assert {each.event for each in entries if each.ids.get("proof") == "passphrase"} == proven
        assert AdminEvent.ORGANISATION_COMMAND in {each.event for each in entries}


async def test_an_organisation_without_a_message_client_is_named(
    installation: Installation, config: Path
) -> None:
    organisation = await installation.organisation([Role.GOVERNANCE])
    with pytest.raises(Unusable, match="has no message client here"):
        await mailbox(config, "list", str(organisation))
