"""On the operator's own cluster, an administrator without superuser rights makes equally separate vaults."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace

import psycopg
import pytest

from samdrift.audit.events import LogEvent
from samdrift.cli.org.events import OrgEvent
from samdrift.contracts.principals import Role
from samdrift.vault.database.cluster import check_address, open_doors
from samdrift.vault.database.migrations import hardening_for
from samdrift.vault.errors import DatabaseUnfit, VaultUnavailable
from samdrift.vault.gate import Gate
from samdrift.vault.provision import Provisioner
from tests.cluster import ADMINISTRATOR, SCRAM, Cluster, cluster
from tests.secretfiles import secret_file
from tests.separation.vaultlogin import VaultLogin, registry_login, vault_login
from tests.unit.cli.commandline import samdrift
from tests.unit.config.test_reader import GOOD, write
from tests.vaults import Installation, installed, server_folder, settings_in, submitted

AP, MT = Role.ACCESS_POINT, Role.MESSAGE_SERVICE


@pytest.fixture(scope="module")
def theirs() -> Iterator[Cluster]:
    with server_folder() as folder, cluster(folder / "cluster") as running:
        yield running


async def lived(installation: Installation) -> VaultLogin:
    """Create, use and drop a vault and change its login's password, while another vault stays."""
    stays, goes = await installation.organisation([AP]), await installation.organisation([AP])
    for organisation in (stays, goes):
        async with installation.open(organisation, AP) as vault:
            await submitted(vault)
    await installation.provisioner.rotate_login(stays, AP)
    await installation.provisioner.drop(goes, AP)
    return await vault_login(installation, stays, AP)


def denied(login: VaultLogin, statement: str) -> bool:
    with login.connect() as connection:
        try:
            connection.execute(statement.encode())
        except (
            psycopg.errors.InsufficientPrivilege,
            psycopg.errors.InvalidSchemaName,
            psycopg.errors.UndefinedTable,
        ):
            return True
    return False


async def test_vaults_live_in_a_cluster_whose_administrator_is_no_superuser(theirs: Cluster) -> None:
    async with installed(theirs.settings()) as installation:
        one, other = await lived(installation), await lived(installation)
        for statement in (
            f"SELECT * FROM {other.schema}.log",
            f"SELECT {other.schema}.append_log(NULL, NULL, NULL)",
            "SELECT * FROM registry.registrations",
            f"SET ROLE {other.login}",
            f"SET ROLE {ADMINISTRATOR}",
            f"CREATE TABLE {one.schema}.mine (a int)",
            "CREATE TEMP TABLE mine (a int)",
        ):
            assert denied(one, statement), statement
        assert not denied(one, f"SELECT * FROM {one.schema}.log")
        assert not denied(one, "SELECT * FROM pg_stat_activity"), "allowed until the cluster is hardened"

        for database in ("samdrift", "samdrift_template"):
            theirs.superuser(hardening_for(ADMINISTRATOR), database)
        await installation.provisioner.install()
        third = await lived(installation)
        for statement in (
            "SELECT * FROM pg_stat_activity",
            "SELECT * FROM pg_class",
            "SET temp_file_limit = -1",
        ):
            assert denied(third, statement), statement


async def test_a_login_that_our_administrator_cannot_correct_keeps_it_from_starting(theirs: Cluster) -> None:
    """Only a superuser makes a superuser an ordinary login again."""
    async with installed(theirs.settings()) as installation:
        organisation = await installation.organisation([AP])
        login = (await vault_login(installation, organisation, AP)).login
        theirs.superuser(f"ALTER ROLE {login} SUPERUSER")
        wanted = f'the login {login} is a superuser, .* as a superuser, ALTER ROLE "{login}" NOSUPERUSER'
        with pytest.raises(DatabaseUnfit, match=wanted):
            await installation.provisioner.install()
        theirs.superuser(f"ALTER ROLE {login} NOSUPERUSER")
        await installation.provisioner.install()


async def test_the_registrys_password_changes_there_too(theirs: Cluster) -> None:
    async with installed(theirs.settings()) as installation:
        before = await registry_login(installation)
        await installation.provisioner.rotate_registry()
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(before)
        await lived(installation)
        (first,) = await installation.gate.read_operator_log()
        assert first.event == LogEvent.LOG_TREE_BEGUN


async def test_passwords_change_by_command(theirs: Cluster) -> None:
    settings = theirs.settings()
    folder = settings.secrets.parent
    secret_file(folder / "passphrase", settings.passphrase)
    config = write(folder, GOOD.replace("postgresql://db.example/samdrift", theirs.url))
    async with installed(settings) as installation:
        organisation, other = await installation.organisation(), await installation.organisation()
        logins = [await vault_login(installation, one, AP) for one in (organisation, other)]
        command = ("database", "rotate-logins", "--config", config, "--organisation", organisation.value)
        ended = await asyncio.to_thread(samdrift, *command)
        assert ended.status == 0, ended.complaints
        assert ended.output == f"{len(Role)} logins have a new password\n"
        async with installation.open(organisation, AP) as vault:
            await submitted(vault)
            assert OrgEvent.VAULT_LOGIN_ROTATED in [entry.event for entry in await vault.log()]
        with pytest.raises(psycopg.OperationalError):
            logins[0].connect()
        logins[1].connect().close()


