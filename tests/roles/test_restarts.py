"""kill -9 at any moment: nothing is lost, nothing is delivered twice, everything ends (invariants 7, 8).

`./samdrift bench soak` does the same for longer.
"""

from __future__ import annotations

import random

from tests.roles import soak as killing
from tests.roles.stage import Stage
from tests.sizes import count, seed, soak, whole
from tests.vaults import server_folder

EXCHANGES = count(24, 1000)
BLOWS = count(5, 100)
PATIENCE = count(60, 600)


@whole
@soak
async def test_killed_at_random_moments(stage: Stage) -> None:
    with server_folder() as folder:
        report = await killing.soak(
            stage.federation,
            folder,
            random.Random(seed(20260302)),
            exchanges=EXCHANGES,
            blows=BLOWS,
            patience=PATIENCE,
        )
    assert not report.faults
    assert report.exchanges == EXCHANGES
