"""`samdrift backup`: from an empty folder to a restored organisation, command by command."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyrage
import pytest

from samdrift.contracts.principals import Role
from samdrift.operations import backup as backup_module
from samdrift.operations.backup import BackupEvent
from samdrift.vault.errors import VaultUnavailable
from samdrift.vault.gate import Gate
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.movable import LARGE
from tests.secretfiles import secret_file
from tests.unit.cli.commandline import Ended, in_process
from tests.unit.cli.test_org_commands import config_of
from tests.vaults import Installation, installed, server_folder, settings_in, submitted, until

AP = Role.ACCESS_POINT
WHY = ("--by", "anna", "--reason", "test")


@dataclass
class Ground:
    """A configuration file, an organisation, a folder for backups and an age key."""

    config: Path
    organisation: ParticipantIdentifier
    folder: Path
    identity: Path
    recipient: str

    async def run(self, *arguments: str | Path) -> Ended:
        """Run a command while the installation runs in this loop."""
        return await asyncio.to_thread(in_process, "backup", *arguments, "--config", self.config)

    async def created(self, *arguments: str) -> Any:
        made = await self.run("create", self.folder, "--to", self.recipient, *WHY, *arguments, "--json")
        assert made.status == 0, made.complaints
        return made.document


@pytest.fixture
async def ground(installation: Installation, tmp_path: Path) -> Ground:
    organisation = await installation.organisation([AP])
    async with installation.open(organisation, AP) as vault:
        await submitted(vault, sender=organisation)
    key = pyrage.x25519.Identity.generate()
    folder = tmp_path / "backups"
    folder.mkdir()
    identity = secret_file(tmp_path / "identity", str(key))
    return Ground(config_of(installation, tmp_path), organisation, folder, identity, str(key.to_public()))


async def test_from_a_folder_to_an_organisation_that_is_put_back(
    installation: Installation, ground: Ground
) -> None:
    own = ground.organisation.value
    made = await ground.created()
    backup = Path(made["backup"])
    assert own in {each["organisation"] for each in made["files"]}
    listed = await ground.run("list", ground.folder, "--json")
    assert [each["backup"] for each in listed.document["backups"]] == [str(backup)]
    verified = await ground.run("verify", backup, "--identity", ground.identity)
    assert verified.status == 0
    assert f"{own}: " in verified.output
    assert verified.output.endswith("intact\n")
    drilled = await ground.run(
        "drill", backup, "--identity", ground.identity, "--organisation", own, *WHY, "--json"
    )
    assert drilled.document["passed"]
    async with installation.open(ground.organisation, AP) as vault:
        (waited,) = await vault.waiting(10)
    restored = await ground.run("restore", backup, "--identity", ground.identity, "--organisation", own, *WHY)
    assert restored.status == 0, restored.complaints
    assert f"is not sent again: transfer {waited.envelope_id}" in restored.output
    assert "it is suspended" in restored.output
    registry = installation.gate.registry
    await until(lambda: not registry.serves(ground.organisation, AP))
    resumed = await asyncio.to_thread(
        in_process, "org", "resume", own, "--by", "anna", "--why", "looked at", "--config", ground.config
    )
    assert resumed.status == 0, resumed.complaints
    await until(lambda: registry.serves(ground.organisation, AP))
    async with installation.open(ground.organisation, AP) as vault:
        assert await vault.waiting(10) == ()


async def test_an_organisation_whose_log_could_not_be_written_is_named_and_the_backup_is_kept(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    was = Gate.record_for_organisation

    async def record(self: Gate, principal: Any, organisation: Any, event: Any, *rest: Any) -> bool:
        if event == BackupEvent.ORGANISATION_BACKED_UP:
            raise VaultUnavailable
        return await was(self, principal, organisation, event, *rest)

    monkeypatch.setattr(Gate, "record_for_organisation", record)
    own = ground.organisation.value
    create = "create", ground.folder, "--to", ground.recipient, "--organisation", own, *WHY, "--json"
    made = await ground.run(*create)
    assert made.status == 1
    assert f"{own} is in the backup, which only the operator's log records: " in made.complaints
    assert [each["organisation"] for each in made.document["not_told"]] == [own]
    assert (await ground.run("verify", made.document["backup"], "--identity", ground.identity)).status == 0


async def test_a_restore_names_how_many_bodies_are_lost_and_in_which_vault(
    installation: Installation, ground: Ground
) -> None:
    own = ground.organisation.value
    async with installation.open(ground.organisation, AP) as vault:
        await submitted(vault, LARGE, sender=ground.organisation)
    (stored,) = installation.objects(ground.organisation)
    stored.unlink()
    made = await ground.run("create", ground.folder, "--to", ground.recipient, *WHY, "--json")
    assert made.status == 1
    put_back = "restore", made.document["backup"], "--identity", ground.identity, "--organisation", own, *WHY
    restored = await ground.run(*put_back)
    assert restored.status == 1
    assert restored.complaints == f"samdrift: {own}: bodies of ap that are not in the object store: 1\n"
    assert f"{own} is as it was" in restored.output
    assert (await ground.run(*put_back, "--json")).document["restored"][0]["lost"] == {"ap": 1}


async def test_an_organisation_that_the_backup_lacks_is_named_when_everything_is_put_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is hosted again and has no database, so it comes from an earlier backup or not at all."""
    key = pyrage.x25519.Identity.generate()
    identity, folder = secret_file(tmp_path / "identity", str(key)), tmp_path / "backups"
    folder.mkdir()
    with server_folder() as place:
        settings = settings_in(place)
        async with installed(settings) as installation:
            there, lacking = [await installation.organisation([AP]) for _ in range(2)]
            ground = Ground(config_of(installation, tmp_path), there, folder, identity, str(key.to_public()))
            was = backup_module._write

            async def write(source: Any, *rest: Any) -> Any:
                if source.organisation == lacking.value:
                    raise VaultUnavailable
                return await was(source, *rest)

            monkeypatch.setattr(backup_module, "_write", write)
            create = "create", folder, "--to", ground.recipient, *WHY, "--json"
            made = (await ground.run(*create)).document
        for each in (settings.database, settings.objects):
            shutil.rmtree(each)
        async with installed(settings) as installation:
            ground.config = config_of(installation, tmp_path)
            restore = "restore", made["backup"], "--everything", "--identity", identity, *WHY, "--json"
            restored = await ground.run(*restore)
    assert restored.status == 1
    why = f"{lacking} was not put back: it is not in the backup, as {VaultUnavailable.text}"
    assert why in restored.complaints
    assert [each["organisation"] for each in restored.document["restored"]] == [there.value]
    assert [each["organisation"] for each in restored.document["failed"]] == [lacking.value]


