"""Fetching and caching of revocation lists and OCSP responses (component-pki 2.8, 2.9).

Only certificates that chain to a configured anchor are checked here, so only trusted issuers determine which
addresses are called.

Cached evidence is used for a while without asking again. Then fresh evidence is fetched; if that fails or
takes long, the cached evidence stays in use for as long as its issuer declared it valid. So a responder's
outage has no effect until its last response has expired.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from samdrift.contracts.clock import Clock
from samdrift.net.cache import SingleFlight, TimedCache
from samdrift.net.client import FetchLimits, HttpClient, NoAnswer, Watch, fetch, host_of, unwatched
from samdrift.trust.published import (
    Published,
    distribution_points,
    read_answer,
    read_list,
    responders,
)

_LIST = FetchLimits(max_bytes=16 << 20, seconds=10.0)
_ANSWER = FetchLimits(max_bytes=64 << 10, seconds=5.0)
_MAX_KEPT = 10_000
_QUESTION = {"content-type": "application/ocsp-request"}

_Key = tuple[str, int]
"""A URL, and the serial number of the certificate that its response is about; 0 for a revocation list."""
_Get = Callable[[], Coroutine[Any, Any, Published | None]]


@dataclass(frozen=True, slots=True)
class _Kept:
    """The latest evidence, if any, and the time at which to fetch again."""

    published: Published | None
    ask_again: datetime


class RevocationSource:
    """A cache of revocation evidence, which :mod:`samdrift.trust.decide` evaluates."""

    def __init__(
        self,
        client: HttpClient,
        clock: Clock,
        *,
        retry: timedelta,
        keep: timedelta = timedelta(hours=1),
        patience: float = 2.0,
        watch: Watch = unwatched,
    ) -> None:
        """Fetch evidence again after ``keep``, and from a failing address after ``retry``.

        ``patience`` is how many seconds a check waits for fresh evidence while it has valid evidence.
        ``watch`` is notified of each call whether the issuer's service responded.
        """
        self._client = client
        self._clock = clock
        self._keep = keep
        self._retry = retry
        self._patience = patience
        self._watch = watch
        self._kept: TimedCache[_Key, _Kept] = TimedCache(_MAX_KEPT)
        self._flight: SingleFlight[_Key, None] = SingleFlight()

    async def answer(self, certificate: x509.Certificate, issuer: x509.Certificate) -> Published | None:
        """Return the OCSP response about ``certificate`` from its issuer's responder (RFC 6960)."""
        for url in responders(certificate):
            get = partial(self._ask, url, certificate, issuer)
            if found := await self._have((url, certificate.serial_number), get):
                return found
        return None

    async def revocation_list(
        self, certificate: x509.Certificate, issuer: x509.Certificate
    ) -> Published | None:
        """Return the revocation list of the issuer of ``certificate`` (RFC 5280 5)."""
        for url in distribution_points(certificate):
            if found := await self._have((url, 0), partial(self._list, url, issuer)):
                return found
        return None

    def kept_lists(self, certificate: x509.Certificate) -> tuple[Published, ...]:
        """Return cached, valid lists of the issuer of ``certificate``, without fetching any."""
        now = self._clock()
        kept = (_valid(self._kept.get((url, 0), now), now) for url in distribution_points(certificate))
        return tuple(one for one in kept if one is not None)

    async def _have(self, key: _Key, get: _Get) -> Published | None:
        now = self._clock()
        kept = self._kept.get(key, now)
        held = _valid(kept, now)
        if kept is not None and now < kept.ask_again <= now + max(self._keep, self._retry):
            return held
        try:
            async with asyncio.timeout(self._patience if held else None):
                await self._flight.run(key, partial(self._renew, key, get))
        except TimeoutError:
            return held
        now = self._clock()
        return _valid(self._kept.get(key, now), now)

    async def _renew(self, key: _Key, get: _Get) -> None:
        fresh = await get()
        now = self._clock()
        if fresh is not None and now < fresh.until:
            self._kept.put(key, _Kept(fresh, min(now + self._keep, fresh.until)), fresh.until)
        else:
            former, again = _valid(self._kept.get(key, now), now), now + self._retry
            self._kept.put(key, _Kept(former, again), max(again, former.until) if former else again)

    async def _ask(
        self, url: str, certificate: x509.Certificate, issuer: x509.Certificate
    ) -> Published | None:
        # SHA-1 only identifies the issuer in the request; every responder supports it (RFC 5019 2.1.1).
        question = ocsp.OCSPRequestBuilder().add_certificate(certificate, issuer, hashes.SHA1())  # noqa: S303
        read = partial(read_answer, certificate=certificate, issuer=issuer)
        return await self._fetch(url, _ANSWER, read, question.build().public_bytes(Encoding.DER))

    async def _list(self, url: str, issuer: x509.Certificate) -> Published | None:
        return await self._fetch(url, _LIST, partial(read_list, issuer=issuer))

    async def _fetch(
        self,
        url: str,
        limits: FetchLimits,
        read: Callable[[bytes], Published | None],
        question: bytes | None = None,
    ) -> Published | None:
        """Return the evidence at an address; report the service as down if its evidence is unusable now."""
        headers, host = _QUESTION if question else None, host_of(url)
        try:
            answer = await fetch(self._client, url, limits, content=question, headers=headers)
        except NoAnswer as error:
            self._watch("revocation", host, error.words)
            return None
        found, fault = read(answer.body) if answer.status == 200 else None, ""
        if answer.status != 200:
            fault = f"it answers {answer.status}"
        elif found is None:
            fault = "its answer cannot be used"
        elif found.until <= self._clock():
            fault = "its answer is too old"
        self._watch("revocation", host, fault)
        return found


def _valid(kept: _Kept | None, now: datetime) -> Published | None:
    """Return the cached evidence if it is still within the validity that its issuer declared."""
    if kept is None or kept.published is None or now >= kept.published.until:
        return None
    return kept.published
