"""Our tree, notes, proofs, policies and tiles against Go's: each verifies what the other makes."""

from __future__ import annotations

import base64
import random
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from samdrift.audit.merkle import (
    MemoryTree,
    consistency_proof,
    continues,
    includes,
    inclusion_proof,
    leaf_hash,
)
from samdrift.audit.notes import Checkpoint, Note, SignedCheckpoint
from samdrift.audit.policies import Policy
from samdrift.audit.proofs import EntryProof
from samdrift.audit.reading import Malformed, Unverified
from samdrift.audit.tiles import Tile, bundle, bundles_of, tile_content, tiles_of
from tests.interop.tlog.peer import Peer, decoded
from tests.sizes import count, seed, soak
from tests.unit.audit.signing import LOG, ONE, TWO, checkpoint, entries, log, tree, witness

POLICY = f"log {LOG.key}\nwitness W1 {ONE.key}\nwitness W2 {TWO.key}\ngroup G 1 W1 W2\nquorum G\n".encode()


@pytest.fixture(scope="module")
def peer() -> Iterator[Peer]:
    started = Peer()
    yield started
    started.close()


def verdict(read: object) -> str:
    try:
        read()  # type: ignore[operator]
    except Malformed:
        return "malformed"
    except Unverified:
        return "wrong"
    return "holds"


def test_roots_and_proofs_of_up_to_130_entries_are_the_same(peer: Peer) -> None:
    facts, ours = entries(130), tree(130)
    assert decoded(peer.call("roots", entries=facts)["roots"]) == [ours.root(each) for each in range(131)]
    drawn = random.Random(5)
    for _ in range(60):
        new = drawn.randrange(1, 131)
        index, old = drawn.randrange(new), drawn.randrange(1, new + 1)
        theirs = decoded(peer.call("prove_record", entries=facts, new=new, index=index).get("hashes"))
        assert theirs == inclusion_proof(index, new, ours.node)
        assert includes(leaf_hash(facts[index]), index, new, theirs, ours.root(new))
        theirs = decoded(peer.call("prove_tree", entries=facts, new=new, old=old).get("hashes"))
        assert theirs == consistency_proof(old, new, ours.node)
        assert continues(old, new, theirs, ours.root(old), ours.root(new))


def test_damaged_proofs_get_the_same_verdict(peer: Peer) -> None:
    facts, ours, drawn = entries(60), tree(60), random.Random(7)
    verdicts: Counter[bool] = Counter()
    for _ in range(300):
        new = drawn.randrange(1, 61)
        index, old = drawn.randrange(new), drawn.randrange(1, new + 1)
        path, proof = inclusion_proof(index, new, ours.node), consistency_proof(old, new, ours.node)
        for hashes in (path, proof):
            match drawn.randrange(5):
                case 0 if hashes:
                    hashes.pop(drawn.randrange(len(hashes)))
                case 1:
                    hashes.insert(drawn.randrange(len(hashes) + 1), drawn.randbytes(32))
                case 2 if hashes:
                    hashes[drawn.randrange(len(hashes))] = drawn.randbytes(32)
                case 3:
                    drawn.shuffle(hashes)
        said = peer.call(
            "check_record",
            hashes=path,
            new=new,
            new_root=ours.root(new),
            index=index,
            leaf=leaf_hash(facts[index]),
        )
        holds = includes(leaf_hash(facts[index]), index, new, path, ours.root(new))
        assert holds == (said["verdict"] == "holds")
        said = peer.call(
            "check_tree", hashes=proof, new=new, new_root=ours.root(new), old=old, old_root=ours.root(old)
        )
        assert continues(old, new, proof, ours.root(old), ours.root(new)) == (said["verdict"] == "holds")
        verdicts[holds] += 1
    assert min(verdicts[True], verdicts[False]) > 50


