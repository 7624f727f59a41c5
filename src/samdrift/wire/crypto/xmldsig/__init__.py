"""The subset of XML Signature that the profiles use, built on lxml's canonical forms and cryptography's RSA.

docs/decisions/0001-xml-security-core.md explains why no library is used in production.
"""

from samdrift.wire.crypto.xmldsig.algorithms import (
    ENVELOPED,
    ENVELOPED_SIGNATURE,
    RSA_SHA256,
    SHA256,
    AllowList,
    Canonicalization,
)
from samdrift.wire.crypto.xmldsig.canonical import (
    DigestSink,
    HashSink,
    Sink,
    canonical_document,
    canonical_part,
)
from samdrift.wire.crypto.xmldsig.enveloped import (
    SignatureReason,
    SignatureVerdict,
    append_certificate,
    enveloped_signature,
    load_certificate,
    read_certificate,
    sign_enveloped,
    verify_enveloped,
)
from samdrift.wire.crypto.xmldsig.part import signed_bytes
from samdrift.wire.crypto.xmldsig.signature import (
    Reference,
    Resolver,
    Signature,
    SignedInfo,
    Transform,
    append_signature,
    append_signed_info,
    ds,
    read_reference,
    read_signature,
    read_signed_info,
    unmatched,
)

__all__ = [
    "ENVELOPED",
    "ENVELOPED_SIGNATURE",
    "RSA_SHA256",
    "SHA256",
    "AllowList",
    "Canonicalization",
    "DigestSink",
    "HashSink",
    "Reference",
    "Resolver",
    "Signature",
    "SignatureReason",
    "SignatureVerdict",
    "SignedInfo",
    "Sink",
    "Transform",
    "append_certificate",
    "append_signature",
    "append_signed_info",
    "canonical_document",
    "canonical_part",
    "ds",
    "enveloped_signature",
    "load_certificate",
    "read_certificate",
    "read_reference",
    "read_signature",
    "read_signed_info",
    "sign_enveloped",
    "signed_bytes",
    "unmatched",
    "verify_enveloped",
]
