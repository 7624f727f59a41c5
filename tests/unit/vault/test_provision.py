"""Provisioning: repeatable, atomic, with random names, and no traces after a vault is dropped."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import LiteralString, cast

import pytest
import pytest_asyncio

from samdrift.contracts.principals import Purpose, Role
from samdrift.keystore.keyfiles import KeyName
from samdrift.keystore.software import SoftwareKeyStore
from samdrift.vault import logins
from samdrift.vault.database import migrations
from samdrift.vault.database.server import Database
from samdrift.vault.database.session import Row, Session
from samdrift.vault.errors import UnknownRecord, VaultDenied, VaultUnavailable
from samdrift.vault.gate import Gate
from samdrift.vault.openkeys import open_keys
from samdrift.vault.provision import Provisioner
from samdrift.vault.registry import RegistrationState
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.separation.vaultlogin import superuser, vault_login
from tests.unit.keystore.test_software import add_key
from tests.vaults import (
    ELSEWHERE,
    MINUTE,
    WORKER,
    Installation,
    submitted,
    until,
)

_OF = "SELECT name FROM registry.databases WHERE organisation = $1"
_DATABASE = "SELECT datname FROM pg_database WHERE datname = $1"
AP, MT = Role.ACCESS_POINT, Role.MESSAGE_SERVICE


@pytest_asyncio.fixture
async def administrator(installation: Installation) -> AsyncIterator[Session]:
    """Yield a session of the database's administrator."""
    database = await Database.start(installation.settings)
    session = await Session.connect(database.administrator())
    yield session
    session.close()
    await database.stop()


async def rows(session: Session, question: str, *values: object) -> list[Row]:
    return (await session.run([(question, values)]))[0]


async def test_installing_again_changes_nothing(
    installation: Installation, organisation: ParticipantIdentifier, administrator: Session
) -> None:
    everything = "SELECT relnamespace::regnamespace::text, relname, relacl::text FROM pg_class ORDER BY 1, 2"
    before = await rows(administrator, everything)
    await installation.provisioner.install()
    assert await rows(administrator, everything) == before
    async with installation.open(organisation, AP) as vault:
        assert await vault.inbox(1) == ()


