"""Policies (c2sp.org/tlog-policy): which logs and witnesses are accepted, and how many witnesses suffice.

A checkpoint satisfies a policy if one of its logs has signed it, under its own name, and the witnesses
that have cosigned it make up the quorum.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Self

from samdrift.audit.notes import Algorithm, SignedCheckpoint, VerifierKey
from samdrift.audit.reading import Malformed, Unverified, number

MAX_POLICY = 256 * 1024
"""Maximum size of a policy in bytes."""
MAX_LINES = 1000
"""Maximum number of lines in a policy; the specification recommends at least 32 definitions of each kind."""

_NONE = "none"


@dataclass(frozen=True, slots=True)
class Member:
    """A log or a witness: its key, and the address that the policy names for it, if any."""

    key: VerifierKey
    address: str | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """A group of witnesses and groups; it counts as a witness once ``enough`` of its members do."""

    enough: int
    members: tuple[str, ...]


@dataclass(slots=True)
class Policy:
    """A policy with the logs, witnesses, groups and quorum that it defines."""

    logs: list[Member] = field(default_factory=list)
    witnesses: dict[str, Member] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    quorum: str = _NONE

    @classmethod
    def parse(cls, content: bytes) -> Self:
        """Read a policy; :class:`Malformed` with the line at fault."""
        reader = _Reader(cls())
        for place, line in enumerate(_lines(content), start=1):
            words = [word for word in line.replace("\t", " ").split(" ") if word]
            if words and not words[0].startswith("#"):
                reader.read(words, f"line {place}")
        if not reader.decided:
            raise Malformed("a policy needs a line that begins with quorum")
        return reader.policy  # type: ignore[return-value]

    def digest(self) -> bytes:
        """Return a SHA-256 over all that decides whether a checkpoint satisfies this policy."""
        rules = {
            "logs": [str(member.key) for member in self.logs],
            "witnesses": {name: str(member.key) for name, member in self.witnesses.items()},
            "groups": {name: [group.enough, *group.members] for name, group in self.groups.items()},
            "quorum": self.quorum,
        }
        return sha256(json.dumps(rules, sort_keys=True).encode()).digest()

    def open(self, content: bytes) -> SignedCheckpoint:
        """Read a signed checkpoint that satisfies this policy.

        :class:`Malformed` or :class:`Unverified` for any other.
        """
        witnesses = [member.key for member in self.witnesses.values()]
        signed = SignedCheckpoint.parse(content, [member.key for member in self.logs], witnesses)
        if not self.suffices(signed.cosigned):
            raise Unverified("too few of the policy's witnesses have cosigned it")
        return signed

    def suffices(self, cosigned: Collection[VerifierKey]) -> bool:
        """Return whether these witnesses make up the quorum."""
        return self.quorum == _NONE or self._witnessed(self.quorum, cosigned)

    def witnessed_at(self, signed: SignedCheckpoint) -> int | None:
        """Return the time by which the quorum had seen the checkpoint, or ``None`` if no quorum is needed."""
        if self.quorum == _NONE:
            return None
        seen: list[VerifierKey] = []
        for key, time in sorted(signed.cosigned.items(), key=lambda item: item[1]):
            seen.append(key)
            if self.suffices(seen):
                return time
        raise Unverified("too few of the policy's witnesses have cosigned it")

    def _witnessed(self, name: str, cosigned: Collection[VerifierKey]) -> bool:
        if name in self.witnesses:
            return self.witnesses[name].key in cosigned
        group = self.groups[name]
        return sum(self._witnessed(member, cosigned) for member in group.members) >= group.enough


class _Reader:
    """A reader of definitions in order; each may only name earlier ones."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.decided = False
        self._members: set[str] = set()
        self._kinds: dict[str, Callable[[list[str], str], None]] = {
            "log": self._log,
            "witness": self._witness,
            "group": self._group,
            "quorum": self._quorum,
        }

    def read(self, words: list[str], where: str) -> None:
        kind = self._kinds.get(words[0])
        if kind is None:
            raise Malformed("a line defines a log, a witness, a group or the quorum", where)
        kind(words[1:], where)

    def _log(self, words: list[str], where: str) -> None:
        if not 1 <= len(words) <= 2:
            raise Malformed("a log has a key and at most an address", where)
        member = _member(words, Algorithm.ED25519, where)
        _alone(member, self.policy.logs, where)
        self.policy.logs.append(member)

    def _witness(self, words: list[str], where: str) -> None:
        if not 2 <= len(words) <= 3:
            raise Malformed("a witness has a name, a key and at most an address", where)
        name = self._new(words[0], where)
        member = _member(words[1:], Algorithm.COSIGNATURE, where)
        _alone(member, self.policy.witnesses.values(), where)
        self.policy.witnesses[name] = member

    def _group(self, words: list[str], where: str) -> None:
        if len(words) < 3:
            raise Malformed("a group has a name, a threshold and members", where)
        name, enough, *members = words
        self._new(name, where)
        for member in members:
            if member not in self.policy.witnesses and member not in self.policy.groups:
                raise Malformed("a member is not defined before its group", where)
            if member in self._members:
                raise Malformed("a member is already in another group", where)
            self._members.add(member)
        spelled = {"any": 1, "all": len(members)}
        count = spelled[enough] if enough in spelled else number(enough, where, len(members))
        if count < 1:
            raise Malformed("the threshold is at least one", where)
        self.policy.groups[name] = Group(count, tuple(members))

    def _quorum(self, words: list[str], where: str) -> None:
        if self.decided or len(words) != 1:
            raise Malformed("there is one quorum, with one name", where)
        name = words[0]
        if name not in (_NONE, *self.policy.witnesses, *self.policy.groups):
            raise Malformed("the quorum is not defined before its line", where)
        self.policy.quorum, self.decided = name, True

    def _new(self, name: str, where: str) -> str:
        if name == _NONE or name in self.policy.witnesses or name in self.policy.groups:
            raise Malformed("the name is already used", where)
        return name


def _lines(content: bytes) -> list[str]:
    if len(content) > MAX_POLICY or content.count(b"\n") > MAX_LINES:
        raise Malformed(f"a policy has at most {MAX_POLICY} bytes and {MAX_LINES} lines")
    *lines, rest = content.split(b"\n")
    if rest:
        raise Malformed("the last line does not end", f"line {len(lines) + 1}")
    for place, line in enumerate(lines, start=1):
        if any((each < 0x20 and each != 0x09) or each == 0x7F for each in line):
            raise Malformed("a policy has no control characters except tabs", f"line {place}")
    return [line.decode("utf-8", "surrogateescape") for line in lines]


def _member(words: list[str], algorithm: Algorithm, where: str) -> Member:
    key = VerifierKey.parse(words[0], where)
    if key.algorithm is not algorithm:
        raise Malformed("a key of this kind cannot be used here", where)
    return Member(key, words[1] if len(words) == 2 else None)


def _alone(member: Member, others: Collection[Member], where: str) -> None:
    if any(member.key.public == other.key.public for other in others):
        raise Malformed("the key is already defined", where)
