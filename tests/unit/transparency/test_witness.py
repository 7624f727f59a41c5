"""The witness: its answers, its memory, and that it never cosigns two histories."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from itertools import pairwise
from pathlib import Path

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.types import ASGIApp

from samdrift.audit.merkle import MemoryTree, consistency_proof, continues, leaf_hash
from samdrift.audit.notes import Checkpoint, Note, SignedCheckpoint
from samdrift.audit.proofs import MAX_REQUEST, WitnessRequest
from samdrift.transparency.witness import Witness, application
from samdrift.transparency.witnessstate import Seen, WitnessState, WitnessStateError, WitnessStateUnavailable
from tests.unit.audit.signing import LOG, ONE, TWO, Signer, entries, log, tree

NOW = datetime(2026, 3, 3, 8, 0, tzinfo=UTC)
OTHER = log("log.example/other")


@dataclass
class Watch:
    """A clock that a test sets."""

    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now


@dataclass
class Scene:
    """A witness and its clock."""

    folder: Path
    clock: Watch = field(default_factory=Watch)

    def __post_init__(self) -> None:
        self.file = self.folder / "state.sqlite"
        self.open(new=True)

    def open(self, *, new: bool = False) -> None:
        self.state = WitnessState(self.file, ONE.key, new=new)
        logs = {LOG.name: [LOG.key], OTHER.name: [OTHER.key]}
        self.witness = Witness(ONE.key, ONE.private.sign, logs, self.state, self.clock)

    def restart(self) -> None:
        self.close()
        self.open()

    def close(self) -> None:
        self.state.__exit__(None, None, None)

    def ask(self, old: int, new: int, **changes: object) -> HTTPStatus:
        return self.witness.add_checkpoint(request(old, new, **changes)).status  # type: ignore[arg-type]


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path)
    yield made
    made.close()


def forked(count: int, at: int) -> MemoryTree:
    """Return a tree that differs from entry ``at`` on."""
    facts = entries(count)
    return MemoryTree(leaf_hash(fact + (b"!" if number >= at else b"")) for number, fact in enumerate(facts))


def request(
    old: int,
    new: int,
    *,
    of: MemoryTree | None = None,
    signer: Signer = LOG,
    origin: str = LOG.name,
    proof: list[bytes] | None = None,
) -> bytes:
    made = of or tree(max(new, old))
    stated = Checkpoint(origin, new, made.root(new))
    path = consistency_proof(old, new, made.node) if proof is None and old <= new else proof or []
    return bytes(WitnessRequest(old, tuple(path), stated.signed([signer.line(stated.text)])))


def test_each_checkpoint_that_continues_the_last_one_is_cosigned(scene: Scene) -> None:
    for old, new in ((0, 0), (0, 3), (3, 3), (3, 21), (21, 21), (21, 22)):
        scene.clock.now += timedelta(minutes=5)
        reply = scene.witness.add_checkpoint(request(old, new))
        assert reply.status == 200
        note = Checkpoint(LOG.name, new, tree(new).root()).signed([reply.body])
        assert Note.parse(note).verified([ONE.key])
        stored = scene.state.checkpoint(LOG.name)
        assert stored is not None
        signed = SignedCheckpoint.parse(stored, [LOG.key], [ONE.key])
        assert (signed.checkpoint.size, signed.cosigned) == (new, {ONE.key: int(scene.clock.now.timestamp())})


def test_it_answers_as_the_specification_says(scene: Scene) -> None:
    assert scene.ask(0, 8) == 200
    for status, changed in {
        404: {"origin": "log.example/unknown"},
        403: {"signer": OTHER},
        422: {"of": forked(21, 5)},
    }.items():
        assert scene.ask(8, 21, **changed) == status
    assert scene.ask(8, 8, of=forked(8, 5)) == 422
    assert scene.ask(8, 21, proof=[]) == 422
    assert scene.ask(8, 21, proof=[b"\0" * 32]) == 422
    assert scene.ask(21, 8) == 400
    for old, new in ((0, 21), (7, 21), (9, 21), (0, 8), (0, 4)):
        reply = scene.witness.add_checkpoint(request(old, new))
        assert (reply.status, reply.body, reply.content_type) == (409, b"8\n", "text/x.tlog.size")
    assert scene.ask(8, 21) == 200


def test_a_first_checkpoint_needs_no_proof_and_takes_none(scene: Scene) -> None:
    assert scene.ask(0, 8, proof=[b"\0" * 32]) == 422
    assert scene.ask(0, 0, of=None) == 200
    stated = Checkpoint(LOG.name, 0, b"\1" * 32)
    body = bytes(WitnessRequest(0, (), stated.signed([LOG.line(stated.text)])))
    assert scene.witness.add_checkpoint(body).status == 422


def test_a_signature_in_the_logs_name_that_does_not_hold_is_forbidden(scene: Scene) -> None:
    stated, other = Checkpoint(LOG.name, 8, tree(8).root()), Checkpoint(LOG.name, 9, tree(9).root())
    lines = [LOG.line(other.text), LOG.line(stated.text)]
    body = bytes(WitnessRequest(0, (), stated.signed(lines)))
    assert scene.witness.add_checkpoint(body).status == 403


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"old 0\n",
        request(0, 8).replace(b"old 0", b"old 00"),
        request(0, 8).replace(b"old 0", b"old -1"),
        request(3, 8).replace(b"=\n", b"\n", 1),
        request(0, 8)[:-1],
        request(0, 8).replace(b"\n\n" + LOG.name.encode(), b"\n\n\xff"),
        b"old 0\n\n\n",
        b"old 0\n\n" + LOG.name.encode(),
    ],
)
def test_what_is_malformed_is_a_bad_request(scene: Scene, body: bytes) -> None:
    assert scene.witness.add_checkpoint(body).status == 400


def test_logs_are_apart(scene: Scene) -> None:
    assert scene.ask(0, 21) == 200
    assert scene.ask(0, 8, origin=OTHER.name, signer=OTHER, of=forked(8, 0)) == 200
    assert scene.ask(21, 22) == 200
    assert scene.ask(0, 8, origin=OTHER.name) == 403


def test_a_clock_that_is_set_back_cosigns_with_no_earlier_time(scene: Scene) -> None:
    scene.ask(0, 8)
    scene.clock.now -= timedelta(days=1)
    scene.ask(8, 9)
    assert scene.state.seen(LOG.name).time == int(NOW.timestamp())


def test_it_remembers_after_a_restart(scene: Scene) -> None:
    assert scene.ask(0, 8) == 200
    scene.restart()
    assert scene.ask(0, 8) == 409
    assert scene.ask(8, 21, of=forked(21, 5)) == 422
    assert scene.ask(8, 21) == 200


def test_a_key_without_its_memory_or_with_anothers_is_not_used(tmp_path: Path) -> None:
    file = tmp_path / "state.sqlite"
    with pytest.raises(WitnessStateError, match="missing"):
        WitnessState(file, ONE.key, new=False)
    with WitnessState(file, ONE.key, new=True):
        pass
    with pytest.raises(WitnessStateError, match="already"):
        WitnessState(file, ONE.key, new=True)
    with pytest.raises(WitnessStateError, match="another name or key"):
        WitnessState(file, TWO.key, new=False)
    for content in (b"", b"not a database at all, but long enough to be looked at" * 20):
        file.write_bytes(content)
        with pytest.raises(WitnessStateError, match="not the state"):
            WitnessState(file, ONE.key, new=False)


def test_nothing_is_cosigned_where_it_cannot_be_remembered(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.ask(0, 8)
    monkeypatch.setattr("samdrift.transparency.witnessstate._SECONDS", 0.1)
    scene.restart()
    with WitnessState(scene.file, ONE.key, new=False) as other:
        other._database.execute("BEGIN EXCLUSIVE")
        with pytest.raises(WitnessStateUnavailable):
            scene.witness.add_checkpoint(request(8, 21))
        app = application(scene.witness, lambda error: None)
        answer = call(app, "POST", "/add-checkpoint", request(8, 21))
        assert answer.status_code == 503
        other._database.execute("ROLLBACK")
    assert scene.ask(8, 21) == 200


def test_after_a_reader_of_the_state_has_delayed_a_commit_the_witness_goes_on(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The transaction that could not be committed is not left open."""
    scene.ask(0, 8)
    monkeypatch.setattr("samdrift.transparency.witnessstate._SECONDS", 0.1)
    scene.restart()
    with WitnessState(scene.file, ONE.key, new=False) as other:
        other._database.execute("BEGIN")
        other._database.execute("SELECT * FROM log").fetchall()
        with pytest.raises(WitnessStateUnavailable):
            scene.witness.add_checkpoint(request(8, 21))
        other._database.execute("ROLLBACK")
    assert scene.state.seen(LOG.name).size == 8
    assert scene.ask(8, 21) == 200


