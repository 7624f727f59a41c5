"""The database itself denies access (invariant 2): a vault's login reaches its own schema and nothing else.

Nothing here goes through the gate. The attacker has a connection with vault A's own login and knows every
name in vault B, which the database would never reveal. B belongs to another organisation and is in a
database that the login cannot enter, or to another role of the same organisation in the same database.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

import psycopg
import pytest
import pytest_asyncio

from samdrift.contracts.principals import Role
from tests.separation.vaultlogin import Row, Superuser, VaultLogin, superuser, vault_login
from tests.sizes import sampled
from tests.vaults import Installation, body, incoming, message, submitted

NOT_ALLOWED = "42501"
NOT_HERE = ("3F000", "42P01")
"""SQLSTATE of a schema or table that is not in the database that the login may enter."""
RENEWAL = "SELECT registry.renew_leases('me', '{ap}', interval '1 year', '{}', '{}', '{}', now(), '1 day')"
FEWEST_TABLES = {Role.ACCESS_POINT: 8, Role.MESSAGE_SERVICE: 8, Role.MESSAGE_CLIENT: 7, Role.GOVERNANCE: 7}


@dataclass(frozen=True)
class Neighbours:
    """The attacker, the victims, and a superuser that sees everything."""

    mine: VaultLogin
    theirs: VaultLogin
    """The vault of another organisation in the same role."""
    beside: VaultLogin
    """The vault of the attacker's own organisation in another role, in the same database."""
    superuser: Superuser
    role: Role


@pytest_asyncio.fixture(scope="module", params=sampled(Role, Role.MESSAGE_SERVICE), ids=str)
async def neighbours(installation: Installation, request: pytest.FixtureRequest) -> Neighbours:
    attacker, victim = await installation.organisation(), await installation.organisation()
    async with installation.open(victim, Role.ACCESS_POINT) as transfers:
        await submitted(transfers)
        await transfers.accept(incoming(), await body(transfers), b"<receipt/>", now=message().created_at)
    async with installation.open(victim, Role.MESSAGE_SERVICE) as messages:
        record = message()
        await messages.create_outgoing(record, await body(messages), now=record.created_at, lease=None)
    other = Role.MESSAGE_SERVICE if request.param is Role.ACCESS_POINT else Role.ACCESS_POINT
    return Neighbours(
        await vault_login(installation, attacker, request.param),
        await vault_login(installation, victim, request.param),
        await vault_login(installation, attacker, other),
        await superuser(installation),
        request.param,
    )


@pytest.fixture
def attacker(neighbours: Neighbours) -> Iterator[psycopg.Connection[Row]]:
    with neighbours.mine.connect() as connection:
        yield connection


def attempt(connection: psycopg.Connection[Row], statement: str) -> list[Row]:
    """Run a statement; COPY counts as reading."""
    with connection.cursor() as cursor:
        if statement.startswith("COPY") and "STDOUT" in statement:
            with cursor.copy(statement.encode()) as copy:
                return [(bytes(piece),) for piece in copy]
        cursor.execute(statement.encode())
        return cursor.fetchall() if cursor.description is not None else []


def assert_denied(connection: psycopg.Connection[Row], statement: str, *, here: bool = False) -> None:
    """Check that a statement is denied; an error of another kind means that access was granted.

    An object that the statement names may be in another database, unless it is known to be ``here``.
    """
    with pytest.raises(psycopg.Error) as caught:
        attempt(connection, statement)
    assert caught.value.sqlstate in ((NOT_ALLOWED,) if here else (NOT_ALLOWED, *NOT_HERE)), statement


TABLE_ATTEMPTS = (
    "SELECT * FROM {table}",
    "SELECT count(*) FROM {table}",
    "INSERT INTO {table} DEFAULT VALUES",
    "DELETE FROM {table}",
    "TRUNCATE {table}",
    "COPY {table} TO STDOUT",
    "DO $$ BEGIN LOCK TABLE {table}; END $$",
    "DROP TABLE {table}",
    "ALTER TABLE {table} RENAME TO mine",
    "COMMENT ON TABLE {table} IS 'mine'",
    "GRANT ALL ON {table} TO CURRENT_USER",
)


def test_two_organisations_are_in_two_databases(neighbours: Neighbours) -> None:
    mine, theirs, beside = (
        neighbours.superuser.connect(each.schema).info.dbname
        for each in (neighbours.mine, neighbours.theirs, neighbours.beside)
    )
    assert mine == beside != theirs
    assert "postgres" not in (mine, theirs)


