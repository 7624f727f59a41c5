"""Access to the installation from the console, opened when a page first needs it.

So the console also starts, and shows outages, while the database is down.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self, TypeVar

from samdrift.administration.administration import Administration, beside
from samdrift.administration.queue import TransferQueues
from samdrift.config.model import Config
from samdrift.contracts.errors import for_operator
from samdrift.contracts.principals import Proof, Role
from samdrift.keystore.interface import KeyStore
from samdrift.vault.errors import VaultError, VaultUnavailable
from samdrift.vault.gate import Gate
from samdrift.wire.identifiers import ParticipantIdentifier

T = TypeVar("T")
_LOGGER = logging.getLogger("samdrift")
Open = Callable[[], Awaitable[Administration]]
"""Function that returns the installation; raises a temporary error while its database is away.

See :class:`~samdrift.contracts.errors.Temporary`.
"""


class Opened:
    """A context manager that provides an :data:`Open` for the life of the console."""

    def __init__(self, config: Config, keys: KeyStore) -> None:
        self._config = config
        self._keys = keys
        self._stack = AsyncExitStack()
        self._one_at_a_time = asyncio.Lock()
        self._installation: Administration | None = None
        self._unopened = ""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def __call__(self) -> Administration:
        async with self._one_at_a_time:
            if self._installation is None:
                self._installation = await self._opened()
            return self._installation

    async def _opened(self) -> Administration:
        """Open the installation; on failure, log each reason once and let the next page try again."""
        try:
            opened = await self._stack.enter_async_context(beside(self._config, self._keys))
        except VaultError as error:
            why = for_operator(error)
            if why != self._unopened:
                _LOGGER.warning("console: the installation cannot be opened: %s", why)
            self._unopened = why
            raise VaultUnavailable(why) from None
        self._unopened = ""
        return opened


async def at_each(
    gate: Gate, name: str, proof: Proof, ask: Callable[[TransferQueues], Awaitable[T]]
) -> tuple[list[tuple[ParticipantIdentifier, T]], list[tuple[ParticipantIdentifier, str]]]:
    """Ask about the transfers of each organisation separately, on behalf of a member of the staff.

    Returns the answers, and the reasons of organisations without one: a locked vault does not hide the
    others' transfers.
    """
    answers, silent = [], []
    for organisation in gate.registry.hosted(Role.ACCESS_POINT):
        try:
            answers.append((organisation, await ask(TransferQueues(gate, name, organisation, proof))))
        except VaultError as error:
            silent.append((organisation, for_operator(error)))
    return answers, silent
