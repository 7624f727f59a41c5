"""One unit of work in one vault: a transaction that begins when it is first needed.

The log entries of an opening are in the same transaction as what it did (invariant 3). They are written last,
together with the ``COMMIT``: the head of the log is the one row that all openings of a vault share, and it is
locked only while the commit takes place. Each entry names the principal and the purpose. If no entry says
what was seen or done in the opening, the opening has an entry of its own.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Sequence

from samdrift.audit.entries import Happening
from samdrift.audit.operations import log_not_kept
from samdrift.vault.database.pool import Login, Pool
from samdrift.vault.database.session import Row, Session, Statement, Value
from samdrift.vault.errors import VaultClosed, VaultError, VaultRefused, VaultUnavailable
from samdrift.vault.logbook import LAST_LEAVES, append_statement, are_of
from samdrift.vault.moments import Moment

_BEGIN: Statement = ("BEGIN", ())
_COMMIT: Statement = ("COMMIT", ())
_ROLLBACK: Statement = ("ROLLBACK", ())
_SAVEPOINT: Statement = ("SAVEPOINT expected", ())
_BACK: Statement = ("ROLLBACK TO SAVEPOINT expected", ())
_NOT_SO = "22012"
"""SQLSTATE of a division by zero, by which a statement aborts the batch when its expectation fails.

SQL has no assertion.
"""
_SETTLE: Statement = ("SET CONSTRAINTS ALL IMMEDIATE", ())
"""Makes the vault store its moment now (``_keep_moment()`` in the schema), so that it can be read."""
_OUTCOME: Statement = (
    """
SELECT coalesce(current_setting('samdrift.wake', true), '') = 'on',
    coalesce(current_setting('samdrift.moment', true), '')
