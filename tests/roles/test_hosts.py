"""Two hosts of one installation, of which one is killed or cut off: nothing is lost, nothing comes twice.

``.venv/bin/python -m bench hosts`` does the same with a thousand exchanges.
"""

from __future__ import annotations

import random

from tests.roles.hosts import survived
from tests.roles.stage import Stage
from tests.sizes import count, seed, soak, whole

EXCHANGES = count(20, 100)
BLOWS = count(2, 6)
PATIENCE = count(120, 600)


@soak
@whole
async def test_a_host_that_is_killed_or_cut_off_loses_nothing_and_the_other_takes_over(stage: Stage) -> None:
    found = await survived(stage.federation, random.Random(seed(20261127)), EXCHANGES, BLOWS, PATIENCE)
    assert found.faults == []
    assert found.exchanges == EXCHANGES
    assert len(found.taken_over) == BLOWS
    # Twenty seconds of a lease, five until another one renews, and what a busy machine adds.
    print(found.taken_over)
