"""Two hosts upgraded in turn under traffic: both versions serve at the same time, and nothing is lost.

``./samdrift bench rolling`` does the same with more messages.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from samdrift.federation.server import LocalFederation
from samdrift.federation.server import running as federation_running
from tests.sizes import count, seed, whole
from tests.upgrade.rolling import FORMER, NotInHistory, program_of, rolled
from tests.vaults import server_folder

EXCHANGES = count(3, 25)
PATIENCE = count(120, 600)


@pytest_asyncio.fixture(scope="module")
async def federation() -> AsyncIterator[LocalFederation]:
    with server_folder() as folder:
        async with federation_running(folder) as one:
            yield one


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    try:
        return program_of(FORMER, tmp_path_factory.mktemp("former"))
    except NotInHistory:
        pytest.skip(f"this clone has no commit {FORMER} in its history")


@whole
@pytest.mark.parametrize("which", [("all", "all"), ("ap", "mt"), ("mt", "ap")], ids="-".join)
async def test_two_versions_beside_each_other_lose_nothing_and_do_nothing_twice(
    federation: LocalFederation, sources: Path, which: tuple[str, str]
) -> None:
    """Hosts serve all roles, or one each; in that case the versions communicate over interface C."""
    found = await rolled(federation, sources, random.Random(seed(20261204)), EXCHANGES, PATIENCE, which)
    before, beside, after = found.scripts
    assert before < beside == after, "the first host that was upgraded must upgrade the schemas"
    assert found.faults == []
    assert found.beside >= 3 * EXCHANGES
    assert found.alarming == []
