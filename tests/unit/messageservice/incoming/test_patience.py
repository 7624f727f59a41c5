"""An access point is asked to wait longer for news where nothing happens, as far as that goes well."""

from __future__ import annotations

from samdrift.messageservice.incoming.polling import Patience


def test_a_quiet_access_point_is_asked_more_and_more_seldom() -> None:
    patience = Patience.of(55)
    asked = []
    for _ in range(6):
        asked.append(patience.now)
        patience.waited(patience.now)
    assert asked == [55, 110, 220, 440, 600, 600]


def test_an_early_answer_changes_nothing() -> None:
    patience = Patience.of(55)
    patience.waited(20)
    assert patience.now == 55


def test_what_was_cut_off_is_not_asked_for_again() -> None:
    """A proxy that ends what is silent for a minute."""
    patience = Patience.of(55)
    patience.waited(55)
    patience.failed()
    for _ in range(5):
        assert patience.now == 55
        patience.waited(55)


def test_an_outage_shortens_the_wait_and_does_not_end_it() -> None:
    patience = Patience.of(55)
    for _ in range(6):
        patience.waited(patience.now)
    patience.failed()
    for _ in range(6):
        patience.waited(patience.now)
    assert patience.now == 300


def test_an_access_point_that_is_away_is_asked_as_before() -> None:
    patience = Patience.of(55)
    patience.failed()
    patience.failed()
    patience.waited(55)
    assert patience.now == 110
