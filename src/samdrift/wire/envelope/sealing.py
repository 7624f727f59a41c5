"""Creation of envelopes: the payload is encrypted first, then the whole is signed (envelope-profile-xhe 3.2).

Envelopes are written as text in canonical form (:mod:`samdrift.wire.xml.writer`), so that the bytes
hashed are the bytes sent and a large ciphertext does not pass through a tree.
"""

from __future__ import annotations

import hashlib
import io
import re
from dataclasses import replace
from itertools import chain

from cryptography import x509

from samdrift.wire.crypto import longtext
from samdrift.wire.crypto.keys import Random, SigningKey
from samdrift.wire.crypto.xmldsig import Canonicalization, canonical_document, enveloped_signature
from samdrift.wire.crypto.xmlenc import encrypt_element
from samdrift.wire.envelope import rules
from samdrift.wire.envelope.header import CUSTOMIZATION, XHE_VERSION, EnvelopeHeader
from samdrift.wire.envelope.reading import header_of
from samdrift.wire.errors import WireError, WireFault
from samdrift.wire.identifiers import ParticipantIdentifier
from samdrift.wire.xml import LARGE, Namespace
from samdrift.wire.xml.writer import quoted, text

_NAMESPACES = {"x": Namespace.XHE, "xha": Namespace.XHA, "xhb": Namespace.XHB}
_XMLNS = " ".join(f'xmlns:{prefix}="{namespace}"' for prefix, namespace in _NAMESPACES.items())
_DECLARATION = b'<?xml version="1.0" encoding="UTF-8"?>\n'
_END = b"</x:XHE>"
_PROLOG = re.compile(rb"(?:\xef\xbb\xbf)?(?:<\?xml[^>]*\?>)?\s*")


def seal(
    header: EnvelopeHeader,
    payload: bytes,
    *,
    signer: SigningKey | None,
    recipient: x509.Certificate | None,
    rng: Random,
) -> bytes:
    """Put ``payload``, a serialised XML document, into an envelope.

    It is encrypted if there is a recipient (which the header then indicates), and then signed if there is a
    signer. Raises :class:`WireError` if the header or the payload would make an envelope that violates the
    profile.

    Clauses: architecture-sad 5.2.2.2 sentence 3; certpub-rest-binding 3.2 step 4, step 5;
    envelope-profile-xhe 2.2 sentence 13, 3.2 sentence 1, 3.4.3 a; transport-model-base 2.11 a.
    """
    header = replace(header, encrypted=recipient is not None)
    for finding in rules.broken_by_header(header):
        raise WireError(WireFault.STRUCTURE, finding.text, finding.path)
    prolog = _PROLOG.match(payload)
    element = memoryview(payload)[prolog.end() if prolog else 0 :]
    envelope = io.BytesIO()
    envelope.write(_DECLARATION)
    if recipient is None:
        digest = _write_plain(envelope, header, bytes(element))
    else:
        digest = _write_encrypted(envelope, header, element, recipient, rng)
    if signer is not None:
        envelope.write(enveloped_signature(digest, signer, _NAMESPACES).encode())
    envelope.write(_END)
    return envelope.getvalue()


def _write_encrypted(
    envelope: io.BytesIO,
    header: EnvelopeHeader,
    element: memoryview,
    recipient: x509.Certificate,
    rng: Random,
) -> bytes:
    """Write everything but signature and end tag; return the SHA-256 of the canonical form.

    The bytes are canonical by construction, so they are digested directly.
    """
    before, after = _around_payload(header)
    content = encrypt_element(element, recipient, rng=rng)
    digest = hashlib.sha256()
    for piece in chain((before, content.before), content.ciphertext, (content.after, after)):
        envelope.write(piece)
        digest.update(piece)
    digest.update(_END)
    return digest.digest()


def _write_plain(envelope: io.BytesIO, header: EnvelopeHeader, element: bytes) -> bytes:
    """Write the same for an unencrypted payload, after parsing it alone and within the envelope.

    The digest is that of the canonical form, as the sender may have written the payload in any form.
    """
    longtext.parse(element, LARGE)
    before, after = _around_payload(header)
    document = longtext.parse(b"".join((before, element, after, _END)), LARGE)
    header_of(document)
    sink = document.new_sink()
    canonical_document(document.root, Canonicalization.INCLUSIVE, (), sink)
    envelope.write(before + element + after)
    return sink.digest()


def _around_payload(header: EnvelopeHeader) -> tuple[bytes, bytes]:
    """Return the elements of the syntax mapping before and after the payload (envelope-profile-xhe 2.2)."""
    handling = (
        "" if header.handling_service_id is None else _basic("HandlingServiceID", header.handling_service_id)
    )
    before = (
        f"<x:XHE {_XMLNS}>"
        f"{_basic('XHEVersionID', XHE_VERSION)}"
        f"{_basic('CustomizationID', CUSTOMIZATION)}"
        "<xha:Header>"
        f"{_basic('ID', header.id)}"
        f"{_basic('CreationDateTime', rules.format_time(header.created))}"
        f"<xha:BusinessScope>{_scope(header)}</xha:BusinessScope>"
        f"<xha:FromParty>{_party(header.sender)}</xha:FromParty>"
        f"<xha:ToParty>{_party(header.recipient)}</xha:ToParty>"
        "</xha:Header>"
        "<xha:Payloads><xha:Payload>"
        f"{_basic('DocumentTypeCode', header.document_type_code)}"
        f"{_basic('ContentTypeCode', header.content_type_code)}"
        f"{handling}"
        f"{_basic('InstanceEncryptionIndicator', 'true' if header.encrypted else 'false')}"
        "<xha:PayloadContent>"
    )
    return before.encode(), b"</xha:PayloadContent></xha:Payload></xha:Payloads>"


def _basic(local: str, value: str) -> str:
    return f"<xhb:{local}>{text(value)}</xhb:{local}>"


def _scope(header: EnvelopeHeader) -> str:
    return "".join(
        "<xha:BusinessScopeCriterion>"
        f"{_basic('BusinessScopeCriterionTypeCode', code)}{_basic('BusinessScopeCriterionValue', value)}"
        "</xha:BusinessScopeCriterion>"
        for code, value in header.scope
    )


def _party(participant: ParticipantIdentifier) -> str:
    return (
        f'<xha:PartyIdentification><xhb:ID schemeID="{quoted(participant.scheme)}">'
        f"{text(participant.value)}</xhb:ID></xha:PartyIdentification>"
    )
