"""Installations with bodies in a bucket: two hosts, one of which fails, and a store that is unavailable."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from samdrift.demo.cast import DemoOperator
from samdrift.federation.server import LocalFederation
from samdrift.federation.server import running as federation_running
from tests.interop.s3.gateway import BUCKET, KEY, SECRET, Gateway
from tests.roles.hosts import survived
from tests.roles.member import until
from tests.roles.ownrestarts import undaunted
from tests.roles.processes import Process, organisation, played
from tests.roles.soak import faults_of, send
from tests.secretfiles import secret_file
from tests.sizes import count, seed
from tests.storeways import Answer, Way
from tests.vaults import server_folder

EXCHANGES = count(12, 100)
BLOWS = count(2, 6)
PATIENCE = count(120, 600)
_HERE = organisation("vara", "2120001710"), organisation("essunga", "2120001678")
_THERE = (organisation("grastorp", "2120001660"),)


@pytest_asyncio.fixture(scope="module")
async def federation() -> AsyncIterator[LocalFederation]:
    with server_folder() as folder:
        async with federation_running(folder) as one:
            yield one


def in_bucket(folder: Path, address: str) -> Callable[[DemoOperator, str], str]:
    """Return a function that configures an operator to store bodies in the bucket, under its own prefix."""
    secret = secret_file(folder / "s3-secret", f"{SECRET}\n")

    def changed(operator: DemoOperator, text: str) -> str:
        folder = 'objects = "objects"'
        assert folder in text
        text = text.replace(folder, f'objects = "s3://{BUCKET}/{operator.folder}"')
        return (
            f'{text}\n[vaults.s3]\nendpoint = "{address}"\naccess_key = "{KEY}"\nsecret_file = "{secret}"\n'
        )

    return changed


async def test_two_hosts_with_one_bucket_lose_nothing_and_do_nothing_twice(
    federation: LocalFederation, store: Gateway, tmp_path: Path
) -> None:
    """A host is killed or cut off from the database while large messages are exchanged."""
    changed = in_bucket(tmp_path, store.address)
    rng = random.Random(seed(20261202))
    found = await survived(federation, rng, EXCHANGES, BLOWS, PATIENCE, changed=changed, large=0.8)
    assert found.faults == []
    assert found.exchanges == EXCHANGES
    assert len(found.taken_over) == BLOWS
    assert [each for each in store.files() if "hosts" in each.parts], "recipients' bodies are in the bucket"


@pytest.mark.parametrize("fault", ["refused", "denied"])
async def test_messages_wait_for_a_store_that_is_away_and_it_is_said_once(
    federation: LocalFederation, store: Gateway, way: Way, tmp_path: Path, fault: str
) -> None:
    """A log line, the health report and a metric mention it, without the key or the path in the store."""
    changed, rng = in_bucket(tmp_path, way.address), random.Random(seed(20261203))
    here, other = (
        DemoOperator("bucket", "AP0095-SDK-DEMO", _HERE),
        DemoOperator("near", "AP0096-SDK-DEMO", _THERE),
    )

    def of_one(operator: DemoOperator, text: str) -> str:
        return changed(operator, text) if operator is here else text

    with server_folder() as folder:
        async with played(federation, folder, {here: ("all",), other: ("all",)}, changed=of_one) as those:
            for process in those.processes:
                undaunted(process.config_file)
                await process.start()
            process = those.processes[0]
            sending = asyncio.create_task(send(those.members, rng, 6, large=0.8))
            way.refused = fault == "refused"
            way.answer = Answer(403, "AccessDenied") if fault == "denied" else None
            way.drop()
            await until(lambda: said(process, "object-store: gone since"), "the outage is known", within=120)
            assert await answered(process, "/health/ready") == 503
            assert 'samdrift_dependency_gone{dependency="object-store"} 1.0' in await text_of(process)
            way.mended()
            await until(lambda: said(process, "object-store: back after"), "the store is back", within=120)
            assert await answered(process, "/health/ready") == 200
            assert await faults_of(await sending, those.members, PATIENCE) == []
        log = process.log.read_text()
    cause = {
        "refused": "it cannot be reached, or the connection breaks",
        "denied": "it answers 403 AccessDenied",
    }[fault]
    assert re.findall(r"WARNING object-store: gone since \S+: (.*)", log) == [
        f"object store at {way.address.removeprefix('http://')}: {cause}"
    ]
    assert not [each for each in (SECRET, KEY, f"s3://{BUCKET}", way.address, "Traceback") if each in log]


async def said(process: Process, text: str) -> bool | None:
    return True if text in process.log.read_text() else None


async def text_of(process: Process, path: str = "/metrics") -> str:
    async with aiohttp.ClientSession() as client, client.get(address_of(process) + path) as answer:
        return await answer.text()


async def answered(process: Process, path: str) -> int:
    async with aiohttp.ClientSession() as client, client.get(address_of(process) + path) as answer:
        return answer.status


def address_of(process: Process) -> str:
    assert process.config.metrics is not None
    listen = process.config.metrics.listen
    return f"http://{listen.host}:{listen.port}"
