"""After a restore from a dump, only the installation's own logins can connect to the database.

PostgreSQL's dump of a database omits who may connect to it: every login may connect to a new one, and make
temporary tables in it.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
import pytest_asyncio

from samdrift.config.reader import load
from samdrift.contracts.principals import Role
from samdrift.installation.databasecare import cared_for
from samdrift.installation.health import Health
from samdrift.installation.operator import running
from samdrift.net.clock import system_clock
from samdrift.processes.supervisor import supervising
from samdrift.vault.database.migrations import hardening_for
from samdrift.vault.database.postgres import programs_folder
from samdrift.vault.errors import DatabaseUnfit
from samdrift.vault.openkeys import open_keys
from samdrift.vault.settings import VaultSettings
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.cluster import ADMINISTRATOR, Cluster, cluster
from tests.secretfiles import secret_file
from tests.separation.vaultlogin import vault_login
from tests.unit.config.test_reader import GOOD, write
from tests.vaults import MINUTE, NOW, installed, server_folder, submitted

AP = Role.ACCESS_POINT
_CHECKOUT = Path(__file__).parents[2]
STRANGER = "other_systems_login"


@pytest.fixture(scope="module")
def theirs() -> Iterator[Cluster]:
    """Yield a cluster in which another system also has a login."""
    with server_folder() as folder, cluster(folder / "cluster") as running:
        running.superuser(f"CREATE ROLE {STRANGER} LOGIN PASSWORD 'theirs'")
        yield running


def gets_in(theirs: Cluster) -> bool:
    """Return whether another system's login can connect to the database."""
    address = theirs.url.replace(ADMINISTRATOR, STRANGER)
    try:
        psycopg.connect(address, password="theirs").close()
    except psycopg.OperationalError as error:
        return "permission denied for database" not in str(error)
    return True


def dumped_and_restored(theirs: Cluster, *options: str) -> None:
    """Dump the database with PostgreSQL's own program, drop it, and restore the dump into a new one."""
    dump = theirs.folder / "dump"
    run(theirs, "pg_dump", "--format=custom", f"--file={dump}", "samdrift")
    theirs.superuser("DROP DATABASE samdrift WITH (FORCE)", "postgres")
    theirs.superuser(f"CREATE DATABASE samdrift OWNER {ADMINISTRATOR}", "postgres")
    run(theirs, "pg_restore", "--dbname=samdrift", *options, str(dump))


