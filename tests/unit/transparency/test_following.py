"""The follower fetches only new entries, and keeps only those that a checkpoint proves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from samdrift.audit.leaves import Leaf
from samdrift.audit.merkle import MemoryTree, leaf_hash
from samdrift.audit.notes import Checkpoint
from samdrift.audit.policies import Policy
from samdrift.audit.reading import Unverified
from samdrift.audit.tiles import bundle, bundles_of, tile_content, tiles_of
from samdrift.contracts.errors import Temporary
from samdrift.net.client import Fetched, FetchLimits, HttpFault, NoAnswer
from samdrift.transparency.following import (
    Contradiction,
    CopyUnusable,
    LogAddress,
    LogContradicted,
    LogCopy,
    LogUnreachable,
    LogUnreadable,
    follow,
    look_back,
)
from tests.unit.audit.signing import LOG, ONE, TWO, Signer, entries, log

POLICY = Policy.parse(f"log {LOG.key}\nwitness W {ONE.key}\nquorum W\n".encode())
ADDRESS = "https://log.example.se/7f3a"
TIME = 1_772_000_000


@dataclass
class Served:
    """A log's files, as served at its address, and the requests for them."""

    files: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    broken: bool = False

    def publish(
        self, facts: list[bytes], signers: tuple[Signer, ...] = (LOG, ONE), origin: str = LOG.name
    ) -> None:
        made = MemoryTree(leaf_hash(fact) for fact in facts)
        stated = Checkpoint(origin, made.size, made.root())
        self.files["checkpoint"] = stated.signed([each.line(stated.text, TIME) for each in signers])
        for tile in tiles_of(made.size):
            self.files[tile.path] = tile_content(tile, made.node)
        for tile in bundles_of(made.size):
            self.files[tile.path] = bundle(facts[tile.start : tile.start + tile.width])

    async def fetch(
        self,
        url: str,
        limits: FetchLimits,
        *,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Fetched:
        assert content is None
        if self.broken:
            raise NoAnswer(HttpFault.TIMEOUT)
        path = url.removeprefix(f"{ADDRESS}/")
        self.asked.append(path)
        body = self.files.get(path)
        assert body is None or len(body) <= limits.max_bytes
        return Fetched(404, "text/plain", b"") if body is None else Fetched(200, "text/plain", body)

    @property
    def address(self) -> LogAddress:
        return LogAddress(self, f"{ADDRESS}/")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "copy.sqlite"


def contents(file: Path) -> list[bytes]:
    with LogCopy(file) as copy:
        found = list(copy.entries())
    assert [number for number, _ in found] == list(range(len(found)))
    return [content for _, content in found]


async def followed(served: Served, file: Path, policy: Policy = POLICY) -> int:
    with LogCopy(file) as copy:
        return (await follow(served.address, policy, copy)).new


async def test_an_old_entry_that_was_changed_since_it_was_copied_is_found_by_lot(file: Path) -> None:
    """The checkpoint is still the one that was signed, so only another look at old bundles shows it."""
    served, facts = Served(), entries(600)
    served.publish(facts)
    assert await followed(served, file) == 600
    served.files["tile/entries/001"] = bundle([*facts[256:300], b"another", *facts[301:512]])
    with LogCopy(file) as copy:
        found = [await looked_back(served, copy) for _ in range(100)]
    assert set(found) == {None, 300}
    assert contents(file) == facts


async def looked_back(served: Served, copy: LogCopy) -> int | None:
    try:
        await look_back(served.address, copy, 0)
    except LogContradicted as contradicted:
        return contradicted.first_wrong
    return None


async def test_only_what_is_new_is_fetched(file: Path) -> None:
    served = Served()
    for size, new, asked in (
        (0, 0, []),
        (1, 1, ["tile/entries/000.p/1"]),
        (1, 0, []),
        (300, 299, ["tile/entries/000", "tile/entries/001.p/44"]),
        (520, 220, ["tile/entries/001", "tile/entries/002.p/8"]),
    ):
        served.publish(entries(size))
        served.asked.clear()
        assert await followed(served, file) == new
        assert served.asked == ["checkpoint", *asked]
        assert contents(file) == entries(size)


def numbered(*numbers: int) -> list[bytes]:
    return [Leaf(number, 1, bytes(32)).entry for number in numbers]


@pytest.mark.parametrize(
    ("numbers", "wrong"),
    [((8, 9, 10), None), ((8, 9, 11), 2), ((8, 9, 9), 2), ((8, 10, 9), 1), ((1, 2, 3, 4), None)],
)
async def test_a_gap_is_found_although_the_log_has_signed_it(
    file: Path, numbers: tuple[int, ...], wrong: int | None
) -> None:
    """Entries are removed, inserted or reordered by a holder of the log's key, without a witness so far."""
    served = Served()
    served.publish(numbered(*numbers))
    if wrong is None:
        assert await followed(served, file) == len(numbers)
        served.publish([*numbered(*numbers), b"of a version that comes later"])
        assert await followed(served, file) == 1
        with LogCopy(file) as copy:
            assert copy.last() == numbers[-1] + 1
            assert copy.entry(numbers[1]) == numbered(numbers[1])[0]
            assert copy.entry(numbers[-1] + 2) is None
        return
    with pytest.raises(LogContradicted) as caught:
        await followed(served, file)
    assert (caught.value.reason, caught.value.first_wrong) == (Contradiction.GAP, wrong)
    assert contents(file) == []


async def test_it_says_when_witnesses_had_seen_it(file: Path) -> None:
    served = Served()
    served.publish(entries(5))
    with LogCopy(file) as copy:
        done = await follow(served.address, POLICY, copy)
    assert (done.checkpoint.checkpoint.size, done.witnessed_at) == (5, TIME)


async def test_a_partial_bundle_that_is_gone_is_read_from_the_full_one(file: Path) -> None:
    served = Served()
    served.publish(entries(200))
    checkpoint = served.files["checkpoint"]
    served.publish(entries(256))
    del served.files["tile/entries/000.p/200"]
    served.files["checkpoint"] = checkpoint
    assert await followed(served, file) == 200
    assert contents(file) == entries(200)


async def test_a_log_that_was_rolled_back_is_told_with_both_checkpoints(file: Path) -> None:
    served = Served()
    served.publish(entries(21))
    await followed(served, file)
    before = served.files["checkpoint"]
    served.publish(entries(8))
    with pytest.raises(LogContradicted) as told:
        await followed(served, file)
    assert told.value.reason is Contradiction.ROLLED_BACK
    assert (told.value.before, told.value.now) == (before, served.files["checkpoint"])
    assert contents(file) == entries(21)


@pytest.mark.parametrize("size", [21, 22, 300])
@pytest.mark.parametrize("place", [0, 7, 20])
async def test_a_log_that_was_written_again_is_found(file: Path, size: int, place: int) -> None:
    """Entries already followed are changed, left out, inserted or swapped, which gives another root."""
    served = Served()
    served.publish(entries(21))
    await followed(served, file)
    before, facts = served.files["checkpoint"], entries(size + 1)
    for forged in (
        [*facts[:place], b"another", *facts[place + 1 : size]],
        [*facts[:place], *facts[place + 1 :]],
        [*facts[:place], b"put in", *facts[place : size - 1]],
    ):
        served.publish(forged)
        with pytest.raises(LogContradicted) as told:
            await followed(served, file)
        assert told.value.reason is Contradiction.FORKED
        assert told.value.before == before
        assert contents(file) == entries(21)


async def test_entries_that_are_not_those_of_the_tree_are_named_by_the_first(file: Path) -> None:
    served = Served()
    served.publish(entries(300))
    for place in (0, 100, 255, 256, 299):
        facts = entries(300)
        facts[place] = b"something else"
        for tile in bundles_of(300):
            served.files[tile.path] = bundle(facts[tile.start : tile.start + tile.width])
        with pytest.raises(LogContradicted) as told:
            await followed(served, file)
        assert told.value.first_wrong == place
        assert str(place) in str(told.value)
        assert contents(file) == []


@pytest.mark.parametrize(
    ("signers", "origin"),
    [((LOG,), LOG.name), ((LOG, TWO), LOG.name), ((log("other"), ONE), LOG.name), ((LOG, ONE), "other")],
)
async def test_a_checkpoint_that_the_policy_does_not_accept_changes_nothing(
    file: Path, signers: tuple[Signer, ...], origin: str
) -> None:
    served = Served()
    served.publish(entries(5))
    await followed(served, file)
    served.publish(entries(8), signers, origin)
    with pytest.raises((LogUnreadable, Unverified)) as told:
        await followed(served, file)
    assert isinstance(told.value, LogUnreadable)
    assert contents(file) == entries(5)


async def test_another_log_of_the_same_policy_is_not_taken_for_this_one(file: Path) -> None:
    other = log("log.example/other")
    both = Policy.parse(f"log {LOG.key}\nlog {other.key}\nquorum none\n".encode())
    served = Served()
    served.publish(entries(5))
    await followed(served, file, both)
    served.publish(entries(8), (other,), other.name)
    with pytest.raises(LogUnreadable, match="another log"):
        await followed(served, file, both)


async def test_what_is_malformed_or_missing_changes_nothing_and_is_told_apart(file: Path) -> None:
    served = Served()
    served.publish(entries(300))
    whole = dict(served.files)
    for path, content, raised in (
        ("checkpoint", b"<html>", LogUnreadable),
        ("checkpoint", None, LogUnreachable),
        ("tile/entries/000", b"\0", LogUnreadable),
        ("tile/entries/000", whole["tile/entries/000"] + b"\0\0", LogUnreadable),
        ("tile/entries/001.p/44", None, LogUnreachable),
    ):
        served.files = dict(whole)
        del served.files[path]
        if content is not None:
            served.files[path] = content
        with pytest.raises((LogUnreadable, LogUnreachable)) as told:
            await followed(served, file)
        assert type(told.value) is raised
        assert isinstance(told.value, Temporary) == (raised is LogUnreachable)
        assert contents(file) == []
    served.files, served.broken = whole, True
    with pytest.raises(LogUnreachable):
        await followed(served, file)
    served.broken = False
    assert await followed(served, file) == 300


async def test_a_checkpoint_whose_witness_names_an_impossible_time_changes_nothing(file: Path) -> None:
    served, stated = Served(), Checkpoint(LOG.name, 3, MemoryTree(map(leaf_hash, entries(3))).root())
    served.publish(entries(3))
    for time, read in ((253_402_214_400, True), (253_402_214_401, False), ((1 << 63) - 1, False)):
        served.files["checkpoint"] = stated.signed([each.line(stated.text, time) for each in (LOG, ONE)])
        if read:
            assert await followed(served, file.with_name("another")) == 3
            continue
        with pytest.raises(LogUnreadable, match="impossible time"):
            await followed(served, file)
        assert contents(file) == []


async def test_a_disk_that_is_full_is_named_and_changes_nothing(file: Path) -> None:
    """SQLite then ends the transaction itself; a later round with more room goes on."""
    served = Served()
    served.publish(entries(5))
    await followed(served, file)
    served.publish([*entries(5), *(bytes(2000) for _ in range(200))])
    with LogCopy(file) as copy:
        pages = copy._database.execute("PRAGMA page_count").fetchone()[0]
        copy._database.execute(f"PRAGMA max_page_count = {pages + 20}")
        with pytest.raises(CopyUnusable, match="the disk is full"):
            await follow(served.address, POLICY, copy)
        assert contents(file) == entries(5)
        copy._database.execute("PRAGMA max_page_count = 1000000")
        assert (await follow(served.address, POLICY, copy)).new == 200


def test_a_file_that_is_no_copy_is_refused(file: Path) -> None:
    file.write_bytes(b"something else" * 100)
    with pytest.raises(CopyUnusable):
        LogCopy(file)
    with pytest.raises(CopyUnusable):
        LogCopy(file.parent / "missing" / "copy")
