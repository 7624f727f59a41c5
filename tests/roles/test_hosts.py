"""Two hosts of one installation, one of which is killed or cut off: nothing is lost or delivered twice.

``.venv/bin/python -m bench hosts`` does the same with a thousand exchanges.
"""

from __future__ import annotations

import random
import re

import pytest

from samdrift.installation.health import Dependency
from tests.roles.hosts import set_aside, survived
from tests.roles.namespaces import missing
from tests.roles.stage import Stage
from tests.sizes import count, seed, soak, whole

EXCHANGES = count(20, 100)
BLOWS = count(2, 6)
PATIENCE = count(120, 600)
AHEAD = 45.0
"""Seconds by which a clock is ahead, for which its deferred work also waits after a takeover."""
HOUR = 3600.0
ASIDE = "this clock differs from the database's: work is left to processes whose clock does not"


@soak
@whole
async def test_a_host_that_is_killed_or_cut_off_loses_nothing_and_the_other_takes_over(stage: Stage) -> None:
    found = await survived(stage.federation, random.Random(seed(20261127)), EXCHANGES, BLOWS, PATIENCE)
    assert found.faults == []
    assert found.exchanges == EXCHANGES
    assert len(found.taken_over) == BLOWS
    # A lease lasts 20 s, the other host renews every 5 s, and a busy machine adds to that.
    print(found.taken_over)


@soak
@whole
async def test_a_host_whose_clock_is_ahead_loses_nothing_and_says_so(stage: Stage) -> None:
    """Leases use the database's clock; claims and deadlines that of the host that takes them over."""
    rng = random.Random(seed(20261129))
    found = await survived(stage.federation, rng, EXCHANGES, BLOWS, PATIENCE, ahead=AHEAD)
    assert found.faults == []
    assert found.exchanges == EXCHANGES
    assert re.search(r"WARNING clock: gone since \S+: [34]\d s ahead of the database's", found.said)


@soak
@whole
@pytest.mark.parametrize("ahead", [HOUR, -HOUR], ids=["ahead", "behind"])
async def test_a_host_whose_clock_is_an_hour_off_is_set_aside_and_holds_nothing_up(
    stage: Stage, ahead: float
) -> None:
    """It takes no work and is not ready, from its start on; the other host does everything."""
    rng = random.Random(seed(20261130))
    found = await set_aside(stage.federation, rng, EXCHANGES, PATIENCE, ahead)
    assert found.faults == []
    assert found.exchanges == EXCHANGES
    assert Dependency.LEASES in {each.dependency for each in found.health if each.gone_since}
    lines = re.findall(r"WARNING leases: gone since \S+: (.*)", found.said)
    # Once for each of its two starts, since it was killed in between.
    assert lines == [ASIDE] * 2
    assert not re.search(r"WARNING leases: back", found.said)


@soak
@whole
async def test_a_host_on_a_machine_of_its_own_whose_link_is_cut_loses_nothing_and_does_no_harm_afterwards(
    stage: Stage,
) -> None:
    """Each host, and the database, is in a network namespace; the link is cut while messages are exchanged.

    The isolated host keeps running, and comes back with unfinished work.
    """
    if missing():
        pytest.skip(f"network namespaces cannot be made here: {missing()}")
    rng = random.Random(seed(20261201))
    found = await survived(stage.federation, rng, EXCHANGES, count(1, 6), PATIENCE, apart=True)
    assert found.faults == []
    assert found.exchanges == EXCHANGES
    assert "cut_off" in found.blows
    assert len(found.taken_over) == len(found.blows)
    print(found.taken_over)
