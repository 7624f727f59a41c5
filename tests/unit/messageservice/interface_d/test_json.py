"""JSON from clients: read within bounds, and refused in words that repeat none of it."""

from __future__ import annotations

import asyncio
import contextlib
import json as standard
import tracemalloc
from collections.abc import AsyncIterator, Iterable
from typing import Any

import pytest

from samdrift.messageservice.interface_d import json
from samdrift.messageservice.interface_d.problems import Refused
from samdrift.scheduling.shares import Shares
from samdrift.wire import sdkmessage
from samdrift.wire.identifiers import ParticipantIdentifier

A, B = ParticipantIdentifier("0203:a.se"), ParticipantIdentifier("0203:b.se")
MIB = 1 << 20


async def stream(pieces: Iterable[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def read(data: bytes, size: int = 1000) -> Any:
    return await json.read(stream(data[at : at + size] for at in range(0, len(data), size)))


@pytest.mark.parametrize("size", [1, 3, 1000])
async def test_what_is_json_is_read_as_the_standard_library_reads_it(size: int) -> None:
    value = {"a": [True, False, None, 'å😀"\\\n', {"b": {}}, [], [[1.5, -2]]], "c": "", "": "d"}
    for data in (standard.dumps(value), standard.dumps(value, ensure_ascii=False, indent=2)):
        assert await read(data.encode(), size) == value


@pytest.mark.parametrize("size", [1, 1000, 10_000])
@pytest.mark.parametrize("length", [1023, 1024, 1025, 2048, 3072, 4096, 7168, 8192])
async def test_a_document_may_end_where_a_step_of_the_parser_ends(length: int, size: int) -> None:
    """A message of exactly 1 024 bytes was answered with 500 (the parser takes no bytes for the end)."""
    text = "a" * (length - 8)
    whole = (f'{{"a":"{text}"}}'.encode(), b'{"a":1}'.ljust(length), b'{"a":1'.ljust(length))
    found = await asyncio.gather(*(read(each, size) for each in whole), return_exceptions=True)
    assert found[:2] == [{"a": text}, {"a": 1}]
    assert isinstance(found[2], Refused)


@pytest.mark.parametrize("value", [None, True, "text", [], {}])
async def test_a_value_alone_is_json_too(value: object) -> None:
    assert await read(standard.dumps(value).encode()) == value


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"  \n",
        b"{",
        b'{"a":',
        b'{"a":"b',
        b"{} {}",
        b"{} x",
        b"{'a': 1}",
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": 01}',
        b'{"a": 1e999999999}',
        b'{"a": ' + b"9" * 10_000 + b"}",
        b'{"a": "\xff\xfe"}',
        b'{"a": "\xed\xa0\x80"}',
        b'{"a": "\\udc00"}',
        b'{"a": "\x01"}',
        b'{"a": "\\x"}',
        b"/* a */ {}",
        b"\xef\xbb\xbf{}",
        '{"a": 1}'.encode("utf-16"),
        b"\x00" * 10,
        b"<a/>",
        b'{"a": 1,}',
    ],
)
async def test_what_is_not_json_is_refused(data: bytes) -> None:
    with pytest.raises(Refused, match="not JSON in UTF-8"):
        await read(data)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b'{"Kim Svensson": 1, "Kim Svensson": 2}', "twice"),
        (b'{"a": {"b": 1, "c": {}, "b": 2}}', "twice"),
        (b"[" * 1000 + b"]" * 1000, "deeper"),
        (b'{"a":' * 1000 + b"1" + b"}" * 1000, "deeper"),
        (b"[" + b"0," * json.MAX_VALUES + b"0]", "More than"),
        (b"[" * 20 * MIB, "deeper"),
        (b"9" * 3 * MIB, "number is too long"),
    ],
    ids=["a member twice", "a member twice, inside", "lists", "objects", "values", "never closed", "digits"],
)
async def test_what_is_too_much_of_something_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(Refused, match=why) as caught:
        await read(data, MIB)
    assert "Kim" not in str(caught.value)


async def test_a_name_may_come_again_in_another_object() -> None:
    assert await read(b'{"a": {"a": [{"a": 1}, {"a": 2}]}, "b": {"a": 3}}') == {
        "a": {"a": [{"a": 1}, {"a": 2}]},
        "b": {"a": 3},
    }


def too_long(refused: Refused) -> bool:
    return refused.findings == (sdkmessage.too_long(),)


