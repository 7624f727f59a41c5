"""The member of staff who runs a command is proven by their own key, and can be verified later without us."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from samdrift.accesspoint.events import APEvent
from samdrift.administration.events import AdminEvent
from samdrift.administration.staff import MAX_TEXT, NAMESPACE, Act, NotOfTheStaff
from samdrift.audit.entries import LogEntry
from samdrift.audit.events import LogEvent
from samdrift.cli.org.events import OrgEvent
from samdrift.cli.persons import login
from samdrift.cli.proving import signed
from samdrift.config.errors import Unusable
from samdrift.config.reader import load
from samdrift.config.toml import ConfigError
from samdrift.contracts.principals import Purpose, Role
from samdrift.governance.incidents import IncidentEvent
from samdrift.keystore.interface import OPERATOR_KEYS, KeyName
from samdrift.vault.events import VaultEvent
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.unit.cli.commandline import Ended, in_process
from tests.unit.cli.commandtree import commands
from tests.unit.cli.test_org_commands import config_of
from tests.unit.cli.test_org_commands import staff as custodians
from tests.vaults import NOW, Installation, submitted, until

ROLES = (Role.ACCESS_POINT,)
AP = Role.ACCESS_POINT
WHY = ("--why", "incident 41")


def names(command: Any) -> set[str]:
    """Return the names of a command's parameters."""
    return {each.name for each in command.params}


class Staff:
    """Two people and a service, each with their own key."""

    def __init__(self, folder: Path, config: Path) -> None:
        self.config = config
        self.home = folder / "home"
        (self.home / ".ssh").mkdir(parents=True)
        self.ola = self.key(self.home / ".ssh" / "id_ed25519")
        self.pia = self.key(folder / "pia", "ecdsa")
        self.timer = self.key(folder / "timer")
        lines = [
            *('[[staff]]\nname = "ola"', f'keys = ["{self.public(self.ola)}"]'),
            *('[[staff]]\nname = "pia"', f'keys = ["{self.public(self.pia)}"]'),
            *('[[staff]]\nname = "timer"', f'keys = ["{self.public(self.timer)}"]'),
            *(f'key_file = "{self.timer}"', 'commands = ["queue list"]'),
        ]
        config.write_text("\n".join([config.read_text(), *lines, ""]))

    @staticmethod
    def key(file: Path, kind: str = "ed25519") -> Path:
        subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", str(file)], check=True)
        return file

    @staticmethod
    def public(file: Path) -> str:
        return file.with_name(f"{file.name}.pub").read_text().strip()

    async def run(self, *arguments: str | Path) -> Ended:
        """Run a command while the installation runs in this loop."""
        return await asyncio.to_thread(in_process, *arguments, "--config", self.config)

    async def suspends(self, organisation: ParticipantIdentifier, by: str) -> Ended:
        return await self.run("org", "suspend", organisation.value, "--by", by, *WHY)

    def verifies(self, entry: LogEntry, key: Path, folder: Path) -> bool:
        """Return whether OpenSSH verifies an entry, without any of our code."""
        (signers := folder / "allowed_signers").write_text(f"them {self.public(key)}\n")
        body = entry.ids["proof_signature"]
        begin, end = "-----BEGIN SSH SIGNATURE-----", "-----END SSH SIGNATURE-----"
        (signature := folder / "signature").write_text(f"{begin}\n{body}\n{end}\n")
        command = [
            "ssh-keygen",
            "-Y",
            "verify",
            "-f",
            signers,
            "-I",
            "them",
            "-n",
            NAMESPACE,
            "-s",
            signature,
        ]
        ended = subprocess.run(command, input=entry.ids["proof_text"].encode(), capture_output=True)
        return ended.returncode == 0


