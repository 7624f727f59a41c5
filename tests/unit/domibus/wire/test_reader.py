"""Answers of Domibus as they stream in, with and without MTOM; anything else raises only typed errors."""

from __future__ import annotations

import os
import tracemalloc
from random import Random

import pytest

from samdrift.domibus import wire as domibus
from samdrift.domibus.wire import AnswerReader
from samdrift.wire.errors import WireError
from samdrift.wire.xml import MAX_ATTRIBUTES
from tests.domibus import soap
from tests.sizes import count, seed, soak
from tests.unit.domibus.wire.samples import FORMS, HEADER, PLAIN, Answer, beside, inline, read

PAYLOAD = b"<xhe>" + os.urandom(3000) + b"\r\n--uuid:\r\n</xhe>"
MIB = 1 << 20


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("step", [1, 7, 4096])
def test_the_payload_comes_as_it_was_sent(form: type, step: int) -> None:
    envelope, payload = read(form(PAYLOAD), step)
    assert payload == PAYLOAD
    assert domibus.fault(envelope) is None


@pytest.mark.parametrize("form", FORMS)
def test_the_header_is_there_before_the_payload(form: type) -> None:
    content_type, body = form(PAYLOAD)
    reader = AnswerReader(content_type)
    begun = body.index(b"<payload")
    assert list(reader.feed(body[:begun])) == []
    assert reader.header is not None
    assert domibus.incoming_message(reader.header).message_id == "m-1@peer.example"


def test_a_small_payload_may_stand_in_the_message_although_mtom_is_on() -> None:
    """CXF leaves payloads under a threshold in the message."""
    answer = soap.mime(soap.retrieved(HEADER, soap.inline(PAYLOAD)))
    assert read(answer)[1] == PAYLOAD


def test_line_ends_in_base64_mean_nothing() -> None:
    text = "\n".join(soap.inline(PAYLOAD)[start : start + 76] for start in range(0, 4100, 76))
    document = soap.retrieved(HEADER, text.replace("\n", "&#xD;\n"))
    assert read((PLAIN, document.encode()), 1000)[1] == PAYLOAD


@pytest.mark.parametrize("form", FORMS)
def test_memory_does_not_grow_with_the_payload(form: type) -> None:
    content_type, body = form(bytes(24 * MIB))
    tracemalloc.start()
    reader = AnswerReader(content_type)
    read_so_far = 0
    for start in range(0, len(body), 1 << 16):
        read_so_far += sum(map(len, reader.feed(body[start : start + (1 << 16)])))
    read_so_far += sum(map(len, reader.feed(b"")))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert read_so_far == 24 * MIB
    assert peak < 2 * MIB


def changed(answer: Answer, old: bytes, new: bytes) -> Answer:
    assert answer[1].count(old) >= 1
    return answer[0], answer[1].replace(old, new)


WRONG: dict[str, Answer] = {
    "no SOAP": ("text/html", b"<html/>"),
    "no type": ("", b""),
    "nothing": (PLAIN, b""),
    "cut off": (PLAIN, inline(PAYLOAD)[1][:-10]),
    "cut off in MIME": (beside(PAYLOAD)[0], beside(PAYLOAD)[1][:-50]),
    "no boundary": ("multipart/related", beside(PAYLOAD)[1]),
    "no base64": changed(inline(b"abc"), b"YWJj", b"YW!j"),
    "half of base64": changed(inline(b"abc"), b"YWJj", b"YWJ"),
    "two payloads": changed(inline(b"abc"), b"</value>", b"</value></payload><payload><value>YWJj</value>"),
    "two values": changed(inline(b"abc"), b"</value>", b"</value><value>YWJj</value>"),
    "a payload that is elsewhere": (PLAIN, beside(b"")[1].split(b"\r\n\r\n")[1].split(b"\r\n--")[0]),
    "a declaration": changed(inline(b"abc"), b"<soap:Envelope", b"<!DOCTYPE x><soap:Envelope"),
    "an entity": changed(inline(b"abc"), b"YWJj", b"&x;"),
    "too deep": (PLAIN, b"<a>" * 100 + b"</a>" * 100),
    "too much text": (PLAIN, b"<a>" + b"x" * (5 * MIB) + b"</a>"),
    "another encoding": (PLAIN, "<a/>".encode("utf-16")),
    "a control character": (PLAIN, b"<a>\x01</a>"),
    "no character": (PLAIN, "<a>\ufffe</a>".encode()),
    "another start": changed(beside(b"abc"), b"<root.message@cxf.apache.org>", b"<other>"),
    "an encoding of MIME": changed(beside(b"abc"), b"Encoding: binary", b"Encoding: base64"),
    "another part": changed(beside(b"abc"), b"-1@http", b"-2@http"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_answer_is_refused(name: str) -> None:
    with pytest.raises(WireError):
        domibus.fault(read(WRONG[name])[0])


def test_an_element_has_a_bounded_number_of_attributes() -> None:
    """The tree takes seconds for the thousands that fit in a tag, and everyone waits meanwhile."""
    for attributes, fits in ((MAX_ATTRIBUTES, True), (MAX_ATTRIBUTES + 1, False)):
        reader = AnswerReader(PLAIN)
        tag = "<a " + " ".join(f"a{number}=''" for number in range(attributes)) + ">"
        if fits:
            list(reader.feed(tag.encode()))
        else:
            with pytest.raises(WireError, match="attributes"):
                list(reader.feed(tag.encode()))


@soak
@pytest.mark.parametrize("form", FORMS)
def test_changed_at_random_there_is_an_answer_or_a_typed_error(form: type) -> None:
    """Cut, doubled or with other bytes, an answer raises only :class:`WireError`."""
    rng = Random(seed(7))
    refused = 0
    for _ in range(count(1500, 100_000)):
        content_type, body = form(b"<xhe>" + bytes(200) + b"</xhe>")
        at = rng.randrange(len(body))
        by = rng.choice(
            [b"", bytes([rng.randrange(256)]), body[at : at + rng.randrange(200)], b"<", b"\r\n--"]
        )
        body = body[:at] + by + body[at + rng.randrange(40) :]
        try:
            envelope, _ = read((content_type, body), rng.choice([16, 1 << 16]))
            domibus.fault(envelope)
            for parse in (domibus.pending, domibus.status, domibus.errors, domibus.submitted):
                with pytest.raises(WireError):
                    parse(envelope)
            for head in envelope.findall(f"{soap.SOAP}Header"):
                domibus.incoming_message(head)
        except WireError:
            refused += 1
    assert refused > 300, "few inputs were refused, so little was changed"
