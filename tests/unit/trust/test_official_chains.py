"""DIGG's certificate chains under policies that an operator would write from DIGG's folders."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509

from samdrift.trust.chain import find_chain
from samdrift.trust.decide import Evidence, decide
from samdrift.trust.keys import certificates
from samdrift.trust.policy import ChainPolicy, RevocationMode
from samdrift.wire.verdicts import TrustReason
from tests.official import DIGG, requires_digg

pytestmark = requires_digg
AT = datetime(2024, 1, 1, tzinfo=UTC)
FOLDER = DIGG / "certificates"

ACCESS_POINT_CHAINS = {
    "production": ("Rot CA eDelivery Accesspunkt-PROD.cer", "Accesspunkt CA-SDK-PROD.cer"),
    "qa": ("Rot CA eDelivery Accesspunkt - QA.cer", "Accesspunkt CA-SDK-QA.cer"),
    "open-test": ("Rot CA eDelivery Accesspunkt-TEST.cer", "Accesspunkt CA-OPEN-TEST.cer"),
}


def load(path: Path) -> x509.Certificate:
    (certificate,) = certificates(path.read_bytes())
    return certificate


def access_point(environment: str) -> tuple[x509.Certificate, x509.Certificate]:
    root, issuer = (load(FOLDER / environment / "accesspoint" / n) for n in ACCESS_POINT_CHAINS[environment])
    return root, issuer


@pytest.mark.parametrize("environment", ACCESS_POINT_CHAINS)
def test_the_issuer_of_access_points_stands_under_its_root(environment: str) -> None:
    root, issuer = access_point(environment)
    policy = ChainPolicy((root,), revocation=RevocationMode.NONE)
    assert find_chain(issuer, policy) == (issuer, root)
    assert decide(issuer, policy, Evidence(), AT).reason is TrustReason.WRONG_PURPOSE
    assert decide(issuer, policy, Evidence(), datetime(2022, 1, 1, tzinfo=UTC)).reason is (
        TrustReason.NOT_YET_VALID
    )
    assert decide(issuer, policy, Evidence(), datetime(2033, 1, 1, tzinfo=UTC)).reason is TrustReason.EXPIRED


@pytest.mark.parametrize("environment", ACCESS_POINT_CHAINS)
def test_revocation_of_the_issuer_is_asked_for(environment: str) -> None:
    root, issuer = access_point(environment)
    assert decide(issuer, ChainPolicy((root,)), Evidence(), AT).temporary


@pytest.mark.parametrize("environment", ACCESS_POINT_CHAINS)
@pytest.mark.parametrize("other", ACCESS_POINT_CHAINS)
def test_an_issuer_of_another_environment_leads_nowhere(environment: str, other: str) -> None:
    if environment == other:
        return
    root, _ = access_point(environment)
    _, stranger = access_point(other)
    policy = ChainPolicy((root,), revocation=RevocationMode.NONE)
    assert decide(stranger, policy, Evidence(), AT).reason is TrustReason.UNKNOWN_ISSUER


@pytest.mark.parametrize("environment", ACCESS_POINT_CHAINS)
def test_an_smp_root_does_not_vouch_for_access_points(environment: str) -> None:
    _, issuer = access_point(environment)
    (smp_root,) = (load(path) for path in (FOLDER / environment / "smp").iterdir())
    assert find_chain(issuer, ChainPolicy((smp_root,))) is None


@pytest.mark.parametrize("environment", ACCESS_POINT_CHAINS)
def test_issuers_of_organisations_serve_as_anchors_also_without_their_roots(environment: str) -> None:
    """The Social Insurance Agency's issuer is published without its root."""
    published = tuple(load(path) for path in sorted((FOLDER / environment / "o2o").iterdir()))
    policy = ChainPolicy(published, revocation=RevocationMode.NONE)
    for issuer in published:
        assert decide(issuer, policy, Evidence(), AT).reason is TrustReason.UNKNOWN_ISSUER
    siths_function = next(c for c in published if "Function CA v1" in c.subject.rfc4514_string())
    siths_root = tuple(c for c in published if "Root CA v2" in c.subject.rfc4514_string())
    assert find_chain(siths_function, ChainPolicy(siths_root)) == (siths_function, *siths_root)
