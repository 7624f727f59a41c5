"""Trust policies: rules for accepting a certificate for one purpose in one federation and environment."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID


class RevocationMode(StrEnum):
    """Certificates of a path that need proof that they are not revoked."""

    REQUIRED = "required"
    """Every one below the anchor."""
    LEAF = "leaf"
    """The certificate in question only, where the issuers publish nothing about themselves."""
    NONE = "none"


class KeyUse(StrEnum):
    """Key usages (RFC 5280 4.2.1.3), as far as the federation uses them."""

    SIGN = "digital_signature"
    NON_REPUDIATION = "content_commitment"
    ENCRYPT_KEYS = "key_encipherment"
    ENCRYPT_DATA = "data_encipherment"


KeyUses = tuple[frozenset[KeyUse], ...]
"""Sets of usages: of each the issuer must allow at least one; an issuer that says nothing allows all."""

SIGNS_AND_DECRYPTS: KeyUses = (frozenset({KeyUse.SIGN}), frozenset({KeyUse.ENCRYPT_KEYS}))
"""An access point's key: it signs what it sends and opens what it gets (component-accesspoint 3.1.5)."""
SIGNS: KeyUses = (frozenset({KeyUse.SIGN, KeyUse.NON_REPUDIATION}),)
"""An SMP's key."""
SIGNS_OR_DECRYPTS: KeyUses = (frozenset(KeyUse),)
"""An organisation's key; CertPub says which of the two it is for (certpub-rest-binding 2.2)."""


MESSAGE_USES = frozenset(
    {
        ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
        ExtendedKeyUsageOID.CLIENT_AUTH,
        ExtendedKeyUsageOID.SERVER_AUTH,
        ExtendedKeyUsageOID.EMAIL_PROTECTION,
    }
)
"""Extended uses of function certificates, which sign and decrypt in this federation.

An issuer also certifies keys that sign its revocation answers, its time stamps or its software
(RFC 5280 4.2.1.12). Such a certificate leads to the same anchor, and its holder is not a peer.
"""


@dataclass(frozen=True, slots=True)
class ChainPolicy:
    """The rules for one purpose.

    A certificate must lead to one of ``anchors``. When ``issuers`` are named,
    it must have been issued by one of them directly: that is how the access
    points of one federation and environment are told from all others under the
    same root (transport-profile-as4 2.10 a, c). ``intermediates`` are further
    issuers that a path may lead over; none is ever fetched.

    Clauses: envelope-profile-xhe 3.3 A2.
    """

    anchors: tuple[x509.Certificate, ...]
    issuers: tuple[x509.Certificate, ...] = ()
    intermediates: tuple[x509.Certificate, ...] = ()
    key_uses: KeyUses = ()
    extended_uses: frozenset[x509.ObjectIdentifier] = MESSAGE_USES
    """At least one of these must be named; an issuer that names no extended use allows all."""
    min_rsa_bits: int = 2048
    revocation: RevocationMode = RevocationMode.REQUIRED
