"""One unit of work in one vault: a transaction that begins when it is first needed.

The log entries that an opening leaves are in the same transaction as what it
did (invariant 3), and are written last, together with the ``COMMIT``: the head of
the log is the one row that openings of a vault share, and it is locked for no
longer than the commit takes. Each entry says by whom and for what; the opening
has one of its own where none says what was seen or done in it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Sequence

from samdrift.audit.entries import Happening
from samdrift.audit.operations import log_not_kept
from samdrift.vault.database.pool import Login, Pool
from samdrift.vault.database.session import Row, Session, Statement, Value
from samdrift.vault.errors import VaultClosed, VaultError, VaultUnavailable
from samdrift.vault.logbook import LAST_LEAVES, append_statement, are_of
from samdrift.vault.moments import Moment

_BEGIN: Statement = ("BEGIN", ())
_COMMIT: Statement = ("COMMIT", ())
_ROLLBACK: Statement = ("ROLLBACK", ())
_SETTLE: Statement = ("SET CONSTRAINTS ALL IMMEDIATE", ())
"""Has the vault keep its moment now (``_keep_moment()`` in the schema), so that it can be asked for."""
_OUTCOME: Statement = (
    """
SELECT coalesce(current_setting('samdrift.wake', true), '') = 'on',
    coalesce(current_setting('samdrift.moment', true), '')
