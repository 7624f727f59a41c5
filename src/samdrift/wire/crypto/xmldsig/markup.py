"""The enveloped signature as text, for a document that is itself written as text.

``SignedInfo`` of one reference has always the same shape, so the bytes that are
signed are written down rather than canonicalized from a tree (see
:mod:`samdrift.wire.xml.writer`).
"""

from __future__ import annotations

from collections.abc import Mapping

from samdrift.wire.crypto.certificates import to_base64
from samdrift.wire.crypto.keys import SigningKey
from samdrift.wire.crypto.xmldsig.algorithms import ENVELOPED_SIGNATURE, RSA_SHA256, SHA256, Canonicalization
from samdrift.wire.xml import Namespace, base64text
from samdrift.wire.xml.writer import XMLNS_DS


def enveloped_signature(digest: bytes, key: SigningKey, in_scope: Mapping[str, str]) -> str:
    """``ds:Signature`` to stand as the last child of a document's root (envelope-profile-xhe 3.5).

    ``digest`` is the SHA-256 of the document without it, in inclusive canonical
    form. ``in_scope`` are the namespaces that the root declares, by prefix; it
    has neither a default namespace nor ``xml:`` attributes.
    """
    namespaces = sorted({"ds": Namespace.DSIG, **in_scope}.items())
    declarations = "".join(f' xmlns:{prefix}="{namespace}"' for prefix, namespace in namespaces)
    signed_info = _signed_info(digest)
    value = key.sign(f"<ds:SignedInfo{declarations}>{signed_info}".encode())
    return (
        f"<ds:Signature {XMLNS_DS}>"
        f"<ds:SignedInfo>{signed_info}"
        f"<ds:SignatureValue>{base64text.encode(value).decode('ascii')}</ds:SignatureValue>"
        "<ds:KeyInfo><ds:X509Data>"
        f"<ds:X509Certificate>{to_base64(key.certificate)}</ds:X509Certificate>"
        "</ds:X509Data></ds:KeyInfo>"
        "</ds:Signature>"
    )


def _signed_info(digest: bytes) -> str:
    """What follows the start tag of ``ds:SignedInfo``, in canonical form."""
    return (
        f'<ds:CanonicalizationMethod Algorithm="{Canonicalization.INCLUSIVE}"></ds:CanonicalizationMethod>'
        f'<ds:SignatureMethod Algorithm="{RSA_SHA256}"></ds:SignatureMethod>'
        '<ds:Reference URI="">'
        f'<ds:Transforms><ds:Transform Algorithm="{ENVELOPED_SIGNATURE}"></ds:Transform></ds:Transforms>'
        f'<ds:DigestMethod Algorithm="{SHA256}"></ds:DigestMethod>'
        f"<ds:DigestValue>{base64text.encode(digest).decode('ascii')}</ds:DigestValue>"
        "</ds:Reference>"
        "</ds:SignedInfo>"
    )
