"""A login that changes its own password or settings cannot lock the operator or another login out for long.

PostgreSQL lets every login change both for itself. The attacker has one of our logins and a session that
stays open; the operator has the administrator's login and the command.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
import pytest
import pytest_asyncio

from samdrift.contracts.principals import Role
from samdrift.keystore.interface import PlatformLogin
from samdrift.vault import logins
from samdrift.vault.database.server import registry_login
from samdrift.vault.errors import LoginRefused, VaultError
from samdrift.vault.events import VaultEvent
from samdrift.vault.gate import Gate
from samdrift.vault.openkeys import open_keys
from samdrift.vault.provision import Provisioner
from tests.cluster import ADMINISTRATOR, Cluster, cluster
from tests.secretfiles import secret_file
from tests.separation.vaultlogin import registry_login as registry_address
from tests.separation.vaultlogin import vault_login
from tests.unit.cli.commandline import samdrift
from tests.unit.config.test_reader import GOOD, write
from tests.vaults import Installation, installed, server_folder, submitted

AP = Role.ACCESS_POINT
SABOTAGE = (
    "ALTER ROLE CURRENT_USER SET default_transaction_read_only = on",
    "ALTER ROLE CURRENT_USER IN DATABASE samdrift SET search_path = nowhere",
    "ALTER ROLE CURRENT_USER SET statement_timeout = 1",
)
PASSWORD = "ALTER ROLE CURRENT_USER PASSWORD 'mine'"


@pytest.fixture(scope="module")
def theirs() -> Iterator[Cluster]:
    """Yield a cluster whose administrator is not a superuser."""
    with server_folder() as folder, cluster(folder / "cluster") as running:
        yield running


@pytest_asyncio.fixture
async def installation(theirs: Cluster) -> AsyncIterator[Installation]:
    async with installed(theirs.settings()) as running:
        yield running


def configured(theirs: Cluster, installation: Installation) -> Path:
    """Write a configuration file of the installation, for commands."""
    folder = installation.settings.secrets.parent
    secret_file(folder / "passphrase", installation.settings.passphrase)
    return write(folder, GOOD.replace("postgresql://db.example/samdrift", theirs.url))


def sabotaged(address: str) -> None:
    with psycopg.connect(address, autocommit=True) as connection:
        for statement in (*SABOTAGE, PASSWORD):
            connection.execute(statement.encode())


@contextmanager
def defending(address: str) -> Iterator[None]:
    """Run an attacker who keeps changing their own password and settings, and reconnects with them."""
    over, begun = threading.Event(), threading.Event()

    def attack() -> None:
        connection = psycopg.connect(address, autocommit=True)
        while not over.is_set():
            try:
                for statement in (*SABOTAGE, PASSWORD):
                    connection.execute(statement.encode())
                begun.set()
            except psycopg.errors.InternalError:
                pass  # Both sides changed the same row; the next round tries again.
            except psycopg.OperationalError:
                with suppress(psycopg.OperationalError):
                    connection = psycopg.connect(address, password="mine", autocommit=True)
        connection.close()

    attacking = threading.Thread(target=attack)
    attacking.start()
    try:
        assert begun.wait(60)
        yield
    finally:
        over.set()
        attacking.join()


def opens(address: str, **other: str) -> bool:
    try:
        psycopg.connect(address, **other).close()  # type: ignore[arg-type]
    except psycopg.OperationalError:
        return False
    return True


async def starts(installation: Installation) -> str:
    """Start a gate; return an empty string, or the reason that it does not start."""
    try:
        gate = await Gate.start(installation.settings)
        try:
            await gate.read_operator_log()
            await gate.operator_log(VaultEvent.VAULT_OPENING_DENIED)
        finally:
            await gate.close()
    except VaultError as error:
        return str(error)
    return ""


async def test_a_refused_start_says_which_login_and_how_to_repair(
    theirs: Cluster, installation: Installation
) -> None:
    sabotaged(await registry_address(installation))
    config = configured(theirs, installation)
    ended = await asyncio.to_thread(samdrift, "org", "list", "--config", config)
    assert ended.status == 2
    login = registry_login(open_keys(installation.settings).login_password(PlatformLogin.REGISTRY))
    assert f"refused the login {login}: `samdrift database rotate-logins` repairs it" in ended.complaints
    await installation.provisioner.rotate_registry()


async def test_the_command_repairs_the_registrys_login_with_the_administrator_alone(
    theirs: Cluster, installation: Installation
) -> None:
    address = await registry_address(installation)
    sabotaged(address)
    assert await starts(installation) != ""
    config = configured(theirs, installation)
    with psycopg.connect(address, password="mine", autocommit=True) as stays:
        ended = await asyncio.to_thread(samdrift, "database", "rotate-logins", "--config", config)
        assert ended.status == 0, ended.complaints
        with pytest.raises(psycopg.OperationalError):
            stays.execute(b"SELECT 1")
    assert await starts(installation) == ""


async def test_who_fights_back_is_shut_out_for_good(
    installation: Installation,
) -> None:
    address = await registry_address(installation)
    with defending(address):
        await installation.provisioner.rotate_registry()
        for _ in range(5):
            assert await starts(installation) == ""
    assert not opens(address)
    assert not opens(address, password="mine")


async def test_an_administrator_who_is_not_let_in_is_named_too(
    theirs: Cluster, installation: Installation
) -> None:
    theirs.superuser(f"ALTER ROLE {ADMINISTRATOR} PASSWORD 'another'")
    try:
        with pytest.raises(LoginRefused) as caught:
            await Provisioner.connect(installation.settings)
    finally:
        theirs.superuser(f"ALTER ROLE {ADMINISTRATOR} PASSWORD '{theirs.password}'")
    file = installation.settings.secrets / "administrator"
    assert f"refused the login {ADMINISTRATOR}: provide its password as the file {file}" in str(caught.value)


async def test_a_vaults_login_is_repaired_in_the_same_way(installation: Installation) -> None:
    organisation = await installation.organisation([AP])
    login = await vault_login(installation, organisation, AP)
    with login.connect() as stays, defending(login.address):
        await installation.provisioner.rotate_login(organisation, AP)
        with pytest.raises(psycopg.OperationalError):
            stays.execute(b"SELECT 1")
    await asyncio.sleep(0.1)
    async with installation.open(organisation, AP) as vault:
        await submitted(vault)
    with pytest.raises(psycopg.OperationalError):
        login.connect(password="mine")
    after = await vault_login(installation, organisation, AP)
    with after.connect() as connection:
        assert connection.execute("SHOW default_transaction_read_only").fetchone() == ("off",)
        assert connection.execute("SHOW statement_timeout").fetchone() == ("30s",)
        assert connection.execute("SHOW search_path").fetchone() == (login.schema,)


async def test_settings_alone_are_put_right_at_the_next_start(installation: Installation) -> None:
    with psycopg.connect(await registry_address(installation), autocommit=True) as connection:
        for statement in SABOTAGE:
            connection.execute(statement.encode())
    assert await starts(installation) != ""
    await installation.provisioner.install()
    assert await starts(installation) == ""


async def test_a_login_that_was_replaced_and_not_dropped_is_at_the_next_start(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rotating command was killed between the two steps."""
    organisation = await installation.organisation([AP])
    vault, registry = await vault_login(installation, organisation, AP), await registry_address(installation)

    async def stop(*_: object) -> None:
        raise OSError("power cut")

    with monkeypatch.context() as patched:
        patched.setattr(logins, "end_login", stop)
        for rotate in (
            lambda: installation.provisioner.rotate_login(organisation, AP),
            installation.provisioner.rotate_registry,
        ):
            with pytest.raises(OSError, match="power cut"):
                await rotate()
    assert opens(vault.address)
    assert opens(registry)
    await installation.provisioner.install()
    assert not opens(vault.address)
    assert not opens(registry)
    assert await starts(installation) == ""


async def test_a_login_that_made_something_elsewhere_is_shut_out_all_the_same(
    theirs: Cluster, installation: Installation
) -> None:
    """Such a login cannot be dropped, but it no longer reaches anything of the installation."""
    organisation = await installation.organisation([AP])
    login = await vault_login(installation, organisation, AP)
    with psycopg.connect(login.address, dbname="postgres", autocommit=True) as elsewhere:
        elsewhere.execute(b"SELECT lo_create(0)")
    await installation.provisioner.rotate_login(organisation, AP)
    assert not opens(login.address)
    assert not opens(login.address, dbname="postgres")
    await installation.provisioner.install()
    async with installation.open(organisation, AP) as vault:
        await submitted(vault)
