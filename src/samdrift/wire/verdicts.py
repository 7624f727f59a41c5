"""The verdict on a certificate, shared by those who decide it and those who act on it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from hashlib import sha256


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


MAX_PIECE = 512 << 10
"""Most bytes of a piece of grounds; of a longer list they have the digest alone."""


@dataclass(frozen=True, slots=True)
class Grounds:
    """Certificates and revocation answers, in DER, from which a certificate was found to be trusted.

    Whoever has them can judge it again as of that time, without asking its issuers.
    """

    document: bytes
    """JSON that names all of them by SHA-256, and says which certificates needed an answer."""
    pieces: tuple[bytes, ...]
    until: datetime
    """The moment at which the first of them ends."""

    @classmethod
    def of(
        cls,
        chain: Iterable[bytes],
        answers: Iterable[bytes],
        lists: Iterable[bytes],
        revocation: str,
        until: datetime,
    ) -> Grounds:
        """Put grounds together. ``chain`` begins with the certificate and ends with the anchor."""
        kinds = {"chain": [*chain], "answers": [*answers], "lists": [*lists]}
        named = {kind: [sha256(each).hexdigest() for each in found] for kind, found in kinds.items()}
        document = json.dumps(named | {"revocation": revocation}, sort_keys=True, separators=(",", ":"))
        all_pieces = (each for found in kinds.values() for each in found)
        pieces = dict.fromkeys(each for each in all_pieces if len(each) <= MAX_PIECE)
        return cls(document.encode(), tuple(pieces), until)

    @property
    def name(self) -> str:
        """The SHA-256 of the document, in hex, by which an entry of a log names these grounds."""
        return sha256(self.document).hexdigest()


MAX_SIGNED = 64 << 10
"""Most bytes of the signed part of a signature that are kept: it has some 800."""


@dataclass(frozen=True, slots=True)
class SignedPart:
    """The part of an enveloped signature that a stranger verifies without the envelope.

    It has the digest of the whole envelope without the signature, and nothing of what that says.
    """

    info: bytes
    """``ds:SignedInfo`` in its canonical form, which is what is signed."""
    value: bytes
    """The signature over it."""

    @property
    def facts(self) -> dict[str, str]:
        """The facts by which an entry of a log names both, by their SHA-256."""
        return {
            "signed_info": sha256(self.info).hexdigest(),
            "signature_value": sha256(self.value).hexdigest(),
        }


@dataclass(frozen=True, slots=True)
class CertificateVerdict:
    """Verdict on a certificate: trusted or not under a policy at a time, and why."""

    reason: TrustReason
    detail: str = ""
    grounds: Grounds | None = field(default=None, compare=False)
    """The grounds of a verdict that it is trusted."""

    @property
    def trusted(self) -> bool:
        return self.reason is TrustReason.TRUSTED

    @property
    def temporary(self) -> bool:
        """Return whether asking again later may give another answer (no revocation information was had)."""
        return self.reason is TrustReason.REVOCATION_UNKNOWN
