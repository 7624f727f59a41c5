"""Proofs and sections in evidence, and the file as a whole: each fault is found and named."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import timedelta
from hashlib import sha256
from io import BytesIO

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from samdrift.attestation.archive import ArchiveWriter
from samdrift.attestation.errors import MoveError
from samdrift.audit.entries import LogEntry
from samdrift.audit.merkle import inclusion_proof
from samdrift.audit.notes import Checkpoint
from samdrift.audit.proofs import EntryProof
from samdrift.contracts.principals import Role
from samdrift.evidence import verifying
from samdrift.messageservice.events import MTEvent
from samdrift.wire.as4 import build_receipt, read_message
from samdrift.wire.wssec import Part, build_body, build_envelope, build_signature
from tests.unit.audit.logs import BEGUN, Log, policy, stated
from tests.unit.evidence.test_verifying import KEY, MESSAGE, entry, hash_of, look, statement
from tests.unit.wire.as4.parties import decryption, packed, receiver

FILE = "proofs/mt-2"
KINDS = ("entry", "facts", "tlog-proof")
SEEN = BEGUN + timedelta(seconds=30)


def log() -> Log:
    found = Log()
    for number in range(3):
        found.add(MTEvent.MT_MESSAGE_READ, BEGUN, bytes([number]) * 32, message=MESSAGE)
    return found


def placed(found: Log, index: int) -> LogEntry:
    row = found.rows[index]
    return LogEntry.placed(row.happening, row.number, b"", row.hash, row.retention, row.salt)


ENTRY = placed(log(), 1)


def parts(*, index: int = 1, note: bytes | None = None) -> list[bytes | None]:
    found = log()
    assert ENTRY.leaf is not None
    path = tuple(inclusion_proof(index, 3, found.tree().node))
    proof = EntryProof(index, path, note or stated(found, 3, SEEN))
    return [ENTRY.leaf.entry, ENTRY.salt + ENTRY.happening.content(), bytes(proof)]


def test_an_entry_in_the_tree_of_its_checkpoint_holds_and_says_what_was_not_checked() -> None:
    found = verifying._proof(FILE, ENTRY, parts(), None)
    why = "is in the tree of 3 entries; who signed and saw it was not checked (--policy)"
    assert found == verifying.Finding(FILE, True, why)
    found = verifying._proof(FILE, ENTRY, parts(index=2), None)
    assert found == verifying.Finding(FILE, False, "is not in the tree of its checkpoint")


def test_by_a_policy_the_checkpoint_is_signed_and_its_witnesses_saw_the_entry() -> None:
    found = verifying._proof(FILE, ENTRY, parts(), policy())
    assert (found.holds, "entry 2 is in the tree of 3 entries" in found.why) == (True, True)
    found = verifying._proof(FILE, ENTRY, parts(index=2), policy())
    assert (found.holds, "the entry is not in the tree at this place" in found.why) == (False, True)
    assert not verifying._proof(FILE, ENTRY, parts(note=stated(log(), 3, SEEN, ())), policy()).holds
    early = stated(log(), 3, BEGUN - timedelta(days=1))
    found = verifying._proof(FILE, ENTRY, parts(note=early), policy())
    assert (found.holds, found.why.startswith("its time is after")) == (False, True)


def test_what_needs_no_proof_hides_nothing_that_comes_after_it() -> None:
    """Logs from before a move, and entries from before the tree, need no proof."""
    before = verifying._entry(entry(1, bytes(32)))
    found = verifying._Said(entries={"log/mt-former.jsonl": [before], "log/mt.jsonl": [before, ENTRY]})
    assert [one.what for one in verifying._proofs(found, verifying.VERSION, policy())] == [FILE]


@pytest.mark.parametrize("missing", [0, 1, 2])
def test_without_a_part_of_its_proof_an_entry_holds_only_where_no_policy_is_asked(missing: int) -> None:
    some = parts()
    some[missing] = None
    why = "no checkpoint had this entry when the evidence was made"
    assert verifying._proof(FILE, ENTRY, some, None) == verifying.Finding(FILE, True, why)
    assert verifying._proof(FILE, ENTRY, some, policy()) == verifying.Finding(FILE, False, why)


@pytest.mark.parametrize(("place", "data"), [(0, b"another"), (1, b"another"), (2, b"rubbish")])
def test_a_part_of_another_entry_or_form_does_not_hold(place: int, data: bytes) -> None:
    some = parts()
    some[place] = data
    assert not verifying._proof(FILE, ENTRY, some, None).holds


def with_proofs(*names: str) -> verifying._Said:
    files = dict(zip((f"{FILE}.{kind}" for kind in KINDS), parts(), strict=True))
    found = verifying._Said(entries={"log/mt-former.jsonl": [ENTRY], "log/mt.jsonl": [ENTRY]})
    found.proofs = {name: data for name, data in files.items() if data} | dict.fromkeys(names, b"")
    return found


def test_every_entry_of_a_tree_has_its_proof_and_there_is_no_proof_besides() -> None:
    found = verifying._proofs(with_proofs("proofs/mt-9.entry"), 5, policy())
    assert [(one.what, one.holds) for one in found] == [(FILE, True), ("proofs/mt-9.entry", False)]
    assert list(verifying._proofs(with_proofs("proofs/mt-9.entry"), 4, policy())) == []


@pytest.mark.parametrize(
    ("document", "holds"),
    [
        ({"size": 1, "peaks": ["00" * 32]}, True),
        ({"size": 3, "peaks": ["00" * 32, "11" * 32]}, True),
        ({"size": 3, "peaks": ["00" * 32]}, False),
        ({"size": 1, "peaks": ["00" * 31]}, False),
        ({"size": 3, "peaks": ["00" * 32, "11" * 31]}, False),
        ({"size": 0, "peaks": []}, False),
        ({"size": -1, "peaks": ["00" * 32]}, False),
        ({"size": True, "peaks": ["00" * 32]}, False),
        ({"size": 1.0, "peaks": ["00" * 32]}, False),
    ],
)
def test_a_tree_before_a_section_has_the_size_that_it_says(document: dict[str, object], holds: bool) -> None:
    said = verifying._Said()
    verifying._look(said, verifying.before_file(Role.MESSAGE_SERVICE), json.dumps(document).encode())
    assert (Role.MESSAGE_SERVICE.value in said.before, said.findings == []) == (holds, holds)


def section(
    *lines: bytes, about: Sequence[int] = (), name: str = "section/mt-000001.jsonl"
) -> dict[str, bool]:
    """Return findings about a section of these entries; the log's file has those at the places ``about``."""
    said = verifying._Said(entries={"log/mt.jsonl": [verifying._entry(lines[place]) for place in about]})
    verifying._look(said, name, b"\n".join(lines))
    assert said.findings == []
    head = {"entries": len(lines), "head": hash_of(lines[-1]).hex(), "size": 0}
    return {one.what: one.holds for one in verifying._section(said, "mt", {"mt": head}, MESSAGE)}


