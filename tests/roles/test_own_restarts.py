"""An operator's own restarts lose nothing, waste no attempt, and leave no work waiting for a lease.

``test_workers.py`` kills and restarts workers under traffic in each test run.
``.venv/bin/python -m bench restarts`` does the same as here with twenty restarts of each kind.
"""

from __future__ import annotations

import random

import pytest

from tests.roles import ownrestarts
from tests.roles.ownrestarts import Layout
from tests.roles.stage import Stage
from tests.roles.traffic import ACCEPTED
from tests.sizes import count, seed, soak, whole

RESTARTS = count(3, 20)
BETWEEN = count(4, 1)
"""Maximum seconds between two messages of one organisation, shorter if there are few restarts."""
PATIENCE = count(120, 600)


@soak
@whole
@pytest.mark.parametrize("layout", Layout)
async def test_restarts_under_traffic_lose_nothing_and_cost_no_attempt(stage: Stage, layout: Layout) -> None:
    """With several processes, workers and their supervisor are restarted too."""
    rng = random.Random(seed(20261127))
    found = await ownrestarts.survived(stage.federation, layout, RESTARTS, rng, PATIENCE, between=BETWEEN)
    assert found.faults == []
    assert found.spent == 0
    assert found.restarts.total() == RESTARTS
    assert found.ended.keys() == {"ACCEPTED"}
    assert found.answers[ACCEPTED] == found.ended["ACCEPTED"]


@soak
@whole
async def test_a_worker_that_is_killed_in_a_rolling_restart_loses_nothing(stage: Stage) -> None:
    rng = random.Random(seed(20261127))
    every = ownrestarts.RESTARTS[Layout.PROCESS]
    assert ownrestarts.worker_killed_meanwhile in every
    found = await ownrestarts.survived(stage.federation, Layout.PROCESS, len(every), rng, PATIENCE)
    assert (found.faults, found.spent) == ([], 0)
