"""Rules for mails to the operator: those of deploy/monitoring/alerts.yml, for use without Prometheus.

Both sets are tested with the same cases (tests/interop/prometheus): that file by ``promtool``, and this
module by a test that reads the files for it. Disk space has rules only here, since Prometheus gets it from
``node_exporter``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import pairwise

from samdrift.contracts.phrases import Phrase
from samdrift.governance.reminders import Matter
from samdrift.installation.health import GONE, Dependency
from samdrift.installation.metrics import HELD
from samdrift.installation.remindermetrics import GOVERNANCE_DUE

Series = tuple[str, frozenset[tuple[str, str]]]
"""The name of a metric with its labels."""
UP = "up"
"""Metric that is 1 if an installation answered at its metrics address, else 0, as in Prometheus."""
DISK = "samdrift_watched_disk"
"""Space on a disk, measured by the watch itself: 0 enough, 1 little, 2 almost none."""
_PROCESSES = "samdrift_processes"
_EXPIRY = "samdrift_certificate_expiry_seconds"
_FAILED, _SENT = "samdrift_ap_failed_total", "samdrift_ap_sent_total"
_REFUSED, _RECEIVED = "samdrift_ap_refused_total", "samdrift_ap_received_total"
_LINGERING, _PEER_ALARMS = "samdrift_ap_oldest_queued_seconds", "samdrift_ap_peer_alarms_total"
_PLANTED, _STOPPED = "samdrift_key_store_alarms", "samdrift_logs_stopped"
_FORGED = "samdrift_mt_meaningless_envelopes"
_INCIDENT = Matter.OPERATORS_INCIDENT.value
_HOUR, _HALF_AN_HOUR = timedelta(hours=1), timedelta(minutes=30)
_WINDOWS = {
    _PROCESSES: timedelta(hours=6),
    **dict.fromkeys((_FAILED, _SENT, _REFUSED, _RECEIVED, _PEER_ALARMS, _FORGED), _HOUR),
}
"""Time for which earlier values are kept; for other metrics only the latest value is kept."""
NAMES = frozenset({UP, DISK, GONE, HELD, GOVERNANCE_DUE, _EXPIRY, _LINGERING, _PLANTED, _STOPPED, *_WINDOWS})
"""The metrics that the rules use."""
_HOUR_SECONDS, _DAY_SECONDS = 3600, 86_400


class History:
    """Past metrics of one installation, as far back as the rules look."""

    def __init__(self) -> None:
        self._series: dict[Series, deque[tuple[datetime, float]]] = {}
        self._now = datetime.min

    def add(self, at: datetime, samples: Mapping[Series, float]) -> None:
        """Add the samples seen at a moment, ignoring metrics that are not in :data:`NAMES`."""
        self._now = at
        for series, value in samples.items():
            if series[0] in NAMES:
                self._series.setdefault(series, deque()).append((at, value))
        for series, values in list(self._series.items()):
            oldest = at - _WINDOWS.get(series[0], timedelta())
            while values and not oldest <= values[0][0] <= at:
                values.popleft()
            if not values:
                del self._series[series]

    def now(self, name: str, within: Within | None = None) -> Iterator[tuple[Mapping[str, str], float]]:
        """Yield the labels and the value of each series of a metric in the latest sample."""
        for labels, values in self._of(name, within):
            if values[-1][0] == self._now:
                yield labels, values[-1][1]

    def increase(self, name: str, window: timedelta, within: Within | None = None) -> float:
        """Return the increase of a counter, summed over its series and allowing for restarts."""
        return sum(
            sum(after - before if after >= before else after for before, after in pairwise(some))
            for some in self._windows(name, window, within)
        )

    def delta(self, name: str, window: timedelta) -> float:
        """Return the largest change of a gauge among its series."""
        return max((some[-1] - some[0] for some in self._windows(name, window, None)), default=0.0)

    def most(self, name: str, window: timedelta) -> tuple[float, float]:
        """Return the largest sum of a metric over its series within a window, and the sum now."""
        sums: dict[datetime, float] = {}
        for _, values in self._of(name, None):
            for at, value in values:
                if at >= self._now - window:
                    sums[at] = sums.get(at, 0.0) + value
        return max(sums.values(), default=0.0), sums.get(self._now, 0.0)

    def _windows(self, name: str, window: timedelta, within: Within | None) -> Iterator[list[float]]:
        for _, values in self._of(name, within):
            some = [value for at, value in values if at >= self._now - window]
            if some:
                yield some

    def _of(
        self, name: str, within: Within | None
    ) -> Iterator[tuple[Mapping[str, str], deque[tuple[datetime, float]]]]:
        for (named, pairs), values in self._series.items():
            labels = dict(pairs)
            if named == name and (within is None or within(labels)):
                yield labels, values


Within = Callable[[Mapping[str, str]], bool]
"""Predicate: a series with these labels counts."""


class Severity(StrEnum):
    """The urgency of an alert."""

    PAGE = "page"
    """Urgent at any hour: messages are at risk, or there is an attack."""
    TICKET = "ticket"
    """To be handled in working hours."""


@dataclass(frozen=True, slots=True)
class Rule:
    """An alert rule: its condition, and what it means."""

    name: str
    severity: Severity
    after: timedelta
    """Time for which the condition must hold before the alert is raised."""
    found: Callable[[History], Iterable[str]]
    """Function that yields the subjects for which the condition holds, such as a kind of dependency.

    A subject is empty if the rule has only one.
    """
    title: Phrase
    """Short title, with ``%(what)s`` for the subject."""
    means: Phrase
    """Consequences for messages."""
    book: str
    """Name of its run book in docs/runbooks."""


def _once(holds: Callable[[History], bool]) -> Callable[[History], Iterable[str]]:
    return lambda history: [""] if holds(history) else []


def _is(label: str, *values: str) -> Within:
    return lambda labels: labels.get(label) in values


def _gone(*kinds: str) -> Callable[[History], Iterable[str]]:
    return _once(lambda history: any(value > 0 for _, value in history.now(GONE, _is("dependency", *kinds))))


def _held(*reasons: str) -> Callable[[History], Iterable[str]]:
    return _once(lambda history: sum(value for _, value in history.now(HELD, _is("reason", *reasons))) > 0)


def _any(name: str) -> Callable[[History], Iterable[str]]:
    return _once(lambda history: any(value > 0 for _, value in history.now(name)))


def _others_gone(history: History) -> Iterator[str]:
    for labels, value in history.now(GONE):
        if value > 0 and labels["dependency"] not in _OF_THEIR_OWN:
            yield labels["dependency"]


def _ending(least: float, most: float) -> Callable[[History], Iterable[str]]:
    def found(history: History) -> Iterator[str]:
        soonest: dict[str, float] = {}
        for labels, left in history.now(_EXPIRY):
            which = f"{labels['key']} ({labels['owner']})"
            soonest[which] = min(left, soonest.get(which, left))
        return (which for which, left in soonest.items() if least <= left < most)

    return found


def _clock_ends(least: float, most: float) -> Callable[[History], Iterable[str]]:
    """Return a condition: ``least`` to ``most`` seconds are left of the operator's next incident deadline."""

    def found(history: History) -> bool:
        left = [value for _, value in history.now(GOVERNANCE_DUE, _is("matter", _INCIDENT))]
        return bool(left) and least <= min(left) < most

    return _once(found)


