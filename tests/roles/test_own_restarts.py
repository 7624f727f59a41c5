"""An operator's own restarts lose nothing and cost no attempt, and what they cut short waits for no lease.

``.venv/bin/python -m bench restarts`` does the same with twenty restarts at each level.
"""

from __future__ import annotations

import random

import pytest

from samdrift.config.isolation import Isolation
from tests.roles import ownrestarts
from tests.roles.ownrestarts import EXCHANGES
from tests.roles.stage import Stage
from tests.sizes import count, seed, soak, whole

RESTARTS = count(3, 20)
PATIENCE = count(120, 600)


@soak
@pytest.mark.parametrize("level", [Isolation.SHARED, pytest.param(Isolation.PROCESS, marks=whole)])
async def test_restarts_under_traffic_lose_nothing_and_cost_no_attempt(
    stage: Stage, level: Isolation
) -> None:
    """At level ``process`` of workers and of the supervisor, too."""
    rng = random.Random(seed(20261127))
    found = await ownrestarts.survived(stage.federation, level, RESTARTS, rng, PATIENCE)
    assert found.faults == []
    assert found.spent == 0
    assert (found.restarts.total(), found.exchanges) == (RESTARTS, RESTARTS * EXCHANGES)


@soak
@whole
async def test_a_worker_that_is_killed_in_a_rolling_restart_loses_nothing(stage: Stage) -> None:
    rng = random.Random(seed(20261127))
    every = ownrestarts.RESTARTS[Isolation.PROCESS]
    assert ownrestarts.worker_killed_meanwhile in every
    found = await ownrestarts.survived(stage.federation, Isolation.PROCESS, len(every), rng, PATIENCE)
    assert (found.faults, found.spent) == ([], 0)
