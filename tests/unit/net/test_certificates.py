"""Checks of certificates over the network: evidence, caching, and responders that fail."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from samdrift.contracts.discovery import CertificatePurpose
from samdrift.net.certificates import FederationCertificates
from samdrift.net.client import http_client
from samdrift.net.revocation import RevocationSource
from samdrift.trust.policy import SIGNS_AND_DECRYPTS, ChainPolicy, RevocationMode
from samdrift.wire.verdicts import MAX_PIECE, Grounds, TrustReason
from tests import pki
from tests.pki import DAY, NOW
from tests.unit.net.servers import Asked, answering, reply

AP = CertificatePurpose.ACCESS_POINT
MINUTE = timedelta(minutes=1)


@dataclass
class Place:
    """Authorities like DIGG's, their responder, and the checks of one access point, with one clock."""

    url: str
    now: datetime = NOW
    theirs: datetime | None = None
    """The time of the authorities, if it is not ours."""
    asked: list[str] = field(default_factory=list)
    failing: Callable[[str], bool] = lambda target: False
    silent: bool = False
    hold: asyncio.Event | None = None
    lasts: timedelta = 7 * DAY
    crl_only: bool = False
    replayed: bytes | None = None
    """An answer that the responder gives to every request."""
    told: list[str] = field(default_factory=list)
    """Notes about each call."""

    def __post_init__(self) -> None:
        at = self.url
        self.root = pki.root("Rot", 1, crl_url=f"{at}/root.crl")
        self.issuer = self.root.subordinate("CA", 2, crl_url=f"{at}/ca.crl", ocsp_url=f"{at}/ocsp")
        self.access_point = self.issuer.issue("AP0001").certificate
        self.policy = ChainPolicy(
            (self.root.certificate,), (self.issuer.certificate,), key_uses=SIGNS_AND_DECRYPTS
        )
        self.trust(self.policy)

    def trust(self, policy: ChainPolicy) -> None:
        """Trust by another policy from now on."""
        self.policies = {AP: policy}

    async def answer(self, asked: Asked) -> bytes:
        self.asked.append(asked.target)
        if self.silent:
            await asyncio.Event().wait()
        if self.hold is not None:
            await self.hold.wait()
        if self.failing(asked.target):
            return reply(b"", "503 Service Unavailable")
        if asked.target == "/ocsp" and self.replayed is not None:
            return reply(self.replayed)
        at = self.theirs or self.now
        if asked.target == "/ocsp":
            serial = ocsp.load_der_ocsp_request(asked.body).serial_number
            (certificate,) = (c for c in self.issued if c.serial_number == serial)
            return reply(self.issuer.ocsp(certificate, at=at, lasts=timedelta(hours=2)))
        authority = self.root if asked.target == "/root.crl" else self.issuer
        return reply(authority.crl(at=at - MINUTE, lasts=self.lasts))

    @property
    def issued(self) -> list[x509.Certificate]:
        return [self.access_point]

    def take(self) -> list[str]:
        """Return the requests since the last time, sorted by name."""
        taken, self.asked[:] = sorted(self.asked), []
        return taken


@asynccontextmanager
async def place(
    patience: float = 60, **policy: RevocationMode
) -> AsyncIterator[tuple[Place, FederationCertificates]]:
    async def answer(asked: Asked) -> bytes:
        return await there.answer(asked)

    async with answering(answer) as url, http_client(public_only=False, seconds=600) as client:
        there = Place(url)
        for name, value in policy.items():
            there.trust(
                ChainPolicy(
                    there.policy.anchors, there.policy.issuers, key_uses=SIGNS_AND_DECRYPTS, **{name: value}
                )
            )
        source = RevocationSource(
            client,
            lambda: there.now,
            keep=timedelta(hours=1),
            retry=30 * timedelta(seconds=1),
            patience=patience,
            watch=lambda kind, host, why, began=None: there.told.append(why),
        )
        yield (
            there,
            FederationCertificates(
                lambda: there.policies, source, keep=5 * MINUTE, keep_temporary=timedelta(seconds=10)
            ),
        )


async def reason(there: Place, checks: FederationCertificates) -> TrustReason:
    return (await checks.check(there.access_point, AP, there.now)).reason


async def test_2_7_3_the_responder_is_asked_and_lists_where_there_is_none() -> None:
    async with place() as (there, checks):
        assert await reason(there, checks) is TrustReason.TRUSTED
        assert there.take() == ["/ocsp", "/root.crl"]


async def test_lists_take_over_for_a_responder_that_is_down() -> None:
    async with place() as (there, checks):
        there.failing = lambda target: target == "/ocsp"
        assert await reason(there, checks) is TrustReason.TRUSTED
        assert there.take() == ["/ca.crl", "/ocsp", "/root.crl"]


