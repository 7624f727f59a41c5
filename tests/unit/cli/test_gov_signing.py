"""`samdrift gov officer`, `grant` and `statement`: people sign with `ssh-keygen`; anyone can verify it."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from samdrift.administration.events import AdminEvent
from samdrift.cli.gov import app
from samdrift.cli.gov.records import WITHOUT_LOG
from samdrift.cli.mailbox import app as mailbox
from samdrift.config.errors import Unusable
from samdrift.contracts.principals import Principal, PrincipalKind, Purpose, Role
from samdrift.net import clock
from samdrift.rights import ORGANISATION, Ended, Given, Right, Rights, Subject
from samdrift.rights.enrolment import WAITING_TIME
from samdrift.vault.events import VaultEvent
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.programs import requires
from tests.secretfiles import secret_file
from tests.unit.audit.logs import Log
from tests.unit.cli import test_org_commands
from tests.unit.rights.building import ANNA, BO, CILLA, KARIN
from tests.unit.rights.signers import Authenticator, House, founded
from tests.unit.rights.test_record import lived_in
from tests.vaults import Installation

pytestmark = requires("ssh-keygen", "openssh-client")
config = test_org_commands.config
ALEX = Subject.parse("person:alex")

READS = frozenset(
    {
        *("officer list", "grant list", "party list", "agreement list", "statement list", "statement show"),
        *("statement copy", "export", "coverage", "report", "who-can", "who-could", "who-did"),
        *("incident list", "incident reached", "incident draft"),
        *("review list", "review show", "review remind"),
    }
)


@dataclass(frozen=True)
class Desk:
    """An organisation, the operator's commands, and people with keys of their own."""

    config: Path
    organisation: ParticipantIdentifier
    folder: Path

    def key(self, name: str) -> Path:
        """Return the public key of a person, which is made on that person's own machine."""
        file = self.folder / name
        if not file.exists():
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", file], check=True)
        return file.with_suffix(".pub")

    async def run(self, *words: str | Path, whose: bool = True) -> str:
        """Run a command while the installation runs in this loop; return what it printed."""
        command, *rest = words
        both = str(command).split()
        organisation = [str(self.organisation)] if whose else []
        why = ("--reason", "test") if str(command) in READS else ()
        arguments = [*both, *organisation, *map(str, rest), *why, "--config", str(self.config)]
        ended = await asyncio.to_thread(CliRunner().invoke, app, arguments, standalone_mode=False)
        if ended.exception is not None:
            raise ended.exception
        return ended.stdout

    async def signed(self, name: str, *words: str | Path) -> tuple[Path, str]:
        """Write a statement to be signed, and sign it with the command that is shown."""
        file = self.folder / f"statement-{hashlib.sha256(repr((name, words)).encode()).hexdigest()[:8]}"
        shown = await self.run(*words, "--out", file, "--why", "beslut 12")
        (command,) = re.findall(r"^  (ssh-keygen .*)$", shown, re.MULTILINE)
        ready = [str(self.folder / name) if word == "KEY" else word for word in shlex.split(command)]
        subprocess.run(ready, check=True, capture_output=True)
        return file, shown

    async def state(self, name: str, *words: str | Path) -> dict[str, Any]:
        """Sign a statement and append it."""
        file, _ = await self.signed(name, *words)
        return json.loads(await self.run("statement append", file, "--json"))  # type: ignore[no-any-return]


class _Ahead(datetime):
    """The time as commands in the test's process read it, so that they need not wait for the next second."""

    seconds = 0.0

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
        return datetime.now(tz) + timedelta(seconds=cls.seconds)


def in_days(days: int) -> str:
    """Return a future day as options accept it; a fixed date in the test would pass."""
    return (datetime.now(UTC) + timedelta(days=days)).date().isoformat()


def in_another_second(further: float = 0) -> None:
    """Move on to the next second, when new statements lend authority, and some seconds further.

    Statements have no fractions of a second.
    """
    _Ahead.seconds += 1 + further


