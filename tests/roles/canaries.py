"""An installation in a process of its own, with two canary organisations and an ordinary one."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from samdrift.contracts.principals import Purpose, Role
from samdrift.demo.cast import DemoOperator, DemoOrganisation
from samdrift.isolationcheck.check import CheckEvent
from tests.roles.member import Member
from tests.roles.processes import Process, organisation, played
from tests.roles.stage import Stage
from tests.vaults import IN_ORDER, WORKER, server_folder

FIRST, SECOND, OTHER = (
    organisation(name, number, tuple(Role))
    for name, number in (
        ("kanariegul", "2120000464"),
        ("kanariegron", "2120000522"),
        ("vetlanda", "2120000571"),
    )
)


@dataclass(frozen=True)
class Canaries:
    """A running installation with two canaries and an ordinary organisation."""

    process: Process
    members: list[Member]
    config: Path

    def member(self, organisation: DemoOrganisation) -> Member:
        return next(one for one in self.members if one.organisation == organisation.identifier)

    async def results(self) -> list[dict[str, str]]:
        """Return the results of checks in the ordinary organisation's log, where only checks may be."""
        found = []
        for role in Role:
            async with self.process.gate.open(WORKER, OTHER.identifier, role, Purpose.TRACE) as vault:
                entries = await vault.log(limit=10_000)
            checks = [entry for entry in entries if entry.principal == "worker:isolation-check"]
            assert {entry.event for entry in checks} <= {CheckEvent.ISOLATION_CHECKED}
            found += [dict(entry.ids) for entry in checks]
        return found


@asynccontextmanager
async def hosted(stage: Stage) -> AsyncIterator[Canaries]:
    operator = DemoOperator("operator-e", "AP0031-SDK-DEMO", (FIRST, SECOND, OTHER))
    with server_folder() as folder:
        async with played(stage.federation, folder, {operator: ["all"]}) as run:
            (process,) = run.processes
            await process.start()
            IN_ORDER.add(process.gate.database.address)
            canaries = json.dumps([FIRST.identifier.value, SECOND.identifier.value])
            text = process.config_file.read_text()
            process.config_file.write_text(f"{text}\n[isolation_check]\ncanaries = {canaries}\n")
            yield Canaries(process, run.members, process.config_file)
