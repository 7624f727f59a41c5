"""Envelopes as XML trees: check against the profile, and read the header."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from lxml import etree

from samdrift.wire import xml
from samdrift.wire.crypto import longtext
from samdrift.wire.crypto.longtext import Document
from samdrift.wire.envelope.header import EnvelopeHeader
from samdrift.wire.envelope.structure import Checker, xha
from samdrift.wire.errors import WireError, WireFault
from samdrift.wire.findings import Finding
from samdrift.wire.xml import LARGE, Element, base64text

_CONTENT = f"{xha('Payloads')}/{xha('Payload')}/{xha('PayloadContent')}"


@dataclass(frozen=True, slots=True)
class UnverifiedEnvelope:
    """An envelope that follows the profile, but whose signature has not been verified.

    It is sufficient for choosing which keys and certificates to look up.
    """

    header: EnvelopeHeader
    document: Document

    def unprotected_payload(self) -> bytes:
        """Return the payload under the base model, which has no signature (transport-model-base).

        Raises :class:`WireError` if the payload is encrypted or if the model requires protection: then only a
        verified envelope provides it (invariant 6).
        """
        if self.header.encrypted or self.header.document.requires_protection:
            raise WireError(WireFault.SIGNATURE, "only a verified envelope provides this payload")
        return plain_payload(self.document)


def validate(data: bytes | Element) -> tuple[Finding, ...]:
    """Return an envelope's violations of the profile: structure, and R1 to R14 (envelope-profile-xhe 2.5).

    Neither the payload nor a signature is examined: the payload has rules of its own, and
    :func:`samdrift.wire.envelope.verify` checks signatures. Raises :class:`WireError` if the bytes are not
    readable XML.

    Clauses: envelope-profile-xhe 2.5 b.
    """
    document = longtext.parse(data, LARGE) if isinstance(data, bytes) else Document(data, memoryview(b""))
    return tuple(check(document).findings)


def read(data: bytes) -> UnverifiedEnvelope:
    """Read the header; raise :class:`WireError` with the first violation of the profile."""
    document = longtext.parse(data, LARGE)
    return UnverifiedEnvelope(header_of(document), document)


def header_of(document: Document) -> EnvelopeHeader:
    """Return the header of a valid envelope; raise :class:`WireError` with the first violation."""
    checker = check(document)
    for finding in checker.findings:
        raise WireError(WireFault.STRUCTURE, finding.text, finding.path)
    return cast(EnvelopeHeader, checker.header)


def check(document: Document) -> Checker:
    """Run a checker over the tree."""
    checker = Checker()
    _walk(document.root, checker, document)
    checker.finish()
    return checker


def _walk(element: Element, checker: Checker, document: Document) -> None:
    if checker.start(element.tag, cast(list[tuple[str, str]], element.items())):
        if element.text:
            checker.text(document.opening(element.text))
        for child in element:
            if isinstance(child.tag, str):
                _walk(child, checker, document)
            if child.tail:
                checker.text(document.opening(child.tail))
    checker.end()


def payload_root(root: Element) -> Element | None:
    """Return the element in ``PayloadContent``; ``None`` if there is only text."""
    (content,) = root.findall(_CONTENT)
    return next(iter(xml.children(content)), None)


def plain_payload(document: Document) -> bytes:
    """Return the payload of an unencrypted envelope: a document in UTF-8, or bytes decoded from base64.

    (envelope-profile-xhe 2.2, PayloadContent)

    Clauses: envelope-profile-xhe 2.2 sentence 14.
    """
    (content,) = document.root.findall(_CONTENT)
    element = payload_root(document.root)
    if element is None:
        return b"".join(base64text.decode_pieces(document.text(content), "PayloadContent"))
    return longtext.restore(etree.tostring(element, encoding="UTF-8", with_tail=False), document.long_text)
