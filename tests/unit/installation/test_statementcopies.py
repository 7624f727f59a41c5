"""Signed statements that a governance worker appends, copied by the process that has all keys."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta

from samdrift.contracts.principals import Role
from samdrift.governance.records import Records
from samdrift.installation.statementcopies import statements_copied
from samdrift.vault.gate import Gate
from tests.unit.governance.test_records import roots, statements, stored
from tests.unit.rights.signers import founded
from tests.vaults import Installation

GOV, MK = Role.GOVERNANCE, Role.MESSAGE_CLIENT
ROLES = (GOV, MK)


async def test_what_a_worker_appends_reaches_the_other_roles(installation: Installation) -> None:
    """At isolation level `process`, the worker knows only its own vault."""
    organisation = await installation.organisation(ROLES)
    registration = installation.gate.registry.find(organisation, GOV)
    assert registration is not None
    house = founded(organisation.value, datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1))
    worker = await Gate.start(installation.settings, roles=[GOV], only={registration.vault})
    copying = asyncio.create_task(statements_copied(installation.gate, lambda: datetime.now(UTC)))
    try:
        await Records(worker, lambda: house.now).append(organisation, statements(house), roots)
        async with asyncio.timeout(60):
            while len(await stored(installation, organisation, MK)) < len(statements(house)):
                await asyncio.sleep(0.02)
    finally:
        copying.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await copying
        await worker.close()
    assert await stored(installation, organisation, MK) == await stored(installation, organisation, GOV)
