"""A log's signed promise that it contains an entry, returned to the caller that caused the entry.

No log can prove by itself that nothing was left out. A caller that keeps promises can prove an omission: a
promise is broken if its entry is not in the log at its number once a checkpoint covers that number. A promise
is a note (c2sp.org/signed-note) that begins with a special line, so that it cannot be mistaken for a
checkpoint.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from samdrift.audit.leaves import Leaf
from samdrift.audit.merkle import HASH_SIZE, leaf_hash
from samdrift.audit.notes import Note, Sign, VerifierKey
from samdrift.audit.reading import Malformed, Unverified, from_base64, number, to_base64

HEADER = "Samdrift-Log-Promise"
"""HTTP response header with the promises of the entries, each in base64, separated by commas."""
MAX_PROMISE = 2000
"""Maximum number of characters of a promise in a header or a file."""
_FIRST = "samdrift promise v1"


class Verdict(StrEnum):
    """The verdict on a promise."""

    KEPT = "kept"
    OPEN = "open"
    """The log does not extend that far yet, but may still do so in time."""
    BROKEN = "broken"
    """The entry is not there, or another one is in its place."""


@dataclass(frozen=True, slots=True)
class Promise:
    """The statement that the log ``origin`` has an entry with this number and this leaf hash."""

    origin: str
    time: int
    """POSIX time in seconds at which the promise was made."""
    number: int
    leaf: bytes

    @property
    def text(self) -> bytes:
        """Return the text of the note."""
        return f"{_FIRST}\n{self.origin}\n{self.time}\n{self.number}\n{to_base64(self.leaf)}\n".encode()

    def signed(self, key: VerifierKey, sign: Sign) -> str:
        """Return the signed promise as it is written in a header."""
        return base64.b64encode(self.text + b"\n" + key.line(self.text, sign)).decode()

    @classmethod
    def open(cls, text: str, keys: Iterable[VerifierKey], where: str = "") -> Self:
        """Read a promise signed by one of ``keys``; :class:`Malformed` or :class:`Unverified` otherwise."""
        if len(text) > MAX_PROMISE:
            raise Malformed(f"a promise has at most {MAX_PROMISE} characters", where)
        try:
            note = Note.parse(base64.b64decode(text, validate=True))
            first, origin, time, sequence, leaf = note.text.decode().removesuffix("\n").split("\n")
        except (binascii.Error, ValueError):
            raise Malformed("it is not a promise", where) from None
        if first != _FIRST:
            raise Malformed("it is not a promise", where)
        promise = cls(
            origin, number(time, where), number(sequence, where), from_base64(leaf, where, HASH_SIZE)
        )
        try:
            found = note.verified(keys)
        except Unverified as fault:
            raise Unverified(f"the promise is invalid: {fault.text}", where) from None
        if all(key.name != origin for key in found):
            raise Unverified("the promise is signed by the key of another log", where)
        return promise


def promises_of(origin: str, leaves: Iterable[Leaf], time: int) -> list[Promise]:
    """Return a promise for each of the entries that were just committed."""
    return [Promise(origin, time, leaf.sequence, leaf.hash) for leaf in leaves]


class Once:
    """A detector of entries that were promised more than once, at different times.

    If logging was switched off, an earlier entry may be promised in place of a missing one.
    """

    def __init__(self) -> None:
        self._given: dict[tuple[str, int], int] = {}

    def holds(self, promise: Promise) -> bool:
        """Return whether the entry was not promised before at another time."""
        return self._given.setdefault((promise.origin, promise.number), promise.time) == promise.time


def judge(
    promise: Promise, entry: Callable[[int], bytes | None], end: int, now: int, cadence: int
) -> Verdict:
    """Return whether a promise was kept, according to a verified copy of the log.

    ``entry`` returns the entry with a number, and ``end`` is the last number in the copy. A promise of a
    later entry is open until ``cadence`` seconds after it was made.
    """
    if promise.number > end:
        return Verdict.OPEN if now <= promise.time + cadence else Verdict.BROKEN
    found = entry(promise.number)
    return Verdict.KEPT if found is not None and leaf_hash(found) == promise.leaf else Verdict.BROKEN
