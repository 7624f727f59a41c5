"""Canonical JSON: each value has one sequence of bytes, and no other is read."""

from __future__ import annotations

import json
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samdrift.rights.canonical import MAX_BYTES, MAX_DEPTH, CanonicalError, decode, encode, visible

NAMES = st.from_regex(r"[a-z][a-z0-9_-]{0,8}", fullmatch=True)
TEXTS = st.text().filter(visible)
VALUES = st.recursive(
    TEXTS | st.integers(-(2**53) + 1, 2**53 - 1) | st.booleans(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)


def depth(value: object) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(depth, inner), default=0)


@given(VALUES.filter(lambda value: depth(value) <= MAX_DEPTH))
def test_a_value_survives_and_any_json_reader_sees_the_same(value: object) -> None:
    content = encode(value)
    assert decode(content) == value
    assert json.loads(content) == value
    assert encode(decode(content)) == content


def test_the_bytes_are_those_of_rfc_8785() -> None:
    value = {"peach": '€$ö"\\/', "apple": [True, False, -1, 0], "b": {"z": "", "a": "å"}}
    assert encode(value) == (
        '{"apple":[true,false,-1,0],"b":{"a":"å","z":""},"peach":"€$ö\\"\\\\/"}'.encode()
    )


@pytest.mark.parametrize(
    ("content", "where"),
    [
        (b'{"a":1,"a":1}', "a"),
        (b'{"b":{"a":1,"c":2,"a":3}}', "a"),
        (b'{"b":1,"a":2}', ""),
        (b'{"a": 1}', ""),
        (b' {"a":1}', ""),
        (b'{"a":1}\n', ""),
        (b'{"a":1.0}', ""),
        (b'{"a":1e3}', ""),
        (b'{"a":NaN}', ""),
        (b'{"a":-0}', ""),
        (b'{"a":01}', "character 6"),
        (b'{"a":null}', "a"),
        (b'{"a":9007199254740992}', "a"),
        (b'{"a":' + b"9" * 5000 + b"}", ""),
        (b'{"a":"\\u0061"}', ""),
        (b'{"a":"\\n"}', "a"),
        (b'{"a":"\\ud800"}', "a"),
        (b'{"a":["x","\xe2\x80\xae"]}', "a[1]"),
        (b'{"a":"a\xcc\x8a"}', "a"),
        (b'{"A":1}', ""),
        (b'{"":1}', ""),
        (b'{"a":"\xff"}', "byte 6"),
        (b"\xef\xbb\xbf{}", "character 0"),
        (b'{\x00"\x00a\x00"\x00:\x001\x00}\x00', "character 1"),
        (b"", "character 0"),
        (b"{", "character 1"),
        (b"[" * 7 + b"]" * 7, "[0][0][0][0][0][0]"),
        (b"[" * 8000 + b"]" * 8000, None),
        (b'"' + b"x" * MAX_BYTES + b'"', ""),
    ],
)
def test_other_bytes_are_refused_with_the_place(content: bytes, where: str | None) -> None:
    with pytest.raises(CanonicalError) as refused:
        decode(content)
    assert where is None or refused.value.where == where


@given(VALUES, st.data())
def test_no_change_of_a_byte_gives_other_bytes_for_the_same_value(value: object, data: st.DataObject) -> None:
    try:
        content = encode(value)
    except CanonicalError:
        return
    place = data.draw(st.integers(0, len(content) - 1))
    changed = content[:place] + data.draw(st.binary(max_size=2)) + content[place + 1 :]
    try:
        read = decode(changed)
    except CanonicalError:
        return
    assert encode(read) == changed


@pytest.mark.parametrize("value", [None, 1.5, {"a": None}, {1: 2}, {"a": b""}, {"x": {"y": 2**60}}, "\u200d"])
def test_what_has_no_canonical_form_is_not_written(value: object) -> None:
    with pytest.raises(CanonicalError):
        encode(value)


def test_no_character_that_cannot_be_seen_is_visible() -> None:
    """All characters of Unicode are tried, alone and among others."""
    kinds = ("Cc", "Cf", "Cs", "Zl", "Zp")
    unseen = [each for each in map(chr, range(sys.maxunicode + 1)) if unicodedata.category(each) in kinds]
    assert len(unseen) > 2000
    assert [f"U+{ord(each):04X}" for each in unseen if visible(each) or visible(f"Hej {each}då")] == []
    assert visible("Hej då, Örebro\u00a0kommun \U000e0100 \ue000")
