"""One installation at isolation level ``process`` for all of these tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest_asyncio

from samdrift.demo.cast import DemoOperator
from samdrift.net.server import listening_socket
from tests.roles.isolation.house import ALFA, BETA, FIRST_USER, ROOT, House
from tests.roles.processes import played
from tests.roles.stage import HOST, Stage
from tests.throwawaykeys import keys_of_the_product
from tests.vaults import server_folder


@pytest_asyncio.fixture(scope="package")
async def house(stage: Stage) -> AsyncIterator[House]:
    async with AsyncExitStack() as stack:
        # Keys of tests share primes, so that one could be taken for another's in a worker's memory.
        stack.enter_context(keys_of_the_product())
        folder = stack.enter_context(server_folder())
        with listening_socket(HOST) as sock:
            metrics = f"{HOST}:{sock.getsockname()[1]}"
        settings = '[isolation]\nlevel = "process"\n' + (f"first_user = {FIRST_USER}\n" if ROOT else "")
        settings += f'[metrics]\nlisten = "{metrics}"\nqueue_seconds = 1\n'
        operator = DemoOperator("isolated", "AP0071-SDK-DEMO", (ALFA, BETA))
        those = await stack.enter_async_context(
            played(stage.federation, folder, {operator: ("all",)}, settings)
        )
        (process,) = those.processes
        (process.config_file.parent / "clients").chmod(0o711)  # Public keys, which every process may read.
        await process.start()
        yield House(stage, process, *those.members, f"http://{metrics}/metrics")