def test_go_verifies_what_we_sign_and_we_what_go_signs(peer: Peer) -> None:
    said = peer.call("checkpoint", policy=POLICY, content=checkpoint(21, [LOG, ONE]))
    assert (said["verdict"], said["origin"], said["size"]) == ("holds", LOG.name, 21)
    assert base64.b64decode(said["root"]) == tree(21).root()
    text = Checkpoint(LOG.name, 21, tree(21).root()).text
    signed = peer.call("sign", seed=LOG.private.private_bytes_raw(), name=LOG.name, content=text)
    cosigned = peer.call("cosign", seed=ONE.private.private_bytes_raw(), name=ONE.name, content=text)
    assert (signed["key"], cosigned["key"]) == (str(LOG.key), str(ONE.key))
    one, other = (base64.b64decode(each["content"]) for each in (signed, cosigned))
    assert one == checkpoint(21), "Ed25519 signatures are deterministic"
    both = one + bytes(Note.parse(other).signatures[0])
    assert Policy.parse(POLICY).open(both).cosigned[ONE.key] > 1_700_000_000


def test_go_verifies_our_proofs_and_writes_the_same_ones(peer: Peer) -> None:
    facts, ours = entries(21), tree(21)
    content = checkpoint(21, [LOG, ONE])
    for index in range(21):
        path = inclusion_proof(index, 21, ours.node)
        written = bytes(EntryProof(index, tuple(path), content, b"extra"))
        assert (
            peer.call("proof", policy=POLICY, leaf=leaf_hash(facts[index]), content=written)["verdict"]
            == "holds"
        )
        theirs = peer.call("format_proof", index=index, leaf=b"extra", hashes=path, content=content)[
            "content"
        ]
        assert base64.b64decode(theirs) == written
        other = peer.call("proof", policy=POLICY, leaf=leaf_hash(facts[index - 1]), content=written)
        assert other["verdict"] == "wrong"


def damaged(content: bytes, drawn: random.Random) -> bytes:
    """Return ``content`` with bits flipped, bytes inserted or removed, or the end cut off."""
    place = drawn.randrange(len(content))
    match drawn.randrange(6):
        case 0 | 1:
            return content[:place] + bytes([content[place] ^ 1 << drawn.randrange(8)]) + content[place + 1 :]
        case 2:
            return content[:place] + drawn.randbytes(drawn.randint(1, 3)) + content[place:]
        case 3:
            return content[:place] + content[place + drawn.randint(1, 40) :]
        case 4:
            return content[:place]
        case _:
            lines = content.splitlines(keepends=True)
            number = drawn.randrange(len(lines))
            lines[number] = drawn.choice([b"", lines[number] * 2, b"\n" + lines[number], lines[-1]])
            return b"".join(lines)


_BASE64 = re.compile(rb"[A-Za-z0-9+/]{20,}={0,2}")


def lenient(content: bytes) -> bytes:
    """Return ``content`` with canonical base64: Go's decoder ignores spare bits and carriage returns."""

    def canonical(found: re.Match[bytes]) -> bytes:
        try:
            return base64.b64encode(base64.b64decode(found[0]))
        except ValueError:
            return found[0]

    return _BASE64.sub(canonical, content.replace(b"\r", b""))


@soak
def test_1_500_damaged_files_get_the_same_verdict_and_none_holds(peer: Peer) -> None:
    """Damaged proofs with a checkpoint: verdicts differ only where Go's base64 decoder is more lenient."""
    ours, drawn = tree(21), random.Random(seed(11))
    policy, leaf = Policy.parse(POLICY), leaf_hash(entries(21)[13])
    kept = EntryProof(13, tuple(inclusion_proof(13, 21, ours.node)), checkpoint(21, [LOG, ONE]))
    lines = set(Note.parse(kept.checkpoint).signatures)
    verdicts: Counter[str] = Counter()
    while sum(verdicts.values()) < count(1_500, 20_000):
        content = damaged(bytes(kept), drawn)
        read = verdict(lambda content=content: EntryProof.parse(content).verify(leaf, policy))  # type: ignore[misc]
        said = peer.call("proof", policy=POLICY, leaf=leaf, content=content)
        if lenient(content) != content:
            assert read != "holds"
        elif read == "holds":
            assert said["verdict"] == "holds"
            doubled = Note.parse(EntryProof.parse(content).checkpoint).signatures
            assert set(doubled) == lines, "the only accepted damage is a repeated signature line"
        else:
            assert said["verdict"] != "holds", content
            verdicts[f"{read} {said['verdict']}"] += 1
    two_faults = verdicts.pop("malformed wrong", 0)
    assert two_faults <= sum(verdicts.values()) // 1_000, (
        "rare: files with two faults, or a spelling of a number that only Go accepts"
    )
    assert set(verdicts) == {"malformed malformed", "wrong wrong"}, verdicts
    assert min(verdicts.values()) > 200, verdicts


