"""People, mailboxes and rights of the demonstration, and the file that describes them."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from samdrift.cli.demo import app
from samdrift.contracts.principals import Role
from samdrift.demo.cast import HABO, OPERATORS, with_pages
from samdrift.demo.persons import Work, persons_of
from samdrift.demo.settling import settle
from samdrift.messageclient.notices.manning import Manning
from samdrift.messageclient.permissions import Assignments
from samdrift.net.clock import system_clock
from samdrift.rights import Right
from tests.vaults import Installation

MK = Role.MESSAGE_CLIENT


def test_each_organisation_with_pages_has_a_person_of_each_kind() -> None:
    organisations = [each for operator in with_pages() for each in operator.organisations]
    assert len(organisations) == 3
    for organisation in organisations:
        persons = persons_of(organisation)
        assert {each.work for each in persons} == set(Work)
        assert len({each.subject for each in persons}) == len(persons)
        assert MK in organisation.roles
    assert not any(MK in each.roles for operator in OPERATORS for each in operator.organisations)


@pytest.mark.parametrize("times", [1, 2])
async def test_rights_are_given_once_and_to_those_alone_who_shall_have_them(
    installation: Installation, times: int
) -> None:
    organisation = await installation.organisation([MK])
    habo = replace(with_pages()[0].organisations[0], identifier=organisation)
    own = SimpleNamespace(
        identifier=organisation,
        sign_in=SimpleNamespace(issuer="http://localhost:1/habo"),
        message_client_host="habo.localhost",
    )
    client = SimpleNamespace(public_port=443)
    config: Any = SimpleNamespace(organisations=[own], message_client=client)
    for _ in range(times):
        pages = await settle(installation.gate, config, habo, persons_of(HABO))
    assert [page.url for page in pages] == ["http://habo.localhost:443/"] * 6
    async with installation.open(organisation, MK) as vault:
        mailboxes = {one.name: one.id for one in await vault.mailboxes()}
        assert len(await vault.persons()) == 6
        assert await vault.last_statement() == 9
        limits = {box: Manning.read(each).escalate_after for box, each in (await vault.manning()).items()}
        assert limits == {mailboxes["Socialtjänsten"]: 1}
    assigned = await Assignments(installation.gate.worker("test", MK), system_clock).now(organisation)
    read = {
        name: [each.name for each in assigned.readers(box) if Right.READ in each.rights]
        for name, box in mailboxes.items()
    }
    assert read == {
        "Socialtjänsten": ["Ali Demir", "Anna Andersson", "Bo Berg", "Eva Ek"],
        "Registrator": ["Bo Berg"],
    }


def test_the_help_names_the_file_for_scripts() -> None:
    shown = CliRunner().invoke(app, ["--help"])
    assert "--ready" in shown.output