@pytest.mark.parametrize("template", TABLE_ATTEMPTS)
def test_no_table_of_another_vault_can_be_touched(
    neighbours: Neighbours, attacker: psycopg.Connection[Row], template: str
) -> None:
    for vault in (neighbours.theirs, neighbours.beside):
        tables = [table for table in neighbours.superuser.tables(vault.schema) if not table.endswith("_seq")]
        assert len(tables) >= FEWEST_TABLES[neighbours.role]
        before = neighbours.superuser.snapshot(vault.schema)
        for table in tables:
            here = vault is neighbours.beside
            assert_denied(attacker, template.format(table=f"{vault.schema}.{table}"), here=here)
        assert neighbours.superuser.snapshot(vault.schema) == before


def test_no_function_of_another_vault_can_be_run(
    neighbours: Neighbours, attacker: psycopg.Connection[Row]
) -> None:
    for vault in (neighbours.theirs, neighbours.beside):
        functions = neighbours.superuser.functions(vault.schema)
        assert len(functions) >= 9
        before = neighbours.superuser.snapshot(vault.schema)
        for name, arguments in functions:
            nothing = ", ".join(["NULL"] * arguments)
            here = vault is neighbours.beside
            assert_denied(attacker, f"SELECT {vault.schema}.{name}({nothing})", here=here)
        assert neighbours.superuser.snapshot(vault.schema) == before


def test_no_moment_can_be_read_or_set_not_even_the_own(
    neighbours: Neighbours, attacker: psycopg.Connection[Row]
) -> None:
    """The time at which work is due in another vault reveals its traffic, and changing it would lose work."""
    for template in (*TABLE_ATTEMPTS, "UPDATE {table} SET due_at = NULL", "SELECT FROM {table} FOR UPDATE"):
        assert_denied(attacker, template.format(table="registry.moments"))
    assert_denied(attacker, "SELECT registry.due_moments('infinity')")
    assert_denied(attacker, "SELECT worker_registry.due_moments('infinity')")
    for registry in ("registry", "worker_registry"):
        assert_denied(attacker, f"SELECT {registry}.keep_moments('{{}}', '{{}}', '{{}}')")


def test_no_lease_can_be_read_taken_or_ended(
    neighbours: Neighbours, attacker: psycopg.Connection[Row]
) -> None:
    """An attacker with the leases of all partitions could stop all background work."""
    for table in ("registry.lessees", "registry.partitions"):
        for template in (
            *TABLE_ATTEMPTS,
            "UPDATE {table} SET process = NULL",
            "SELECT FROM {table} FOR UPDATE",
        ):
            assert_denied(attacker, template.format(table=table))
    assert_denied(attacker, "SELECT registry.renew_leases('me', '{ap}', interval '1 year', '{}', '{}', '{}')")
    assert_denied(attacker, RENEWAL)
    assert_denied(attacker, "SELECT registry.end_leases('another')")


def test_the_code_of_a_vault_reaches_nothing_of_the_registry(neighbours: Neighbours) -> None:
    """Functions run as a schema's owner: even a faulty one could not change a due time in the registry."""
    with psycopg.connect(neighbours.superuser.address, autocommit=True) as connection:
        connection.execute(f"SET ROLE {neighbours.mine.owner}".encode())
        assert connection.info.dbname == "postgres"
        for statement in (
            "SELECT * FROM registry.moments",
            "UPDATE registry.moments SET due_at = NULL",
            "SELECT * FROM registry.registrations",
            "SELECT registry.due_moments('infinity')",
            "SELECT registry.keep_moments('{}', '{}', '{}')",
            "SELECT * FROM registry.lessees",
            "SELECT registry.renew_leases('me', '{ap}', interval '1 year', '{}', '{}', '{}')",
            RENEWAL,
        ):
            assert_denied(connection, statement, here=True)


def test_the_own_vault_can_be_read_and_changed_by_its_functions_alone(
    neighbours: Neighbours, attacker: psycopg.Connection[Row]
) -> None:
    """A vault's login cannot rewrite even its own log, receipts or states."""
    mine = neighbours.mine.schema
    for table in neighbours.superuser.tables(mine):
        if table.endswith("_seq"):
            continue
        attempt(attacker, f"SELECT * FROM {mine}.{table}")
        column = neighbours.superuser.rows(
            "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum = 1", f"{mine}.{table}"
        )[0][0]
        for statement in (
            f"INSERT INTO {mine}.{table} DEFAULT VALUES",
            f"UPDATE {mine}.{table} SET {column} = {column}",
            f"DELETE FROM {mine}.{table}",
            f"TRUNCATE {mine}.{table}",
            f"ALTER TABLE {mine}.{table} ADD COLUMN mine int",
            f"CREATE TRIGGER mine AFTER INSERT ON {mine}.{table} EXECUTE FUNCTION _wake()",
        ):
            assert_denied(attacker, statement, here=True)
    internal = [name for name, _ in neighbours.superuser.functions(mine) if name.startswith("_")]
    assert internal
    for name in internal:
        arguments = dict(neighbours.superuser.functions(mine))[name]
        assert_denied(attacker, f"SELECT {mine}.{name}({', '.join(['NULL'] * arguments)})", here=True)


