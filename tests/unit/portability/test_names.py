"""The table of names has everyone whom an organisation's logs identify by an id."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pyrage

from samdrift.contracts.principals import Role
from samdrift.portability.names import WITH_PERSONS, read_names, write_names
from samdrift.vault.people import Identity
from tests.vaults import NOW, Installation


async def test_people_of_every_role_that_knows_some_are_named(
    installation: Installation, tmp_path: Path
) -> None:
    organisation = await installation.organisation(WITH_PERSONS)
    known: dict[str, str] = {}
    for number, role in enumerate(WITH_PERSONS):
        async with installation.open(organisation, role) as vault:
            identity = Identity("https://idp.habo.test", f"subject {number}", f"Person of {role.value}")
            if role is Role.MESSAGE_SERVICE:
                person = await cast(Any, vault).know_person(identity, now=NOW)
            else:
                person = await cast(Any, vault).know_person(identity)
            known[person] = identity.name
    key, out = pyrage.x25519.Identity.generate(), tmp_path / "names.age"
    place = cast(Any, SimpleNamespace(gate=installation.gate))
    assert await write_names(place, organisation, "anna", [str(key.to_public())], out) == len(WITH_PERSONS)
    assert read_names(out, [key]) == known
