"""Lookups over real DNS and HTTP (component-sml 2.8, component-smp 2.9, component-accesspoint 3.2)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest
from cryptography import x509
from dnslib import RCODE

from samdrift.contracts.discovery import (
    CertificatePurpose,
    DiscoveryError,
    DiscoveryUnavailable,
    DiscoveryUntrusted,
    NotRegistered,
)
from samdrift.net.client import FetchLimits, http_client
from samdrift.net.discovery import SmpDiscovery
from samdrift.net.dns import NaptrResolver
from samdrift.wire import bdxl
from samdrift.wire.bdxl import Naptr
from samdrift.wire.identifiers import (
    NO_PROCESS,
    RECEIPT_EXTENDED,
    SDK_MESSAGE_EXTENDED,
    ParticipantIdentifier,
)
from samdrift.wire.smp import (
    Endpoint,
    PublishedCertificates,
    ServiceMetadata,
    build_signed_service_metadata,
    service_metadata_path,
)
from samdrift.wire.verdicts import CertificateVerdict, TrustReason
from tests import pki
from tests.unit.net.servers import Asked, NameServer, answering, name_server, reply

ZONE = "sdk.sml.example"
HABO = ParticipantIdentifier.parse("0203:habo.se")
EDA = ParticipantIdentifier.parse("0203:eda.se")
ROOT = pki.root("Rot SMP", 1)
SMP = ROOT.issue("SMP0001", private_key=pki.key(2))
AP = ROOT.issue("AP0001", private_key=pki.key(3)).certificate
METADATA = ServiceMetadata(
    HABO,
    SDK_MESSAGE_EXTENDED,
    NO_PROCESS,
    (Endpoint("digg-transport-as4-v1_0", "https://ap.example/as4", AP),),
    PublishedCertificates((AP,), (AP,)),
)
TRUSTED = CertificateVerdict(TrustReason.TRUSTED)
SIGNED = build_signed_service_metadata(METADATA, SMP.signing_key())


@dataclass
class Judge:
    """Checks of certificates with verdicts that a test sets, and a record of the questions."""

    verdict: CertificateVerdict = TRUSTED
    asked: list[tuple[x509.Certificate, CertificatePurpose]] = field(default_factory=list)

    async def check(
        self, certificate: x509.Certificate, purpose: CertificatePurpose, at: datetime
    ) -> CertificateVerdict:
        self.asked.append((certificate, purpose))
        return self.verdict


@dataclass
class Place:
    """An SML, an SMP, and a discovery that uses them."""

    dns: NameServer
    judge: Judge
    discovery: SmpDiscovery
    url: str
    now: datetime = pki.NOW
    answer: bytes = reply(SIGNED, "200 OK", "content-type: text/xml")
    silent: bool = False
    targets: list[str] = field(default_factory=list)

    def register(self, *records: Naptr) -> None:
        self.dns.records[bdxl.host(HABO, ZONE).lower()] = list(records)


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    async with _place() as there:
        yield there


@asynccontextmanager
async def _place() -> AsyncIterator[Place]:
    async def answer(asked: Asked) -> bytes:
        there.targets.append(asked.target)
        if there.silent:
            await asyncio.sleep(60)
        return there.answer

    dns, judge = NameServer({}), Judge()
    async with (
        name_server(dns) as port,
        answering(answer) as url,
        http_client(public_only=False) as client,
    ):
        resolver = NaptrResolver([("127.0.0.1", port)], within=0.4)
        discovery = SmpDiscovery(
            ZONE,
            resolver,
            client,
            judge,
            lambda: there.now,
            keep=timedelta(minutes=5),
            limits=FetchLimits(100_000, 0.4),
        )
        there = Place(dns, judge, discovery, url)
        there.register(bdxl.record(f"{url}/smp"))
        yield there


async def failure(there: Place, participant: ParticipantIdentifier = HABO) -> type[DiscoveryError]:
    with pytest.raises(DiscoveryError) as caught:
        await there.discovery.service(participant, SDK_MESSAGE_EXTENDED)
    assert participant.value.partition(":")[2] not in caught.value.text
    return caught.type


async def test_from_participant_to_verified_metadata(place: Place) -> None:
    """Clauses: architecture-sad 5.3.3.1 sentence 3, 5.3.6.2 step 2, step 4, 5.4 step 2b."""
    found = await place.discovery.service(HABO, SDK_MESSAGE_EXTENDED)
    assert found == replace(METADATA, signer=SMP.certificate)
    assert place.targets == ["/smp" + service_metadata_path(HABO, SDK_MESSAGE_EXTENDED)]
    assert place.judge.asked == [(SMP.certificate, CertificatePurpose.SMP)]


async def test_3_1_3_a2_metadata_is_kept_as_long_as_allowed(place: Place) -> None:
    """Clauses: component-accesspoint 3.1.3 A1, A2."""
    for _ in range(3):
        await place.discovery.service(HABO, SDK_MESSAGE_EXTENDED)
    place.now += timedelta(minutes=4, seconds=59)
    await place.discovery.service(HABO, SDK_MESSAGE_EXTENDED)
    assert len(place.targets) == 1
    place.now += timedelta(seconds=1)
    await place.discovery.service(HABO, SDK_MESSAGE_EXTENDED)
    assert len(place.targets) == 2


async def test_metadata_kept_while_the_clock_was_ahead_is_looked_up_again_when_it_is_right(
    place: Place,
) -> None:
    await place.discovery.service(HABO, SDK_MESSAGE_EXTENDED)
    place.now -= timedelta(days=1)
    await place.discovery.service(HABO, SDK_MESSAGE_EXTENDED)
    assert len(place.targets) == 2
    place.now += timedelta(minutes=4)
    await place.discovery.service(HABO, SDK_MESSAGE_EXTENDED)
    assert len(place.targets) == 2


async def test_kept_metadata_is_not_used_when_its_signer_is_trusted_no_longer(place: Place) -> None:
    await place.discovery.service(HABO, SDK_MESSAGE_EXTENDED)
    place.judge.verdict = CertificateVerdict(TrustReason.UNKNOWN_ISSUER)
    assert await failure(place) is DiscoveryUntrusted


async def test_kept_metadata_is_used_while_nothing_can_be_said_of_its_signer(place: Place) -> None:
    await place.discovery.service(HABO, SDK_MESSAGE_EXTENDED)
    place.judge.verdict = CertificateVerdict(TrustReason.REVOCATION_UNKNOWN)
    await place.discovery.service(HABO, SDK_MESSAGE_EXTENDED)
    assert len(place.targets) == 1


async def test_many_lookups_at_once_ask_once(place: Place) -> None:
    await asyncio.gather(*(place.discovery.service(HABO, SDK_MESSAGE_EXTENDED) for _ in range(20)))
    assert (len(place.targets), place.dns.questions) == (1, 1)


async def test_3_2_4_a_participant_that_sml_does_not_know_is_not_registered(place: Place) -> None:
    assert await failure(place, EDA) is NotRegistered
    assert place.targets == []


async def test_3_2_4_a_name_without_such_a_record_is_not_registered(place: Place) -> None:
    place.register()
    assert await failure(place) is NotRegistered


async def test_3_2_4_a_service_that_smp_does_not_know_is_not_registered(place: Place) -> None:
    place.answer = reply(b"", "404 Not Found")
    assert await failure(place) is NotRegistered


@pytest.mark.parametrize("status", ["500 Error", "503 Service Unavailable", "429 Too Many Requests"])
async def test_3_2_3_an_smp_that_fails_may_answer_later(place: Place, status: str) -> None:
    place.answer = reply(b"", status)
    assert await failure(place) is DiscoveryUnavailable
    place.answer = reply(SIGNED)
    assert await place.discovery.service(HABO, SDK_MESSAGE_EXTENDED)


async def test_3_2_3_an_smp_that_is_silent_or_gone_may_answer_later(place: Place) -> None:
    place.silent = True
    assert await failure(place) is DiscoveryUnavailable
    place.silent, place.answer = False, b""
    assert await failure(place) is DiscoveryUnavailable


async def test_3_2_3_an_sml_that_fails_or_is_silent_may_answer_later(place: Place) -> None:
    place.dns.rcode = RCODE.SERVFAIL
    assert await failure(place) is DiscoveryUnavailable
    place.dns.rcode, place.dns.silent = RCODE.NOERROR, True
    assert await failure(place) is DiscoveryUnavailable
    place.dns.silent = False
    assert await place.discovery.service(HABO, SDK_MESSAGE_EXTENDED)


@pytest.mark.parametrize("status", ["302 Found", "301 Moved Permanently", "204 No Content", "403 Forbidden"])
async def test_other_answers_are_not_acted_on(place: Place, status: str) -> None:
    place.answer = reply(b"", status, f"location: {place.url}/elsewhere")
    assert await failure(place) is DiscoveryUntrusted
    assert len(place.targets) == 1


async def test_2_10_f_an_answer_with_a_broken_signature_is_not_trusted(place: Place) -> None:
    """Clauses: transport-profile-as4 2.10 f."""
    place.answer = reply(SIGNED.replace(b"ap.example", b"ap.exampel"))
    assert await failure(place) is DiscoveryUntrusted
    assert place.judge.asked == []


@pytest.mark.parametrize(
    "reason", sorted(set(TrustReason) - {TrustReason.TRUSTED, TrustReason.REVOCATION_UNKNOWN})
)
async def test_2_10_f_g_an_answer_of_an_untrusted_signer_is_not_trusted(
    place: Place, reason: TrustReason
) -> None:
    """Clauses: transport-profile-as4 2.10 f, g."""
    place.judge.verdict = CertificateVerdict(reason)
    assert await failure(place) is DiscoveryUntrusted


async def test_2_10_g_without_revocation_information_the_lookup_may_succeed_later(place: Place) -> None:
    place.judge.verdict = CertificateVerdict(TrustReason.REVOCATION_UNKNOWN)
    assert await failure(place) is DiscoveryUnavailable


@pytest.mark.parametrize(
    "other", [replace(METADATA, participant=EDA), replace(METADATA, document=RECEIPT_EXTENDED)]
)
async def test_a_signed_answer_about_something_else_is_not_trusted(
    place: Place, other: ServiceMetadata
) -> None:
    place.answer = reply(build_signed_service_metadata(other, SMP.signing_key()))
    assert await failure(place) is DiscoveryUntrusted


async def test_an_answer_without_end_is_not_trusted(place: Place) -> None:
    place.answer = reply(b"x" * 200_000)
    assert await failure(place) is DiscoveryUntrusted


@pytest.mark.parametrize("regexp", ["!.*!file:///etc/passwd!", "!(.*)!http://\\1/!", "rubbish"])
async def test_an_address_that_is_none_is_not_called(place: Place, regexp: str) -> None:
    place.register(Naptr(100, 10, "U", "Meta:SMP", regexp, "."))
    assert await failure(place) is DiscoveryUntrusted


async def test_an_address_inside_our_own_network_is_not_called(place: Place) -> None:
    async with http_client() as guarded:
        resolver = place.discovery._resolver
        discovery = SmpDiscovery(
            ZONE, resolver, guarded, place.judge, lambda: place.now, keep=timedelta(minutes=5)
        )
        with pytest.raises(DiscoveryUntrusted):
            await discovery.service(HABO, SDK_MESSAGE_EXTENDED)
    assert place.targets == []
