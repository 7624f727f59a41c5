"""The client of witnesses distinguishes a cosignature, a refusal, and no answer."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from samdrift.audit.merkle import MemoryTree, consistency_proof
from samdrift.audit.notes import Checkpoint, Note
from samdrift.audit.policies import Member
from samdrift.audit.proofs import WitnessRequest
from samdrift.contracts.errors import Temporary
from samdrift.net.client import Fetched, FetchLimits, HttpFault, NoAnswer
from samdrift.transparency.asking import (
    AHEAD_SECONDS,
    LIMITS,
    Cosigned,
    Refusal,
    WitnessRefused,
    WitnessUnanswered,
    cosign,
)
from samdrift.transparency.witness import Witness
from samdrift.transparency.witnessstate import WitnessState
from tests.unit.audit.signing import LOG, ONE, TWO, Signer, checkpoint, log, tree
from tests.unit.transparency.test_witness import forked

NOW = datetime(2026, 3, 3, 8, 0, tzinfo=UTC)
MEMBER = Member(ONE.key, "https://witness.example.se/")
SIZE = 21
TREE = tree(SIZE)

Answer = Callable[[bytes], Fetched | HttpFault]


@dataclass
class Caller:
    """A client that answers requests to one address, and records them."""

    answer: Answer
    asked: list[WitnessRequest] = field(default_factory=list)

    async def fetch(
        self,
        url: str,
        limits: FetchLimits,
        *,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Fetched:
        assert (url, limits) == ("https://witness.example.se/add-checkpoint", LIMITS)
        assert content is not None
        self.asked.append(WitnessRequest.parse(content))
        answered = self.answer(content)
        if isinstance(answered, HttpFault):
            raise NoAnswer(answered)
        return answered


def answered(status: int, body: bytes = b"") -> Answer:
    return lambda content: Fetched(status, "text/plain", body)


async def prove(old: int, new: int) -> Sequence[bytes]:
    return consistency_proof(old, new, TREE.node)


async def asked(caller: Caller, seen: int = 0, member: Member = MEMBER) -> Cosigned:
    return await cosign(caller, member, checkpoint(SIZE), seen, prove, NOW)


def line(signer: Signer = ONE, time: float = 0.0, size: int = SIZE) -> bytes:
    stated = Checkpoint(LOG.name, size, tree(size).root())
    return signer.line(stated.text, int(NOW.timestamp() + time))


@pytest.fixture
def witness(tmp_path: Path) -> Witness:
    state = WitnessState(tmp_path / "state.sqlite", ONE.key, new=True)
    return Witness(ONE.key, ONE.private.sign, {LOG.name: [LOG.key]}, state, lambda: NOW)


def served(witness: Witness) -> Answer:
    def answer(content: bytes) -> Fetched:
        reply = witness.add_checkpoint(content)
        return Fetched(reply.status, reply.content_type, reply.body)

    return answer


async def test_a_witness_that_was_asked_before_is_asked_from_there(witness: Witness) -> None:
    caller = Caller(served(witness))
    first = await asked(caller)
    assert first == Cosigned(line(), int(NOW.timestamp()))
    await asked(caller, seen=SIZE)
    assert [each.old for each in caller.asked] == [0, SIZE]


async def test_a_witness_that_names_another_size_is_asked_from_there_at_once(witness: Witness) -> None:
    """A process asked it, and was killed before it stored the answer."""
    caller = Caller(served(witness))
    witness.add_checkpoint(bytes(WitnessRequest(0, (), checkpoint(8))))
    await asked(caller)
    await asked(caller, seen=3)
    assert [each.old for each in caller.asked] == [0, 8, 3, SIZE]
    note = Note.parse(caller.asked[-1].checkpoint)
    assert Checkpoint.parse(note.text).size == SIZE


async def test_a_size_beyond_the_checkpoint_is_not_asked_about(witness: Witness) -> None:
    caller = Caller(served(witness))
    assert await asked(caller, seen=SIZE + 5)
    assert [each.old for each in caller.asked] == [SIZE, 0]


async def test_a_witness_that_has_seen_more_refuses(witness: Witness) -> None:
    """After a backup was restored, the log has fewer entries than others have seen."""
    witness.add_checkpoint(bytes(WitnessRequest(0, (), checkpoint(SIZE + 3))))
    with pytest.raises((WitnessRefused, WitnessUnanswered)) as refused:
        await asked(Caller(served(witness)))
    assert isinstance(refused.value, WitnessRefused)
    assert (refused.value.reason, refused.value.seen) == (Refusal.AHEAD, SIZE + 3)
    assert "has seen more of this log" in str(refused.value)


async def test_a_witness_of_another_history_refuses(witness: Witness) -> None:
    other: MemoryTree = forked(8, 2)
    stated = Checkpoint(LOG.name, 8, other.root())
    body = bytes(WitnessRequest(0, (), stated.signed([LOG.line(stated.text)])))
    assert witness.add_checkpoint(body).status == 200
    with pytest.raises(WitnessRefused) as refused:
        await asked(Caller(served(witness)))
    assert refused.value.reason is Refusal.CONTRADICTED


@pytest.mark.parametrize(
    ("status", "reason"),
    [(404, Refusal.UNKNOWN_LOG), (403, Refusal.UNKNOWN_KEY), (422, Refusal.CONTRADICTED)],
)
async def test_what_the_specification_calls_a_refusal_is_one(status: int, reason: Refusal) -> None:
    with pytest.raises(WitnessRefused) as refused:
        await asked(Caller(answered(status, b"text of the witness\n")))
    assert refused.value.reason is reason
    assert "text of the witness" not in str(refused.value)


@pytest.mark.parametrize(
    "answer",
    [
        answered(200),
        answered(200, line()[:-1]),
        answered(200, b"\n" + line()),
        answered(200, line(TWO)),
        answered(200, line(size=8)),
        answered(200, line(LOG)),
        answered(200, line().replace(ONE.name.encode(), TWO.name.encode())),
        answered(200, line(time=AHEAD_SECONDS + 1)),
        answered(200, line(time=-NOW.timestamp())),
        answered(200, b"\xff" * 100),
        answered(200, b"extension\n\n" + line()),
        answered(201, line()),
        answered(204),
        answered(301, line()),
        answered(400),
        answered(429),
        answered(500),
        answered(503),
        answered(409),
        answered(409, b"08\n"),
        answered(409, b"-1\n"),
        answered(409, b"8 \n"),
        answered(409, b"\xff\n"),
        answered(409, b"9223372036854775808\n"),
        answered(409, b"0\n"),
        *(lambda content, fault=fault: fault for fault in HttpFault),
    ],
)
async def test_anything_else_is_no_answer(answer: Answer) -> None:
    caller = Caller(answer)
    with pytest.raises(WitnessUnanswered) as unanswered:
        await asked(caller)
    assert isinstance(unanswered.value, Temporary)
    assert len(caller.asked) == 1


async def test_lines_of_others_beside_the_witness_are_ignored() -> None:
    body = line(TWO) + line(time=7) + line(log("other"))
    cosigned = await asked(Caller(answered(200, body)))
    assert cosigned == Cosigned(line(time=7), int((NOW + timedelta(seconds=7)).timestamp()))


async def test_a_witness_that_names_another_size_each_time_is_left_alone() -> None:
    sizes = itertools.cycle([1, 2])
    caller = Caller(lambda content: Fetched(409, "text/x.tlog.size", b"%d\n" % next(sizes)))
    with pytest.raises(WitnessUnanswered):
        await asked(caller)
    assert [each.old for each in caller.asked] == [0, 1, 2]


async def test_a_witness_without_an_address_is_not_asked() -> None:
    caller = Caller(answered(200, line()))
    with pytest.raises(WitnessUnanswered):
        await asked(caller, member=Member(ONE.key))
    assert caller.asked == []
