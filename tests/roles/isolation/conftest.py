"""One installation at isolation level ``process`` for all of these tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio

from samdrift.config.reader import load
from samdrift.demo.cast import DemoOperator
from tests.roles.isolation.house import ALFA, BETA, FIRST_USER, ROOT, House
from tests.roles.processes import played
from tests.roles.stage import Stage
from tests.throwawaykeys import keys_of_the_product
from tests.vaults import server_folder

HERE = Path(__file__).parent


@pytest_asyncio.fixture(scope="package")
async def house(request: pytest.FixtureRequest, stage: Stage) -> AsyncIterator[House]:
    async with AsyncExitStack() as stack:
        # Test keys share primes, so a search of memory could mistake one vault's key for another's.
        here = [item for item in request.session.items if HERE in item.path.parents]
        if any("product_keys" in getattr(item, "fixturenames", ()) for item in here):
            stack.enter_context(keys_of_the_product())
        folder = stack.enter_context(server_folder())
        settings = '[isolation]\nlevel = "process"\n' + (f"first_user = {FIRST_USER}\n" if ROOT else "")
        operator = DemoOperator("isolated", "AP0071-SDK-DEMO", (ALFA, BETA))
        those = await stack.enter_async_context(
            played(stage.federation, folder, {operator: ("all",)}, settings)
        )
        (process,) = those.processes
        text = process.config_file.read_text()
        process.config_file.write_text(text.replace("[metrics]\n", "[metrics]\nqueue_seconds = 1\n"))
        metrics = load(process.config_file).metrics
        assert metrics is not None
        assert metrics.queue_seconds == 1
        # It holds only public keys, which every process may read.
        (process.config_file.parent / "clients").chmod(0o711)
        await process.start()
        yield House(
            stage, process, *those.members, f"http://{metrics.listen.host}:{metrics.listen.port}/metrics"
        )
