"""One gateway for all tests with an S3 server, each with a prefix of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta

import pytest
import pytest_asyncio

from samdrift.vault import remoteobjects
from tests.interop.s3.gateway import Gateway, gateway
from tests.interop.tools import Unavailable, left_out
from tests.storeways import Way


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    try:
        with gateway(tmp_path_factory.mktemp("s3")) as one:
            yield one
    except Unavailable as reason:
        left_out("Go", reason)


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Allow for slow responses, since other programs may use the machine."""
    for limit in ("_CONNECT", "ANSWER", "LOOK"):
        monkeypatch.setattr(remoteobjects, limit, timedelta(minutes=5))


@pytest_asyncio.fixture
async def way(store: Gateway) -> AsyncIterator[Way]:
    """Yield a connection to the gateway that can be broken."""
    async with Way(store.port).open() as one:
        yield one
