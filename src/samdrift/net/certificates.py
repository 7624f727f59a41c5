"""The federation's certificate checks: a policy per purpose, evidence from the network, cached verdicts.

With a cached verdict, a check is one lookup. Otherwise the evidence is collected from the network and
:func:`samdrift.trust.decide.decide` decides. Policies may change at run time: no verdict outlives the
policies that it was made under.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from samdrift.contracts.discovery import CertificatePurpose
from samdrift.net.cache import SingleFlight, TimedCache
from samdrift.net.revocation import RevocationSource
from samdrift.net.trustfolder import Policies
from samdrift.trust.chain import Chain, find_chain
from samdrift.trust.decide import Evidence, decide
from samdrift.trust.policy import ChainPolicy, RevocationMode
from samdrift.trust.published import Published
from samdrift.wire.verdicts import CertificateVerdict, Grounds

_MAX_KEPT = 10_000
_Key = tuple[CertificatePurpose, x509.Certificate]


@dataclass(frozen=True, slots=True)
class _Decided:
    """A verdict and the time that it applies to."""

    verdict: CertificateVerdict
    at: datetime


@dataclass(frozen=True, slots=True)
class _Found:
    """OCSP responses and revocation lists that a verdict was based on."""

    answers: tuple[Published, ...] = ()
    lists: tuple[Published, ...] = ()

    def grounds(self, chain: Chain, policy: ChainPolicy, until: datetime) -> Grounds:
        """Return the grounds on which a certificate is trusted until ``until``."""
        return Grounds.of(
            (one.public_bytes(Encoding.DER) for one in chain),
            dict.fromkeys(one.data for one in self.answers),
            dict.fromkeys(one.data for one in self.lists),
            policy.revocation.value,
            until,
        )


class FederationCertificates:
    """The network-backed implementation of :class:`samdrift.contracts.discovery.CertificateChecks`."""

    def __init__(
        self,
        policies: Callable[[], Policies],
        source: RevocationSource,
        *,
        keep: timedelta,
        keep_temporary: timedelta,
    ) -> None:
        """Keep verdicts for ``keep``, and temporary ones for ``keep_temporary``.

        A revocation takes effect at the latest after ``keep`` plus the time for which ``source`` keeps its
        evidence; a change of ``policies`` takes effect immediately.
        """
        self._policies = policies
        self._under = partial(_Verdicts, source=source, keep=keep, keep_temporary=keep_temporary)
        self._verdicts = self._under(policies())

    async def check(
        self, certificate: x509.Certificate, purpose: CertificatePurpose, at: datetime
    ) -> CertificateVerdict:
        """Return the verdict on ``certificate`` for ``purpose`` at ``at``, under the current policies."""
        while True:
            verdicts = self._current()
            verdict = await verdicts.check(certificate, purpose, at)
            if verdicts is self._current():
                return verdict

    def _current(self) -> _Verdicts:
        policies = self._policies()
        if policies is not self._verdicts.policies:
            self._verdicts = self._under(policies)
        return self._verdicts


class _Verdicts:
    """Cached verdicts under one unchanging set of policies."""

    def __init__(
        self, policies: Policies, source: RevocationSource, keep: timedelta, keep_temporary: timedelta
    ) -> None:
        self.policies = policies
        self._source = source
        self._keep = keep
        self._keep_temporary = keep_temporary
        self._kept: TimedCache[_Key, _Decided] = TimedCache(_MAX_KEPT)
        self._flight: SingleFlight[_Key, _Decided] = SingleFlight()
        self._grounds: TimedCache[_Key, Grounds] = TimedCache(_MAX_KEPT)

    async def check(
        self, certificate: x509.Certificate, purpose: CertificatePurpose, at: datetime
    ) -> CertificateVerdict:
        key = purpose, certificate
        decided = self._kept.get(key, at) or await self._flight.run(key, lambda: self._decide(key, at))
        if abs(at - decided.at) > self._keep:
            decided = await self._decide(key, at)
        return decided.verdict

    async def _decide(self, key: _Key, at: datetime) -> _Decided:
        """Decide on a certificate, first without the network, which already excludes unknown issuers."""
        purpose, certificate = key
        policy = self.policies[purpose]
        decided = _Decided(decide(certificate, policy, Evidence(), at), at)
        chain = find_chain(certificate, policy, at=at)
        if chain is None:
            return decided  # Not cached: anyone can make any number of certificates.
        until = min(one.not_valid_after_utc for one in chain)
        found = _Found()
        if decided.verdict.temporary:
            verdict, found = await self._decide_with_evidence(chain, policy, at)
            decided = _Decided(verdict, at)
            until = min([until, *(one.until for one in (*found.answers, *found.lists))])
        keep = self._keep_temporary if decided.verdict.temporary else self._keep
        ends = min(at + keep, until)
        if decided.verdict.trusted:
            put_together = partial(found.grounds, chain, policy, until)
            grounds = await self._grounds_of_the_day(key, put_together, at, ends)
            decided = _Decided(replace(decided.verdict, grounds=grounds), at)
        self._kept.put(key, decided, ends)
        return decided

    async def _grounds_of_the_day(
        self, key: _Key, put_together: Callable[[], Grounds], at: datetime, ends: datetime
    ) -> Grounds:
        """Return the day's first grounds, as long as they remain valid for the whole life of this verdict.

        Grounds are stored with each exchange. Reusing them means that an organisation stores one set per
        peer and day, however often the evidence is fetched again.
        """
        former = self._grounds.get(key, at)
        if former is not None and ends <= former.until:
            return former
        grounds = await asyncio.to_thread(put_together)  # Hashing a long list takes time.
        midnight = at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
        self._grounds.put(key, grounds, min(midnight, grounds.until))
        return grounds

    async def _decide_with_evidence(
        self, chain: Chain, policy: ChainPolicy, at: datetime
    ) -> tuple[CertificateVerdict, _Found]:
        """Query OCSP responders, and lists where none responds; if that is inconclusive, fetch all lists."""
        concerned = 1 if policy.revocation is RevocationMode.LEAF else len(chain) - 1
        pairs = tuple(pairwise(chain))[:concerned]
        answers = await asyncio.gather(*(self._source.answer(*pair) for pair in pairs))
        unanswered = [pair for pair, answer in zip(pairs, answers, strict=True) if answer is None]
        lists = await asyncio.gather(*(self._source.revocation_list(*pair) for pair in unanswered))
        lists += [kept for certificate, _ in pairs for kept in self._source.kept_lists(certificate)]
        verdict = await _judged(chain[0], policy, answers, lists, at)
        if verdict.temporary and len(unanswered) < len(pairs):
            lists = await asyncio.gather(*(self._source.revocation_list(*pair) for pair in pairs))
            verdict = await _judged(chain[0], policy, answers, lists, at)
        return verdict, _Found(*(tuple(one for one in each if one is not None) for each in (answers, lists)))


async def _judged(
    certificate: x509.Certificate,
    policy: ChainPolicy,
    answers: list[Published | None],
    lists: list[Published | None],
    at: datetime,
) -> CertificateVerdict:
    """Decide in a thread, because a long list takes time to process."""
    evidence = Evidence(
        crls=tuple(one.data for one in lists if one is not None),
        ocsps=tuple(one.data for one in answers if one is not None),
    )
    return await asyncio.to_thread(decide, certificate, policy, evidence, at)