@pytest.fixture
def two(installation: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return two custodians, and a clock that :func:`in_another_second` moves on."""
    monkeypatch.setattr(_Ahead, "seconds", 0)
    monkeypatch.setattr(clock, "datetime", _Ahead)
    return test_org_commands.staff(installation, tmp_path)


async def opened(installation: Installation, config: Path, two: list[str], folder: Path) -> Desk:
    """Return an organisation whose two officers were enrolled by two custodians; the second waits a week."""
    organisation = await installation.organisation([Role.GOVERNANCE, Role.MESSAGE_CLIENT])
    desk = Desk(config, organisation, folder)
    for name, role in (("kim", "administrator"), ("alex", "security-officer")):
        enrol = ("officer enrol", "--key", desk.key(name), "--name", name, "--person", name)
        await desk.run(*enrol, "--role", role, *two)
        in_another_second()
    return desk


async def test_officers_enrol_give_approve_review_and_end_with_their_own_keys(
    installation: Installation, config: Path, two: list[str], tmp_path: Path
) -> None:
    organisation = await installation.organisation([Role.GOVERNANCE, Role.MESSAGE_CLIENT])
    desk = Desk(config, organisation, tmp_path)
    first = ("officer enrol", "--key", desk.key("kim"), "--name", "Kim Åberg", "--person", "kim")
    with pytest.raises(Unusable, match="name the other one by --with"):
        await desk.run(*first, "--role", "administrator", *two[:4])
    made = await desk.run(*first, "--role", "administrator", *two)
    assert made.startswith("person:kim  Kim Åberg  ")
    assert "begins" not in made
    in_another_second()  # A role gives authority only after the second in which it begins.

    second = ("officer enrol", "--key", desk.key("alex"), "--name", "Alex", "--person", "alex")
    asked = await desk.state("kim", *second, "--by", "kim")
    assert asked["effect"] == "waiting"
    with pytest.raises(Unusable, match="approve their own request"):
        await desk.signed("kim", "grant approve", str(asked["statement"]), "--by", "kim")

    listed = json.loads(await desk.run("officer list", "--json"))["officers"]
    assert {row["person"]: row["state"] for row in listed} == {
        "custodian:anna": "in force",
        "custodian:bo": "in force",
        "person:kim": "in force",
        "person:alex": "waits",
    }
    given = ("grant give", "--to", "dag", "--rights", "read,write", "--mailbox", "skola")
    file, shown = await desk.signed("kim", *given, "--until", in_days(60), "--by", "kim")
    assert re.search(r"by +person:kim \(Kim Åberg\)", shown)
    assert re.search(r"rights +read, write", shown)
    assert re.search(r"where +mailbox:skola", shown)
    await desk.run("statement append", file)
    with pytest.raises(Unusable, match="already in the record"):
        await desk.run("statement append", file)
    (role, grant) = json.loads(await desk.run("grant list", "--json"))["grants"]
    assert (role["rights"], grant["to"], grant["rights"]) == ("administrator", "person:dag", "read, write")
    number = str(grant["statements"][0])
    await desk.state("kim", "review answer", number, "--outcome", "remove", "--by", "kim")
    assert len(json.loads(await desk.run("grant list", "--json"))["grants"]) == 1
    assert "gives a right" in await desk.run("statement list", "--number", number)


async def test_a_substitute_is_appointed_listed_and_ended_by_command(
    installation: Installation, config: Path, two: list[str], tmp_path: Path
) -> None:
    """Only the organisation can grant rights to content: a person signs, and the operator cannot."""
    desk = await opened(installation, config, two, tmp_path)
    end = datetime.now(UTC) + timedelta(days=30)
    where = ("--mailbox", "skola", "--until", f"{end:%Y-%m-%d}", "--by", "kim")
    await desk.state("kim", "grant give", "--to", "dag", "--rights", "read,write", *where)
    appointed = await desk.state("kim", "grant give", "--to", "eva", "--for", "dag", *where)
    assert appointed["effect"] == "taken"
    with pytest.raises(Unusable, match="either --rights or, for a substitute, --for"):
        await desk.signed("kim", "grant give", "--to", "eva", "--for", "dag", "--rights", "read", *where)

    async def substitutes() -> list[tuple[str, str, str]]:
        command = ["rights", str(desk.organisation), "--json", "--reason", "test", "--config", str(config)]
        ended = await asyncio.to_thread(CliRunner().invoke, mailbox, command, standalone_mode=False)
        found = json.loads(ended.stdout)["rights"]
        return [(one["to"], one["what"], one["scope"]) for one in found if one["what"].startswith("for ")]

    assert await substitutes() == [("person:eva", "for person:dag", "mailbox:skola")]
    listed = json.loads(await desk.run("grant list", "--json"))["grants"]
    assert [one["rights"] for one in listed if one["to"].startswith("person:eva")] == ["for person:dag"]
    await desk.state("kim", "grant end", str(appointed["statement"]), "--by", "kim")
    assert await substitutes() == []


async def test_what_has_ended_by_what_a_witness_signed_gives_nobody_authority_by_a_clock_set_back(
    installation: Installation, config: Path, two: list[str], tmp_path: Path
) -> None:
    """A statement is judged by the same time when it is written to be signed as when it is appended."""
    desk = await opened(installation, config, two, tmp_path)
    given = ("grant give", "--to", "dag", "--rights", "read", "--mailbox", "skola", "--by", "kim")
    await desk.signed("kim", *given, "--until", in_days(60))
    later = datetime.now(UTC) + 3 * timedelta(days=365)
    await installation.witness(desk.organisation, Role.GOVERNANCE, later)
    with pytest.raises(Unusable, match="may not state that"):
        await desk.signed("kim", *given, "--until", in_days(3 * 365 + 60))
    # By the witnessed time the officers' keys have expired too, so custodians enrol an officer again.
    again = ("officer enrol", "--key", desk.key("eva"), "--name", "Eva", "--person", "eva")
    assert (await desk.run(*again, "--role", "administrator", *two)).startswith("person:eva  Eva  ")


async def test_a_statement_of_any_kind_is_proposed_from_a_file(
    installation: Installation, config: Path, two: list[str], tmp_path: Path
) -> None:
    desk = await opened(installation, config, two, tmp_path)
    act = tmp_path / "act.json"
    act.write_text(json.dumps({"kind": "end", "to": "person:dag"}))
    done = await desk.state("kim", "statement propose", act, "--by", "kim")
    assert (done["effect"], done["behind"]) == ("taken", [])
    assert await desk.run("statement copy") == ""
    wrong = ("[]", "{", '{"kind":"end","at":"x"}', '{"kind":"end"}', '{"kind":"no such kind"}')
    for number, text in enumerate(wrong):
        act.write_text(text)
        out = ("--by", "kim", "--why", "beslut 12", "--out", tmp_path / str(number))
        with pytest.raises(Unusable, match=r"act\.json"):
            await desk.run("statement propose", act, *out)
        assert not (tmp_path / str(number)).exists()


async def test_what_another_key_signed_is_refused_and_logged(
    installation: Installation, config: Path, two: list[str], tmp_path: Path
) -> None:
    desk = await opened(installation, config, two, tmp_path)
    desk.key("mallory")
    given = ("grant give", "--to", "dag", "--rights", "read", "--mailbox", "skola", "--until", in_days(60))
    file, _ = await desk.signed("mallory", *given, "--by", "kim")
    with pytest.raises(Unusable, match="no key is enrolled that has signed it"):
        await desk.run("statement append", file)
    async with installation.open(desk.organisation, Role.GOVERNANCE) as vault:
        entries = [entry for entry in await vault.log() if entry.event == "gov:statement:refused"]
    assert [entry.ids["reason"] for entry in entries] == ["unknown-key"]
    later = await desk.run("officer list", "--json")
    assert [row["state"] for row in json.loads(later)["officers"] if row["person"] == "person:alex"] == [
        "begins later"
    ], "custodians may add an officer only with a delay while another has a key"


async def test_a_code_on_paper_brings_a_lone_officer_back(
    installation: Installation, config: Path, two: list[str], tmp_path: Path
) -> None:
    organisation = await installation.organisation([Role.GOVERNANCE])
    desk = Desk(config, organisation, tmp_path)
    await desk.run(
        *("officer enrol", "--key", desk.key("kim"), "--name", "Kim", "--person", "kim"),
        *("--role", "administrator", *two),
    )
    in_another_second()
    ended = CliRunner().invoke(app, ["officer", "code", "--out", str(tmp_path / "code.pub")])
    (code,) = re.findall(r"^  ([A-Z2-7-]{39})$", ended.stdout, re.MULTILINE)
    wrong = secret_file(tmp_path / "wrong", b"ABCD-EFGH")
    secret_file(tmp_path / "code", code.lower().encode())
    paper = ("officer enrol", "--key", tmp_path / "code.pub", "--name", "Kim", "--person", "kim", "--paper")
    asked = await desk.state("kim", *paper, "--by", "kim")
    await desk.run("officer confirm", str(asked["statement"]), *two[:4])
    listed = json.loads(await desk.run("officer list", "--json"))["officers"]
    assert [row["state"] for row in listed if row["person"] == "person:kim"] == ["in force", "in force"]

    await desk.state("kim", "officer lost", listed[2]["key"][:12], "--since", "2026-01-31", "--by", "kim")
    new = ("officer enrol", "--key", desk.key("new"), "--name", "Kim", "--person", "kim", "--by", "kim")
    file = tmp_path / "by-paper"
    await desk.run(*new, "--out", file, "--why", "borttappad nyckel")
    with pytest.raises(Unusable, match="that is not a code"):
        await desk.run("statement append", file, "--code-file", wrong)
    shown = await desk.run("statement append", file, "--code-file", tmp_path / "code")
    assert "taken" in shown
    with pytest.raises(Unusable, match="has that key"):
        await desk.run(*new, "--out", tmp_path / "again", "--why", "en gång till")
    await desk.state("new", "grant end-all", "--to", "dag", "--by", "kim")


def test_a_record_is_verified_without_an_installation(tmp_path: Path) -> None:
    """Both the command and a script that imports none of our code can verify it."""
    house = lived_in()
    house.enrolled(Authenticator(ALEX, 6, rsa=True), by=ANNA, approver=BO)
    house.given(Right.ADMINISTRATOR, ALEX, ANNA, KARIN)
    house.state(ALEX, Ended(subject=CILLA))
    export = tmp_path / "record"
    export.write_bytes(b"".join(each.signed.content + b"\n" for each in house.record.entries))
    ended = CliRunner().invoke(app, ["verify", str(export), "--json"], standalone_mode=False)
    found = json.loads(ended.stdout)
    assert (found["valid"], found["statements"]) == (True, house.record.number)
    assert [each["name"] for each in found["custodians"]] == ["karin", "kurt"]
    known = found["custodians"][0]["key"]
    strangers = CliRunner().invoke(
        app, ["verify", str(export), "--custodian", known, "--json"], standalone_mode=False
    )
    assert strangers.return_value == 1
    assert [each["name"] for each in json.loads(strangers.stdout)["strangers"]] == ["kurt"]
    script = Path(__file__).parents[2] / "interop" / "signed" / "verify.py"
    other = subprocess.run(
        [sys.executable, "-P", script, export], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert other.returncode == 0, other.stderr
    counted = json.loads(other.stdout)
    assert counted["statements"] == house.record.number
    assert counted["sshsig"] + counted["webauthn"] == house.record.number
    assert min(counted["sshsig"], counted["webauthn"]) > 2


def verified_with_log(folder: Path, house: House, off: timedelta = timedelta()) -> tuple[int, dict[str, Any]]:
    """Verify a record with a log, in which the last statement came at another time than it says."""
    (export := folder / "record").write_bytes(
        b"".join(each.signed.content + b"\n" for each in house.record.entries)
    )
    log, last = Log(), house.record.entries[-1]
    for each in house.record.entries:
        at = each.statement.at + (off if each is last else timedelta(seconds=30))
        facts = {"statement": str(each.number), "sha256": hashlib.sha256(each.signed.content).hexdigest()}
        log.add(VaultEvent.GOV_STATEMENT_KEPT, at, bytes(16), **facts)
    log.add(VaultEvent.GOV_STATEMENT_KEPT, at + timedelta(days=9), bytes(16), **facts)  # Stored again.
    log.sign(house.now + timedelta(days=10))
    words = ["verify", str(export), "--log", str(log.write(folder / "log")), "--json"]
    ended = CliRunner().invoke(app, words, standalone_mode=False)
    return ended.return_value, json.loads(ended.stdout)


@pytest.mark.parametrize("off", [timedelta(hours=23), timedelta(days=2), timedelta(hours=-1)])
def test_a_statement_that_states_another_time_than_the_log_is_a_finding(
    tmp_path: Path, off: timedelta
) -> None:
    house = lived_in()
    status, found = verified_with_log(tmp_path, house, off)
    late = [] if off == timedelta(hours=23) else [house.record.number]
    assert (status, found["not_at_its_time"], found["not_in_log"]) == (1 if late else 0, late, [])


def test_a_role_of_custodians_that_waited_no_week_by_the_log_does_not_hold(tmp_path: Path) -> None:
    """Both custodians date it back by most of a day, which only the log shows."""
    house = founded()
    start = house.now + WAITING_TIME + timedelta(hours=1)
    what = Rights(CILLA, ORGANISATION, frozenset({Right.ADMINISTRATOR}))
    house.state(KARIN, Given(what, start, start + timedelta(days=9), asked=True))
    assert verified_with_log(tmp_path, house)[0] == 0
    (tmp_path / "record").unlink()
    (tmp_path / "log").unlink()
    status, found = verified_with_log(tmp_path, house, timedelta(hours=20))
    assert (status, found["first_wrong"], found["not_at_its_time"]) == (1, house.record.number, [])


def test_a_record_without_a_log_says_what_it_cannot_know(tmp_path: Path) -> None:
    export = tmp_path / "record"
    export.write_bytes(b"".join(each.signed.content + b"\n" for each in founded().record.entries))
    ended = CliRunner().invoke(app, ["verify", str(export)], standalone_mode=False)
    first, *_, last = ended.stdout.splitlines()
    assert ended.return_value == WITHOUT_LOG
    assert first.startswith("without --log: nobody says when")
    assert last == "the signatures and rules hold; no log was compared"


@pytest.mark.parametrize("change", ["a byte", "left out", "not an export", "empty"])
def test_a_changed_record_does_not_hold(tmp_path: Path, change: str) -> None:
    contents = [each.signed.content for each in founded().record.entries]
    if change == "a byte":
        contents[4] = contents[4].replace(b"beslut 12", b"beslut 13")
    elif change == "left out":
        del contents[2]
    export = tmp_path / "record"
    export.write_bytes({"not an export": b"{}\n", "empty": b""}.get(change, b"\n".join([*contents, b""])))
    if change == "empty":
        with pytest.raises(Unusable, match="is not an export"):
            raise CliRunner().invoke(app, ["verify", str(export)], standalone_mode=False).exception  # type: ignore[misc]
        return
    ended = CliRunner().invoke(app, ["verify", str(export), "--json"], standalone_mode=False)
    found = json.loads(ended.stdout)
    assert ended.return_value == 1
    assert not found["valid"]
    assert found["first_wrong"] in (1, 3, 4, 5, 6)
    script = Path(__file__).parents[2] / "interop" / "signed" / "verify.py"
    if change == "a byte":
        other = subprocess.run([sys.executable, "-P", script, export], capture_output=True, check=False)
        assert other.returncode == 1


async def test_who_reads_the_record_and_why_is_in_the_organisations_log_first(
    installation: Installation, config: Path, two: list[str], tmp_path: Path
) -> None:
    desk = await opened(installation, config, two, tmp_path)
    asked = ("officer list", "grant list", "statement list", "party list", "agreement list", "coverage")
    for command in asked:
        await desk.run(command, "--by", "erik")
    await desk.signed("kim", "grant end-all", "--to", "alex", "--by", "kim")
    reader = Principal(PrincipalKind.WORKER, "test")
    async with installation.gate.open(reader, desk.organisation, Role.GOVERNANCE, Purpose.EXPORT) as vault:
        entries = [one for one in await vault.log(0, 1000) if one.event == AdminEvent.ORGANISATION_COMMAND]
    told = [(one.ids["command"], one.ids["by"], one.ids["reason"]) for one in entries]
    assert told[:6] == [(f"gov {each}", "erik", "test") for each in asked]
    assert (told[6][0], told[6][2]) == ("gov statement propose", "beslut 12")
