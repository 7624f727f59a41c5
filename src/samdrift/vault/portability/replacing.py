"""Replacement of an organisation's database with a restored one, as the database's administrator.

The organisation is suspended while its database is filled. If the replacement fails, it is resumed.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import psycopg

from samdrift.vault import databases, logins, rights
from samdrift.vault.errors import VaultError
from samdrift.vault.inorder import Hosted
from samdrift.vault.logins import Connection
from samdrift.vault.moments import catch_up
from samdrift.vault.portability.copies import typed
from samdrift.vault.provision import Provisioner
from samdrift.vault.registry import LOGIN_SECRET, RegistrationState
from samdrift.vault.sealing import Sealer
from samdrift.wire.identifiers import ParticipantIdentifier

_SUSPEND = """
UPDATE registry.registrations SET state = 'suspended' WHERE organisation = %s AND state = 'active'
RETURNING vault
"""
_RESUME = """
UPDATE registry.registrations SET state = 'active'
WHERE vault = ANY(%s) AND state = 'suspended' AND EXISTS (SELECT FROM pg_database WHERE datname = %s)
"""
_SUSPENDED = "UPDATE registry.registrations SET state = %s WHERE organisation = %s"


async def make_roles(
    provisioner: Provisioner, organisation: ParticipantIdentifier, vaults: Sequence[Hosted]
) -> None:
    """Create owners and logins of an organisation's vaults that are missing, as in a new cluster.

    ``KeyStoreError`` if a password is locked by the organisation's officer.
    """
    secrets = {
        one.vault: one.secret for one in await provisioner.registrations() if one.organisation == organisation
    }
    async with provisioner.inside(None) as connection:
        for vault in vaults:
            await rights.make_owner(connection, f"o{vault.schema}")
            if not await rights.exists(connection, vault.login):
                sealer = Sealer(vault.vault, provisioner.keys.data_keys(vault.vault))
                password = sealer.open(secrets[vault.vault], LOGIN_SECRET).decode()
                await logins.make_login(connection, vault.login, password)
                await rights.join(connection, provisioner.database.vault_group, vault.login)


async def suspend(provisioner: Provisioner, organisation: ParticipantIdentifier) -> list[str]:
    """Suspend an organisation; return its vaults that were active.

    Its database is not opened, since it may be missing or damaged.
    """
    with typed():
        async with provisioner.beside() as registry:
            active = await (await registry.execute(_SUSPEND, (organisation.value,))).fetchall()
    await provisioner.announce()
    return [vault for (vault,) in active]


async def resume(provisioner: Provisioner, active: Sequence[str], filled: str) -> None:
    """Resume the vaults that :func:`suspend` returned, unless ``filled`` has replaced their database.

    A replacement renames it, also if an error after that hides whether the replacement was done.
    """
    with typed():
        async with provisioner.beside() as registry:
            await registry.execute(_RESUME, (list(active), filled))
    await provisioner.announce()


async def replace_database(
    provisioner: Provisioner, organisation: ParticipantIdentifier, vaults: Sequence[Hosted], filled: str
) -> str:
    """Replace an organisation's database with one that was filled, and suspend the organisation.

    Its former database stays under the returned name, where no login may connect. Names and state change
    in one transaction, and no session is connected meanwhile. Then the vaults' logins may connect again,
    and the registry gets the due moments of the restored vaults. Raises :class:`VaultUnavailable` if
    another session stays connected; then the logins may connect to the former database as before.
    """
    (where,) = {each.where for each in vaults}
    with typed():
        async with provisioner.beside() as registry:
            former = await databases.name_beside(registry, databases.FORMER, organisation.value)
            try:
                for each in vaults:
                    await logins.shut_out(registry, each.login)
                await databases.drop(registry, former)
                await _take_rights(provisioner, vaults, where)
                async with registry.transaction():
                    await rights.wait_for_others(registry)
                    await databases.rename(registry, where, former)
                    await databases.rename(registry, filled, where)
                    state = RegistrationState.SUSPENDED.value
                    await registry.execute(_SUSPENDED, (state, organisation.value))
            except BaseException:
                with suppress(VaultError):
                    await _let_in(provisioner, registry, vaults, where)
                raise
            await _let_in(provisioner, registry, vaults, where)
    await provisioner.announce()
    return former


async def _take_rights(provisioner: Provisioner, vaults: Sequence[Hosted], where: str) -> None:
    """Revoke the logins' rights in the former database, which they would keep when it is replaced."""
    with suppress(VaultError, psycopg.Error):  # The former database may be missing or damaged.
        async with provisioner.inside(where) as inside:
            for each in vaults:
                await logins.run(inside, "DROP OWNED BY {}", each.login)


async def _let_in(
    provisioner: Provisioner, registry: Connection, vaults: Sequence[Hosted], where: str
) -> None:
    async with provisioner.inside(where) as inside:
        for each in vaults:
            await provisioner.mend(inside, each)
    async with provisioner.beside(where) as inside:
        await catch_up(registry, inside, [(each.vault, each.schema) for each in vaults])
