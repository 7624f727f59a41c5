"""Metrics of the access point; they name no organisation unless that is turned on (invariant 9)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from samdrift.accesspoint.events import APEvent
from samdrift.accesspoint.meters import Meters
from samdrift.accesspoint.verdict import Answer
from samdrift.contracts.transfer import TransferReason
from samdrift.vault.records import Backlog
from samdrift.wire.as4 import As4Fault
from samdrift.wire.ebms import NOT_SERVICED, EbmsErrorCode
from samdrift.wire.identifiers import ParticipantIdentifier

HABO = ParticipantIdentifier("0203:habo.se")
MULLSJO = ParticipantIdentifier("0203:mullsjo.se")
NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


def everything_happens(meters: Meters) -> None:
    """Count each kind of event a different number of times."""
    for organisation in (HABO, MULLSJO):
        meters.came_in(organisation, APEvent.AP_ENVELOPE_RECEIVED)
    meters.came_in(HABO, APEvent.AP_ENVELOPE_DUPLICATE)
    meters.came_in(HABO, APEvent.AP_ENVELOPE_REFUSED)
    meters.refused(None, As4Fault(EbmsErrorCode.OTHER, NOT_SERVICED))
    meters.refused(None, As4Fault(EbmsErrorCode.FAILED_AUTHENTICATION, "certificate: revoked"))
    meters.nonconforming(alarm=False)
    meters.nonconforming(alarm=True)
    unreachable = Answer(TransferReason.PEER_UNREACHABLE, "HTTP status 503 at 0203:habo.se")
    meters.attempted(HABO, unreachable, final=False, seconds=0.2)
    meters.attempted(HABO, unreachable, final=True, seconds=0.2)
    meters.attempted(MULLSJO, Answer(receipt=b"receipt"), final=True, seconds=7)
    meters.queues({HABO: Backlog(3, NOW - timedelta(minutes=2)), MULLSJO: Backlog(4, NOW)}, NOW)


def told(registry: CollectorRegistry) -> dict[str, float]:
    """Return every exported sample except buckets and times of creation."""
    lines = generate_latest(registry).decode().splitlines()
    samples = [line.rsplit(" ", 1) for line in lines if not line.startswith("#")]
    return {name: float(value) for name, value in samples if "_bucket" not in name and "_created" not in name}


def test_everything_is_counted_once_by_its_reason() -> None:
    registry = CollectorRegistry()
    everything_happens(Meters(registry))
    assert told(registry) == {
        "samdrift_ap_received_total": 2,
        "samdrift_ap_duplicates_total": 1,
        'samdrift_ap_refused_total{reason="envelope"}': 1,
        'samdrift_ap_refused_total{reason="NOT_SERVICED"}': 1,
        'samdrift_ap_refused_total{reason="EBMS:0101"}': 1,
        "samdrift_ap_nonconforming_total": 2,
        "samdrift_ap_peer_alarms_total": 1,
        "samdrift_ap_sent_total": 1,
        'samdrift_ap_postponed_total{reason="peer-unreachable"}': 1,
        'samdrift_ap_failed_total{reason="peer-unreachable"}': 1,
        'samdrift_ap_attempt_seconds_count{outcome="postponed"}': 1,
        'samdrift_ap_attempt_seconds_sum{outcome="postponed"}': 0.2,
        'samdrift_ap_attempt_seconds_count{outcome="failed"}': 1,
        'samdrift_ap_attempt_seconds_sum{outcome="failed"}': 0.2,
        'samdrift_ap_attempt_seconds_count{outcome="delivered"}': 1,
        'samdrift_ap_attempt_seconds_sum{outcome="delivered"}': 7,
        "samdrift_ap_queued": 7,
        "samdrift_ap_oldest_queued_seconds": 120,
    }


def test_invariant_9_no_organisation_is_named_unless_that_is_turned_on() -> None:
    registry = CollectorRegistry()
    everything_happens(Meters(registry))
    assert b"0203:" not in generate_latest(registry)


def test_an_operator_may_turn_on_a_label_for_itself() -> None:
    registry = CollectorRegistry()
    everything_happens(Meters(registry, per_organisation=True))
    samples = told(registry)
    assert samples['samdrift_ap_received_total{organisation="0203:habo.se"}'] == 1
    assert samples['samdrift_ap_queued{organisation="0203:mullsjo.se"}'] == 4
    assert samples['samdrift_ap_refused_total{organisation="",reason="NOT_SERVICED"}'] == 1


@pytest.mark.parametrize("per_organisation", [False, True])
def test_queues_that_are_empty_again_are_told_as_empty(per_organisation: bool) -> None:
    registry = CollectorRegistry()
    meters = Meters(registry, per_organisation=per_organisation)
    meters.queues({HABO: Backlog(3, NOW)}, NOW)
    meters.queues({}, NOW)
    assert sum(value for name, value in told(registry).items() if "queued" in name) == 0


def test_two_access_points_in_one_process_count_for_themselves() -> None:
    one, other = CollectorRegistry(), CollectorRegistry()
    everything_happens(Meters(one))
    Meters(other)
    assert sum(told(other).values()) == 0
