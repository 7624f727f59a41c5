"""Copies the signed statements that a worker appended to the other roles' vaults.

At isolation level `process` a worker opens only the vaults of its own role. Statements that an officer signs
on governance's pages reach the other roles from the process that has all keys, as soon as the database
notifies it.
"""

from __future__ import annotations

import logging

from samdrift.contracts.clock import Clock
from samdrift.contracts.errors import Explained
from samdrift.contracts.principals import Role
from samdrift.governance.records import Records
from samdrift.vault.gate import Gate

_LOGGER = logging.getLogger("samdrift")


async def statements_copied(gate: Gate, clock: Clock) -> None:
    """Copy the statements of each organisation whose governance role has news, until cancelled.

    A locked vault gets its copy when it is unlocked.
    """
    records = Records(gate, clock)
    async for organisation, role in gate.wakeups():
        if role is not Role.GOVERNANCE:
            continue
        try:
            await records.copy(organisation)
        except Explained as failure:
            _LOGGER.warning("signed statements of an organisation are not copied yet: %s", failure)
