"""Verification of a whole log from its parts, in one pass and in the memory of one bundle.

Only the policy is trusted. The entries are hashed into the tree, whose root is compared at the size of each
checkpoint that the log signed; the stated data of an entry (number, class, facts, time) are compared with the
entry itself. The verdict names the first entry that is wrong. If a root differs, no hash shows which entry is
the cause, so the verdict names the first entry that is no longer proved.

Three rules go beyond the hashes. The time in an entry must lie between the witnessed times of the checkpoints
around it. Facts may be missing only if a decision in the log disposed of them: those of a class, from its
oldest entry up to a number, and never those about the log itself. And the log must have reached every
checkpoint that the reader knows from elsewhere, so that a log restored from an old copy is detected.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import sha256
from itertools import chain
from types import MappingProxyType
from typing import Any, Self

from samdrift.audit.ages import TOLERANCE, moment_of
from samdrift.audit.chain import ChainHead, LogVerification
from samdrift.audit.entries import LogEntry
from samdrift.audit.events import LogEvent, Retention, retention_of
from samdrift.audit.leaves import VERSION as LEAF_VERSION
from samdrift.audit.logparts import MAX_KEYS, MAX_STAMPS, MAX_WAITING, SALT, facts_in
from samdrift.audit.merkle import Frontier
from samdrift.audit.notes import Checkpoint, Note, SignedCheckpoint, VerifierKey, announced
from samdrift.audit.policies import Policy
from samdrift.audit.reading import Malformed, Unverified
from samdrift.audit.tiles import Tile

_LEAF = 42
_AT = slice(SALT + 7, SALT + 39)
_EVENT = SALT + 50
_NUMBER = slice(0, 9)
_CLASS = 9
_COMMITMENT = slice(10, 42)
_LAST_TIME = int(datetime(9999, 12, 31, tzinfo=UTC).timestamp())
_ABOUT_THE_LOG = Retention.LOG.value


@dataclass(frozen=True, slots=True)
class FirstWrong:
    """The first faulty entry: its number, and the reason that it is faulty."""

    number: int
    why: str


@dataclass(frozen=True, slots=True)
class Disposal:
    """A disposal of facts: their class, number of entries, the entry with the decision, and its time."""

    retention: str
    entries: int
    decision: int
    at: str


@dataclass(frozen=True, slots=True)
class LogVerdict:
    """The verdict on a log."""

    origin: str
    entries: int
    """Number of entries that were read, including those of the first form."""
    first: int
    """Number of the tree's first entry; 0 before that was read."""
    size: int
    """Size of the tree at the last checkpoint that the policy accepts; later entries are unproved."""
    root: bytes
    witnessed_at: int | None
    first_wrong: FirstWrong | None
    disposed: tuple[Disposal, ...]
    outside: int
    """Number of entries with a time outside the witnessed times around them."""
    not_understood: int
    """Number of entries in a form that is not known here, which were verified as leaves only."""
    leaves: int
    """Number of entries in the tree."""
    stated: Mapping[str, tuple[str, ...]]
    """SHA-256, in hex, of the statements that the log names, by the key that each states to be the log's."""
    stamped: Mapping[str, int]
    """Numbers of the entries that name time stamps, by the SHA-256 of the time stamp."""
    tail_at: datetime | None = None
    """Time of the oldest entry that no accepted checkpoint proves, if there is one with facts."""

    @property
    def holds(self) -> bool:
        return self.first_wrong is None

    @property
    def unproved(self) -> int:
        """Return the number of entries after the last accepted checkpoint."""
        return self.leaves - self.size


@dataclass(slots=True)
class _Stated:
    """A checkpoint that is waiting for the entries that it covers."""

    size: int
    root: str
    after: int | None
    """The earliest time at which a witness saw it: later entries cannot be older."""
    witnessed_at: int | None
    """The time by which the policy's witnesses had seen it: its entries cannot be younger."""
    accepted: bool
    fault: str = ""
    """Reason that it is not accepted; empty if there is none."""


