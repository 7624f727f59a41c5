"""Portable proofs of an entry (c2sp.org/tlog-proof@v1), and a log's request to a witness (tlog-witness)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

from samdrift.audit.merkle import HASH_SIZE, MAX_PROOF, includes
from samdrift.audit.notes import MAX_NOTE, SignedCheckpoint
from samdrift.audit.policies import Policy
from samdrift.audit.reading import Malformed, Unverified, from_base64, number, to_base64

MAX_EXTRA = 100_000
"""Maximum number of characters of the extra data with a proof."""
_HEADER = "c2sp.org/tlog-proof@v1"


@dataclass(frozen=True, slots=True)
class EntryProof:
    """The place of an entry in a log, with its proof up to a signed checkpoint, which anyone can verify."""

    index: int
    path: tuple[bytes, ...]
    checkpoint: bytes
    """The signed note, as it was published."""
    extra: bytes | None = None
    """Extra data with the proof, not covered by any signature."""

    @classmethod
    def parse(cls, content: bytes) -> Self:
        """Read a proof; :class:`Malformed` with the line at fault.

        The checkpoint itself is only read by :meth:`verify`.
        """
        head, checkpoint = _cut(content)
        if not head or head.pop(0) != _HEADER:
            raise Malformed("it does not begin like a proof", "line 1")
        extra = None
        if head and head[0].startswith("extra "):
            encoded = head.pop(0).removeprefix("extra ")
            if len(encoded) > MAX_EXTRA:
                raise Malformed(f"extra data has at most {MAX_EXTRA} characters", "line 2")
            extra = from_base64(encoded, "line 2")
        line = 2 if extra is None else 3
        if not head or not head[0].startswith("index "):
            raise Malformed("the index is missing", f"line {line}")
        index = number(head.pop(0).removeprefix("index "), f"line {line}")
        return cls(index, _hashes(head, line + 1), checkpoint, extra)

    def __bytes__(self) -> bytes:
        extra = [] if self.extra is None else [f"extra {to_base64(self.extra)}"]
        return _joined([_HEADER, *extra, f"index {self.index}"], self.path, self.checkpoint)

    def verify(self, leaf: bytes, policy: Policy) -> SignedCheckpoint:
        """Return the checkpoint if it satisfies ``policy`` and its tree has ``leaf`` at the index.

        :class:`Malformed` or :class:`Unverified` otherwise.
        """
        signed = policy.open(self.checkpoint)
        if not includes(leaf, self.index, signed.checkpoint.size, self.path, signed.checkpoint.root):
            raise Unverified("the entry is not in the tree at this place", f"index {self.index}")
        return signed


@dataclass(frozen=True, slots=True)
class WitnessRequest:
    """A log's request for a cosignature: its new checkpoint, and the proof that it continues an older tree.

    ``old`` is the size of the older tree.
    """

    old: int
    proof: tuple[bytes, ...]
    checkpoint: bytes

    @classmethod
    def parse(cls, content: bytes) -> Self:
        """Read the body of a request; :class:`Malformed` with the line at fault."""
        head, checkpoint = _cut(content)
        if not head or not head[0].startswith("old "):
            raise Malformed("the old size is missing", "line 1")
        old = number(head.pop(0).removeprefix("old "), "line 1")
        return cls(old, _hashes(head, 2), checkpoint)

    def __bytes__(self) -> bytes:
        return _joined([f"old {self.old}"], self.proof, self.checkpoint)


MAX_REQUEST = MAX_NOTE + 10_000
"""Maximum size in bytes of a request to a witness."""
_MAX_PROOF_FILE = MAX_NOTE + MAX_EXTRA + 10_000


def _cut(content: bytes) -> tuple[list[str], bytes]:
    """Return the lines before the first empty one, and the bytes after it."""
    if len(content) > _MAX_PROOF_FILE:
        raise Malformed(f"it has at most {_MAX_PROOF_FILE} bytes")
    head, empty_line, checkpoint = content.partition(b"\n\n")
    if not empty_line:
        raise Malformed("an empty line and a checkpoint are missing")
    try:
        return head.decode("ascii").split("\n"), checkpoint
    except UnicodeDecodeError as error:
        raise Malformed("the part before the checkpoint is not ASCII", f"byte {error.start}") from None


def _hashes(lines: Sequence[str], first: int) -> tuple[bytes, ...]:
    if len(lines) > MAX_PROOF:
        raise Malformed(f"a proof has at most {MAX_PROOF} hashes", f"line {first + MAX_PROOF}")
    return tuple(
        from_base64(line, f"line {place}", HASH_SIZE) for place, line in enumerate(lines, start=first)
    )


def _joined(head: Sequence[str], hashes: Sequence[bytes], checkpoint: bytes) -> bytes:
    lines = [*head, *map(to_base64, hashes), ""]
    return "".join(f"{line}\n" for line in lines).encode() + checkpoint


def witnessed_at(proofs: Iterable[bytes], policy: Policy) -> int | None:
    """Return when witnesses saw the newest accepted checkpoint of the log for which that is longest ago."""
    newest: dict[str, int] = {}
    for proof in proofs:
        try:
            signed = policy.open(EntryProof.parse(proof).checkpoint)
            seen = policy.witnessed_at(signed)
        except (Malformed, Unverified):
            continue
        if seen is not None:
            origin = signed.checkpoint.origin
            newest[origin] = max(seen, newest.get(origin, seen))
    return min(newest.values(), default=None)
