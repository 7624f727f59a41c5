"""The signed tree of a log in the database: one root for each size, and no row read twice."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import random
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from samdrift.accesspoint.events import APEvent
from samdrift.audit.leaves import Leaf
from samdrift.audit.merkle import MemoryTree, continues, includes
from samdrift.audit.notes import Algorithm, Checkpoint, Note, SignedCheckpoint, VerifierKey, announced
from samdrift.audit.promises import Promise
from samdrift.audit.tiles import Tile, tile_content, tiles_of
from samdrift.contracts.principals import Role
from samdrift.vault.database.session import Row
from samdrift.vault.errors import UnknownRecord, VaultError, VaultRefused
from samdrift.vault.events import VaultEvent
from samdrift.vault.logtree import GapInLog, LogTree, SigningStopped, TreeState
from samdrift.vault.opening import Vault, promised
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.separation.vaultlogin import superuser, vault_login
from tests.sizes import count, seed, soak
from tests.vaults import NOW, Installation

ROLES = (Role.ACCESS_POINT,)
MINUTE = timedelta(minutes=1)
WITNESS = VerifierKey("witness.test/1", Algorithm.COSIGNATURE, bytes(range(32)))


@dataclass
class Asked:
    """A session that counts the rows a tree reads, and can end at a chosen query, as a kill would."""

    tree: LogTree
    rows: int = 0
    writes: list[str] = field(default_factory=list)
    dies_at: int = -1

    def __post_init__(self) -> None:
        self.tree._read = self._counting(self.tree._read)
        self.tree._write = self._counting(self.tree._write, self.writes)

    def _counting(self, query: Any, noted: list[str] | None = None) -> Any:
        async def asked(sql: str, *values: object) -> list[Row]:
            if noted is not None:
                noted.append(sql)
            self.dies_at -= 1
            if self.dies_at == 0:
                raise Killed
            found: list[Row] = await query(sql, *values)
            self.rows += len(found)
            return found

        return asked


class Killed(Exception):
    """Raised where the process ends."""


async def signed(installation: Installation, organisation: ParticipantIdentifier) -> TreeState:
    async with installation.open(organisation, Role.ACCESS_POINT) as vault:
        return await vault.tree.sign(NOW)


async def log(installation: Installation, organisation: ParticipantIdentifier, entries: int) -> None:
    """Add entries, all in one opening."""
    async with installation.open(organisation, Role.ACCESS_POINT) as vault:
        for number in range(entries):
            vault.record(APEvent.AP_TRANSFER_QUEUED, envelope=str(number))


async def keep(tree: LogTree, origin: str, size: int, root: bytes) -> None:
    """Let the database keep a checkpoint, as anyone with the vault's login could."""
    await tree._write(
        "SELECT keep_checkpoint($1, $2, $3, $4, $5, $6, $7::int[], $8::bigint[], $9::bytea[])",
        *(origin, size, root, b"", NOW, b"", [], [], []),
    )


async def leaves(vault: Vault) -> list[Leaf]:
    """Return the leaves that the entries themselves determine."""
    found, after = [], 0
    while page := await vault.log(after):
        found += [one.leaf for one in page if one.leaf is not None]
        after = page[-1].sequence
    return found


