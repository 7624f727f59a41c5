"""Writing of the security header and SOAP envelope (WSS 1.1; SwA and X.509 token profiles 1.1).

Every part is text in exclusive canonical form, so the bytes that are digested are the bytes that are sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from samdrift.wire.crypto.certificates import to_base64
from samdrift.wire.crypto.keys import Oaep, SigningKey
from samdrift.wire.crypto.xmldsig import RSA_SHA256, SHA256, Canonicalization, Transform
from samdrift.wire.ebms import format_time
from samdrift.wire.errors import WireError, WireFault
from samdrift.wire.wssec import names
from samdrift.wire.wssec.references import SignedReference
from samdrift.wire.xml import base64text
from samdrift.wire.xml.writer import (
    XMLNS_DS,
    XMLNS_S12,
    XMLNS_WSSE,
    XMLNS_WSSE11,
    XMLNS_WSU,
    XMLNS_XENC,
    XMLNS_XENC11,
    quoted,
)

MEDIA_TYPE = "application/soap+xml"
CONTENT_TYPE = f"{MEDIA_TYPE}; charset=UTF-8"
_EXCLUSIVE = (Transform(Canonicalization.EXCLUSIVE),)
_ATTACHMENT = (Transform(names.ATTACHMENT_SIGNATURE),)


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the envelope: its markup, and the ``wsu:Id`` that the signature refers to."""

    wsu_id: str
    markup: str


@dataclass(frozen=True, slots=True)
class Attachment:
    """An attachment for signing: its Content-ID, and the SHA-256 of its content before encryption."""

    content_id: str
    digest: bytes


@dataclass(frozen=True, slots=True)
class Signed:
    """A signature with its signer's token, and the references in it."""

    markup: str
    references: tuple[SignedReference, ...]


def build_envelope(security: Sequence[str], messaging: Part, body: Part) -> bytes:
    """Build the envelope: any security header first, as in WSS4J, then the message header."""
    header = ""
    if security:
        header = (
            f"<wsse:Security {XMLNS_S12} {XMLNS_DS} {XMLNS_WSSE} {XMLNS_WSSE11} {XMLNS_WSU} {XMLNS_XENC}"
            f' {XMLNS_XENC11} S12:mustUnderstand="true">{"".join(security)}</wsse:Security>'
        )
    return (
        f"<S12:Envelope {XMLNS_S12}>"
        f"<S12:Header>{header}{messaging.markup}</S12:Header>{body.markup}"
        "</S12:Envelope>"
    ).encode()


def build_body(wsu_id: str) -> Part:
    """Build an empty SOAP body; the payload is an attachment (transport-profile-as4 2.2 a)."""
    return Part(wsu_id, f'<S12:Body {XMLNS_S12} {XMLNS_WSU} wsu:Id="{wsu_id}"></S12:Body>')


def build_timestamp(created: datetime, expires: datetime, wsu_id: str) -> Part:
    """Build ``wsu:Timestamp`` (WSS 1.1, 10)."""
    markup = (
        f'<wsu:Timestamp {XMLNS_WSU} wsu:Id="{wsu_id}">'
        f"<wsu:Created>{format_time(created)}</wsu:Created>"
        f"<wsu:Expires>{format_time(expires)}</wsu:Expires>"
        "</wsu:Timestamp>"
    )
    return Part(wsu_id, markup)


def build_signature(
    parts: Sequence[Part], attachment: Attachment | None, key: SigningKey, token_id: str
) -> Signed:
    """Sign ``parts``, then ``attachment``, with RSA-SHA256 over SHA-256; add the token ``token_id``."""
    references = [
        SignedReference(f"#{part.wsu_id}", _EXCLUSIVE, sha256(part.markup.encode()).digest())
        for part in parts
    ]
    if attachment is not None:
        references.append(SignedReference(f"cid:{attachment.content_id}", _ATTACHMENT, attachment.digest))
    signed_info = (
        f"<ds:SignedInfo {XMLNS_DS}>"
        f'<ds:CanonicalizationMethod Algorithm="{Canonicalization.EXCLUSIVE}"></ds:CanonicalizationMethod>'
        f'<ds:SignatureMethod Algorithm="{RSA_SHA256}"></ds:SignatureMethod>'
        f"{''.join(reference.markup() for reference in references)}"
        "</ds:SignedInfo>"
    )
    signature = (
        "<ds:Signature>"
        f"{signed_info}"
        f"<ds:SignatureValue>{_base64(key.sign(signed_info.encode()))}</ds:SignatureValue>"
        f"{_token_reference(token_id)}"
        "</ds:Signature>"
    )
    return Signed(_token(key.certificate, token_id) + signature, tuple(references))


