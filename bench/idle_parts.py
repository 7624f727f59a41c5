"""The cost of idle organisations, divided among the parts of the product that the time is spent for.

Each task belongs to a part by the module of what it runs, or to that of the task that has begun it. Its steps
are timed by the clock of the loop's thread, and the server's process of each database connection by the
scheduler's count: what is added while a part's statements run, or by a login for it, is that part's. What
belongs to no task and no connection (reading and writing of the loop, threads, the begin and end of server
processes, autovacuum, checkpoints of the database) is of no part.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Generator, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from enum import StrEnum
from pathlib import Path
from time import thread_time
from types import TracebackType
from typing import Any
from unittest.mock import patch

from samdrift.contracts.principals import Role
from samdrift.vault.database.session import Row, Session, Statement


class Part(StrEnum):
    """Parts with a bar of their own."""

    LOGS = "logs and checkpoints"
    CLIENT = "message client"
    GOVERNANCE = "governance"
    REST = "the rest"


_MODULES = {
    "installation/logkeeping": Part.LOGS,
    "installation/loghandover": Part.LOGS,
    "installation/reconciling": Part.LOGS,
    "installation/timestamping": Part.LOGS,
    "messageclient/": Part.CLIENT,
    "installation/cover": Part.GOVERNANCE,
    "installation/reminding": Part.GOVERNANCE,
    "installation/callingout": Part.GOVERNANCE,
    "installation/directories": Part.GOVERNANCE,
    "governance/": Part.GOVERNANCE,
}
_OF_ROLES = {Role.MESSAGE_CLIENT: Part.CLIENT, Role.GOVERNANCE: Part.GOVERNANCE}
_ROOT = "/samdrift/"
_part: ContextVar[Part] = ContextVar("part", default=Part.REST)
_Add = Callable[[Part, float], None]


@contextmanager
def accounted() -> Iterator[Counter[Part]]:
    """Count seconds of processor time of each part while the context lasts, for tasks that begin in it."""
    seconds = Counter[Part]()

    def add(part: Part, spent: float) -> None:
        seconds[part] += spent  # type: ignore[assignment]  # A counter of seconds.

    def begun(loop: asyncio.AbstractEventLoop, run: Coroutine[Any, Any, Any], **named: Any) -> Any:
        part = _part_of(run) or _part.get()
        context = named.pop("context", None) or copy_context()
        context.run(_part.set, part)
        return asyncio.Task(_Timed(run, part, add), loop=loop, context=context, **named)

    loop = asyncio.get_running_loop()
    loop.set_task_factory(begun)
    try:
        with _sessions(add):
            yield seconds
    finally:
        loop.set_task_factory(None)


def _part_of(run: Any) -> Part | None:
    """Return the part of what a task runs; ``None`` where its module says nothing."""
    code = getattr(run, "cr_code", None)
    if code is None or _ROOT not in code.co_filename:
        return None
    local = run.cr_frame.f_locals
    if isinstance(role := local.get("role"), Role) and role in _OF_ROLES:
        return _OF_ROLES[role]
    if "work" in local:  # What runs in the background is wrapped (net/background.py).
        return _part_of(local["work"])
    module = code.co_filename.rpartition(_ROOT)[2]
    return next((part for name, part in _MODULES.items() if module.startswith(name)), None)


class _Timed(Coroutine[Any, Any, Any]):
    """What a task runs, each step timed."""

    def __init__(self, run: Coroutine[Any, Any, Any], part: Part, add: _Add) -> None:
        self._run, self._part, self._add = run, part, add

    def send(self, value: Any) -> Any:
        began = thread_time()
        try:
            return self._run.send(value)
        finally:
            self._add(self._part, thread_time() - began)

    def throw(
        self, kind: Any, value: BaseException | object = None, trace: TracebackType | None = None
    ) -> Any:
        began = thread_time()
        try:
            return self._run.throw(kind if value is None else value)
        finally:
            self._add(self._part, thread_time() - began)

    def close(self) -> None:
        self._run.close()

    def __getattr__(self, name: str) -> Any:
        """Return what the coroutine has: anyio looks at one before it cancels its task."""
        return getattr(self._run, name)

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._run.__await__()


@contextmanager
def _sessions(add: _Add) -> Iterator[None]:
    """Count what the server's processes of our connections do."""
    known: dict[int, float] = {}
    connect, run = Session.connect, Session.run

    def note(backend: int) -> None:
        now = _ran(backend)
        add(_part.get(), max(0.0, now - known.get(backend, 0.0)))
        known[backend] = now

    async def connected(*given: Any, **named: Any) -> Session:
        session = await connect(*given, **named)
        known.pop(session.backend, None)
        note(session.backend)
        return session

    async def ran(session: Session, statements: Sequence[Statement]) -> list[list[Row]]:
        try:
            return await run(session, statements)
        finally:
            note(session.backend)

    with patch.object(Session, "connect", connected), patch.object(Session, "run", ran):
        yield


def _ran(process: int) -> float:
    """Return the scheduler's own count, which has nanoseconds; 0 for a process that has ended."""
    try:
        return int(Path(f"/proc/{process}/schedstat").read_text().split()[0]) / 1e9
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
