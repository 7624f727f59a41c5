"""`samdrift log status`, `checkpoint` and `resolve` while the installation runs."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pyrage
import pytest
from typer.testing import CliRunner

from samdrift.administration import logs
from samdrift.administration.administration import Administration
from samdrift.administration.events import AdminEvent
from samdrift.attestation.agefile import fingerprint
from samdrift.attestation.signatures import canonical, signer
from samdrift.audit.entries import Happening
from samdrift.audit.events import LogEvent, Retention
from samdrift.cli import logdisposal
from samdrift.cli.log import app
from samdrift.cli.persons import asked, login
from samdrift.config.errors import Unusable
from samdrift.contracts.principals import Role
from samdrift.evidence import logreading
from samdrift.evidence.logstatements import NAMESPACE
from samdrift.installation.logkeeping import OPERATORS
from samdrift.keystore.custody import Custodians, CustodyError
from samdrift.messageclient.events import MKEvent
from samdrift.messageservice.events import MTEvent
from samdrift.portability.events import MoveEvent
from samdrift.portability.names import read_names
from samdrift.vault import logbook
from samdrift.vault.events import VaultEvent
from samdrift.vault.gate import Gate
from samdrift.vault.logbook import append_statement
from samdrift.vault.opening import Vault
from samdrift.vault.openkeys import open_keys
from samdrift.vault.people import Identity, SessionRecord
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

AP, MK = Role.ACCESS_POINT, Role.MESSAGE_CLIENT
KIM = Identity("https://login.example", "kim@habo.se", "Kim =Example")


async def log(config: Path, *arguments: str | Path) -> tuple[int, str]:  # noqa: F811
    """Run the command; return its status and what it printed."""
    why = ("--reason", "log control 7") if arguments[0] in ("status", "checkpoint", "retention") else ()

    def run() -> tuple[int, str]:
        ended = CliRunner().invoke(
            app, [*map(str, arguments), *why, "--config", str(config)], standalone_mode=False
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
    assert all("no checkpoint has been made" in row["faults"][0] for row in rows)
    status, rows = await document(config, "checkpoint", organisation.value)
    assert (status, {row["role"] for row in rows}) == (0, {role.value for role in Role})
    await installation.gate.operator_tree().sign(NOW)
    await operators_key_is_stated(installation)
    async with installation.open(organisation, Role.MESSAGE_SERVICE) as vault:
        assert not (await vault.tree.state()).stated, (
            "an organisation without keys here cannot state its log key"
        )


async def commands_in(vault: Vault) -> list[dict[str, str]]:
    entries = await vault.log(0, 10_000)
    return [dict(entry.ids) for entry in entries if entry.event == AdminEvent.ORGANISATION_COMMAND]


async def test_who_runs_a_command_and_why_is_in_the_logs_that_it_is_about(
    installation: Installation,
    config: Path,  # noqa: F811
    organisation: ParticipantIdentifier,
) -> None:
    await log(config, "status", organisation.value, "--by", "anna")
    await log(config, "checkpoint", organisation.value)
    await log(config, "retention", organisation.value, "--role", "ap", "--by", "bo")
    why = "log control 7"
    given = {"reason": why, "proof": "none"}
    by_login = {"command": "log checkpoint", "by": login(), **given}
    both = [{"command": "log status", "by": "anna", "account": login(), **given}, by_login]
    async with installation.open(organisation, AP) as vault:
        retention = {"command": "log retention", "by": "bo", "account": login(), **given}
        assert await commands_in(vault) == [*both, retention]
    async with installation.open(organisation, MK) as client:
        assert await commands_in(client) == both
    before = len(await commands_of_the_operator(installation))
    await log(config, "status", "--by", "anna")
    assert (await commands_of_the_operator(installation))[before:] == [both[0]]


async def test_who_runs_a_command_about_a_vault_that_waits_for_its_officer_is_in_the_operators_log(
    installation: Installation,
    config: Path,  # noqa: F811
    organisation: ParticipantIdentifier,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def locked(*arguments: object) -> bool:
        return False

    monkeypatch.setattr(Gate, "record_for_organisation", locked)
    await log(config, "status", organisation.value, "--by", "anna")
    all_of_them = await commands_of_the_operator(installation)
    told = [one for one in all_of_them if one.get("organisation") == organisation.value]
    assert [(one["by"], one["organisation_log"]) for one in told] == [("anna", "not told")]


@pytest.mark.parametrize("reason", ["", "  ", "x" * 301, "two\nlines", "\x1b[31m"])
def test_a_reason_is_one_line(reason: str) -> None:
    with pytest.raises(Unusable, match="--reason is one line"):
        asked("anna", reason)


async def commands_of_the_operator(installation: Installation) -> list[dict[str, str]]:
    rows = await installation.gate.operator_tree().rows(0, 10**9, 100_000)
    entries = [logbook.entry(row) for row in rows]
    return [dict(entry.ids) for entry in entries if entry.event == AdminEvent.ORGANISATION_COMMAND]


async def operators_key_is_stated(installation: Installation) -> None:
    """State the key of the operator's own log, signed with the operator's certificate."""
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
        config, "checkpoint", alone.value, "--custodian", anna, "--custodian-passphrase-file", secret
    )
    assert (status, "in order" in printed, "not stated" in printed) == (0, True, False)
    async with installation.open(alone, AP) as vault:
        (kept,) = await vault.tree.keys()
        (entry,) = [one for one in await vault.log() if one.event == LogEvent.LOG_KEY_STATED]
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
    """Return whether `ssh-keygen`, which knows nothing of Samdrift, verifies the signature."""
    (folder / "signers").write_text(f"anna {public}\n")
    (folder / "signature").write_text(signature)
    command = [found("ssh-keygen") or "ssh-keygen", "-Y", "verify", "-f", folder / "signers", "-I", "anna"]
    command += ["-n", NAMESPACE, "-s", folder / "signature"]
    return subprocess.run(command, input=message, capture_output=True, check=False).returncode == 0


def custodians(installation: Installation, folder: Path) -> list[tuple[str, Path]]:
    """Return two custodians, each with a file that holds the passphrase."""
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
        (entry,) = [one for one in await vault.log() if one.event == VaultEvent.LOG_WITNESS_RESOLVED]
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
    reading = Happening(long_ago, MTEvent.MT_MESSAGE_READ, "system:journal", "serve", {"message": "7"})
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
    assert (await log(config, "export", *where, "--out", out, "--reason", "test"))[0] == 0
    async with installation.open(organisation, AP) as vault:
        (told,) = [each.ids for each in await vault.log(0, 100) if each.event == AdminEvent.LOG_EXPORTED]
    assert (told["by"], told["reason"]) == (login(), "test")
    async with installation.open(organisation, AP) as vault:
        (key,) = [each.key for each in await vault.tree.keys()]
    rules.write_text(f"log {key}\nquorum none\n")
    ended = in_process("log", "verify", out, "--policy", rules, "--max-age", "0", "--json")
    assert ended.status == 0, ended.document["first_wrong"]
    assert [(each["class"], each["entries"]) for each in ended.document["disposed"]] == [("reading", 3)]
    decided = list(logreading.search(out, "plan 5"))
    assert [(each.ids["by"], each.ids["with"]) for each in decided] == [(kim, alex)]


async def test_disposal_ends_at_the_beginning_of_the_day_that_was_agreed_to(
    installation: Installation,
    config: Path,  # noqa: F811
    organisation: ParticipantIdentifier,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without --before, the day is that of today five years ago, and not today's time of day."""
    monkeypatch.setattr(logdisposal, "system_clock", lambda: datetime(2026, 11, 29, 12, 30, tzinfo=UTC))
    day = datetime(2021, 11, 28, tzinfo=UTC)
    moments = [day - timedelta(seconds=1), day, day + timedelta(hours=9)]
    readings = [
        Happening(at, MTEvent.MT_MESSAGE_READ, "system:journal", "serve", {"message": "7"}) for at in moments
    ]
    statement, values = append_statement(readings)
    async with installation.open(organisation, AP) as vault:
        await vault._work.query(statement, *values)
    where = (organisation.value, "--role", "ap")
    rows = json.loads((await log(config, "retention", *where, "--json"))[1])["classes"]
    assert [row["older"] for row in rows if row["class"] == "reading"] == [1]
    (kim, kims), (alex, alexs) = custodians(installation, tmp_path)
    by = ("--by", kim, "--by-passphrase-file", kims, "--with", alex, "--with-passphrase-file", alexs)
    decide = ("dispose", *where, "--class", "reading", "--decision", "plan 5")
    assert (await log(config, *decide, *by))[1].startswith("1 entries of class reading")
    (agreed,) = [
        one.ids["what"]
        for one in await installation.gate.read_operator_log(limit=100_000)
        if one.event == AdminEvent.CUSTODY_AGREED and one.ids.get("organisation") == organisation.value
    ]
    assert "from before 2021-11-28 (UTC) in the log ap" in agreed


