"""Cost of idle organisations, divided among the parts of the product that use the time.

Each task belongs to a part by the module of its code, or to the part of the task that started it. Its steps
are timed by the clock of the loop's thread, and the server process of each database connection by the
scheduler's count: what is added while a part's statements run, or by its login, belongs to that part. Work
outside tasks and connections (input and output of the loop, threads, the start and end of server processes,
autovacuum, checkpoints of the database) belongs to no part.
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
    """Count the processor seconds of each part, for tasks that start while the context lasts."""
    seconds = Counter[Part]()

    def add(part: Part, spent: float) -> None:
        seconds[part] += spent  # type: ignore[assignment]  # The values are floats.

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
    """Return the part of a task's code, or ``None`` if its module belongs to none."""
    code = getattr(run, "cr_code", None)
    if code is None or _ROOT not in code.co_filename:
        return None
    local = run.cr_frame.f_locals
    if isinstance(role := local.get("role"), Role) and role in _OF_ROLES:
        return _OF_ROLES[role]
    if "work" in local:  # Background work is wrapped (net/background.py).
        return _part_of(local["work"])
    module = code.co_filename.rpartition(_ROOT)[2]
    return next((part for name, part in _MODULES.items() if module.startswith(name)), None)


class _Timed(Coroutine[Any, Any, Any]):
    """A task's coroutine with each step timed."""

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
        """Return the coroutine's own attribute, which anyio reads before it cancels a task."""
        return getattr(self._run, name)

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._run.__await__()


@contextmanager
def _sessions(add: _Add) -> Iterator[None]:
    """Count the processor time that the server processes of our connections use."""
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
    """Return a process's processor seconds from the scheduler's nanosecond count; 0 if it has ended."""
    try:
        return int(Path(f"/proc/{process}/schedstat").read_text().split()[0]) / 1e9
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