@dataclass(slots=True)
class _Disposed:
    """The extent to which facts of a class are missing."""

    count: int = 0
    first: int = 0
    last: int = 0
    kept: int = 0
    """Number of the first entry of the class that has facts."""


@dataclass(slots=True)
class _Decided:
    """A decision to dispose of a class up to a number."""

    number: int
    at: str
    through: int
    entries: int


@dataclass(slots=True)
class _State:
    """The state between two parts, in plain values, so that verification can be suspended and resumed."""

    inputs: str
    """Digest of what is compared with the log: policy, known checkpoints and times of time stamps."""
    now: int
    """The time after which cosignatures count as none."""
    origin: str = ""
    head: tuple[int, str] = (0, "")
    chained: int = 0
    keys: list[str] = field(default_factory=list)
    """Keys whose announcement is signed by an accepted key."""
    tree: str = Frontier().to_bytes().hex()
    first: int = 0
    waiting: list[_Stated] = field(default_factory=list)
    accepted: _Stated | None = None
    not_before: int | None = None
    wrong: tuple[int, str] | None = None
    stopped: bool = False
    outside: int = 0
    not_understood: int = 0
    classes: dict[int, _Disposed] = field(default_factory=dict)
    decisions: dict[int, list[_Decided]] = field(default_factory=dict)
    stated: dict[str, list[str]] = field(default_factory=dict)
    stamped: dict[str, int] = field(default_factory=dict)
    tail: str = ""
    """Time of the oldest entry since the last accepted checkpoint; empty before one with facts."""

    @classmethod
    def read(cls, saved: Mapping[str, Any]) -> Self:
        """Read the state that :func:`asdict` produced and JSON stored."""
        state = cls(**saved)
        number, hashed = state.head
        state.head = int(number), str(hashed)
        state.wrong = (int(state.wrong[0]), str(state.wrong[1])) if state.wrong else None
        state.waiting = [_Stated(**each) for each in saved["waiting"]]
        state.accepted = _Stated(**saved["accepted"]) if saved["accepted"] else None
        state.classes = {int(number): _Disposed(**each) for number, each in saved["classes"].items()}
        state.decisions = {
            int(number): [_Decided(**each) for each in decided]
            for number, decided in saved["decisions"].items()
        }
        return state


