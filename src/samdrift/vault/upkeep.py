"""Removal, twice a day, of what crashes left behind and of facts that are too old to be needed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

from samdrift.contracts import workers
from samdrift.contracts.principals import Purpose, Role
from samdrift.scheduling.leases import NotLeased
from samdrift.vault.errors import VaultError, VaultLocked
from samdrift.vault.forgetting import ForgettingVault
from samdrift.vault.gate import Gate
from samdrift.wire.identifiers import ParticipantIdentifier

_SETTLED = timedelta(hours=1)
"""Time after a start before facts are removed: waiting messages are fetched and acknowledged first."""
_EVERY = timedelta(hours=11)
_BREATH = 0.1
"""Seconds between two openings, since other work needs the machine more at a start."""

Failure = Callable[[BaseException], None]


async def keep_up(gate: Gate, role: Role, on_failure: Failure) -> None:
    """Sweep the vaults of organisations in ``role``, and remove old facts from them, until cancelled."""

    async def sweep(organisation: ParticipantIdentifier) -> None:
        await sweep_vault(gate, role, organisation)

    async def forget(organisation: ParticipantIdentifier) -> None:
        await forget_in_vault(gate, role, organisation)

    while True:
        await _in_every_vault(gate, role, sweep, on_failure)
        await asyncio.sleep(_SETTLED.total_seconds())
        await _in_every_vault(gate, role, forget, on_failure)
        await asyncio.sleep(_EVERY.total_seconds())


async def sweep_vault(gate: Gate, role: Role, organisation: ParticipantIdentifier) -> None:
    """Remove a vault's objects that no row refers to.

    A body is in the object store before its row is committed, so a process that is killed in between
    leaves an object without a row.
    """
    async with gate.open(workers.UPKEEP, organisation, role, Purpose.MAINTAIN) as vault:
        await vault.sweep()


async def forget_in_vault(gate: Gate, role: Role, organisation: ParticipantIdentifier) -> None:
    """Remove facts that detect duplicates once no sender can repeat what they are about, step by step.

    Each step is an opening of its own, so that sending and receiving do not wait for long.
    """
    more = True
    while more:
        async with gate.open(workers.UPKEEP, organisation, role, Purpose.MAINTAIN) as vault:
            more = isinstance(vault, ForgettingVault) and await vault.forget_duplicates()
        await asyncio.sleep(_BREATH if more else 0)


async def _in_every_vault(
    gate: Gate, role: Role, work: Callable[[ParticipantIdentifier], Awaitable[None]], on_failure: Failure
) -> None:
    for organisation in gate.registry.worked_for(role):
        try:
            async with gate.leases.working(organisation, role):
                await work(organisation)
            await asyncio.sleep(_BREATH)
        except (VaultLocked, NotLeased):
            continue  # The next round may find it open, or another process does this.
        except VaultError as failure:
            on_failure(failure)
