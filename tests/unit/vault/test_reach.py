"""Whoever can reach the vaults is known: every role of the cluster is compared with what it should be."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace

import pytest

from samdrift.contracts.isolation import Verdict
from samdrift.contracts.principals import Role
from samdrift.vault.crossing import LOGINS, Crossings
from samdrift.vault.examination import examine_database
from samdrift.vault.openkeys import open_keys
from samdrift.vault.reach import Reading, examine
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.separation.vaultlogin import Superuser, VaultLogin, superuser, vault_login
from tests.sizes import sampled
from tests.vaults import Installation

AP = Role.ACCESS_POINT
ROLES = (AP,)

OURS = {
    "is a superuser": "ALTER ROLE {login} SUPERUSER",
    "may make logins": "ALTER ROLE {login} CREATEROLE",
    "may make databases": "ALTER ROLE {login} CREATEDB",
    "may copy the whole cluster": "ALTER ROLE {login} REPLICATION",
    "is exempt from row security": "ALTER ROLE {login} BYPASSRLS",
    "is in the role of another vault's owner": "GRANT o{schema} TO {login}",
    "is in the role of its own owner": "GRANT {own_owner} TO {login}",
    "is in another vault's login": "GRANT {their_login} TO {login}",
    "reads all data": "GRANT pg_read_all_data TO {login}",
    "writes files": "GRANT pg_write_server_files TO {login}",
    "may connect to another's database": "GRANT CONNECT ON DATABASE {database} TO {login}",
    "may make temporary tables at home": "GRANT TEMPORARY ON DATABASE {home} TO {login}",
    "another vault's owner may log in": "ALTER ROLE o{schema} LOGIN",
}
INSIDE = {
    "reads another's table": "GRANT SELECT ON {schema}.log TO {login}",
    "reads a column of another's table": "GRANT SELECT (content) ON {schema}.log TO {login}",
    "runs another's function": "GRANT EXECUTE ON FUNCTION {schema}.append_log TO {login}",
    "looks into another's schema": "GRANT USAGE ON SCHEMA {schema} TO {login}",
    "so does everybody in a group of PostgreSQL's": "GRANT SELECT ON {schema}.log TO pg_monitor",
}
"""What a start takes back within another vault's database."""
OWNED = "ALTER TABLE {schema}.bodies OWNER TO {login}"
BACK = "ALTER TABLE {schema}.bodies OWNER TO o{schema}"
OTHERS = {
    "is a superuser": "ALTER ROLE {login} SUPERUSER",
    "copies the cluster": "ALTER ROLE {login} REPLICATION",
    "is in a vault's owner": "GRANT o{schema} TO {login}",
    "is in one through another": "CREATE ROLE between; GRANT o{schema} TO between; GRANT between TO {login}",
    "is in the administrator": "GRANT postgres TO {login}",
    "may connect": "GRANT CONNECT ON DATABASE {database} TO {login}",
    "reads a table": "GRANT SELECT ON {schema}.log TO {login}",
    "reads files": "GRANT pg_read_server_files TO {login}",
}
DECISIVE = (
    "is a superuser",
    "is in the role of another vault's owner",
    "reads all data",
    "may connect to another's database",
    "another vault's owner may log in",
    "reads another's table",
)
OF_OTHERS = ("is a superuser", "is in one through another", "may connect", "reads a table", "reads files")
STRANGER = "a login of somebody's"


@pytest.fixture
async def both(
    installation: Installation, organisation: ParticipantIdentifier
) -> tuple[Superuser, VaultLogin, VaultLogin]:
    """Return the administrator, and the logins of two organisations."""
    other = await installation.organisation([AP])
    mine, theirs = [await vault_login(installation, one, AP) for one in (organisation, other)]
    return await superuser(installation), mine, theirs


@contextlib.contextmanager
def stranger(administrator: Superuser) -> Iterator[str]:
    """Make a login that is not ours, and remove it again."""
    name = f'"{STRANGER}"'
    administrator.rows(f"CREATE ROLE {name} LOGIN")
    try:
        yield name
    finally:
        for role in (name, "between"):
            if administrator.rows("SELECT FROM pg_roles WHERE rolname = %s", role.strip('"')):
                administrator.rows(f"DROP ROLE {role}")


def names(mine: VaultLogin, theirs: VaultLogin) -> dict[str, str]:
    return {
        "login": mine.login,
        "own_owner": mine.owner,
        "home": mine.database,
        "their_login": theirs.login,
        "schema": theirs.schema,
        "database": theirs.database,
    }


async def excess(installation: Installation, *vouched: str) -> list[Reading]:
    provisioner = installation.provisioner
    found = await examine(provisioner._connection, provisioner.database, vouched)
    assert len(found) > 10, "every role is read"
    return [one for one in found if one.found]


def do(administrator: Superuser, statement: str) -> None:
    with administrator.connect(statement) as connection:
        connection.execute(statement.encode())


