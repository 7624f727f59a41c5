"""`samdrift org`: an organisation is added, looked at, suspended, resumed and closed, command by command."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from typer.testing import CliRunner

from samdrift.administration.administration import administering, note
from samdrift.administration.dualcontrol import Person
from samdrift.administration.events import AdminEvent
from samdrift.cli.org import app
from samdrift.cli.org.events import OrgEvent
from samdrift.config.errors import Unusable
from samdrift.config.reader import load
from samdrift.contracts.principals import Purpose, Role
from samdrift.installation.vaultsettings import vault_settings
from samdrift.keystore.backup import UNSIGNED, Secret, read_header, unwrap_backup, wrap_backup
from samdrift.keystore.custody import Custodian, Custodians
from samdrift.keystore.durablefiles import private_folder
from samdrift.vault.events import VaultEvent
from samdrift.vault.gate import Gate
from samdrift.vault.openkeys import open_keys
from samdrift.vault.portability.arrival import AccessPointArrival
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.secretfiles import secret_file
from tests.unit.administration.closings import DECISION, PERSONS, certify_operator
from tests.unit.config.test_reader import GOOD, write
from tests.unit.vault import test_sessionkeys as sessionkeys
from tests.vaults import CHEAP, NOW, WORKER, Installation, until

NEW = "0203:nykommun.se"
PART = """
[[organisations]]
identifier = "0203:nybolag.se"
name = "Nya bolaget"
roles = ["ap"]
part_of = "0203:nykommun.se"
"""


@pytest_asyncio.fixture
async def config(installation: Installation, tmp_path: Path) -> AsyncIterator[Path]:
    """Yield the installation's configuration for commands, without organisations of other tests."""
    async with installation.forgetting():
        yield config_of(installation, tmp_path)


def config_of(installation: Installation, tmp_path: Path) -> Path:
    """Write a configuration file for the installation that runs already."""
    settings = installation.settings
    secret_file(tmp_path / "passphrase", settings.passphrase)
    without = GOOD.partition("[[organisations]]")[0]
    places = {"database": settings.database, "objects": settings.objects, "secrets": settings.secrets}
    for name, was in (
        ("database", "postgresql://db.example/samdrift"),
        ("objects", "objects"),
        ("secrets", "secrets"),
    ):
        without = without.replace(f'{name} = "{was}"', f'{name} = "{places[name]}"')
    return write(tmp_path, without.replace("[vaults]", f'[vaults]\nseals = "{settings.seals}"'))


def org(config: Path, *arguments: str | Path) -> tuple[int, str]:
    """Run the command; return its status and output."""
    ended = CliRunner().invoke(app, [*map(str, arguments), "--config", str(config)], standalone_mode=False)
    if ended.exception is not None:
        raise ended.exception
    return int(ended.return_value or 0), ended.stdout


async def beside(config: Path, *arguments: str) -> tuple[int, str]:
    """Run the command in a thread while the installation runs in this loop."""
    return await asyncio.to_thread(org, config, *arguments)


def document(config: Path, *arguments: str) -> Any:
    return json.loads(org(config, *arguments, "--json")[1])


def refusal(config: Path, *arguments: str) -> str:
    with pytest.raises(Unusable) as caught:
        org(config, *arguments)
    return str(caught.value)


async def refused(config: Path, *arguments: str) -> str:
    """Run a command that is refused while the installation runs in this loop; return the reason."""
    return await asyncio.to_thread(refusal, config, *arguments)


