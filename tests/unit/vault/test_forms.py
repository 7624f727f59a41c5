"""Program versions side by side: one that knows fewer migrations goes on, or is refused first."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from samdrift.contracts.principals import Purpose, Role
from samdrift.scheduling.claims import Claimant
from samdrift.scheduling.leases import PARTITIONS, Leases
from samdrift.vault.database import migrations
from samdrift.vault.database.session import Row
from samdrift.vault.errors import DatabaseUnfit
from samdrift.vault.leasing import LeaseKeeper
from samdrift.vault.portability.copies import CopyDiffers, _check_versions
from tests.separation.vaultlogin import Superuser, superuser, vault_login
from tests.vaults import WORKER, Installation, submitted

AP = Role.ACCESS_POINT
_FORM = "SELECT version FROM registry.versions WHERE part = 'form reached'"


@pytest_asyncio.fixture
async def administrator(installation: Installation) -> AsyncIterator[Superuser]:
    found = await superuser(installation)
    found.rows("DELETE FROM registry.lessees")
    yield found
    found.rows("DELETE FROM registry.lessees")
    found.rows("UPDATE registry.versions SET version = %s WHERE part = 'form reached'", migrations.FORM)


def everything(administrator: Superuser) -> list[Row]:
    """Return the registry's versions, functions and rights."""
    return [
        *administrator.rows("SELECT part, version FROM registry.versions ORDER BY 1"),
        *administrator.rows(
            "SELECT oid::regprocedure::text, proacl::text FROM pg_proc"
            " WHERE pronamespace = 'registry'::regnamespace ORDER BY 1"
        ),
        *administrator.rows(
            "SELECT relname::text, relacl::text FROM pg_class"
            " WHERE relnamespace = 'registry'::regnamespace ORDER BY 1"
        ),
    ]


async def test_a_program_that_knows_fewer_migrations_changes_nothing_of_a_newer_schema(
    installation: Installation, administrator: Superuser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A host that is not upgraded yet may start again next to one that is, and both go on."""
    organisation = await installation.organisation()
    login = await vault_login(installation, organisation, AP)

    def of_the_vault() -> list[Row]:
        with administrator.connect(login.schema) as inside:
            parts = inside.execute(f"SELECT part, version FROM {login.schema}.versions ORDER BY 1".encode())
            return parts.fetchall()

    before, vault_before = everything(administrator), of_the_vault()
    with monkeypatch.context() as earlier:
        earlier.setattr(migrations, "REGISTRY", migrations.REGISTRY[:-1])
        fewer = {role: parts[:-1] for role, parts in migrations.VAULT.items()}
        earlier.setattr(migrations, "VAULT", fewer)
        await installation.provisioner.install()
        async with installation.gate.open(WORKER, organisation, AP, Purpose.PROCESS) as vault:
            await submitted(vault)
    assert everything(administrator) == before
    assert of_the_vault() == vault_before
    keeper = LeaseKeeper(installation.gate._wakeups.ask, Leases(), Claimant("newer"), [AP])
    keeper.leases.begin()
    await keeper.renew()
    assert len(keeper.leases.held()) == PARTITIONS + 1
    await installation.provisioner.install()
    assert everything(administrator) == before


async def test_a_program_is_refused_by_a_schema_of_a_form_that_it_does_not_know(
    installation: Installation, administrator: Superuser
) -> None:
    administrator.rows(
        "UPDATE registry.versions SET version = %s WHERE part = 'form reached'", migrations.FORM + 1
    )
    before = everything(administrator)
    with pytest.raises(DatabaseUnfit, match=r"from a newer version of the program,.*: install the newer"):
        await installation.provisioner.install()
    assert everything(administrator) == before


async def test_no_schema_gets_another_form_while_processes_of_the_former_version_serve(
    installation: Installation, administrator: Superuser, monkeypatch: pytest.MonkeyPatch
) -> None:
    administrator.rows("INSERT INTO registry.lessees VALUES ('former', '{ap}', now() + '20 s')")
    monkeypatch.setattr(migrations, "FORM", migrations.FORM + 1)
    before = everything(administrator)
    with pytest.raises(DatabaseUnfit, match="1 processes of the former version serve: stop serve on every"):
        await installation.provisioner.install()
    assert everything(administrator) == before
    administrator.rows("UPDATE registry.lessees SET until = now()")
    await installation.provisioner.install()
    assert administrator.rows(_FORM) == [(migrations.FORM,)]
    monkeypatch.undo()
    with pytest.raises(DatabaseUnfit):
        await installation.provisioner.install()


async def test_an_installation_from_before_there_were_forms_has_the_first_one(
    installation: Installation, administrator: Superuser
) -> None:
    administrator.rows("DELETE FROM registry.versions WHERE part = 'form reached'")
    await installation.provisioner.install()
    assert administrator.rows(_FORM) == [(migrations.FORM,)]


def test_a_backup_of_another_form_is_not_taken_in() -> None:
    _check_versions({"log": 1, migrations.FORM_ROW: migrations.FORM}, ["log"])
    with pytest.raises(CopyDiffers):
        _check_versions({"log": 1, migrations.FORM_ROW: migrations.FORM + 1}, ["log"])
