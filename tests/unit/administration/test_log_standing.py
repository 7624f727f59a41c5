"""`log status`: a log that is shorter than what was signed or cosigned is an alarm, with its name."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from samdrift.administration.logs import Standing
from samdrift.audit.merkle import Frontier
from samdrift.installation.logkeeping import OPERATORS
from samdrift.vault.logtree import TreeState, WitnessState

NOW = datetime(2026, 12, 4, 3, 0, tzinfo=UTC)
ORIGIN = "samdrift.log/7f3a"


@pytest.mark.parametrize(
    ("size", "signed", "cosigned", "short"), [(7, 7, 7, 0), (8, 7, 7, 0), (6, 7, 7, 7), (6, None, 9, 9)]
)
def test_a_log_that_is_shorter_than_what_was_signed_is_an_alarm(
    size: int, signed: int | None, cosigned: int, short: int
) -> None:
    state = TreeState(ORIGIN, Frontier(), NOW, 1, size, signed, b"", NOW, "key", True, None)
    witness = WitnessState("witness.example+1", cosigned, int(NOW.timestamp()), NOW, "")
    found = Standing(OPERATORS, state, (witness,)).faults(NOW, timedelta(minutes=5))
    alarm = f"ALARM the log {ORIGIN}: it has {size} entries, fewer than the {short} that were signed"
    assert [each for each in found if each.startswith("ALARM")] == [alarm] * bool(short)