def test_from_identifier_to_an_entry_that_can_be_appended(config: Path) -> None:
    status, printed = org(config, "add", NEW, "--name", "Ny kommun", "--offline")
    assert status == 1
    assert printed.startswith(f"{NEW}  NOT READY\n")
    again = document(config, "add", NEW, "--name", "Ny kommun", "--offline")
    assert again["roles"] == {"ap": "active", "mt": "active"}
    assert not again["ready"]
    states = {each["item"]: each["state"] for each in again["items"]}
    assert states["vault ap"] == states["vault mt"] == "done"
    assert states["configuration"] == states["key signing"] == "missing"
    assert states["SMP"] == states["address book"] == "not-checked"
    assert again["entry"] in printed
    assert printed.endswith("a running serve takes up the entry, and all else, by itself\n")
    config.write_text(config.read_text() + again["entry"] + PART)
    loaded = load(config)
    assert [one.name for one in loaded.organisations] == ["Ny kommun", "Nya bolaget"]
    shown = document(config, "show", NEW, "--offline")
    assert (shown["entry"], shown["items"][0]["state"]) == (None, "done")
    assert "the configuration says ap,mt" in refusal(config, "add", NEW, "--roles", "ap", "--offline")


def test_an_organisation_is_added_in_each_role_that_is_named_and_in_no_other(config: Path) -> None:
    """The organisation needs no entry in the configuration yet; the default is every role that runs here."""
    another = "0203:annankommun.se"
    added = document(config, "add", another, "--role", "ap,mk,gov", "--offline")
    assert added["roles"] == {"ap": "active", "mk": "active", "gov": "active"}
    assert 'roles = ["ap", "mk", "gov"]' in added["entry"]
    for key in ("message_client_host", "governance_host"):
        assert f'{key} = ""  # the host at which its people reach' in added["entry"]
    assert "separated by commas: ap, mt, mk, gov" in refusal(config, "add", another, "--roles", "ap,mb")


def test_the_list_shows_under_organisations_below_theirs(config: Path) -> None:
    entry = f'[[organisations]]\nidentifier = "{NEW}"\nname = "Ny kommun"\nroles = ["ap"]\n'
    config.write_text(config.read_text() + PART + entry)
    org(config, "add", NEW, "--offline")
    rows = document(config, "list")["organisations"]
    first, second = (one for one in rows if "ny" in one["organisation"])
    assert (first["organisation"], second["part_of"]) == (NEW, NEW)
    assert first["roles"]["ap"] == "active"
    assert "vault ap" in second["missing"]
    status, printed = org(config, "list")
    assert status == 1
    (below,) = [line.split("  ") for line in printed.splitlines() if "nybolag" in line]
    cells = [cell.strip() for cell in below if cell]
    assert cells[:3] == ["part 0203:nybolag.se", "Nya bolaget", "no vault"]
    assert cells[3].startswith("vault ap")


async def test_who_has_not_arrived_wholly_is_not_resumed(installation: Installation, config: Path) -> None:
    """Half of the unfinished work would continue here, and at the former supplier too."""
    organisation = await installation.organisation()
    by = (organisation.value, "--by", "anna", "--why", "flytten")
    await beside(config, "suspend", *by)
    async with installation.gate.arrive(WORKER, organisation, AccessPointArrival) as vault:
        await vault.begin(bytes(32), now=NOW)
    assert "has not arrived wholly" in await refused(config, "resume", *by)
    async with installation.gate.arrive(WORKER, organisation, AccessPointArrival) as vault:
        await vault.finish(now=NOW, taken_over=False)
    assert (await beside(config, "resume", *by))[0] == 0


