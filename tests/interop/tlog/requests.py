"""Requests to witnesses, valid and hostile, each with a name for its kind."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from samdrift.audit.merkle import MemoryTree, consistency_proof, leaf_hash
from samdrift.audit.notes import Checkpoint
from samdrift.audit.proofs import WitnessRequest
from tests.unit.audit.signing import Signer, log

_STRANGER = log("log.example/stranger")
_MOST = 40


@dataclass
class History:
    """A log with two histories, the second of which forks off at ``at``, and its last cosigned size."""

    signer: Signer
    drawn: random.Random
    size: int = 0
    at: int = field(init=False)

    def __post_init__(self) -> None:
        self.at = self.drawn.randrange(0, 6)
        self.tree, self.fork = (
            MemoryTree(
                leaf_hash(b"%d %d" % (number, fork if number >= self.at else 0)) for number in range(_MOST)
            )
            for fork in (0, 1)
        )

    def request(
        self,
        old: int,
        new: int,
        *,
        tree: MemoryTree | None = None,
        signer: Signer | None = None,
        origin: str | None = None,
        root: bytes | None = None,
        extension: tuple[str, ...] = (),
        proof: list[bytes] | None = None,
    ) -> bytes:
        made = tree or self.tree
        stated = Checkpoint(origin or self.signer.name, new, root or made.root(new), extension)
        if proof is None:
            proof = consistency_proof(old, new, made.node) if old <= new else []
        return bytes(
            WitnessRequest(old, tuple(proof), stated.signed([(signer or self.signer).line(stated.text)]))
        )

    def cosigned(self, kind: str, body: bytes) -> None:
        """Record a cosigned checkpoint; one beyond the fork in the second history makes that the log's."""
        self.size = int(body.partition(b"\n\n")[2].split(b"\n")[1])
        if kind == "forked" and self.size > self.at:
            self.tree, self.fork = self.fork, self.tree

    @property
    def over(self) -> bool:
        """Return whether the log has no more entries."""
        return self.size >= _MOST - 1

    def next(self) -> int:
        return min(self.size + self.drawn.randint(0, 3), _MOST)


Make = Callable[[History], bytes]


def _valid(history: History) -> bytes:
    return history.request(history.size, history.next())


def _stale(history: History) -> bytes:
    old = history.drawn.choice([each for each in range(_MOST) if each != history.size])
    return history.request(old, history.drawn.randint(old, _MOST))


def _rolled_back(history: History) -> bytes:
    new = history.drawn.randint(0, max(0, history.size - 1))
    return history.request(history.drawn.randint(0, new), new)


def _larger_old(history: History) -> bytes:
    return history.request(min(history.size + 5, _MOST), history.size)


def _damaged(history: History) -> bytes:
    content = _valid(history)
    place = history.drawn.randrange(len(content))
    if history.drawn.randrange(2):
        return content[:place]
    return content[:place] + bytes([content[place] ^ 1 << history.drawn.randrange(7)]) + content[place + 1 :]


def _wrong_proof(history: History) -> bytes:
    new = min(history.size + 3, _MOST)
    proof = consistency_proof(history.size, new, history.tree.node)
    if not proof:
        return _valid(history)
    if history.drawn.randrange(2):
        proof.pop()
    else:
        proof[0] = b"\0" * 32
    return history.request(history.size, new, proof=proof)


KINDS: dict[str, Make] = {
    "valid": _valid,
    "again": lambda h: h.request(h.size, h.size),
    "extension": lambda h: h.request(h.size, h.next(), extension=("more",)),
    "stale": _stale,
    "rolled back": _rolled_back,
    "larger old": _larger_old,
    "proof for nothing": lambda h: h.request(h.size, h.next(), proof=[b"\0" * 32]),
    "forked": lambda h: h.request(h.size, max(h.next(), h.size), tree=h.fork),
    "changed": lambda h: h.request(h.size, h.size, root=b"\1" * 32),
    "wrong proof": _wrong_proof,
    "proof too long": lambda h: h.request(h.size, h.next(), proof=[b"\0" * 32] * 64),
    "foreign": lambda h: h.request(h.size, h.next(), origin="log.example/unknown"),
    "wrong key": lambda h: h.request(h.size, h.next(), signer=_STRANGER),
    "forged": lambda h: h.request(h.size, h.size).replace(b"\n%d\n" % h.size, b"\n%d\n" % (h.size + 1)),
    "damaged": _damaged,
    "no newline": lambda h: _valid(h)[:-1],
    "old with zero": lambda h: _valid(h).replace(b"old ", b"old 0", 1),
    "old with sign": lambda h: _valid(h).replace(b"old ", b"old +", 1),
    "old negative": lambda h: _valid(h).replace(b"old ", b"old -", 1),
    "old missing": lambda h: _valid(h).partition(b"\n")[2],
    "no empty line": lambda h: _valid(h).replace(b"\n\n", b"\n", 1),
    "not text": lambda h: h.drawn.randbytes(200),
    "empty": lambda h: b"",
}
