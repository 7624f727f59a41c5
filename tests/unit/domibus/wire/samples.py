"""Answers as Domibus sends them, and a way to read them."""

from __future__ import annotations

from collections.abc import Callable

from samdrift.domibus.wire import AnswerReader
from samdrift.wire.identifiers import SDK_MESSAGE_EXTENDED
from samdrift.wire.xml import Element
from tests.domibus import soap

PLAIN = "application/soap+xml; charset=UTF-8"
HEADER = soap.user_message(
    "m-1@peer.example",
    "c-1",
    "AP0009-SDK-TEST",
    "AP0007-SDK-TEST",
    f"busdox-docid-qns::{SDK_MESSAGE_EXTENDED.value}",
    {"originalSender": "0203:mullsjo.se", "finalRecipient": "0203:habo.se"},
)
Answer = tuple[str, bytes]


def inline(payload: bytes, header: str = HEADER) -> Answer:
    """Return a message as a Domibus without MTOM returns it."""
    return PLAIN, soap.retrieved(header, soap.inline(payload)).encode()


def beside(payload: bytes, header: str = HEADER) -> Answer:
    """Return a message as a Domibus with MTOM returns it."""
    return soap.mime(soap.retrieved(header, "{payload}"), payload)


FORMS: tuple[Callable[[bytes], Answer], ...] = (inline, beside)


def read(answer: Answer, step: int = 1 << 16) -> tuple[Element, bytes]:
    """Return the whole message and its payload, fed in pieces of ``step`` bytes."""
    content_type, body = answer
    reader = AnswerReader(content_type)
    pieces = []
    for start in range(0, len(body), step):
        pieces += reader.feed(body[start : start + step])
    pieces += reader.feed(b"")
    return reader.envelope, b"".join(pieces)


def answered(document: str) -> Element:
    """Read an answer without a payload."""
    return read((PLAIN, document.encode()))[0]
