"""The verdict on a certificate, shared by the code that decides and the code that acts on it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from hashlib import sha256


class TrustReason(StrEnum):
    """Reasons why a certificate is trusted or not."""

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
"""Maximum bytes of a piece of grounds; of a longer piece they contain only the digest."""


@dataclass(frozen=True, slots=True)
class Grounds:
    """The certificates and revocation evidence, in DER, on which a verdict of trust was based.

    They allow judging the certificate again as of that time, without contacting its issuers.
    """

    document: bytes
    """JSON with the SHA-256 of each of them, and which certificates needed revocation evidence."""
    pieces: tuple[bytes, ...]
    until: datetime
    """Time at which the first of them expires."""

    @classmethod
    def of(
        cls,
        chain: Iterable[bytes],
        answers: Iterable[bytes],
        lists: Iterable[bytes],
        revocation: str,
        until: datetime,
    ) -> Grounds:
        """Create grounds; ``chain`` begins with the certificate and ends with the anchor."""
        kinds = {"chain": [*chain], "answers": [*answers], "lists": [*lists]}
        named = {kind: [sha256(each).hexdigest() for each in found] for kind, found in kinds.items()}
        document = json.dumps(named | {"revocation": revocation}, sort_keys=True, separators=(",", ":"))
        all_pieces = (each for found in kinds.values() for each in found)
        pieces = dict.fromkeys(each for each in all_pieces if len(each) <= MAX_PIECE)
        return cls(document.encode(), tuple(pieces), until)

    @property
    def name(self) -> str:
        """The SHA-256 of the document, in hex, which identifies these grounds in a log entry."""
        return sha256(self.document).hexdigest()


MAX_SIGNED = 64 << 10
"""Maximum bytes of the signed part of a signature that are kept; it usually has some 800."""


@dataclass(frozen=True, slots=True)
class SignedPart:
    """The part of an enveloped signature that a third party can verify without the envelope.

    It contains the digest of the envelope without the signature, but none of its content.
    """

    info: bytes
    """``ds:SignedInfo`` in canonical form, the bytes that are signed."""
    value: bytes
    """The signature value over these bytes."""

    @property
    def facts(self) -> dict[str, str]:
        """The facts with which a log entry identifies both, by their SHA-256."""
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
    """The grounds, if the certificate is trusted."""

    @property
    def trusted(self) -> bool:
        return self.reason is TrustReason.TRUSTED

    @property
    def temporary(self) -> bool:
        """True if a later check may have another result, because revocation information was not available."""
        return self.reason is TrustReason.REVOCATION_UNKNOWN
