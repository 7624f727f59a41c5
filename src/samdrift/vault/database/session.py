"""One database connection, which sends several statements and receives their results in one round trip.

An opening of a vault costs two round trips, whatever it does in between: its first statement is sent with the
``BEGIN``, its last ones with the log entry and the ``COMMIT``. It costs one if its statements are expected to
succeed. psycopg's cursors need four of them and two to three times the work, which is why this drives libpq's
pipeline mode through psycopg's own :mod:`psycopg.pq` (decision record 0003). Everything else (connecting,
types and errors) is psycopg's.
"""

from __future__ import annotations

import asyncio
import select
import struct
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Self

import psycopg
from psycopg import pq
from psycopg.adapt import Dumper, PyFormat, Transformer
from psycopg.errors import error_from_result

from samdrift.vault.database.cluster import refused_login
from samdrift.vault.database.hosts import connected
from samdrift.vault.errors import (
    EndedByDatabase,
    UnknownRecord,
    VaultError,
    VaultRefused,
    VaultUnavailable,
)

Value = Any
"""A value that psycopg adapts.

It is a ``str``, ``int``, ``bytes``, ``bool`` or ``datetime``, a list of such values, or ``None``.
"""
Row = tuple[Value, ...]
Statement = tuple[str, Sequence[Value]]
"""SQL with ``$1`` for the first value, and the values."""

_Kind = tuple[str, tuple[int, ...]]
"""The key of a prepared statement: its SQL and the types of its values."""
_Dumped = tuple[_Kind, Sequence[pq.abc.Buffer | None], Sequence[pq.Format] | None]

_CLAIMS_FOR = "SELECT set_config('samdrift.claimant', %s, false)"
UNKNOWN_RECORD = "SD404"
"""SQLSTATE that our SQL functions raise when a record does not exist."""

_BROKE = "the connection to the database was lost"
_TRANSIENT = ("08", "40", "53", "55", "57", "58")
"""SQLSTATE classes after which the same call may succeed: connection, conflict, space, lock, shutdown."""
_GOES_AWAY = ("08", "57P")
"""SQLSTATE prefixes, among these, that mean that the server itself has gone or is not up yet."""


def call(function: str, arguments: int) -> str:
    """Return SQL that calls one of our SQL functions with that many ``arguments``."""
    return f"SELECT {function}({', '.join(f'${number}' for number in range(1, arguments + 1))})"


class Byteas(list[bytes]):
    """A value of type ``bytea[]``."""


class Texts(list[str]):
    """A value of type ``text[]``, known to contain only strings."""


class Int4s(list[int]):
    """A value of type ``int[]``."""


class Int8s(list[int]):
    """A value of type ``bigint[]``."""


# Module-level names: looking up an enum member takes longer than the call that uses it.
_BINARY, _AS_BINARY = pq.Format.BINARY, PyFormat.BINARY
_SYNCHRONISED = pq.ExecStatus.PIPELINE_SYNC
_DONE = (pq.ExecStatus.TUPLES_OK, pq.ExecStatus.COMMAND_OK)
_BAD = pq.ConnStatus.BAD

_LENGTH = struct.Struct("!i").pack
_INT4 = struct.Struct("!ii").pack
_INT8 = struct.Struct("!iq").pack


class _Array(Dumper):
    """A writer of lists of one type as binary arrays (``array_send``).

    psycopg examines every item of a list for the narrowest type, so that a statement is prepared for each
    combination of types, and the server converts the items again. One exchange involves about sixty lists.
    """

    format = _BINARY
    item_oid: ClassVar[int]

    def dump(self, obj: Sequence[Any]) -> bytes:
        if not obj:
            return struct.pack("!3i", 0, 0, self.item_oid)
        return struct.pack("!5i", 1, 0, self.item_oid, len(obj), 1) + b"".join(map(self.item, obj))

    @staticmethod
    def item(value: Any) -> bytes:
        """Return the length of a value, followed by the value."""
        raise NotImplementedError


class _Byteas(_Array):
    oid, item_oid = 1001, 17

    @staticmethod
    def item(value: bytes) -> bytes:
        return _LENGTH(len(value)) + value