def build_encryption(
    content_id: str, media_type: str, session_key: bytes, recipient: x509.Certificate, suffix: str
) -> str:
    """Build the recipient's token, ``EncryptedKey`` and ``EncryptedData``, in the order of WSS4J.

    Uses AES-128-GCM for the content, and RSA-OAEP with SHA-256 and MGF1-SHA256 for the key
    (transport-profile-as4 2.10 sentence 1). Identifiers end in ``suffix``.
    """
    token_id, key_id, data_id = f"Recipient-{suffix}", f"Key-{suffix}", f"Data-{suffix}"
    return (
        f"{_token(recipient, token_id)}"
        f'<xenc:EncryptedKey Id="{key_id}">'
        f'<xenc:EncryptionMethod Algorithm="{names.RSA_OAEP}">'
        f'<ds:DigestMethod Algorithm="{SHA256}"></ds:DigestMethod>'
        f'<xenc11:MGF Algorithm="{names.MGF1_SHA256}"></xenc11:MGF>'
        "</xenc:EncryptionMethod>"
        f"{_token_reference(token_id)}"
        "<xenc:CipherData>"
        f"<xenc:CipherValue>{_base64(_wrap(session_key, recipient))}</xenc:CipherValue>"
        "</xenc:CipherData>"
        f'<xenc:ReferenceList><xenc:DataReference URI="#{data_id}"></xenc:DataReference></xenc:ReferenceList>'
        "</xenc:EncryptedKey>"
        f'<xenc:EncryptedData Id="{data_id}" MimeType="{quoted(media_type)}" Type="{names.CONTENT_ONLY}">'
        f'<xenc:EncryptionMethod Algorithm="{names.AES_128_GCM}"></xenc:EncryptionMethod>'
        "<ds:KeyInfo>"
        f'<wsse:SecurityTokenReference wsse11:TokenType="{names.ENCRYPTED_KEY_TOKEN}">'
        f'<wsse:Reference URI="#{key_id}"></wsse:Reference>'
        "</wsse:SecurityTokenReference>"
        "</ds:KeyInfo>"
        "<xenc:CipherData>"
        f'<xenc:CipherReference URI="cid:{quoted(content_id)}">'
        "<xenc:Transforms>"
        f'<ds:Transform Algorithm="{names.ATTACHMENT_CIPHERTEXT}"></ds:Transform>'
        "</xenc:Transforms>"
        "</xenc:CipherReference>"
        "</xenc:CipherData>"
        "</xenc:EncryptedData>"
    )


def _token(certificate: x509.Certificate, token_id: str) -> str:
    return (
        f'<wsse:BinarySecurityToken EncodingType="{names.BASE64_BINARY}" ValueType="{names.X509_V3}"'
        f' wsu:Id="{token_id}">{to_base64(certificate)}</wsse:BinarySecurityToken>'
    )


def _token_reference(token_id: str) -> str:
    return (
        "<ds:KeyInfo><wsse:SecurityTokenReference>"
        f'<wsse:Reference URI="#{token_id}" ValueType="{names.X509_V3}"></wsse:Reference>'
        "</wsse:SecurityTokenReference></ds:KeyInfo>"
    )


def _base64(data: bytes) -> str:
    return base64text.encode(data).decode("ascii")


def _wrap(session_key: bytes, recipient: x509.Certificate) -> bytes:
    public_key = recipient.public_key()
    if not isinstance(public_key, RSAPublicKey):
        raise WireError(WireFault.ALGORITHM, "the recipient's certificate has no RSA key")
    return public_key.encrypt(session_key, Oaep.SHA256.padding)
