"""The closing of an organisation in the registry: what it had, the decision, and the signed certificate.

A closing is a row that is written before anything is destroyed and completed when everything is. It remains
valid if the process is killed at any moment, and records quantities (counts, fingerprints, the head of the
log) but no content. All of this runs as the database's administrator.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from typing import Any

import psycopg
from psycopg import sql

from samdrift.audit.chain import ChainHead, origin
from samdrift.audit.entries import Happening
from samdrift.audit.events import AuditEvent
from samdrift.contracts.principals import Role
from samdrift.vault import logbook
from samdrift.vault.database.migrations import Connection
from samdrift.vault.events import VaultEvent
from samdrift.vault.registry import RegistrationState
from samdrift.wire.identifiers import ParticipantIdentifier

_RECORD_KEEPING = "SELECT (SELECT count(*) FROM {schema}.records), 0, (SELECT count(*) FROM {schema}.records)"
_COUNTS = {
    Role.ACCESS_POINT: """
        SELECT (SELECT count(*) FROM {schema}.transfers) + (SELECT count(*) FROM {schema}.incoming),
               (SELECT count(*) FROM {schema}.transfers WHERE due_at IS NOT NULL)
               + (SELECT count(*) FROM {schema}.incoming WHERE acknowledged_at IS NULL),
               0
    """,
    Role.MESSAGE_SERVICE: """
        SELECT (SELECT count(*) FROM {schema}.messages WHERE details IS NOT NULL)
               + (SELECT count(*) FROM {schema}.receipts),
               (SELECT count(DISTINCT id) FROM {schema}.work),
               0
    """,
    Role.MESSAGE_CLIENT: _RECORD_KEEPING,
    Role.GOVERNANCE: _RECORD_KEEPING,
}
"""Queries that count, for each role: records, unfinished records, and public records not handed over.

Message client and governance are an organisation's own store of what it sent, received and decided
(architecture-sad 2), so closing may destroy the only copy of a public record there. Access point and message
service only pass on what others keep.
"""
_STOCK = """
SELECT (SELECT count(*) FROM {schema}.bodies),
       (SELECT coalesce(max(sequence), 0) FROM {schema}.log
        WHERE position(convert_to(%s, 'UTF8') IN content) > 0),
       (SELECT coalesce(max(sequence), 0) FROM {schema}.log
        WHERE position(convert_to(%s, 'UTF8') IN content) > 0)
"""
_TOLD = """
SELECT content FROM {schema}.log WHERE position(convert_to(%s, 'UTF8') IN content) > 0 ORDER BY sequence
"""
_CLOSINGS = "SELECT number, organisation, facts, begun_at, ended_at, certificate FROM registry.closings"


Inside = Callable[[str], AbstractAsyncContextManager[Connection]]
"""A function that opens a separate transaction in a database."""


@dataclass(frozen=True, slots=True)
class Stock:
    """Numbers of records in a vault, without any content."""

    role: Role
    vault: str
    state: RegistrationState
    records: int
    """Number of records that the role keeps.

    They are the messages and receipts of a message service, the transfers and received envelopes of an access
    point, and the public records of message client and governance.
    """
    bodies: int
    under_way: int
    """Number of unfinished records: to be sent, to be answered, to be fetched."""
    not_handed_over: int
    """Number of public records that are kept here and have not been handed over."""
    log_length: int
    log_hash: bytes
    exported: bool
    """True if the log was exported after the vault was last suspended."""
    ended: tuple[Happening, ...]
    """Log entries about unfinished work that was ended because of the closing."""


@dataclass(frozen=True, slots=True)
class Closing:
    """An organisation's closing, unfinished until it has a certificate."""

    number: int
    organisation: ParticipantIdentifier
    facts: bytes
    begun_at: datetime
    ended_at: datetime | None
    certificate: bytes | None


