"""One stage for all tests of the roles: starting it takes longer than any of them."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.roles.stage import Stage, staged
from tests.vaults import server_folder


@pytest_asyncio.fixture(scope="session")
async def stage() -> AsyncIterator[Stage]:
    """A federation and two operators."""
    with server_folder() as folder:
        async with staged(folder) as everything:
            yield everything