""",
    (),
)
"""Query for whether the transaction asked for a notification (``_wake()``), and for the moment it made."""

Afterwards = Callable[[], Awaitable[None]]


def _wager(sql: str, outcome: str) -> str:
    """Return ``sql`` as a statement that fails if its first column is not ``outcome``."""
    so = f"1 / (found.outcome::text IS NOT DISTINCT FROM '{outcome}')::int"
    return f"SELECT found.*, {so} FROM ({sql}) AS found (outcome)"  # noqa: S608


def _noting(sql: str) -> str:
    """Return ``sql`` as a query that notes in the transaction that it found a row (:data:`_IF_SEEN`)."""
    return f"SELECT found.*, set_config('samdrift.seen', 'on', true) FROM ({sql}) AS found"  # noqa: S608


_IF_SEEN = "WHERE current_setting('samdrift.seen', true) = 'on'"


class UnitOfWork:
    """Statements and log entries of one transaction, and actions to run after its commit."""

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
        """Initialise a unit of work, which borrows no session from ``pool`` yet.

        ``notify`` is called after a commit that other processes may have to act on. ``due`` is called with
        the moment that a commit made, or with ``None`` if it is not known whether the commit took place.
        ``grown`` is called with entries that a commit has written in the log, or may have written.

        A ``quiet`` opening leaves no log entry as long as only :meth:`look` and :meth:`arrange` are used.
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
        """The committed entries, as :data:`LAST_LEAVES` returns them, if this unit of work is ``promising``.

        Empty if the log has other entries in their place, so that nothing is promised that was not kept.
        """
        self._happenings: list[Happening] = []
        self._session: Session | None = None
        self._held: list[Statement] = []
        self._last: list[Statement] = []
        self._afterwards: list[Afterwards] = []
        self._expected: tuple[int, int, int] | None = None
        """Lengths of the lists of held statements, log entries and actions at the time of :meth:`expect`."""
        self._supposing = False
        self.perhaps_committed = False
        """True once the commit was sent to the database, unless the database refused it."""
        self._used = False
        self._shown = False
        self._failure: VaultError | None = None
        self._over = False

    @property
    def supposing(self) -> bool:
        """Return whether all decisions are currently assumed to succeed, so that none is answered."""
        return self._supposing

    def check_open(self) -> None:
        """Raise :class:`VaultClosed` if this unit of work is over."""
        if self._over:
            raise VaultClosed

    async def query(self, sql: str, *values: Value) -> list[Row]:
        """Run a query and return its rows; held-back statements go first, in the same round trip."""
        self._used = True
        return await self.look(sql, *values)

    async def look(self, sql: str, *values: Value) -> list[Row]:
        """Run a query as :meth:`query` does, to find out whether there is anything to do."""
        return (await self.look_together((sql, values)))[-1]

    async def look_together(self, *asked: Statement) -> list[list[Row]]:
        """Run several queries as :meth:`look` does, in one round trip; return the rows of each."""
        self.check_open()
        if self._supposing:
            raise RuntimeError("no query is possible inside suppose()")
        statements = [*self._held, *asked]
        self._held.clear()
        if self._session is None:
            self._session = await self._borrowed()
            statements.insert(0, _BEGIN)
        try:
            return (await self._session.run(statements))[-len(asked) :]
        except VaultError as failure:
            self._failure = failure
            raise

    def expect(self) -> None:
        """Expect the next :meth:`decide`, which is to be the last operation, to succeed.

        Everything arranged and recorded from now on depends on that, and is sent and committed with it.
        """
        self.check_open()
        self._expected = len(self._held), len(self._happenings), len(self._afterwards)

    async def decide(
        self,
        sql: str,
        *values: Value,
        outcome: str = "true",
        then: Sequence[Statement] = (),
        last: Sequence[Statement] = (),
    ) -> list[Row]:
        """Run a query that succeeds if the first column of its row is ``outcome``.

        On success, ``then`` is run, as by :meth:`later`, and ``last``, as by :meth:`last`. If success was
        expected (:meth:`expect`), everything has been committed when this returns, and the opening is over.
        If an expected success does not occur, what was held back for it is discarded, and the opening
        continues.
        """
        self.check_open()
        self._used = True
        if self._supposing:
            self._held += [(_wager(sql, outcome), values), *then]
            self._last += last
            return [(True if outcome == "true" else outcome,)]
        if self._expected is None:
            rows = await self.look(sql, *values)
            if _text(rows[0][0]) == outcome:
                self._held += then
                self._last += last
            return rows
        mark, self._expected = self._expected, None
        foreseen = self._held[mark[0] :]
        del self._held[mark[0] :]
        found = await self._wagered([(_wager(sql, outcome), values), *foreseen, *then], last)
        if found is not None:
            return [row[:-1] for row in found[0]]
        rows = (await self.look_together((sql, values)))[-1]
        if _text(rows[0][0]) == outcome:
            self._held += [*foreseen, *then]
            self._last += last
        else:
            del self._happenings[mark[1] :], self._afterwards[mark[2] :]
        return rows

    async def suppose(self, work: Callable[[], Awaitable[None]]) -> bool:
        """Do ``work`` as if each :meth:`decide` in it succeeded, and commit it all in one round trip.

        The opening is over afterwards. Returns false if part of it failed: then none of ``work`` is done, and
        the opening continues. ``work`` cannot run queries, since there are no answers before the end.
        """
        return await self.suppose_and_see(work) is not None

    async def suppose_and_see(
        self, work: Callable[[], Awaitable[None]], *asked: Statement
    ) -> list[list[Row]] | None:
        """Do ``work`` as :meth:`suppose` does, and run queries on the result in the same round trip.

        Returns ``None`` if something failed. If a query found a row, the opening has an entry of its own in
        addition to those of ``work``.
        """
        self.check_open()
        held, at_last = len(self._held), len(self._last)
        recorded, to_do, used = len(self._happenings), len(self._afterwards), self._used
        self._supposing = True
        try:
            await work()
        finally:
            self._supposing = False
        supposed, last = self._held[held:], self._last[at_last:]
        del self._held[held:], self._last[at_last:]
        noting: list[Statement] = [(_noting(sql), values) for sql, values in asked]
        found = await self._wagered(supposed, last, noting)
        if found is not None:
            return [[row[:-1] for row in each] for each in found[len(found) - len(noting) :]]
        del self._happenings[recorded:], self._afterwards[to_do:]
        self._used = used
        return None

    async def _wagered(
        self, statements: Sequence[Statement], last: Sequence[Statement], asked: Sequence[Statement] = ()
    ) -> list[list[Row]] | None:
        """Run held-back statements and statements that are expected to succeed, then queries, and commit.

        Returns ``None`` if an expectation failed: the held-back statements still take effect, but none of the
        others.
        """
        before, begun = list(self._held), self._session is not None
        self._held.clear()
        if self._session is None:
            self._session = await self._borrowed()
        first = [*before, _SAVEPOINT] if begun else [_BEGIN, *before]
        entries, if_seen = self._entries, list[Happening]()
        if asked:
            entries, if_seen = self._happenings, [self._opening]
        try:
            rows = await self._end(
                [*first, *statements, *self._last, *last, *asked], entries, if_seen=if_seen
            )
        except VaultRefused as refused:
            if refused.code != _NOT_SO:
                self._failure = refused
                raise
            self._held = [_BACK] if begun else [_ROLLBACK, _BEGIN, *before]
            return None
        return rows[len(first) :]

    async def see(self, *asked: Statement) -> list[list[Row]]:
        """Run several queries, the only ones of this opening, and end it, all in one round trip.

        A ``quiet`` opening in which no row is found leaves no log entry.
        """
        self.check_open()
        if self._session is not None or self._held or self._happenings:
            raise RuntimeError("a unit of work has already begun")
        self._session = await self._pool.borrow(self._login)
        noting: list[Statement] = [(_noting(sql), values) for sql, values in asked]
        opening = [self._opening]
        quiet = self._quiet
        rows = await self._end([_BEGIN, *noting], [] if quiet else opening, if_seen=opening if quiet else [])
        return [[row[:-1] for row in each] for each in rows[1:]]

    async def at_once(self, sql: str, *values: Value) -> list[Row]:
        """Run a statement that is committed when this returns, whatever becomes of the rest.

        The statement must not change what is due, since only :meth:`commit` sends that to the registry. It
        has to come before anything else is asked: the rest has its own transaction, and a caller must not
        hold one session while it waits for another.
        """
        self.check_open()
        if self._session is not None or self._held:
            raise RuntimeError("a unit of work has already begun")
        self._used = True
        return await self._alone(sql, values)

    async def peek(self, sql: str, *values: Value) -> list[Row]:
        """Run a query that reveals nothing about anyone; this query alone leaves no log entry."""
        self.check_open()
        if self._session is not None or self._held:
            return await self.look(sql, *values)
        return await self._alone(sql, values)

    def later(self, sql: str, *values: Value) -> None:
        """Run a statement whose rows are not needed, no later than the commit."""
        self._used = True
        self.arrange(sql, *values)

    def arrange(self, sql: str, *values: Value) -> None:
        """Run a statement as :meth:`later` does, for statements on when and by whom work is to be done."""
        self.check_open()
        self._held.append((sql, values))

    def last(self, sql: str, *values: Value) -> None:
        """Run a statement that locks the log's head, with the commit and not before.

        No other lock is requested while that one is held, so that openings never deadlock.
        """
        self.check_open()
        self._used = True
        self._last.append((sql, values))

    def use(self) -> None:
        """Note that something was seen or done, although the database was not asked for anything."""
        self.check_open()
        self._used = True

    def show(self) -> None:
        """Note that content was seen that no entry names: the opening then always has an entry of its own."""
        self.use()
        self._shown = True

    def record(self, happening: Happening) -> None:
        """Write ``happening`` in the log when this is committed."""
        self.check_open()
        self._happenings.append(happening)

    def after_commit(self, action: Afterwards) -> None:
        """Run ``action`` after the commit.

        It is skipped if the commit fails, and may fail itself with :class:`VaultUnavailable`, which is
        ignored.
        """
        self._afterwards.append(action)

    async def commit(self) -> None:
        """Make everything durable; an opening in which nothing was seen or done leaves no trace.

        After a statement has failed, or had no connection, nothing can be committed: the failure is raised
        again.
        """
        if self._failure is not None:
            await self.abandon()
            raise self._failure
        if not self._over:
            self._over = True
            if self._entries or self._session or self._held:
                await self._commit(self._entries)
        for action in self._afterwards:
            with contextlib.suppress(VaultUnavailable):
                await action()

    async def _commit(self, entries: Sequence[Happening]) -> None:
        statements = [*self._held, *self._last]
        if self._session is None:
            self._session = await self._pool.borrow(self._login)
            statements.insert(0, _BEGIN)
        try:
            await self._end(statements, entries)
        except BaseException:
            await self._give_back(roll_back=True)
            raise

    async def _end(
        self,
        statements: Sequence[Statement],
        entries: Sequence[Happening],
        *,
        if_seen: Sequence[Happening] = (),
    ) -> list[list[Row]]:
        """Run the last statements, then the log entries and the commit; return the rows of the former.

        The entries ``if_seen`` are written if a query noted that it found a row.
        """
        session = self._session
        if session is None:
            raise RuntimeError("no unit of work has begun")
        if self._promising and entries and if_seen:
            raise RuntimeError("a promise must not depend on content that is seen in the same opening")
        logged = [append_statement(entries)] if entries else []
        if if_seen:
            sql, values = append_statement(if_seen)
            logged.append((f"{sql} {_IF_SEEN}", values))
        entries = [*entries, *if_seen]
        if entries and self._promising:
            logged.append((LAST_LEAVES, (len(entries),)))
        self.perhaps_committed = True
        try:
            found = await session.run([*statements, *logged, _SETTLE, _OUTCOME, _COMMIT])
        except BaseException:
            if session.closed:
                self._due(None)
                self._grown(entries)
            else:
                self.perhaps_committed = False
            raise
        self._over = True
        rows, *_, before, _, ((woken, moment),), _ = [found[: len(statements)], [], *found[len(statements) :]]
        if entries and (not if_seen or any(rows)):
            self._grown(entries)
            if self._promising:
                if are_of(before, logged[0][1][0]):
                    self.committed = before
                else:
                    log_not_kept()
        if moment:
            self._due(Moment.parse(moment))
        if woken:
            self._notify()
        await self._give_back(roll_back=False)
        return rows

    async def _borrowed(self) -> Session:
        """Return a session; without one nothing can be committed, as what was held back is gone."""
        try:
            return await self._pool.borrow(self._login)
        except BaseException as error:
            self._failure = error if isinstance(error, VaultError) else VaultUnavailable()
            raise

    async def _alone(self, sql: str, values: Sequence[Value]) -> list[Row]:
        session = await self._pool.borrow(self._login)
        try:
            return (await session.run([(sql, values)]))[0]
        finally:
            self._pool.give_back(self._login, session)

    @property
    def _entries(self) -> list[Happening]:
        """Return the log entries: those recorded, or else the opening's own; both if it showed content."""
        asked = self._used or (not self._quiet and (self._session is not None or bool(self._held)))
        opening = [self._opening] if self._shown or (asked and not self._happenings) else []
        return [*opening, *self._happenings]

    async def abandon(self) -> None:
        """Roll everything back."""
        self._over = True
        await self._give_back(roll_back=True)

    async def _give_back(self, *, roll_back: bool) -> None:
        """Return the session to the pool, outside of any transaction, or closed."""
        session, self._session = self._session, None
        if session is None:
            return
        try:
            if roll_back and not session.closed:
                await session.run([_ROLLBACK])
        except VaultError:
            session.close()  # the server then rolls back
        finally:
            self._pool.give_back(self._login, session)


def _text(outcome: Value) -> str:
    """Return an outcome as the database writes it."""
    return str(outcome).lower() if isinstance(outcome, bool) else str(outcome)
