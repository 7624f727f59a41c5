"""The watch: monitors an installation for an operator without Prometheus, and mails them about changes.

It is a process of its own, so that it can also report an installation that has ended. It needs no keys and no
database: it reads the metrics, as Prometheus does, and checks free disk space, as the doctor does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NoReturn

from prometheus_client.parser import text_string_to_metric_families

from samdrift.audit.operations import unexpected
from samdrift.config.model import Config, MetricsConfig, SocketAddress
from samdrift.contracts.clock import Clock
from samdrift.contracts.principals import Role
from samdrift.installation.metrics import PATH
from samdrift.net.client import FetchLimits, HttpClient, NoAnswer, fetch
from samdrift.net.smtp import MailServerUnavailable
from samdrift.operations.alertmail import AlertMails, Alerts
from samdrift.operations.alertrules import DISK, OF_THE_MACHINE, RULES, UP, History, Rule, Series
from samdrift.operations.findings import State
from samdrift.operations.places import check_disks

EVERY = timedelta(seconds=30)
"""Interval between two checks."""
_LIMITS = FetchLimits(max_bytes=16 << 20, seconds=10.0)
_ROOM = {State.OK: 0.0, State.WARN: 1.0, State.FAIL: 2.0}
Fetch = Callable[[SocketAddress], Awaitable[str | None]]
"""Function that returns the metrics served at an address; ``None`` when nothing answers."""
Note = Callable[[str], None]
"""Function that is called with the reason why the mail server is unavailable, or empty when it works."""


def metrics_of(client: HttpClient) -> Fetch:
    """Return a function that fetches metrics with ``client``, which can reach this machine's addresses."""

    async def fetched(address: SocketAddress) -> str | None:
        host = f"[{address.host}]" if ":" in address.host else address.host
        try:
            answer = await fetch(client, f"http://{host}:{address.port}{PATH}", _LIMITS)
        except NoAnswer:
            return None
        return answer.body.decode("utf-8", "replace") if answer.status == 200 else None

    return fetched


def addresses_of(metrics: MetricsConfig) -> tuple[SocketAddress, ...]:
    """Return every address at which metrics may be served under the configuration, without duplicates."""
    return tuple(dict.fromkeys([metrics.listen, *(metrics.address({role}) for role in Role)]))


@dataclass
class Watcher:
    """The rules, applied to an installation's metrics and disks, and the mails about the results."""

    config: Config
    addresses: tuple[SocketAddress, ...]
    fetch: Fetch
    mails: AlertMails
    clock: Clock
    note: Note
    alerts: Alerts = field(default_factory=lambda: Alerts((*RULES, *OF_THE_MACHINE)))
    _histories: dict[SocketAddress, History] = field(default_factory=dict)
    """Metric history of each address that has ever answered."""
    _machine: History = field(default_factory=History)
    _found: dict[SocketAddress, dict[str, set[str]]] = field(default_factory=dict)
    """Findings at each address when it last answered; an address that is silent keeps its findings."""

    async def look(self) -> None:
        """Check once, and send mails that are due."""
        now = self.clock()
        answers = await asyncio.gather(*(self.fetch(address) for address in self.addresses))
        for address, text in zip(self.addresses, answers, strict=True):
            self._seen(address, text, now)
        await asyncio.to_thread(self._look_at_disks, now)
        silent = [one for one, text in zip(self.addresses, answers, strict=True) if text is None]
        away = any(one in self._histories for one in silent) or not self._histories
        self.alerts.judge(self._all_found(away=away), now)
        try:
            if await self.mails.send_due(self.alerts, now):
                self.note("")
        except MailServerUnavailable as error:
            self.note(error.cause)

    async def keep(self) -> NoReturn:
        """Check repeatedly, until cancelled."""
        log = unexpected("the watch over the installation")
        while True:
            try:
                await self.look()
            except Exception as error:
                log(error)
            await asyncio.sleep(EVERY.total_seconds())

    def _seen(self, address: SocketAddress, text: str | None, now: datetime) -> None:
        if text is None:
            return
        history = self._histories.setdefault(address, History())
        history.add(now, {(UP, frozenset()): 1.0, **samples(text)})
        self._found[address] = found_by(RULES, history)

    def _look_at_disks(self, now: datetime) -> None:
        found = check_disks(self.config)
        rooms = {one.id.partition(".")[2]: _ROOM[one.state] for one in found if one.state in _ROOM}
        self._machine.add(now, {(DISK, frozenset({("disk", disk)})): room for disk, room in rooms.items()})

    def _all_found(self, *, away: bool) -> Mapping[str, set[str]]:
        together: dict[str, set[str]] = {}
        for each in (*self._found.values(), found_by(OF_THE_MACHINE, self._machine)):
            for name, about in each.items():
                together.setdefault(name, set()).update(about)
        if away:  # An address has stopped responding, or none has responded yet.
            together[RULES[0].name] = {""}
        return together


def found_by(rules: tuple[Rule, ...], history: History) -> dict[str, set[str]]:
    """Return the subjects that each rule finds in a history, omitting rules that find nothing."""
    found = {rule.name: set(rule.found(history)) for rule in rules}
    return {name: about for name, about in found.items() if about}


def samples(text: str) -> dict[Series, float]:
    """Parse metrics in the format in which they are served."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
