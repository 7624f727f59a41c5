"""Makes envelopes: the payload is encrypted first, then the whole is signed (envelope-profile-xhe 3.2)."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC

from cryptography import x509
from lxml import etree

from samdrift.wire import longtext
from samdrift.wire.envelope.header import CUSTOMIZATION, XHE_VERSION, EnvelopeHeader, ScopeCode
from samdrift.wire.envelope.reading import header_of
from samdrift.wire.envelope.syntax import ENVELOPE, SCHEME_ID, xha, xhb
from samdrift.wire.errors import WireError, WireFault
from samdrift.wire.identifiers import ParticipantIdentifier
from samdrift.wire.keys import Random, SigningKey
from samdrift.wire.longtext import PLACEHOLDER, Document
from samdrift.wire.xml import LARGE, Element, Namespace, parse
from samdrift.wire.xmldsig import sign_enveloped
from samdrift.wire.xmlenc import cipher_value, encrypt_element

_NAMESPACES = {"x": Namespace.XHE, "xha": Namespace.XHA, "xhb": Namespace.XHB}
_DECLARATION = re.compile(rb"(?:\xef\xbb\xbf)?(?:<\?xml[^>]*\?>)?\s*")


def seal(
    header: EnvelopeHeader,
    payload: bytes,
    *,
    signer: SigningKey | None,
    recipient: x509.Certificate | None,
    rng: Random,
) -> bytes:
    """Put ``payload``, a serialised XML document, into an envelope.

    Encrypted when there is a recipient (the header then says so), and then
    signed when there is a signer. :class:`WireError` when the header or the
    payload would make an envelope that breaks the profile.
    """
    header = replace(header, encrypted=recipient is not None)
    if recipient is None:
        document = Document(_build(header, parse(payload, LARGE)), memoryview(b""))
    else:
        element = payload[_DECLARATION.match(payload).end() :]  # type: ignore[union-attr]
        content, ciphertext = encrypt_element(element, recipient, rng=rng)
        cipher_value(content).text = PLACEHOLDER
        document = Document(_build(header, content), memoryview(ciphertext))
    header_of(document)
    if signer is not None:
        sign_enveloped(document.root, signer, new_sink=document.new_sink)
    serialised = etree.tostring(document.root, encoding="UTF-8", xml_declaration=True)
    return longtext.restore(serialised, document.long_text)


def _build(header: EnvelopeHeader, content: Element) -> Element:
    """The elements in the order of the syntax mapping (envelope-profile-xhe 2.2)."""
    root = etree.Element(ENVELOPE.root, nsmap=_NAMESPACES)
    _add(root, "XHEVersionID", XHE_VERSION)
    _add(root, "CustomizationID", CUSTOMIZATION)
    _add_header(etree.SubElement(root, xha("Header")), header)
    payload = etree.SubElement(etree.SubElement(root, xha("Payloads")), xha("Payload"))
    _add(payload, "DocumentTypeCode", header.document_type_code)
    _add(payload, "ContentTypeCode", header.content_type_code)
    if header.handling_service_id is not None:
        _add(payload, "HandlingServiceID", header.handling_service_id)
    _add(payload, "InstanceEncryptionIndicator", "true" if header.encrypted else "false")
    etree.SubElement(payload, xha("PayloadContent")).append(content)
    return root


def _add_header(element: Element, header: EnvelopeHeader) -> None:
    if header.created.tzinfo is None:
        raise WireError(WireFault.STRUCTURE, "the time of creation has no time zone", "CreationDateTime")
    _add(element, "ID", header.id)
    created = header.created.astimezone(UTC).replace(tzinfo=None)
    _add(element, "CreationDateTime", f"{created.isoformat(timespec='milliseconds')}Z")
    scope = etree.SubElement(element, xha("BusinessScope"))
    for code, value in (
        (ScopeCode.DOCUMENT, header.document.value),
        (ScopeCode.DOCUMENT_SCHEME, header.document.scheme),
        (ScopeCode.PROCESS, header.process.value),
        (ScopeCode.PROCESS_SCHEME, header.process.scheme),
        (ScopeCode.FEDERATION, header.federation),
    ):
        criterion = etree.SubElement(scope, xha("BusinessScopeCriterion"))
        _add(criterion, "BusinessScopeCriterionTypeCode", code)
        _add(criterion, "BusinessScopeCriterionValue", value)
    _add_party(element, "FromParty", header.sender)
    _add_party(element, "ToParty", header.recipient)


def _add_party(element: Element, local: str, participant: ParticipantIdentifier) -> None:
    identification = etree.SubElement(etree.SubElement(element, xha(local)), xha("PartyIdentification"))
    _add(identification, "ID", participant.value).set(SCHEME_ID, participant.scheme)


def _add(parent: Element, local: str, value: str) -> Element:
    element = etree.SubElement(parent, xhb(local))
    try:
        element.text = value
    except ValueError:
        raise WireError(WireFault.STRUCTURE, "a character that XML does not allow", local) from None
    return element