def test_nobody_else_can_be_become(neighbours: Neighbours, attacker: psycopg.Connection[Row]) -> None:
    roles = [
        name
        for (name,) in neighbours.superuser.rows("SELECT rolname FROM pg_roles")
        if name != neighbours.mine.login
    ]
    assert {neighbours.theirs.login, neighbours.theirs.owner, neighbours.mine.owner, "postgres"} <= set(roles)
    for role in roles:
        assert_denied(attacker, f'SET ROLE "{role}"')
        assert_denied(attacker, f'SET SESSION AUTHORIZATION "{role}"')


OUTSIDE = (
    "CREATE SCHEMA mine",
    "CREATE TABLE {mine}.mine (a int)",
    "CREATE TABLE public.mine (a int)",
    "CREATE TEMP TABLE mine (a int)",
    "CREATE FUNCTION {mine}.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE VIEW {mine}.mine AS SELECT 1",
    "CREATE ROLE mine",
    "CREATE DATABASE mine",
    "CREATE EXTENSION vector",
    "CREATE PUBLICATION mine",
    "CREATE TYPE {mine}.mine AS (a int)",
    "ALTER ROLE {their_login} PASSWORD 'guess'",
    "ALTER ROLE {my_login} SUPERUSER",
    "ALTER ROLE {my_login} CONNECTION LIMIT -1",
    "GRANT {their_login} TO {my_login}",
    "GRANT {my_owner} TO {my_login}",
    "GRANT USAGE ON SCHEMA {theirs} TO {my_login}",
    "ALTER SCHEMA {theirs} OWNER TO {my_login}",
    "DROP SCHEMA {theirs} CASCADE",
    "DROP OWNED BY {their_login}",
    "REASSIGN OWNED BY {their_login} TO {my_login}",
    "ALTER SYSTEM SET fsync = off",
    "SET log_statement = 'all'",
    "SET session_preload_libraries = 'mine'",
    "LOAD 'mine'",
    "CHECKPOINT",
    "SELECT pg_read_file('PG_VERSION')",
    "SELECT pg_read_binary_file('global/pg_control')",
    "SELECT pg_ls_dir('.')",
    "SELECT pg_ls_waldir()",
    "COPY (SELECT 1) TO '/tmp/mine'",
    "COPY (SELECT 1) TO PROGRAM 'cat'",
    "SELECT lo_create(0)",
    "SELECT lo_from_bytea(0, 'mine')",
    "SELECT lo_import('/etc/hostname')",
    "SELECT pg_terminate_backend(1)",
    "SELECT pg_cancel_backend(1)",
    "SELECT pg_reload_conf()",
    "SELECT pg_advisory_lock(1)",
    "SELECT pg_advisory_xact_lock_shared(1, 1)",
    "SELECT pg_export_snapshot()",
    "SELECT pg_relation_size('{theirs}.log'::text::regclass)",
    "SELECT pg_stat_get_activity(NULL)",
    "SELECT pg_get_functiondef('pg_catalog.now()'::regprocedure)",
    "SELECT table_to_xml('pg_catalog.pg_class'::regclass, true, true, '')",
    "SELECT has_schema_privilege('{theirs}', 'USAGE')",
)
"""Statements that would create, change or call something outside the login's own schema."""


@pytest.mark.parametrize("statement", OUTSIDE)
def test_nothing_outside_of_the_vault_can_be_made_changed_or_asked(
    neighbours: Neighbours, attacker: psycopg.Connection[Row], statement: str
) -> None:
    for vault in (neighbours.theirs, neighbours.beside):
        assert_denied(
            attacker,
            statement.format(
                mine=neighbours.mine.schema,
                theirs=vault.schema,
                my_login=neighbours.mine.login,
                their_login=vault.login,
                my_owner=neighbours.mine.owner,
            ),
            here=vault is neighbours.beside,
        )