async def test_a_list_that_was_fetched_before_is_believed_rather_than_an_older_answer() -> None:
    """The list revoked while the responder was down; then an attacker replays an old answer."""
    async with place() as (there, checks):
        old = there.issuer.ocsp(there.access_point, at=there.now, lasts=timedelta(hours=2))
        there.issuer.revoke(there.access_point)
        there.failing = lambda target: target == "/ocsp"
        assert await reason(there, checks) is TrustReason.REVOKED
        there.failing, there.replayed = lambda target: False, old
        there.now += 6 * MINUTE
        assert await reason(there, checks) is TrustReason.REVOKED


async def test_only_the_certificate_itself_where_the_policy_says_so() -> None:
    async with place(revocation=RevocationMode.LEAF) as (there, checks):
        assert await reason(there, checks) is TrustReason.TRUSTED
        assert there.take() == ["/ocsp"]


async def test_nothing_is_asked_where_revocation_is_not_looked_at() -> None:
    async with place(revocation=RevocationMode.NONE) as (there, checks):
        assert await reason(there, checks) is TrustReason.TRUSTED
        assert there.take() == []


async def test_a_verdict_is_used_again_and_evidence_longer() -> None:
    async with place() as (there, checks):
        for _ in range(3):
            await reason(there, checks)
        assert len(there.take()) == 2
        there.now += 6 * MINUTE
        assert await reason(there, checks) is TrustReason.TRUSTED
        assert there.take() == []
        there.now += timedelta(hours=1)
        assert await reason(there, checks) is TrustReason.TRUSTED
        assert there.take() == ["/ocsp", "/root.crl"]


async def test_a_revocation_takes_effect_when_what_is_kept_runs_out() -> None:
    async with place() as (there, checks):
        assert await reason(there, checks) is TrustReason.TRUSTED
        there.issuer.revoke(there.access_point)
        there.now += 4 * MINUTE
        assert await reason(there, checks) is TrustReason.TRUSTED
        there.now += timedelta(hours=1)
        assert await reason(there, checks) is TrustReason.REVOKED
        there.now += MINUTE
        assert await reason(there, checks) is TrustReason.REVOKED


async def test_many_checks_at_once_ask_once() -> None:
    async with place() as (there, checks):
        reasons = await asyncio.gather(*(reason(there, checks) for _ in range(50)))
        assert set(reasons) == {TrustReason.TRUSTED}
        assert there.take() == ["/ocsp", "/root.crl"]


async def test_a_check_that_is_cancelled_does_not_spoil_the_others() -> None:
    async with place() as (there, checks):
        first = asyncio.create_task(reason(there, checks))
        second = asyncio.create_task(reason(there, checks))
        await asyncio.sleep(0)
        first.cancel()
        assert await second is TrustReason.TRUSTED
        assert len(there.take()) == 2


async def test_everything_down_from_the_start_is_a_temporary_verdict_and_is_not_asked_on_and_on() -> None:
    async with place() as (there, checks):
        there.failing = lambda target: True
        verdict = await checks.check(there.access_point, AP, there.now)
        assert verdict.reason is TrustReason.REVOCATION_UNKNOWN
        assert verdict.temporary
        there.take()
        there.now += timedelta(seconds=15)
        assert await reason(there, checks) is TrustReason.REVOCATION_UNKNOWN
        assert there.take() == []
        there.failing = lambda target: False
        there.now += timedelta(seconds=30)
        assert await reason(there, checks) is TrustReason.TRUSTED


async def test_services_that_seemed_late_while_our_clock_was_ahead_are_asked_again_when_it_is_right() -> None:
    """Their answers carry the true time."""
    async with place() as (there, checks):
        there.theirs, there.now = NOW, NOW + 30 * DAY
        assert await reason(there, checks) is TrustReason.REVOCATION_UNKNOWN
        there.now = NOW
        assert await reason(there, checks) is TrustReason.TRUSTED


async def test_responders_down_are_not_noticed_while_what_is_kept_is_valid() -> None:
    async with place() as (there, checks):
        assert await reason(there, checks) is TrustReason.TRUSTED
        there.failing = lambda target: True
        there.now += timedelta(hours=1, minutes=30)
        assert await reason(there, checks) is TrustReason.TRUSTED
        assert there.take() == ["/ocsp", "/ocsp", "/root.crl", "/root.crl"]
        there.now += timedelta(hours=1)
        assert await reason(there, checks) is TrustReason.REVOCATION_UNKNOWN
        there.failing = lambda target: False
        there.now += MINUTE
        assert await reason(there, checks) is TrustReason.TRUSTED


async def test_silent_responders_hold_nobody_up_while_what_is_kept_is_valid() -> None:
    async with place(patience=0.2) as (there, checks):
        assert await reason(there, checks) is TrustReason.TRUSTED
        there.silent = True
        there.now += timedelta(hours=1, minutes=30)
        async with asyncio.timeout(60):
            assert await reason(there, checks) is TrustReason.TRUSTED


async def test_addresses_in_certificates_of_strangers_are_not_called() -> None:
    async with place() as (there, checks):
        stranger = pki.root("Rot", 4, crl_url=f"{there.url}/trap", ocsp_url=f"{there.url}/trap")
        for number in range(20):
            shown = stranger.issue(f"AP{number}").certificate
            verdict = await checks.check(shown, AP, there.now)
            assert verdict.reason is TrustReason.UNKNOWN_ISSUER
        assert there.take() == []


