"""One stage for all tests of the roles: starting it takes longer than any of them."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta

import pytest
import pytest_asyncio

from samdrift.installation import health, operator
from samdrift.messageservice.incoming import polling
from samdrift.scheduling import dispatch
from tests.roles.canaries import Canaries, hosted
from tests.roles.stage import INTERVAL, Stage, staged
from tests.vaults import server_folder


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def stage() -> AsyncIterator[Stage]:
    """A federation and two operators."""
    with server_folder() as folder, pytest.MonkeyPatch.context() as soon:
        for module, pause in ((polling, "_PAUSE"), (dispatch, "_AFTER_FAILURE")):
            soon.setattr(module, pause, timedelta(seconds=INTERVAL))
        # Outages of tests follow within seconds; they must not count as a service that answers only partly.
        soon.setattr(health, "_WINDOW", timedelta(0))
        soon.setattr(health, "_WHILE_GONE", INTERVAL)
        # Comparing the logs would report what one test alters in the middle of another, minutes later.
        soon.setattr(operator, "reconciled", lambda *_: contextlib.nullcontext())
        async with staged(folder) as everything:
            yield everything


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def canaries(stage: Stage) -> AsyncIterator[Canaries]:
    """An operator in the stage's federation with two canary organisations."""
    async with hosted(stage) as everything:
        yield everything


@pytest.fixture(autouse=True)
def nothing_unexpected(request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Fail if the log has an unexpected exception, other than those that a module lists."""
    yield
    named: tuple[str, ...] | str = getattr(request.module, "EXPECTED", ())
    names = (named,) if isinstance(named, str) else named
    met = [record.getMessage() for record in caplog.get_records("call") if record.levelno >= logging.ERROR]
    assert not [message for message in met if not any(name in message for name in names)]
