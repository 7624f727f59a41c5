"""Sample envelopes: two organisations with keys, a header, a payload."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache

from lxml import etree

from samdrift.wire.crypto.softwarekeys import SoftwareDecryptionKey
from samdrift.wire.envelope import EnvelopeHeader, seal
from samdrift.wire.identifiers import (
    FEDERATION_TEST,
    NO_PROCESS,
    SDK_MESSAGE_EXTENDED,
    ParticipantIdentifier,
)
from samdrift.wire.xml import Namespace
from tests import pki

ROOT = pki.root("Organisationer", 1)
SENDER = ROOT.issue("habo.se", private_key=pki.key(2))
RECIPIENT = ROOT.issue("arbetsformedlingen.se", private_key=pki.key(3))
STRANGER = ROOT.issue("stranger.se", private_key=pki.key(4))

HEADER = EnvelopeHeader(
    id="862693f7-53d4-4d96-b35c-470055710092",
    created=datetime(2026, 3, 2, 12, 0, 0, 123000, UTC),
    sender=ParticipantIdentifier("0203:habo.se"),
    recipient=ParticipantIdentifier("0203:arbetsformedlingen.se"),
    document=SDK_MESSAGE_EXTENDED,
    process=NO_PROCESS,
    federation=FEDERATION_TEST,
    document_type_code=f"Q{{{Namespace.SDK_MESSAGE}}}messagePayload",
    content_type_code="application/xml",
    handling_service_id="socialtjansten",
    encrypted=True,
)
PAYLOAD = f'<m:messagePayload xmlns:m="{Namespace.SDK_MESSAGE}">Hej å ä ö</m:messagePayload>'.encode()

NAMES = {
    "x": Namespace.XHE,
    "xha": Namespace.XHA,
    "xhb": Namespace.XHB,
    "ds": Namespace.DSIG,
    "xenc": Namespace.XENC,
}


def decryption_key(owner: pki.Certified = RECIPIENT) -> SoftwareDecryptionKey:
    return SoftwareDecryptionKey(owner.private_key, owner.certificate)


@cache
def sealed(*, signed: bool = True, encrypted: bool = True) -> bytes:
    """Return an envelope from SENDER to RECIPIENT."""
    return seal(
        HEADER,
        PAYLOAD,
        signer=SENDER.signing_key() if signed else None,
        recipient=RECIPIENT.certificate if encrypted else None,
        rng=os.urandom,
    )


def changed(data: bytes, change: Callable[[etree._Element], object]) -> bytes:
    """Return ``data`` after a change to its tree."""
    root = etree.fromstring(data)
    change(root)
    return etree.tostring(root, encoding="UTF-8", xml_declaration=True)


def one(root: etree._Element, path: str) -> etree._Element:
    """Return the only element at an XPath that uses the prefixes of :data:`NAMES`."""
    found = root.xpath(path, namespaces=NAMES)
    assert isinstance(found, list)
    (element,) = found
    assert isinstance(element, etree._Element)
    return element