class LogVerifier:
    """A verifier that reads a log in parts: the chain, then each bundle's checkpoints and entries."""

    def __init__(
        self,
        policy: Policy,
        now: int,
        known: Sequence[SignedCheckpoint] = (),
        stamps: Sequence[tuple[Checkpoint, int | None]] = (),
    ) -> None:
        """Begin with a policy, the current POSIX time in seconds, and checkpoints known from elsewhere.

        ``stamps`` are checkpoints with time stamps, each with its time if it is by a trusted authority: the
        entries that it covers cannot be younger.
        """
        self._policy = policy
        self._now = now
        self._known = sorted(
            [*(each.checkpoint for each in known), *(each for each, _ in stamps)], key=lambda each: each.size
        )
        self._times = sorted((each.size, at) for each, at in stamps if at is not None)
        self._state = _State(_digest(policy, self._known, self._times), now)
        self._tree = Frontier()
        self._chain: LogVerification | None = None

    def dump(self) -> dict[str, Any]:
        """Return the state as plain values, for :meth:`load` to continue from; call it between parts."""
        return asdict(replace(self._state, tree=self._tree.to_bytes().hex()))

    def load(self, saved: Mapping[str, Any]) -> bool:
        """Continue from the result of :meth:`dump`; :class:`Malformed` for any other value.

        Return false, and change nothing, if it is the state of a verification with another policy, other
        checkpoints or time stamps, or a later time, which may have accepted what this one does not.
        """
        try:
            if saved.get("inputs") != self._state.inputs or int(saved["now"]) > self._now:
                return False
            state = _State.read({**saved, "now": self._now})
            tree = Frontier.parse(bytes.fromhex(state.tree))
            number, hashed = state.head
            self._chain = LogVerification(ChainHead(number, bytes.fromhex(hashed)))
        except (KeyError, TypeError, ValueError, AttributeError):
            raise Malformed("not the state of a verification") from None
        self._state, self._tree = state, tree
        return True

    @property
    def stopped(self) -> bool:
        """Return whether a fault was found that makes the rest of the log meaningless."""
        return self._state.stopped

    def begin(self, origin: bytes, keys: Iterable[tuple[VerifierKey, bytes]] = ()) -> None:
        """Begin with the hash that the log's chain, or its first leaf if it has no chain, continues from.

        ``keys`` are those that the log has used, each with the signature by the previous key that announces
        it. Only keys that are announced, directly or indirectly, by a key of the policy are accepted.
        """
        self._chain = LogVerification(ChainHead(0, origin))
        self._state.head = 0, origin.hex()
        for key, announcement in keys:
            if any(
                known.name == key.name and known.verifies(announced(key), announcement)
                for known in self._logs()
            ):
                self._state.keys.append(str(key))

    def page(self, lines: Iterable[bytes], where: str) -> None:
        """Verify entries of the first form."""
        assert self._chain is not None
        if self._tree.size:
            raise Malformed("entries of the first form come before those of the tree", where)
        for place, line in enumerate(lines, start=1):
            try:
                entry = LogEntry.read(json.loads(line))
            except (ValueError, RecursionError):
                raise Malformed("it is not an entry of a log", f"{where}, line {place}") from None
            if entry.leaf is not None:
                raise Malformed("it is not an entry of the first form", f"{where}, line {place}")
            verdict = self._chain.take([entry])
            if not verdict.intact:
                self._stop(verdict.head.sequence + 1, _CHAIN_FAULTS[verdict.reason.value])
                return
            self._state.chained += 1
        head = self._chain.head
        self._state.head = head.sequence, head.hash.hex()

    def checkpoints(self, notes: Iterable[bytes], where: str) -> None:
        """Read the checkpoints up to the first that covers all of the next bundle."""
        state = self._state
        for place, note in enumerate(notes):
            try:
                self._state_of(note)
            except Malformed as fault:
                raise Malformed(fault.text, f"{where}, record {place}, {fault.where or 'note'}") from None
            except Unverified as fault:
                self._refuse(note, f"checkpoint {place} in {where}: {fault}")
        if len(state.waiting) > MAX_WAITING:
            raise Malformed("too many checkpoints are ahead of their entries", where)

    def bundle(self, tile: Tile, entries: bytes, facts: bytes) -> None:
        """Verify a bundle of entries with their facts."""
        if tile.level is not None or tile.start != self._tree.size:
            raise Malformed("the bundles of entries do not follow each other", tile.path)
        leaves, records = tile.entries(entries), facts_in(facts, tile)
        hashes = [sha256(b"\x00" + leaf).digest() for leaf in leaves]
        begin = tile.start
        for end in self._sizes(begin + tile.width):
            places = slice(begin - tile.start, end - tile.start)
            self._look(begin, leaves[places], records[places])
            if self.stopped:
                return
            self._tree.extend(hashes[places])
            self._reach(end)
            if self.stopped:
                return
            begin = end

    def verdict(self) -> LogVerdict:
        """Return the verdict on all that was read."""
        state = self._state
        if not self.stopped:
            self._end()
        accepted = state.accepted
        return LogVerdict(
            origin=state.origin,
            entries=state.chained + self._tree.size,
            first=state.first,
            size=accepted.size if accepted else 0,
            root=bytes.fromhex(accepted.root) if accepted else b"",
            witnessed_at=accepted.witnessed_at if accepted else None,
            first_wrong=FirstWrong(*state.wrong) if state.wrong else None,
            disposed=tuple(self._disposals()),
            outside=state.outside,
            not_understood=state.not_understood,
            leaves=self._tree.size,
            stated={key: tuple(digests) for key, digests in state.stated.items()},
            stamped=dict(state.stamped),
            tail_at=moment_of(state.tail),
        )

    @property
    def _next(self) -> int:
        """Return the number of the first entry that no accepted checkpoint proves."""
        state = self._state
        proved = state.accepted.size if state.accepted else 0
        return state.first + proved if state.first else state.chained + 1

    def _stop(self, number: int, why: str) -> None:
        self._wrong(number, why)
        self._state.stopped = True

    def _wrong(self, number: int, why: str) -> None:
        state = self._state
        if state.wrong is None or number < state.wrong[0]:
            state.wrong = number, why

    def _state_of(self, note: bytes) -> None:
        """Check a checkpoint against its signatures and the one before it, and add it to those that wait."""
        state, policy = self._state, self._policy
        witnesses = [member.key for member in policy.witnesses.values()]
        signed = SignedCheckpoint.parse(note, self._logs(), witnesses)
        times = {key: time for key, time in signed.cosigned.items() if time <= self._now + TOLERANCE}
        signed, stated = replace(signed, cosigned=MappingProxyType(times)), signed.checkpoint
        if state.origin and stated.origin != state.origin:
            raise Unverified("it is the checkpoint of another log")
        before = next((each for each in reversed(state.waiting) if not each.fault), state.accepted)
        if before and stated.size < before.size:
            raise Unverified("it has fewer entries than the one before")
        if stated.size <= self._tree.size:
            raise Malformed("a checkpoint comes after the entries that it covers")
        if before and before.size == stated.size and before.root != stated.root.hex():
            raise Unverified("two checkpoints of one size have different roots")
        state.origin = stated.origin
        accepted = policy.suffices(times)
        witnessed = policy.witnessed_at(signed) if accepted else None
        state.waiting.append(
            _Stated(stated.size, stated.root.hex(), min(times.values(), default=None), witnessed, accepted)
        )

    def _refuse(self, note: bytes, why: str) -> None:
        """Add an invalid checkpoint to those that wait, so that earlier entries are judged before it."""
        waiting = self._state.waiting
        size = Checkpoint.parse(Note.parse(note).text).size
        size = max([size, self._tree.size + 1, *(each.size for each in waiting)])
        waiting.append(_Stated(size, "", None, None, accepted=False, fault=why))

    def _logs(self) -> list[VerifierKey]:
        return [*(member.key for member in self._policy.logs), *map(VerifierKey.parse, self._state.keys)]

    def _sizes(self, end: int) -> Iterator[int]:
        """Yield the sizes up to ``end`` at which a root is compared, and ``end``."""
        known = (each.size for each in self._known)
        waiting = (each.size for each in self._state.waiting)
        yield from sorted({each for each in chain(known, waiting, [end]) if self._tree.size < each <= end})

    def _reach(self, size: int) -> None:
        """Compare the root with those of the checkpoints of this size."""
        state = self._state
        waiting = state.waiting
        if not (waiting and waiting[0].size <= size) and not any(each.size == size for each in self._known):
            return
        root = self._tree.root()
        for each in self._known:
            if each.size == size and each.root != root:
                self._stop(
                    self._next, f"up to entry {self._number(size)} they are not those of a known checkpoint"
                )
                return
        while waiting and waiting[0].size <= size:
            stated = waiting.pop(0)
            if stated.fault:
                self._stop(self._next, stated.fault)
                return
            if stated.size == size and stated.root != root.hex():
                self._stop(
                    self._next, f"up to entry {self._number(size)} they are not those that the log signed"
                )
                return
            state.not_before = max(state.not_before or 0, stated.after) if stated.after else state.not_before
            if stated.accepted and stated.size == size:
                known = state.accepted.witnessed_at if state.accepted else None
                if known is not None and stated.witnessed_at is not None:
                    stated.witnessed_at = max(known, stated.witnessed_at)
                state.accepted, state.tail = stated, ""

    def _number(self, size: int) -> int:
        return self._state.first + size - 1

    def _look(self, start: int, leaves: Sequence[bytes], records: Sequence[bytes]) -> None:
        """Compare entries between the same checkpoints with the facts and numbers stated for them."""
        state = self._state
        if start == 0 and leaves and not self._begins(leaves[0], records[0]):
            return
        not_before = _spelled(state.not_before, -TOLERANCE) or b""
        witnessed = [each.witnessed_at for each in state.waiting if each.witnessed_at is not None]
        until = min([*witnessed[:1], *(at for size, at in self._times if size > start)], default=None)
        not_after = _spelled(until, TOLERANCE) or b"~"
        number = state.first + start - 1
        for leaf, record in zip(leaves, records, strict=True):
            number += 1
            if len(leaf) != _LEAF or leaf[0] != LEAF_VERSION:
                state.not_understood += 1
                continue
            if leaf[_NUMBER] != b"\x02" + number.to_bytes(8):
                self._wrong(number, "another entry is in its place")
                continue
            retention = leaf[_CLASS]
            if not record:
                self._miss(number, retention)
                continue
            if sha256(record).digest() != leaf[_COMMITMENT]:
                self._wrong(number, "its facts are not those of the entry in the tree")
                continue
            state.tail = state.tail or record[_AT].decode("ascii", "replace")
            if retention not in state.classes or not state.classes[retention].kept:
                state.classes.setdefault(retention, _Disposed()).kept = number
            if not not_before <= record[_AT] <= not_after:
                state.outside += 1
                self._wrong(number, "its time is outside the witnessed times of the checkpoints around it")
            event = record[_EVENT : record.find(b'"', _EVENT)]
            if _class_of(event) not in {None, retention}:
                self._wrong(number, "its retention class is not the one of its event")
            if retention == _ABOUT_THE_LOG:
                self._about_the_log(number, record[SALT:])

    def _begins(self, leaf: bytes, record: bytes) -> bool:
        """Read the number of the first leaf, and return whether it names the chain before it."""
        state = self._state
        known = leaf[:1] == bytes((LEAF_VERSION,)) and len(leaf) == _LEAF and record
        state.first = int.from_bytes(leaf[1:9]) if known else state.chained + 1
        facts = _facts(record[SALT:]) if known else {}
        named = {"entries": str(state.head[0]), "head": state.head[1]}
        if facts.get("event") != LogEvent.LOG_TREE_BEGUN or facts.get("ids") != named:
            self._stop(1, "the first entry of the tree does not match the entries before it")
        elif state.first != state.chained + 1:
            self._stop(state.chained + 1, "the numbers of the tree do not continue those before it")
        else:
            state.not_before = _seconds(str(facts.get("at")))  # no leaf is older than the tree's first one
        return not state.stopped

    def _miss(self, number: int, retention: int) -> None:
        """Record that an entry has no facts."""
        disposed = self._state.classes.setdefault(retention, _Disposed())
        if retention == _ABOUT_THE_LOG:
            self._wrong(number, "its facts are missing, and are about the log itself")
        elif disposed.kept:
            self._wrong(number, f"its facts are missing, but not those of the older entry {disposed.kept}")
        disposed.first = disposed.first or number
        disposed.last = number
        disposed.count += 1

    def _about_the_log(self, number: int, content: bytes) -> None:
        """Read a statement on a key, a time stamp, or a decision to dispose of a class."""
        facts = _facts(content)
        if facts.get("event") == LogEvent.LOG_KEY_STATED:
            self._state_key(facts.get("ids"))
        if facts.get("event") == LogEvent.LOG_STAMPED:
            self._stamp(number, facts.get("ids"))
        if facts.get("event") != LogEvent.LOG_FACTS_DISPOSED:
            return
        try:
            retention, through, count = disposal_in(facts.get("ids"))
            at = datetime.fromisoformat(facts["at"]).isoformat(timespec="microseconds")
        except (KeyError, TypeError, ValueError):
            self._wrong(number, "it is a decision to dispose of entries but does not say which or when")
            return
        decisions = self._state.decisions.setdefault(retention, [])
        after = decisions[-1].through if decisions else 0
        if not after < through < number or count < 0 or retention == _ABOUT_THE_LOG:
            self._wrong(number, "it is a decision to dispose of entries that cannot be disposed of")
            return
        decisions.append(_Decided(number, at, through, count))

    def _state_key(self, ids: Any) -> None:
        key, digest = (ids.get("key"), ids.get("statement")) if isinstance(ids, dict) else ("", "")
        if isinstance(key, str) and isinstance(digest, str) and len(self._state.stated) < MAX_KEYS:
            known = self._state.stated.setdefault(key, [])
            if len(known) < MAX_KEYS:
                known.append(digest)

    def _stamp(self, number: int, ids: Any) -> None:
        digest = ids.get("stamp") if isinstance(ids, dict) else None
        if isinstance(digest, str) and len(self._state.stamped) < MAX_STAMPS:
            self._state.stamped.setdefault(digest, number)

    def _disposals(self) -> Iterator[Disposal]:
        for retention, decisions in sorted(self._state.decisions.items()):
            for each in decisions:
                yield Disposal(Retention(retention).name.lower(), each.entries, each.number, each.at)

    def _end(self) -> None:
        """Check everything that only the whole log can show."""
        state, size = self._state, self._tree.size
        if any(each.size > size for each in self._known):
            self._wrong(self._next, "a known checkpoint has more entries than the log")
        if state.waiting:
            self._wrong(self._next, state.waiting[0].fault or "the log signed more entries than there are")
        if state.accepted is None:
            self._wrong(state.first or 1, "the policy accepts none of the checkpoints")
        for retention in sorted({*state.classes, *state.decisions}):
            self._account(state.classes.get(retention, _Disposed()), state.decisions.get(retention, []))

    def _account(self, found: _Disposed, decisions: Sequence[_Decided]) -> None:
        """Compare the missing facts of a class with the decisions about it."""
        decided = sum(each.entries for each in decisions)
        through = decisions[-1].through if decisions else 0
        if found.last > through:
            number = max(found.first, through + 1)
            self._wrong(
                number, "from here on facts of its class are missing, and no decision disposed of them"
            )
        elif 0 < found.kept <= through:
            self._wrong(found.kept, "its facts are there, although a decision disposed of them")
        elif decisions and found.count != decided:
            why = f"it disposed of {decided} entries of its class, with those before; {found.count} missing"
            self._wrong(decisions[-1].number, why)


