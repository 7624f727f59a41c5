"""A log's signed promise that an entry is in it, given with the answer to whoever caused the entry.

No log can show of itself that something was never logged. Whoever keeps promises can: a promise whose entry
is not in the log at its number, once a checkpoint has gone past it, was not kept. A promise is a note
(c2sp.org/signed-note) that begins with a line of its own, so that it can never be taken for a checkpoint.
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
"""Header of an answer with the promises of its entries, each in base64, separated by commas."""
MAX_PROMISE = 2000
"""Most characters of a promise in a header or a file."""
_FIRST = "samdrift promise v1"


class Verdict(StrEnum):
    """The fate of a promise."""

    KEPT = "kept"
    OPEN = "open"
    """The log has not gone that far yet, and may take its time."""
    BROKEN = "broken"
    """The entry is not there, or another one is in its place."""


@dataclass(frozen=True, slots=True)
class Promise:
    """The statement that the log ``origin`` has the entry of this number, with this leaf hash."""

    origin: str
    time: int
    """Seconds of POSIX at which it was given."""
    number: int
    leaf: bytes

    @property
    def text(self) -> bytes:
        """The text of the note."""
        return f"{_FIRST}\n{self.origin}\n{self.time}\n{self.number}\n{to_base64(self.leaf)}\n".encode()

    def signed(self, key: VerifierKey, sign: Sign) -> str:
        """Return the promise as it stands in a header."""
        return base64.b64encode(self.text + b"\n" + key.line(self.text, sign)).decode()

    @classmethod
    def open(cls, text: str, keys: Iterable[VerifierKey], where: str = "") -> Self:
        """Read a promise by one of a log's ``keys``; :class:`Malformed` or :class:`Unverified` otherwise."""
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
            raise Unverified(f"the promise does not hold: {fault.text}", where) from None
        if all(key.name != origin for key in found):
            raise Unverified("the promise is signed by the key of another log", where)
        return promise


def promises_of(origin: str, leaves: Iterable[Leaf], time: int) -> list[Promise]:
    """Return a promise for each of the entries that were just committed."""
    return [Promise(origin, time, leaf.sequence, leaf.hash) for leaf in leaves]


class Once:
    """Finds promises of one entry that were given at different times: an entry is promised once.

    Where logging is switched off, an entry of before may be promised in place of the one that is not there.
    """

    def __init__(self) -> None:
        self._given: dict[tuple[str, int], int] = {}

    def holds(self, promise: Promise) -> bool:
        """Return whether the entry was not promised before, unless this is that promise."""
        return self._given.setdefault((promise.origin, promise.number), promise.time) == promise.time


def judge(
    promise: Promise, entry: Callable[[int], bytes | None], end: int, now: int, cadence: int
) -> Verdict:
    """Return whether a promise was kept, by a verified copy of the log.

    ``entry`` returns the entry with a number, ``end`` is the last number that the copy has. What is not
    there yet is open until ``cadence`` seconds after the promise was given.
    """
    if promise.number > end:
        return Verdict.OPEN if now <= promise.time + cadence else Verdict.BROKEN
    found = entry(promise.number)
    return Verdict.KEPT if found is not None and leaf_hash(found) == promise.leaf else Verdict.BROKEN
