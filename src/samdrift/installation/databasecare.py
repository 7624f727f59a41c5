"""Maintenance of an installation's database as its administrator, at the start and while it runs."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from samdrift.audit.operations import unexpected
from samdrift.keystore.interface import KeyStore
from samdrift.net.background import in_background
from samdrift.vault.notifyqueue import NotifyQueue
from samdrift.vault.provision import Provisioner
from samdrift.vault.settings import VaultSettings


@dataclass(frozen=True, slots=True)
class Care:
    """The administrator's connection, and the queue that is looked after."""

    provisioner: Provisioner
    queue: NotifyQueue


@contextlib.asynccontextmanager
async def cared_for(settings: VaultSettings, keys: KeyStore) -> AsyncIterator[Care]:
    """Put the database's rights in order, then keep its queue of notifications moving.

    :class:`~samdrift.vault.errors.DatabaseUnfit` where everybody may connect and that cannot be changed.
    """
    provisioner = await Provisioner.connect(settings, keys=keys)
    try:
        await _put_in_order(settings, keys)
        queue = NotifyQueue(provisioner.database)
        async with in_background(queue.keep(), on_failure=unexpected("the queue of notifications")):
            yield Care(provisioner, queue)
    finally:
        await provisioner.close()


async def _put_in_order(settings: VaultSettings, keys: KeyStore) -> None:
    """Install in a session of its own, since the server keeps in memory what a session saw of each vault."""
    provisioner = await Provisioner.connect(settings, keys=keys)
    try:
        await provisioner.install()
    finally:
        await provisioner.close()


class NotificationMetrics(Collector):
    """Notifications that failed, how full the cluster's queue is, and who keeps it so."""

    def __init__(self, failed: Callable[[], int], queue: NotifyQueue | None = None) -> None:
        """``failed`` returns how many failed here; ``queue`` is for the process that looks after it."""
        self._failed = failed
        self._queue = queue

    def collect(self) -> Iterator[Metric]:
        """Return the metrics as they are now."""
        failed = CounterMetricFamily(
            "samdrift_notifications_failed", "Attempts to notify other processes of work that failed"
        )
        failed.add_metric([], self._failed())
        yield failed
        if self._queue is None:
            return
        yield GaugeMetricFamily(
            "samdrift_notify_queue_usage_ratio",
            "How full the queue of notifications of the database cluster is",
            self._queue.usage,
        )
        yield CounterMetricFamily(
            "samdrift_notify_queue_sessions_ended",
            "Sessions of our logins that held the queue and were ended",
            value=self._queue.ended,
        )
        others = GaugeMetricFamily(
            "samdrift_notify_queue_held_by",
            "Logins of other systems that hold the queue while it fills",
            labels=["login"],
        )
        for login in sorted(self._queue.others):
            others.add_metric([login], 1)
        yield others
