"""Multipart bodies in a stream (RFC 2046 5.1)."""

from __future__ import annotations

from email import policy
from email.parser import BytesParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samdrift.wire.errors import WireError, WireFault
from samdrift.wire.mime import (
    BodyEnd,
    ContentType,
    MultipartReader,
    PartData,
    PartEnd,
    PartStart,
    boundary_of,
    closing,
    opening,
)

Part = tuple[dict[str, str], bytes]


def _read(body: bytes, boundary: str, size: int = 1 << 16) -> list[Part]:
    reader = MultipartReader(boundary)
    parts: list[Part] = []
    whole: list[bool] = []
    for piece in [*(body[at : at + size] for at in range(0, len(body), size)), b""]:
        reader.feed(piece)
        while (event := reader.next_event()) is not None:
            match event:
                case PartStart(fields):
                    parts.append((dict(fields), b""))
                case PartData(data):
                    assert data
                    parts[-1] = (parts[-1][0], parts[-1][1] + data)
                case PartEnd():
                    whole.append(True)
                case BodyEnd():
                    assert len(whole) == len(parts)
                    return parts
    raise AssertionError("no end")


def _written(parts: list[bytes], boundary: str) -> bytes:
    body = b""
    for number, content in enumerate(parts):
        body += opening(boundary, [("Content-ID", f"<part-{number}>")], first=number == 0) + content
    return body + closing(boundary)


_CONTENT = st.lists(st.sampled_from([b"\r", b"\n", b"-", b"--", b"\r\n--", b"B", b"\r\n--A", b"text"])).map(
    b"".join
)


@settings(max_examples=150, deadline=None)
@given(st.lists(_CONTENT, min_size=1, max_size=4), st.integers(1, 40))
def test_parts_are_read_as_they_were_written(parts: list[bytes], size: int) -> None:
    """Contents are full of pieces of delimiters, and arrive in pieces of every size."""
    boundary = "AB-no-content-has-this"
    read = _read(_written(parts, boundary), boundary, size)
    assert [content for _, content in read] == parts
    assert [fields["content-id"] for fields, _ in read] == [f"<part-{n}>" for n in range(len(parts))]


def test_the_standard_library_reads_what_is_written() -> None:
    body = _written([b"first\r\n", b"second"], "B")
    message = BytesParser(policy=policy.HTTP).parsebytes(
        b"Content-Type: multipart/related; boundary=B\r\n\r\n" + body
    )
    assert [part.get_payload() for part in message.iter_parts()] == ["first\r\n", "second"]


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.sampled_from([b"\r\n", b"--B", b"--", b" ", b"A: b", b":", b"x", b"\r\n--B\r\n", b"--B--"]))
)
def test_any_body_is_read_or_refused(pieces: list[bytes]) -> None:
    body = b"".join(pieces)
    try:
        whole = _read(body, "B")
    except WireError as error:
        assert error.fault is WireFault.MIME  # noqa: PT017
        return
    assert whole == _read(body, "B", 1), "the result must not depend on how the body arrives"


def _accepted(body: bytes, size: int, max_header: int) -> bool:
    reader = MultipartReader("B", max_header=max_header)
    try:
        for piece in [*(body[at : at + size] for at in range(0, len(body), size)), b""]:
            reader.feed(piece)
            while (event := reader.next_event()) is not None:
                if isinstance(event, BodyEnd):
                    return True
    except WireError:
        return False
    raise AssertionError("no end")


@pytest.mark.parametrize("length", range(15, 26))
def test_the_limit_of_a_part_header_is_the_same_in_any_pieces(length: int) -> None:
    """It counts the header alone, without the line ends before and after it."""
    body = b"--B\r\nX: " + b"a" * (length - 3) + b"\r\n\r\ncontent\r\n--B--\r\n"
    outcomes = {size: _accepted(body, size, max_header=20) for size in range(1, len(body) + 1)}
    assert outcomes == dict.fromkeys(outcomes, length <= 20)


def test_a_part_header_without_end_is_refused_while_it_comes() -> None:
    reader = MultipartReader("B", max_header=20)
    reader.feed(b"--B\r\n" + b"a" * 20 + b"\r\n\r")
    assert reader.next_event() is None, "its end may be on the way"
    reader.feed(b"a")
    with pytest.raises(WireError, match="20 bytes"):
        reader.next_event()


@pytest.mark.parametrize("boundary", ["", " ", "x" * 71, "ends with ", "å", 'quo"te', "new\nline"])
def test_a_boundary_is_of_the_form_of_rfc_2046(boundary: str) -> None:
    with pytest.raises(WireError):
        boundary_of(ContentType("multipart/related", {"boundary": boundary}))
    assert boundary_of(ContentType("multipart/related", {"boundary": "a b'()+_,-./:=?"})) == "a b'()+_,-./:=?"


def test_memory_does_not_grow_with_a_part() -> None:
    reader = MultipartReader("B")
    reader.feed(b"--B\r\n\r\n")
    assert isinstance(reader.next_event(), PartStart)
    for _ in range(100):
        reader.feed(b"x" * 10_000)
        event = reader.next_event()
        assert isinstance(event, PartData)
        assert len(event.data) > 9_000
        assert reader.next_event() is None