async def test_a_checkpoint_is_of_all_entries_and_signed_under_a_random_name(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    await log(installation, organisation, 5)
    state = await signed(installation, organisation)
    assert state.note is not None
    assert state.key is not None
    checked = SignedCheckpoint.parse(state.note, [VerifierKey.parse(state.key)])
    async with installation.open(organisation, Role.ACCESS_POINT) as vault:
        own = await leaves(vault)
        vault_id = vault._room.vault
    size = checked.checkpoint.size
    assert size == state.signed == 6
    assert checked.checkpoint.root == MemoryTree(leaf.hash for leaf in own[:size]).root()
    assert checked.checkpoint.origin == state.origin
    for name in (vault_id, organisation.value, "kommun"):
        assert name not in state.origin
    other = await signed(installation, await installation.organisation(ROLES))
    assert other.origin != state.origin
    assert other.key != state.key


async def test_the_key_is_announced_in_the_log_before_others_need_it(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    first = await signed(installation, organisation)
    again = await signed(installation, organisation)
    assert (first.signed, again.signed) == (1, 2), "the announcement is an entry of its own"
    async with installation.open(organisation, Role.ACCESS_POINT) as vault:
        (entry,) = [one for one in await vault.log() if one.event == VaultEvent.LOG_KEY_ANNOUNCED]
        (kept,) = await vault.tree.keys()
    assert entry.ids == {"key": first.key}
    assert (kept.key, kept.announcement, kept.statement) == (first.key, None, None)


async def test_where_nothing_happened_nothing_is_signed_stored_or_read(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    await log(installation, organisation, 300)
    for _ in range(2):
        state = await signed(installation, organisation)
    async with installation.open(organisation, Role.ACCESS_POINT) as vault:
        asked = Asked(vault.tree)
        keys = vault._room.keys
        assert await asked.tree.sign(NOW + MINUTE) == state
        assert (asked.rows, asked.writes) == (1, [])
        await asked.tree.silent(NOW + MINUTE)
        assert keys is vault._room.keys
    async with installation.open(organisation, Role.ACCESS_POINT) as vault:
        after = await vault.tree.state()
        assert (after.size, after.signed, after.note) == (state.size, state.signed, state.note)
        assert after.checked_at == NOW + MINUTE


async def test_only_what_is_new_is_read(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    await log(installation, organisation, 700)
    for _ in range(2):
        await signed(installation, organisation)
    await log(installation, organisation, 3)
    async with installation.open(organisation, Role.ACCESS_POINT) as vault:
        asked = Asked(vault.tree)
        await asked.tree.sign(NOW)
        assert asked.rows == 3 + len(["state before", "keep_checkpoint", "state after"])


async def test_proofs_and_tiles_are_those_of_the_whole_tree(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    draw = random.Random(seed("proofs"))
    whole = MemoryTree()
    for entries in (1, 254, 1, 300, 700):
        await log(installation, organisation, entries)
        state = await signed(installation, organisation)
    async with installation.open(organisation, Role.ACCESS_POINT) as vault:
        for leaf in (await leaves(vault))[: state.signed]:
            whole.append(leaf.hash)
        size = whole.size
        assert size > 1024
        for _ in range(25):
            new = draw.randint(1, size)
            old, index = draw.randint(0, new), draw.randrange(new)
            proof = await vault.tree.consistency(old, new)
            assert continues(old, new, proof, whole.root(old), whole.root(new))
            path = await vault.tree.inclusion(index, new)
            assert includes(whole.node(0, index), index, new, path, whole.root(new))
        for tile in tiles_of(size):
            assert await vault.tree.tile(tile) == tile_content(tile, whole.node)
        bundle = Tile(None, 1)
        entries_of = bundle.entries(await vault.tree.tile(bundle))
        assert entries_of == [leaf.entry for leaf in (await leaves(vault))[256:512]]
        for beyond in (Tile(0, size // 256, size % 256 + 1), Tile(None, 99, 1), Tile(1, 0, size // 256 + 1)):
            with pytest.raises(UnknownRecord):
                await vault.tree.tile(beyond)


async def test_the_database_refuses_a_second_history(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    await log(installation, organisation, 4)
    for _ in range(2):
        state = await signed(installation, organisation)
    size, root, origin = state.signed or 0, state.edge.root(), state.origin
    for others in (
        (origin, size, bytes(32)),
        (origin, size - 1, root),
        (origin, size + 1, root),
        ("samdrift.log/another", size, root),
    ):
        with pytest.raises(VaultRefused) as refused:
            async with installation.open(organisation, Role.ACCESS_POINT) as vault:
                await keep(vault.tree, *others)
        assert refused.value.code == "SD409"
    async with installation.open(organisation, Role.ACCESS_POINT) as vault:
        assert await vault.tree.state() == state


async def test_answers_of_witnesses_are_kept_the_first_and_the_latest_for_each_size(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    state = await signed(installation, organisation)
    for time, line in ((100, b"first\n"), (160, b"second\n"), (130, b"late\n")):
        async with installation.open(organisation, Role.ACCESS_POINT) as vault:
            await vault.tree.answered(state, WITNESS, NOW, time, line, "")
    async with installation.open(organisation, Role.ACCESS_POINT) as vault:
        await vault.tree.answered(state, WITNESS, NOW + MINUTE, None, None, "it does not answer")
        (known,) = await vault.tree.witnesses()
        (kept,) = await vault.tree.checkpoints()
        assert state.note is not None
        assert (kept.first, kept.last) == (state.note + b"first\n", state.note + b"second\n")
        assert await vault.tree.published() == kept.last
        assert (known.size, known.cosigned_at, known.fault) == (1, 130, "it does not answer")
        assert known.asked_at == NOW + MINUTE
        assert (await vault.tree.state()).checked_at == NOW + MINUTE


async def test_after_a_refusal_nothing_is_signed_until_two_people_have_decided(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    state = await signed(installation, organisation)
    async with installation.open(organisation, Role.ACCESS_POINT) as vault:
        assert await vault.tree.resolve("nothing", "Kim", "Alex", NOW) is None
        assert await vault.tree.refuse(state, WITNESS, "ahead", 99, NOW)
    await log(installation, organisation, 2)
    async with installation.open(organisation, Role.ACCESS_POINT) as vault:
        with pytest.raises(VaultError) as stopped:
            await vault.tree.sign(NOW)
        assert type(stopped.value) is SigningStopped
    with pytest.raises(VaultRefused):
        async with installation.open(organisation, Role.ACCESS_POINT) as vault:
            await keep(vault.tree, state.origin, 1, state.edge.root())
    async with installation.open(organisation, Role.ACCESS_POINT) as vault:
        assert not await vault.tree.refuse(state, WITNESS, "ahead", 99, NOW)
        stopped = (await vault.tree.state()).refusal
        assert stopped is not None
        assert (stopped.reason, stopped.size, stopped.seen, stopped.at) == ("ahead", 1, 99, NOW)
        renamed = await vault.tree.resolve("a backup was restored", "Kim", "Alex", NOW)
    after = await signed(installation, organisation)
    async with installation.open(organisation, Role.ACCESS_POINT) as vault:
        entries = {one.event: one.ids for one in await vault.log()}
        assert after.note is not None
        assert Checkpoint.parse(Note.parse(after.note).text).origin == renamed == after.origin != state.origin
        assert (after.signed, after.refusal) == (after.size, None)
        assert entries[VaultEvent.LOG_WITNESS_REFUSED] == {
            "origin": state.origin,
            "witness": WITNESS.name,
            "reason": "ahead",
            "size": "1",
            "seen": "99",
        }
        assert entries[VaultEvent.LOG_WITNESS_RESOLVED] == {
            "before": state.origin,
            "origin": renamed,
            "decision": "a backup was restored",
            "first": "Kim",
            "second": "Alex",
        }


async def test_a_new_key_is_announced_by_the_one_before_it(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    before = await signed(installation, organisation)
    async with installation.open(organisation, Role.ACCESS_POINT) as vault:
        room = vault._room
    room.keys.relock(room.vault, b"a long passphrase of an officer")
    room.keys.relock(room.vault, None)
    after = await signed(installation, organisation)
    assert before.key is not None
    assert after.key is not None
    assert after.key != before.key
    async with installation.open(organisation, Role.ACCESS_POINT) as vault:
        kept = (await vault.tree.keys())[-1]
        *_, entry = [one for one in await vault.log() if one.event == VaultEvent.LOG_KEY_ANNOUNCED]
    key, former = VerifierKey.parse(after.key), VerifierKey.parse(before.key)
    assert (kept.key, entry.ids["key"], entry.ids["by"]) == (after.key, after.key, before.key)
    assert kept.announcement == base64.b64decode(entry.ids["signature"])
    assert former.verifies(announced(key), kept.announcement)
    assert after.note is not None
    assert SignedCheckpoint.parse(after.note, [key]).checkpoint.size == after.signed


async def test_nothing_is_signed_over_entries_that_are_missing(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    await log(installation, organisation, 4)
    before = await signed(installation, organisation)
    await log(installation, organisation, 3)
    login = await vault_login(installation, organisation, Role.ACCESS_POINT)
    (await superuser(installation)).rows(f"DELETE FROM {login.schema}.log WHERE sequence = 8 RETURNING 1")
    with pytest.raises(GapInLog):
        await signed(installation, organisation)
    async with installation.open(organisation, Role.ACCESS_POINT) as vault:
        assert (await vault.tree.state()).signed == before.signed


async def test_what_is_committed_is_promised_to_whoever_gathers_promises(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    await signed(installation, organisation)
    with promised() as gathered:
        await log(installation, organisation, 3)
        assert len(gathered) == 3
        with contextlib.suppress(Killed):
            async with installation.open(organisation, Role.ACCESS_POINT) as vault:
                vault.record(APEvent.AP_TRANSFER_QUEUED)
                raise Killed
        async with installation.open(organisation, Role.ACCESS_POINT) as vault:
            await vault.tree.state()
        assert len(gathered) == 3, "neither a rollback nor an opening without entries may promise anything"
    await log(installation, organisation, 1)
    assert len(gathered) == 3
    async with installation.open(organisation, Role.ACCESS_POINT) as vault:
        own = {leaf.sequence: leaf.hash for leaf in await leaves(vault)}
        (kept,) = await vault.tree.keys()
    found = [Promise.open(each, [VerifierKey.parse(kept.key)]) for each in gathered]
    assert {each.number: each.leaf for each in found} == {number: own[number] for number in (3, 4, 5)}
    assert {each.origin for each in found} == {VerifierKey.parse(kept.key).name}


async def test_the_operators_own_log_is_signed_in_the_same_way(installation: Installation) -> None:
    tree = installation.gate.operator_tree()
    await tree.sign(NOW)
    state = await tree.sign(NOW)
    assert state.note is not None
    assert state.key is not None
    checked = SignedCheckpoint.parse(state.note, [VerifierKey.parse(state.key)])
    entries, after = [], 0
    while page := await installation.gate.read_operator_log(after):
        entries += [one.leaf.hash for one in page if one.leaf is not None]
        after = page[-1].sequence
    assert checked.checkpoint.root == MemoryTree(entries[: checked.checkpoint.size]).root()


@soak
async def test_a_kill_at_any_step_never_leaves_two_roots_for_one_size(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    """Two processes sign while entries arrive, and each is killed at random steps.

    Only committed checkpoints leave a process; a witness sees those of both.
    """
    draw = random.Random(seed("kills"))
    seen: dict[int, set[bytes]] = defaultdict(set)
    kills, late_ones = 0, list[str | None]()

    async def signer() -> None:
        nonlocal kills
        asked = None
        try:
            async with installation.open(organisation, Role.ACCESS_POINT) as vault:
                asked = Asked(vault.tree, dies_at=draw.randint(0, 7))
                state = await asked.tree.sign(NOW)
                if draw.random() < 0.2:
                    raise Killed
            assert state.note is not None
            stated = Checkpoint.parse(Note.parse(state.note).text)
            seen[stated.size].add(stated.root)
            async with installation.open(organisation, Role.ACCESS_POINT) as vault:
                again = Asked(vault.tree, dies_at=draw.randint(0, 2))
                await again.tree.answered(state, WITNESS, NOW, 1, b"line\n", "")
        except Killed:
            kills += 1
        except VaultRefused as late:
            late_ones.append(late.code)

    async def writer() -> None:
        await log(installation, organisation, draw.randint(0, 3))

    while kills < count(40, 1000):
        await asyncio.gather(signer(), writer(), signer())
    final = await signed(installation, organisation)
    async with installation.open(organisation, Role.ACCESS_POINT) as vault:
        whole = MemoryTree(leaf.hash for leaf in await leaves(vault))
        for kept in await vault.tree.checkpoints(limit=100_000):
            seen[kept.size].add(kept.root)
    assert set(late_ones) <= {"SD409"}, "only a checkpoint that the other process signed first may be refused"
    assert final.signed in seen
    assert len(seen) > 10
    assert {size: roots for size, roots in seen.items() if roots != {whole.root(size)}} == {}
