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
from samdrift.vault.errors import VaultClosed, VaultError, VaultRefused, VaultUnavailable
from samdrift.vault.logbook import LAST_LEAVES, append_statement, are_of
from samdrift.vault.moments import Moment

_BEGIN: Statement = ("BEGIN", ())
_COMMIT: Statement = ("COMMIT", ())
_ROLLBACK: Statement = ("ROLLBACK", ())
_SAVEPOINT: Statement = ("SAVEPOINT expected", ())
_BACK: Statement = ("ROLLBACK TO SAVEPOINT expected", ())
_NOT_SO = "22012"
"""SQLSTATE of a division by zero: by this a statement aborts the batch when its expectation fails, since SQL
has no assertion."""
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


def _wager(sql: str, outcome: str) -> str:
    """Return ``sql`` as a statement that fails when its first column is not ``outcome``."""
    so = f"1 / (found.outcome::text IS NOT DISTINCT FROM '{outcome}')::int"
    return f"SELECT found.*, {so} FROM ({sql}) AS found (outcome)"  # noqa: S608


def _noting(sql: str) -> str:
    """Return ``sql`` as a question that notes in the transaction that it has a row (:data:`_IF_SEEN`)."""
    return f"SELECT found.*, set_config('samdrift.seen', 'on', true) FROM ({sql}) AS found"  # noqa: S608


_IF_SEEN = "WHERE current_setting('samdrift.seen', true) = 'on'"


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
        self._expected: tuple[int, int, int] | None = None
        """Lengths of what was held back, recorded, and to be done afterwards when something was expected."""
        self._supposing = False
        self.perhaps_committed = False
        """True once the end of this was sent to the database, unless that refused it."""
        self._used = False
        self._shown = False
        self._failure: VaultError | None = None
        self._over = False

    @property
    def supposing(self) -> bool:
        """Return whether all current decisions are assumed to succeed, without answers."""
        return self._supposing

    def check_open(self) -> None:
        """:class:`VaultClosed` when this is over."""
        if self._over:
            raise VaultClosed

    async def query(self, sql: str, *values: Value) -> list[Row]:
        """Run a statement and give its rows; what is held back goes before it in the same round trip."""
        self._used = True
        return await self.look(sql, *values)

    async def look(self, sql: str, *values: Value) -> list[Row]:
        """Query like :meth:`query`, to find out whether there is anything to do."""
        return (await self.look_together((sql, values)))[-1]

    async def look_together(self, *asked: Statement) -> list[list[Row]]:
        """Run several statements as :meth:`look` does, in one round trip; return the rows of each."""
        self.check_open()
        if self._supposing:
            raise RuntimeError("nothing can be asked while it is supposed that all comes about")
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

    def expect(self) -> None:
        """Expect what is asked next with :meth:`decide`, as the last thing, to succeed.

        What is arranged and recorded from now on counts only then, and is sent and committed with it.
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
        """Query something that succeeds when the first column of its row is ``outcome``.

        In that case ``then`` is run, as by :meth:`later`, and ``last``, as by :meth:`last`. Where it was
        expected, all of it has been committed when this returns, and the opening is over. Where it was
        expected and is not so, what was held back for it is forgotten, and the opening goes on.
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
        """Do ``work`` as if each :meth:`decide` in it came about, and commit it all in one round trip.

        The opening is over then. False where part of it failed: nothing of ``work`` is
        done, and the opening goes on. Nothing is asked in it, since there is no answer before the end.
        """
        return await self.suppose_and_see(work) is not None

    async def suppose_and_see(
        self, work: Callable[[], Awaitable[None]], *asked: Statement
    ) -> list[list[Row]] | None:
        """Do as :meth:`suppose` does, and ask questions about what is so then, in the same round trip.

        ``None`` where something failed. The opening has an entry of its own, beside those of
        ``work``, where a row was found.
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
        """Run what is held back and statements that are expected to succeed, ask, and commit.

        ``None`` where they do not: what was held back has been done then, and nothing of the others.
        """
        before, begun = list(self._held), self._session is not None
        self._held.clear()
        if self._session is None:
            self._session = await self._pool.borrow(self._login)
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
        """Ask several questions, the only ones of this opening, and end it: all in one round trip.

        Where a ``quiet`` one finds no row it leaves no entry in the log.
        """
        self.check_open()
        if self._session is not None or self._held or self._happenings:
            raise RuntimeError("a unit of work has begun already")
        self._session = await self._pool.borrow(self._login)
        noting: list[Statement] = [(_noting(sql), values) for sql, values in asked]
        opening = [self._opening]
        quiet = self._quiet
        rows = await self._end([_BEGIN, *noting], [] if quiet else opening, if_seen=opening if quiet else [])
        return [[row[:-1] for row in each] for each in rows[1:]]

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
        """Run a query that reveals nothing about anyone: alone, it leaves no entry in the log."""
        self.check_open()
        if self._session is not None or self._held:
            return await self.look(sql, *values)
        return await self._alone(sql, values)

    def later(self, sql: str, *values: Value) -> None:
        """Run a statement whose rows are not needed, at the latest with the commit."""
        self._used = True
        self.arrange(sql, *values)

    def arrange(self, sql: str, *values: Value) -> None:
        """Like :meth:`later`, for statements on when and by whom work is to be done."""
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
        """Run ``action`` after the commit; when the commit fails it is skipped, which it must allow for."""
        self._afterwards.append(action)

    async def commit(self) -> None:
        """Make it all durable. An opening in which nothing was seen or done leaves no trace.

        After a statement has failed nothing can be committed: the failure is raised again.
        """
        if self._failure is not None:
            await self.abandon()
            raise self._failure
        if not self._over:
            self._over = True
            entries = self._entries
            if not (entries or self._session or self._held):
                return
            statements = [*self._held, *self._last]
            if self._session is None:
                self._session = await self._pool.borrow(self._login)
                statements.insert(0, _BEGIN)
            try:
                await self._end(statements, entries)
            except BaseException:
                await self._give_back(roll_back=True)
                raise
        for action in self._afterwards:
            with contextlib.suppress(VaultUnavailable):
                await action()

    async def _end(
        self,
        statements: Sequence[Statement],
        entries: Sequence[Happening],
        *,
        if_seen: Sequence[Happening] = (),
    ) -> list[list[Row]]:
        """Run the last statements, then the log's entries and the commit; return the rows of the former.

        The entries ``if_seen`` are written where a question noted that it has a row.
        """
        session = self._session
        if session is None:
            raise RuntimeError("nothing has begun")
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


def _text(outcome: Value) -> str:
    """Return an outcome as the database writes it."""
    return str(outcome).lower() if isinstance(outcome, bool) else str(outcome)