async def test_a_length_that_is_too_large_is_refused_before_anything_is_read() -> None:
    async def never() -> AsyncIterator[bytes]:
        raise AssertionError
        yield b""

    with pytest.raises(Refused) as caught:
        await json.read(never(), json.MAX_BYTES + 1)
    assert too_long(caught.value)


async def test_white_space_without_end_takes_no_memory_and_ends() -> None:
    taken = 0

    async def spaces() -> AsyncIterator[bytes]:
        nonlocal taken
        while True:
            taken += MIB
            yield b" " * MIB

    tracemalloc.start()
    try:
        with pytest.raises(Refused) as caught:
            await json.read(spaces())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert too_long(caught.value)
    assert taken <= json.MAX_BYTES + MIB
    assert peak < 8 * MIB


async def test_texts_that_make_more_than_a_message_are_refused_as_soon_as_that_is_certain() -> None:
    taken = 0

    async def texts() -> AsyncIterator[bytes]:
        nonlocal taken
        yield b"["
        while True:
            taken += MIB
            yield b'"' + b"a" * (MIB - 3) + b'",'

    with pytest.raises(Refused) as caught:
        await json.read(texts())
    assert too_long(caught.value)
    assert taken <= sdkmessage.MAX_BYTES + 2 * MIB


def texts(count: int) -> bytes:
    """Return a document that fits the contract as far as it is read."""
    inside = {"data": {"attributes": {"digitalDocument": [{"contentTextBody": [""] * count}]}}}
    return standard.dumps(inside).encode()


@pytest.mark.parametrize(
    "junk",
    [
        b"[" + b"0," * 145_000 + b"0]",
        b'{"meta": [' + b"0," * 145_000 + b"0]}",
        b'{"data": {"attributes": {"label": [' + b"[]," * 95_000 + b"[]]}}}",
        b'{"data": {"attributes": {"digitalDocument": [' + b"0," * 145_000 + b"0]}}}",
        b'{"data": {"attributes": {"nonsense": {"a": [' + b'"",' * 95_000 + b'""]}}}}',
    ],
    ids=["no object", "an extension", "no text", "no documents", "unknown"],
)
async def test_290_kb_of_junk_are_refused_where_they_show_to_be_junk(junk: bytes) -> None:
    taken = 0

    async def pieces() -> AsyncIterator[bytes]:
        nonlocal taken
        for at in range(0, len(junk), 1000):
            taken += 1000
            yield junk[at : at + 1000]

    with pytest.raises(Refused, match="the contract does not know"):
        await json.read(pieces())
    assert taken < 10_000


async def test_what_has_no_place_may_be_there_within_bounds() -> None:
    value = {"meta": [1] * (json.MAX_STRAY - 1)}
    assert await read(standard.dumps(value).encode()) == value


async def test_a_document_that_fits_has_a_bounded_number_of_values() -> None:
    with pytest.raises(Refused, match=f"More than {json.MAX_VALUES} values"):
        await read(texts(json.MAX_VALUES))


async def test_a_step_is_short_and_a_text_is_not_read_again_and_again() -> None:
    steps: list[int] = []

    @contextlib.asynccontextmanager
    async def step() -> AsyncIterator[None]:
        steps.append(0)
        yield

    await json.read(stream([texts(json.MAX_VALUES - 100)]), step=step)
    assert len(steps) > 30, "a step must read only some hundred values"
    steps.clear()
    await json.read(stream([standard.dumps("a" * 20 * MIB).encode()]), step=step)
    assert len(steps) < 50, "a text must be read in growing blocks"


async def test_eight_documents_of_one_organisation_get_few_steps_between_anothers() -> None:
    shares, order = Shares(1.0, 100.0), list[ParticipantIdentifier]()

    async def reads(whose: ParticipantIdentifier, data: bytes) -> None:
        @contextlib.asynccontextmanager
        async def step() -> AsyncIterator[None]:
            async with shares.step(whose):
                order.append(whose)
                yield

        await json.read(stream([data]), step=step)

    floods = [asyncio.create_task(reads(A, texts(json.MAX_VALUES - 100))) for _ in range(8)]
    await asyncio.sleep(0)
    await asyncio.gather(reads(B, texts(2000)), *floods)
    last = max(place for place, whose in enumerate(order) if whose == B)
    of_b = order.count(B)
    assert of_b > 5
    assert order[: last + 1].count(A) <= 3 * of_b, "A's eight jobs must not get eight steps for each of B's"
