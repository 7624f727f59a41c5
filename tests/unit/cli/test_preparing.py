"""Statements that the operator's staff prepare: the preparer is proven, as with any other command."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from samdrift.administration.events import AdminEvent
from samdrift.audit.entries import LogEntry
from samdrift.cli.persons import login
from samdrift.contracts.principals import Purpose, Role
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.unit.cli.commandtree import commands
from tests.unit.cli.test_proving import Staff, refusals, staff
from tests.vaults import Installation

__all__ = ["staff"]
AP, GOV = Role.ACCESS_POINT, Role.GOVERNANCE
ROLES = (AP, GOV)
PREPARING = {
    *("gov agreement at-end", "gov agreement countersign", "gov agreement end", "gov agreement enter"),
    *("gov agreement extend", "gov agreement notice", "gov agreement object", "gov agreement release"),
    *("gov consent approve", "gov consent request", "gov consent revoke"),
    *("gov emergency account", "gov emergency sign", "gov emergency state"),
    *("gov grant approve", "gov grant end", "gov grant end-all", "gov grant give", "gov grant object"),
    *("gov grant settle", "gov grant sign-over"),
    *("gov incident attach", "gov incident close", "gov incident note", "gov incident open"),
    *("gov incident tell", "gov officer end", "gov officer enrol", "gov officer lost", "gov party state"),
    "log resolve",
    *("gov review answer", "gov review close", "gov review open", "gov statement propose"),
}


def test_every_command_that_writes_what_another_person_signs_asks_who_prepares_it() -> None:
    """Such a command has --out or --folder for the file to sign, and --why, which goes into the statement."""
    asking = {" ".join(words) for words, each in commands().items() if "prepared_by" in names(each)}
    writing = {" ".join(words) for words, each in commands().items() if names(each) >= {"by", "why", "out"}}
    assert asking == PREPARING
    assert writing - asking == set()


async def test_who_prepares_a_statement_for_an_officer_has_signed_that_and_ssh_keygen_verifies_it(
    installation: Installation, staff: Staff, tmp_path: Path
) -> None:
    """The proof comes before the record is read, even if kim turns out not to be allowed to state that."""
    organisation = await installation.organisation([GOV])
    ended = await prepared(staff, organisation, tmp_path / "statement", "--prepared-by", "ola")
    assert "this person may not state that" in ended
    (entry,) = await commands_in(installation, organisation)
    assert (entry.ids["by"], entry.ids["command"], entry.ids["proof"]) == (
        "ola",
        "gov statement propose",
        "signature",
    )
    for part in ('"by":"ola"', '"command":"gov party state"', '"by":"person:kim"', "beslut 12"):
        assert part in entry.ids["proof_text"]
    assert staff.verifies(entry, staff.ola, tmp_path)
    assert not staff.verifies(entry, staff.pia, tmp_path)


@pytest.mark.parametrize("name", ["eva", "pia", None])
async def test_nobody_prepares_a_statement_in_the_name_of_another_or_without_one(
    installation: Installation, staff: Staff, tmp_path: Path, name: str | None
) -> None:
    """The key of pia is not here; without a name the login is used, which is not one of the staff."""
    organisation = await installation.organisation([GOV])
    before = len(await refusals(installation))
    named = () if name is None else ("--prepared-by", name)
    ended = await prepared(staff, organisation, tmp_path / "statement", *named)
    assert ended != ""
    assert not (tmp_path / "statement").exists()
    assert await commands_in(installation, organisation) == [], "the record must not have been read"
    (noted,) = (await refusals(installation))[before:]
    assert (noted["by"], noted["command"]) == (name or login(), "gov party state")


async def test_a_passkey_that_a_person_offers_is_looked_at_under_one_proof(
    installation: Installation, staff: Staff, tmp_path: Path
) -> None:
    """The passkey is read before the statement is prepared: it is one run, which is signed once."""
    organisation = await installation.organisation([GOV])
    offered = ("--offered", "kim", "--name", "Kim", "--by", "kim", "--out", tmp_path / "statement")
    ended = await staff.run("gov", "officer", "enrol", organisation.value, *offered, "--prepared-by", "pia")
    assert "no key of pia is here" in ended.complaints
    ended = await staff.run("gov", "officer", "enrol", organisation.value, *offered, "--prepared-by", "ola")
    assert "offers no key" in ended.complaints
    (entry,) = await commands_in(installation, organisation)
    assert staff.verifies(entry, staff.ola, tmp_path)


async def test_who_prepares_what_officers_decide_about_a_log_has_signed_that(
    installation: Installation, staff: Staff, tmp_path: Path
) -> None:
    """Carrying out the decision also signs the content of their signatures; custodians prove themselves."""
    organisation = await installation.organisation([AP])
    (signature := tmp_path / "kim.sig").write_text("a signature")
    decide = ("log", "resolve", organisation.value, "--role", "ap", "--decision", "incident 14")
    refused = await staff.run(*decide, "--to-sign", tmp_path / "decision", "--prepared-by", "pia")
    assert "no key of pia is here" in refused.complaints
    assert await commands_in(installation, organisation, AP) == []
    await staff.run(*decide, "--signed", signature, "--prepared-by", "ola")
    (found,) = await commands_in(installation, organisation, AP)
    text = json.loads(found.ids["proof_text"])
    assert (found.ids["command"], found.ids["reason"]) == ("log resolve", "incident 14")
    assert text["contents"] == {"signed": hashlib.sha256(b"a signature").hexdigest()}
    assert staff.verifies(found, staff.ola, tmp_path)


def names(command: object) -> set[str]:
    return {each.name for each in command.params}  # type: ignore[attr-defined]


async def prepared(staff: Staff, organisation: ParticipantIdentifier, out: Path, *named: str) -> str:
    """Prepare a statement about a party; return the error output."""
    party = ("SE:212000-0142", "--name", "Driften", "--form", "company")
    signer = ("--by", "person:kim", "--why", "beslut 12", "--out", out)
    ended = await staff.run("gov", "party", "state", organisation.value, *party, *signer, *named)
    return ended.complaints


async def commands_in(
    installation: Installation, organisation: ParticipantIdentifier, role: Role = GOV
) -> list[LogEntry]:
    async with installation.open(organisation, role, Purpose.TRACE) as vault:
        return [each for each in await vault.log() if each.event == AdminEvent.ORGANISATION_COMMAND]
