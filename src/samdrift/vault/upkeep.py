"""Removal of what crashes left behind, within a day: when a process starts, and twice a day while it runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta

from samdrift.contracts.principals import Principal, PrincipalKind, Purpose, Role
from samdrift.vault.errors import VaultError, VaultLocked
from samdrift.vault.gate import Gate

_WORKER = Principal(PrincipalKind.WORKER, "upkeep")
_EVERY = timedelta(hours=11)
_BREATH = 0.1
"""Seconds between two vaults: at a start others need the machine more."""


async def keep_up(gate: Gate, role: Role, on_failure: Callable[[BaseException], None]) -> None:
    """Sweep the vaults of every organisation that is served in ``role``, until cancelled.

    A body is in the object store before its row is committed: a process that is
    killed in between leaves an object that nobody knows.
    """
    while True:
        for organisation in gate.registry.organisations(role):
            try:
                async with gate.open(_WORKER, organisation, role, Purpose.MAINTAIN) as vault:
                    await vault.sweep()
                await asyncio.sleep(_BREATH)
            except VaultLocked:
                continue  # The next round will find it open.
            except VaultError as failure:
                on_failure(failure)
        await asyncio.sleep(_EVERY.total_seconds())