class _Texts(_Array):
    oid, item_oid = 1009, 25

    @staticmethod
    def item(value: str) -> bytes:
        encoded = value.encode()
        return _LENGTH(len(encoded)) + encoded


class _Int4s(_Array):
    oid, item_oid = 1007, 23

    @staticmethod
    def item(value: int) -> bytes:
        return _INT4(4, value)


class _Int8s(_Array):
    oid, item_oid = 1016, 20

    @staticmethod
    def item(value: int) -> bytes:
        return _INT8(8, value)


for _kind, _dumper in ((Byteas, _Byteas), (Texts, _Texts), (Int4s, _Int4s), (Int8s, _Int8s)):
    psycopg.adapters.register_dumper(_kind, _dumper)


class Session:
    """A connection of one login, used by one task at a time."""

    def __init__(self, connection: psycopg.AsyncConnection[Row]) -> None:
        self._connection = connection
        self._pg = connection.pgconn
        self._transformer = Transformer(connection)
        self._names: dict[_Kind, bytes] = {}
        self._named = 0
        self._loop = asyncio.get_running_loop()
        self._socket = self._pg.socket
        self._results: list[pq.abc.PGresult] = []
        self._answered: asyncio.Future[None] | None = None
        self._writable: asyncio.Future[None] | None = None
        self._broken = select.poll()
        self._broken.register(self._socket, 0)
        self.backend = self._pg.backend_pid
        """The process id of the server process for this connection."""
        self.closed = False
        self.on_notification: Callable[[str, int], None] | None = None
        """Function called with the channel of each notification and the backend that sent it."""
        self.on_close: Callable[[], None] | None = None
        """Function called once when the connection is closed."""
        self._pg.enter_pipeline_mode()
        self._loop.add_reader(self._socket, self._readable)

    @classmethod
    async def connect(cls, address: str, claimant: str = "") -> Self:
        """Log in at ``address``, a libpq connection string; :class:`VaultUnavailable` if that fails.

        Claims of the session carry the name ``claimant`` (sql/claims-1.sql). :class:`DatabaseUnfit` if the
        server does not require a password, or not by SCRAM.
        """
        try:
            connection = await connected(address)
            if claimant:
                await connection.execute(_CLAIMS_FOR, (claimant,))
        except psycopg.Error as error:
            raise refused_login(error) from None
        return cls(connection)

    async def run(self, statements: Sequence[Statement]) -> list[list[Row]]:
        """Run statements in order and return the rows of each; the first error ends the run.

        Raises :class:`VaultUnavailable`, :class:`UnknownRecord` or :class:`VaultRefused`. If it is cancelled,
        or the connection breaks, the session is closed and the server rolls back everything uncommitted.
        """
        if self.closed:
            raise VaultUnavailable(_BROKE)
        dumped = self._dump(statements)
        answered = self._answered = self._loop.create_future()
        self._results = []
        try:
            prepared = self._send(dumped)
            await self._flush()
            await answered
        except psycopg.Error:
            self.close()
            raise VaultUnavailable(_BROKE) from None
        except BaseException:
            self.close()
            raise
        finally:
            self._answered = None
            if answered.done() and not answered.cancelled():
                answered.exception()  # Mark the exception as retrieved, even if sending failed first.
        try:
            return self._rows(prepared)
        except psycopg.Error:  # reading timestamps needs the connection, which has broken
            self.close()
            raise VaultUnavailable(_BROKE) from None

    def close(self) -> None:
        """Close the connection; may be called again."""
        if self.closed:
            return
        self.closed = True
        self._loop.remove_reader(self._socket)
        self._loop.remove_writer(self._socket)
        self._pg.finish()
        if self._writable is not None:
            _set(self._writable)
        if self._answered is not None and not self._answered.done():
            self._answered.set_exception(VaultUnavailable(_BROKE))
        if self.on_close is not None:
            self.on_close()

    def _dump(self, statements: Sequence[Statement]) -> list[_Dumped]:
        dumped: list[_Dumped] = []
        transformer = self._transformer
        for query, values in statements:
            if not values:
                dumped.append(((query, ()), (), None))
                continue
            try:
                data = transformer.dump_sequence(values, [_AS_BINARY] * len(values))
            except (psycopg.DataError, UnicodeError, OverflowError):
                raise VaultRefused from None
            dumped.append(((query, transformer.types or ()), data, transformer.formats))
        return dumped

    def _send(self, statements: Sequence[_Dumped]) -> list[_Kind | None]:
        """Queue all statements; return for each expected result the statement that it prepares, if any."""
        results: list[_Kind | None] = []
        for kind, data, formats in statements:
            name = self._names.get(kind)
            if name is None:
                self._named += 1
                name = self._names[kind] = b"s%d" % self._named
                query, types = kind
                self._pg.send_prepare(name, query.encode(), types)
                results.append(kind)
            self._pg.send_query_prepared(name, data, formats, _BINARY)
            results.append(None)
        self._pg.pipeline_sync()
        return results

    async def _flush(self) -> None:
        """Write queued data while the reader continues, so that neither side waits for the other."""
        while self._pg.flush():
            self._writable = self._loop.create_future()
            self._loop.add_writer(self._socket, _set, self._writable)
            try:
                await self._writable
            finally:
                if not self.closed:
                    self._loop.remove_writer(self._socket)
            if self.closed:
                raise VaultUnavailable(_BROKE)

    def _readable(self) -> None:
        """Read the data that has arrived.

        All of it is read if the connection broke, since uvloop reports that only once.
        """
        try:
            self._pg.consume_input()
            self._collect()
            while self._broken.poll(0):
                self._pg.consume_input()  # raises once everything has been read
                self._collect()
        except psycopg.Error:
            self.close()
            return
        while self.on_notification is not None and (notification := self._pg.notifies()) is not None:
            self.on_notification(notification.relname.decode(), notification.be_pid)
        if self._pg.status == _BAD:
            self.close()

    def _collect(self) -> None:
        """Collect the results that have arrived; wake the waiting task when the last one has."""
        while self._answered is not None and not self._answered.done() and not self._pg.is_busy():
            result = self._pg.get_result()
            if self._pg.status == _BAD:
                return
            if result is None:
                continue
            if result.status == _SYNCHRONISED:
                self._answered.set_result(None)
            else:
                self._results.append(result)

    def _rows(self, prepared: Sequence[_Kind | None]) -> list[list[Row]]:
        rows: list[list[Row]] = []
        for position, (result, preparing) in enumerate(zip(self._results, prepared, strict=True)):
            if result.status not in _DONE:
                self._forget(prepared[position:])
                raise _error(result)
            if preparing is None:
                rows.append(self._load(result))
        return rows

    def _load(self, result: pq.abc.PGresult) -> list[Row]:
        if result.ntuples == 0:
            return []
        self._transformer.set_pgresult(result, format=_BINARY)
        return self._transformer.load_rows(0, result.ntuples, tuple)

    def _forget(self, prepared: Sequence[_Kind | None]) -> None:
        """Forget statements that were not prepared because of an error."""
        for kind in prepared:
            if kind is not None:
                self._names.pop(kind, None)


def _set(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _error(result: pq.abc.PGresult) -> VaultError:
    """Return our own error for a result; the server's text may repeat values and is dropped (invariant 9)."""
    error = error_from_result(result)
    if error.sqlstate == UNKNOWN_RECORD:
        return UnknownRecord()
    if _is_transient(error):
        goes = error.sqlstate is None or error.sqlstate.startswith(_GOES_AWAY)
        kind = VaultUnavailable if goes else EndedByDatabase
        return kind(f"the database ended the work (SQLSTATE {error.sqlstate or 'not given'})")
    return VaultRefused(error.sqlstate)


def _is_transient(error: psycopg.Error) -> bool:
    """Return whether the same call may succeed later."""
    code = error.sqlstate
    # A full notification queue is the only transient error of its class. The name of the server's function
    # identifies it in every language.
    full = error.diag.source_function == "PreCommit_Notify"
    return code is None or full or code.startswith(_TRANSIENT)