def _worker_missing(history: History) -> bool:
    most, now = history.most(_PROCESSES, timedelta(hours=6))
    return most - now > 0


def _transfers_fail(history: History) -> bool:
    failed = history.increase(_FAILED, _HALF_AN_HOUR, lambda labels: labels.get("reason") != "given-up")
    return failed > 10 and not failed < 0.2 * history.increase(_SENT, _HALF_AN_HOUR)


def _refusals(history: History) -> bool:
    refused = history.increase(_REFUSED, _HOUR)
    return refused > 10 and not refused < history.increase(_RECEIVED, _HOUR)


def _disk(least: float) -> Callable[[History], Iterable[str]]:
    return lambda history: [labels["disk"] for labels, value in history.now(DISK) if value == least]


_OF_THEIR_OWN: Collection[str] = frozenset(
    {
        *(Dependency.DATABASE, Dependency.OBJECTS, Dependency.KEY_STORE, Dependency.SCANNER),
        *(Dependency.SML, Dependency.SMP, Dependency.ACCESS_POINT, Dependency.SESSIONS, Dependency.LOCKS),
    }
)
"""Dependencies that have a rule of their own."""


def _minutes(count: int) -> timedelta:
    return timedelta(minutes=count)


_SOMETHING = "service-gone"
RULES = (
    Rule(
        "SamdriftNotAnswering",
        Severity.PAGE,
        _minutes(2),
        _once(lambda history: not any(value > 0 for _, value in history.now(UP))),
        Phrase("Samdrift does not answer"),
        Phrase("Nothing is accepted and nothing is sent. Peers resend for as long as their attempts last."),
        "host-lost",
    ),
    Rule(
        "SamdriftWorkerMissing",
        Severity.TICKET,
        _minutes(15),
        _once(_worker_missing),
        Phrase("Fewer processes answer than before"),
        Phrase(
            "An organisation may not be served in one of its roles. One that was suspended or"
            " closed is missing, too."
        ),
        "host-lost",
    ),
    Rule(
        "SamdriftDatabaseGone",
        Severity.PAGE,
        _minutes(1),
        _gone(Dependency.DATABASE),
        Phrase("The database is gone"),
        Phrase(
            "Nothing is accepted and nothing is sent. Peers and clients are asked to retry later; nothing"
            " is lost."
        ),
        "database-lost",
    ),
    Rule(
        "SamdriftObjectStoreGone",
        Severity.PAGE,
        _minutes(1),
        _gone(Dependency.OBJECTS),
        Phrase("The object store is gone"),
        Phrase("Messages with attachments are neither accepted nor sent. A full disk is the usual reason."),
        "disk-full",
    ),
    Rule(
        "SamdriftKeyStoreGone",
        Severity.PAGE,
        _minutes(1),
        _gone(Dependency.KEY_STORE),
        Phrase("The key store is gone"),
        Phrase("No vault opens that is not open already, and a restart would not come up again."),
        "key-store-lost",
    ),
    Rule(
        "SamdriftLocked",
        Severity.TICKET,
        _minutes(60),
        _held("lock"),
        Phrase("Messages wait for an organisation’s officer to unlock"),
        Phrase("The organisation’s vaults are closed since the last restart. Its deadlines run."),
        "passphrase-lost",
    ),
    Rule(
        "SamdriftHeld",
        Severity.TICKET,
        _minutes(10),
        _any(HELD),
        Phrase("Messages have waited for ten minutes"),
        Phrase("They fail when their deadlines have passed. samdrift status says why they wait."),
        _SOMETHING,
    ),
    Rule(
        "SamdriftScannerGone",
        Severity.PAGE,
        _minutes(10),
        _gone(Dependency.SCANNER),
        Phrase("The malware scanner is gone"),
        Phrase(
            "Messages wait, those that come in and those that are sent. They fail when their"
            " deadlines have passed."
        ),
        "scanner-down",
    ),
    Rule(
        "SamdriftLookupGone",
        Severity.PAGE,
        _minutes(15),
        _gone(Dependency.SML),
        Phrase("SML does not answer"),
        Phrase(
            "No recipient is found whose metadata is not known already. Messages wait until their deadlines."
        ),
        "smp-wrong",
    ),
    Rule(
        "SamdriftSmpGone",
        Severity.TICKET,
        _minutes(30),
        _gone(Dependency.SMP),
        Phrase("An SMP does not answer"),
        Phrase("Messages to organisations that are published there wait until their deadlines."),
        "smp-wrong",
    ),
    Rule(
        "SamdriftNotRegistered",
        Severity.TICKET,
        _minutes(30),
        _held("certificate", "not-registered", "discovery-untrusted", "peer-untrusted"),
        Phrase("Messages wait, since a registration in SMP is missing or not trusted"),
        Phrase(
            "They fail when their deadlines have passed. The registration of one of our"
            " organisations may be wrong."
        ),
        "smp-wrong",
    ),
    Rule(
        "SamdriftAccessPointGone",
        Severity.PAGE,
        _minutes(5),
        _gone(Dependency.ACCESS_POINT),
        Phrase("The access point on interface C is gone"),
        Phrase("Message services neither send nor fetch. What is sent waits until its deadline."),
        _SOMETHING,
    ),
    Rule(
        "SamdriftServiceGone",
        Severity.TICKET,
        _minutes(60),
        _others_gone,
        Phrase("Gone: %(what)s"),
        Phrase("Work that needs it waits, or continues with cached data; the run book has a row for each."),
        _SOMETHING,
    ),
    Rule(
        "SamdriftCertificateEnds",
        Severity.PAGE,
        _minutes(5),
        _ending(float("-inf"), 2 * _DAY_SECONDS),
        Phrase("A certificate ends within two days, or has ended: %(what)s"),
        Phrase("After that, peers refuse signatures with it, or clients do not connect."),
        "certificate-expired",
    ),
    Rule(
        "SamdriftCertificateEndsSoon",
        Severity.TICKET,
        _minutes(60),
        _ending(2 * _DAY_SECONDS, 30 * _DAY_SECONDS),
        Phrase("A certificate ends within thirty days: %(what)s"),
        Phrase("Nothing yet. An issuer takes days to issue the next one."),
        "certificate-expired",
    ),
    Rule(
        "SamdriftIncidentDue",
        Severity.PAGE,
        _minutes(1),
        _clock_ends(float("-inf"), 2 * _HOUR_SECONDS),
        Phrase("A clock of an incident of the operator’s ends within two hours, or has run out"),
        Phrase(
            "Nothing. Those who must hear of the incident by law or agreement have not been notified yet."
        ),
        "incident-due",
    ),
    Rule(
        "SamdriftIncidentDueSoon",
        Severity.TICKET,
        _minutes(1),
        _clock_ends(2 * _HOUR_SECONDS, _DAY_SECONDS),
        Phrase("A clock of an incident of the operator’s ends within a day"),
        Phrase(
            "Nothing. Those who must hear of the incident by law or agreement have not been notified yet."
        ),
        "incident-due",
    ),
    Rule(
        "SamdriftTransfersFail",
        Severity.PAGE,
        timedelta(),
        _once(_transfers_fail),
        Phrase("Transfers fail: more than ten within half an hour"),
        Phrase("Their senders are notified. As long as the cause remains, further transfers fail too."),
        "peer-refuses",
    ),
    Rule(
        "SamdriftTransfersLinger",
        Severity.TICKET,
        _minutes(10),
        _once(lambda history: max((value for _, value in history.now(_LINGERING)), default=0.0) > 3600),
        Phrase("A transfer waits for more than an hour"),
        Phrase("A peer does not accept it. By default a transfer ends after a quarter of an hour."),
        "peer-refuses",
    ),
    Rule(
        "SamdriftRefusals",
        Severity.TICKET,
        _minutes(5),
        _once(_refusals),
        Phrase("More messages of peers are refused than accepted"),
        Phrase(
            "Refused messages do not reach the recipient; the sender is notified. A peer is at fault, or"
            " our registration is."
        ),
        "peer-refuses",
    ),
    Rule(
        "SamdriftPeerDoesNotConform",
        Severity.TICKET,
        timedelta(),
        _once(lambda history: history.increase(_PEER_ALARMS, _HOUR) > 0),
        Phrase("A peer has sent too many messages that do not conform"),
        Phrase("They were refused. Report the peer to DIGG."),
        "peer-refuses",
    ),
    Rule(
        "SamdriftKeysPlanted",
        Severity.PAGE,
        timedelta(),
        _any(_PLANTED),
        Phrase("The key store was tampered with"),
        Phrase(
            "A process of an organisation may be controlled by an attacker. The keys of that vault"
            " are not opened."
        ),
        "organisation-compromised",
    ),
    Rule(
        "SamdriftLoginMisused",
        Severity.PAGE,
        timedelta(),
        _gone(Dependency.SESSIONS, Dependency.LOCKS),
        Phrase("A login takes from the database what all share"),
        Phrase(
            "Whoever has its password may be an attacker, and can come again. Its sessions are ended, so that"
            " others go on."
        ),
        "organisation-compromised",
    ),
    Rule(
        "SamdriftLogStopped",
        Severity.PAGE,
        timedelta(),
        _any(_STOPPED),
        Phrase("A witness has refused a log"),
        Phrase(
            "The log was changed, or put back from a backup. Nothing is signed in it until that is resolved."
        ),
        "organisation-compromised",
    ),
    Rule(
        "SamdriftEnvelopesForged",
        Severity.PAGE,
        timedelta(),
        _once(lambda history: history.delta(_FORGED, _HOUR) > 10),
        Phrase("More than ten envelopes did not decrypt within an hour"),
        Phrase(
            "A sender encrypts for a key that its recipient no longer has, or tries to read another"
            " sender’s message."
        ),
        "organisation-compromised",
    ),
)
"""The rules that alerts.yml also has, in its order."""
OF_THE_MACHINE = (
    Rule(
        "SamdriftDiskFull",
        Severity.PAGE,
        _minutes(1),
        _disk(2),
        Phrase("The disk is almost full: %(what)s"),
        Phrase("Without space no message is accepted, and the database may stop."),
        "disk-full",
    ),
    Rule(
        "SamdriftDiskLow",
        Severity.TICKET,
        _minutes(10),
        _disk(1),
        Phrase("Disk space is low: %(what)s"),
        Phrase("Nothing yet. Without space no message is accepted, and the database may stop."),
        "disk-full",
    ),
)
"""Rules about disks, with the doctor's limits for little space."""
