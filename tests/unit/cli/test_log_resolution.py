"""`samdrift log resolve` where the organisation has officers: its signed record says who they are."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from samdrift.administration import officers
from samdrift.administration.events import AdminEvent
from samdrift.cli.persons import login
from samdrift.config.errors import Unusable
from samdrift.contracts.principals import Role
from samdrift.rights.enrolment import WAITING_TIME
from samdrift.vault.events import VaultEvent
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.programs import requires
from tests.separation.vaultlogin import superuser, vault_login
from tests.unit.audit.signing import ONE
from tests.unit.cli import test_gov_signing, test_org_commands
from tests.unit.cli.test_gov_signing import Desk, in_another_second, opened
from tests.unit.cli.test_log_commands import log
from tests.vaults import NOW, Installation

pytestmark = requires("ssh-keygen", "openssh-client")
config, two = test_org_commands.config, test_gov_signing.two
ROLE = Role.MESSAGE_CLIENT


def signature(key: Path, file: Path, namespace: str = officers.NAMESPACE) -> Path:
    signed = subprocess.run(
        ["ssh-keygen", "-q", "-Y", "sign", "-n", namespace, "-f", key], stdin=file.open(), capture_output=True
    )
    made = key.with_name(f"{key.name}-{namespace}-{file.name}.sig")
    made.write_bytes(signed.stdout)
    return made


async def refused_one(installation: Installation, config: Path, two: list[str], folder: Path) -> Desk:
    """Return an organisation with the officers Kim and Alex, one of whose logs a witness refused."""
    desk = await opened(installation, config, two, folder)
    async with installation.open(desk.organisation, ROLE) as vault:
        state = await vault.tree.sign(NOW)
        assert await vault.tree.refuse(state, ONE.key, "ahead", 9, NOW)
    return desk


def deciding(organisation: ParticipantIdentifier) -> tuple[str, ...]:
    decision = ("--decision", "backup of 3 May restored")
    return ("resolve", organisation.value, "--role", ROLE.value, *decision)


async def test_two_of_the_organisations_own_people_decide_about_a_refusal(
    installation: Installation, config: Path, two: list[str], tmp_path: Path
) -> None:
    """They use their own keys; neither the operator, nor its custodians, nor a single officer can do it."""
    desk = await refused_one(installation, config, two, tmp_path)
    decide = deciding(desk.organisation)
    document = tmp_path / "decision"
    assert officers.NAMESPACE in (await log(config, *decide, "--to-sign", document))[1]
    said = json.loads(document.read_bytes())
    assert (said["organisation"], said["seen"]) == (desk.organisation.value, 9)
    desk.key("eve")
    one, other, stranger = [signature(tmp_path / name, document) for name in ("kim", "alex", "eve")]
    with pytest.raises(Unusable, match="two officers sign with OpenSSH keys, but fewer have one enrolled"):
        await log(config, *decide, "--signed", one, "--signed", other)
    in_another_second(2 * WAITING_TIME.total_seconds())
    elsewhere = signature(tmp_path / "alex", document, "file")
    another = tmp_path / "another"
    another.write_bytes(document.read_bytes().replace(b"3 May", b"4 May"))
    for given, why in (
        (two, "use --to-sign"),
        (("--signed", one), "two different officers"),
        (("--signed", one, "--signed", one), "two different officers"),
        (("--signed", one, "--signed", stranger), "not an officer's valid signature"),
        (("--signed", one, "--signed", elsewhere), "not an officer's valid signature"),
        (("--signed", one, "--signed", signature(tmp_path / "alex", another)), "not an officer's valid"),
    ):
        with pytest.raises(Unusable, match=why):
            await log(config, *decide, *given)
    with pytest.raises(Unusable, match="not an officer's valid signature"):
        await log(config, *decide[:-1], "another decision", "--signed", one, "--signed", other)
    status, printed = await log(config, *decide, "--signed", one, "--signed", other)
    async with installation.open(desk.organisation, ROLE) as vault:
        (entry,) = [each for each in await vault.log() if each.event == VaultEvent.LOG_WITNESS_RESOLVED]
        runs = [each.ids for each in await vault.log() if each.event == AdminEvent.ORGANISATION_COMMAND]
    assert (status, entry.ids["origin"] in printed) == (0, True)
    assert (entry.ids["first"], entry.ids["second"]) == ("person:kim", "person:alex")
    told = {(each["by"], each["command"], each["proof"]) for each in runs}
    assert told == {(login(), "log resolve", "none")}, "the log must name the account that ran the command"
    for name, text in (("kim", entry.ids["signed"]), ("alex", entry.ids["countersigned"])):
        assert verified_by_ssh(desk, name, entry.ids["document"], text)


async def test_nobody_decides_about_a_log_while_the_record_of_officers_is_behind(
    installation: Installation, config: Path, two: list[str], tmp_path: Path
) -> None:
    """Attack: delete all statements, so that there are no officers, and let custodians decide."""
    desk = await refused_one(installation, config, two, tmp_path)
    database = await superuser(installation)
    for role in (Role.GOVERNANCE, ROLE):
        schema = (await vault_login(installation, desk.organisation, role)).schema
        database.rows(f"DELETE FROM {schema}.signed_statements")
    with pytest.raises(Unusable, match="a record of the organisation is not the one that was stored"):
        await log(config, *deciding(desk.organisation), *two)


async def test_officers_decide_only_where_there_are_any(installation: Installation, config: Path) -> None:
    organisation = await installation.organisation([ROLE])
    async with installation.open(organisation, ROLE) as vault:
        state = await vault.tree.sign(NOW)
        assert await vault.tree.refuse(state, ONE.key, "ahead", 9, NOW)
    with pytest.raises(Unusable, match="has no officers with keys: custodians decide"):
        await log(config, *deciding(organisation), "--to-sign", config.with_name("decision"))


def verified_by_ssh(desk: Desk, name: str, text: str, line: str) -> bool:
    """Return whether ssh-keygen verifies a signature from the log as a person's over the text in the log."""
    allowed = desk.folder / "allowed"
    allowed.write_text(f"{name} {desk.key(name).read_text()}")
    wrapped = [line[place : place + 70] for place in range(0, len(line), 70)]
    armoured = ["-----BEGIN SSH SIGNATURE-----", *wrapped, "-----END SSH SIGNATURE-----", ""]
    (desk.folder / "signature").write_text("\n".join(armoured))
    command = ["ssh-keygen", "-Y", "verify", "-f", allowed, "-I", name, "-n", officers.NAMESPACE]
    ended = subprocess.run([*command, "-s", desk.folder / "signature"], input=text.encode(), check=False)
    return ended.returncode == 0
