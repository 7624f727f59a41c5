"""The federation's checks of certificates: policy per purpose, evidence from the network, verdicts kept.

With a verdict kept, a check is one lookup. Without, what the network has to
say is gathered and :func:`samdrift.trust.decide.decide` decides. Policies may
change while this runs: no verdict outlives the policies that it was made under.
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

_MOST_KEPT = 10_000
_Key = tuple[CertificatePurpose, x509.Certificate]


@dataclass(frozen=True, slots=True)
class _Decided:
    """A verdict and the time that it is about."""

    verdict: CertificateVerdict
    at: datetime


@dataclass(frozen=True, slots=True)
class _Found:
    """Responders' answers and revocation lists that a verdict was made from."""

    answers: tuple[Published, ...] = ()
    lists: tuple[Published, ...] = ()

    def grounds(self, chain: Chain, policy: ChainPolicy, until: datetime) -> Grounds:
        """Return what made a certificate trusted until then."""
        return Grounds.of(
            (one.public_bytes(Encoding.DER) for one in chain),
            dict.fromkeys(one.data for one in self.answers),
            dict.fromkeys(one.data for one in self.lists),
            policy.revocation.value,
            until,
        )


class FederationCertificates:
    """Implements :class:`samdrift.contracts.discovery.CertificateChecks`."""

    def __init__(
        self,
        policies: Callable[[], Policies],
        source: RevocationSource,
        *,
        keep: timedelta,
        keep_temporary: timedelta,
    ) -> None:
        """``keep`` is how long a verdict is used again, ``keep_temporary`` how long a temporary one.

        A revocation takes effect at the latest after ``keep`` and the time that
        ``source`` keeps its evidence; another answer of ``policies``, at once.
        """
        self._policies = policies
        self._under = partial(_Verdicts, source=source, keep=keep, keep_temporary=keep_temporary)
        self._verdicts = self._under(policies())

    async def check(
        self, certificate: x509.Certificate, purpose: CertificatePurpose, at: datetime
    ) -> CertificateVerdict:
        """The verdict on ``certificate`` for ``purpose`` at the time ``at``, under the current policies."""
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
    """Verdicts under policies that do not change, kept and made."""

    def __init__(
        self, policies: Policies, source: RevocationSource, keep: timedelta, keep_temporary: timedelta
    ) -> None:
        self.policies = policies
        self._source = source
        self._keep = keep
        self._keep_temporary = keep_temporary
        self._kept: TimedCache[_Key, _Decided] = TimedCache(_MOST_KEPT)
        self._flight: SingleFlight[_Key, _Decided] = SingleFlight()
        self._grounds: TimedCache[_Key, Grounds] = TimedCache(_MOST_KEPT)

    async def check(
        self, certificate: x509.Certificate, purpose: CertificatePurpose, at: datetime
    ) -> CertificateVerdict:
        key = purpose, certificate
        decided = self._kept.get(key, at) or await self._flight.run(key, lambda: self._decide(key, at))
        if abs(at - decided.at) > self._keep:
            decided = await self._decide(key, at)
        return decided.verdict

    async def _decide(self, key: _Key, at: datetime) -> _Decided:
        """Decide, at first without asking anybody: that sorts out all who are not ours."""
        purpose, certificate = key
        policy = self.policies[purpose]
        decided = _Decided(decide(certificate, policy, Evidence(), at), at)
        chain = find_chain(certificate, policy)
        if chain is None:
            return decided  # Not kept: strangers can make any number of certificates.
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
        """Return the first grounds of the day that hold for as long as this verdict is kept.

        They are stored with what is exchanged: so an organisation stores one for each peer and day, however
        often the answers are fetched again.
        """
        former = self._grounds.get(key, at)
        if former is not None and ends <= former.until:
            return former
        grounds = await asyncio.to_thread(put_together)  # A long list takes its time to be hashed.
        midnight = at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
        self._grounds.put(key, grounds, min(midnight, grounds.until))
        return grounds

    async def _decide_with_evidence(
        self, chain: Chain, policy: ChainPolicy, at: datetime
    ) -> tuple[CertificateVerdict, _Found]:
        """Ask responders, and for lists where none answers; if that does not settle it, for all lists."""
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
    """The decision, made beside the event loop: a long list takes its time."""
    evidence = Evidence(
        crls=tuple(one.data for one in lists if one is not None),
        ocsps=tuple(one.data for one in answers if one is not None),
    )
    return await asyncio.to_thread(decide, certificate, policy, evidence, at)
