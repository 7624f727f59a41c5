"""The installation beside whatever runs, opened when a page first needs it: outages are shown too."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self, TypeVar

from samdrift.administration.administration import Administration, beside
from samdrift.administration.queue import TransferQueues
from samdrift.config.model import Config
from samdrift.contracts.principals import Role
from samdrift.keystore.interface import KeyStore
from samdrift.vault.errors import VaultError
from samdrift.vault.gate import Gate
from samdrift.wire.identifiers import ParticipantIdentifier

T = TypeVar("T")
Open = Callable[[], Awaitable[Administration]]
"""Returns the installation; a :class:`~samdrift.contracts.errors.Temporary` while its database is away."""


class Opened:
    """An :data:`Open` over the life of the console; to be entered and left."""

    def __init__(self, config: Config, keys: KeyStore) -> None:
        self._config = config
        self._keys = keys
        self._stack = AsyncExitStack()
        self._one_at_a_time = asyncio.Lock()
        self._installation: Administration | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def __call__(self) -> Administration:
        async with self._one_at_a_time:
            if self._installation is None:
                entered = beside(self._config, self._keys)
                self._installation = await self._stack.enter_async_context(entered)
            return self._installation


async def at_each(
    gate: Gate, name: str, ask: Callable[[TransferQueues], Awaitable[T]]
) -> tuple[list[tuple[ParticipantIdentifier, T]], list[tuple[ParticipantIdentifier, str]]]:
    """Ask about the transfers of each organisation for itself, in the name of a person of the operator's.

    Returns the answers, and why others gave none: a vault that is locked hides nobody else's transfers.
    """
    answers, silent = [], []
    for organisation in gate.registry.organisations(Role.ACCESS_POINT):
        try:
            answers.append((organisation, await ask(TransferQueues(gate, name, organisation))))
        except VaultError as error:
            silent.append((organisation, str(error)))
    return answers, silent