async def test_suspended_resumed_and_closed(installation: Installation, config: Path, tmp_path: Path) -> None:
    organisation = await installation.organisation()
    name, before = organisation.value, config.read_text()
    by = ("--by", "anna", "--why", "flytten")
    assert (await beside(config, "suspend", name, "--role", "mt", *by)) == (0, f"{name}  mt  suspended\n")
    assert (await beside(config, "suspend", name, *by))[1].splitlines() == [
        f"{name}  ap  suspended",
        f"{name}  gov  suspended",
        f"{name}  mk  suspended",
        f"{name}  mt  suspended already",
    ]
    assert (await beside(config, "resume", name, *by))[1].count("active\n") == 4
    assert "--why is one line" in await refused(config, "suspend", name, "--by", "anna", "--why", " ")
    assert "has no vault here" in await refused(config, "suspend", "0203:ingen.se", *by)
    await beside(config, "suspend", name, *by)
    registry = installation.gate.registry
    await until(lambda: not any(registry.serves(organisation, role) for role in Role))
    for role in Role:
        async with installation.open(organisation, role, Purpose.EXPORT) as vault:  # type: ignore[call-overload]
            vault.record(VaultEvent.ORGANISATION_EXPORTED)
    certify_operator(open_keys(installation.settings))
    persons = staff(installation, tmp_path)
    backup = tmp_path / "backup.keys"
    nowhere = tmp_path / "nowhere" / "file"
    for command in (("keys", "create", name, "log-signing", "--out"), ("keys", "backup", name, "--out")):
        assert "its folder is not there" in await refused(config, *command, str(nowhere), *persons)
    assert not open_keys(installation.settings).keys(registry.find(organisation, Role.MESSAGE_SERVICE).vault)
    await beside(config, "keys", "backup", name, "--out", str(backup), *persons)
    file = tmp_path / "certificate.json"
    close = ("close", name, "--decision", DECISION, *persons, "--certificate")
    assert "its folder is not there" in await refused(config, *close, str(nowhere))
    close = (*close, str(file))
    status, printed = await beside(config, *close)
    assert status == 0
    assert printed.startswith("DESTRUKTIONSINTYG\n")
    assert "have its certificates revoked" in printed
    assert "already exists" in await refused(config, *close)
    passphrases = persons[2:4] + persons[6:8]
    assert "its keys stay destroyed" in await refused(config, "keys", "restore", str(backup), *passphrases)
    ended = CliRunner().invoke(app, ["verify-closing", str(file), "--json"], standalone_mode=False)
    assert (ended.return_value, json.loads(ended.stdout)["chain"]) == (0, "not-checked")
    file.write_text(file.read_text().replace(DECISION, "dnr 1"))
    ended = CliRunner().invoke(app, ["verify-closing", str(file)], standalone_mode=False)
    assert ended.return_value == 1
    closed = (await asyncio.to_thread(document, config, "list"))["closed"]
    assert [one for one in closed if one["organisation"] == name]
    left = f'\n[[organisations]]\nidentifier = "{name}"\nname = "Borta"\nroles = ["ap"]\n'
    config.write_text(before + left)
    shown = " ".join((await beside(config, "list"))[1].split())
    assert f"{name} Borta closed here: remove its entry" in shown
    config.write_text(before)
    assert "neither in the configuration nor has it a vault" in await refused(config, "show", name)


async def test_the_lock_of_a_suspended_organisation_can_be_changed_and_that_is_logged(
    config: Path, installation: Installation, tmp_path: Path
) -> None:
    organisation = await installation.organisation()
    name = organisation.value
    officer = tmp_path / "officer"
    secret_file(officer, "what the officer knows")
    await beside(config, "suspend", name, "--by", "anna", "--why", "it moves")
    await beside(config, "lock", name, "--passphrase-file", str(officer))
    why = "--by", "anna", "--why", "while it is locked"
    await beside(config, "resume", name, *why)
    await beside(config, "suspend", name, *why)
    await beside(config, "lock", name, "--operator", "--present-passphrase-file", str(officer))
    await beside(config, "resume", name, *why)
    settings = vault_settings(load(config))
    gate = await Gate.start(settings, keys=open_keys(settings))
    try:
        for role in Role:
            async with gate.open(WORKER, organisation, role, Purpose.TRACE) as vault:
                changed = [one for one in await vault.log() if one.event == OrgEvent.VAULT_LOCK_CHANGED]
            assert [one.ids["by"] for one in changed] == ["officer", "operator"]
    finally:
        await gate.close()


async def test_the_operators_log_says_when_an_organisations_own_could_not_be_told(
    config: Path, installation: Installation, tmp_path: Path
) -> None:
    organisation = await installation.organisation()
    officer = tmp_path / "officer"
    secret_file(officer, "what the officer knows")
    await beside(config, "lock", organisation.value, "--passphrase-file", str(officer))
    loaded = load(config)
    async with administering(loaded) as place:
        before = (await place.gate.read_operator_log(0, 10000))[-1].sequence
        await note(place, OrgEvent.KEYS_REVOKED, "anna", organisation, {"key": "signing"})
        (entry,) = await place.gate.read_operator_log(before)
    assert entry.ids["organisation_log"] == "not told"


