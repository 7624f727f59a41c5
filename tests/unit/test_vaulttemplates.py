"""Copies of vaults in tests equal what the product makes, object by object and row by row."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Collection

import pytest
from psycopg.conninfo import make_conninfo

from samdrift.contracts.principals import Role
from samdrift.vault.database.postgres import programs_folder
from tests.separation.vaultlogin import VaultLogin, superuser, vault_login
from tests.vaults import Installation
from tests.vaulttemplates import copied_vaults, vaults_of_the_product

_RANDOM = (r"samdrift\.log/[0-9a-f]+", r"\\\\x[0-9a-f]{32,}", r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[.\d]*\+\d\d")
"""Patterns of random content: a log's name, its origin, and times."""
_OWNED = """
SELECT classid::regclass::text, deptype, count(*) FROM pg_shdepend
WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) AND refobjid = %s::regrole
GROUP BY 1, 2 ORDER BY 1, 2
"""
_LEFT = """
WITH owners (owner) AS (
    SELECT relowner FROM pg_class UNION SELECT typowner FROM pg_type UNION SELECT proowner FROM pg_proc
    UNION SELECT nspowner FROM pg_namespace UNION SELECT refobjid FROM pg_shdepend
        WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
)
SELECT count(*) FROM owners WHERE owner::regrole::text ~ '^[ol]vault_'
"""
_SCHEMAS = "SELECT nspname FROM pg_namespace WHERE nspname !~ '^(pg_|information_schema|public)'"
_OWN = """
SELECT origin, inherited_from = date_trunc('day', now()) - interval '1 day',
    inherited_until - now() BETWEEN interval '89 days 23 hours' AND interval '90 days'
FROM {0}.log_tree, {0}.cover
"""


async def dumped(installation: Installation, login: VaultLogin) -> str:
    """Return everything in a vault's schema, with owners and rights, but without random values."""
    address = (await superuser(installation)).address
    program = str(programs_folder() / "pg_dump")
    where = make_conninfo(address, dbname=login.database)
    command = [program, "--schema", login.schema, "--dbname", where]
    dump = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    for name, word in ((login.schema, "SCHEMA"), (login.login, "LOGIN"), (login.channel, "CHANNEL")):
        assert name in dump
        dump = dump.replace(name, word)
    for pattern in _RANDOM:
        dump = re.sub(pattern, "RANDOM", dump)
    return re.sub(r"^\\(un)?restrict .*$", "", dump, flags=re.MULTILINE)


async def dependent(installation: Installation, login: VaultLogin, role: str) -> list[tuple[str, str, int]]:
    """Count the objects of each kind that depend on a role in PostgreSQL, by ownership or rights."""
    with (await superuser(installation)).connect(login.schema) as inside:
        found = [(str(kind), str(why), int(number)) for kind, why, number in inside.execute(_OWNED, (role,))]
    assert found
    return found


async def added(installation: Installation, roles: Collection[Role]) -> list[VaultLogin]:
    """Add an organisation and return its vaults."""
    organisation = await installation.organisation(roles)
    return [await vault_login(installation, organisation, role) for role in roles]


@pytest.mark.parametrize("roles", [(Role.MESSAGE_CLIENT,), tuple(Role)])
async def test_a_copied_vault_is_what_the_product_makes(
    installation: Installation, roles: tuple[Role, ...]
) -> None:
    with vaults_of_the_product():
        made = await added(installation, roles)
    with copied_vaults():
        await added(installation, roles)
        copied = await added(installation, roles)
    everything = await superuser(installation)
    for one, other in zip(made, copied, strict=True):
        dump = await dumped(installation, one)
        assert len(dump) > 10_000
        assert await dumped(installation, other) == dump
        assert await dependent(installation, other, other.owner) == await dependent(
            installation, one, one.owner
        )
        assert await dependent(installation, other, other.login) == await dependent(
            installation, one, one.login
        )
        (log, *cover), (others_log, *others_cover) = (
            everything.rows(_OWN.format(each.schema))[0] for each in (one, other)
        )
        assert log != others_log
        assert cover == others_cover == [True, True]
    with everything.connect(copied[0].schema) as inside:
        assert inside.execute(_LEFT).fetchall() == [(0,)]
        schemas = {name for (name,) in inside.execute(_SCHEMAS)}
    assert schemas == {each.schema for each in copied}
