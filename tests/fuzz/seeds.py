"""Valid inputs to start from, made by our own builders and by the tests' independent ones."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from random import Random
from typing import Final

from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree

from samdrift.messageservice.outgoing.compose import Address
from samdrift.wire import receipt, sdkmessage
from samdrift.wire.as4 import EbmsError, EbmsErrorCode, build_error, build_receipt
from samdrift.wire.as4.send import PackedMessage
from samdrift.wire.gzip import Compressor
from samdrift.wire.smp import ServiceGroup, build_service_group
from samdrift.wire.wssec import Encryptor
from tests.domibus import soap
from tests.roles.messageclient import document as client_document
from tests.roles.messageclient import text_document
from tests.unit.domibus.wire import samples as domibus_samples
from tests.unit.web.samlprovider import OURS, SERVICE, Answer, described
from tests.unit.wire import test_smp
from tests.unit.wire.as4.crafting import Crafted, gzipped
from tests.unit.wire.as4.parties import NOW, message, packed, receiver, sender, stranger
from tests.unit.wire.envelope import samples as envelope_samples
from tests.unit.wire.envelope.envelopes import ENVELOPE
from tests.unit.wire.filetypes import files as kinds
from tests.unit.wire.formats import MESSAGE, RECEIPT
from tests.unit.wire.mutation import Format
from tests.unit.wire.receipt import samples as receipt_samples
from tests.unit.wire.sdkmessage import samples as message_samples
from tests.unit.wire.test_addressbook import HABO, SOCIAL, document

SESSION_KEY: Final = b"k" * 16
_VECTOR: Final = b"v" * 12
_SHORT: Final = b"<x:XHE xmlns:x='urn:x'/>"


def as4_messages() -> Iterator[bytes]:
    for crafted in (Crafted(), Crafted(with_timestamp=False), Crafted(parts_after=b"\r\n--B\r\n\r\nx")):
        content_type, body = crafted.build()
        yield _typed(content_type, body)
    sent = packed()
    yield _typed(sent.content_type, sent.body)


def soap_parts() -> Iterator[bytes]:
    for sent in as4_messages():
        yield _soap_of(sent)


def _soap_of(sent: bytes) -> bytes:
    end = b"</S12:Envelope>"
    return sent[sent.index(b"<S12:Envelope") : sent.index(end) + len(end)]


def answers() -> Iterator[bytes]:
    error = EbmsError.of(EbmsErrorCode.OTHER, "NOT_SERVICED", "m-1@ap.example")
    key = receiver().signing_key()
    for signer in (None, key):
        signal = build_error(error, message_id="e", now=NOW, signer=signer)
        yield _typed(signal.content_type, signal.body)
    sent: PackedMessage = packed()
    signal = build_receipt(
        user_message=message(), references=sent.references, message_id="r", now=NOW, signer=key
    )
    yield _typed(signal.content_type, signal.body)
    part = b"--B\r\nContent-Type: application/soap+xml\r\n\r\n" + signal.body + b"\r\n--B--\r\n"
    yield _typed("multipart/related; boundary=B", part)


def _typed(content_type: str, body: bytes) -> bytes:
    return content_type.encode("ascii") + b"\n" + body


def compressed() -> Iterator[bytes]:
    compressor = Compressor()
    yield compressor.feed(_SHORT) + compressor.finish()
    yield gzipped(_SHORT * 20)
    yield gzipped(bytes(200_000))
    yield gzipped(b"")


def attachments() -> Iterator[bytes]:
    """Yield the signed digest followed by the ciphertext."""
    for content in compressed():
        for header in (b"", b"Content-Type: application/gzip\r\n\r\n"):
            encryptor = Encryptor(SESSION_KEY, _VECTOR)
            ciphertext = _VECTOR + encryptor.feed(header + content) + encryptor.finish()
            yield hashlib.sha256(content).digest() + ciphertext


def envelopes() -> Iterator[bytes]:
    for signed in (True, False):
        for encrypted in (True, False):
            yield envelope_samples.sealed(signed=signed, encrypted=encrypted)
    yield from _made(ENVELOPE)


def messages() -> Iterator[bytes]:
    yield sdkmessage.build(message_samples.SMALL)
    yield sdkmessage.build(message_samples.FULL)
    yield from _made(MESSAGE)


def receipts() -> Iterator[bytes]:
    yield receipt.build(receipt_samples.ACCEPTED)
    yield receipt.build(receipt_samples.REJECTED)
    yield from _made(RECEIPT)


def metadata() -> Iterator[bytes]:
    yield test_smp.SIGNED
    yield build_service_group(ServiceGroup(test_smp.HABO, ("https://smp.example/x",)))


def saml_answers() -> Iterator[bytes]:
    """Yield responses signed in either place, and an encrypted one for which our service has no key."""
    answer = Answer("_request", NOW, "https://sp.test", "https://sp.test/", encrypted_for=None)
    for changed in ({}, {"response_key": SERVICE}, {"encrypted_for": OURS}):
        yield etree.tostring(replace(answer, **changed).response())


def saml_metadata() -> Iterator[bytes]:
    yield described([SERVICE])
    yield described([SERVICE], by=SERVICE, around=True)


def addressbooks() -> Iterator[bytes]:
    yield document(HABO, links={"next": "/organizations?page[number]=2"})
    yield document(SOCIAL, included=[HABO], links={"next": {"href": "/x"}})


def domibus_answers() -> Iterator[bytes]:
    for form in domibus_samples.FORMS:
        yield _typed(*form(_SHORT * 20))
    for told in (
        soap.fault("no", "EBMS_0004", "not that"),
        soap.envelope(soap.message_ids("listPendingMessagesResponse", ["m-1", "m-2"])),
        soap.envelope(soap.message_ids("submitResponse", ["m-1"])),
        soap.envelope(soap.status("ACKNOWLEDGED")),
        soap.envelope(soap.errors([("EBMS_0005", "no answer", "2026-03-02T12:00:00", "SENDING")])),
    ):
        yield _typed(domibus_samples.PLAIN, told.encode())


def requests() -> Iterator[bytes]:
    unit = Address(envelope_samples.HEADER.sender, "Avsändare", "sdk.inkorg", "Inkorg")
    for body in (text_document(), text_document("Hej", ("a.pdf", b"%PDF-1.4"))):
        yield json.dumps(client_document(unit, unit, digitalDocument=[body])).encode()


def tokens() -> Iterator[bytes]:
    header, claims = (
        b'{"alg":"ES256","kid":"k","typ":"at+jwt"}',
        b'{"iss":"https://as.example","exp":2000000000}',
    )
    parts = [base64.urlsafe_b64encode(part).rstrip(b"=") for part in (header, claims, bytes(64))]
    assertion = b".".join(parts)
    yield assertion
    yield (
        b"grant_type=client_credentials&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3A"
        b"client-assertion-type%3Ajwt-bearer&scope=a+b&client_assertion=" + assertion
    )
    yield b"filter[messageStatus]=NEW&filter[label]=x&page[size]=10&page[after]=MjAyNi0wMy0wMg"


def files() -> Iterator[bytes]:
    yield from (
        kinds.PDF,
        kinds.DOCX,
        kinds.ODT,
        kinds.ZIP,
        kinds.HTML,
        kinds.TEXT,
        kinds.compound("WordDocument"),
    )


def polls() -> Iterator[bytes]:
    yield b"{}"
    yield json.dumps({"after": 7, "wait": 30, "taken": ["a-1"], "past": "a-2"}).encode()


def certificates() -> Iterator[bytes]:
    for identity in (sender(), stranger()):
        yield identity.certificate.public_bytes(Encoding.DER)


def _made(shape: Format, number: int = 4) -> Iterator[bytes]:
    rng = Random(1)
    for _ in range(number):
        yield etree.tostring(shape.make(rng), encoding="UTF-8")


def _shape(documents: Iterable[bytes], values: dict[str, tuple[str, ...]]) -> Format:
    """Return what mutations need to know about a format that has seeds only."""
    known = tuple(documents)
    root = etree.fromstring(known[0])
    names = {
        (str(name), (str(value), "", "#x", "cid:x", "urn:x"))
        for element in root.iter("*")
        for name, value in element.items()
    }
    pieces = {etree.tostring(child).decode() for element in root.iter("*") for child in element}
    return Format(
        namespace=str(etree.QName(root).namespace),
        make=lambda rng: etree.fromstring(rng.choice(known)),
        values=values,
        attributes=tuple(sorted(names)),
        fragments=tuple(sorted(pieces)),
    )


_TIMES = (
    "2026-03-02T12:00:00.123Z",
    "2026-03-02T12:00:00",
    "9999-12-31T23:59:59-14:00",
    "0001-01-01T00:00:00+14:00",
)
_BASE64 = (base64.b64encode(bytes(32)).decode(), "AAAA", "=", " A A A A ", "AAA", "")

SOAP = _shape(
    soap_parts(),
    {
        "Timestamp": _TIMES,
        "Created": _TIMES,
        "Expires": _TIMES,
        "DigestValue": _BASE64,
        "SignatureValue": _BASE64,
        "CipherValue": _BASE64,
        "BinarySecurityToken": _BASE64,
        "MessageId": ("", "x" * 1025, "m@x"),
        "Property": ("0203:receiver.example", "application/gzip", ""),
    },
)
SAML_ANSWER = _shape(
    saml_answers(),
    {
        "NameID": ("anna", ""),
        "AttributeValue": ("Anna",),
        "Audience": ("https://sp.test",),
        "DigestValue": _BASE64,
        "CipherValue": _BASE64,
    },
)
METADATA = _shape(
    metadata(),
    {
        "EndpointURI": ("https://ap.example/as4", "http://[::1]:0/", "ftp://x", "https://ap.example:99999/"),
        "ServiceActivationDate": _TIMES,
        "ServiceExpirationDate": _TIMES,
        "ParticipantIdentifier": ("0203:habo.se", "0203:HABO.SE", "habo", " 0203:habo.se "),
        "Certificate": _BASE64,
        "DigestValue": _BASE64,
        "TypeCode": ("urn:fdc:digg.se:edelivery:certpub:signing-cert", "x"),
    },
)
