"""Signed notes, checkpoints and cosignatures: the specifications' own examples, and invalid ones."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samdrift.audit.merkle import EMPTY_ROOT
from samdrift.audit.notes import (
    MAX_NOTE,
    MAX_SIGNATURES,
    Algorithm,
    Checkpoint,
    Note,
    Signature,
    SignedCheckpoint,
    VerifierKey,
)
from samdrift.audit.reading import Malformed, Unverified
from tests.unit.audit.signing import LOG, ONE, TWO, Signer, checkpoint, log, tree, witness

PUBLISHED_KEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
PUBLISHED_NOTE = (
    "This is an example message.\n\n— example.com/foo"
    " Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
).encode()
"""The example of c2sp.org/signed-note."""


def test_the_published_note_holds_by_the_published_key() -> None:
    key = VerifierKey.parse(PUBLISHED_KEY)
    assert str(key) == PUBLISHED_KEY
    note = Note.parse(PUBLISHED_NOTE)
    assert bytes(note) == PUBLISHED_NOTE
    assert list(note.verified([key])) == [key]


def test_a_checkpoint_is_written_as_it_is_published() -> None:
    """The example of c2sp.org/tlog-checkpoint."""
    text = b"example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
    read = Checkpoint.parse(text)
    assert (read.origin, read.size, read.extension) == ("example.com/behind-the-sofa", 20852163, ())
    assert read.text == text


def test_a_signed_checkpoint_says_who_cosigned_it_when() -> None:
    stated = Checkpoint(LOG.name, 8, tree(8).root())
    content = stated.signed([LOG.line(stated.text), ONE.line(stated.text, 5), TWO.line(stated.text, 7)])
    signed = SignedCheckpoint.parse(content, [LOG.key], [ONE.key, witness("other").key])
    assert signed == SignedCheckpoint(stated, LOG.key, {ONE.key: 5})
    assert SignedCheckpoint.parse(checkpoint(8), [LOG.key]).cosigned == {}


@pytest.mark.parametrize(
    ("content", "logs", "witnesses"),
    [
        (checkpoint(8), [log("log.example/other")], []),
        (checkpoint(8, [log("log.example/other")]), [log("log.example/other")], []),
        (checkpoint(8, [ONE]), [LOG], [ONE]),
        (checkpoint(8, [ONE]), [LOG], []),
        (checkpoint(8).replace(b"\n8\n", b"\n9\n"), [LOG], []),
        (checkpoint(8, [LOG, ONE]).replace(b"\n8\n", b"\n9\n"), [LOG], [ONE]),
        (checkpoint(8, [LOG], extension=("more",)).replace(b"more", b"less"), [LOG], []),
    ],
    ids=[
        "unknown log",
        "another's origin",
        "witness alone",
        "no known",
        "size",
        "size, cosigned",
        "extension",
    ],
)
def test_what_no_known_log_has_signed_under_its_name_does_not_hold(
    content: bytes, logs: list[Signer], witnesses: list[Signer]
) -> None:
    with pytest.raises(Unverified):
        SignedCheckpoint.parse(content, [each.key for each in logs], [each.key for each in witnesses])


def test_a_signature_in_a_known_name_that_does_not_hold_spoils_the_note() -> None:
    stated = Checkpoint(LOG.name, 8, tree(8).root())
    forged = ONE.line(replace(stated, size=9).text)
    content = stated.signed([LOG.line(stated.text), forged])
    assert SignedCheckpoint.parse(content, [LOG.key]).cosigned == {}
    with pytest.raises(Unverified, match="signature 2"):
        SignedCheckpoint.parse(content, [LOG.key], [ONE.key])


def test_of_several_signatures_by_one_key_the_first_counts() -> None:
    stated = Checkpoint(LOG.name, 8, tree(8).root())
    content = stated.signed([LOG.line(stated.text), ONE.line(stated.text, 5), ONE.line(stated.text, 6)])
    assert SignedCheckpoint.parse(content, [LOG.key], [ONE.key]).cosigned == {ONE.key: 5}


def test_a_cosignature_is_over_a_checkpoint_and_its_time() -> None:
    stated = Checkpoint(LOG.name, 8, tree(8).root())
    line = Signature.parse(ONE.line(stated.text, 5).decode()[:-1], "")
    assert ONE.key.verifies(stated.text, line.signature)
    assert not ONE.key.verifies(stated.text, (6).to_bytes(8) + line.signature[8:])
    assert not ONE.key.verifies(stated.text, line.signature[8:])
    plain = ONE.private.sign(stated.text)
    assert not ONE.key.verifies(stated.text, plain)
    beyond = 2**63
    late = ONE.private.sign(b"cosignature/v1\ntime %d\n" % beyond + stated.text)
    assert not ONE.key.verifies(stated.text, beyond.to_bytes(8) + late)
    text = b"not a checkpoint\n"
    assert not ONE.key.verifies(text, Signature.parse(ONE.line(text).decode()[:-1], "").signature)


def test_one_key_under_two_names_or_for_two_kinds_has_two_ids() -> None:
    key = LOG.key
    ids = {key.id, replace(key, name="x").id, replace(key, algorithm=Algorithm.COSIGNATURE).id}
    assert len(ids) == 3


def written(name: str, material: bytes, digest: str | None = None) -> str:
    key = VerifierKey(name, Algorithm.ED25519, b"\0" * 32)
    return f"{name}+{digest or key.id.hex()}+{base64.b64encode(material).decode()}"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "name",
        "name+00000000",
        str(LOG.key)[:-4],
        str(LOG.key).replace("log.example", "log.exampel"),
        str(LOG.key).replace("log.example", "log example"),
        str(LOG.key).replace("log.example", "log\x85example"),
        str(LOG.key).replace("log.example", "log\texample"),
        str(LOG.key).replace("log.example", "\udcff"),
        str(LOG.key) + "\n",
        str(LOG.key) + " ",
        "+" + str(LOG.key),
        "".join([LOG.name, "+", LOG.key.id.hex().upper(), "+", str(LOG.key).split("+", 2)[2]]),
        written("x", b"\x06" + b"\0" * 32),
        written("x", b"\x01" + b"\0" * 31),
        written("x", b"\x01" + b"\0" * 33),
        written("x", b""),
        written("x", b"\x01" + b"\0" * 32, "0000000"),
    ],
)
def test_a_malformed_key_is_refused(text: str) -> None:
    with pytest.raises(Malformed):
        VerifierKey.parse(text)


GOOD = checkpoint(8, [LOG, ONE])


def lined(change: Callable[[list[bytes]], object]) -> bytes:
    lines = GOOD.split(b"\n")
    change(lines)
    return b"\n".join(lines)


@pytest.mark.parametrize(
    ("content", "where"),
    [
        (b"", ""),
        (GOOD[:-1], ""),
        (GOOD.replace(b"\n\n", b"\n"), ""),
        (GOOD + b"\n", ""),
        (GOOD + b"\xff\n", f"byte {len(GOOD)}"),
        (GOOD.replace(b"\n8", b"\r\n8"), ""),
        (GOOD.replace(b"\n8", b"\t\n8"), ""),
        (GOOD.replace(b"\n8", b"\0\n8"), ""),
        (lined(lambda lines: lines.__setitem__(4, b"- x AAAAAAAA")), "line 5"),
        (lined(lambda lines: lines.__setitem__(4, "— x".encode())), "line 5"),
        (lined(lambda lines: lines.__setitem__(4, "— x AAAAAA==".encode())), "line 5"),
        (lined(lambda lines: lines.__setitem__(5, "— x AAAA AAAA".encode())), "line 6"),
        (lined(lambda lines: lines.__setitem__(5, "— x+y AAAAAAAA".encode())), "line 6"),
        (lined(lambda lines: lines.__setitem__(5, "— x\u00a0y AAAAAAAA".encode())), "line 6"),
        (lined(lambda lines: lines.__setitem__(5, "—  AAAAAAAA".encode())), "line 6"),
        (lined(lambda lines: lines.__setitem__(5, "— x AAAAAAB=".encode())), "line 6"),
        (GOOD + "— x AAAAAAAA\n".encode() * (MAX_SIGNATURES - 1), ""),
        (b"x" * MAX_NOTE + GOOD, ""),
    ],
)
def test_a_malformed_note_is_refused_with_the_place(content: bytes, where: str) -> None:
    with pytest.raises(Malformed) as refused:
        Note.parse(content)
    assert refused.value.where == where


@pytest.mark.parametrize(
    ("text", "where"),
    [
        (b"", ""),
        (b"o\n1\n", ""),
        (b"o\n1\n" + base64.b64encode(EMPTY_ROOT), ""),
        (b"\n1\n" + base64.b64encode(EMPTY_ROOT) + b"\n", "line 1"),
        (b"o\n1\n" + base64.b64encode(EMPTY_ROOT) + b"\n\n", "line 4"),
        *(
            (b"o\n" + size + b"\n" + base64.b64encode(EMPTY_ROOT) + b"\n", "line 2")
            for size in (b"01", b"+1", b"-1", b" 1", b"1 ", b"1e3", b"x", b"9223372036854775808", b"9" * 5000)
        ),
        ("o\n١\n".encode() + base64.b64encode(EMPTY_ROOT) + b"\n", "line 2"),
        (b"o\n1\n" + base64.b64encode(EMPTY_ROOT[:31]) + b"\n", "line 3"),
        (b"o\n1\n" + base64.b64encode(EMPTY_ROOT).rstrip(b"=") + b"\n", "line 3"),
        (b"o\n1\n" + base64.urlsafe_b64encode(b"\xff" * 32) + b"\n", "line 3"),
        (b"o\n1\n" + base64.b64encode(b"\0" * 32).replace(b"A=", b"B=") + b"\n", "line 3"),
    ],
)
def test_a_malformed_checkpoint_is_refused_with_the_line(text: bytes, where: str) -> None:
    with pytest.raises(Malformed) as refused:
        Checkpoint.parse(text)
    assert refused.value.where == where


@given(st.data())
def test_every_changed_byte_of_a_cosigned_checkpoint_is_noticed(data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(GOOD) - 1))
    end = data.draw(st.integers(place, place + 2))
    changed = GOOD[:place] + data.draw(st.binary(max_size=2)) + GOOD[end:]
    if changed != GOOD:
        try:
            signed = SignedCheckpoint.parse(changed, [LOG.key], [ONE.key])
        except (Malformed, Unverified):
            return
        assert signed.cosigned == {}, "a renamed line must not count as this witness's"