async def test_expired_certificates_cost_no_request() -> None:
    async with place() as (there, checks):
        expired = there.issuer.issue("AP", not_before=NOW - 9 * DAY, not_after=NOW - DAY).certificate
        assert (await checks.check(expired, AP, there.now)).reason is TrustReason.EXPIRED
        assert there.take() == []


async def test_a_verdict_is_about_its_time() -> None:
    async with place() as (there, checks):
        assert await reason(there, checks) is TrustReason.TRUSTED
        before = await checks.check(there.access_point, AP, NOW - 2 * DAY)
        assert before.reason is TrustReason.NOT_YET_VALID
        after = await checks.check(there.access_point, AP, NOW + 400 * DAY)
        assert after.reason is TrustReason.EXPIRED
        assert await reason(there, checks) is TrustReason.TRUSTED


async def test_forged_evidence_does_not_take_the_place_of_good_one() -> None:
    async with place() as (there, checks):
        there.failing = lambda target: target == "/ocsp"
        assert await reason(there, checks) is TrustReason.TRUSTED
        forger = pki.root("CA", 5)
        there.issuer, real = forger, there.issuer
        there.now += timedelta(hours=2)
        assert await reason(there, checks) is TrustReason.TRUSTED
        there.issuer = real


async def test_a_service_whose_evidence_counts_for_nothing_is_gone_with_the_reason() -> None:
    """Peers are asked to try again for as long as that lasts, and no other line would warn of it."""
    async with place() as (there, checks):
        assert await reason(there, checks) is TrustReason.TRUSTED
        assert there.told == ["", ""]
    async with place() as (there, checks):
        there.replayed, there.lasts = b"no answer", MINUTE
        assert await reason(there, checks) is TrustReason.REVOCATION_UNKNOWN
        assert sorted(set(there.told)) == ["its answer cannot be used", "its answer is too old"]


async def test_a_verdict_does_not_outlive_the_policy_that_it_was_made_under() -> None:
    async with place() as (there, checks):
        assert await reason(there, checks) is TrustReason.TRUSTED
        there.trust(ChainPolicy((pki.root("Rot", 4).certificate,)))
        assert await reason(there, checks) is TrustReason.UNKNOWN_ISSUER
        there.trust(there.policy)
        assert await reason(there, checks) is TrustReason.TRUSTED


async def test_a_verdict_that_is_made_while_the_policy_changes_is_made_again() -> None:
    async with place() as (there, checks):
        there.hold = asyncio.Event()
        under_way = asyncio.create_task(reason(there, checks))
        while not there.asked:
            await asyncio.sleep(0.005)
        there.trust(ChainPolicy((pki.root("Rot", 4).certificate,)))
        there.hold.set()
        assert await under_way is TrustReason.UNKNOWN_ISSUER


async def grounds(there: Place, checks: FederationCertificates) -> Grounds:
    verdict = await checks.check(there.access_point, AP, there.now)
    assert verdict.grounds is not None
    return verdict.grounds


async def test_what_made_a_certificate_trusted_goes_with_the_verdict() -> None:
    """It holds the chain to the anchor, the responder's answer, and the list for the other certificates."""
    async with place() as (there, checks):
        found = await grounds(there, checks)
        chain = [there.access_point, there.issuer.certificate, there.root.certificate]
        named = json.loads(found.document)
        digests = [sha256(each.public_bytes(Encoding.DER)).hexdigest() for each in chain]
        assert (named["chain"], named["revocation"]) == (digests, "required")
        assert [len(named[kind]) for kind in ("answers", "lists")] == [1, 1]
        assert {sha256(each).hexdigest() for each in found.pieces} == {
            *named["chain"],
            *named["answers"],
            *named["lists"],
        }


async def test_grounds_are_the_same_all_day_while_they_hold() -> None:
    """Fetching the answers again does not change them, so that one set is stored per peer and day."""
    async with place() as (there, checks):
        first = await grounds(there, checks)
        there.now += timedelta(minutes=90)
        assert there.take()
        assert (await grounds(there, checks)).name == first.name
        assert there.take() == ["/ocsp", "/root.crl"], "the answers must have been fetched again"
        there.now += timedelta(minutes=40)
        later = await grounds(there, checks)
        assert later.name != first.name, "the first answer has expired"
        there.now += DAY
        assert (await grounds(there, checks)).name not in (first.name, later.name)


async def test_a_certificate_that_is_not_trusted_has_no_grounds() -> None:
    async with place() as (there, checks):
        there.issuer.revoke(there.access_point)
        verdict = await checks.check(there.access_point, AP, there.now)
        assert (verdict.trusted, verdict.grounds) == (False, None)


def test_a_long_list_is_named_and_not_held() -> None:
    found = Grounds.of([b"certificate", b"anchor"], [], [b"x" * (MAX_PIECE + 1)], "required", NOW)
    assert [len(each) for each in found.pieces] == [11, 6]
    assert len(json.loads(found.document)["lists"]) == 1