def test_of_many_requests_at_once_one_history_is_cosigned(scene: Scene) -> None:
    """Many callers ask for two histories, and all cosignatures are on one of them."""
    assert scene.ask(0, 5) == 200
    trees = (tree(40), forked(40, 5))
    cosigned: list[tuple[int, MemoryTree]] = []

    def ask(number: int) -> None:
        of = trees[number % 2]
        for new in range(6, 40):
            seen = scene.state.seen(LOG.name).size
            if new >= seen and scene.ask(seen, new, of=of) == 200:
                cosigned.append((new, of))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(6)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len({id(of) for _, of in cosigned}) == 1
    assert max(size for size, _ in cosigned) == scene.state.seen(LOG.name).size


def test_only_the_last_tree_is_replaced(scene: Scene) -> None:
    scene.ask(0, 8)
    stated = Checkpoint(LOG.name, 9, tree(9).root())
    assert not scene.state.advance(Seen(), stated, 1, b"note")
    assert not scene.state.advance(Seen(8, b"\0" * 32, int(NOW.timestamp())), stated, 1, b"note")
    assert scene.state.seen(LOG.name).size == 8


@settings(max_examples=60)
@given(st.data())
def test_whatever_is_asked_what_is_cosigned_is_one_history(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    scene = Scene(tmp_path_factory.mktemp("witness"))
    trees = (tree(12), forked(12, 4), forked(12, 9))
    cosigned: list[tuple[int, bytes]] = []
    for _ in range(data.draw(st.integers(1, 12))):
        old, new = data.draw(st.integers(0, 12)), data.draw(st.integers(0, 12))
        of = data.draw(st.sampled_from(trees))
        if data.draw(st.booleans()):
            old = min(scene.state.seen(LOG.name).size, 12)
        if scene.ask(old, new, of=of) == 200:
            cosigned.append((new, of.root(new)))
    for (one, one_root), (other, other_root) in pairwise(cosigned):
        assert any(
            continues(one, other, consistency_proof(one, other, each.node), one_root, other_root)
            for each in trees
            if one <= other
        )
    scene.close()


def test_over_http(scene: Scene) -> None:
    failures: list[BaseException] = []
    app = application(scene.witness, failures.append)
    answer = call(app, "POST", "/add-checkpoint", request(0, 8))
    assert answer.status_code == 200
    assert answer.content.startswith("— ".encode())
    conflict = call(app, "POST", "/add-checkpoint", request(0, 8))
    assert (conflict.status_code, conflict.headers["content-type"]) == (409, "text/x.tlog.size")
    assert call(app, "GET", "/add-checkpoint").status_code == 405
    assert call(app, "POST", "/").status_code == 404
    assert call(app, "GET", f"/{'f' * 64}/checkpoint").status_code == 404
    large = call(app, "POST", "/add-checkpoint", b"x" * (MAX_REQUEST + 1))
    assert (large.status_code, large.headers.get("connection")) == (400, "close")
    known = call(app, "GET", f"/{digest_of(LOG.name)}/checkpoint")
    assert known.content == scene.state.checkpoint(LOG.name)
    assert call(app, "GET", f"/{digest_of(OTHER.name)}/checkpoint").status_code == 404
    assert failures == []


def digest_of(origin: str) -> str:
    return hashlib.sha256(origin.encode()).hexdigest()


def call(app: ASGIApp, method: str, path: str, content: bytes | None = None) -> httpx.Response:
    async def called() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://witness") as client:
            return await client.request(method, path, content=content)

    return asyncio.run(called())
