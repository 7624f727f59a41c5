"""`samdrift gov who-can`, `who-could` and `who-did`, as typed while the installation runs."""

from __future__ import annotations

import asyncio
import csv
import json
from base64 import b64decode
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from samdrift.administration.administration import Administration
from samdrift.attestation.signatures import holds, signer
from samdrift.cli.gov import who
from samdrift.config.errors import Unusable
from samdrift.contracts.principals import Principal, PrincipalKind, Purpose, Role
from samdrift.governance.whodoors import DoorEvent
from samdrift.keystore.keyfiles import KeyName
from samdrift.messageclient.events import MKEvent
from samdrift.vault.errors import VaultUnavailable
from samdrift.vault.openkeys import open_keys
from samdrift.vault.people import Identity
from samdrift.vault.registry import RegistrationState
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.programs import requires
from tests.unit.cli import test_gov_signing
from tests.unit.cli.commandline import in_process
from tests.unit.cli.test_gov_signing import Desk, in_another_second, in_days, opened
from tests.vaults import Installation

pytestmark = requires("ssh-keygen", "openssh-client")
config, two = test_gov_signing.config, test_gov_signing.two
MAILBOX = "6c1d0a"
GIVEN = ("--rights", "read", "--mailbox", MAILBOX, "--until", in_days(240))


async def asked(desk: Desk, question: str, *words: str | Path) -> dict[str, Any]:
    return json.loads(await desk.run(question, *words, "--json"))  # type: ignore[no-any-return]


async def given(installation: Installation, config: Path, two: list[str], folder: Path) -> Desk:
    """Kim has granted a right to Dag, whose sign-in the message client knows."""
    desk = await opened(installation, config, two, folder)
    await desk.state("kim", "grant give", "--to", "dag", *GIVEN, "--by", "kim")
    in_another_second()
    return desk


async def consent(desk: Desk) -> None:
    """Consent, as Kim, to one of the operator's staff seeing metadata."""
    asked_for = ("--extent", "everything", "--ground", "security", "--ticket", "INC-1")
    await desk.state("kim", "consent request", *asked_for, "--to", "operator:ola", "--by", "kim")


async def test_each_way_in_is_there_with_what_it_rests_on(
    installation: Installation, config: Path, two: list[str], tmp_path: Path
) -> None:
    desk = await given(installation, config, two, tmp_path)
    found = await asked(desk, "who-can")
    kinds = {each["kind"] for each in found["paths"]}
    assert kinds >= {
        *("person", "signing-key", "custodian", "database-login", "stored-key", "system-account"),
        "operator-account",
    }
    (dag,) = [each for each in found["paths"] if each["who"] == "person:dag"]
    assert (dag["can"], dag["where"], dag["by"]) == (["read"], f"mailbox:{MAILBOX}", "person:kim")
    assert dag["statements"][0].startswith("S")
    logins = {each["who"] for each in found["paths"] if each["kind"] == "database-login"}
    registry = installation.gate.registry.all()
    assert logins >= {one.login for one in registry if one.organisation == desk.organisation}
    assert not logins & {one.login for one in registry if one.organisation != desk.organisation}
    assert {"custodian:anna", "custodian:bo"} <= {each["who"] for each in found["paths"]}
    assert found["logs"] == ["gov", "mk"]
    assert found["doors_counted"] is not None


async def test_doors_are_logged_once_and_again_when_they_change(
    installation: Installation, config: Path, two: list[str], tmp_path: Path
) -> None:
    desk = await given(installation, config, two, tmp_path)

    async def counted() -> list[str]:
        await asked(desk, "who-can")
        async with installation.open(desk.organisation, Role.GOVERNANCE) as vault:
            return [each.event for each in await vault.log(limit=10_000) if each.event in tuple(DoorEvent)]

    first, second = await counted(), await counted()
    assert first.count(DoorEvent.GOV_DOOR_SEEN) > 5
    assert [*first, DoorEvent.GOV_DOORS_COUNTED] == second, (
        "a second count without changes must add only its own entry"
    )