async def test_adding_again_gives_the_same_vaults(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    first = await installation.provisioner.add_organisation(organisation, [AP])
    again = await installation.provisioner.add_organisation(organisation, [AP, MT])
    assert again[AP] == first[AP]
    assert again[MT] != again[AP]


async def test_two_who_add_the_same_organisation_at_once_agree(installation: Installation) -> None:
    other = await Provisioner.connect(installation.settings)
    organisation = ParticipantIdentifier.parse("0203:samtidig.se")
    try:
        ids = await asyncio.gather(
            *(each.add_organisation(organisation, [AP]) for each in (installation.provisioner, other))
        )
    finally:
        await other.close()
    assert ids[0] == ids[1]


async def test_no_name_in_the_databases_tells_whose_a_vault_is(
    installation: Installation, organisation: ParticipantIdentifier, administrator: Session
) -> None:
    word = organisation.value.removeprefix("0203:").removesuffix(".se")
    ids = await installation.provisioner.add_organisation(organisation, [AP, MT])
    login = await vault_login(installation, organisation, AP)
    question = (
        "SELECT string_agg(name, ' ') FROM (SELECT rolname::text FROM pg_roles"
        " UNION SELECT nspname FROM pg_namespace UNION SELECT relname FROM pg_class"
        " UNION SELECT datname FROM pg_database UNION SELECT proname FROM pg_proc) AS names (name)"
    )
    with (await superuser(installation)).connect(login.schema) as inside:
        ((within,),) = inside.execute(question).fetchall()
    ((outside,),) = await rows(administrator, question)
    assert login.schema in within
    for names in (within, outside):
        assert word not in names
        assert all(len(vault) == 33 and vault not in names for vault in ids.values())


async def test_no_password_stands_in_clear_anywhere_in_the_database(
    installation: Installation, organisation: ParticipantIdentifier, administrator: Session
) -> None:
    verifiers = await rows(
        administrator, "SELECT DISTINCT split_part(rolpassword, '$', 1) FROM pg_authid WHERE rolcanlogin"
    )
    assert verifiers == [("SCRAM-SHA-256",)]
    ((secret,), *_) = await rows(
        administrator, "SELECT secret FROM registry.registrations WHERE organisation = $1", organisation.value
    )
    assert len(secret) > 43
    assert not secret.isascii()


async def test_every_vault_is_at_the_latest_version(
    installation: Installation, organisation: ParticipantIdentifier, administrator: Session
) -> None:
    found = await rows(
        administrator,
        "SELECT role, schema FROM registry.registrations WHERE organisation = $1",
        organisation.value,
    )
    assert {role for role, _ in found} == set(Role)
    seen_by = await superuser(installation)
    for role, schema in found:
        parts = migrations.VAULT[Role(role)]
        versions = seen_by.rows(f"SELECT part, version FROM {schema}.versions ORDER BY part")
        wanted = {part: migrations.versions(part) for part in parts}
        assert dict(versions) == wanted | {f"{part} reached": latest for part, latest in wanted.items()}


async def test_a_dropped_vault_leaves_nothing_and_others_stay(
    installation: Installation, organisation: ParticipantIdentifier, administrator: Session
) -> None:
    gate = installation.gate
    async with installation.open(organisation, AP) as vault:
        await submitted(vault, os.urandom(300_000), lease=MINUTE)
    ids = await installation.provisioner.add_organisation(organisation, [AP, MT])
    ((schema, login, where),) = await rows(
        administrator, "SELECT schema, login, database FROM registry.registrations WHERE vault = $1", ids[AP]
    )
    inside = (await superuser(installation)).connect(schema)
    await installation.provisioner.drop(organisation, AP)
    await until(lambda: gate.registry.find(organisation, AP) is None)
    with pytest.raises(VaultDenied):
        async with installation.open(organisation, AP):
            raise AssertionError("opened")
    assert inside.execute("SELECT FROM pg_namespace WHERE nspname = %s", (schema,)).fetchall() == []
    assert (
        await rows(administrator, "SELECT FROM pg_roles WHERE rolname IN ($1, $2)", login, f"o{schema}") == []
    )
    folders = [installation.settings.secrets / ids[AP], Path(installation.settings.objects) / ids[AP]]
    assert [list(folder.rglob("*")) for folder in folders if folder.exists()] in ([], [[]])
    async with installation.open(organisation, MT) as other:
        assert await other.messages() == ()
    await installation.provisioner.drop(organisation, MT)
    for role in (Role.MESSAGE_CLIENT, Role.GOVERNANCE):
        assert await rows(administrator, _DATABASE, where) == [(where,)]
        await installation.provisioner.drop(organisation, role)
    assert await rows(administrator, _DATABASE, where) == []
    assert await rows(administrator, "SELECT FROM registry.databases WHERE name = $1", where) == []


async def test_a_process_keeps_no_key_of_a_vault_that_is_dropped(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    """Keys of other vaults are kept."""
    keys = cast(SoftwareKeyStore, open_keys(installation.settings))
    gate = await Gate.start(installation.settings, keys=keys)
    try:
        vaults = await installation.provisioner.add_organisation(organisation, [AP, MT])
        for role, vault in vaults.items():
            add_key(keys, vault, KeyName.SIGNING)
            keys.signing_key(vault)
            async with gate.open(WORKER, organisation, role, Purpose.PROCESS):
                pass
        assert set(vaults.values()) == keys._loaded.keys() == gate._rooms.keys()
        await installation.provisioner.drop(organisation, AP)
        await until(lambda: gate.registry.find(organisation, AP) is None)
        assert {vaults[MT]} == keys._loaded.keys() == gate._rooms.keys()
    finally:
        await gate.close()


async def test_a_vault_whose_keys_are_gone_is_unavailable_and_gets_no_new_ones(
    installation: Installation,
) -> None:
    organisation = await installation.organisation([AP])
    ids = await installation.provisioner.add_organisation(organisation, [AP])
    keys = open_keys(installation.settings)
    keys.destroy(ids[AP])
    with pytest.raises(VaultUnavailable):
        async with installation.open(organisation, AP) as vault:
            await vault.inbox(1)
    assert not keys.has_data_key(ids[AP])


async def test_a_vault_that_is_added_again_is_a_new_one(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    async with installation.open(organisation, AP) as vault:
        await submitted(vault)
    ids = await installation.provisioner.add_organisation(organisation, [AP])
    await installation.provisioner.drop(organisation, AP)
    await until(lambda: not installation.gate.registry.serves(organisation, AP))
    again = await installation.provisioner.add_organisation(organisation, [AP])
    assert again != ids
    await installation.known(organisation, AP)
    async with installation.open(organisation, AP) as vault:
        assert await vault.next_due() is None


async def test_what_is_not_registered_is_a_typed_error(installation: Installation) -> None:
    with pytest.raises(UnknownRecord):
        await installation.provisioner.drop(ELSEWHERE, AP)
    with pytest.raises(UnknownRecord):
        await installation.provisioner.set_state(ELSEWHERE, AP, RegistrationState.SUSPENDED)


async def test_a_vault_that_cannot_be_made_is_not_half_made(
    installation: Installation, administrator: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = "SELECT (SELECT count(*) FROM pg_roles), (SELECT count(*) FROM pg_namespace)"
    before = await rows(administrator, count)

    def fail(store: SoftwareKeyStore, vault: str, organisation: ParticipantIdentifier) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(SoftwareKeyStore, "begin", fail)
    with pytest.raises(OSError, match="disk full"):
        await installation.provisioner.add_organisation(ELSEWHERE, [AP])
    assert await rows(administrator, count) == before
    assert await rows(administrator, _OF, ELSEWHERE.value) != []
    await installation.provisioner.install()
    assert await rows(administrator, _OF, ELSEWHERE.value) == [], (
        "the next start must drop an unfinished vault"
    )


async def test_a_database_whose_making_is_cut_short_lets_nobody_in_and_is_gone_on_with(
    installation: Installation, administrator: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    really = logins.run

    async def cut_short(connection: logins.Connection, statement: LiteralString, *names: str) -> None:
        if statement.startswith("REVOKE ALL ON DATABASE"):
            raise OSError("power cut")
        await really(connection, statement, *names)

    with monkeypatch.context() as patch:
        patch.setattr(logins, "run", cut_short)
        with pytest.raises(OSError, match="power cut"):
            await installation.provisioner.add_organisation(ELSEWHERE, [AP])
    ((name,),) = await rows(administrator, _OF, ELSEWHERE.value)
    may = "SELECT datallowconn, datacl IS NULL FROM pg_database WHERE datname = $1"
    assert await rows(administrator, may, name) == [(False, True)]
    await installation.provisioner.add_organisation(ELSEWHERE, [AP])
    assert await rows(administrator, _OF, ELSEWHERE.value) == [(name,)]
    assert await rows(administrator, may, name) == [(True, False)]
    await installation.known(ELSEWHERE, AP)
    async with installation.open(ELSEWHERE, AP) as vault:
        await submitted(vault)
    await installation.provisioner.drop(ELSEWHERE, AP)
