"""The due moments of vaults, sent to the registry after the commit that changed them.

A vault's moment is the earliest time at which something in it may be claimed. The vault stores it and numbers
its changes (sql/moment-1.sql). No transaction spans a vault and the registry, so the process that committed
sends the moment afterwards, several together; the highest number wins, in whatever order they arrive. Moments
that a killed process did not send are read from the vaults at the next start (:func:`catch_up`); sending that
fails is repeated.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from psycopg import sql

from samdrift.audit.operations import failing
from samdrift.contracts.errors import for_operator
from samdrift.vault.database.session import Int8s, Statement, Texts
from samdrift.vault.errors import VaultError, VaultUnavailable
from samdrift.vault.logins import Connection

NOW = "SELECT extract(epoch FROM clock_timestamp())::float8"
"""Query for the database's time, in POSIX seconds."""
STORED: Statement = ("SELECT number || ' ' || coalesce(due_at::text, '') FROM moment", ())
"""Query for the moment that a vault has, in the form that :meth:`Moment.parse` reads."""
_KEEP = "SELECT keep_moments($1::text[], $2::bigint[], $3::text[]::timestamptz[])"
_AGAIN_AFTER = 1.0
_TOGETHER = 0.1
"""Seconds that a moment waits for others to be sent with it: one exchange changes a queue a dozen times."""
_STOP_SECONDS = 2.0
"""Maximum number of seconds by which unsent moments may delay the end of a process."""
_AT_ONCE = 100
"""Number of vaults whose moments are read in one query."""
_LOGGER = logging.getLogger("samdrift")


@dataclass(frozen=True, slots=True, order=True)
class Moment:
    """The earliest time at which something in a vault may be claimed."""

    number: int
    due: str | None
    """The time as the database writes it; ``None`` if nothing is waiting."""

    @classmethod
    def parse(cls, text: str) -> Self:
        number, _, due = text.partition(" ")
        return cls(int(number), due or None)


def keep(moments: Mapping[str, Moment]) -> Statement:
    """Return the statement that stores the moments of vaults in the registry."""
    found = moments.values()
    return _KEEP, (Texts(moments), Int8s(each.number for each in found), [each.due for each in found])


