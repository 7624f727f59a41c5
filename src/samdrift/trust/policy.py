"""Trust policies: rules for accepting a certificate for one purpose in one federation and environment."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID


class RevocationMode(StrEnum):
    """The certificates in a path that need proof that they are not revoked."""

    REQUIRED = "required"
    """All certificates below the anchor."""
    LEAF = "leaf"
    """Only the certificate itself, if the issuers publish nothing about their own certificates."""
    NONE = "none"


class KeyUse(StrEnum):
    """Key usages (RFC 5280 4.2.1.3) that the federation uses."""

    SIGN = "digital_signature"
    NON_REPUDIATION = "content_commitment"
    ENCRYPT_KEYS = "key_encipherment"
    ENCRYPT_DATA = "data_encipherment"


KeyUses = tuple[frozenset[KeyUse], ...]
"""Sets of usages; the issuer must allow at least one of each set, and allows all if it states none."""

SIGNS_AND_DECRYPTS: KeyUses = (frozenset({KeyUse.SIGN}), frozenset({KeyUse.ENCRYPT_KEYS}))
"""Usages of an access point's key, which signs and decrypts messages (component-accesspoint 3.1.5)."""
SIGNS: KeyUses = (frozenset({KeyUse.SIGN, KeyUse.NON_REPUDIATION}),)
"""Usages of an SMP's key."""
SIGNS_OR_DECRYPTS: KeyUses = (frozenset(KeyUse),)
"""Usages of an organisation's key; CertPub states which of the two it is for (certpub-rest-binding 2.2)."""


MESSAGE_USES = frozenset(
    {
        ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
        ExtendedKeyUsageOID.CLIENT_AUTH,
        ExtendedKeyUsageOID.SERVER_AUTH,
        ExtendedKeyUsageOID.EMAIL_PROTECTION,
    }
)
"""Extended key usages of function certificates, which sign and decrypt in this federation.

An issuer also certifies keys that sign its revocation answers, its time stamps or its software (RFC 5280
4.2.1.12). Such a certificate leads to the same anchor, but its holder is not a peer.
"""


@dataclass(frozen=True, slots=True)
class ChainPolicy:
    """The rules for one purpose.

    A certificate must lead to one of ``anchors``. If ``issuers`` are named, one of them must have issued it
    directly: this distinguishes the access points of one federation and environment from all others under the
    same root (transport-profile-as4 2.10 a, c). ``intermediates`` are further issuers that a path may lead
    through; none is ever fetched.

    Clauses: envelope-profile-xhe 3.3 A2.
    """

    anchors: tuple[x509.Certificate, ...]
    issuers: tuple[x509.Certificate, ...] = ()
    intermediates: tuple[x509.Certificate, ...] = ()
    key_uses: KeyUses = ()
    extended_uses: frozenset[x509.ObjectIdentifier] = MESSAGE_USES
    """At least one of these must be named, unless the issuer names no extended use, which allows all."""
    min_rsa_bits: int = 2048
    revocation: RevocationMode = RevocationMode.REQUIRED
