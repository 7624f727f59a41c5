"""This machine's clock compared with the database's, which all hosts of an installation share."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from samdrift.installation.health import ClockDiffers, SharedTime, outcome
from samdrift.vault.errors import VaultUnavailable
from tests.vaults import Installation


@pytest.mark.parametrize(
    ("seconds", "reason"),
    [
        (0, ""),
        (29, ""),
        (-29, ""),
        (3600, "3600 s ahead of the database's"),
        (-3600, "3600 s behind the database's"),
    ],
)
async def test_a_clock_that_is_not_the_databases_is_named_with_how_far_it_is_off(
    installation: Installation, seconds: float, reason: str
) -> None:
    time = SharedTime(installation.gate.reach, lambda: datetime.now(UTC) + timedelta(seconds=seconds))
    assert await outcome(time.agrees) == "", "no difference is known before the database is asked"
    await time.reach()
    assert await outcome(time.agrees) == reason


async def slowly() -> float:
    """Return the right time, as a database that takes a minute to answer."""
    return 130.0


@pytest.mark.parametrize(
    ("began", "ended", "fits"), [(100, 160, True), (159, 219, True), (161, 230, False), (40, 100, False)]
)
async def test_an_answer_that_took_its_time_says_nothing_of_a_clock_that_was_right_meanwhile(
    began: float, ended: float, fits: bool
) -> None:
    moments: Iterator[float] = iter((began, ended))
    time = SharedTime(slowly, lambda: datetime.fromtimestamp(next(moments), UTC))
    await time.reach()
    assert (await outcome(time.agrees) == "") == fits


async def test_an_outage_of_the_database_says_nothing_of_the_clock() -> None:
    answers = iter([0.0])

    async def once() -> float:
        for answer in answers:
            return answer
        raise VaultUnavailable("connection refused")

    time = SharedTime(once, lambda: datetime.fromtimestamp(60, UTC))
    await time.reach()
    for _ in range(2):
        with pytest.raises(ClockDiffers, match="60 s ahead of the database's"):
            await time.agrees()
        assert await outcome(time.reach) == "connection refused"
