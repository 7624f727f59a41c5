"""An idle access point is asked to wait longer for news, as long as that succeeds."""

from __future__ import annotations

from samdrift.contracts.transfer import OVER_A_NETWORK as NETWORK
from samdrift.contracts.transfer import WITHIN_A_PROCESS
from samdrift.messageservice.incoming.polling import Patience


def test_a_quiet_access_point_is_asked_more_and_more_seldom() -> None:
    patience = Patience.of(55)
    asked = []
    for _ in range(6):
        asked.append(patience.now)
        patience.waited(patience.now, NETWORK)
    assert asked == [55, 110, 220, 440, 600, 600]


def test_one_within_the_process_is_asked_more_seldom_still() -> None:
    patience = Patience.of(55)
    for _ in range(7):
        patience.waited(patience.now, WITHIN_A_PROCESS)
    assert patience.now == 1800


def test_an_early_answer_changes_nothing() -> None:
    patience = Patience.of(55)
    patience.waited(20, NETWORK)
    assert patience.now == 55


def test_what_was_cut_off_is_not_asked_for_again() -> None:
    """A proxy ends connections that are silent for a minute."""
    patience = Patience.of(55)
    patience.waited(55, NETWORK)
    patience.failed()
    for _ in range(5):
        assert patience.now == 55
        patience.waited(55, NETWORK)


def test_an_outage_shortens_the_wait_and_does_not_end_it() -> None:
    patience = Patience.of(55)
    for _ in range(6):
        patience.waited(patience.now, NETWORK)
    patience.failed()
    for _ in range(6):
        patience.waited(patience.now, NETWORK)
    assert patience.now == 300


def test_an_access_point_that_is_away_is_asked_as_before() -> None:
    patience = Patience.of(55)
    patience.failed()
    patience.failed()
    patience.waited(55, NETWORK)
    assert patience.now == 110