async def test_what_came_of_a_log_control_stands_in_the_log_for_good(
    installation: Installation,
    config: Path,  # noqa: F811
    organisation: ParticipantIdentifier,
    tmp_path: Path,
) -> None:
    (kim, secret), _ = custodians(installation, tmp_path)
    said = ("--outcome", "two readings explained, none remarkable", "--period", "April", "--seed", "s 4")
    by = ("--entries", "20", "--by", kim, "--by-passphrase-file", str(secret))
    status, printed = await log(config, "outcome", organisation.value, "--role", "ap", *said, *by)
    assert (status, "log:control:recorded" in printed) == (0, True)
    async with installation.open(organisation, AP) as vault:
        (entry,) = [one for one in await vault.log() if one.event == AdminEvent.LOG_CONTROL_RECORDED]
    assert entry.ids == {
        "outcome": "two readings explained, none remarkable",
        "period": "April",
        "seed": "s 4",
        "entries": "20",
        "by": kim,
    }
    assert (entry.principal, entry.retention) == (f"operator:{kim}", Retention.LOG)
    with pytest.raises(Unusable, match="no such log"):
        await log(config, "outcome", "0203:nowhere.se", "--role", "ap", *said, *by)


async def test_names_leave_encrypted_and_are_joined_to_the_ids_where_the_organisation_wants(
    installation: Installation,
    config: Path,  # noqa: F811
    organisation: ParticipantIdentifier,
    tmp_path: Path,
) -> None:
    """Two people agree, and the log records for whom; neither the export nor the table shows a name."""
    async with installation.open(organisation, MK) as vault:
        mark = bytes(32)
        assert await vault.begin_session(SessionRecord(mark, mark, KIM, "loa3", NOW, None, NOW, NOW))
        (person,) = [one.id for one in await vault.persons()]
        vault.record(MKEvent.MK_READING_MESSAGE, message="7", handler=person)
    async with installation.open(organisation, Role.MESSAGE_SERVICE) as service:
        behind = await service.know_person(Identity("https://idp.example", "alex", "Alex Example"), now=NOW)
    key = pyrage.x25519.Identity.generate()
    (tmp_path / "key").write_text(f"{key}\n")
    (kim, kims), (alex, alexs) = custodians(installation, tmp_path)
    by = ("--by", kim, "--by-passphrase-file", str(kims))
    both = (*by, "--with", alex, "--with-passphrase-file", str(alexs))
    table, export = tmp_path / "names", tmp_path / "log"
    write = ("names", organisation.value, "--out", table, "--to", str(key.to_public()))
    with pytest.raises(Unusable, match="not done yet"):
        await log(config, *write, *by)
    assert not table.exists()
    assert "names of persons: 2" in (await log(config, *write, *both))[1]
    assert b"Example" not in table.read_bytes()
    where = (organisation.value, "--role", "mk", "--out", export)
    assert (await log(config, "export", *where, "--by", kim, "--reason", "control"))[0] == 0
    assert b"Example" not in export.read_bytes()
    async with installation.open(organisation, MK) as vault:
        (entry,) = [one for one in await vault.log() if one.event == MoveEvent.LOG_NAMES_WRITTEN]
    assert (entry.ids["by"], entry.ids["recipients"]) == (kim, fingerprint(str(key.to_public())))
    joined = ("--names", table, "--identity", tmp_path / "key", "--json")
    found = in_process("log", "search", export, person, *joined)
    (row,) = [row for row in found.document["entries"] if row["event"] == "mk:reading:message"]
    assert row["facts"]["handler"] == f"{person} (Kim =Example)"
    assert read_names(table, [key])[behind] == "Alex Example", (
        "the table must include persons for whom a system has fetched messages"
    )
    (tmp_path / "other").write_text(f"{pyrage.x25519.Identity.generate()}\n")
    for names, identity in ((table, tmp_path / "other"), (export, tmp_path / "key")):
        ended = in_process("log", "search", export, person, "--names", names, "--identity", identity)
        assert (ended.status, ended.output) == (2, "")
    assert in_process("log", "search", export, person, "--names", table).status == 2
