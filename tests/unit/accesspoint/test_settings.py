"""component-accesspoint 3.2.5 A3, A4: number of attempts, time between them, time-out of a response."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from samdrift.accesspoint.settings import Client, OwnKeys
from samdrift.contracts.principals import Principal, PrincipalKind
from samdrift.wire.identifiers import ParticipantIdentifier
from tests import pki
from tests.frozen import changeable
from tests.settings import access_point_settings, retry_policy

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def test_attempts_end_after_the_configured_number() -> None:
    """Clauses: component-accesspoint 3.2.3 b, 3.2.5 A3."""
    policy = retry_policy(attempts=4)
    assert [policy.next_attempt(made, NOW, 0.5) is None for made in (1, 2, 3, 4)] == [
        False,
        False,
        False,
        True,
    ]


def test_the_interval_is_constant_within_its_jitter() -> None:
    """Clauses: component-accesspoint 3.2.5 A4."""
    policy = retry_policy(interval=timedelta(seconds=100), jitter=0.1)
    times = [policy.next_attempt(1, NOW, chance) for chance in (0.0, 0.5, 1.0)]
    assert times == [NOW + timedelta(seconds=seconds) for seconds in (90, 100, 110)]


def test_a_peer_gets_more_time_for_a_larger_message_but_not_more_than_the_lease() -> None:
    settings = access_point_settings("AP0001-SDK-TEST", "federation", "ap.example")
    allowed = [settings.patience(size).total_seconds() for size in (10_000, 30_000_000, 160_000_000)]
    assert allowed[0] < 61
    assert allowed[1] > 160
    assert allowed[2] < settings.lease.total_seconds()
    assert settings.patience(1_000_000) == settings.answer_within + timedelta(seconds=6)
    assert settings.patience(10**12) == settings.lease * 0.8


def test_the_time_that_an_operator_grants_is_granted_whatever_the_lease() -> None:
    settings = access_point_settings(
        "AP0001-SDK-TEST", "federation", "ap.example", answer_within=timedelta(minutes=10)
    )
    assert settings.patience(1) == timedelta(minutes=10)


def test_a_client_of_interface_c_acts_for_its_organisation_and_stays_the_same() -> None:
    client = Client(ParticipantIdentifier.parse("0203:habo.se"), "diarium")
    assert client.principal == Principal(PrincipalKind.SYSTEM, "diarium", "0203:habo.se")
    with pytest.raises(AttributeError):
        setattr(client, "system", "another")  # noqa: B010


def test_what_the_access_point_decides_by_cannot_be_changed() -> None:
    """Only counters can: those of a peer's messages that do not conform, and of unanswered attempts."""
    assert changeable("samdrift.accesspoint") == {"_Count", "_Silence"}


def test_unless_told_otherwise_attempts_come_within_a_tenth_of_the_interval() -> None:
    """Senders must not all retry in the same second after a peer has come back."""
    policy = retry_policy(interval=timedelta(seconds=100))
    times = [policy.next_attempt(1, NOW, chance) for chance in (0.0, 1.0)]
    assert times == [NOW + timedelta(seconds=90), NOW + timedelta(seconds=110)]


def test_the_newest_key_signs_and_a_receipt_the_one_whose_certificate_its_sender_found() -> None:
    """A peer that found the earlier certificate in SMP accepts receipts signed with that key only.

    Clauses: transport-profile-as4 2.3.1 f.
    """
    root = pki.root("Root", 0)
    new, middle, old, strange = (
        root.issue("AP0001-SDK-TEST", private_key=pki.key(number)).signing_key() for number in (1, 2, 3, 4)
    )
    keys = OwnKeys((new, middle, old), ())
    assert keys.newest is new
    for key in (new, middle, old):
        assert keys.of(key.certificate) is key
    assert keys.of(strange.certificate) is new
