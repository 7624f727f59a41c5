"""Values that people type on a command line, read in the same way everywhere."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from samdrift.config.errors import Unusable
from samdrift.config.inputs import read_time


@pytest.mark.parametrize("text", ["2026-11-24T09:30", "2026-11-24T09:30:00Z", "2026-11-24T10:30:00+01:00"])
def test_a_time_is_in_utc_wherever_it_was_written(text: str) -> None:
    at = read_time(text)
    assert (at, at.tzinfo) == (datetime(2026, 11, 24, 9, 30, tzinfo=UTC), UTC)


@pytest.mark.parametrize(
    "text", ["", "soon", "2026-13-01", "0001-01-01T00:00+05:00", "9999-12-31T23:59-05:00"]
)
def test_what_is_no_time_is_told(text: str) -> None:
    with pytest.raises(Unusable, match="a time is written like"):
        read_time(text)
