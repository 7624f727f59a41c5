"""Reading an answer as it arrives yields the values that a parser of the whole finds, however it is cut."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samdrift.client.errors import InterfaceError, Unreachable, Unreadable
from samdrift.client.jsonstream import MAX_DEPTH, MAX_VALUES, FilePlace, JsonStream

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    ['"', "\\", '\\"', "\\\\"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=12,
)
OBJECTS = st.dictionaries(TEXTS, VALUES, max_size=4)


def read(document: bytes, size: int, stream: JsonStream) -> tuple[Any, dict[FilePlace, bytes], list[Any]]:
    """Read ``document`` in pieces of ``size`` bytes; return the rest, its files, and its items."""
    files: dict[FilePlace, bytes] = {}
    items: list[Any] = []
    for at in range(0, len(document), size):
        for piece in stream.feed(document[at : at + size]):
            files[piece.place] = files.get(piece.place, b"") + (piece.data or b"")
        items += stream.items()
    return stream.close(), files, items


def with_files(files: str) -> str:
    return f'{{"data":{{"attributes":{{"digitalDocument":[{{"contentFiles":[{files}]}}]}}}}}}'


@given(OBJECTS, st.integers(1, 40), st.booleans(), st.booleans())
def test_a_document_is_what_it_is_in_one_piece(
    document: dict[str, Any], size: int, ascii_only: bool, files: bool
) -> None:
    written = json.dumps(document, ensure_ascii=ascii_only).encode()
    assert read(written, size, JsonStream(files=files)) == (document, {}, [])


@given(
    st.lists(st.binary(max_size=40), max_size=4), st.integers(1, 30), st.sampled_from(["", "\\/", "\\u002f"])
)
def test_files_come_out_as_they_went_in(contents: list[bytes], size: int, slash: str) -> None:
    given_files = [{"fileName": "f", "content": base64.b64encode(each).decode()} for each in contents]
    document = {
        "data": {"attributes": {"digitalDocument": [{"contentFiles": given_files}, {}], "label": "content"}}
    }
    written = json.dumps(document)
    if slash:
        written = written.replace("/", slash).replace("+", "\\u002b")
    left, files, _ = read(written.encode(), size, JsonStream(files=True))
    assert files == {FilePlace(0, number): each for number, each in enumerate(contents)}
    documents = left["data"]["attributes"]["digitalDocument"]
    assert documents == [{"contentFiles": [{"fileName": "f"}] * len(contents)}, {}]


@given(st.lists(OBJECTS, max_size=5), st.integers(1, 40))
def test_items_come_out_one_by_one(items: list[dict[str, Any]], size: int) -> None:
    written = json.dumps({"links": {"data": [1]}, "data": items, "meta": {}}).encode()
    assert read(written, size, JsonStream(items=True)) == (
        {"links": {"data": [1]}, "data": [], "meta": {}},
        {},
        items,
    )


def test_lines_in_base64_are_read() -> None:
    content = json.dumps(base64.encodebytes(b"x" * 200).decode())
    document = (
        f'{{"data":{{"attributes":{{"digitalDocument":[{{"contentFiles":[{{"content":{content}}}]}}]}}}}}}'
    )
    _, files, _ = read(document.encode(), 7, JsonStream(files=True))
    assert files == {FilePlace(0, 0): b"x" * 200}


@pytest.mark.parametrize(
    "text", ["QQ", "QQ==QQ==", "Q", "Q=Q=", "å", "QUJ\\n\\\\", "!!!!", "QUI=\\u00e5", "QUJD\\ud800"]
)
def test_what_is_not_base64_is_named_by_its_place(text: str) -> None:
    document = with_files(f'{{}},{{"content":"{text}"}}')
    for size in (1, 1000):
        with pytest.raises(Unreadable, match="digitalDocument/0/contentFiles/1"):
            read(document.encode(), size, JsonStream(files=True))


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"[]",
        b'"x"',
        b"7",
        b"{",
        b'{"a',
        b'{"a": "',
        b'{"a": tru}',
        b"[" * 9000,
        b'{"a": "\xff"}',
        b"<p>",
    ],
)
def test_what_is_not_an_object_of_json_may_be_asked_for_again(document: bytes) -> None:
    with pytest.raises(Unreachable, match="something other than a JSON object"):
        read(document, 4, JsonStream(files=True))


@pytest.mark.parametrize(
    "document",
    [
        b'{"a":' * (MAX_DEPTH + 1),
        b'{"a": [' + b"0," * MAX_VALUES + b"0]}",
        b'{"a": 1, "a": 2}',
        with_files('{"content": "", "content": ""}').encode(),
    ],
    ids=["deep", "many", "twice", "content twice"],
)
def test_more_than_any_message_is_unreadable(document: bytes) -> None:
    with pytest.raises(Unreadable):
        read(document, 1 << 16, JsonStream(files=True))


@given(st.binary(max_size=60), st.integers(1, 20))
def test_junk_is_a_clear_error(junk: bytes, size: int) -> None:
    for document in (junk, b'{"data": [' + junk, b'{"data": {"attributes": {"digitalDocument": [' + junk):
        try:
            read(document, size, JsonStream(files=True))
        except InterfaceError:
            continue