def run(theirs: Cluster, program: str, *arguments: str) -> None:
    command = [str(programs_folder() / program), "-h", "127.0.0.1", "-p", str(theirs.port), "-U", "postgres"]
    done = subprocess.run(
        [*command, *arguments], env={"PGPASSWORD": theirs.password}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


async def begins(settings: VaultSettings) -> str:
    """Start an installation; return an empty string, or the reason that it does not start."""
    try:
        async with cared_for(settings, open_keys(settings), Health(system_clock).note):
            return ""
    except DatabaseUnfit as error:
        return str(error)


@pytest_asyncio.fixture
async def lived(theirs: Cluster) -> AsyncIterator[tuple[Cluster, ParticipantIdentifier]]:
    """Yield an installation that has content and is not running."""
    async with installed(theirs.settings()) as installation:
        organisation = await installation.organisation([AP])
        async with installation.open(organisation, AP) as vault:
            await submitted(vault)
    assert not gets_in(theirs)
    yield theirs, organisation
    theirs.superuser(f"ALTER DATABASE samdrift OWNER TO {ADMINISTRATOR}")


@pytest.mark.parametrize("options", [(), ("--no-privileges",)], ids=["with its rights", "without any"])
async def test_a_restored_database_is_closed_by_the_next_start(
    lived: tuple[Cluster, ParticipantIdentifier], options: tuple[str, ...]
) -> None:
    theirs, organisation = lived
    dumped_and_restored(theirs, *options)
    assert gets_in(theirs), "a restored database lets every login connect"
    assert await begins(theirs.settings()) == ""
    assert not gets_in(theirs)
    async with installed(theirs.settings()) as installation:
        login = await vault_login(installation, organisation, AP)
        with login.connect() as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(b"CREATE TEMP TABLE mine (a int)")
        async with installation.open(organisation, AP) as vault:
            assert len(await vault.waiting(10)) == 1


def page(beginning: str, database: str) -> str:
    """Return the commands in docs/database.md after a given introduction, for one organisation's database."""
    blocks = (_CHECKOUT / "docs/database.md").read_text().split("```")[1::2]
    (block,) = [each.split("\n", 1)[1] for each in blocks if each.split("\n", 1)[1].startswith(beginning)]
    return re.sub(r"\bDATABASE(?=[; ]|$)(?! DATABASE)", database, block, flags=re.MULTILINE)


async def test_one_organisation_is_put_back_from_its_own_dump(theirs: Cluster) -> None:
    """The commands of docs/database.md are run word by word, and other organisations are not affected."""
    async with installed(theirs.settings()) as installation:
        damaged, other = await installation.organisation([AP]), await installation.organisation([AP])
        for organisation in (damaged, other):
            async with installation.open(organisation, AP) as vault:
                await submitted(vault, lease=MINUTE)
        login = await vault_login(installation, damaged, AP)
        sizes = theirs.ask(page("SELECT organisation", login.database))
        assert (damaged.value, login.database) in [row[:2] for row in sizes]
        dump = theirs.folder / "organisation.dump"
        program, *arguments = page("pg_dump", login.database).replace(dump.name, str(dump)).split()
        run(theirs, program, *arguments)
        for organisation in (damaged, other):
            async with installation.open(organisation, AP) as vault:
                await submitted(vault, lease=-MINUTE)
    for beginning in ("DROP", "CREATE DATABASE DATABASE", "REVOKE", "ALTER"):
        theirs.superuser(page(beginning, login.database))
    program, *arguments = page("pg_restore", login.database).replace(dump.name, str(dump)).split()
    run(theirs, program, *arguments)
    async with installed(theirs.settings()) as installation:
        due = dict(await installation.gate.due(AP, datetime.max.replace(tzinfo=UTC)))
        assert due[damaged] == NOW + MINUTE, "the due time must be read from the restored vault"
        assert due[other] == NOW - MINUTE
        for organisation, waiting in ((damaged, 1), (other, 2)):
            async with installation.open(organisation, AP) as vault:
                assert len(await vault.waiting(10)) == waiting
        async with installation.open(damaged, AP) as vault:
            await submitted(vault)


@pytest.mark.parametrize("hardened", [False, True], ids=["as it is", "hardened"])
async def test_a_database_that_the_administrator_cannot_close_is_refused_in_words(
    lived: tuple[Cluster, ParticipantIdentifier], hardened: bool
) -> None:
    """A superuser restored the database and therefore owns it."""
    theirs, _ = lived
    dumped_and_restored(theirs)
    theirs.superuser("ALTER DATABASE samdrift OWNER TO postgres")
    theirs.superuser(f"GRANT CREATE, CONNECT ON DATABASE samdrift TO {ADMINISTRATOR}")
    if hardened:
        theirs.superuser(hardening_for(ADMINISTRATOR))
    said = await begins(theirs.settings())
    assert "every login of the cluster may connect to the database samdrift" in said
    assert f'ALTER DATABASE "samdrift" OWNER TO "{ADMINISTRATOR}"' in said
    theirs.superuser(f'ALTER DATABASE "samdrift" OWNER TO "{ADMINISTRATOR}"')
    assert await begins(theirs.settings()) == ""
    assert not gets_in(theirs)


@pytest.mark.parametrize("run", [running, supervising], ids=["shared", "process"])
async def test_serve_refuses_a_database_that_stays_open(
    lived: tuple[Cluster, ParticipantIdentifier], run: Callable[..., AbstractAsyncContextManager[object]]
) -> None:
    theirs, _ = lived
    theirs.superuser("ALTER DATABASE samdrift OWNER TO postgres")
    theirs.superuser("GRANT CONNECT ON DATABASE samdrift TO PUBLIC")
    settings = theirs.settings()
    folder = settings.secrets.parent
    secret_file(folder / "passphrase", settings.passphrase)
    config = load(write(folder, GOOD.replace("postgresql://db.example/samdrift", theirs.url)))
    said = ""
    try:
        async with run(config, frozenset(Role)):
            pass
    except Exception as error:
        said = str(error)
    assert "may connect to the database samdrift" in said
