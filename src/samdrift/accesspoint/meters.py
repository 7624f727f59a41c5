"""Counts and durations for the operator's monitoring, in Prometheus format.

They show how the platform performs and nothing about its users: no metric names an organisation, a peer or a
message (invariant 9). An operator may enable one label with the organisation, for its own monitoring.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from samdrift.accesspoint.events import APEvent
from samdrift.accesspoint.verdict import Answer
from samdrift.audit.events import AuditEvent
from samdrift.vault.records import Backlog
from samdrift.wire.as4 import As4Fault
from samdrift.wire.ebms import NOT_SERVICED
from samdrift.wire.identifiers import ParticipantIdentifier

_SECONDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
INVALID_ENVELOPE = "envelope"
"""Reason for a refusal that the answer does not report: the envelope is invalid or contradicts AS4."""


class Meters:
    """The metrics of one access point, kept only in ``registry``."""

    def __init__(self, registry: CollectorRegistry, *, per_organisation: bool = False) -> None:
        self._per_organisation = per_organisation
        labels = ("organisation",) if per_organisation else ()

        def counter(name: str, text: str, *more: str) -> Counter:
            return Counter(f"samdrift_ap_{name}", text, (*labels, *more), registry=registry)

        def gauge(name: str, text: str) -> Gauge:
            return Gauge(f"samdrift_ap_{name}", text, labels, registry=registry)

        self._received = counter("received", "Envelopes received")
        self._duplicates = counter("duplicates", "AS4 messages received again and answered as before")
        self._refused = counter("refused", "AS4 messages and envelopes refused", "reason")
        self._nonconforming = Counter(
            "samdrift_ap_nonconforming", "Messages of approved peers that do not conform", registry=registry
        )
        self._alarms = Counter(
            "samdrift_ap_peer_alarms", "Times that a peer has sent too many of them", registry=registry
        )
        self._sent = counter("sent", "Transfers delivered")
        self._postponed = counter("postponed", "Attempts that failed and are made again", "reason")
        self._failed = counter("failed", "Transfers that failed for good", "reason")
        self._attempts = Histogram(
            "samdrift_ap_attempt_seconds",
            "Duration of an attempt, from discovery to its record",
            (*labels, "outcome"),
            registry=registry,
            buckets=_SECONDS,
        )
        self._queued = gauge("queued", "Transfers that are not final")
        self._oldest = gauge("oldest_queued_seconds", "Age of the oldest transfer that is not final")

    def came_in(self, organisation: ParticipantIdentifier, event: AuditEvent) -> None:
        """Count the outcome of an AS4 message that was answered with a receipt."""
        of = self._of(organisation)
        match event:
            case APEvent.AP_ENVELOPE_RECEIVED:
                _one(self._received, of)
            case APEvent.AP_ENVELOPE_DUPLICATE:
                _one(self._duplicates, of)
            case _:
                self._refused.labels(**of, reason=INVALID_ENVELOPE).inc()

    def refused(self, organisation: ParticipantIdentifier | None, fault: As4Fault) -> None:
        """Count an AS4 message that was answered with an error, with the error code as the reason."""
        reason = NOT_SERVICED if fault.detail == NOT_SERVICED else fault.error.value
        self._refused.labels(**self._of(organisation), reason=reason).inc()

    def nonconforming(self, *, alarm: bool) -> None:
        """Count a refused message of an approved peer; ``alarm`` is true if it has sent too many."""
        self._nonconforming.inc()
        if alarm:
            self._alarms.inc()

    def attempted(
        self, organisation: ParticipantIdentifier, answer: Answer, *, final: bool, seconds: float
    ) -> None:
        """Record an attempt whose outcome is stored."""
        of = self._of(organisation)
        outcome = "delivered" if answer.delivered else "failed" if final else "postponed"
        self._attempts.labels(**of, outcome=outcome).observe(seconds)
        if answer.delivered:
            _one(self._sent, of)
        else:
            counter = self._failed if final else self._postponed
            counter.labels(**of, reason=answer.reason.value).inc()

    def queues(self, backlogs: Mapping[ParticipantIdentifier, Backlog], now: datetime) -> None:
        """Update the number and age of waiting transfers, for all organisations that have any."""
        if self._per_organisation:
            self._queued.clear()
            self._oldest.clear()
            for organisation, backlog in backlogs.items():
                self._queued.labels(organisation.value).set(backlog.transfers)
                self._oldest.labels(organisation.value).set(_age(backlog, now))
        else:
            self._queued.set(sum(backlog.transfers for backlog in backlogs.values()))
            self._oldest.set(max((_age(backlog, now) for backlog in backlogs.values()), default=0.0))

    def _of(self, organisation: ParticipantIdentifier | None) -> dict[str, str]:
        if not self._per_organisation:
            return {}
        return {"organisation": "" if organisation is None else organisation.value}


def _one(counter: Counter, of: Mapping[str, str]) -> None:
    (counter.labels(**of) if of else counter).inc()


def _age(backlog: Backlog, now: datetime) -> float:
    return 0.0 if backlog.oldest is None else max(0.0, (now - backlog.oldest).total_seconds())