def test_no_catalog_can_be_listed(neighbours: Neighbours, attacker: psycopg.Connection[Row]) -> None:
    """Other organisations, the size of their data, and their current activity remain hidden."""
    catalogs = neighbours.superuser.rows(
        "SELECT oid::regclass::text FROM pg_class WHERE relkind IN ('r', 'v')"
        " AND relnamespace IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)"
    )
    assert len(catalogs) > 150
    for (catalog,) in catalogs:
        assert_denied(attacker, f"SELECT 1 FROM {catalog} LIMIT 1", here=True)


def test_the_registry_and_the_operators_log_are_closed(
    neighbours: Neighbours, attacker: psycopg.Connection[Row]
) -> None:
    for table in neighbours.superuser.tables("registry"):
        assert_denied(attacker, f"SELECT * FROM registry.{table}")
    for name, arguments in neighbours.superuser.functions("registry"):
        assert_denied(attacker, f"SELECT registry.{name}({', '.join(['NULL'] * arguments)})")


def test_what_a_number_tells_is_a_random_name(
    neighbours: Neighbours, attacker: psycopg.Connection[Row]
) -> None:
    """PostgreSQL returns the name of any object number in the same database, so names must be meaningless."""
    for vault in (neighbours.beside, neighbours.theirs):
        question = "SELECT %s::regclass::oid::bigint"
        ((number,),) = neighbours.superuser.rows(question, f"{vault.schema}.log")
        ((name,),) = attempt(attacker, f"SELECT {number}::regclass::text")
        assert (name == f"{vault.schema}.log") == (vault is neighbours.beside)
        assert len(vault.schema) == 33
        assert int(vault.schema[1:], 16) > 0


def test_no_other_database_can_be_entered(neighbours: Neighbours) -> None:
    """Other organisations' databases, the registry's and the templates all refuse the login."""
    there = [name for (name,) in neighbours.superuser.rows("SELECT datname FROM pg_database")]
    others = set(there) - {neighbours.mine.database}
    assert {neighbours.theirs.database, "postgres", "postgres_template", "template1"} <= others
    for name in others:
        with pytest.raises(psycopg.OperationalError, match=r"permission denied|not currently accepting"):
            neighbours.mine.connect(dbname=name)


def test_each_password_opens_one_login(neighbours: Neighbours) -> None:
    for login in (neighbours.theirs.login, "postgres", neighbours.mine.owner):
        with pytest.raises(psycopg.OperationalError):
            neighbours.mine.connect(user=login)
    with pytest.raises(psycopg.OperationalError):
        neighbours.mine.connect(password="")


async def test_whoever_listens_on_a_guess_hears_nothing(
    installation: Installation, neighbours: Neighbours, attacker: psycopg.Connection[Row]
) -> None:
    """Any login may LISTEN on any channel, so a channel's name is as random as a password."""
    victim = await installation.organisation()
    theirs = await vault_login(installation, victim, Role.ACCESS_POINT)
    for guess in (victim.value, theirs.vault, theirs.schema, theirs.login, "*", "", "wake", "channel"):
        if guess:
            attempt(attacker, f'LISTEN "{guess}"')
    async with installation.open(victim, Role.ACCESS_POINT) as vault:
        await submitted(vault)
    await asyncio.sleep(0.3)  # The notification is sent after the commit.
    assert list(attacker.notifies(timeout=0.3, stop_after=1)) == []
    assert theirs.channel not in (theirs.vault, theirs.schema, theirs.login)
    assert len(theirs.channel) == 33


def test_one_vault_cannot_take_all_connections(neighbours: Neighbours) -> None:
    taken: list[psycopg.Connection[Row]] = []
    try:
        with pytest.raises(psycopg.OperationalError, match="too many connections"):
            taken.extend(neighbours.mine.connect() for _ in range(100))
        with neighbours.theirs.connect() as other:
            assert attempt(other, "SELECT 1") == [(1,)]
    finally:
        for connection in taken:
            connection.close()


def test_what_bounds_a_login_firmly_it_cannot_lift(
    neighbours: Neighbours, attacker: psycopg.Connection[Row]
) -> None:
    """PostgreSQL lets every session change some settings; these are the ones that docs/database.md lists."""
    for statement in (
        "SET temp_file_limit = -1",
        "SET max_stack_depth = '7MB'",
        "SET track_activities = off",
        "ALTER ROLE {login} SET temp_file_limit = -1",
        "ALTER ROLE {login} CONNECTION LIMIT -1",
    ):
        assert_denied(attacker, statement.format(login=neighbours.mine.login))
    assert attempt(attacker, "SHOW temp_file_limit") == [("256MB",)]
    for name in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "work_mem"):
        assert attempt(attacker, f"SHOW {name}") not in ([("0",)], [("4MB",)])
        attempt(attacker, f"SET {name} = DEFAULT")
