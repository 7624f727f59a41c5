"""`samdrift org sign-in`: keys for a SAML service are made, handed over, replaced and destroyed."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from samdrift.administration.events import AdminEvent
from samdrift.config.errors import Unusable
from samdrift.contracts.principals import Role
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.unit.cli.test_org_commands import beside, config_of, refused, staff
from tests.unit.web.samlprovider import NAMES
from tests.vaults import Installation

ROLES = (Role.MESSAGE_CLIENT,)
MK = Role.MESSAGE_CLIENT


@pytest.fixture
async def organisation(installation: Installation) -> ParticipantIdentifier:
    return await installation.organisation([MK])


@pytest.fixture
def config(installation: Installation, organisation: ParticipantIdentifier, tmp_path: Path) -> Path:
    """Return the installation's configuration, with pages of the organisation."""
    file = config_of(installation, tmp_path)
    file.write_text(
        file.read_text().replace("[malware]", '[message_client]\nlisten = "127.0.0.1:443"\n\n[malware]')
        + f'\n[[organisations]]\nidentifier = "{organisation.value}"\nname = "Håbo kommun"\n'
        'roles = ["mk"]\nmessage_client_host = "habo.test"\n'
    )
    return file


async def listed(config: Path, name: str) -> tuple[int, list[tuple[Any, ...]]]:
    status, printed = await beside(config, "sign-in", "list", name, "--json")
    rows = json.loads(printed)["keys"]
    return status, [(row["key"], row["number"], row["state"]) for row in rows]


async def published(config: Path, name: str) -> dict[str, int]:
    """Return the number of certificates in the metadata for each use."""
    _, printed = await beside(config, "sign-in", "metadata", name)
    root = etree.fromstring(printed.encode())
    assert root.get("entityID") == "https://habo.test/sign-in/metadata"
    return {
        use: len(root.findall(f".//md:KeyDescriptor[@use='{use}']", NAMES))
        for use in ("signing", "encryption")
    }


async def test_keys_are_made_handed_over_replaced_with_overlap_and_destroyed(
    installation: Installation, organisation: ParticipantIdentifier, config: Path, tmp_path: Path
) -> None:
    name, persons = organisation.value, staff(installation, tmp_path)
    assert await listed(config, name) == (1, [("signing", None, "missing"), ("encryption", None, "missing")])
    assert "no sign-in keys yet" in await refused(config, "sign-in", "metadata", name)
    assert (await beside(config, "sign-in", "renew", name, *persons))[0] == 0
    assert await listed(config, name) == (0, [("signing", 1, "in use"), ("encryption", 1, "in use")])
    assert await published(config, name) == {"signing": 1, "encryption": 1}
    soon = (datetime.now(UTC) + timedelta(days=7)).isoformat()
    status, printed = await beside(config, "sign-in", "renew", name, *persons, "--from", soon)
    assert (status, "sign-in metadata" in printed) == (0, True)
    assert await listed(config, name) == (
        0,
        [
            ("signing", 2, "planned"),
            ("signing", 1, "in use"),
            ("encryption", 2, "in use"),
            ("encryption", 1, "old"),
        ],
    )
    assert await published(config, name) == {"signing": 2, "encryption": 1}
    async with installation.open(organisation, MK) as vault:
        keys = vault.sign_in_keys()
        assert (len(keys.signing), len(keys.decrypting)) == (2, 2)
    in_use = await refused(config, "sign-in", "retire", name, "signing", "1", *persons)
    assert "is replaced before it is retired" in in_use
    assert "has no" in await refused(config, "sign-in", "retire", name, "encryption", "9", *persons)
    assert (await beside(config, "sign-in", "retire", name, "encryption", "1", *persons))[0] == 0
    assert ("encryption", 1, "old") not in (await listed(config, name))[1]
    async with installation.open(organisation, MK) as vault:
        events = [entry.event for entry in await vault.log()]
    assert events.count(AdminEvent.KEYS_SELF_CERTIFIED) == 4
    assert events.count(AdminEvent.KEYS_RETIRED) == 1


async def test_the_public_keys_of_signed_statements_are_handed_over(
    installation: Installation, organisation: ParticipantIdentifier, config: Path
) -> None:
    _, printed = await beside(config, "sign-in", "jwks", organisation.value)
    (key,) = json.loads(printed)["keys"]
    assert (key["kty"], key["alg"], "d" in key) == ("EC", "ES256", False)
    async with installation.open(organisation, MK) as vault:
        (own,) = vault.token_keys(now=datetime.now(UTC))
    assert own.public.public_numbers().x == int.from_bytes(_decoded(key["x"]))


def _decoded(value: str) -> bytes:
    return base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))


async def test_one_person_makes_no_key_until_another_one_approves(
    installation: Installation, organisation: ParticipantIdentifier, config: Path, tmp_path: Path
) -> None:
    alone = staff(installation, tmp_path)[:4]
    with pytest.raises(Unusable):
        await beside(config, "sign-in", "renew", organisation.value, *alone)
    assert (await listed(config, organisation.value))[1][0] == ("signing", None, "missing")


async def test_an_organisation_without_pages_here_has_no_such_keys(
    installation: Installation, config: Path
) -> None:
    other = await installation.organisation([Role.GOVERNANCE])
    assert "no message client here" in await refused(config, "sign-in", "list", other.value)
