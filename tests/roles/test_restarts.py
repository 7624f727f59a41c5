"""kill -9 at any moment: nothing is lost, nothing is delivered twice, everything ends (invariants 7, 8).

`./samdrift bench soak` does the same for longer.
"""

from __future__ import annotations

import os
import random

import pytest

from tests.roles.soak import soak
from tests.roles.stage import Stage
from tests.vaults import server_folder

EXCHANGES = 40
BLOWS = 8
PATIENCE = 60.0


@pytest.mark.parametrize("seed", [int(os.environ.get("SAMDRIFT_SEED", random.randrange(1 << 32)))])
async def test_killed_at_random_moments(stage: Stage, seed: int) -> None:
    print(f"SAMDRIFT_SEED={seed}")
    with server_folder() as folder:
        report = await soak(
            stage.federation,
            folder,
            random.Random(seed),
            exchanges=EXCHANGES,
            blows=BLOWS,
            patience=PATIENCE,
        )
    assert not report.faults
    assert report.exchanges == EXCHANGES