def staff(installation: Installation, folder: Path) -> list[str]:
    """Return two custodians, as the options that name them and the files with their passphrases."""
    options = []
    for person, option in ((PERSONS.first, "by"), (PERSONS.second, "with")):
        assert person is not None
        if person.name not in Custodians(installation.settings.secrets).names():
            Custodians(installation.settings.secrets, cost=CHEAP).add(person.name, person.passphrase)
        secret_file(folder / person.name, person.passphrase)
        options += [f"--{option}", person.name, f"--{option}-passphrase-file", str(folder / person.name)]
    return options


def _lose_the_seals(installation: Installation, organisation: ParticipantIdentifier) -> None:
    for role in Role:
        found = installation.gate.registry.find(organisation, role)
        if found is not None:
            for seal in installation.settings.seals.glob(f"{found.vault}.*"):
                seal.unlink()


async def test_only_a_backup_that_two_custodians_signed_is_restored(
    installation: Installation, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One person who makes up two passphrases can also wrap a file."""
    organisation = await installation.organisation()
    two = staff(installation, tmp_path)
    files = two[2:4] + two[6:8]
    signed = tmp_path / "signed.keys"
    await beside(config, "keys", "backup", organisation.value, "--out", str(signed), *two)
    document = json.loads(signed.read_text())
    forged, older = tmp_path / "forged.keys", tmp_path / "older.keys"
    words = dict.fromkeys(("anna", "bo"), b"made up by one person")
    opened = unwrap_backup(signed.read_bytes(), {one.name: one.passphrase for one in _both()})
    mallory = Ed25519PrivateKey.generate()
    header = read_header(signed.read_bytes())
    secrets = Secret("anna", words["anna"]), Secret("bo", words["bo"])
    signers = Custodian("anna", mallory), Custodian("bo", mallory)
    forged.write_bytes(wrap_backup(header, opened, secrets, signers, CHEAP))
    monkeypatch.setattr("samdrift.keystore.backup.FORMAT", UNSIGNED)
    owners = tuple(Secret(one.name, one.passphrase) for one in _both())
    document = json.loads(wrap_backup(header, opened, (owners[0], owners[1]), signers, CHEAP))
    del document["signatures"]
    older.write_text(json.dumps(document))
    monkeypatch.undo()
    _lose_the_seals(installation, organisation)
    secret_file(tmp_path / "made-up", "made up by one person")
    one_file = str(tmp_path / "made-up")
    made_up = "--by-passphrase-file", one_file, "--with-passphrase-file", one_file
    for file, passphrases in ((forged, made_up), (older, files)):
        text = await refused(config, "keys", "restore", str(file), *passphrases)
        assert "not signed by two who are custodians here" in text
        accepted = "keys", "restore", str(file), *passphrases, "--accept-unsigned"
        assert "needs two custodians" in await refused(config, *accepted)
    agreed = [each.replace("--by", "--agreed-by").replace("--with", "--agreed-with") for each in two]
    text = await refused(config, "keys", "restore", str(older), *files, "--accept-unsigned", *agreed[:4])
    assert hashlib.sha256(older.read_bytes()).hexdigest() in text, (
        "both custodians must see the file's digest"
    )
    await beside(config, "keys", "restore", str(older), *files, "--accept-unsigned", *agreed)
    last = (await installation.gate.read_operator_log(limit=100_000))[-1]
    assert (last.event, last.ids["signed"], last.ids["accepted_by"]) == (
        OrgEvent.KEYS_RESTORED,
        "no",
        "anna bo",
    )
    _lose_the_seals(installation, organisation)
    await beside(config, "keys", "restore", str(signed), *files)
    last = (await installation.gate.read_operator_log(limit=100_000))[-1]
    assert (last.event, last.ids["signed"]) == (OrgEvent.KEYS_RESTORED, "yes")


def _both() -> tuple[Person, Person]:
    assert PERSONS.second is not None
    return PERSONS.first, PERSONS.second


@pytest.mark.skipif(os.geteuid() != 0, reason="only root starts processes as other users")
@pytest.mark.parametrize("command", ["lock", "close"])
async def test_what_still_runs_as_the_organisations_user_is_ended_where_no_supervisor_runs(
    installation: Installation, config: Path, tmp_path: Path, command: str
) -> None:
    """A child of a worker that was taken over has the keys in memory."""
    organisation = await installation.organisation()
    vault = installation.gate.registry.find(organisation, Role.MESSAGE_SERVICE)
    assert vault is not None
    first = 400_000 + os.getpid() % 10_000 * 10_000
    text = f'\n[isolation]\nlevel = "process"\nfirst_user = {first}\n'
    config.write_text(config.read_text() + text)
    numbers = private_folder(installation.settings.secrets / "users")
    secret_file(numbers / "0777", vault.vault)
    two = staff(installation, tmp_path)
    arguments = {
        "lock": ("--passphrase-file", str(secret_file(tmp_path / "officer", "what the officer knows"))),
        "close": ("--decision", DECISION, *two),
    }[command]
    survivor = subprocess.Popen(["sleep", "600"], user=first + 777, group=first + 777)
    other = subprocess.Popen(["sleep", "600"], user=first + 778, group=first + 778)
    try:
        # `close` refuses, since the organisation is not suspended, but ends its processes first.
        with contextlib.suppress(Unusable):
            await beside(config, command, organisation.value, *arguments)
        assert survivor.poll() is not None, "the process still runs, with the keys in its memory"
        assert other.poll() is None, "a process of another vault's user must not be ended"
    finally:
        for each in (survivor, other):
            each.kill()
            each.wait()
        (numbers / "0777").unlink()


async def test_marks_that_a_restore_has_lost_are_shown_and_two_custodians_accept_them(
    installation: Installation, config: Path, tmp_path: Path
) -> None:
    """An older backup shows the lost marks until two custodians accept the risk."""
    organisation = await installation.organisation()
    await sessionkeys.test_a_restored_database_says_which_marks_are_lost(installation, organisation)
    name, two = organisation.value, staff(installation, tmp_path)
    status, printed = await beside(config, "keys", "lost-marks", name)
    assert (status, "are missing" in printed, "or --accept" in printed) == (1, True, True)
    items = (await asyncio.to_thread(document, config, "show", name, "--offline"))["items"]
    (item,) = [one for one in items if one["item"] == "session keys"]
    assert (item["state"], "are lost" in item["text"]) == ("missing", True)
    accept = "keys", "lost-marks", name, "--accept"
    assert "--accept needs two people" in await refused(config, *accept)
    alone = *two[:4], "--with", "anna", "--with-passphrase-file", two[3]
    assert "two different people are needed" in await refused(config, *accept, *alone)
    assert (await beside(config, "keys", "lost-marks", name))[0] == 1
    status, printed = await beside(config, *accept, *two)
    assert (status, "accepted" in printed) == (0, True)
    async with installation.open(organisation, Role.MESSAGE_SERVICE) as vault:
        entries = [one for one in await vault.log(limit=1000) if one.event == OrgEvent.MT_MARKS_LOSS_ACCEPTED]
        agreed = [one for one in await vault.log(limit=1000) if one.event == AdminEvent.CUSTODY_AGREED]
    assert [one.ids["number"] for one in entries] == ["1"]
    assert [(one.ids["first"], one.ids["second"]) for one in agreed] == [("anna", "bo")]
    items = (await asyncio.to_thread(document, config, "show", name, "--offline"))["items"]
    assert not [one for one in items if one["item"] == "session keys"]
    _, printed = await beside(config, "keys", "lost-marks", name, "--json")
    assert json.loads(printed)["lost"][0]["accepted"] is not None
