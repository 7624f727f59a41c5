"""Maintenance of an installation's database as its administrator, at start-up and while it runs."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from functools import partial

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from samdrift.audit.operations import unexpected
from samdrift.installation.health import Dependency, Note
from samdrift.keystore.interface import KeyStore
from samdrift.net.background import in_background
from samdrift.vault.errors import LoginRefused, VaultUnavailable
from samdrift.vault.notifyqueue import NotifyQueue
from samdrift.vault.provision import Provisioner
from samdrift.vault.sessionbounds import Bound
from samdrift.vault.sessionwatch import SessionWatch
from samdrift.vault.settings import VaultSettings

_BETWEEN_TRIES = 2.0
"""Seconds until an unreachable database is tried again."""


@dataclass(frozen=True, slots=True)
class Care:
    """The administrator's connection, and what it looks after."""

    provisioner: Provisioner
    queue: NotifyQueue
    sessions: SessionWatch


@contextlib.asynccontextmanager
async def cared_for(settings: VaultSettings, keys: KeyStore, note: Note) -> AsyncIterator[Care]:
    """Put the database's rights in order, then keep what its logins share free while the context lasts.

    An unreachable database is waited for indefinitely, because it may still be starting. ``note`` gets the
    reason at each failed attempt, and an empty text once it is reached.
    :class:`~samdrift.vault.errors.DatabaseUnfit` where every login may connect and that cannot be changed.
    """
    provisioner = await _when_there(settings, keys, partial(note, Dependency.DATABASE, ""))
    try:
        queue = NotifyQueue(provisioner.database)
        noted, filled = partial(note, Dependency.SESSIONS, ""), partial(note, Dependency.LOCKS, "")
        sessions = SessionWatch(provisioner.database, noted, filled)
        async with (
            in_background(queue.keep(), on_failure=unexpected("the queue of notifications")),
            in_background(sessions.keep(), on_failure=unexpected("the bounds of sessions")),
        ):
            yield Care(provisioner, queue, sessions)
    finally:
        await provisioner.close()


async def _when_there(settings: VaultSettings, keys: KeyStore, heard: Callable[[str], None]) -> Provisioner:
    """Connect as soon as the database is reachable, and put it in order; a refused login is raised."""
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
    """Install over a separate session, because the server caches what a session has seen of each vault."""
    provisioner = await Provisioner.connect(settings, keys=keys)
    try:
        await provisioner.install()
    finally:
        await provisioner.close()


class NotificationMetrics(Collector):
    """Metrics of failed notifications, of the cluster's queue, and of sessions that exceeded a bound."""

    def __init__(self, failed: Callable[[], int], care: Care | None = None) -> None:
        """``failed`` returns the number of failures; ``care`` is set in the process that cares."""
        self._failed = failed
        self._care = care

    def collect(self) -> Iterator[Metric]:
        """Yield the current metrics."""
        failed = CounterMetricFamily(
            "samdrift_notifications_failed", "Attempts to notify other processes of work that failed"
        )
        failed.add_metric([], self._failed())
        yield failed
        if self._care is None:
            return
        queue = self._care.queue
        ended = CounterMetricFamily(
            "samdrift_database_sessions_ended",
            "Sessions of our logins that exceeded a bound and were ended",
            labels=["bound"],
        )
        for bound in Bound:
            ended.add_metric([bound.value], self._care.sessions.by_bound[bound])
        yield ended
        yield GaugeMetricFamily(
            "samdrift_notify_queue_usage_ratio",
            "How full the queue of notifications of the database cluster is",
            queue.usage,
        )
        yield CounterMetricFamily(
            "samdrift_notify_queue_sessions_ended",
            "Sessions of our logins that held the queue and were ended",
            value=queue.ended,
        )
        others = GaugeMetricFamily(
            "samdrift_notify_queue_held_by",
            "Logins of other systems that hold the queue while it fills",
            labels=["login"],
        )
        for login in sorted(queue.others):
            others.add_metric([login], 1)
        yield others
