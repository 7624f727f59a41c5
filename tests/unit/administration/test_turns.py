"""Commands that change an installation run one at a time, and report what they wait for."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from samdrift.administration.turns import in_turn
from samdrift.config.model import VaultConfig
from tests.vaults import until

HOLDS = """
import asyncio, sys
from pathlib import Path
from samdrift.administration.turns import in_turn
from samdrift.config.model import VaultConfig
sys.argv = ["samdrift", "org", "export", "0203:habo.se", "--by", "Anna Andersson"]

async def hold(folder):
    async with in_turn(VaultConfig(folder, folder, folder, folder)):
        print("holds", flush=True)
        await asyncio.sleep(600)

asyncio.run(hold(Path(FOLDER)))
"""


def vaults(folder: Path) -> VaultConfig:
    return VaultConfig(folder, folder, folder, folder)


async def test_one_waits_for_another_says_which_and_goes_on_when_that_is_killed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    script = HOLDS.replace("FOLDER", repr(str(tmp_path)))
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as other:
        try:
            assert other.stdout is not None
            assert await asyncio.to_thread(other.stdout.readline) == b"holds\n"
            entered = asyncio.Event()

            async def change() -> None:
                async with in_turn(vaults(tmp_path)):
                    entered.set()

            changing = asyncio.create_task(change())
            await until(lambda: bool(caplog.messages) or entered.is_set())
            assert not entered.is_set()
            other.kill()
            await changing
        finally:
            other.kill()
    (line,) = caplog.messages
    assert line.startswith(f"waits for samdrift org export (process {other.pid}, since ")
    assert "Anna" not in line
    assert "habo" not in line


async def test_where_there_is_no_key_store_nothing_is_made(tmp_path: Path) -> None:
    async with in_turn(vaults(tmp_path / "none")):
        pass
    assert not list(tmp_path.iterdir())
