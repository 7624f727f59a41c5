"""SML, SMP and CertPub over the network (component-sml 2.8, component-smp 2.9, certpub-rest-binding 3).

One lookup returns both the endpoint at which a participant's access point receives and the participant's own
certificates, since both are in the same signed document.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from samdrift.contracts.clock import Clock
from samdrift.contracts.discovery import (
    CertificateChecks,
    CertificatePurpose,
    Discovery,
    DiscoveryUnavailable,
    DiscoveryUntrusted,
    NotRegistered,
    SenderNotRegistered,
    SharedService,
)
from samdrift.net.cache import SingleFlight, TimedCache
from samdrift.net.client import FetchLimits, HttpClient, HttpFault, NoAnswer, Watch, fetch, host_of, unwatched
from samdrift.net.dns import Dnssec, NaptrResolver, ResolverUnavailable
from samdrift.wire import bdxl
from samdrift.wire.errors import WireError
from samdrift.wire.identifiers import DocumentIdentifier, ParticipantIdentifier, receipt_document_for
from samdrift.wire.smp import ServiceMetadata, service_metadata_path, verify_signed_service_metadata

_LOGGER = logging.getLogger("samdrift")
_LIMITS = FetchLimits(max_bytes=256 << 10, seconds=10.0)
_MAX_KEPT = 10_000
_MAY_PASS = frozenset({HttpFault.UNREACHABLE, HttpFault.TIMEOUT})
"""Faults of a fetch that may have cleared by the next attempt."""

_Key = tuple[ParticipantIdentifier, DocumentIdentifier]


class SmpDiscovery:
    """The network-backed implementation of :class:`samdrift.contracts.discovery.Discovery`.

    Metadata is cached for the time that the federation allows (component-accesspoint 3.1.3 A1, A2), and only
    while its signer is trusted. Failures, and responses that a participant is not registered, are not cached
    here.
    """

    def __init__(
        self,
        zone: str,
        resolver: NaptrResolver,
        client: HttpClient,
        certificates: CertificateChecks,
        clock: Clock,
        *,
        keep: timedelta,
        limits: FetchLimits = _LIMITS,
        require_dnssec: bool = False,
        watch: Watch = unwatched,
    ) -> None:
        """Set up lookups; ``watch`` is notified of each call whether SML or the SMP responded."""
        self._zone = zone
        self._resolver = resolver
        self._client = client
        self._certificates = certificates
        self._clock = clock
        self._keep = keep
        self._limits = limits
        self._require_dnssec = require_dnssec
        self._watch = watch
        self._dnssec: Dnssec | None = None
        self._kept: TimedCache[_Key, ServiceMetadata] = TimedCache(_MAX_KEPT, keep)
        self._flight: SingleFlight[_Key, ServiceMetadata] = SingleFlight()

    async def service(
        self, participant: ParticipantIdentifier, document: DocumentIdentifier
    ) -> ServiceMetadata:
        """Return verified service metadata.

        Raises a :class:`~samdrift.contracts.discovery.DiscoveryError` if there is none.
        """
        key = participant, document
        kept = self._kept.get(key, self._clock())
        if kept is not None and await self._still_trusted(kept):
            return kept
        return await self._flight.run(key, lambda: self._look_up(participant, document))

    async def _still_trusted(self, metadata: ServiceMetadata) -> bool:
        """Return whether the signer is still trusted; a temporary failure to check does not count."""
        if metadata.signer is None:
            return False
        verdict = await self._certificates.check(metadata.signer, CertificatePurpose.SMP, self._clock())
        return verdict.trusted or verdict.temporary

    async def _look_up(
        self, participant: ParticipantIdentifier, document: DocumentIdentifier
    ) -> ServiceMetadata:
        address = await self._smp(participant)
        data = await self._fetch(address + service_metadata_path(participant, document))
        metadata = await self._verified(data)
        if (metadata.participant, metadata.document) != (participant, document):
            raise DiscoveryUntrusted("the SMP answered about something else")
        self._kept.put((participant, document), metadata, self._clock() + self._keep)
        return metadata

    async def _smp(self, participant: ParticipantIdentifier) -> str:
        """Return the address of the participant's SMP, which SML publishes in DNS.

        Clauses: architecture-sad 5.3.3.1 sentence 3, 5.4 step 2b.
        """
        began = self._clock()
        try:
            answer = await self._resolver.naptr(bdxl.host(participant, self._zone))
            if answer.fresh:
                self._watch("sml", self._zone, "")
            self._judge(answer.dnssec)
            if not answer.records:
                raise NotRegistered("the participant is not registered in SML")
            return bdxl.smp_address(answer.records)
        except ResolverUnavailable as error:
            self._watch("sml", self._zone, f"DNS did not answer: {error}", began)
            raise DiscoveryUnavailable(f"SML did not answer ({error})", SharedService.SML) from None
        except WireError as error:
            raise DiscoveryUntrusted(f"SML returns no usable address: {error.text}") from None

    def _judge(self, dnssec: Dnssec) -> None:
        """Log each change in the DNSSEC status of SML's answers; reject answers without required DNSSEC."""
        if dnssec is not self._dnssec:
            self._dnssec = dnssec
            level = logging.INFO if dnssec is Dnssec.AUTHENTICATED else logging.WARNING
            _LOGGER.log(level, "DNSSEC status of SML's answers: %s", dnssec.value)
        if self._require_dnssec and dnssec is not Dnssec.AUTHENTICATED:
            raise DiscoveryUntrusted(f"DNSSEC status of SML's answer: {dnssec.value}")

    async def _fetch(self, url: str) -> bytes:
        host, began = host_of(url), self._clock()
        try:
            answer = await fetch(self._client, url, self._limits)
        except NoAnswer as error:
            text = f"SMP gave no usable answer ({error})"
            if error.fault in _MAY_PASS:
                self._watch("smp", host, error.words, began)
                raise DiscoveryUnavailable(text, SharedService.SMP) from None
            raise DiscoveryUntrusted(text) from None
        faulty = answer.status >= 500 or answer.status in (408, 429)
        self._watch("smp", host, f"it answers {answer.status}" if faulty else "")
        match answer.status:
            case 200:
                return answer.body
            case 404:
                raise NotRegistered("the participant has not registered this type of message in SMP")
            case 408 | 429:
                raise DiscoveryUnavailable(f"SMP answered {answer.status}", SharedService.SMP)
            case status if status >= 500:
                raise DiscoveryUnavailable(f"SMP answered {status}", SharedService.SMP)
            case status:
                raise DiscoveryUntrusted(f"SMP answered {status}")

    async def _verified(self, data: bytes) -> ServiceMetadata:
        """Check the signature and its signer (transport-profile-as4 2.10 f, g; certpub-rest-binding 3.1)."""
        verdict = verify_signed_service_metadata(data)
        if verdict.metadata is None or verdict.signer is None:
            raise DiscoveryUntrusted(f"the SMP's answer is not usable: {verdict.reason}")
        signer = await self._certificates.check(verdict.signer, CertificatePurpose.SMP, self._clock())
        if signer.temporary:
            text = f"the SMP's certificate cannot be checked now: {signer.detail}"
            raise DiscoveryUnavailable(text, SharedService.REVOCATION)
        if not signer.trusted:
            raise DiscoveryUntrusted(f"the SMP's certificate is not trusted: {signer.reason.value}")
        return verdict.metadata


async def require_sender(
    discovery: Discovery, sender: ParticipantIdentifier, document: DocumentIdentifier, now: datetime
) -> None:
    """Raise a ``DiscoveryError`` unless the sender is registered for the receipt of what it sends.

    The recipient sends its receipt under the same transport model, and looks the sender's signing certificate
    up under the type of the receipt, even when what is sent is a receipt (transport-model-extended 3.2 c,
    transport-model-base 3.2 b, transport-profile-as4 2.6 b). The discovery caches what it finds, so this
    rarely costs a request; the absence of a registration is never cached.

    Clauses: transport-model-base 2.1 sentence 1.
    """
    try:
        metadata = await discovery.service(sender, receipt_document_for(document))
    except NotRegistered:
        raise SenderNotRegistered from None
    if not metadata.receives(now):
        raise SenderNotRegistered
