"""Certificates that are about to expire, which are reported daily in the log and continuously in the metrics.

The log of the service does not name organisations: it contains the reference that ``samdrift org keys list``
shows for each one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from prometheus_client import CollectorRegistry, Gauge

from samdrift.audit.operations import unexpected
from samdrift.contracts.clock import Clock
from samdrift.contracts.principals import Role
from samdrift.installation.keyrows import WARNED, key_rows, shown_keys
from samdrift.keystore.interface import OPERATOR_KEYS, HeldKey, KeyStore
from samdrift.keystore.keyfiles import KeyName, KeyStoreError
from samdrift.net.background import in_background
from samdrift.vault.registry import Registry

_LOOK = "the look at certificates"
_EVERY = timedelta(hours=1)
_OPERATORS = (KeyName.ACCESS_POINT, KeyName.TLS_SERVER, KeyName.TLS_CLIENT)
_LOGGER = logging.getLogger("samdrift")


@dataclass(frozen=True, slots=True)
class Expiry:
    """Expiry of the certificate of the key in use, or of each that a server shows to clients of some host."""

    owner: str
    """Label of the owner in the metrics, which name organisations only if configured to."""
    reference: str
    """Name of the owner in the log."""
    key: HeldKey
    until: datetime


@dataclass(slots=True)
class Expiries:
    """Checks the certificates of the operator and of the organisations for expiry."""

    keys: KeyStore
    registry: Registry
    clock: Clock
    per_organisation: bool = False
    gauge: Gauge | None = None
    operators: bool = True
    """Check the operator's own certificates, too; false in a process of one organisation."""
    warns: Callable[[], bool] = lambda: True
    """Function that returns whether this process writes warnings; one of several does."""
    _told: dict[tuple[str, KeyName, int], date] = field(default_factory=dict)

    def look(self) -> None:
        """Warn of each certificate that expires within thirty days, once a day, and set the metric."""
        now = self.clock()
        found = list(self.found(now))
        for expiry in found if self.warns() else ():
            self._warn(expiry, now)
        if self.gauge is not None:
            self._measure(self.gauge, found, now)

    async def watch(self) -> None:
        """Check immediately and then every hour."""
        log = unexpected(_LOOK)
        while True:
            try:
                await asyncio.to_thread(self.look)
            except Exception as error:
                log(error)
            await asyncio.sleep(_EVERY.total_seconds())

    def found(self, now: datetime) -> Iterator[Expiry]:
        """Yield the expiry of each key in use, for owners whose keys can currently be read."""
        if self.operators:
            yield from self._of("operator", "operator", OPERATOR_KEYS, _OPERATORS, now)
        for one in self.registry.all():
            if one.role is Role.MESSAGE_SERVICE:
                owner = one.organisation.value if self.per_organisation else "organisations"
                yield from self._of(owner, one.public_name[:8], one.vault, None, now)

    def _of(
        self, owner: str, reference: str, vault: str, names: tuple[KeyName, ...] | None, now: datetime
    ) -> Iterator[Expiry]:
        try:
            held = self.keys.keys(vault)
        except (KeyStoreError, OSError):
            return  # Code that needs these keys reports that they cannot be read.
        rows = key_rows(held, now) if names is None else key_rows(held, now, names)
        for row in rows:
            if row.name is KeyName.TLS_SERVER or row.key is None or row.key.certificate is None:
                continue
            if row.in_use:
                yield Expiry(owner, reference, row.key, row.key.certificate.not_valid_after_utc)
        for key in {key.number: key for key in shown_keys(held, now).values()}.values():
            if names is not None and key.certificate is not None:
                yield Expiry(owner, reference, key, key.certificate.not_valid_after_utc)

    def _warn(self, expiry: Expiry, now: datetime) -> None:
        which = expiry.reference, expiry.key.name, expiry.key.number
        if expiry.until - now > WARNED or self._told.get(which) == now.date():
            return
        self._told[which] = now.date()
        _LOGGER.warning(
            "the %s certificate of %s %s: see samdrift org keys list, or samdrift keys list",
            expiry.key.name.value,
            expiry.reference,
            "has expired" if expiry.until <= now else f"expires in {(expiry.until - now).days} days",
        )

    def _measure(self, gauge: Gauge, found: list[Expiry], now: datetime) -> None:
        """Set the gauge to the earliest expiry per owner and key name."""
        soonest: dict[tuple[str, str], float] = {}
        for expiry in found:
            which = expiry.owner, expiry.key.name.value
            left = (expiry.until - now).total_seconds()
            soonest[which] = min(left, soonest.get(which, left))
        gauge.clear()
        for (owner, name), left in soonest.items():
            gauge.labels(owner, name).set(left)


def expiry_gauge(metrics: CollectorRegistry) -> Gauge:
    """Create the gauge of the time until certificates expire."""
    return Gauge(
        "samdrift_certificate_expiry_seconds",
        "Time until the certificate of the key in use expires, the soonest of its owner",
        ("owner", "key"),
        registry=metrics,
    )


def watching(expiries: Expiries) -> AbstractAsyncContextManager[None]:
    """Check certificates for expiry while the context lasts."""
    return in_background(expiries.watch(), on_failure=unexpected(_LOOK))