class Moments:
    """A queue of moments to be sent to the registry, with the latest one of each vault."""

    def __init__(
        self,
        run: Callable[[Sequence[Statement]], Awaitable[object]],
        read: Callable[[str], Awaitable[Moment | None]],
    ) -> None:
        """Initialise with functions to run statements in the registry and to read a vault's current moment.

        ``read`` returns ``None`` if the vault cannot be opened any more.
        """
        self._run = run
        self._read = read
        self._waiting: dict[str, Moment] = {}
        self._doubtful: set[str] = set()
        """Vaults for which it is not known whether a commit took place."""
        self._asked = asyncio.Event()
        self._sending = asyncio.Lock()
        self._failed = failing("the news of what is due in vaults", VaultUnavailable)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start sending moments in the background."""
        self._task = asyncio.create_task(self._keep())

    def committed(self, vault: str, moment: Moment | None) -> None:
        """Queue the moment that a commit made, to be sent soon; never fails.

        ``None`` means that the commit was cut short and may have taken place: the moment is read from the
        vault.
        """
        if moment is None:
            self._doubtful.add(vault)
        else:
            self._put(vault, moment)
        self._asked.set()

    async def bring(self) -> None:
        """Send waiting moments now; if that raises :class:`VaultUnavailable`, they keep waiting."""
        async with self._sending:
            failure = await self._look()
            await self._send()
            if failure is not None:
                raise failure

    async def run_with(self, statements: Sequence[Statement]) -> None:
        """Run a transaction in the registry that sends waiting moments first, in one round trip for both.

        If that fails, the moments keep waiting and the transaction is run without them.
        """
        if self._waiting and not self._sending.locked():
            try:
                async with self._sending:
                    await self._send(statements)
            except VaultError:
                pass
            else:
                return
        await self._run(statements)

    async def stop(self) -> None:
        """Stop sending, after an attempt to send the moments that are left."""
        if self._task is None:
            return
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        with contextlib.suppress(TimeoutError, VaultError):
            async with asyncio.timeout(_STOP_SECONDS):
                await self.bring()

    async def _look(self) -> VaultError | None:
        """Read the moments that are in doubt; return the last failure, if one could not be read."""
        failure = None
        doubtful, self._doubtful = self._doubtful, set()
        while doubtful:
            vault = doubtful.pop()
            try:
                moment = await self._read(vault)
            except VaultError as error:
                self._doubtful.add(vault)
                failure = error
            except Exception as error:
                self._failed(error)
                self._doubtful.add(vault)
                failure = VaultUnavailable("a vault cannot be read")
            except BaseException:
                self._doubtful |= {vault, *doubtful}
                raise
            else:
                if moment is not None:
                    self._put(vault, moment)
        return failure

    async def _send(self, then: Sequence[Statement] = ()) -> None:
        """Send waiting moments, if any, and run ``then`` in the same transaction; do nothing without both."""
        if not self._waiting:
            if then:
                await self._run(then)
            return
        taken, self._waiting = self._waiting, {}
        try:
            await self._run([keep(taken), *then])
        except BaseException:
            for vault, moment in taken.items():
                self._put(vault, moment)
            raise

    def _put(self, vault: str, moment: Moment) -> None:
        known = self._waiting.get(vault)
        if known is None or known.number < moment.number:
            self._waiting[vault] = moment

    async def _keep(self) -> None:
        told, wait = False, _TOGETHER
        while True:
            await self._asked.wait()
            await asyncio.sleep(wait)
            self._asked.clear()
            try:
                await self.bring()
            except Exception as error:
                if not isinstance(error, VaultError) or getattr(error, "reported", False):
                    self._failed(error)
                elif not told:
                    _LOGGER.warning(
                        "database: due times of vaults cannot be sent to the registry now: %s",
                        for_operator(error),
                    )
                    told = True
                wait = _AGAIN_AFTER
                self._asked.set()
                continue
            if told:
                _LOGGER.info("database: due times of vaults are sent to the registry again")
            told, wait = False, _TOGETHER


Placed = tuple[str, str]
"""A vault and its schema."""


async def catch_up(registry: Connection, vaults: Connection, placed: Iterable[Placed]) -> None:
    """Send the registry the moments that a crash kept from being sent, as the database's administrator.

    A vault with a lower number than the registry has for it was restored from a copy: its moment gets a
    higher number. The registry is read first, so that no commit in the meantime looks like that.
    """
    known = dict(await _rows(registry, "SELECT vault, number FROM registry.moments"))
    waiting = [each for each in placed if each[0] in known]
    for first in range(0, len(waiting), _AT_ONCE):
        some = waiting[first : first + _AT_ONCE]
        found = await _read(vaults, some)
        for vault, schema in some:
            if found[vault].number < known[vault]:
                found[vault] = await _renewed(vaults, schema, known[vault])
        late = {vault: moment for vault, moment in found.items() if moment.number > known[vault]}
        if late:
            await _rows(
                registry,
                "SELECT registry.keep_moments(%s::text[], %s::bigint[], %s::text[]::timestamptz[])",
                *keep(late)[1],
            )


async def _read(vaults: Connection, placed: Sequence[Placed]) -> dict[str, Moment]:
    question = sql.SQL("SELECT {}, number, due_at::text FROM {}.moment")
    questions = [question.format(sql.Literal(vault), sql.Identifier(schema)) for vault, schema in placed]
    rows = await (await vaults.execute(sql.SQL(" UNION ALL ").join(questions))).fetchall()
    return {vault: Moment(number, due) for vault, number, due in rows}


async def _renewed(vaults: Connection, schema: str, number: int) -> Moment:
    renew = sql.SQL("UPDATE {}.moment SET number = greatest(number, %s) + 1 RETURNING number, due_at::text")
    ((made, due),) = await (await vaults.execute(renew.format(sql.Identifier(schema)), (number,))).fetchall()
    return Moment(made, due)


async def _rows(connection: Connection, question: str, *values: object) -> list[tuple[Any, ...]]:
    return await (await connection.execute(question.encode(), values)).fetchall()
