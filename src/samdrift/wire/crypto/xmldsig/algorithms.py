"""Algorithms that a signature may name: a frozen allow-list that cannot be bypassed.

A name that is not listed is rejected before anything is computed: no SHA-1, no HMAC (a public key would serve
as its secret), no XPath, XSLT or base64 transform (they let the signer decide what the reader's digest
covers).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Canonicalization(StrEnum):
    """Mandatory canonical forms of XML Signature 1.1, without comments (envelope-profile-xhe 3.5.2.1 a)."""

    INCLUSIVE = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
    INCLUSIVE_1_1 = "http://www.w3.org/2006/12/xml-c14n11"
    EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"


RSA_SHA256: Final = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
"""The only accepted signature method (envelope-profile-xhe 3.5.2.2 a, transport-profile-as4 2.4)."""

SHA256: Final = "http://www.w3.org/2001/04/xmlenc#sha256"
"""The only accepted digest method (envelope-profile-xhe 3.5.2.4 a)."""

ENVELOPED_SIGNATURE: Final = "http://www.w3.org/2000/09/xmldsig#enveloped-signature"
"""Transform that excludes the signature itself from the digest (envelope-profile-xhe 3.5.2.3 a)."""


@dataclass(frozen=True, slots=True)
class AllowList:
    """Algorithms that one use of signatures accepts.

    Signature and digest method are always :data:`RSA_SHA256` and :data:`SHA256`. ``max_references`` limits
    the work that a signature can cause.

    Clauses: envelope-profile-xhe 3.5.2 sentence 1, 3.5.2.2 a, 3.5.2.4 a.
    """

    canonicalizations: frozenset[str]
    transforms: frozenset[str]
    max_references: int


ENVELOPED: Final = AllowList(
    canonicalizations=frozenset(Canonicalization),
    transforms=frozenset({ENVELOPED_SIGNATURE, *Canonicalization}),
    max_references=1,
)
"""Algorithms accepted in documents that contain their own signature: envelopes and service metadata."""
