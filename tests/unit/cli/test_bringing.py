"""Statements signed by others: the member of staff who brings one is proven, and recorded in the log."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path

from samdrift.administration.events import AdminEvent
from samdrift.contracts.principals import Role
from samdrift.net.clock import system_clock
from samdrift.rights import Subject
from samdrift.rights.signing import namespace
from samdrift.rights.statements import Ended, Statement
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.unit.cli.test_preparing import commands_in
from tests.unit.cli.test_proving import Staff, refusals, staff
from tests.vaults import Installation

__all__ = ["staff"]
ROLES = (Role.GOVERNANCE,)
KIM = Subject.parse("person:kim")


def signed(staff: Staff, organisation: ParticipantIdentifier, file: Path, whose: str) -> str:
    """Write a statement signed by a stranger, which is refused when it is brought, and return its digest."""
    at = system_clock().replace(microsecond=0)
    act = Ended(subject=Subject.parse(f"person:{whose}"))
    statement = Statement(organisation.value, KIM, at, "words of the officer", act)
    file.write_bytes(statement.content)
    command = ["ssh-keygen", "-q", "-Y", "sign", "-n", namespace(statement), "-f", staff.pia, file]
    subprocess.run(command, check=True, capture_output=True)
    return statement.digest


async def test_who_brings_a_statement_has_signed_that_and_the_log_has_it_with_its_digest(
    installation: Installation, staff: Staff, tmp_path: Path
) -> None:
    """Refused statements too; the words of a statement that does not hold are not in the log."""
    organisation = await installation.organisation([Role.GOVERNANCE])
    digest = signed(staff, organisation, file := tmp_path / "decision.json", "dag")
    ended = await staff.run("gov", "statement", "append", organisation.value, file, "--by", "ola")
    assert "no key is enrolled that has signed it" in ended.complaints
    found = await commands_in(installation, organisation)
    assert len(found) == 1
    entry = found[0]
    assert (entry.principal, entry.ids["by"], entry.ids["proof"]) == ("operator:ola", "ola", "signature")
    assert (entry.ids["command"], entry.ids["digest"]) == ("gov statement append", digest)
    assert json.loads(entry.ids["proof_text"])["contents"]["file"] == digest
    assert staff.verifies(entry, staff.ola, tmp_path)
    assert "words of the officer" not in repr(entry)


async def test_nobody_brings_a_statement_in_the_name_of_another(
    installation: Installation, staff: Staff, tmp_path: Path
) -> None:
    organisation = await installation.organisation([Role.GOVERNANCE])
    signed(staff, organisation, file := tmp_path / "decision.json", "dag")
    before = len(await refusals(installation))
    ended = await staff.run("gov", "statement", "append", organisation.value, file, "--by", "pia")
    assert "no key of pia is here" in ended.complaints
    assert await commands_in(installation, organisation) == []
    (noted,) = (await refusals(installation))[before:]
    assert (noted["by"], noted["command"]) == ("pia", "gov statement append")


async def test_of_a_folder_of_statements_the_log_has_each_and_the_signed_text_what_sha256sum_prints(
    installation: Installation, staff: Staff, tmp_path: Path
) -> None:
    organisation = await installation.organisation([Role.GOVERNANCE])
    (folder := tmp_path / "over").mkdir()
    digests = [
        signed(staff, organisation, folder / f"000{number}-end.json", whose)
        for number, whose in enumerate(("dag", "eva"), 1)
    ]
    await staff.run("gov", "statement", "append-all", organisation.value, folder, "--by", "ola")
    found = await commands_in(installation, organisation)
    assert [each.event for each in found] == [AdminEvent.ORGANISATION_COMMAND] * 2
    assert [each.ids["digest"] for each in found] == digests
    printed = subprocess.run(
        "LC_ALL=C sha256sum *.json", shell=True, cwd=folder, check=True, capture_output=True
    ).stdout
    contents = json.loads(found[0].ids["proof_text"])["contents"]
    assert contents == {"statements": hashlib.sha256(printed).hexdigest()}