def test_a_section_shows_that_no_entry_about_the_message_was_left_out() -> None:
    first = entry(1, bytes(32), message=MESSAGE, envelope="e")
    other = entry(2, hash_of(first), message="another")
    third = entry(3, hash_of(other), envelope="e")
    lines = (first, other, third)
    good = {"section of mt": True, "log/mt.jsonl in the section": True, "log/mt.jsonl is all of it": True}
    assert section(*lines, about=(0, 2)) == good
    assert section(*lines, about=(0, 2), name="section/mt-last.jsonl") == good
    assert section(*lines, about=(0,)) == good | {"log/mt.jsonl is all of it": False}
    assert section(*lines, about=()) == good | {"log/mt.jsonl is all of it": False}
    plain = (entry(1, bytes(32), other="x"),)
    assert section(*plain) == good, "entries that name none of these identifiers need not be included"


def test_what_a_section_found_is_said_in_words() -> None:
    line = entry(1, bytes(32))
    said = verifying._Said()
    verifying._look(said, "section/mt-000001.jsonl", line)
    *_, found = verifying._section(said, "mt", {}, MESSAGE)
    assert found.why == "entry 1 is about the message but is missing"
    said.entries["log/mt.jsonl"] = [verifying._entry(line)]
    *_, found = verifying._section(said, "mt", {}, MESSAGE)
    assert found.why == "no entry was left out"


@pytest.mark.parametrize("commitment", ["0" * 64, "f" * 64])
def test_a_digest_for_a_commitment_before_or_after_its_own_is_refused(commitment: str) -> None:
    line = {"salt": "00", "sha256": "00" * 32, "commitment": commitment}
    assert not look(verifying.DIGESTS_FILE, json.dumps(line).encode()).holds


class _Sink:
    def __init__(self) -> None:
        self.data = BytesIO()

    async def write(self, data: bytes) -> None:
        self.data.write(data)


async def archive(*files: tuple[str, bytes]) -> BytesIO:
    sink = _Sink()
    writer = ArchiveWriter(sink, 0)
    for name, data in files:
        await writer.add(name, data)
    await writer.end()
    sink.data.seek(0)
    return sink.data


