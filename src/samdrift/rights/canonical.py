r"""Canonical JSON: one byte sequence for each value, so that a digest or signature of it covers the value.

The rules are those of RFC 8785, for a subset of JSON in which they are unambiguous:

- objects, arrays, strings, integers and booleans; neither ``null`` nor fractions, so that a number has only
  one spelling and an absent field is always left out;
- names are lower-case ASCII letters, digits, ``-`` and ``_``, so that every sort order is the same;
- integers are within ±(2**53 - 1), so that every reader represents them exactly (RFC 7493 2.2);
- strings are in Unicode's form NFC without control characters, direction marks and other invisible
  characters, so that two texts that look the same are the same;
- no whitespace, members sorted by name, ``\u00xx`` only where JSON requires it; UTF-8 without a byte order
  mark.

A reader accepts only the canonical bytes. Input that means the same in other bytes is refused, so that a
digest can be computed from the received bytes.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import NoReturn, TypeAlias

Json: TypeAlias = "Mapping[str, Json] | Sequence[Json] | str | int | bool"

MAX_BYTES = 16 * 1024
"""Maximum size of a value, in bytes."""
MAX_DEPTH = 6
"""Maximum nesting depth of objects and arrays."""

_MAX_INTEGER = 2**53 - 1
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,63}")
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


class CanonicalError(ValueError):
    """Error raised for a value or bytes that are not canonical.

    It has the reason, and in ``where`` the place as a path of names, but never the value.
    """

    def __init__(self, text: str, where: str = "") -> None:
        super().__init__(f"{text} (at {where})" if where else text)
        self.text = text
        self.where = where


def encode(value: Json, most: int = MAX_BYTES) -> bytes:
    """Return the canonical bytes, at most ``most``; raise :class:`CanonicalError` if there are none."""
    _check(value, "", 0)
    content = _ENCODER.encode(value).encode()
    if len(content) > most:
        raise CanonicalError(f"it has more than {most} bytes")
    return content


def decode(content: bytes, most: int = MAX_BYTES) -> Json:
    """Return the value of canonical bytes; raise :class:`CanonicalError` for any other bytes."""
    if len(content) > most:
        raise CanonicalError(f"it has more than {most} bytes")
    try:
        value: Json = json.loads(
            content.decode("utf-8"),
            object_pairs_hook=_members,
            parse_float=_no_number,
            parse_constant=_no_number,
        )
    except CanonicalError:
        raise
    except UnicodeDecodeError as error:
        raise CanonicalError("it is not UTF-8", f"byte {error.start}") from None
    except json.JSONDecodeError as error:
        raise CanonicalError("it is not JSON", f"character {error.pos}") from None
    except (ValueError, RecursionError):
        raise CanonicalError("it is not JSON that can be read") from None
    if encode(value, most) != content:
        raise CanonicalError("the same value has other bytes in canonical form")
    return value


def visible(text: str) -> bool:
    """Return whether ``text`` is in form NFC and has no control, direction or other invisible characters."""
    # Printable text has none of these, so most texts need no check of each character.
    return unicodedata.is_normalized("NFC", text) and (
        text.isprintable() or not any(unicodedata.category(character) in _INVISIBLE for character in text)
    )


def _members(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    members = dict(pairs)
    if len(members) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise CanonicalError("a name is repeated in an object", twice if _NAME.fullmatch(twice) else "")
    return members


def _no_number(_: str) -> NoReturn:
    raise CanonicalError("a number is not a whole one")


def _check(value: object, where: str, depth: int) -> None:
    if isinstance(value, str):
        if not visible(value):
            raise CanonicalError("a text has an invisible character or is not in form NFC", where)
    elif isinstance(value, int):
        if abs(value) > _MAX_INTEGER:
            raise CanonicalError("a number is too large", where)
    elif depth == MAX_DEPTH:
        raise CanonicalError("it is nested too deeply", where)
    elif isinstance(value, Mapping):
        for name, member in value.items():
            if not (isinstance(name, str) and _NAME.fullmatch(name)):
                raise CanonicalError("a name has other characters than a-z, 0-9, - and _", where)
            _check(member, f"{where}.{name}" if where else name, depth + 1)
    elif isinstance(value, list | tuple):
        for place, each in enumerate(value):
            _check(each, f"{where}[{place}]", depth + 1)
    else:
        raise CanonicalError("a value is of a kind that the canonical form does not have", where)
