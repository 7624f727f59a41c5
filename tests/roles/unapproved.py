"""Certificates that do not belong to an approved access point of this federation and environment."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from cryptography import x509

from samdrift.federation.shapes import Ca, Use, Validity
from tests import pki
from tests.roles.stage import Stage

Certify = Callable[[Stage, str], x509.Certificate]
"""Issues a certificate to a party."""


def _expired(stage: Stage, party: str) -> x509.Certificate:
    now = datetime.now(UTC)
    validity = Validity(now - timedelta(days=30), now - timedelta(days=1))
    return stage.access_point_certificate(party, validity=validity)


def _not_yet(stage: Stage, party: str) -> x509.Certificate:
    now = datetime.now(UTC)
    return stage.access_point_certificate(
        party, validity=Validity(now + timedelta(days=1), now + timedelta(days=9))
    )


def _revoked(stage: Stage, party: str) -> x509.Certificate:
    certificate = stage.access_point_certificate(party)
    stage.federation.authority.revoke(certificate)
    return certificate


def _other_environment(stage: Stage, party: str) -> x509.Certificate:
    return stage.other_environment.issue_access_point(party, pki.key(1).public_key())


def _other_federation(stage: Stage, party: str) -> x509.Certificate:
    return stage.access_point_certificate(party, ca=Ca.OTHER_FEDERATION)


def _organisation(stage: Stage, party: str) -> x509.Certificate:
    return stage.federation.authority.issue_organisation(
        stage.habo.organisation, party, pki.key(1).public_key(), Use.SIGNING
    )


def _self_signed(stage: Stage, party: str) -> x509.Certificate:
    return pki.root(party, 1).certificate


UNAPPROVED: dict[str, tuple[Certify, str]] = {
    "expired": (_expired, "expired"),
    "not yet valid": (_not_yet, "not-yet-valid"),
    "revoked": (_revoked, "revoked"),
    "other environment": (_other_environment, "unknown-issuer"),
    "other federation": (_other_federation, "unknown-issuer"),
    "an organisation's": (_organisation, "unknown-issuer"),
    "self-signed": (_self_signed, "unknown-issuer"),
}
"""Ways to get each faulty certificate, and the reason for its refusal, by the fault's name."""
