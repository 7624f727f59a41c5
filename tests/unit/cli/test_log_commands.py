"""`samdrift log status`, `checkpoint` and `resolve`, beside an installation that runs."""

from __future__ import annotations

import asyncio
import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from typer.testing import CliRunner

from samdrift.attestation.signatures import signer
from samdrift.audit.events import AuditEvent
from samdrift.cli.log import app
from samdrift.config.errors import Unusable
from samdrift.contracts.principals import Role
from samdrift.keystore.custody import Custodians, CustodyError
from samdrift.vault.openkeys import open_keys
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.secretfiles import secret_file
from tests.unit.administration.closings import PERSONS, certify_operator
from tests.unit.audit.signing import ONE
from tests.unit.cli.test_org_commands import config  # noqa: F401
from tests.vaults import NOW, Installation

AP = Role.ACCESS_POINT


async def log(config: Path, *arguments: str | Path) -> tuple[int, str]:  # noqa: F811
    """Run the command; returns its status and what it printed."""

    def run() -> tuple[int, str]:
        ended = CliRunner().invoke(
            app, [*map(str, arguments), "--config", str(config)], standalone_mode=False
        )
        if ended.exception is not None:
            raise ended.exception
        return int(ended.return_value or 0), ended.stdout

    return await asyncio.to_thread(run)


async def document(config: Path, *arguments: str) -> tuple[int, list[dict[str, Any]]]:  # noqa: F811
    status, printed = await log(config, *arguments, "--json")
    return status, json.loads(printed)["logs"]


async def test_a_log_is_signed_on_demand_and_its_key_stated(
    installation: Installation,
    config: Path,  # noqa: F811
    organisation: ParticipantIdentifier,
) -> None:
    certify_operator(open_keys(installation.settings))
    status, rows = await document(config, "status", organisation.value)
    assert (status, {row["signed"] for row in rows}) == (1, {None})
    assert all("no checkpoint was made" in row["faults"][0] for row in rows)
    status, rows = await document(config, "checkpoint", organisation.value)
    assert (status, {row["role"] for row in rows}) == (0, {role.value for role in Role})
    alone = await installation.organisation([AP])
    status, (row,) = await document(config, "checkpoint", alone.value)
    assert (status, row["stated"], row["size"]) == (0, True, row["signed"])
    async with installation.open(alone, AP) as vault:
        (kept,) = await vault.tree.keys()
        (entry,) = [one for one in await vault.log() if one.event == AuditEvent.LOG_KEY_STATED]
    assert kept.statement is not None
    stated = json.loads(kept.statement)
    signature = stated.pop("signature")
    assert isinstance(signer(stated, signature), x509.Certificate)
    assert (stated["organisation"], stated["key"], stated["by"]) == (alone.value, row["key"], "operator")
    assert (entry.ids["by"], entry.ids["key"]) == ("operator", row["key"])
    status, printed = await log(config, "status", alone.value)
    assert status == 0
    assert f"{alone.value} ap: {row['origin']}, 4 entries, 3 signed" in printed, "one is about the look at it"
    assert "in order" in printed


async def test_two_custodians_decide_about_a_refusal(
    installation: Installation,
    config: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    organisation = await installation.organisation([AP])
    files = []
    for each in (PERSONS.first, PERSONS.second):
        assert each is not None
        with contextlib.suppress(CustodyError):
            Custodians(Path(installation.settings.secrets)).add(each.name, each.passphrase)
        files.append(secret_file(tmp_path / each.name, each.passphrase))
    decide = ("resolve", organisation.value, "--role", "ap", "--decision", "backup of 3 May restored")
    by = ("--by", "anna", "--by-passphrase-file", files[0])
    both = (*by, "--with", "bo", "--with-passphrase-file", files[1])
    with pytest.raises(Unusable, match="no witness has refused"):
        await log(config, *decide, *both)
    async with installation.open(organisation, AP) as vault:
        state = await vault.tree.sign(NOW)
        assert await vault.tree.refuse(state, ONE.key, "ahead", 9, NOW)
    status, (row,) = await document(config, "checkpoint", organisation.value)
    assert (status, row["refused_by"]) == (1, ONE.key.name)
    assert "log resolve" in row["faults"][0]
    with pytest.raises(Unusable, match="not done yet"):
        await log(config, *decide, *by)
    assert (await document(config, "status", organisation.value))[1][0]["origin"] == state.origin
    status, printed = await log(config, *decide, *both)
    status, (row,) = await document(config, "checkpoint", organisation.value)
    assert row["origin"] in printed
    assert (row["origin"] != state.origin, row["refused_by"], row["faults"]) == (True, None, [])
    async with installation.open(organisation, AP) as vault:
        (entry,) = [one for one in await vault.log() if one.event == AuditEvent.LOG_WITNESS_RESOLVED]
    assert (entry.ids["first"], entry.ids["second"]) == ("anna", "bo")


async def test_a_log_that_is_not_here_is_named(installation: Installation, config: Path) -> None:  # noqa: F811
    for command in (("status", "0203:nowhere.se"), ("checkpoint", "0203:nowhere.se")):
        with pytest.raises(Unusable, match="no such log"):
            await log(config, *command)
