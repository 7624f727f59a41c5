"""operator-common-rules 4.1.1 a: the clause that a refusal concerns, and peers with too many refusals."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from samdrift.accesspoint.agreement import Disagreement
from samdrift.accesspoint.refusals import PeerWatch, clauses_of, is_of_peer

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("reason", "clauses"),
    [
        ("EBMS:0004: NOT_SERVICED", ("component-accesspoint 3.2.1 a",)),
        ("EBMS:0003: To/PartyId is another access point", ("component-accesspoint 3.1.5 b",)),
        ("EBMS:0101: From/PartyId is not the name in the certificate", ("component-accesspoint 3.1.5 a",)),
        ("EBMS:0303: not gzip", ("transport-profile-as4 2.3.1",)),
        ("XHE: CustomizationID", ("component-accesspoint 3.2.2 a", "envelope-profile-xhe 2.2")),
        (
            f"{Disagreement.SENDER}; {Disagreement.FEDERATION}",
            ("component-accesspoint 3.1.6 b", "transport-profile-as4 2.10 e"),
        ),
    ],
)
def test_a_refusal_is_about_the_narrowest_clause_that_is_known(reason: str, clauses: tuple[str, ...]) -> None:
    assert clauses_of(reason) == clauses


def test_a_stranger_in_the_operators_log_is_no_peer() -> None:
    facts = {"peer": "AP0001", "certificate": "aa"}
    assert not is_of_peer(facts, in_organisations_log=False)
    assert is_of_peer(facts, in_organisations_log=True)
    assert is_of_peer(facts | {"authenticated": "yes"}, in_organisations_log=False)
    assert not is_of_peer({}, in_organisations_log=True)


def test_an_alarm_is_raised_once_per_period_and_peer() -> None:
    watch = PeerWatch(3, DAY)
    assert [watch.refused("a", NOW) for _ in range(5)] == [False, False, True, False, False]
    assert [watch.refused("b", NOW) for _ in range(3)] == [False, False, True]
    assert [watch.refused("a", NOW + DAY) for _ in range(3)] == [False, False, True]


def test_no_alarm_is_raised_where_the_threshold_is_0() -> None:
    watch = PeerWatch(0, DAY)
    assert not any(watch.refused("a", NOW) for _ in range(100))
