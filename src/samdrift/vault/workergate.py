"""The gate as a worker of the platform sees it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Generic, TypeVar

from samdrift.contracts.cover import Cover
from samdrift.contracts.principals import Purpose
from samdrift.vault.opening import Reason, Vault
from samdrift.wire.identifiers import ParticipantIdentifier

V_co = TypeVar("V_co", bound=Vault, covariant=True)
V = TypeVar("V", bound=Vault)


class WorkerGate(Generic[V_co]):
    """The gate as one worker in one role sees it (:meth:`Gate.worker`)."""

    def __init__(
        self,
        opened: Callable[[ParticipantIdentifier, Purpose], AbstractAsyncContextManager[V_co]],
        covered: Callable[[ParticipantIdentifier], Awaitable[Cover]],
        reason: Callable[[Purpose], Reason],
    ) -> None:
        self._opened = opened
        self._covered = covered
        self._reason = reason

    def open(
        self, organisation: ParticipantIdentifier, purpose: Purpose
    ) -> AbstractAsyncContextManager[V_co]:
        """Open the organisation's vault for one unit of work; as :meth:`Gate.open`."""
        return self._opened(organisation, purpose)

    def within(self, vault: V, purpose: Purpose) -> V:
        """Return another worker's opening of a vault in that role, as this worker's own part in it.

        Entries recorded through it name this worker and its purpose.
        """
        return vault.within(self._reason(purpose))

    async def cover(self, organisation: ParticipantIdentifier) -> Cover:
        """Return how the organisation's function is covered; as :meth:`Gate.cover`."""
        return await self._covered(organisation)
