"""One phase4 and one scene for all these tests, because starting a JVM takes longer than most of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest_asyncio

from tests.interop.phase4.build import classpath
from tests.interop.phase4.scene import Scene, scene
from tests.interop.tools import Unavailable, left_out
from tests.vaults import server_folder


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def interop() -> AsyncIterator[Scene]:
    """Run our access point and phase4, or skip the test where phase4 cannot run."""
    try:
        await asyncio.to_thread(classpath)
    except Unavailable as reason:
        left_out("phase4", reason)
    with server_folder() as folder:
        async with scene(folder) as running:
            yield running
