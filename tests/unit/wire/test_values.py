"""Values read from the wire cannot be changed afterwards, and neither can verdicts on them."""

from __future__ import annotations

import pytest

from samdrift.wire.verdicts import CertificateVerdict, TrustReason
from tests.frozen import changeable


def test_what_was_read_and_verified_cannot_be_changed_afterwards() -> None:
    """Two classes are exceptions, which hold intermediate state while a document streams in."""
    assert changeable("samdrift.wire") == {"_Open", "Metadata"}


@pytest.mark.parametrize("reason", TrustReason, ids=str)
def test_a_certificate_is_trusted_for_one_reason_alone_and_asked_about_again_for_another(
    reason: TrustReason,
) -> None:
    verdict = CertificateVerdict(reason, "why")
    assert verdict.trusted == (reason is TrustReason.TRUSTED)
    assert verdict.temporary == (reason is TrustReason.REVOCATION_UNKNOWN)
    assert verdict == CertificateVerdict(reason, "why")
    assert verdict != CertificateVerdict(reason, "for another one")
