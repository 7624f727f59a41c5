"""One Chromium for all tests in a browser, and the gallery."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio
from playwright.async_api import Browser

from tests.browser.harness import Served, chromium, served


@pytest_asyncio.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as running:
        yield running


@pytest_asyncio.fixture
async def gallery(browser: Browser) -> AsyncIterator[Served]:
    """Serve the gallery; its pages may log no console messages other than about response statuses."""
    async with served(browser) as running:
        yield running
        complaints = [each for each in running.complaints if "responded with a status of" not in each]
        assert (complaints, running.scene.failures) == ([], [])
