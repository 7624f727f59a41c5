"""Several workers of one installation: one is killed repeatedly, and nothing is lost or done twice."""

from __future__ import annotations

import asyncio
import html
import os
import random
import re
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import httpx
import pytest
import pytest_asyncio

from samdrift.audit.entries import LogEntry
from samdrift.cli.serve import ROLL
from samdrift.contracts.messages import MessageStatus
from samdrift.contracts.principals import Purpose, Role
from samdrift.demo.cast import DemoOperator
from samdrift.demo.settling import settle
from samdrift.federation.signin import sign_in_service
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
from tests.roles.visitors import PERSONS, Visitor, configured, signs_in, visitors
from tests.secretfiles import secret_file
from tests.sizes import count, seed, whole
from tests.unit.cli.commandline import Ended, in_process
from tests.vaults import WORKER, server_folder
from tests.vaults import until as until_true

WORKERS = 2
KILLS = count(3, 20)
EXCHANGES = 4
OFFICER = "the officer's own words"
PATIENCE = count(120, 600)
PAGES = organisation("odeshog-pages", "2120000399", tuple(Role))
"""Organisation with message client and governance, which takes no part in the message exchanges."""
_HERE = organisation("mjolby", "2120000365"), organisation("motala", "2120001124"), PAGES
_THERE = (organisation("vadstena", "2120000472"),)


@pytest_asyncio.fixture(scope="module")
async def those(stage: Stage) -> AsyncIterator[Played]:
    """One operator with three organisations and two workers, and one with a single process; leases are long.

    The third organisation has people at its pages.
    """
    shared = DemoOperator("with-workers", "AP0091-SDK-DEMO", _HERE)
    other = DemoOperator("beside-workers", "AP0092-SDK-DEMO", _THERE)
    settings = {shared: f'[isolation]\nlevel = "shared"\nworkers = {WORKERS}\n'}

    def changed(operator: DemoOperator, text: str) -> str:
        return configured(text, sign_in, PAGES, folder / operator.folder) if operator is shared else text

    with server_folder() as folder:
        async with (
            sign_in_service() as sign_in,
            played(
                stage.federation, folder, {shared: ("all",), other: ("all",)}, own=settings, changed=changed
            ) as found,
        ):
            patient(found.processes[0].config_file)
            undaunted(found.processes[1].config_file)
            await settle(found.processes[0].gate, found.processes[0].config, PAGES, PERSONS)
            for process in found.processes:
                await process.start()
            yield found


def exchanging(those: Played) -> list[Member]:
    """Return the organisations that exchange messages, which message services store."""
    return [one for one in those.members if one.organisation != PAGES.identifier]


async def test_a_process_leases_the_work_of_roles_in_its_configuration_alone(stage: Stage) -> None:
    """It opens all vaults, but work that it leased for other roles would never be done."""
    operator = stage.agency.operator
    await until_true(lambda: bool(operator.gate.leases.held()))
    leased = {partition.role for partition in operator.gate.leases.held()}
    assert leased == {None, *operator.config.roles}
    assert Role.GOVERNANCE not in leased


async def test_workers_answer_as_one_installation(those: Played) -> None:
    process = those.processes[0]
    folder = control_folder(process.config.vaults)
    assert process.running is not None
    assert await listening_processes(folder) == [process.running.pid], (
        "only one process may listen for the operator's commands"
    )
    workers = running_workers(process).values()
    seen = await machine.running(process.config)
    assert set(seen) == {process.running.pid, *workers}, "the doctor must find all processes"
    (running,) = await ask_running(folder)
    assert running.workers == {"worker 1": True, "worker 2": True}
    assert running.roles == set(Role)
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
        sending = asyncio.create_task(send(exchanging(those), rng, EXCHANGES))
        await asyncio.sleep(rng.uniform(0, 1.5))
        name = rng.choice(["worker 1", "worker 2"])
        os.kill(running_workers(process)[name], signal.SIGKILL)
        sent += await sending
        await said(process, "serves again", number + 1)
    assert await faults_of(sent, exchanging(those), PATIENCE) == []
    assert sum([await attempts_spent(one, those.members[:2]) for one in sent]) == 0


async def test_workers_are_started_again_one_after_the_other_under_traffic(those: Played) -> None:
    process = those.processes[0]
    before = running_workers(process)
    sending = asyncio.create_task(send(exchanging(those), random.Random(seed(20261127)), EXCHANGES))
    await rolled(process)
    sent = await sending
    after = running_workers(process)
    assert all(after[name] != before[name] for name in before)
    assert await faults_of(sent, exchanging(those), PATIENCE) == []
    assert sum([await attempts_spent(one, those.members[:2]) for one in sent]) == 0


@whole
async def test_an_officer_unlocks_in_all_workers_and_in_those_that_start_later(those: Played) -> None:
    process, (member, *_, other) = those.processes[0], those.members

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
    assert len(unlocked) == 2, (
        "one entry when it was locked, and one after the restart for all workers together"
    )


async def _log(member: Member, passphrase: str) -> tuple[LogEntry, ...]:
    """Return the log of a message service as the officer reads it."""
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


