"""Listings: no name of a file, object, schema, login or channel reveals its organisation."""

from __future__ import annotations

import os
import re
from pathlib import Path

from samdrift.contracts.principals import Role
from tests.separation.vaultlogin import superuser
from tests.vaults import NOW, Installation, body, incoming, message, submitted

RANDOM = re.compile(r"[a-z]{1,2}[0-9a-f]{32}")


async def test_no_name_of_a_file_or_object_says_whose_it_is(installation: Installation) -> None:
    organisation = await installation.organisation()
    large, record = os.urandom(300_000), message(label="Orosanmälan")
    async with installation.open(organisation, Role.ACCESS_POINT) as transfers:
        transfer = await submitted(transfers, large)
        item = incoming()
        await transfers.accept(item, await body(transfers, large), b"<receipt/>", now=NOW)
    async with installation.open(organisation, Role.MESSAGE_SERVICE) as messages:
        await messages.create_outgoing(record, await body(messages, large), now=NOW, lease=None)
    domain = organisation.value.partition(":")[2]
    secrets = {domain, record.id, record.label, transfer.id, transfer.envelope.envelope_id, item.envelope_id}
    settings, names = installation.settings, []
    for place in (settings.database, settings.objects, settings.secrets, settings.seals):
        names += [str(path.relative_to(Path(place))) for path in Path(place).rglob("*")]
    assert len(installation.objects(organisation)) == 3
    assert len(names) > 100
    assert [name for name in names if any(secret in name for secret in secrets)] == []


async def test_no_name_in_the_database_says_whose_it_is(installation: Installation) -> None:
    """Names of schemas, owners, logins and channels that PostgreSQL reveals to other logins are random."""
    seen_by, organisation = await superuser(installation), await installation.organisation()
    rows = seen_by.rows(
        "SELECT vault, schema, login, channel, 'o' || schema FROM registry.registrations"
        " WHERE organisation = %s",
        organisation.value,
    )
    assert len(rows) == len(Role)
    names = [name for row in rows for name in row]
    assert all(RANDOM.fullmatch(name) for name in names)
    assert len({name[-32:] for name in names}) == 4 * len(Role), "no name may be derived from another"


async def test_two_vaults_of_one_organisation_cannot_be_told_to_be_one_ones(
    installation: Installation,
) -> None:
    organisation = await installation.organisation()
    found = [installation.gate.registry.find(organisation, role) for role in Role]
    names = [name for one in found if one for name in (one.vault, one.login, one.channel, one.public_name)]
    assert len(set(names)) == len(names) == 4 * len(Role)
