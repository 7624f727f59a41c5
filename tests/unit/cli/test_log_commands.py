"""`samdrift log status`, `checkpoint` and `resolve`, beside an installation that runs."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from typer.testing import CliRunner

from samdrift.administration import logs
from samdrift.administration.administration import Administration
from samdrift.attestation.signatures import canonical, signer
from samdrift.audit.entries import Happening
from samdrift.audit.events import AuditEvent
from samdrift.cli.log import app
from samdrift.config.errors import Unusable
from samdrift.contracts.principals import Role
from samdrift.evidence import logreading
from samdrift.evidence.logstatements import NAMESPACE
from samdrift.installation.logkeeping import OPERATORS
from samdrift.keystore.custody import Custodians, CustodyError
from samdrift.vault.logbook import append_statement
from samdrift.vault.openkeys import open_keys
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.programs import found, requires
from tests.secretfiles import secret_file
from tests.separation.test_every_operation import give_keys
from tests.separation.vaultlogin import vault_login
from tests.unit.administration.closings import PERSONS, certify_operator
from tests.unit.audit.signing import ONE
from tests.unit.cli.commandline import in_process
from tests.unit.cli.test_org_commands import config  # noqa: F401
from tests.vaults import CHEAP, NOW, Installation

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
    status, rows = await document(config, "status", organisation.value)
    assert (status, {row["signed"] for row in rows}) == (1, {None})
    assert all("no checkpoint was made" in row["faults"][0] for row in rows)
    status, rows = await document(config, "checkpoint", organisation.value)
    assert (status, {row["role"] for row in rows}) == (0, {role.value for role in Role})
    await installation.gate.operator_tree().sign(NOW)
    await operators_key_is_stated(installation)
    async with installation.open(organisation, Role.MESSAGE_SERVICE) as vault:
        assert not (await vault.tree.state()).stated, "its organisation has no key here yet"


async def operators_key_is_stated(installation: Installation) -> None:
    """The operator's certificate states the key of the operator's own log."""
    keys = open_keys(installation.settings)
    certify_operator(keys)
    place = cast(Administration, SimpleNamespace(gate=installation.gate, keys=keys))
    assert await logs.state_key(place, OPERATORS, NOW)
    kept = (await installation.gate.operator_tree().keys())[-1]
    stated = json.loads(kept.statement or b"")
    signature = stated.pop("signature")
    assert signer(stated, signature) is not None
    assert (stated["by"], stated["organisation"], stated["key"]) == ("operator", "", kept.key)


@requires("ssh-keygen", "openssh-client")
async def test_a_custodian_states_the_key_of_an_organisation_that_has_its_keys_elsewhere(
    installation: Installation,
    config: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    (anna, secret), _ = custodians(installation, tmp_path)
    alone = await installation.organisation([AP])
    status, (row,) = await document(config, "checkpoint", alone.value)
    assert (status, row["stated"], row["size"] - row["signed"]) == (0, False, 0)
    status, printed = await log(
        config, "checkpoint", alone.value, "--by", anna, "--by-passphrase-file", secret
    )
    assert (status, "in order" in printed, "not stated" in printed) == (0, True, False)
    async with installation.open(alone, AP) as vault:
        (kept,) = await vault.tree.keys()
        (entry,) = [one for one in await vault.log() if one.event == AuditEvent.LOG_KEY_STATED]
    assert kept.statement is not None
    stated = json.loads(kept.statement)
    signature = stated.pop("sshsig")
    assert (stated["organisation"], stated["key"]) == (alone.value, row["key"])
    assert stated["by"] == entry.ids["by"] == f"custodian {anna}"
    assert entry.ids["statement"] == hashlib.sha256(kept.statement).hexdigest()
    assert verified_by_openssh(tmp_path, stated["public"], canonical(stated), signature)
    assert not verified_by_openssh(tmp_path, stated["public"], canonical(stated | {"key": "x"}), signature)


async def test_the_organisations_certificate_states_the_key_of_each_of_its_logs(
    installation: Installation,
    config: Path,  # noqa: F811
    organisation: ParticipantIdentifier,
) -> None:
    vault_id = (await vault_login(installation, organisation, Role.MESSAGE_SERVICE)).vault
    give_keys(installation, vault_id, "the organisation")
    status, rows = await document(config, "checkpoint", organisation.value)
    assert (status, {row["stated"] for row in rows}) == (0, {True})
    async with installation.open(organisation, AP) as vault:
        (kept,) = await vault.tree.keys()
    assert kept.statement is not None
    stated = json.loads(kept.statement)
    signature = stated.pop("signature")
    certificate = signer(stated, signature)
    assert certificate is not None
    assert "the organisation" in certificate.subject.rfc4514_string()
    assert (stated["role"], stated["key"], stated["by"]) == ("ap", kept.key, "organisation")


def verified_by_openssh(folder: Path, public: str, message: bytes, signature: str) -> bool:
    """Return what `ssh-keygen` says, which knows nothing of us."""
    (folder / "signers").write_text(f"anna {public}\n")
    (folder / "signature").write_text(signature)
    command = [found("ssh-keygen") or "ssh-keygen", "-Y", "verify", "-f", folder / "signers", "-I", "anna"]
    command += ["-n", NAMESPACE, "-s", folder / "signature"]
    return subprocess.run(command, input=message, capture_output=True, check=False).returncode == 0


def custodians(installation: Installation, folder: Path) -> list[tuple[str, Path]]:
    """Two custodians, each with a file with the passphrase."""
    named = []
    for each in (PERSONS.first, PERSONS.second):
        assert each is not None
        with contextlib.suppress(CustodyError):
            Custodians(Path(installation.settings.secrets), cost=CHEAP).add(each.name, each.passphrase)
        named.append((each.name, secret_file(folder / each.name, each.passphrase)))
    return named


async def test_two_custodians_decide_about_a_refusal(
    installation: Installation,
    config: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    organisation = await installation.organisation([AP])
    files = [file for _, file in custodians(installation, tmp_path)]
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


async def test_two_custodians_dispose_of_a_class_and_the_exported_log_holds(
    installation: Installation,
    config: Path,  # noqa: F811
    organisation: ParticipantIdentifier,
    tmp_path: Path,
) -> None:
    long_ago = datetime(2021, 5, 1, tzinfo=UTC)
    reading = Happening(long_ago, AuditEvent.MT_MESSAGE_READ, "system:journal", "serve", {"message": "7"})
    statement, values = append_statement([reading] * 3)
    async with installation.open(organisation, AP) as vault:
        await vault._work.query(statement, *values)
    where = (organisation.value, "--role", "ap")
    status, printed = await log(config, "retention", *where, "--json")
    rows = {row["class"]: row for row in json.loads(printed)["classes"]}
    assert (status, rows["reading"]["older"], rows["reading"]["years"]) == (0, 3, 5)
    (kim, kims), (alex, alexs) = custodians(installation, tmp_path)
    decide = ("dispose", *where, "--class", "reading", "--decision", "plan 5", "--before", "2022-01-01")
    by = (
        "--by",
        kim,
        "--by-passphrase-file",
        str(kims),
        "--with",
        alex,
        "--with-passphrase-file",
        str(alexs),
    )
    with pytest.raises(Unusable):
        await log(config, *decide[:5], "log", *decide[6:], *by)
    assert (await log(config, *decide, *by))[1].startswith("3 entries of class reading")
    out, rules = tmp_path / "log", tmp_path / "policy"
    assert (await log(config, "export", *where, "--out", out, "--by", "kim"))[0] == 0
    async with installation.open(organisation, AP) as vault:
        (key,) = [each.key for each in await vault.tree.keys()]
    rules.write_text(f"log {key}\nquorum none\n")
    ended = in_process("log", "verify", out, "--policy", rules, "--json")
    assert ended.status == 0, ended.document["first_wrong"]
    assert [(each["class"], each["entries"]) for each in ended.document["disposed"]] == [("reading", 3)]
    decided = list(logreading.search(out, "plan 5"))
    assert [(each.ids["by"], each.ids["with"]) for each in decided] == [(kim, alex)]
