"""An envelope as a tree: checked against the profile, and its header read."""

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
    """An envelope that follows the profile; its signature is not verified yet.

    Good for choosing whose keys and certificates to look up.
    """

    header: EnvelopeHeader
    document: Document

    def unprotected_payload(self) -> bytes:
        """The payload under the base model, which has no signature (transport-model-base).

        :class:`WireError` when the payload is encrypted or when the model demands
        protection: then only a verified envelope gives it (invariant 6).
        """
        if self.header.encrypted or self.header.document.requires_protection:
            raise WireError(WireFault.SIGNATURE, "only a verified envelope provides this payload")
        return plain_payload(self.document)


def validate(data: bytes | Element) -> tuple[Finding, ...]:
    """Return the violations of the profile in an envelope: structure, and R1 to R14 (envelope-profile-xhe
    2.5).

    The payload is not looked into, nor is a signature: the one has rules of its
    own, the other :func:`samdrift.wire.envelope.verify`. :class:`WireError`
    when the bytes are not readable XML.

    Clauses: envelope-profile-xhe 2.5 b.
    """
    document = longtext.parse(data, LARGE) if isinstance(data, bytes) else Document(data, memoryview(b""))
    return tuple(check(document).findings)


def read(data: bytes) -> UnverifiedEnvelope:
    """Read the header; :class:`WireError` with the first thing that breaks the profile."""
    document = longtext.parse(data, LARGE)
    return UnverifiedEnvelope(header_of(document), document)


def header_of(document: Document) -> EnvelopeHeader:
    """The header of an envelope that breaks nothing; :class:`WireError` otherwise."""
    checker = check(document)
    for finding in checker.findings:
        raise WireError(WireFault.STRUCTURE, finding.text, finding.path)
    return cast(EnvelopeHeader, checker.header)


def check(document: Document) -> Checker:
    """Take a checker through the tree."""
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
    """The element in ``PayloadContent``; ``None`` when there is only text."""
    (content,) = root.findall(_CONTENT)
    return next(iter(xml.children(content)), None)


def plain_payload(document: Document) -> bytes:
    """The payload of an envelope that is not encrypted: a document in UTF-8, or bytes that was in base64.

    (envelope-profile-xhe 2.2, PayloadContent)

    Clauses: envelope-profile-xhe 2.2 sentence 14.
    """
    (content,) = document.root.findall(_CONTENT)
    element = payload_root(document.root)
    if element is None:
        return b"".join(base64text.decode_pieces(document.text(content), "PayloadContent"))
    return longtext.restore(etree.tostring(element, encoding="UTF-8", with_tail=False), document.long_text)