async def test_roles_of_a_healthy_installation_are_what_they_should_be(
    installation: Installation, both: tuple[Superuser, VaultLogin, VaultLogin]
) -> None:
    await installation.provisioner.new_reader(both[1].vault)
    await installation.provisioner.new_reader(None)
    assert await excess(installation) == []


@pytest.mark.parametrize("harm", sampled({**OURS, **INSIDE}, *DECISIVE))
async def test_a_login_of_ours_that_is_more_than_it_should_be_is_found_and_a_start_takes_it_back(
    installation: Installation, both: tuple[Superuser, VaultLogin, VaultLogin], harm: str
) -> None:
    administrator, mine, theirs = both
    do(administrator, {**OURS, **INSIDE}[harm].format(**names(mine, theirs)))
    found = await excess(installation)
    assert {one.role for one in found} & {mine.login, theirs.login, theirs.owner}, found
    await installation.provisioner.install()
    assert await excess(installation) == []


async def test_an_open_session_of_such_a_login_ends(
    installation: Installation, both: tuple[Superuser, VaultLogin, VaultLogin]
) -> None:
    """It would stay in the role that it has set."""
    administrator, mine, theirs = both
    do(administrator, f"GRANT {theirs.owner} TO {mine.login}")
    session = mine.connect()
    session.execute(f"SET ROLE {theirs.owner}".encode())
    await installation.provisioner.install()
    asked = "SELECT FROM pg_stat_activity WHERE pid = %s"
    assert administrator.rows(asked, session.info.backend_pid) == []


async def test_a_table_of_another_that_a_login_owns_is_found(
    installation: Installation, both: tuple[Superuser, VaultLogin, VaultLogin]
) -> None:
    administrator, mine, theirs = both
    do(administrator, OWNED.format(**names(mine, theirs)))
    try:
        found = await excess(installation)
    finally:
        do(administrator, BACK.format(**names(mine, theirs)))
    assert (mine.login, f"owns objects in the database {theirs.database}") in [
        (one.role, what) for one in found for what in one.found
    ]


@pytest.mark.parametrize("harm", sampled(OTHERS, *OF_OTHERS))
async def test_another_login_that_reaches_a_vault_is_named_unless_the_operator_answers_for_it(
    installation: Installation, both: tuple[Superuser, VaultLogin, VaultLogin], harm: str
) -> None:
    administrator, mine, theirs = both
    with stranger(administrator) as login:
        assert await excess(installation) == []
        statement = OTHERS[harm].format(**{**names(mine, theirs), "login": login})
        with administrator.connect(theirs.schema) as connection:
            connection.execute(statement.encode())
            try:
                found = await excess(installation)
                vouched = await excess(installation, STRANGER, "between")
            finally:
                connection.execute(f"DROP OWNED BY {login}".encode())
                for group in (theirs.owner, "postgres", "pg_read_server_files"):
                    connection.execute(f"REVOKE {group} FROM {login}".encode())
    assert STRANGER in {one.role for one in found}
    assert vouched == [] or harm == "reads a table"


async def test_a_start_names_another_login_that_reaches_vaults_and_leaves_it_alone(
    installation: Installation,
    both: tuple[Superuser, VaultLogin, VaultLogin],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It may be the database administrator's own."""
    administrator, *_ = both
    with stranger(administrator) as login:
        administrator.rows(f"ALTER ROLE {login} SUPERUSER")
        caplog.clear()
        await installation.provisioner.install()
        assert (True,) in administrator.rows("SELECT rolsuper FROM pg_roles WHERE rolname = %s", STRANGER)
    assert f"the login that is not Samdrift's {STRANGER} is a superuser, and reaches vaults" in caplog.text


async def test_the_isolation_check_and_the_doctor_read_the_same(
    installation: Installation, both: tuple[Superuser, VaultLogin, VaultLogin]
) -> None:
    administrator, mine, _ = both
    settings = installation.settings
    keys = open_keys(settings)

    async def read() -> tuple[list[str], list[str], list[str]]:
        async with Crossings.of(settings, keys) as crossings:
            attempts = await crossings.of_logins()
        assert {one.interface for one in attempts} == {LOGINS}
        facts = await examine_database(settings, keys)
        by_verdict = [[one.why for one in attempts if one.verdict is each] for each in Verdict]
        assert [len(each) for each in by_verdict][2] == 0
        return by_verdict[0], by_verdict[1], list(facts.excess)

    denied, leaked, told = await read()
    assert (leaked, told) == ([], [])
    assert len(denied) > 10, "every aspect of every role counts as an attempt"
    do(administrator, f"ALTER ROLE {mine.login} SUPERUSER")
    _, leaked, told = await read()
    assert leaked == told == [f"the login {mine.login} is a superuser"]
    await installation.provisioner.install()
    settings = replace(settings, database_logins=(STRANGER,))
    with stranger(administrator) as login:
        administrator.rows(f"ALTER ROLE {login} SUPERUSER")
        assert (await read())[1:] == ([], [])
