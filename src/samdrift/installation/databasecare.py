"""Maintenance of an installation's database as its administrator, at the start and while it runs."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from samdrift.audit.operations import unexpected
from samdrift.keystore.interface import KeyStore
from samdrift.net.background import in_background
from samdrift.vault.errors import LoginRefused, VaultUnavailable
from samdrift.vault.notifyqueue import NotifyQueue
from samdrift.vault.provision import Provisioner
from samdrift.vault.settings import VaultSettings

_BETWEEN_TRIES = 2.0
"""Seconds until an unreachable database is tried again."""


@dataclass(frozen=True, slots=True)
class Care:
    """The administrator's connection, and the queue that is looked after."""

    provisioner: Provisioner
    queue: NotifyQueue


@contextlib.asynccontextmanager
async def cared_for(
    settings: VaultSettings, keys: KeyStore, heard: Callable[[str], None] = lambda reason: None
) -> AsyncIterator[Care]:
    """Put the database's rights in order, then keep its queue of notifications moving.

    An unreachable database is waited for indefinitely: it may still be starting. ``heard`` is notified at
    each try why it is unreachable, or with an empty text when it is reached.
    :class:`~samdrift.vault.errors.DatabaseUnfit` where everybody may connect and that cannot be changed.
    """
    provisioner = await _when_there(settings, keys, heard)
    try:
        queue = NotifyQueue(provisioner.database)
        async with in_background(queue.keep(), on_failure=unexpected("the queue of notifications")):
            yield Care(provisioner, queue)
    finally:
        await provisioner.close()


async def _when_there(settings: VaultSettings, keys: KeyStore, heard: Callable[[str], None]) -> Provisioner:
    """Connect once the database is there, and put it in order. A login that it refuses is not waited for."""
    while True:
        try:
            provisioner = await Provisioner.connect(settings, keys=keys)
            try:
                await _put_in_order(settings, keys)
            except BaseException:
                await provisioner.close()
                raise
        except LoginRefused:
            raise
        except VaultUnavailable as outage:
            heard(outage.cause or str(outage))
            await asyncio.sleep(_BETWEEN_TRIES)
        else:
            heard("")
            return provisioner


async def _put_in_order(settings: VaultSettings, keys: KeyStore) -> None:
    """Install in a session of its own, since the server caches what a session has seen of each vault."""
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
