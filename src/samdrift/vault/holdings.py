"""A vault's usage: rows by table, and bodies by their owners. Only counts, sizes and times.

Nothing but the time of a row is read, so that the operator, who pays for the disk, can ask without seeing any
of an organisation's data. Each vault counts its own rows, through its own login; the administrator asks how
large tables are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import ClassVar

import psycopg

from samdrift.contracts.principals import Role
from samdrift.vault.database.server import Database
from samdrift.vault.opening import Vault
from samdrift.vault.retention import TABLES


@dataclass(frozen=True, slots=True)
class TableHolding:
    """Rows of one table."""

    table: str
    count: int
    oldest: datetime | None
    """Time of the oldest row; ``None`` without rows, or if the rows have no time."""


class Owner(StrEnum):
    """Kinds of things that bodies belong to."""

    OUTGOING = "outgoing"
    """Envelopes to be sent."""
    INCOMING = "incoming"
    """Envelopes waiting to be fetched by the message service."""
    MESSAGE = "messages"
    FILE = "files"
    """Files of received or sent messages."""
    DRAFT = "drafts"
    """Files of drafts, uploaded by their writers."""
    NOBODY = "left behind"
    """Objects that no row refers to: still being stored, or left behind by a killed process."""


@dataclass(frozen=True, slots=True)
class BodyHolding:
    """Bodies in the object store that belong to one kind of thing; small bodies are in a database table."""

    owner: Owner
    count: int
    bytes: int
    """Stored size, including encryption."""
    oldest: datetime


@dataclass(frozen=True, slots=True)
class Holdings:
    """The holdings of one vault."""

    tables: tuple[TableHolding, ...]
    bodies: tuple[BodyHolding, ...]


_BODIES: Mapping[Role, str] = {
    Role.ACCESS_POINT: """
        SELECT body, 'outgoing' AS owner, created_at AS at FROM transfers
        UNION ALL SELECT body, 'incoming', received_at FROM incoming WHERE acknowledged_at IS NULL
    """,
    Role.MESSAGE_SERVICE: """
        SELECT body, 'messages' AS owner, created_at AS at FROM messages WHERE body IS NOT NULL
    """,
    Role.MESSAGE_CLIENT: """
        SELECT body, 'messages' AS owner, at FROM messages
        UNION ALL
        SELECT f.body, CASE WHEN d.stage <> 'sent' THEN 'drafts' ELSE 'files' END, d.saved_at
        FROM files f LEFT JOIN drafts d ON d.id = f.owner
    """,
    Role.GOVERNANCE: """
        SELECT NULL::text AS body, NULL::text AS owner, NULL::timestamptz AS at WHERE false
    """,
}
"""Queries for the bodies of each role, with their owners and times."""


_SIZES = """
SELECT relname, pg_total_relation_size(oid) FROM pg_class
WHERE relnamespace = %s::regnamespace AND relkind = 'r'
"""


async def table_sizes(database: Database, where: str | None, schema: str) -> dict[str, int]:
    """Return the bytes on disk of each table in a schema, including its indexes, as the administrator.

    A vault's login may not ask for this, since sizes would reveal something about other vaults; no row is
    read. Returns nothing if the administrator of an operator's own cluster may not ask either
    (docs/database.md).
    """
    connection = await database.administrators_connection(where)
    try:
        found = await connection.execute(_SIZES.encode(), (schema,))
        return {str(table): int(size) for table, size in await found.fetchall()}
    except psycopg.errors.InsufficientPrivilege:
        return {}
    finally:
        await connection.close()


def _count_tables(role: Role) -> str:
    ages = {table: f"min({each.since})" if each.since else "NULL" for table, each in TABLES[role].items()}
    return " UNION ALL ".join(
        f"SELECT '{table}', count(*), {age}::timestamptz FROM {table}"  # noqa: S608
        for table, age in ages.items()
    )


def _stored_bodies(role: Role) -> str:
    return f"""
        SELECT DISTINCT ON (b.id) b.id, k.owner, k.at FROM ({_BODIES[role]}) AS k
        JOIN bodies b ON b.id = k.body WHERE b.sealed IS NULL ORDER BY b.id, k.owner DESC
    """  # noqa: S608


class HoldingsVault(Vault):
    """A vault that can count what it holds, as every vault can."""

    _role: ClassVar[Role]

    async def holdings(self) -> Holdings:
        """Count what this vault uses in database and object store.

        The result reveals nothing about anyone, so this alone leaves no entry in the log.
        """
        tables = await self._work.peek(_count_tables(self._role))
        bodies = await self._work.peek(_stored_bodies(self._role))
        shelf = self._room.shelf
        stored = {shelf.body_id(one.name): one for one in await shelf.objects.under(shelf.vault)}
        found: dict[Owner, list[tuple[int, datetime]]] = {}
        for body, owner, at in bodies:
            if (one := stored.pop(body, None)) is not None:
                found.setdefault(Owner(owner), []).append((one.size, at or one.modified))
        if stored:
            found[Owner.NOBODY] = [(one.size, one.modified) for one in stored.values()]
        return Holdings(
            tuple(TableHolding(str(name), int(count), at) for name, count, at in tables),
            tuple(
                BodyHolding(owner, len(each), sum(size for size, _ in each), min(at for _, at in each))
                for owner, each in sorted(found.items())
            ),
        )
