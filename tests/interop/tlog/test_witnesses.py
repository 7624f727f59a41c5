"""Witnesses of other suppliers and ours: the same statuses for any request, and our client with each."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest

from samdrift.audit.merkle import consistency_proof
from samdrift.audit.notes import Note, VerifierKey
from samdrift.audit.policies import Member
from samdrift.net.addresses import any_address
from samdrift.net.entered import EnteredAddressClient
from samdrift.transparency.asking import Refusal, WitnessRefused, cosign
from tests.interop.tlog.requests import KINDS, History
from tests.interop.tlog.test_formats import lenient
from tests.interop.tlog.witnesses import WITNESS, key_of_ours, litewitness, omniwitness, ours, post
from tests.interop.tools import Unavailable, left_out
from tests.sizes import count, seed, soak
from tests.unit.audit.signing import LOG, Signer, checkpoint, log, tree

LOGS = [LOG, *(log(f"log.example/{number}") for number in range(400))]
Start = Callable[[Path, Sequence[Signer]], AbstractContextManager[str]]
STARTS: dict[str, Start] = {"ours": ours, "litewitness": litewitness, "omniwitness": omniwitness}


@pytest.fixture(scope="module")
def addresses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Yield the addresses of the three witnesses, which know the same logs."""
    folder = tmp_path_factory.mktemp("witnesses")
    with ExitStack() as stack:
        try:
            yield {
                name: stack.enter_context(start(folder / name, LOGS)) for name, start in STARTS.items()
            } | {"folder": str(folder)}
        except Unavailable as reason:
            left_out("witnesses in Go", reason)


def key_of(name: str, addresses: dict[str, str]) -> VerifierKey:
    return key_of_ours(Path(addresses["folder"]) / name) if name == "ours" else WITNESS.key


_LENIENT = {"old with zero", "old with sign", "old negative"}
"""Numbers not written as the specification requires; litewitness accepts all, omniwitness the first."""


def expected(kind: str, body: bytes, size: int, our: int, lite: int, omni: int) -> str:
    """Return the name of the deviation that explains the statuses, or an empty text if there is none.

    Where another witness refuses, ours never cosigns; each of their deviations is identified by its kind.
    """
    assert our != 200 or lite == omni == 200, (kind, body)
    if lenient(body) != body and our == 400:
        return "spare bits of base64 that Go overlooks"
    if kind in _LENIENT and our == 400:
        return "a number in another spelling"
    if lite != our:
        assert (our, lite, size) == (422, 200, 0), (kind, body)
        assert kind in {"changed", "proof for nothing"}
        return "litewitness: of an empty tree neither root nor proof is looked at"
    if omni == our:
        return ""
    if size == 0 and omni in (200, 422):
        assert our in (400, 409), (kind, body)
        return "omniwitness: of a first checkpoint the old size is not looked at"
    if kind == "proof too long":
        assert (our, omni) == (400, 422)
        return "omniwitness: the length of a proof is not limited"
    assert omni == 500, (kind, body)
    assert our in (400, 403, 404), (kind, body)
    return "omniwitness: its own error instead of 400, 403 and 404"


@soak
def test_statuses_are_the_same_and_ours_never_cosigns_where_another_refuses(
    addresses: dict[str, str],
) -> None:
    drawn = random.Random(seed(17))
    rest = iter(LOGS[1:])
    history = History(next(rest), drawn)
    seen: Counter[tuple[str, int]] = Counter()
    deviations: Counter[str] = Counter()
    for _ in range(count(600, 2_000)):
        kind = drawn.choice([*KINDS, *["valid"] * 8])
        body = KINDS[kind](history)
        answers = [post(addresses[name], body) for name in STARTS]
        our, lite, omni = (status for status, _, _ in answers)
        deviation = expected(kind, body, history.size, our, lite, omni)
        deviations[deviation] += 1
        seen[kind, our] += 1
        if our == lite == 409:
            assert answers[0][1:] == answers[1][1:] == ("text/x.tlog.size", b"%d\n" % history.size)
        if our == lite == omni == 200:
            history.cosigned(kind, body)
        if history.over or (deviation and 200 in (lite, omni)):
            history = History(next(rest), drawn)
    assert {status for _, status in seen} == {200, 400, 403, 404, 409, 422}
    assert {kind for kind, _ in seen} == set(KINDS)
    assert seen["valid", 422] == 0
    assert deviations[""] > sum(deviations.values()) // 3, deviations


@pytest.mark.parametrize("name", STARTS)
async def test_our_client_gets_a_cosignature_and_is_refused_what_does_not_continue(
    addresses: dict[str, str], name: str
) -> None:
    key, whole = key_of(name, addresses), tree(30)
    member, now = Member(key, addresses[name]), datetime.now(UTC)

    async def proves_nothing(old: int, new: int) -> list[bytes]:
        return []

    async def prove(old: int, new: int) -> list[bytes]:
        return consistency_proof(old, new, whole.node)

    async with EnteredAddressClient(any_address, plain=True) as caller:
        for seen, size in ((0, 5), (0, 21), (21, 21), (3, 30)):
            note = checkpoint(size)
            cosigned = await cosign(caller, member, note, seen, prove, now)
            assert list(Note.parse(note + cosigned.line).verified([key])) == [key]
        with pytest.raises(WitnessRefused) as refused:
            await cosign(caller, member, checkpoint(21), 21, prove, now)
        assert (refused.value.reason, refused.value.seen) == (Refusal.AHEAD, 30)
        forged = History(LOG, random.Random(1)).request(30, 30).partition(b"\n\n")[2]
        with pytest.raises(WitnessRefused) as refused:
            await cosign(caller, member, forged, 30, proves_nothing, now)
        assert refused.value.reason is Refusal.CONTRADICTED