_CHAIN_FAULTS = {
    "gap": "another entry is in its place",
    "cut": "it does not continue the entry before it",
    "altered": "its facts do not match its hash",
}


def disposal_in(ids: Any) -> tuple[Retention, int, int]:
    """Return the class, last number and number of entries of a decision, from the facts in its entry.

    Raise :class:`ValueError` if they do not say which entries were disposed of.
    """
    try:
        return Retention[ids["class"].upper()], int(ids["through"]), int(ids["entries"])
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError):
        raise ValueError("not a decision to dispose of entries") from None


def _digest(policy: Policy, known: Iterable[Checkpoint], times: Sequence[tuple[int, int]]) -> str:
    """Return a SHA-256, in hex, over a policy, known checkpoints, and the sizes and times of time stamps."""
    checkpoints = b"".join(sha256(each.text).digest() for each in known)
    return sha256(policy.digest() + sha256(checkpoints).digest() + json.dumps(times).encode()).hexdigest()


def _spelled(time: int | None, shift: int) -> bytes | None:
    """Return a time in the form that entries have."""
    if time is None:
        return None
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=min(max(time + shift, 0), _LAST_TIME))
    return moment.isoformat(timespec="microseconds").encode()


def _seconds(time: str) -> int | None:
    """Return the POSIX time in seconds of a time in the form that entries have."""
    moment = moment_of(time)
    return None if moment is None else int(moment.timestamp())


@lru_cache(maxsize=1024)
def _class_of(event: bytes) -> int | None:
    """Return the retention class of an event, named in bytes; ``None`` if it is not known here."""
    return retention_of(event.decode("utf-8", "replace"))


def _facts(content: bytes) -> dict[str, Any]:
    try:
        facts = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return facts if isinstance(facts, dict) else {}
