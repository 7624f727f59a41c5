"""Files that someone has crafted: one place of a valid one is changed, and everything is signed again.

Whoever holds the keys of a log or of evidence can put anything into it, so that hashes and signatures are
valid and a reader meets what no writer of ours would have written.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

DELETED = object()
AT_THE_END = "9999-12-31T23:59:59.999999+00:00"
ODD: tuple[Any, ...] = (
    *(DELETED, None, True, 0, -1, 1, 1 << 64, 1 << 70, 1.5, float("inf"), float("nan")),
    *("", "x", "\ud800", "\0", "é" * 3, "0" * 64, "1" * 5000, "-1", "log", "reading"),
    *(AT_THE_END, "0001-01-01T00:00:00+00:00", "0001-01-01T00:00:00.000000+23:59", "2026-03-02"),
    *([], {}, [[]], [{}], {"": ""}, ["x"], [None] * 3),
)
"""Values that take the place of another one in a JSON document; ``DELETED`` removes it."""


def changed(data: st.DataObject, document: Any) -> Any:
    """Return a JSON document in which one value, at any depth, is gone or another one."""
    places = list(_places(document))
    place = data.draw(st.sampled_from(places))
    odd = data.draw(st.sampled_from(ODD))
    return _replaced(document, place, odd)


def _places(value: Any, before: tuple[Any, ...] = ()) -> Any:
    yield before
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, each in inside:
        yield from _places(each, (*before, name))


def _replaced(value: Any, place: tuple[Any, ...], odd: Any) -> Any:
    if not place:
        return None if odd is DELETED else odd
    name, *rest = place
    made = dict(value) if isinstance(value, dict) else list(value)
    if not rest and odd is DELETED:
        del made[name]
    else:
        made[name] = _replaced(value[name], tuple(rest), odd)
    return made


def changed_bytes(data: st.DataObject, content: bytes) -> bytes:
    """Return bytes that are cut off, shorter or longer, or other ones in a place."""
    place = data.draw(st.integers(0, len(content)))
    more = data.draw(st.sampled_from([b"", b"\0", b"\0\0\0\0", b"\xff\xff", b"{}", b"[", b'"', b"\n\n"]))
    gone = data.draw(st.sampled_from([0, 1, 2, 4, 42, len(content)]))
    return content[:place] + more + content[place + gone :]


def canonical(value: Any) -> bytes:
    """Return a document as entries of a log have it."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def json_line(value: Any) -> bytes:
    """Return a document in one line, as :func:`changed` left it."""
    return json.dumps(value).encode()


def either(data: st.DataObject, content: bytes, seal: Callable[[Any], bytes] = json_line) -> bytes:
    """Return a JSON document as bytes, changed as a document or as bytes."""
    if data.draw(st.booleans()):
        return seal(changed(data, json.loads(content)))
    return changed_bytes(data, content)