async def test_a_timer_counts_for_every_organisation_and_names_those_that_could_not_be_counted(
    installation: Installation, config: Path, two: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = await given(installation, config, two, tmp_path)
    other = await installation.organisation([Role.GOVERNANCE])

    async def counted(organisation: ParticipantIdentifier) -> int:
        async with installation.open(organisation, Role.GOVERNANCE) as vault:
            entries = await vault.log(limit=10_000)
        return sum(each.event == DoorEvent.GOV_DOORS_COUNTED for each in entries)

    left = {
        str(one.organisation)
        for one in await installation.provisioner.registrations()
        if one.role is Role.GOVERNANCE and one.state is RegistrationState.SUSPENDED
    }
    """Organisations that other tests have suspended, whose vaults do not open."""

    def named(output: str) -> list[str]:
        return [line.partition(": ")[0] for line in output.splitlines()]

    why = ("count-doors", "--reason", "daily", "--config", str(config))
    ended = await asyncio.to_thread(in_process, "gov", *why)
    assert (ended.status, named(ended.output)) == (int(bool(left)), sorted(left))
    assert [await counted(each) for each in (desk.organisation, other)] == [1, 1]
    count_doors = who.count_doors

    async def locked(beside: Administration, organisation: ParticipantIdentifier) -> None:
        if organisation == other:
            raise VaultUnavailable
        await count_doors(beside, organisation)

    monkeypatch.setattr(who, "count_doors", locked)
    ended = await asyncio.to_thread(in_process, "gov", *why)
    assert ended.status == 1
    assert named(ended.output) == sorted({*left, str(other)})
    assert [await counted(each) for each in (desk.organisation, other)] == [2, 1]
    stranger = await installation.organisation([Role.MESSAGE_CLIENT])
    ended = await asyncio.to_thread(in_process, "gov", *why, "--organisation", str(stranger))
    assert ended.status == 2


async def test_the_answer_is_signed_and_its_files_beside_themselves(
    installation: Installation, config: Path, two: list[str], tmp_path: Path
) -> None:
    desk = await given(installation, config, two, tmp_path)
    registration = installation.gate.registry.find(desk.organisation, Role.MESSAGE_CLIENT)
    assert registration is not None
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "log")])
    until = datetime.now(UTC) + timedelta(days=9)
    keys = open_keys(installation.settings)
    keys.create_certified_key(registration.vault, KeyName.LOG_SIGNING, name, until)
    table, page = tmp_path / "who.csv", tmp_path / "who.html"
    found = await asked(desk, "who-can", "--csv", table, "--html", page)
    signature = found.pop("signature")
    assert signature is not None
    assert signer(found, signature) is not None
    assert signer({**found, "organisation": "0203:other.se"}, signature) is None
    for file in (table, page):
        beside = json.loads(file.with_name(f"{file.name}.signature.json").read_text())
        certificate = x509.load_pem_x509_certificate(beside["certificate"].encode())
        assert holds(file.read_bytes(), b64decode(beside["value"]), certificate)
    rows = list(csv.DictReader(table.read_text("utf-8-sig").splitlines()))
    assert len(rows) == len(found["paths"])
    assert "Vilka kan nå" in page.read_text()
    with pytest.raises(Unusable):
        await desk.run("who-can", "--csv", table)


async def test_a_group_is_there_with_its_members_as_of_their_latest_sign_in(
    installation: Installation, config: Path, two: list[str], tmp_path: Path
) -> None:
    desk = await given(installation, config, two, tmp_path)
    claim = "claim:https://login.example.se#groups=skola"
    await desk.state("kim", "grant give", "--to", claim, *GIVEN, "--by", "kim")
    async with installation.open(desk.organisation, Role.MESSAGE_CLIENT) as vault:
        person = await vault.know_person(
            Identity("https://login.example.se", "sub-1", "Bo Berg", {"groups": ("skola", "annat")})
        )
        await vault.know_person(Identity("https://login.example.se", "sub-2", "Eva", {"groups": ("annat",)}))
    in_another_second()
    found = await asked(desk, "who-can")
    members = [each for each in found["paths"] if each["kind"] == "member"]
    assert [(each["who"], each["through"], each["can"]) for each in members] == [
        (f"person:{person}", claim, ["read"])
    ]
    page = tmp_path / "page.html"
    await desk.run("who-can", "--html", page)
    assert "Bo Berg" in page.read_text(), "the page must show names, not ids"


async def test_a_day_is_the_same_whenever_it_is_asked_for(
    installation: Installation, config: Path, two: list[str], tmp_path: Path
) -> None:
    desk = await given(installation, config, two, tmp_path)
    yesterday = (datetime.now(UTC) - timedelta(days=1)).date().isoformat()
    before = await desk.run("who-can", "--on", yesterday, "--json")
    assert json.loads(before)["paths"] == []
    assert json.loads(before)["doors_counted"] is None, "a day without a count must not show one"
    await desk.state("kim", "grant give", "--to", "eva", *GIVEN, "--by", "kim")
    await desk.run("who-can")
    assert await desk.run("who-can", "--on", yesterday, "--json") == before