@pytest.fixture
def staff(installation: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Staff:
    found = Staff(tmp_path, config_of(installation, tmp_path))
    monkeypatch.setenv("HOME", str(found.home))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    return found


async def entries(installation: Installation, organisation: ParticipantIdentifier) -> list[LogEntry]:
    await until(lambda: installation.gate.registry.serves(organisation, AP))
    async with installation.open(organisation, AP, Purpose.TRACE) as vault:
        return list(await vault.log())


async def refusals(installation: Installation) -> list[dict[str, str]]:
    found = await installation.gate.read_operator_log(0, 10_000)
    return [dict(each.ids) for each in found if each.event == AdminEvent.COMMAND_REFUSED]


async def test_the_log_has_who_suspended_an_organisation_and_ssh_keygen_verifies_it(
    installation: Installation, staff: Staff, tmp_path: Path
) -> None:
    organisation = await installation.organisation([AP])
    ended = await staff.suspends(organisation, "ola")
    assert (ended.status, ended.complaints) == (0, "")
    assert (await staff.run("org", "resume", organisation.value, "--by", "ola", *WHY)).status == 0
    found = await entries(installation, organisation)
    (entry,) = (each for each in found if each.event == VaultEvent.ORGANISATION_SUSPENDED)
    (other,) = (each for each in found if each.event == OrgEvent.ORGANISATION_RESUMED)
    assert entry.principal == "operator:ola"
    assert entry.ids["proof"] == "signature"
    text = entry.ids["proof_text"]
    for part in ('"by":"ola"', '"command":"org suspend"', organisation.value, "incident 41"):
        assert part in text
    assert staff.verifies(entry, staff.ola, tmp_path)
    assert not staff.verifies(entry, staff.pia, tmp_path), (
        "the signature must not verify with another person's key"
    )
    moved = {**entry.ids, "proof_signature": other.ids["proof_signature"]}
    forged = LogEntry.placed(entry.happening, 1, b"", b"")
    object.__setattr__(forged, "ids", moved)
    assert not staff.verifies(forged, staff.ola, tmp_path), "a signature must be valid for one command only"


async def test_a_key_in_an_agent_signs_what_is_done_about_transfers(
    installation: Installation, staff: Staff, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The agent is elsewhere, so a person's key never comes to the machine."""
    organisation = await installation.organisation([AP])
    async with installation.open(organisation, AP) as vault:
        await submitted(vault, sender=organisation)
        (waits,) = await vault.waiting(10)
    with agent(tmp_path, staff.pia) as socket:
        monkeypatch.setenv("SSH_AUTH_SOCK", socket)
        gave_up = ("queue", "give-up", waits.id, "--reason", "no such recipient", "--by", "pia")
        ended = await staff.run(*gave_up, "--organisation", organisation.value)
    assert ended.status == 0, ended.complaints
    (entry,) = (each for each in await entries(installation, organisation) if each.event.endswith(":failed"))
    assert waits.id in entry.ids["proof_text"]
    assert staff.verifies(entry, staff.pia, tmp_path)


@pytest.mark.parametrize("command", ["why", "retry", "give-up"])
async def test_a_transfer_and_why_it_was_looked_for_is_in_its_own_organisations_log_alone(
    installation: Installation, staff: Staff, tmp_path: Path, command: str
) -> None:
    """Without --organisation each is asked, but only its owner may learn of the transfer in the signature."""
    two = [await installation.organisation([AP]) for _ in range(2)]
    other, owner = [each for each in installation.gate.registry.organisations(AP) if each in two]
    async with installation.open(owner, AP) as vault:
        transfer = await submitted(vault, sender=owner)
    before = len(await entries(installation, other))
    reason = ("--reason", "the unit at Ekgatan moved") if command == "give-up" else ()
    ended = await staff.run("queue", command, transfer.id, *reason, "--by", "ola")
    assert ended.status == 0, ended.complaints
    (entry, *_) = (each for each in await entries(installation, owner) if "proof_text" in each.ids)
    assert transfer.id in entry.ids["proof_text"]
    assert staff.verifies(entry, staff.ola, tmp_path)
    theirs = (await entries(installation, other))[before:]
    assert all(each.principal == "worker:test" for each in theirs), (
        "the other organisation's log must not show the command"
    )
    for words in (transfer.id, transfer.envelope.envelope_id, "Ekgatan", owner.value):
        assert words not in repr(theirs)


async def test_a_peer_that_is_reported_is_named_in_the_logs_of_those_it_wrote_to_alone(
    installation: Installation, staff: Staff, tmp_path: Path
) -> None:
    concerned, other = [await installation.organisation([AP]) for _ in range(2)]
    peers = {concerned: f"AP-{uuid4()}", other: f"AP-{uuid4()}"}
    for organisation, peer in peers.items():
        async with installation.open(organisation, AP) as vault:
            facts = {"peer": peer, "certificate": "ab" * 32, "reason": "xhe"}
            vault.record(APEvent.AP_ENVELOPE_REFUSED, as4="one", **facts)
    before = len(await entries(installation, other))
    report = ("report", peers[concerned], "--out", tmp_path / "report", "--by", "ola")
    ended = await staff.run("peers", *report)
    assert ended.status == 0, ended.complaints
    proofs = [each.ids for each in await entries(installation, concerned) if "proof_text" in each.ids]
    assert any(peers[concerned] in each["proof_text"] for each in proofs)
    theirs = (await entries(installation, other))[before:]
    assert {each.ids["proof"] for each in theirs if "proof" in each.ids} == {"operator-log"}
    assert peers[concerned] not in repr(theirs)
    assert peers[other] not in repr(proofs)
    (reported,) = (
        each.ids
        for each in await installation.gate.read_operator_log(0, 10_000)
        if each.event == AdminEvent.AP_PEER_REPORTED and each.ids["peer"] == peers[concerned]
    )
    assert peers[concerned] in reported["proof_text"]


async def test_an_incident_of_several_is_proven_without_one_hearing_of_another(
    installation: Installation, staff: Staff, tmp_path: Path
) -> None:
    concerned = [await installation.organisation([AP]) for _ in range(2)]
    whose = [word for each in concerned for word in ("--organisation", each.value)]
    why = ("--title", "Outage", "--reason", "the network", "--by", "ola")
    ended = await staff.run("gov", "incident", "shared", "open", *whose, *why)
    assert ended.status == 0, ended.complaints
    for organisation, other in (concerned, concerned[::-1]):
        found = await entries(installation, organisation)
        (entry,) = (each for each in found if each.event == IncidentEvent.GOV_INCIDENT_OPENED)
        assert entry.ids["proof"] == "operator-log"
        assert other.value not in repr(found)
    *_, command = (
        each
        for each in await installation.gate.read_operator_log(0, 10_000)
        if each.event == AdminEvent.ORGANISATION_COMMAND
    )
    assert all(each.value in command.ids["proof_text"] for each in concerned)
    assert staff.verifies(command, staff.ola, tmp_path)


async def test_a_signature_that_is_made_elsewhere_is_pasted_at_the_terminal(
    installation: Installation, staff: Staff, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    organisation = await installation.organisation([AP])
    monkeypatch.setattr(sys, "stdin", Elsewhere(staff.pia))
    ended = await staff.suspends(organisation, "pia")
    assert ended.status == 0, ended.complaints
    await staff.run("org", "resume", organisation.value, "--by", "ola", *WHY)
    found = await entries(installation, organisation)
    (entry,) = (each for each in found if each.event == VaultEvent.ORGANISATION_SUSPENDED)
    assert staff.verifies(entry, staff.pia, tmp_path)


@pytest.mark.parametrize("missing", ["private half", "OpenSSH"])
async def test_where_no_signature_is_made_here_the_terminal_is_asked_for_one(
    installation: Installation,
    staff: Staff,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    missing: str,
) -> None:
    """A home has only the public half, or the container has no OpenSSH: the key is elsewhere."""
    organisation = await installation.organisation([AP])
    elsewhere = staff.ola.rename(tmp_path / "elsewhere")
    if missing == "OpenSSH":
        elsewhere = Path(shutil.copy(elsewhere, staff.ola))
        run = subprocess.run

        def without(command: Any, **options: Any) -> Any:
            if command[0] == "ssh-keygen":
                raise FileNotFoundError(command[0])
            return run(command, **options)

        monkeypatch.setattr("samdrift.cli.proving.subprocess.run", without)
    monkeypatch.setattr(sys, "stdin", Elsewhere(elsewhere))
    ended = await staff.suspends(organisation, "ola")
    assert ended.status == 0, ended.complaints


async def test_a_machine_without_openssh_says_what_to_install(
    installation: Installation, staff: Staff, monkeypatch: pytest.MonkeyPatch
) -> None:
    organisation = await installation.organisation([AP])
    monkeypatch.setenv("PATH", "/nowhere")
    for by in ("ola", "timer"):
        ended = await staff.run("queue", "list", "--organisation", organisation.value, "--by", by)
        assert ended.status == 2
        assert "ssh-keygen is not installed here: install openssh-client" in ended.complaints


async def test_a_service_proves_its_own_commands_and_no_other(
    installation: Installation, staff: Staff, tmp_path: Path
) -> None:
    """A timer cannot be asked for a signature: its key is in a file, and allows few commands."""
    organisation = await installation.organisation([AP])
    only = ("--organisation", organisation.value)
    assert (await staff.run("queue", "list", "--by", "timer", *only)).status == 0
    (entry,) = (each for each in await entries(installation, organisation) if "proof" in each.ids)
    assert entry.principal == "operator:timer"
    assert staff.verifies(entry, staff.timer, tmp_path)
    refused = await staff.suspends(organisation, "timer")
    assert refused.status == 2
    assert "timer is a service, which may only run queue list" in refused.complaints
    done = {each.event for each in await entries(installation, organisation)}
    assert VaultEvent.ORGANISATION_SUSPENDED not in done


async def test_who_gives_the_logins_of_an_organisation_new_passwords_is_in_the_operators_log(
    installation: Installation, staff: Staff, tmp_path: Path
) -> None:
    organisation = await installation.organisation([AP])
    rotate = ("database", "rotate-logins", "--organisation", organisation.value)
    refused = await staff.run(*rotate, "--by", "pia")
    assert "no key of pia is here" in refused.complaints
    ended = await staff.run(*rotate, "--by", "ola")
    assert ended.status == 0, ended.complaints
    runs = [
        each
        for each in await installation.gate.read_operator_log(0, 10_000)
        if each.ids.get("command") == "database rotate-logins"
        and each.event == AdminEvent.ORGANISATION_COMMAND
    ]
    assert [each.ids["by"] for each in runs] == ["ola"]
    assert staff.verifies(runs[0], staff.ola, tmp_path)


async def test_who_changes_by_whose_passphrase_vaults_open_is_in_the_organisations_log(
    installation: Installation, staff: Staff, tmp_path: Path
) -> None:
    organisation = await installation.organisation([AP])
    refused = await staff.run("org", "lock", organisation.value, "--operator", "--by", "pia")
    assert "no key of pia is here" in refused.complaints
    ended = await staff.run("org", "lock", organisation.value, "--operator", "--by", "ola")
    assert ended.status == 0, ended.complaints
    log = await entries(installation, organisation)
    (changed,) = [each for each in log if each.event == OrgEvent.VAULT_LOCK_CHANGED]
    (rotated,) = [each for each in log if each.event == OrgEvent.VAULT_LOGIN_ROTATED]
    for entry in (changed, rotated):
        assert (entry.principal, entry.ids.get("proof")) == ("operator:ola", "signature")
        assert staff.verifies(entry, staff.ola, tmp_path)


async def test_who_retires_a_key_of_the_operators_own_is_in_its_log_and_nothing_is_done_for_anyone_else(
    installation: Installation, staff: Staff, tmp_path: Path
) -> None:
    """Tests of other files, which use the same installation, may have left keys and entries."""

    def held() -> set[int]:
        keys = installation.provisioner.keys.keys(OPERATOR_KEYS)
        return {each.number for each in keys if each.name is KeyName.TLS_SERVER}

    earlier, end = held(), len(await installation.gate.read_operator_log(0, 10_000))
    requested = await staff.run("keys", "request", "tls-server", "--name", "ap.example.se", "--by", "ola")
    assert "BEGIN CERTIFICATE REQUEST" in requested.output, requested.complaints
    (number,) = held() - earlier
    refused = await staff.run("keys", "retire", "tls-server", str(number), "--by", "pia")
    assert "no key of pia is here" in refused.complaints
    assert held() == earlier | {number}
    retired = await staff.run("keys", "retire", "tls-server", str(number), "--by", "ola")
    assert (retired.status, retired.complaints) == (0, "")
    assert held() == earlier
    log = (await installation.gate.read_operator_log(0, 10_000))[end:]
    made = [each for each in log if each.event == AdminEvent.ORGANISATION_COMMAND]
    runs = [each for each in made if each.ids["command"].startswith("keys ")]
    assert [(each.ids["command"], each.ids["key"], each.ids["by"]) for each in runs] == [
        ("keys request", "tls-server", "ola"),
        ("keys retire", "tls-server", "ola"),
    ]
    assert all(staff.verifies(each, staff.ola, tmp_path) for each in runs)


async def test_a_key_is_replaced_also_while_the_log_cannot_have_who_did_it(
    staff: Staff, unused_tcp_port: int
) -> None:
    """An expired certificate may be the reason that nothing runs."""
    url = f"postgresql://a@127.0.0.1:{unused_tcp_port}/b"
    text = re.sub(r'(?m)^database = ".*"', f'database = "{url}"', staff.config.read_text())
    staff.config.write_text(text)
    ended = await staff.run("keys", "request", "tls-server", "--name", "ap.example.se", "--by", "ola")
    assert ended.status == 0
    assert "the operator's log does not have who did this: connection refused" in ended.complaints


async def test_who_has_the_isolation_check_run_is_proven_also_where_it_is_a_timer(
    staff: Staff, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The result in every organisation's log names who ran the check, which may be an authorised service."""
    made: list[Mapping[str, str]] = []

    async def checked(config: object, who: Mapping[str, str]) -> Any:
        made.append(who)
        raise Unusable("far enough")

    monkeypatch.setattr("samdrift.cli.isolation.checking.check", checked)
    refused = await staff.run("isolation", "check", "--by", "timer")
    assert "timer is a service, which may only run queue list" in refused.complaints
    staff.config.write_text(staff.config.read_text().replace('["queue list"]', '["isolation check"]'))
    ended = await staff.run("isolation", "check", "--by", "timer")
    assert "far enough" in ended.complaints
    ((by, proof, text),) = [(each["by"], each["proof"], each["proof_text"]) for each in made]
    assert (by, proof) == ("timer", "signature")
    assert '"command":"isolation check"' in text


@pytest.mark.parametrize(
    ("by", "how", "reason", "told"),
    [
        ("eva", "nobody", "unknown", "is not one of the operator's staff"),
        ("pia", "no key", "no-key", "no key of pia is here to sign with"),
        ("pia", "another's key", "signature", "not a valid signature by pia for this command"),
        ("pia", "another namespace", "signature", "not a valid signature by pia for this command"),
        ("pia", "another text", "signature", "not a valid signature by pia for this command"),
        ("pia", "nonsense", "signature", "not a signature in OpenSSH's form"),
    ],
)
async def test_nobody_acts_in_the_name_of_another(
    installation: Installation,
    staff: Staff,
    monkeypatch: pytest.MonkeyPatch,
    by: str,
    how: str,
    reason: str,
    told: str,
) -> None:
    organisation = await installation.organisation([AP])
    forged = {
        "another's key": Elsewhere(staff.ola),
        "another namespace": Elsewhere(staff.pia, namespace="samdrift-grant"),
        "another text": Elsewhere(staff.pia, text='{"command":"queue list"}'),
        "nonsense": Elsewhere(staff.pia, answer="nonsense\n"),
    }
    if how in forged:
        monkeypatch.setattr(sys, "stdin", forged[how])
    before = len(await refusals(installation))
    ended = await staff.suspends(organisation, by)
    assert ended.status == 2
    assert told in ended.complaints
    done = {each.event for each in await entries(installation, organisation)}
    assert VaultEvent.ORGANISATION_SUSPENDED not in done
    noted = (await refusals(installation))[before:]
    assert noted == [{"by": by, "command": "org suspend", "reason": reason}]


@pytest.mark.parametrize("mode", [0o664, 0o646])
async def test_nobody_is_proven_by_names_that_others_can_write(
    installation: Installation, staff: Staff, mode: int
) -> None:
    organisation = await installation.organisation([AP])
    staff.config.chmod(mode)
    ended = await staff.suspends(organisation, "ola")
    assert ended.status == 2
    assert "users other than its owner can write it" in ended.complaints
    done = {each.event for each in await entries(installation, organisation)}
    assert VaultEvent.ORGANISATION_SUSPENDED not in done


async def test_where_nobody_has_a_key_the_command_says_so_and_so_do_the_logs(
    installation: Installation, tmp_path: Path
) -> None:
    """The first set-up goes on, and the log shows later which acts preceded the first key."""
    organisation = await installation.organisation([AP])
    config = config_of(installation, tmp_path)
    text = config.read_text().replace('environment = "test"', 'environment = "production"')
    config.write_text(text.replace("edelivery:federation:test", "edelivery:federation:sdk"))
    named = ("queue", "list", "--organisation", organisation.value, "--by", "anna")
    ended = await asyncio.to_thread(in_process, *named, "--config", config)
    assert ended.status == 0
    assert "nothing proves that you are anna" in ended.complaints
    (entry,) = (each for each in await entries(installation, organisation) if "proof" in each.ids)
    assert (entry.principal, entry.ids["proof"]) == ("operator:anna", "none")
    assert entry.ids["account"] == login(), "the account must be logged even without a proof"


def test_what_cannot_be_signed_whole_is_not_signed(staff: Staff) -> None:
    """A fact of a log has at most a thousand characters; a cut text would prove nothing later."""
    many = {f"one-{number}": "x" * 70 for number in range(20)}
    for parameters in (many, {"why": "a name with a hidden \u202e turn"}):
        with pytest.raises(NotOfTheStaff, match="the command cannot be signed"):
            act_of(staff, parameters).text()


def test_what_is_long_or_of_persons_is_signed_by_its_digest_with_the_nonce(staff: Staff) -> None:
    """Anyone who has the value can compare it; the logs contain neither names nor words of messages."""
    values = {"why": "because " * MAX_TEXT, "subject": "Kim Karlsson", "organisation": "0203:habo.se"}
    act = act_of(staff, values)
    text = json.loads(act.text())
    for name in ("why", "subject"):
        digest = hashlib.sha256((text["nonce"] + values[name]).encode()).hexdigest()
        assert text["parameters"][name] == f"sha256:{digest}"
    assert text["parameters"]["organisation"] == "0203:habo.se"
    assert len(act.text()) <= MAX_TEXT


def test_no_two_runs_of_a_command_have_the_same_text(staff: Staff) -> None:
    """A signature for another run is not valid for this one, even within the same second."""
    assert act_of(staff, {}).text() != act_of(staff, {}).text()


async def test_a_command_in_two_installations_is_proven_in_each_or_refused(
    installation: Installation, staff: Staff, tmp_path: Path
) -> None:
    """The other installation may have another key, or no one, under that name; the proof fails there."""
    organisation = await installation.organisation([AP])
    other = tmp_path / "other.toml"
    why = ("--reason", "test", "--by", "ola", "--config", staff.config, "--config", other)
    traced = ("trace", organisation.value, str(uuid4()), *why)
    text = staff.config.read_text()
    stranger = text.replace(staff.public(staff.ola), staff.public(staff.key(tmp_path / "stranger")))
    for written, told in (
        (stranger, "not a valid signature by ola"),
        (text.replace('"ola"', '"eva"'), "is not one of the"),
    ):
        other.write_text(written)
        before = len(await refusals(installation))
        ended = await asyncio.to_thread(in_process, *traced)
        assert ended.status == 2
        assert told in ended.complaints
        assert len(await refusals(installation)) == before + 1
    other.write_text(text)
    ended = await asyncio.to_thread(in_process, *traced)
    assert ended.status == 1, ended.complaints


async def test_a_member_of_the_staff_has_a_log_signed_and_a_custodian_states_its_key(
    installation: Installation, staff: Staff, tmp_path: Path
) -> None:
    """Two people, each proven in their own way: the one who runs the command need not be a custodian."""
    organisation = await installation.organisation([AP])
    _, anna, _, secret, *_ = custodians(installation, tmp_path)
    stating = ("--custodian", anna, "--custodian-passphrase-file", secret)
    signing = (
        "log",
        "checkpoint",
        "--organisation",
        organisation.value,
        "--by",
        "ola",
        "--reason",
        "new key",
    )
    ended = await staff.run(*signing, *stating)
    assert (ended.status, ended.complaints) == (0, "")
    found = await entries(installation, organisation)
    (entry,) = (each for each in found if each.event == AdminEvent.ORGANISATION_COMMAND)
    assert (entry.ids["by"], entry.ids["proof"]) == ("ola", "signature")
    assert staff.verifies(entry, staff.ola, tmp_path)
    (stated,) = (each for each in found if each.event == LogEvent.LOG_KEY_STATED)
    assert stated.ids["by"] == f"custodian {anna}"


def act_of(staff: Staff, parameters: Mapping[str, str]) -> Act:
    return Act("ola", "org suspend", parameters, [load(staff.config)], NOW)


@pytest.mark.parametrize(
    "words", [words for words, command in commands().items() if names(command) >= {"by"}], ids=" ".join
)
def test_each_parameter_that_decides_what_is_done_is_signed(words: tuple[str, ...]) -> None:
    """Every parameter is signed except those that do not decide what is done, or have another place.

    Left out are the format of an answer, passphrases, codes on paper, the configuration, and the name
    of the person who runs the command. Where a statement is prepared, that name is the preparer's, and
    the person who states it is signed like everything else.
    """
    command = commands()[words]
    given = {name: f"something of {name}" for name in names(command)}
    left_out = {"prepared_by" if "prepared_by" in given else "by", "config", "as_json", "raw", "language"}
    left_out |= {"by_file", "other_file", "custodian_file", "passphrase_file", "present_file"}
    left_out |= {"officer_file", "code_file"}
    assert signed(command, given) == {name: given[name] for name in given.keys() - left_out}


def test_a_parameter_that_ends_something_is_signed_and_one_that_is_as_by_default_is_not() -> None:
    change = commands()["mailbox", "change"]
    given = {"ended": False, "second_person": None, "undo_seconds": 0, "name": ""}
    assert signed(change, given) == {"ended": "no", "undo_seconds": "0"}
    create = commands()["backup", "create"]
    assert signed(create, {"to": ["age1a", "age1b"], "folder": Path("backup"), "to_file": None}) == {
        "to": "age1a age1b",
        "folder": str(Path("backup").absolute()),
    }


@pytest.mark.parametrize(
    ("lines", "fault"),
    [
        ("keys = []", "has no key"),
        ('keys = ["ssh-rsa AAAA"]', "not a public key of OpenSSH"),
        ('keys = ["{ola}"]', "has a key twice"),
        ('keys = ["{own}"]\nkey_file = "own"', "only a service may have its key in a file"),
    ],
)
def test_keys_that_would_prove_too_much_or_nothing_are_refused(
    staff: Staff, tmp_path: Path, lines: str, fault: str
) -> None:
    own = staff.public(staff.key(tmp_path / "own"))
    with staff.config.open("a") as file:
        file.write('[[staff]]\nname = "eva"\n' + lines.format(ola=staff.public(staff.ola), own=own) + "\n")
    with pytest.raises(ConfigError, match=fault):
        load(staff.config)


class Elsewhere(io.StringIO):
    """A terminal at which a person copies what the command asks for to another one, where the key is."""

    def __init__(
        self, key: Path, *, namespace: str = NAMESPACE, text: str | None = None, answer: str | None = None
    ) -> None:
        super().__init__()
        self._key = key
        self._namespace = namespace
        self._text = text
        self._answer = answer

    def isatty(self) -> bool:
        return True

    def __iter__(self) -> Iterator[str]:  # type: ignore[override]
        assert isinstance(sys.stderr, io.StringIO)
        asked = sys.stderr.getvalue().splitlines()[-1].removeprefix("samdrift: ")
        command = asked.replace("-f KEY", f"-f {self._key}").replace(NAMESPACE, self._namespace)
        if self._text is not None:
            command = re.sub(r"printf %s .* \|", f"printf %s '{self._text}' |", command)
        if self._answer is None:
            ended = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True)
            self._answer = ended.stdout
        return iter(self._answer.splitlines(keepends=True))


@contextlib.contextmanager
def agent(folder: Path, key: Path) -> Iterator[str]:
    """Yield an OpenSSH agent that has one key."""
    socket = str(folder / "agent")
    running = subprocess.Popen(["ssh-agent", "-D", "-a", socket], stdout=subprocess.DEVNULL)
    try:
        while not os.path.exists(socket):
            assert running.poll() is None
        environment = os.environ | {"SSH_AUTH_SOCK": socket}
        subprocess.run(["ssh-add", "-q", str(key)], env=environment, check=True)
        yield socket
    finally:
        running.terminate()
        running.wait()
