"""Steps that can wait, and are done in the next opening of the same vault.

An opening costs about the same whatever is done in it. So a step may wait a moment for an opening by another
worker, which includes it in its transaction. If none comes, waiting steps are done together; and if one of
them does not turn out as expected, each is done by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from samdrift.audit.operations import unexpected
from samdrift.contracts.errors import Temporary
from samdrift.contracts.principals import Purpose
from samdrift.vault.opening import Vault
from samdrift.vault.workergate import WorkerGate
from samdrift.wire.identifiers import ParticipantIdentifier

_WITHIN = 1.0
"""Seconds for which a step waits."""
_MOST = 16
"""Steps that wait at most: then they are done."""

V = TypeVar("V", bound=Vault)
Step = Callable[[V], Awaitable[Any]]
"""Does something in an opening that is supposed to succeed (:meth:`Vault.suppose`), and reads nothing."""


@dataclass(frozen=True, eq=False, slots=True)
class _Waiting(Generic[V]):
    step: Step[V]
    durable: asyncio.Future[bool]
    """True when the step was done with others; otherwise it must be done by itself."""


class Along(Generic[V]):
    """Steps that an opening takes along."""

    def __init__(self, steps: Sequence[Step[V]]) -> None:
        self.steps = steps
        self.durable = False
        """To be set once it is committed."""


class Company(Generic[V]):
    """The steps of one worker of the platform, for one purpose, in the vaults of every organisation."""

    def __init__(
        self,
        vaults: WorkerGate[V],
        purpose: Purpose,
        recorded: Callable[[ParticipantIdentifier], None] = lambda organisation: None,
    ) -> None:
        """``recorded`` is called when steps were done together, in an opening of their own."""
        self._vaults = vaults
        self._purpose = purpose
        self._recorded = recorded
        self._unexpected = unexpected("steps that are done together")
        self._waiting: defaultdict[ParticipantIdentifier, list[_Waiting[V]]] = defaultdict(list)

    async def joins(self, organisation: ParticipantIdentifier, step: Step[V]) -> bool:
        """Have a step done with others; it is durable when this returns true, and not done when false."""
        mine = _Waiting(step, asyncio.get_running_loop().create_future())
        waiting = self._waiting[organisation]
        waiting.append(mine)

        def waits() -> bool:
            return self._waiting.get(organisation) is waiting and mine in waiting

        try:
            if len(waiting) < _MOST:
                await asyncio.wait([mine.durable], timeout=_WITHIN)
            if waits():
                await self._together(organisation)
            return await mine.durable
        finally:
            if waits():
                waiting.remove(mine)

    @contextlib.asynccontextmanager
    async def along(self, organisation: ParticipantIdentifier) -> AsyncIterator[Along[V]]:
        """Hand waiting steps to another worker's opening; any not durable afterwards are done by themselves.

        Their log entries name this worker and its purpose.
        """
        taken = self._waiting.pop(organisation, [])

        def part(step: Step[V]) -> Step[V]:
            return lambda vault: step(self._vaults.within(vault, self._purpose))

        along = Along([part(each.step) for each in taken])
        try:
            yield along
        finally:
            for each in taken:
                if not each.durable.done():
                    each.durable.set_result(along.durable)

    async def finish(self) -> None:
        """Do the waiting steps now, since no further opening will include them."""
        for organisation in list(self._waiting):
            await self._together(organisation, 1)

    async def _together(self, organisation: ParticipantIdentifier, least: int = 2) -> None:
        """Do what waits in one opening, where it is at least so much."""
        async with self.along(organisation) as along:
            if len(along.steps) < least:
                return

            async def each() -> None:
                for step in along.steps:
                    await step(vault)

            try:
                async with self._vaults.open(organisation, self._purpose) as vault:
                    along.durable = await vault.suppose(each)
            except Temporary:
                pass  # Each by itself meets it again, and says so.
            except Exception as error:
                self._unexpected(error)
        if along.durable:
            self._recorded(organisation)