@soak
def test_policies_that_both_read_mean_the_same(peer: Peer) -> None:
    drawn, read = random.Random(seed(13)), 0
    witnesses = [witness(f"w{number}.example") for number in range(5)]
    for _ in range(count(150, 2_000)):
        lines = [f"log {LOG.key}"]
        lines += [f"witness W{number} {each.key}" for number, each in enumerate(witnesses)]
        names = [f"W{number}" for number in range(5)]
        drawn.shuffle(names)
        first = drawn.randint(1, 4)
        lines.append(
            f"group A {drawn.choice(['any', 'all', drawn.randint(1, first)])} {' '.join(names[:first])}"
        )
        rest = ["A", *names[first:]][: drawn.randint(1, 5)]
        lines.append(f"group B {drawn.choice(['any', 'all', drawn.randint(0, 6)])} {' '.join(rest)}")
        lines.append(f"quorum {drawn.choice(['A', 'B', 'W0', 'none', 'C'])}")
        if drawn.randrange(6) == 0:
            lines[drawn.randrange(len(lines))] = drawn.choice(
                ["log", "group", "quorum A", "nothing", lines[1]]
            )
        content = "".join(f"{line}\n" for line in lines).encode()
        signers = [LOG, *drawn.sample(witnesses, drawn.randint(0, 5))]
        note = checkpoint(8, signers)
        ours = verdict(lambda content=content: Policy.parse(content))  # type: ignore[misc]
        theirs = peer.call("policy", policy=content)["verdict"]
        if ours == "holds":
            assert theirs == "holds", content
            read += 1
            said = peer.call("checkpoint", policy=content, content=note)["verdict"]
            found = verdict(lambda content=content, note=note: Policy.parse(content).open(note))  # type: ignore[misc]
            assert found == said, content
    assert read > 50


@pytest.mark.parametrize("number", [1, 255, 256, 257, 700])
def test_go_reads_our_tiles_and_writes_the_same_ones(peer: Peer, tmp_path: Path, number: int) -> None:
    facts = entries(number)
    ours = MemoryTree(leaf_hash(entry) for entry in facts)
    paths = []
    for tile in tiles_of(number):
        paths.append(tile.path)
        _write(tmp_path / "ours" / tile.path, tile_content(tile, ours.node))
    for tile in bundles_of(number):
        _write(tmp_path / "ours" / tile.path, bundle(facts[tile.start : tile.start + tile.width]))
    _write(tmp_path / "ours" / "checkpoint", checkpoint(number, [LOG, ONE]))
    read = peer.call("read_tiles", policy=POLICY, folder=str(tmp_path / "ours"))
    assert read["verdict"] == "holds", read
    assert decoded(read["entries"]) == facts
    theirs = peer.call("write_tiles", entries=facts, folder=str(tmp_path / "theirs"))["paths"]
    assert sorted(theirs) == sorted(paths)
    for path in paths:
        assert (tmp_path / "theirs" / path).read_bytes() == (tmp_path / "ours" / path).read_bytes()
        assert Tile.parse(path).path == path
    bundles = tmp_path / "ours" / "tile" / "entries" / ("000" if number >= 256 else f"000.p/{number}")
    bundles.write_bytes(bundles.read_bytes().replace(b"entry 0", b"entry X"))
    assert peer.call("read_tiles", policy=POLICY, folder=str(tmp_path / "ours"))["verdict"] == "wrong"


def test_a_checkpoint_of_another_log_holds_for_neither(peer: Peer) -> None:
    for content in (
        checkpoint(8, [log("other"), ONE]),
        checkpoint(8, [LOG, ONE], origin="other"),
        checkpoint(8, [LOG]),
        checkpoint(8, [ONE, TWO]),
    ):
        assert peer.call("checkpoint", policy=POLICY, content=content)["verdict"] == "wrong"
        with pytest.raises(Unverified):
            Policy.parse(POLICY).open(content)
    with pytest.raises(Unverified):
        SignedCheckpoint.parse(checkpoint(8, [ONE]), [], [ONE.key])


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
