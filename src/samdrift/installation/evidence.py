"""Evidence about messages for message clients, from the vaults that this process serves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection

from samdrift.attestation.archive import Writing
from samdrift.contracts.evidence import Original
from samdrift.contracts.principals import Principal, PrincipalKind, Purpose, Role
from samdrift.evidence.gathering import Evidence, Order
from samdrift.vault.errors import VaultSuspended
from samdrift.vault.gate import Gate
from samdrift.wire.identifiers import ParticipantIdentifier

_IN_ORDER = (Role.ACCESS_POINT, Role.MESSAGE_SERVICE)
MOST_ENTRIES = 5_000
"""Maximum number of entries of one log about a message, since this process serves other organisations too."""
_WAITING = 4
"""Maximum number of pieces that are produced ahead of the reader."""


class VaultsEvidence:
    """Implementation of :class:`~samdrift.contracts.evidence.MessageEvidence` that reads vaults.

    It includes the access point's evidence if that vault is in this process, which it is not at isolation
    level ``process``. It signs no new checkpoint: entries after the last one have no proof yet.
    """

    def __init__(self, gate: Gate, roles: Collection[Role]) -> None:
        """``roles`` are the roles of this process."""
        self._gate = gate
        self._roles = [role for role in _IN_ORDER if role in roles]

    async def package(
        self,
        organisation: ParticipantIdentifier,
        message_id: str,
        by: str,
        original: Original | None = None,
    ) -> AsyncIterator[bytes] | None:
        """Return the package in pieces; ``None`` if the logs do not contain the message.

        Raises :class:`~samdrift.vault.errors.TooManyEntries` if one of them has more than
        :data:`MOST_ENTRIES` about it, and :class:`VaultSuspended` if the organisation is suspended in a role.
        """
        roles = [role for role in self._roles if self._gate.registry.find(organisation, role)]
        if not all(self._gate.registry.serves(organisation, role) for role in roles):
            raise VaultSuspended  # Evidence without one of the logs would look like all that there is.
        order = Order(organisation, message_id, by, "asked for over interface D")
        evidence = await Evidence.find(self._gate, order, roles, MOST_ENTRIES)
        if evidence is None:
            return None
        worker = Principal(PrincipalKind.WORKER, "evidence")
        async with self._gate.open(worker, organisation, Role.MESSAGE_SERVICE, Purpose.EXPORT) as vault:
            key = vault.proving_key()
        return _pieces(lambda sink: evidence.write(sink, key, original))


class _Sink:
    def __init__(self, queue: asyncio.Queue[bytes | Exception]) -> None:
        self._queue = queue

    async def write(self, data: bytes) -> None:
        if data:
            await self._queue.put(data)


async def _pieces(write: Callable[[Writing], Awaitable[None]]) -> AsyncIterator[bytes]:
    """Yield pieces as they are written; the writer waits for the reader."""
    queue: asyncio.Queue[bytes | Exception] = asyncio.Queue(_WAITING)

    async def run() -> None:
        try:
            await write(_Sink(queue))
        except Exception as error:
            await queue.put(error)
        else:
            await queue.put(b"")

    writing = asyncio.create_task(run())
    try:
        while piece := await queue.get():
            if isinstance(piece, Exception):
                raise piece
            yield piece
    finally:
        writing.cancel()
        await asyncio.wait([writing])
