"""Steps that can wait and are done in the next opening of the same vault.

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
"""Maximum number of seconds that a step waits."""
_MOST = 16
"""Number of waiting steps at which they are done without waiting longer."""

V = TypeVar("V", bound=Vault)
Step = Callable[[V], Awaitable[Any]]
"""A step to be done in an opening that is expected to succeed (:meth:`Vault.suppose`); it reads nothing."""


@dataclass(frozen=True, eq=False, slots=True)
class _Waiting(Generic[V]):
    step: Step[V]
    durable: asyncio.Future[bool]
    """Result: true if the step was done together with others, false if it must be done by itself."""


class Along(Generic[V]):
    """Waiting steps that an opening includes in its transaction."""

    def __init__(self, steps: Sequence[Step[V]]) -> None:
        self.steps = steps
        self.durable = False
        """To be set to true once the steps are committed."""


class Company(Generic[V]):
    """The waiting steps of one platform worker, for one purpose, in the vaults of all organisations."""

    def __init__(
        self,
        vaults: WorkerGate[V],
        purpose: Purpose,
        recorded: Callable[[ParticipantIdentifier], None] = lambda organisation: None,
    ) -> None:
        """Prepare to collect steps.

        ``recorded`` is called after steps were done together in an opening of their own.
        """
        self._vaults = vaults
        self._purpose = purpose
        self._recorded = recorded
        self._unexpected = unexpected("steps that are done together")
        self._waiting: defaultdict[ParticipantIdentifier, list[_Waiting[V]]] = defaultdict(list)

    async def joins(self, organisation: ParticipantIdentifier, step: Step[V]) -> bool:
        """Wait for a step to be done with others; return true if it is durable, false if it was not done."""
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
        """Do all waiting steps in one opening, if there are at least ``least`` of them."""
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
                pass  # Each step is retried by itself and reports the failure.
            except Exception as error:
                self._unexpected(error)
        if along.durable:
            self._recorded(organisation)