async def test_what_cannot_be_used_is_told_in_one_line_and_with_status_2(
    ground: Ground, tmp_path: Path
) -> None:
    made = await ground.created("--organisation", ground.organisation.value)
    backup = Path(made["backup"])
    other = secret_file(tmp_path / "other", str(pyrage.x25519.Identity.generate()))
    named = "--identity", ground.identity
    cases: list[tuple[tuple[str | Path, ...], str]] = [
        (("verify", backup, "--identity", other), "encrypted for another key"),
        (("verify", ground.folder, *named), "is not a backup"),
        (("verify", tmp_path / "nowhere", *named), "is not a backup"),
        (("verify", backup, *named, "--signer", "0" * 64), "is not signed by this installation's key"),
        (("list", tmp_path / "nowhere"), "no such file or directory"),
        (("create", ground.folder, *WHY), "recipients are needed"),
        (("create", ground.folder, "--to", "age1nobody", *WHY), "a recipient is not an age recipient"),
        (("create", tmp_path / "nowhere", "--to", ground.recipient, *WHY), "no such file or directory"),
        (
            ("create", ground.folder, "--to", ground.recipient, "--organisation", "0203:nobody.se", *WHY),
            "has no vaults here",
        ),
        (("drill", backup, *named, "--organisation", "0203:nobody.se", *WHY), "is not in the backup"),
        (("restore", backup, *named, *WHY), "name one organisation"),
        (("restore", backup, *named, "--everything", *WHY), "there are already organisations here"),
    ]
    for arguments, text in cases:
        ended = await ground.run(*arguments)
        assert ended.status == 2, arguments
        assert text in ended.complaints, (arguments, ended.complaints)
        assert ended.complaints.count("\n") == 1


async def test_a_list_names_what_cannot_be_used_beside_what_can(ground: Ground) -> None:
    made = await ground.created("--organisation", ground.organisation.value)
    backup = Path(made["backup"])
    kept = backup.rename(ground.folder / "kept")
    again = Path((await ground.created("--organisation", ground.organisation.value))["backup"])
    (again / "manifest.json").write_bytes((again / "manifest.json").read_bytes() + b" ")
    listed = await ground.run("list", ground.folder)
    assert listed.status == 1
    assert str(kept) in listed.output
    assert str(again) in listed.complaints
    document = (await ground.run("list", ground.folder, "--json")).document
    assert {each["backup"]: each.get("fault") for each in document["backups"]} == {
        str(kept): None,
        str(again): "signature",
    }
