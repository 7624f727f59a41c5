"""Any input gets a typed response: never another kind of exception, never a wrong acceptance."""

from __future__ import annotations

import base64
import contextlib
import copy
import random
from collections.abc import Callable

from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from samdrift.wire.as4 import (
    As4Fault,
    As4Reader,
    Complete,
    EbmsError,
    EbmsErrorCode,
    NeedData,
    SignedHeader,
    build_error,
    read_message,
    read_response,
)
from tests.unit.wire.as4.crafting import Crafted
from tests.unit.wire.as4.parties import NOW, PAYLOAD, decryption, message, receiver, sender

_CONTENT_TYPE, _BODY = Crafted().build()
_ERROR = build_error(
    EbmsError.of(EbmsErrorCode.OTHER, "x"), message_id="e", now=NOW, signer=sender().signing_key()
).body

_EDITS = st.lists(
    st.tuples(st.integers(0, len(_BODY)), st.integers(0, 40), st.binary(max_size=20)), min_size=1, max_size=3
)


def _edited(data: bytes, edits: list[tuple[int, int, bytes]]) -> bytes:
    for position, removed, inserted in edits:
        data = data[:position] + inserted + data[position + removed :]
    return data


def _accepted_only_unchanged(content_type: str, body: bytes) -> None:
    try:
        received = read_message(content_type, body, decryption(receiver()))
    except As4Fault:
        return
    assert received.payload == PAYLOAD
    assert received.header.user_message == message()
    assert received.header.certificate == sender().certificate


@settings(max_examples=400, deadline=None)
@given(_EDITS)
def test_an_edited_message_is_refused_or_means_the_same(edits: list[tuple[int, int, bytes]]) -> None:
    _accepted_only_unchanged(_CONTENT_TYPE, _edited(_BODY, edits))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=400), st.text(max_size=80))
def test_noise_is_refused(body: bytes, content_type: str) -> None:
    _accepted_only_unchanged("multipart/related; boundary=B", body)
    _accepted_only_unchanged(content_type, body)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=300), st.integers(0, 3))
def test_noise_behind_a_good_beginning_is_refused(noise: bytes, where: int) -> None:
    marks = [b"<S12:Envelope", b"<eb:Messaging", b"</S12:Envelope>", b"Content-ID: <message>"]
    _accepted_only_unchanged(_CONTENT_TYPE, _BODY[: _BODY.index(marks[where])] + noise)


@settings(max_examples=200, deadline=None)
@given(st.randoms(use_true_random=False))
def test_a_rearranged_header_is_refused_or_means_the_same(chance: random.Random) -> None:
    """Elements are removed, doubled, moved and renamed, and attributes and texts are exchanged."""
    start, end = _BODY.index(b"<S12:Envelope"), _BODY.index(b"</S12:Envelope>") + len(b"</S12:Envelope>")
    root = etree.fromstring(_BODY[start:end])
    for _ in range(chance.randint(1, 3)):
        chance.choice(_REARRANGEMENTS)(chance, root)
    _accepted_only_unchanged(_CONTENT_TYPE, _BODY[:start] + etree.tostring(root) + _BODY[end:])


@settings(max_examples=200, deadline=None)
@given(st.randoms(use_true_random=False), _EDITS)
def test_a_damaged_answer_is_refused_or_read(
    chance: random.Random, edits: list[tuple[int, int, bytes]]
) -> None:
    root = etree.fromstring(_ERROR)
    chance.choice(_REARRANGEMENTS)(chance, root)
    short = [(position % len(_ERROR), removed, inserted) for position, removed, inserted in edits]
    for body in (etree.tostring(root), _edited(_ERROR, short)):
        with contextlib.suppress(As4Fault):
            read_response("application/soap+xml", body)


@settings(max_examples=60, deadline=None)
@given(_EDITS, st.integers(1, 700))
def test_an_edited_message_may_come_in_any_pieces(edits: list[tuple[int, int, bytes]], size: int) -> None:
    body = _edited(_BODY, edits)
    reader = As4Reader(_CONTENT_TYPE)
    with contextlib.suppress(As4Fault):
        for piece in [*(body[start : start + size] for start in range(0, len(body), size)), b""]:
            reader.receive(piece)
            while not isinstance(event := reader.next_event(), NeedData | Complete):
                if isinstance(event, SignedHeader):
                    reader.decrypt_with(decryption(receiver()))


_DER = sender().certificate.public_bytes(Encoding.DER)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(_DER) - 1), st.integers(0, 255)), min_size=1, max_size=4))
def test_a_damaged_certificate_is_refused(changes: list[tuple[int, int]]) -> None:
    """The certificate is parsed before anything else, and anyone can send one."""
    damaged = bytearray(_DER)
    for position, value in changes:
        damaged[position] = value
    token = base64.b64encode(damaged)
    body = _BODY.replace(base64.b64encode(_DER), token)
    with contextlib.suppress(As4Fault):
        received = read_message(_CONTENT_TYPE, body, decryption(receiver()))
        assert received.payload == PAYLOAD


def _any(chance: random.Random, root: etree._Element) -> etree._Element:
    return chance.choice(list(root.iterdescendants()))


def _remove(chance: random.Random, root: etree._Element) -> None:
    element = _any(chance, root)
    parent = element.getparent()
    if parent is not None and len(root) > 1:
        parent.remove(element)


def _double(chance: random.Random, root: etree._Element) -> None:
    element = _any(chance, root)
    element.addnext(copy.deepcopy(element))


def _move(chance: random.Random, root: etree._Element) -> None:
    element, to = _any(chance, root), _any(chance, root)
    if element is not to and element not in to.iterancestors():
        to.append(element)


def _rename(chance: random.Random, root: etree._Element) -> None:
    _any(chance, root).tag = _any(chance, root).tag


def _exchange_text(chance: random.Random, root: etree._Element) -> None:
    _any(chance, root).text = chance.choice([_any(chance, root).text, "", "x", "9" * 400, "AAAA"])


def _exchange_attributes(chance: random.Random, root: etree._Element) -> None:
    element, other = _any(chance, root), _any(chance, root)
    for key, value in chance.choice([element, other]).items():
        element.set(key, chance.choice([value, "", "#x", "cid:x", "urn:x"]))


_REARRANGEMENTS: list[Callable[[random.Random, etree._Element], None]] = [
    _remove,
    _double,
    _move,
    _rename,
    _exchange_text,
    _exchange_attributes,
]