README = (verifying.README_FILE, b"read me")
DOCUMENT = statement(files={README[0]: sha256(README[1]).hexdigest()})
SIGNED = (
    (verifying.STATEMENT_FILE, DOCUMENT),
    (verifying.SIGNATURE_FILE, KEY.sign(DOCUMENT)),
    (verifying.SIGNER_FILE, KEY.certificate.public_bytes(Encoding.PEM)),
)


async def test_a_file_of_evidence_is_its_parts_then_what_is_signed_then_the_signature() -> None:
    verdict = await verifying.verify_evidence_in(await archive(README, *SIGNED), None)
    assert verdict.valid
    assert [one.what for one in verdict.findings] == ["signature", "files"]
    digests = "".join([*verifying.DIGESTS_FILE])
    verdict = await verifying.verify_evidence_in(await archive((digests, b""), *SIGNED), None)
    assert [one.what for one in verdict.findings if one.holds] == ["signature", digests]
    for files, wrong in (
        (SIGNED, ["files"]),
        ((README, (verifying.PROGRAM_FILE, b""), *SIGNED), ["files"]),
        ((README, SIGNED[0], (SIGNED[1][0], b"another"), SIGNED[2]), ["signature"]),
    ):
        verdict = await verifying.verify_evidence_in(await archive(*files), None)
        assert [one.what for one in verdict.findings if not one.holds] == wrong


@pytest.mark.parametrize(
    "files",
    [
        (),
        (README,),
        (README, README, *SIGNED),
        (README, *SIGNED[:2]),
        (README, *SIGNED, ("more", b"")),
    ],
)
async def test_a_file_with_fewer_or_more_parts_is_no_evidence(files: tuple[tuple[str, bytes], ...]) -> None:
    with pytest.raises(MoveError):
        await verifying.verify_evidence_in(await archive(*files), None)


async def test_the_signer_is_the_one_that_was_named() -> None:
    fingerprint = KEY.certificate.fingerprint(SHA256()).hex()
    for signer, valid in ((fingerprint, True), ("00" * 32, False)):
        verdict = await verifying.verify_evidence_in(await archive(README, *SIGNED), None, signer)
        assert verdict.valid is valid


def transport_receipt(*, covered: bool) -> bytes:
    """Return a receipt of a peer; its signature may leave out the part that makes it a receipt."""
    sent = packed()
    received = read_message(sent.content_type, sent.body, decryption(receiver()))
    soap = build_receipt(
        user_message=received.header.user_message,
        references=received.references,
        message_id="r-1@ap.example",
        now=BEGUN,
        signer=receiver().signing_key(),
    ).body
    if covered:
        return soap
    found = re.search(r'<eb:Messaging .*wsu:Id="(Messaging-[0-9a-f]+)".*</eb:Messaging>', soap.decode())
    assert found is not None
    body = build_body("Body")
    signed = build_signature((body,), None, receiver().signing_key(), "Signer")
    return build_envelope([signed.markup], Part(found[1], found[0]), body)


def test_a_transport_receipt_is_signed_over_what_it_says() -> None:
    said = verifying._Said()
    verifying._look(said, "transport-receipts/1-got.soap", transport_receipt(covered=True))
    (found,) = said.findings
    ((kind, subject),) = said.receipts.values()
    assert (found.holds, kind) == (True, "as4")
    assert found.why.endswith(f" for {subject}")
    assert subject != ""
    found = look("transport-receipts/1-got.soap", transport_receipt(covered=False))
    assert (found.holds, found.why) == (False, "the signature does not cover the receipt")


@pytest.mark.parametrize(("later", "holds"), [(0, True), (1, False)])
def test_an_entry_may_be_as_much_younger_than_its_witnesses_saw_it_as_clocks_differ(
    later: int, holds: bool
) -> None:
    checkpoint = Checkpoint("log.example/1", 3, bytes(32))
    seen = int(BEGUN.timestamp()) - verifying.TOLERANCE - later
    assert verifying._witnessed(FILE, ENTRY, checkpoint, seen).holds is holds


@pytest.mark.parametrize("time", [253_402_300_799, 1 << 40, (1 << 63) - 1])
def test_a_time_that_cannot_be_computed_with_is_impossible(time: int) -> None:
    checkpoint = Checkpoint("log.example/1", 3, bytes(32))
    try:
        found = verifying._witnessed(FILE, ENTRY, checkpoint, time)
    except OverflowError as error:
        raise AssertionError(f"it ends with {error!r}") from error
    assert (found.holds, found.why) == (False, "its witnesses name an impossible time")


def test_entries_of_the_chain_have_no_proof_and_those_after_them_have() -> None:
    said = verifying._Said(entries={"log/mt.jsonl": [verifying._entry(entry(1, bytes(32))), ENTRY]})
    assert [one.what for one in verifying._proofs(said, 5, None)] == [FILE]