class Closings:
    """The registry's record of organisations that are closed or being closed."""

    def __init__(self, connection: Connection, inside: Inside) -> None:
        """Use the registry's ``connection``; ``inside`` opens a transaction in a database."""
        self._connection = connection
        self._inside = inside

    async def stock(self, organisation: ParticipantIdentifier) -> tuple[Stock, ...]:
        """Count what each of the organisation's vaults holds at present."""
        found = await self._rows(
            "SELECT coalesce(database, current_database()), role, vault, schema, state"
            " FROM registry.registrations WHERE organisation = %s ORDER BY role",
            organisation.value,
        )
        stock = []
        for where, rows in groupby(found, itemgetter(0)):
            async with self._inside(where) as inside:
                stock += [await _stock(inside, *row) for _, *row in rows]
        return tuple(stock)

    async def all(self) -> tuple[Closing, ...]:
        """Return all closings, the first one first."""
        return tuple(map(_closing, await self._rows(f"{_CLOSINGS} ORDER BY number")))

    async def last(self, organisation: ParticipantIdentifier) -> Closing | None:
        """Return the organisation's latest closing, whether finished or not; ``None`` if there is none."""
        rows = await self._rows(
            f"{_CLOSINGS} WHERE organisation = %s ORDER BY number DESC LIMIT 1", organisation.value
        )
        return _closing(rows[0]) if rows else None

    async def begin(self, organisation: ParticipantIdentifier, facts: bytes, happening: Happening) -> None:
        """Record once what is to be destroyed, in the caller's transaction."""
        begun = await self._rows(
            "INSERT INTO registry.closings (organisation, facts, begun_at) VALUES (%s, %s, %s)"
            " ON CONFLICT (organisation) WHERE ended_at IS NULL DO NOTHING RETURNING number",
            organisation.value,
            facts,
            happening.at,
        )
        if begun:
            vaults = await self._rows(
                "UPDATE registry.registrations SET state = 'closing' WHERE organisation = %s"
                " RETURNING coalesce(database, current_database()), schema",
                organisation.value,
            )
            for where, rows in groupby(vaults, itemgetter(0)):
                async with self._inside(where) as inside:
                    for _, schema in rows:
                        await append_log(inside, schema, happening)
            await append_log(self._connection, "registry", happening)

    async def end(self, closing: Closing, certificate: bytes, happening: Happening) -> None:
        """Record once that everything is destroyed."""
        async with self._connection.transaction():
            ended = await self._rows(
                "UPDATE registry.closings SET ended_at = %s, certificate = %s"
                " WHERE number = %s AND ended_at IS NULL RETURNING number",
                happening.at,
                certificate,
                closing.number,
            )
            if ended:
                await append_log(self._connection, "registry", happening)

    async def _rows(self, statement: str, *values: object) -> Sequence[tuple[Any, ...]]:
        return await (await self._connection.execute(statement.encode(), values)).fetchall()


async def _stock(connection: Connection, role: str, vault: str, schema: str, state: str) -> Stock:
    records, under_way, not_handed_over = await _row(connection, _COUNTS[Role(role)], schema)
    events = _word(VaultEvent.ORGANISATION_EXPORTED), _word(VaultEvent.ORGANISATION_SUSPENDED)
    bodies, exported, suspended = await _row(connection, _STOCK, schema, *events)
    head = await _log_head(connection, schema)
    ended = await _told(connection, schema, VaultEvent.ORGANISATION_ENDED)
    return Stock(
        Role(role),
        vault,
        RegistrationState(state),
        records,
        bodies,
        under_way,
        not_handed_over,
        head.sequence,
        head.hash,
        exported > suspended,
        ended,
    )


async def _log_head(connection: Connection, schema: str) -> ChainHead:
    """Return the end of a vault's log, in the caller's transaction."""
    cursor = psycopg.AsyncRawCursor(connection)

    async def query(question: str, *values: object) -> list[tuple[Any, ...]]:
        return await (await cursor.execute(question.encode(), values)).fetchall()

    path = sql.SQL("SET LOCAL search_path = {}").format(sql.Identifier(schema))
    await connection.execute(path)
    head = await logbook.head(query)
    await connection.execute("RESET search_path")
    return head


async def _told(connection: Connection, schema: str, event: AuditEvent) -> tuple[Happening, ...]:
    """Return the entries of a vault's log about an event, the oldest first."""
    question = sql.SQL(_TOLD).format(schema=sql.Identifier(schema))
    rows = await (await connection.execute(question, (_word(event),))).fetchall()
    return tuple(Happening.parse(content) for (content,) in rows)


async def _row(connection: Connection, statement: str, schema: str, *values: object) -> tuple[Any, ...]:
    question = sql.SQL(statement).format(schema=sql.Identifier(schema))
    (row,) = await (await connection.execute(question, values)).fetchall()
    return row


def _word(event: AuditEvent) -> str:
    """Return the text that only entries about that event contain (the form is canonical)."""
    return f'"event":"{event.value}"'


async def begin_log(connection: Connection, schema: str, log_id: str, channel: str) -> None:
    """Begin the log in a schema, as the database's administrator."""
    name = sql.Identifier(schema)
    insert = sql.SQL("INSERT INTO {}.log_head (sequence, hash, channel) VALUES (0, %s, %s)")
    await connection.execute(insert.format(name), (origin(log_id).hash, channel))
    await connection.execute(sql.SQL("SELECT {}._begin_tree()").format(name))


async def append_log(connection: psycopg.AsyncConnection[Any], schema: str, happening: Happening) -> None:
    """Append to the log of a vault or of the operator, in the caller's transaction."""
    _, values = logbook.append_statement([happening])
    append = sql.SQL("SELECT {}.append_log(%s::bytea[], %s::bigint[], %s::int[])")
    await connection.execute(append.format(sql.Identifier(schema)), values)


def _closing(row: tuple[Any, ...]) -> Closing:
    number, organisation, facts, begun_at, ended_at, certificate = row
    return Closing(number, ParticipantIdentifier(organisation), facts, begun_at, ended_at, certificate)
