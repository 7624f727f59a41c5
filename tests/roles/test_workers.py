"""Several workers of one installation: one is killed again and again, and nothing is lost or done twice."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections.abc import AsyncIterator

import aiohttp
import pytest_asyncio

from samdrift.audit.entries import LogEntry
from samdrift.cli.serve import ROLL
from samdrift.contracts.messages import MessageStatus
from samdrift.contracts.principals import Purpose, Role
from samdrift.demo.cast import DemoOperator
from samdrift.installation.control import control_folder, listening_processes
from samdrift.installation.events import RunEvent
from samdrift.installation.reporting import ask_running
from samdrift.installation.vaultsettings import vault_settings
from samdrift.operations import machine
from samdrift.vault.gate import Gate
from samdrift.vault.openkeys import open_keys
from tests.roles.member import MT, Member
from tests.roles.ownrestarts import attempts_spent, patient, running_workers, said, undaunted
from tests.roles.processes import Played, Process, organisation, played
from tests.roles.soak import Exchange, faults_of, send
from tests.roles.stage import Stage
from tests.secretfiles import secret_file
from tests.sizes import count, seed
from tests.unit.cli.commandline import Ended, in_process
from tests.vaults import WORKER, server_folder
from tests.vaults import until as until_true

WORKERS = 2
KILLS = count(3, 20)
EXCHANGES = 4
OFFICER = "the officer's own words"
PATIENCE = count(120, 600)
_HERE = organisation("mjolby", "2120000365"), organisation("motala", "2120001124")
_THERE = (organisation("vadstena", "2120000472"),)


@pytest_asyncio.fixture(scope="module")
async def those(stage: Stage) -> AsyncIterator[Played]:
    """One operator with two organisations and two workers, and one with a process; claims last for long."""
    shared = DemoOperator("with-workers", "AP0091-SDK-DEMO", _HERE)
    other = DemoOperator("beside-workers", "AP0092-SDK-DEMO", _THERE)
    settings = {shared: f'[isolation]\nlevel = "shared"\nworkers = {WORKERS}\n'}
    with server_folder() as folder:
        async with played(
            stage.federation, folder, {shared: ("all",), other: ("all",)}, own=settings
        ) as found:
            patient(found.processes[0].config_file)
            undaunted(found.processes[1].config_file)
            for process in found.processes:
                await process.start()
            yield found


async def test_a_process_leases_the_work_of_roles_in_its_configuration_alone(stage: Stage) -> None:
    """It serves all that it can; what it leased besides would wait for another process in vain."""
    operator = stage.agency.operator
    await until_true(lambda: bool(operator.gate.leases.held()))
    leased = {partition.role for partition in operator.gate.leases.held()}
    assert leased == {None, *operator.config.roles}
    assert Role.GOVERNANCE not in leased


async def test_workers_answer_as_one_installation(those: Played) -> None:
    process = those.processes[0]
    folder = control_folder(process.config.vaults)
    assert process.running is not None
    assert await listening_processes(folder) == [process.running.pid], "the operator's commands meet one"
    workers = running_workers(process).values()
    seen = await machine.running(process.config)
    assert set(seen) == {process.running.pid, *workers}, "the doctor sees all"
    (running,) = await ask_running(folder)
    assert running.workers == {"worker 1": True, "worker 2": True}
    assert running.roles == {Role.ACCESS_POINT, Role.MESSAGE_SERVICE}
    assert running.serves(those.members[0].organisation, Role.MESSAGE_SERVICE)
    assert not [one for one in running.conditions if one.gone_since]
    names = [one.dependency for one in running.conditions]
    assert names.count("database") == 1


async def test_metrics_and_health_of_workers_are_one(those: Played) -> None:
    metrics = those.processes[0].config.metrics
    assert metrics is not None
    base = f"http://{metrics.listen.host}:{metrics.listen.port}"
    async with aiohttp.ClientSession() as client:
        text = await (await client.get(f"{base}/metrics")).text()
        health = await (await client.get(f"{base}/health/ready")).json()
    assert 'samdrift_processes{kind="worker"} 2.0' in text
    assert 'samdrift_dependency_gone{dependency="database"} 0.0' in text
    assert text.count("# TYPE samdrift_held gauge") == 1
    assert health == {"ready": True}


async def test_a_worker_that_is_killed_loses_nothing_and_has_nothing_done_twice(those: Played) -> None:
    rng = random.Random(seed(20261127))
    process, sent = those.processes[0], list[Exchange]()
    for number in range(KILLS):
        sending = asyncio.create_task(send(those.members, rng, EXCHANGES))
        await asyncio.sleep(rng.uniform(0, 1.5))
        name = rng.choice(["worker 1", "worker 2"])
        os.kill(running_workers(process)[name], signal.SIGKILL)
        sent += await sending
        await said(process, "serves again", number + 1)
    assert await faults_of(sent, those.members, PATIENCE) == []
    assert sum([await attempts_spent(one, those.members[:2]) for one in sent]) == 0


async def test_workers_are_started_again_one_after_the_other_under_traffic(those: Played) -> None:
    process = those.processes[0]
    before = running_workers(process)
    sending = asyncio.create_task(send(those.members, random.Random(seed(20261127)), EXCHANGES))
    await rolled(process)
    sent = await sending
    after = running_workers(process)
    assert all(after[name] != before[name] for name in before)
    assert await faults_of(sent, those.members, PATIENCE) == []
    assert sum([await attempts_spent(one, those.members[:2]) for one in sent]) == 0


async def test_an_officer_unlocks_in_all_workers_and_in_those_that_start_later(those: Played) -> None:
    process, (member, _, other) = those.processes[0], those.members

    async def org(command: str) -> Ended:
        place = "--passphrase-file", officer, "--config", process.config_file
        return await asyncio.to_thread(in_process, "org", command, member.organisation.value, *place)

    officer = secret_file(process.config_file.with_name("officer.txt"), OFFICER)
    assert (await org("lock")).status == 0
    await process.stop()
    await process.start()
    waiting = await other.send(member.address)
    opened = await org("unlock")
    assert (opened.status, opened.output) == (0, "unlocked: ap mt\n"), opened.complaints
    assert await other.ends(waiting, within=PATIENCE) is MessageStatus.ACCEPTED
    again = process.log.read_text().count("serves again")
    for worker in running_workers(process).values():
        os.kill(worker, signal.SIGKILL)
    await said(process, "serves again", again + WORKERS)
    assert await other.ends(await other.send(member.address), within=PATIENCE) is MessageStatus.ACCEPTED
    unlocked = [each for each in await _log(member, OFFICER) if each.event == RunEvent.VAULT_UNLOCKED]
    assert len(unlocked) == 2, "once when it was locked, once after the restart, in all workers together"


async def _log(member: Member, passphrase: str) -> tuple[LogEntry, ...]:
    """What the log of a message service says, for the officer."""
    registration = member.operator.gate.registry.find(member.organisation, MT)
    assert registration is not None
    settings = vault_settings(member.config)
    keys = open_keys(settings)
    keys.unlock(registration.vault, passphrase.encode())
    gate = await Gate.start(settings, keys=keys)
    try:
        async with gate.open(WORKER, member.organisation, MT, Purpose.TRACE) as vault:
            return await vault.log(limit=100_000)
    finally:
        await gate.close()


async def rolled(process: Process) -> None:
    """Start the workers again, one after the other."""
    assert process.running is not None
    ended = "the rolling restart has come to its end"
    times = process.log.read_text().count(ended)
    process.running.send_signal(ROLL)
    await said(process, ended, times + 1)