async def test_a_cluster_that_asks_for_no_password_is_refused(theirs: Cluster) -> None:
    """Processes that only open vaults check this too, since the cluster may have been changed meanwhile."""
    settings = theirs.settings()
    async with installed(settings):
        pass
    try:
        for method in ("trust", "password"):
            theirs.allow(SCRAM.replace("scram-sha-256", method))
            for connect in (Provisioner.connect, Gate.start):
                with pytest.raises(DatabaseUnfit, match="SCRAM"):
                    await connect(settings)
    finally:
        theirs.allow(SCRAM)


async def test_rules_beside_our_own_way_in_are_looked_at_where_they_can_be_seen(theirs: Cluster) -> None:
    theirs.superuser(hardening_for(ADMINISTRATOR))
    theirs.allow(SCRAM + "host all all ::1/128 trust\n")
    try:
        with pytest.raises(DatabaseUnfit, match=r"pg_hba\.conf .* line 2"):
            await Provisioner.connect(theirs.settings())
    finally:
        theirs.allow(SCRAM)


@pytest.mark.parametrize(
    ("rule", "found"),
    [
        ((1, "local", ["all"], ["all"], None, "trust"), [1]),
        ((1, "host", ["all"], ["all"], "10.0.0.0", "password"), [1]),
        ((1, "host", ["samdrift"], ["all"], "all", "ident"), [1]),
        ((1, "host", ["other"], ["all"], "all", "trust"), []),
        ((1, "host", ["/^sam"], ["all"], "all", "trust"), [1]),
        ((1, "host", ["/^d[0-9a-f]{32}$"], ["all"], "all", "trust"), []),
        ((1, "local", ["all"], ["postgres"], None, "trust"), []),
        ((1, "local", ["all"], ["all"], None, "peer"), []),
        ((1, "host", ["all"], ["all"], "all", "scram-sha-256"), []),
    ],
)
def test_a_rule_counts_when_it_can_let_a_vaults_login_in(rule: tuple[object, ...], found: list[int]) -> None:
    assert open_doors([rule], "samdrift") == found
    everybody = (0, rule[1], ["samdrift"], ["all"], None if rule[1] == "local" else "all", "scram-sha-256")
    assert open_doors([everybody, rule], "samdrift") == []


async def test_an_administrator_who_may_make_no_databases_is_told_what_to_do(theirs: Cluster) -> None:
    theirs.superuser("DROP DATABASE IF EXISTS samdrift_template WITH (FORCE)")
    theirs.superuser(f"ALTER ROLE {ADMINISTRATOR} NOCREATEDB")
    try:
        provisioner = await Provisioner.connect(theirs.settings())
        with pytest.raises(DatabaseUnfit, match=f'ALTER ROLE "{ADMINISTRATOR}" CREATEDB'):
            await provisioner.install()
        await provisioner.close()
    finally:
        theirs.superuser(f"ALTER ROLE {ADMINISTRATOR} CREATEDB")


async def test_rules_for_databases_of_organisations_are_looked_at_too(theirs: Cluster) -> None:
    theirs.superuser(hardening_for(ADMINISTRATOR))
    theirs.allow("host /^d[0-9a-f]{32}$ all 127.0.0.1/32 trust\n" + SCRAM)
    try:
        with pytest.raises(DatabaseUnfit, match=r"pg_hba\.conf .* line 1"):
            await Provisioner.connect(theirs.settings())
    finally:
        theirs.allow(SCRAM)


async def test_a_wrong_password_and_a_server_without_tls_are_not_reached(theirs: Cluster) -> None:
    settings = theirs.settings()
    with pytest.raises(VaultUnavailable):
        await Provisioner.connect(replace(settings, database=f"{theirs.url}?sslmode=verify-full"))
    stranger = settings_in(theirs.folder.parent / "stranger")
    (stranger.secrets / "administrator").write_text("guess")
    with pytest.raises(VaultUnavailable):
        await Provisioner.connect(replace(stranger, database=theirs.url))


async def test_a_database_that_does_not_exist_is_not_called_a_refused_password(theirs: Cluster) -> None:
    url = f"{theirs.url.removesuffix('samdrift')}nowhere"
    with pytest.raises(DatabaseUnfit, match="the database nowhere does not exist: create it"):
        await Provisioner.connect(replace(theirs.settings(), database=url))


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("postgresql://[::1/x", "cannot be read"),
        ("postgresql://samdrift@db.example/samdrift", "sslmode=verify-full"),
        ("postgresql://samdrift@db.example/samdrift?sslmode=require", "sslmode=verify-full"),
        ("postgresql://samdrift@localhost,db.example/samdrift", "sslmode=verify-full"),
        ("postgresql://samdrift@10.1.2.3/samdrift?sslmode=verify-ca", "sslmode=verify-full"),
        ("postgresql://samdrift:hemligt@localhost/samdrift", "password"),
        ("postgresql://localhost/samdrift", "user"),
        ("postgresql://samdrift@localhost", "dbname"),
        ("postgresql://samdrift@db.example/samdrift?sslmode=verify-full", ""),
        ("postgresql://samdrift@127.0.0.1/samdrift", ""),
        ("postgresql://samdrift@/samdrift?host=/run/postgresql", ""),
    ],
)
def test_a_url_must_say_enough_and_not_send_anything_in_clear_over_a_network(url: str, words: str) -> None:
    if not words:
        return check_address(url)
    with pytest.raises(DatabaseUnfit, match=words) as caught:
        check_address(url)
    assert "hemligt" not in str(caught.value)
    return None
