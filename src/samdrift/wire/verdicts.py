"""The verdict on a certificate, shared by those who decide it and those who act on it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class TrustReason(StrEnum):
    """Why a certificate is trusted or not."""

    TRUSTED = "trusted"
    UNKNOWN_ISSUER = "unknown-issuer"
    NOT_YET_VALID = "not-yet-valid"
    EXPIRED = "expired"
    REVOKED = "revoked"
    REVOCATION_UNKNOWN = "revocation-unknown"
    WRONG_PURPOSE = "wrong-purpose"
    WEAK_KEY = "weak-key"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class CertificateVerdict:
    """Verdict on a certificate: trusted or not under a policy at a time, and why."""

    reason: TrustReason
    detail: str = ""

    @property
    def trusted(self) -> bool:
        return self.reason is TrustReason.TRUSTED

    @property
    def temporary(self) -> bool:
        """Return whether asking again later may give another answer (no revocation information was had)."""
        return self.reason is TrustReason.REVOCATION_UNKNOWN