async def test_what_came_between_two_days_and_who_could_since_then(
    installation: Installation, config: Path, two: list[str], tmp_path: Path
) -> None:
    desk = await given(installation, config, two, tmp_path)
    yesterday = (datetime.now(UTC) - timedelta(days=1)).date().isoformat()
    found = await asked(desk, "who-can", "--from", yesterday)
    assert {each["who"] for each in found["came"]} >= {"person:dag", "person:kim", "custodian:bo"}
    assert found["went"] == []
    number = next(each["statements"][0][1:] for each in found["came"] if each["who"] == "person:dag")
    await desk.state("kim", "grant end", number, "--by", "kim")
    in_another_second()
    assert not [each for each in (await asked(desk, "who-can"))["paths"] if each["who"] == "person:dag"]
    could = await asked(desk, "who-could", "--from", yesterday)
    (dag,) = [each for each in could["paths"] if each["who"] == "person:dag"]
    assert dag["ended"] is not None


async def test_who_did_counts_what_each_log_has(
    installation: Installation, config: Path, two: list[str], tmp_path: Path
) -> None:
    desk = await given(installation, config, two, tmp_path)
    reader = Principal(PrincipalKind.USER, "dag", desk.organisation.value)
    for _ in range(3):
        async with installation.gate.open(
            reader, desk.organisation, Role.MESSAGE_CLIENT, Purpose.READ
        ) as vault:
            vault.record(MKEvent.MK_READING_MESSAGE, mailbox=MAILBOX)
    today = datetime.now(UTC).date()
    since = ("--from", (today - timedelta(days=1)).isoformat(), "--by", "ola")
    with pytest.raises(Unusable, match="no consent covers that"):
        await asked(desk, "who-did", *since)
    await consent(desk)
    found = await asked(desk, "who-did", *since)
    deeds = {(each["who"], each["did"], each["where"]): each["times"] for each in found["deeds"]}
    assert deeds["person:dag", "mk:reading:message", MAILBOX] == 3
    assert ("person:kim", "gov:statement:kept", "") in deeds
    assert ("custodian:anna", "custody:two-persons:agreed", "") in deeds
    for question in (("who-can",), ("who-could", *since[:2])):
        within = await asked(desk, *question, "--by", "ola")
        (dag,) = [each for each in within["paths"] if each["who"] == "person:dag"]
        assert within["use_shown"]
        assert dag["used"] is not None
        without = await asked(desk, *question, "--by", "pia")
        (dag,) = [each for each in without["paths"] if each["who"] == "person:dag"]
        assert not without["use_shown"]
        assert dag["used"] is None, "the time of use is metadata, for which Pia has no consent"
    (session,) = [
        each for each in (await asked(desk, "who-can"))["paths"] if each["kind"] == "support-session"
    ]
    assert (session["who"], session["can"], session["by"]) == ("operator:ola", ["metadata"], "person:kim")
    old = await asked(desk, "who-did", "--on", "2026-01-01", "--by", "ola")
    assert old["deeds"] == []


@pytest.mark.parametrize(
    "words",
    [
        ("who-can", "--on", "yesterday"),
        ("who-can", "--on", "2026-03-03", "--from", "2026-03-01"),
        ("who-can", "--to", "2026-03-03"),
        ("who-could",),
        ("who-did",),
        ("who-did", "--to", "2026-03-03"),
        ("who-could", "--from", "2026-03-03", "--to", "2026-03-01"),
        ("who-could", "--from", "9999-12-31"),
        ("who-can", "--on", "2026-03-03", "--language", "fi"),
    ],
)
async def test_a_question_that_is_none_is_refused_with_the_reason(
    installation: Installation, config: Path, tmp_path: Path, words: tuple[str, ...]
) -> None:
    desk = Desk(config, await installation.organisation([Role.GOVERNANCE]), tmp_path)
    with pytest.raises(Unusable):
        await desk.run(*words)


async def test_an_organisation_without_governance_is_told_so(
    installation: Installation, config: Path, tmp_path: Path
) -> None:
    desk = Desk(config, await installation.organisation([Role.MESSAGE_CLIENT]), tmp_path)
    with pytest.raises(Unusable, match="no governance here"):
        await desk.run("who-can")