@asynccontextmanager
async def at_each_worker(those: Played, role: Role, number: int = 1) -> AsyncIterator[list[Visitor]]:
    """Open one browser at the third organisation's pages, with ``number`` connections to each worker."""
    process = those.processes[0]
    pages = {Role.MESSAGE_CLIENT: process.config.message_client, Role.GOVERNANCE: process.config.governance}
    own = pages[role]
    assert own is not None
    address, host = f"{own.listen.host}:{own.listen.port}", f"{PAGES.host(role)}:{own.listen.port}"
    async with visitors(running_workers(process).values(), address, host, number) as found:
        yield found


@pytest.mark.parametrize("role", [Role.MESSAGE_CLIENT, Role.GOVERNANCE])
async def test_a_person_signs_in_by_two_workers_and_is_signed_in_and_out_at_both(
    those: Played, role: Role
) -> None:
    async with at_each_worker(those, role) as (first, second):
        await signs_in(first, second, "anna")
        start = {Role.MESSAGE_CLIENT: "/", Role.GOVERNANCE: "/keys"}[role]
        pages = [await each.get(start) for each in (first, second)]
        assert [each.status_code for each in pages] == [200, 200], [each.headers for each in pages]
        session = dict(first.cookies)
        assert (await second.post("/sign-out", pages[0])).status_code == 303, (
            "a worker must accept a form of the other worker"
        )
        first.cookies |= session
        for each in (first, second):
            over = await each.get(start)
            assert "/sign-in/start" in over.text, (over.status_code, over.headers, over.text)


async def test_a_draft_and_its_file_go_on_at_another_worker(
    those: Played,
) -> None:
    content = b"%PDF-1.4\n" + random.Random(1).randbytes(300_000)
    async with (
        at_each_worker(those, Role.MESSAGE_CLIENT) as (first, second),
    ):
        await signs_in(first, second, "anna")
        page = await first.get("/")
        mailbox = found_in(page, r'href="/mailbox/([0-9a-f]+)')
        path = (await first.post(f"/mailbox/{mailbox}/write", page)).headers["location"]
        draft = await second.get(path)
        typed = {"version": "1", "subject": "Fortsätts", "text": "hos en annan", "confidentiality": "no"}
        saved = await second.post(f"{path}/save", draft, **typed, files=content)
        assert saved.json()["refused"] == ""
        assert saved.json()["fields"]["version"] != "1", saved.text
        again = await first.get(path)
        assert "hos en annan" in again.text
        file = found_in(again, r'name="remove-file" value="([^"]+)"')
        assert (await first.get(f"{path}/file/{file}")).content == content


async def test_open_pages_at_all_workers_hear_of_what_comes_and_of_who_is_there(those: Played) -> None:
    """Only one worker fetches it, but pages at the other hear of it; colleagues at both see each other."""
    (*_, other) = those.members
    async with (
        at_each_worker(those, Role.MESSAGE_CLIENT, 3) as (anna, _, follows, _, follows_again, _),
        at_each_worker(those, Role.MESSAGE_CLIENT, 3) as (_, bo, _, bo_follows, _, bo_follows_again),
    ):
        await signs_in(anna, anna, "anna")
        await signs_in(bo, bo, "bo")
        mailbox = found_in(await anna.get("/"), r'href="/mailbox/([0-9a-f]+)')
        question = await question_of(anna, f"/mailbox/{mailbox}")
        async with follows.stream(question) as there, bo_follows.stream(question) as here:
            await other.send(PAGES.address)
            async with asyncio.timeout(PATIENCE):
                assert [await anext(there), await anext(here)] == ["news", "news"]
        listed = await bo.get(f"/mailbox/{mailbox}")
        path = "/conversation/" + found_in(listed, r'href="/conversation/([0-9a-f-]+)')
        question = await question_of(bo, path)
        asked = question.replace("/live/events", "/live/news")
        async with follows_again.stream(question) as there:
            async with bo_follows_again.stream(question) as here, asyncio.timeout(PATIENCE):
                assert [await anext(there), await anext(here)] == ["present", "present"]
                assert "Bo Berg" in (await anna.get(asked)).json()["present"]
                assert "Anna Andersson" in (await bo.get(asked)).json()["present"]
            async with asyncio.timeout(PATIENCE):
                assert await anext(there) == "present", "the page must notice that a colleague has left"
            assert (await anna.get(asked)).json()["present"] == ""


async def question_of(visitor: Visitor, path: str) -> str:
    """Return the path from which an open page gets its updates."""
    found = found_in(await visitor.get(path), r'data-live="([^"]+)"')
    return f"/live/events?{html.unescape(found)}"


def found_in(page: httpx.Response, pattern: str) -> str:
    """Return the group of a pattern that must match the page."""
    found = re.search(pattern, page.text)
    assert found is not None, page.text
    return found[1]


async def rolled(process: Process) -> None:
    """Restart the workers, one after the other."""
    assert process.running is not None
    ended = "the rolling restart is complete"
    times = process.log.read_text().count(ended)
    process.running.send_signal(ROLL)
    await said(process, ended, times + 1)
