"""Governance of the demonstration: officers with keys in the folder, and agreements for every role."""

from __future__ import annotations

import stat
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import cast

from samdrift.administration.administration import Administration
from samdrift.administration.covering import standings
from samdrift.contracts.cover import Mode
from samdrift.contracts.principals import Role
from samdrift.demo.cast import with_pages
from samdrift.demo.governing import HOST, OPERATOR, STAFF, VAULT, govern
from samdrift.demo.persons import persons_of
from samdrift.governance.coverage import Basis
from samdrift.governance.duties.catalogue import shipped
from samdrift.governance.records import Records
from samdrift.installation.cover import COVERED_ROLES
from samdrift.rights.agreementfold import Agreements
from samdrift.rights.agreements import Function
from samdrift.rights.consentfold import Stage, approvers, consents_of
from tests.vaults import Installation


async def test_an_organisation_has_officers_and_a_chain_of_agreements_that_covers_every_role(
    installation: Installation, tmp_path: Path
) -> None:
    organisation = await installation.organisation()
    habo = with_pages()[0].organisations[0]
    assert Role.GOVERNANCE in habo.roles
    town, persons = replace(habo, identifier=organisation), persons_of(habo)
    officers = await govern(installation.gate, town, persons, tmp_path)
    now = datetime.now(UTC)
    config = SimpleNamespace(operator=str(OPERATOR))
    beside = cast(Administration, SimpleNamespace(gate=installation.gate, config=config))
    found = await standings(beside, organisation, now)
    assert set(found.roles) == set(COVERED_ROLES)
    assert {(each.mode, each.inherited) for each in found.roles.values()} == {(Mode.ON, False)}
    assert not found.behind
    record = await Records(installation.gate, lambda: now).read(organisation)
    agreements = next(each for each in record.folds if isinstance(each, Agreements))
    performers = {Function(role.value): OPERATOR for role in COVERED_ROLES}
    coverage = Basis(agreements, shipped(), performers).at(now)
    assert coverage.covered, coverage.gaps
    assert {link.performer for link in coverage.links} == {OPERATOR, HOST, VAULT}
    (asked,) = consents_of(record).all()
    assert (asked.stage(now), asked.act.to) == (Stage.WAITING, STAFF)
    assert set(approvers(record, asked, now)) == {each.subject for each in officers}
    assert len(officers) == 2
    assert all(record.state.is_officer(each.subject, now) for each in officers)
    number = record.number
    again = await govern(installation.gate, town, persons, tmp_path)
    assert [each.subject for each in again] == [each.subject for each in officers]
    assert (await Records(installation.gate, lambda: now).read(organisation)).number == number


async def test_officers_sign_with_the_files_by_ssh_keygen(installation: Installation, tmp_path: Path) -> None:
    organisation = await installation.organisation((Role.MESSAGE_SERVICE,))
    habo = with_pages()[0].organisations[0]
    town = replace(habo, identifier=organisation)
    officers = await govern(installation.gate, town, persons_of(habo), tmp_path)
    for each in officers:
        assert stat.S_IMODE(each.file.stat().st_mode) == 0o600
        stated = tmp_path / f"{each.file.name}.statement"
        stated.write_text("stated")
        subprocess.run(
            ["ssh-keygen", "-Y", "sign", "-f", each.file, "-n", "samdrift-grant", stated],
            check=True,
            capture_output=True,
        )
        assert stated.with_name(f"{stated.name}.sig").is_file()
