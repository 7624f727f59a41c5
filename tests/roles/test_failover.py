"""Failover of the database to its standby under traffic: nothing is lost or delivered twice."""

from __future__ import annotations

import asyncio
import contextlib
import random
from pathlib import Path

from samdrift.demo.cast import DemoOperator
from samdrift.demo.enrolment import EnrolledOperator
from samdrift.installation.vaultsettings import vault_settings
from samdrift.keystore.interface import PlatformLogin
from samdrift.vault.openkeys import open_keys
from tests.replicas import Replicated, followed
from tests.roles.processes import organisation, played
from tests.roles.soak import faults_of, send
from tests.roles.stage import Stage
from tests.sizes import count, seed, soak, whole
from tests.vaults import server_folder

_HERE = organisation("hylte", "2120001249"), organisation("markaryd", "2120000654")
_THERE = (organisation("lessebo", "2120000589"),)
EXCHANGES = count(20, 100)
PATIENCE = count(120, 600)


@soak
@whole
async def test_a_failover_of_the_database_under_traffic_loses_nothing(stage: Stage) -> None:
    """``tests/unit/vault/database/test_hosts.py`` has the same for one vault without traffic."""
    rng = random.Random(seed(20261128))
    here = DemoOperator("replicated", "AP0095-SDK-DEMO", _HERE)
    there = DemoOperator("beside", "AP0096-SDK-DEMO", _THERE)
    servers: list[Replicated] = []
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(server_folder())

        def replicate(enrolled: EnrolledOperator) -> str:
            settings = vault_settings(enrolled.config)
            password = open_keys(settings).login_password(PlatformLogin.ADMINISTRATOR)
            assert isinstance(settings.database, Path)
            servers.append(stack.enter_context(followed(settings.database, folder / "second", password)))
            return servers[0].url

        operators = {here: ("all",), there: ("all",)}
        async with played(stage.federation, folder, operators, replicate={here: replicate}) as those:
            for process in those.processes:
                await process.start()
            sending = asyncio.create_task(send(those.members, rng, EXCHANGES))
            await asyncio.sleep(rng.uniform(1, 3))
            await _fails_over(servers[0], rng)
            assert await faults_of(await sending, those.members, PATIENCE) == []
            said = those.processes[0].log.read_text()
    gone, back = (said.count(f"database: {sign} ") for sign in ("gone since", "back after"))
    assert gone == back <= 1
    assert "Traceback" not in said


async def _fails_over(servers: Replicated, rng: random.Random) -> None:
    await servers.lose_the_first()
    await asyncio.sleep(rng.uniform(0, 3))
    await servers.promote()
