"""The federation's checks of certificates: policy per purpose, evidence from the network, verdicts kept.

With a verdict kept, a check is one lookup. Without, what the network has to
say is gathered and :func:`samdrift.trust.decide.decide` decides.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from cryptography import x509

from samdrift.contracts.discovery import CertificatePurpose
from samdrift.net.cache import TimedCache
from samdrift.net.revocation import RevocationSource
from samdrift.net.singleflight import SingleFlight
from samdrift.trust.chain import Chain, find_chain
from samdrift.trust.decide import Evidence, decide
from samdrift.trust.policy import ChainPolicy, RevocationMode
from samdrift.trust.published import Published
from samdrift.wire.verdicts import CertificateVerdict

_MOST_KEPT = 10_000
_Key = tuple[CertificatePurpose, x509.Certificate]


@dataclass(frozen=True, slots=True)
class _Decided:
    """A verdict and the time that it is about."""

    verdict: CertificateVerdict
    at: datetime


class FederationCertificates:
    """Implements :class:`samdrift.contracts.discovery.CertificateChecks`."""

    def __init__(
        self,
        policies: Mapping[CertificatePurpose, ChainPolicy],
        source: RevocationSource,
        *,
        keep: timedelta = timedelta(minutes=5),
        keep_temporary: timedelta = timedelta(seconds=10),
    ) -> None:
        """``keep`` is how long a verdict is used again, ``keep_temporary`` how long a temporary one.

        A revocation takes effect at the latest after ``keep`` and the time that
        ``source`` keeps its evidence.
        """
        self._policies = policies
        self._source = source
        self._keep = keep
        self._keep_temporary = keep_temporary
        self._kept: TimedCache[_Key, _Decided] = TimedCache(_MOST_KEPT)
        self._flight: SingleFlight[_Key, _Decided] = SingleFlight()

    async def check(
        self, certificate: x509.Certificate, purpose: CertificatePurpose, at: datetime
    ) -> CertificateVerdict:
        """The verdict on ``certificate`` for ``purpose`` at the time ``at``."""
        key = purpose, certificate
        decided = self._kept.get(key, at) or await self._flight.run(key, lambda: self._decide(key, at))
        if abs(at - decided.at) > self._keep:
            decided = await self._decide(key, at)
        return decided.verdict

    async def _decide(self, key: _Key, at: datetime) -> _Decided:
        """Decide, at first without asking anybody: that sorts out all who are not ours."""
        purpose, certificate = key
        policy = self._policies[purpose]
        decided = _Decided(decide(certificate, policy, Evidence(), at), at)
        chain = find_chain(certificate, policy)
        if chain is None:
            return decided  # Not kept: strangers can make any number of certificates.
        until = min(one.not_valid_after_utc for one in chain)
        if decided.verdict.temporary:
            verdict, evidence = await self._decide_with_evidence(chain, policy, at)
            decided = _Decided(verdict, at)
            until = min([until, *(one.until for one in evidence)])
        keep = self._keep_temporary if decided.verdict.temporary else self._keep
        self._kept.put(key, decided, min(at + keep, until))
        return decided

    async def _decide_with_evidence(
        self, chain: Chain, policy: ChainPolicy, at: datetime
    ) -> tuple[CertificateVerdict, tuple[Published, ...]]:
        """Ask responders, and for lists where none answers; if that does not settle it, for all lists."""
        concerned = 1 if policy.revocation is RevocationMode.LEAF else len(chain) - 1
        pairs = tuple(pairwise(chain))[:concerned]
        answers = await asyncio.gather(*(self._source.answer(*pair) for pair in pairs))
        unanswered = [pair for pair, answer in zip(pairs, answers, strict=True) if answer is None]
        lists = await asyncio.gather(*(self._source.revocation_list(*pair) for pair in unanswered))
        verdict = await _judged(chain[0], policy, answers, lists, at)
        if verdict.temporary and len(unanswered) < len(pairs):
            lists = await asyncio.gather(*(self._source.revocation_list(*pair) for pair in pairs))
            verdict = await _judged(chain[0], policy, answers, lists, at)
        return verdict, tuple(one for one in (*answers, *lists) if one is not None)


async def _judged(
    certificate: x509.Certificate,
    policy: ChainPolicy,
    answers: list[Published | None],
    lists: list[Published | None],
    at: datetime,
) -> CertificateVerdict:
    """The decision, made beside the event loop: a long list takes its time."""
    evidence = Evidence(
        crls=tuple(one.data for one in lists if one is not None),
        ocsps=tuple(one.data for one in answers if one is not None),
    )
    return await asyncio.to_thread(decide, certificate, policy, evidence, at)
