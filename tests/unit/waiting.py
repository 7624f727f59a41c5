"""A test that uses a PostgreSQL server and does not end; :mod:`tests.unit.test_leftovers` ends it."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.vaults import Installation


async def test_that_does_not_end(installation: Installation) -> None:
    (Path(installation.settings.database).parent / "running").touch()
    await asyncio.Event().wait()
