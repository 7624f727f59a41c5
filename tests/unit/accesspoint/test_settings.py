"""component-accesspoint 3.2.5 A3, A4: number of attempts and time between them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from samdrift.accesspoint.settings import RetryPolicy

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def test_attempts_end_after_the_configured_number() -> None:
    policy = RetryPolicy(attempts=4)
    assert [policy.next_attempt(made, NOW, 0.5) is None for made in (1, 2, 3, 4)] == [
        False,
        False,
        False,
        True,
    ]


def test_the_interval_is_constant_within_its_jitter() -> None:
    policy = RetryPolicy(interval=timedelta(seconds=100), jitter=0.1)
    times = [policy.next_attempt(1, NOW, chance) for chance in (0.0, 0.5, 1.0)]
    assert times == [NOW + timedelta(seconds=seconds) for seconds in (90, 100, 110)]