""",
    (),
)
"""Returns whether the transaction asked for a notification (``_wake()``), and the moment that it made."""

Afterwards = Callable[[], Awaitable[None]]


class UnitOfWork:
    """Statements, log entries, and what is to be done once they are committed."""

    def __init__(
        self,
        pool: Pool,
        login: Login,
        opening: Happening,
        notify: Callable[[], None],
        due: Callable[[Moment | None], None],
        *,
        quiet: bool,
        promising: bool = False,
        grown: Callable[[Sequence[Happening]], None] = lambda entries: None,
    ) -> None:
        """``notify`` is called after a commit that other processes may have to act on.

        ``due`` is called with the moment that a commit made, or with ``None`` where it is not known whether
        the commit took place.

        ``grown`` is called with entries that a commit has written in the log, or may have.

        A ``quiet`` opening leaves no entry while nothing but :meth:`look` and :meth:`arrange` was
        asked of it.
        """
        self._pool = pool
        self._login = login
        self._notify = notify
        self._due = due
        self._opening = opening
        self._quiet = quiet
        self._promising = promising
        self._grown = grown
        self.committed: list[Row] = []
        """The entries that were committed, as :data:`LAST_LEAVES` has them; for a ``promising`` one.

        None where the log has others in their place: nothing is promised that was not kept.
        """
        self._happenings: list[Happening] = []
        self._session: Session | None = None
        self._held: list[Statement] = []
        self._last: list[Statement] = []
        self._afterwards: list[Afterwards] = []
        self._used = False
        self._shown = False
        self._failure: VaultError | None = None
        self._over = False

    def check_open(self) -> None:
        """:class:`VaultClosed` when this is over."""
        if self._over:
            raise VaultClosed

    async def query(self, sql: str, *values: Value) -> list[Row]:
        """Run a statement and give its rows; what is held back goes before it in the same round trip."""
        self._used = True
        return await self.look(sql, *values)

    async def look(self, sql: str, *values: Value) -> list[Row]:
        """Query as :meth:`query` does, to find out if there is anything to do."""
        return (await self.look_together((sql, values)))[-1]

    async def look_together(self, *asked: Statement) -> list[list[Row]]:
        """Run several statements as :meth:`look` does, in one round trip; return the rows of each."""
        self.check_open()
        statements = [*self._held, *asked]
        self._held.clear()
        if self._session is None:
            self._session = await self._pool.borrow(self._login)
            statements.insert(0, _BEGIN)
        try:
            return (await self._session.run(statements))[-len(asked) :]
        except VaultError as failure:
            self._failure = failure
            raise

    async def at_once(self, sql: str, *values: Value) -> list[Row]:
        """Run a statement that is committed when this returns, whatever becomes of the rest.

        Not one that changes what is due: that is brought to the registry with :meth:`commit` alone.
        Only before anything was asked: the rest has its own transaction, and nobody may hold one
        session while waiting for another.
        """
        self.check_open()
        if self._session is not None or self._held:
            raise RuntimeError("a unit of work has begun already")
        self._used = True
        return await self._alone(sql, values)

    async def peek(self, sql: str, *values: Value) -> list[Row]:
        """Run a question that shows nothing of anybody: alone, it leaves no entry in the log."""
        self.check_open()
        if self._session is not None or self._held:
            return await self.look(sql, *values)
        return await self._alone(sql, values)

    def later(self, sql: str, *values: Value) -> None:
        """Run a statement whose rows nobody waits for, at the latest with the commit."""
        self._used = True
        self.arrange(sql, *values)

    def arrange(self, sql: str, *values: Value) -> None:
        """Do as :meth:`later` does, for when and by whom something is to be done."""
        self.check_open()
        self._held.append((sql, values))

    def last(self, sql: str, *values: Value) -> None:
        """Run a statement with the commit and not before: one that locks the log's head.

        Whoever holds that lock asks for no other, so that openings never wait in a circle.
        """
        self.check_open()
        self._used = True
        self._last.append((sql, values))

    def use(self) -> None:
        """Note that something was seen or done, although the database was asked for nothing."""
        self.check_open()
        self._used = True

    def show(self) -> None:
        """Note that content was seen that no entry names: the opening has one of its own beside others."""
        self.use()
        self._shown = True

    def record(self, happening: Happening) -> None:
        """Write ``happening`` in the log when this is committed."""
        self.check_open()
        self._happenings.append(happening)

    def after_commit(self, action: Afterwards) -> None:
        """Do ``action`` once everything is committed; it must bear not to be done when that fails."""
        self._afterwards.append(action)

    async def commit(self) -> None:
        """Make it all durable. An opening in which nothing was seen or done leaves no trace.

        After a statement has failed nothing can be committed: the failure is raised again.
        """
        if self._failure is not None:
            await self.abandon()
            raise self._failure
        self._over = True
        entries = self._entries
        if not (entries or self._session or self._held):
            return
        logged = [append_statement(entries)] if entries else []
        if entries and self._promising:
            logged.append((LAST_LEAVES, (len(entries),)))
        statements = [*self._held, *self._last, *logged, _SETTLE, _OUTCOME, _COMMIT]
        if self._session is None:
            self._session = await self._pool.borrow(self._login)
            statements.insert(0, _BEGIN)
        try:
            *_, before, _, ((woken, moment),), _ = [[], *await self._session.run(statements)]
        except BaseException:
            if self._session.closed:
                self._due(None)
                self._grown(entries)
            await self._give_back(roll_back=True)
            raise
        if entries:
            self._grown(entries)
        if entries and self._promising:
            if are_of(before, logged[0][1][0]):
                self.committed = before
            else:
                log_not_kept()
        if moment:
            self._due(Moment.parse(moment))
        if woken:
            self._notify()
        await self._give_back(roll_back=False)
        for action in self._afterwards:
            with contextlib.suppress(VaultUnavailable):
                await action()

    async def _alone(self, sql: str, values: Sequence[Value]) -> list[Row]:
        session = await self._pool.borrow(self._login)
        try:
            return (await session.run([(sql, values)]))[0]
        finally:
            self._pool.give_back(self._login, session)

    @property
    def _entries(self) -> list[Happening]:
        """Entries for the log: those that were recorded, or one of the opening; both if it showed content."""
        asked = self._used or (not self._quiet and (self._session is not None or bool(self._held)))
        opening = [self._opening] if self._shown or (asked and not self._happenings) else []
        return [*opening, *self._happenings]

    async def abandon(self) -> None:
        """Undo it all."""
        self._over = True
        await self._give_back(roll_back=True)

    async def _give_back(self, *, roll_back: bool) -> None:
        """Give the session back outside of any transaction, or closed."""
        session, self._session = self._session, None
        if session is None:
            return
        try:
            if roll_back and not session.closed:
                await session.run([_ROLLBACK])
        except VaultError:
            session.close()  # the server rolls back what hangs up
        finally:
            self._pool.give_back(self._login, session)
