"""Searches in a log use an index, however long the log is."""

from __future__ import annotations

import pytest

from samdrift.accesspoint.events import APEvent
from samdrift.contracts.principals import Role
from samdrift.vault import logbook
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.separation.vaultlogin import vault_login
from tests.vaults import Installation

AP = Role.ACCESS_POINT
ROLES = (AP,)


@pytest.mark.parametrize(
    ("question", "index"),
    [
        (logbook.NAMING.replace("$1", "1").replace("$2", "9"), "log_traces"),
        (logbook.REFUSED.replace("$1", "9"), "log_refused"),
        (logbook.AFTER.replace("$1", "1").replace("$2", "9"), "log_pkey"),
    ],
    ids=["naming", "refused", "after"],
)
async def test_the_planner_takes_the_index_that_is_meant(
    installation: Installation, organisation: ParticipantIdentifier, question: str, index: str
) -> None:
    async with installation.open(organisation, AP) as vault:
        for number in range(500):
            vault.record(APEvent.AP_TRANSFER_QUEUED, envelope=f"e{number}")
    login = await vault_login(installation, organisation, AP)
    with login.connect() as connection:
        plan = "\n".join(line for (line,) in connection.execute(f"EXPLAIN {question}".encode()).fetchall())
    assert f" {index} " in plan
