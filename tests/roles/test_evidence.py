"""Evidence of one message, as a recipient verifies it who has nothing but the file."""

from __future__ import annotations

import asyncio
import io
import json
import re
import tarfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import pytest
import pytest_asyncio
from asn1crypto import pem
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from samdrift.administration.administration import Administration
from samdrift.administration.events import AdminEvent
from samdrift.administration.evidence import export_evidence
from samdrift.administration.logexport import export_log
from samdrift.attestation.archive import ArchiveWriter
from samdrift.attestation.errors import MoveError
from samdrift.attestation.trustfolder import TrustFolder, read_trust
from samdrift.audit.policies import Policy
from samdrift.contracts.messages import Direction, MessageStatus
from samdrift.contracts.principals import Role
from samdrift.evidence.events import ProofEvent
from samdrift.evidence.gathering import Order
from samdrift.evidence.trace import Asked, trace
from samdrift.evidence.traceview import moments
from samdrift.evidence.verifying import EvidenceVerdict, verify_evidence
from samdrift.installation.logturns import LogPlace
from samdrift.messageservice.events import MTEvent
from samdrift.wire.crypto.keys import SigningKey
from samdrift.wire.crypto.softwarekeys import SoftwareSigningKey
from tests import pki
from tests.roles.letters import DRAFT
from tests.roles.member import MT, Member
from tests.roles.stage import Stage
from tests.unit.cli.commandline import in_process, samdrift

Files = dict[str, bytes]
ASKED = Asked("anna", "complaint 7")
VERSION_3, VERSION_6 = b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x05"
"""Version of a certificate in DER, and one that does not exist."""
KEY = SoftwareSigningKey(pki.key(0), pki.root("Anybody", 0).certificate)


async def gathered(member: Member, message_id: str, out: Path, *, section: bool = False) -> bool:
    gate = member.operator.gate
    installation = Administration(member.config, gate._keys, cast(Any, None), gate)
    return await export_evidence(
        installation, Order(member.organisation, message_id, "anna", "complaint 7", section), out
    )


def opened(path: Path) -> Files:
    with tarfile.open(path) as archive:
        return {each.name: archive.extractfile(each).read() for each in archive}  # type: ignore[union-attr]


def trust_of(member: Member) -> TrustFolder:
    return read_trust(member.config.federation.trust / "organisation")


@pytest_asyncio.fixture(scope="module")
async def shown(stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, Path]]:
    """Id of a message that another operator's organisation accepted, and the evidence of both ends."""
    folder = tmp_path_factory.mktemp("evidence")
    message_id = await stage.habo.send(stage.agency.address)
    assert await stage.habo.ends(message_id) is MessageStatus.ACCEPTED
    assert await stage.agency.ends(message_id, Direction.IN) is MessageStatus.NEW
    paths = {}
    for name, member in (("habo", stage.habo), ("agency", stage.agency)):
        paths[name] = folder / name
        assert await gathered(member, message_id, paths[name], section=name == "agency")
    return message_id, paths


@pytest.mark.parametrize("name", ["habo", "agency"])
async def test_both_ends_show_what_happened_with_receipts_that_hold(
    stage: Stage, shown: tuple[str, dict[str, Path]], name: str
) -> None:
    message_id, paths = shown
    verdict = await verify_evidence(paths[name], trust_of(getattr(stage, name)))
    assert [finding for finding in verdict.findings if not finding.holds] == []
    assert verdict.valid
    assert verdict.message == message_id
    files = opened(paths[name])
    assert len([each for each in files if each.startswith("transport-receipts/")]) == 2
    assert len([each for each in files if each.startswith("message-receipts/")]) == 1
    other = stage.agency if name == "habo" else stage.habo
    (certificate,) = [data for each, data in files.items() if each.startswith("peer-certificates/")]
    assert certificate == other.certificate.public_bytes(Encoding.DER), "component-accesspoint 3.4.1"
    judged = [finding.why for finding in verdict.findings if finding.what.startswith("certificate in entry ")]
    encrypted_for = int(name == "habo")
    assert len(judged) == 3 + encrypted_for, (
        "those of the access point in both directions, of the incoming signer, and of the encryption"
    )
    (signed_by,) = [finding.why for finding in verdict.findings if finding.what.startswith("signature in ")]
    assert "has signed an envelope" in signed_by, (
        "one end has the signed message, the other the signed receipt"
    )
    assert all("chain and revocation answers of that time hold" in each for each in judged)
    logs = files["log/ap.jsonl"] + files["log/mt.jsonl"]
    assert logs.count(message_id.encode()) > 4
    everything = b"".join(files.values())
    assert len(files["digests.jsonl"].splitlines()) == 4
    for words in (DRAFT.label, DRAFT.text):
        assert words.encode() not in everything, "evidence must not contain message content"


async def test_that_evidence_was_given_is_in_the_organisations_log(
    stage: Stage, shown: tuple[str, dict[str, Path]]
) -> None:
    message_id, _ = shown
    async with stage.habo.open(MT) as vault:
        given = [
            entry.ids
            for entry in await vault.find_log(message_id)
            if entry.event == ProofEvent.ORGANISATION_EVIDENCE_EXPORTED
        ]
    assert given == [{"message": message_id, "by": "anna", "reason": "complaint 7"}]


async def test_all_of_a_log_is_exported_and_holds_for_whoever_knows_its_key(
    stage: Stage, shown: tuple[str, dict[str, Path]], tmp_path: Path
) -> None:
    gate, out, rules = stage.habo.operator.gate, tmp_path / "log", tmp_path / "policy"
    installation = Administration(stage.habo.config, gate._keys, cast(Any, None), gate)
    written = await export_log(installation, LogPlace(stage.habo.organisation, MT), ASKED, out)
    async with stage.habo.open(MT) as vault:
        (key,) = [each.key for each in await vault.tree.keys()]
        given = [entry.ids for entry in await vault.log(0, 10_000) if entry.event == AdminEvent.LOG_EXPORTED]
    rules.write_text(f"log {key}\nquorum none\n")
    verdict = in_process("log", "verify", out, "--policy", rules, "--max-age", "0", "--json")
    assert verdict.status == 0
    assert verdict.document["size"] == written.signed > 10
    assert given == [{"by": "anna", "reason": "complaint 7"}]
    assert DRAFT.text.encode() not in out.read_bytes()


async def exported(member: Member, folder: Path) -> tuple[list[Path], list[Path]]:
    """Export the logs of a member; return the files, and a policy for each."""
    gate, files, rules = member.operator.gate, [], []
    installation = Administration(member.config, gate._keys, cast(Any, None), gate)
    for role in (Role.ACCESS_POINT, MT):
        name = f"{member.organisation.value.partition(':')[2]}.{role.value}"
        await export_log(installation, LogPlace(member.organisation, role), ASKED, folder / name)
        async with member.open(role) as vault:
            keys = [each.key for each in await vault.tree.keys()]
        (folder / f"{name}.policy").write_text(f"log {keys[0]}\nquorum none\n")
        files.append(folder / name)
        rules.append(folder / f"{name}.policy")
    return files, rules


async def test_the_logs_of_both_operators_agree_about_what_they_exchanged(
    stage: Stage, shown: tuple[str, dict[str, Path]], tmp_path: Path
) -> None:
    own, rules = await exported(stage.habo, tmp_path)
    others, more = await exported(stage.agency, tmp_path)
    options = [part for path in (*rules, *more) for part in ("--policy", path)]
    options += [part for path in others for part in ("--other", path)]
    ended = in_process("log", "reconcile", *own, *options, "--json")
    found = ended.document
    message, _ = shown
    ours = [each for each in found["differences"] if message in (each["about"], *each["ids"].values())]
    assert ours == [], "the logs must agree about this message; other tests plant differences"
    assert ended.status == (1 if found["differences"] else 0)
    for kind in ("submitted-without-transfer", "arrived-not-fetched", "verdict-without-receipt"):
        assert found["compared"][kind] > 0
    for kind in ("delivered-not-arrived", "arrived-not-sent", "receipt-not-given", "identifiers-differ"):
        assert found["compared"][kind] > 0, "the logs of the two operators must have been compared"


async def test_there_is_no_evidence_of_a_message_that_nobody_knows(stage: Stage, tmp_path: Path) -> None:
    assert not await gathered(stage.habo, str(uuid4()), tmp_path / "none")
    assert list(tmp_path.iterdir()) == []


def log_line(change: Callable[[dict[str, Any]], object]) -> Callable[[bytes], bytes]:
    def apply(data: bytes) -> bytes:
        first, *rest = data.splitlines()
        entry = json.loads(first)
        change(entry)
        return b"\n".join([json.dumps(entry).encode(), *rest])

    return apply


@pytest.mark.parametrize(
    ("name", "change", "fails"),
    [
        ("evidence.json", lambda data: data.replace(b"0203:", b"0203:x"), "signature"),
        ("evidence.json.sig", bytes.swapcase, "signature"),
        ("peer-certificates/", lambda data: data.replace(VERSION_3, VERSION_6, 1), "peer-certificates/"),
        ("certificate.pem", lambda data: b"# a note\n" + data, "certificate.pem"),
        ("certificate.pem", lambda data: data + data, "certificate.pem"),
        ("certificate.pem", lambda data: data.replace(b"\n", b"\r\n"), "certificate.pem"),
        (
            "transport-receipts/",
            lambda data: data.replace(b"Id>", b"Id> ", 1),
            "transport-receipts/",
        ),
        ("transport-receipts/", lambda data: b"<nothing/>", "transport-receipts/"),
        ("message-receipts/", lambda data: data + b"<", "message-receipts/"),
        ("log/mt", log_line(lambda entry: entry.update(sequence=entry["sequence"] + 1)), "log/mt.jsonl"),
        ("log/mt", log_line(lambda entry: entry.pop("hash")), "log/mt.jsonl"),
        ("log/ap", lambda data: b"\n".join(reversed(data.splitlines())), "log/ap.jsonl is in order"),
        ("section/mt-0", lambda data: b"\n".join(data.splitlines()[:-1]), "section of mt"),
        ("section/mt-before", lambda data: data[: len(data) // 2], "section/mt-before.json"),
        ("section/ap-0", lambda data: b"\n".join(data.splitlines()[1:]), "log/ap.jsonl in the section"),
        ("section/ap-0", lambda data: b"\n".join(data.splitlines()[::2]), "section/ap-000001.jsonl"),
        ("other/thing", lambda data: b"x", "other/thing"),
        ("log/mt", lambda data: b"[" * 100_000, "log/mt.jsonl"),
        ("log/mt", log_line(lambda entry: entry.update(sequence=1 << 64)), "log/mt.jsonl"),
    ],
)
async def test_what_was_changed_does_not_hold(
    shown: tuple[str, dict[str, Path]],
    tmp_path: Path,
    name: str,
    change: Callable[[bytes], bytes],
    fails: str,
) -> None:
    _, paths = shown
    files = opened(paths["agency"])
    target = next((each for each in files if each.startswith(name)), name)
    verdict = await changed(files, target, change, tmp_path / "changed")
    broken = [finding.what for finding in verdict.findings if not finding.holds]
    assert any(each.startswith(fails) for each in broken), broken
    assert not verdict.valid


async def test_a_signer_of_a_version_that_there_is_not_is_no_evidence_and_no_traceback(
    shown: tuple[str, dict[str, Path]], tmp_path: Path
) -> None:
    files = opened(shown[1]["agency"])
    der = pem.unarmor(files["certificate.pem"])[2].replace(VERSION_3, VERSION_6, 1)
    with pytest.raises(MoveError):
        await changed(files, "certificate.pem", lambda _: pem.armor("CERTIFICATE", der), tmp_path / "odd")
    ended = await asyncio.to_thread(in_process, "evidence", "verify", tmp_path / "odd")
    assert (ended.status, "Traceback" in ended.complaints) == (2, False)


def without(name: str) -> Callable[[Files], Files]:
    return lambda files: {each: data for each, data in files.items() if not each.startswith(name)}


def without_line(name: str, word: str) -> Callable[[Files], Files]:
    """Remove the first line of a file that contains ``word``."""

    def apply(files: Files) -> Files:
        lines = files[name].splitlines()
        cut = next(number for number, line in enumerate(lines) if word.encode() in line)
        return files | {name: b"".join(line + b"\n" for line in lines[:cut] + lines[cut + 1 :])}

    return apply


def altered_receipt(files: Files) -> Files:
    """Replace a receipt by different bytes with the same meaning, which were never exchanged."""
    name = next(each for each in files if each.startswith("message-receipts/"))
    return files | {name: files[name] + b"\n"}


def swapped_certificate(files: Files) -> Files:
    """Replace the peer's certificate by another one under the same name."""
    name = next(each for each in files if each.startswith("peer-certificates/"))
    return files | {name: KEY.certificate.public_bytes(Encoding.DER)}


def added_certificate(files: Files) -> Files:
    name = f"peer-certificates/{KEY.certificate.fingerprint(SHA256()).hex()}.der"
    return files | {name: KEY.certificate.public_bytes(Encoding.DER)}


def swapped_grounds(files: Files) -> Files:
    """Replace the answer that the certificate was judged by with one of another time."""
    name = next(each for each in files if each.endswith(".ocsp"))
    return files | {name: files[name] + b"\n"}


def swapped_signature(files: Files) -> Files:
    """Replace the signature that the entry names with one over other data."""
    name = next(each for each in files if each.startswith("signatures/") and each.endswith(".sig"))
    return files | {name: bytes(384)}


LEFT_OUT: dict[str, tuple[Callable[[Files], Files], str | tuple[str, ...]]] = {
    "the message receipt": (without("message-receipts/"), "message-receipts/"),
    "the transport receipts": (without("transport-receipts/"), "transport-receipts/"),
    "the peers' certificates": (without("peer-certificates/"), "peer-certificates/"),
    "another certificate than the one in the log": (swapped_certificate, "peer-certificates/"),
    "a certificate that no entry names": (added_certificate, "peer-certificates/"),
    "what certificates were judged by": (
        without("grounds/"),
        ("certificate in entry ", "signature in entry "),
    ),
    "another answer of the responder": (swapped_grounds, "certificate in entry "),
    "another's signature on the message": (swapped_signature, "signature in entry "),
    "the signatures on what came in": (without("signatures/"), "signature in entry "),
    "all digests": (without("digests.jsonl"), ("digest of the ", "message-receipts/")),
    "one digest": (without_line("digests.jsonl", "commitment"), ("digest of the ", "message-receipts/")),
    "another receipt than the one in the log": (altered_receipt, "message-receipts/"),
    "an entry that stands in the section": (
        without_line("log/mt.jsonl", "mt:message:new"),
        ("log/mt.jsonl is all of it", "proofs/"),
    ),
}


@pytest.mark.parametrize("what", LEFT_OUT)
async def test_evidence_that_lacks_what_its_log_speaks_of_does_not_hold(
    shown: tuple[str, dict[str, Path]], tmp_path: Path, what: str
) -> None:
    """The organisation itself leaves it out and signs, so every file is intact and the signature holds."""
    change, fails = LEFT_OUT[what]
    verdict = await signed(change(opened(shown[1]["agency"])), tmp_path / "less", KEY)
    broken = [finding.what for finding in verdict.findings if not finding.holds]
    assert broken, "no finding shows what is missing"
    assert all(each.startswith(fails) for each in broken), broken
    also = {
        "one digest": "digest of the ",
        "an entry that stands in the section": "log/mt.jsonl is all of it",
    }
    assert what not in also or any(each.startswith(also[what]) for each in broken), broken
    assert not verdict.valid
    ended = await asyncio.to_thread(in_process, "evidence", "verify", tmp_path / "less", "--json")
    assert (ended.status, ended.document["valid"]) == (1, False)


async def test_evidence_of_version_1_that_lacks_a_receipt_does_not_hold(
    shown: tuple[str, dict[str, Path]], tmp_path: Path
) -> None:
    """Earlier versions of the program destroyed receipts with their message, and named them by number."""
    files = opened(shown[1]["agency"])
    (receipt,) = [each for each in files if each.startswith("message-receipts/")]
    content = files.pop(receipt)
    lacking = await signed(files, tmp_path / "lacking", KEY, version=1)
    assert [one.what for one in lacking.findings if not one.holds] == ["message-receipts"]
    whole = await signed(files | {"message-receipts/000007.xml": content}, tmp_path / "whole", KEY, version=1)
    assert whole.valid


@pytest.mark.parametrize("name", ["habo", "agency"])
async def test_a_deleted_message_leaves_its_receipt_and_digests_as_evidence(
    stage: Stage, tmp_path: Path, name: str
) -> None:
    """A client may delete a message (api-mt-mk 3, deleteMessageById), but none of its proof."""
    member: Member = getattr(stage, name)
    direction = Direction.OUT if name == "habo" else Direction.IN
    message_id = await stage.habo.send(stage.agency.address)
    assert await stage.habo.ends(message_id) is MessageStatus.ACCEPTED
    assert await stage.agency.ends(message_id, Direction.IN) is MessageStatus.NEW
    async with member.open(MT) as vault:
        content = await (await vault.body(message_id, direction)).read_all()
        assert await vault.delete(message_id, direction)
        vault.record(MTEvent.MT_MESSAGE_DELETED, message=message_id)
    assert await gathered(member, message_id, tmp_path / "after")
    verdict = await verify_evidence(tmp_path / "after", trust_of(member))
    assert [finding for finding in verdict.findings if not finding.holds] == []
    files = opened(tmp_path / "after")
    assert MTEvent.MT_MESSAGE_DELETED.encode() in files["log/mt.jsonl"]
    (receipt,) = [data for each, data in files.items() if each.startswith("message-receipts/")]
    kept = {json.loads(line)["sha256"] for line in files["digests.jsonl"].splitlines()}
    assert {sha256(content).hexdigest(), sha256(receipt).hexdigest()} <= kept
    assert [one.what.split(",")[0] for one in verdict.findings if one.what.startswith("digest of the env")]
    assert DRAFT.text.encode() not in b"".join(files.values())


async def policy_of(member: Member) -> Policy:
    """Return the policy of a verifier that knows the keys of a member's logs, and requires no witness."""
    keys = []
    for role in (MT, Role.ACCESS_POINT):
        async with member.open(role) as vault:
            keys += [each.key for each in await vault.tree.keys()]
    return Policy.parse("".join(f"log {key}\n" for key in keys).encode() + b"quorum none\n")


async def test_each_entry_has_a_proof_up_to_a_checkpoint_that_the_policy_accepts(
    stage: Stage, shown: tuple[str, dict[str, Path]]
) -> None:
    rules = await policy_of(stage.agency)
    files = opened(shown[1]["agency"])
    entries = sum(len(files[name].splitlines()) for name in ("log/ap.jsonl", "log/mt.jsonl"))
    assert sum(name.endswith(".tlog-proof") for name in files) == entries > 4
    verdict = await verify_evidence(shown[1]["agency"], None, policy=rules)
    assert verdict.valid
    assert sum("is in the tree of" in finding.why for finding in verdict.findings) == entries
    other = await verify_evidence(shown[1]["agency"], None, policy=await policy_of(stage.habo))
    assert not other.valid
    assert all(finding.what.startswith("proofs/") for finding in other.findings if not finding.holds)


PROOFS: dict[str, Callable[[Files], Files]] = {
    "no proof at all": without("proofs/mt"),
    "the proof of another entry": lambda files: (
        files
        | dict.fromkeys(
            [name for name in files if name.endswith(".tlog-proof")],
            next(data for name, data in files.items() if name.endswith(".tlog-proof")),
        )
    ),
    "other facts than those of the entry": lambda files: {
        name: data.replace(b'"at":"2', b'"at":"1') if name.endswith(".facts") else data
        for name, data in files.items()
    },
    "a checkpoint of another size": lambda files: {
        name: re.sub(rb"\n([0-9]+)\n", rb"\n1\1\n", data) if name.endswith(".tlog-proof") else data
        for name, data in files.items()
    },
    "a proof that is none": lambda files: {
        name: b"x" if name.endswith(".tlog-proof") else data for name, data in files.items()
    },
    "a proof of no entry": lambda files: files | {"proofs/mt-999999.tlog-proof": b"x"},
}


@pytest.mark.parametrize("what", PROOFS)
async def test_an_entry_that_no_witnessed_checkpoint_has_does_not_hold(
    stage: Stage, shown: tuple[str, dict[str, Path]], tmp_path: Path, what: str
) -> None:
    """The organisation itself made and signed the faulty evidence."""
    await signed(PROOFS[what](opened(shown[1]["agency"])), tmp_path / "made", KEY)
    verdict = await verify_evidence(tmp_path / "made", None, policy=await policy_of(stage.agency))
    broken = [finding.what for finding in verdict.findings if not finding.holds]
    assert broken
    assert all(each.startswith("proofs/") for each in broken), broken


async def signed(files: Files, to: Path, key: SigningKey, **statement: object) -> EvidenceVerdict:
    """Sign evidence of these files with ``key``, and return the verdict on it."""
    ends = ("evidence.json", "evidence.json.sig", "certificate.pem")
    document = json.loads(files["evidence.json"]) | statement
    shown = {name: data for name, data in files.items() if name not in ends}
    document["files"] = {name: sha256(data).hexdigest() for name, data in shown.items()}
    encoded = json.dumps(document).encode()
    certificate = key.certificate.public_bytes(Encoding.PEM)
    last = dict(zip(ends, (encoded, key.sign(encoded), certificate), strict=True))
    return await changed(shown | last, "evidence.json", bytes, to)


async def test_receipts_for_another_message_prove_nothing(
    stage: Stage, shown: tuple[str, dict[str, Path]], tmp_path: Path
) -> None:
    """The receipts are intact and correctly signed, but about another message."""
    _, paths = shown
    other = await stage.habo.send(stage.agency.address)
    assert await stage.habo.ends(other) is MessageStatus.ACCEPTED
    assert await gathered(stage.habo, other, tmp_path / "other")
    files, others = opened(paths["habo"]), opened(tmp_path / "other")
    for folder in ("transport-receipts/", "message-receipts/"):
        mixed = {name: data for name, data in files.items() if not name.startswith(folder)}
        mixed = {name: data for name, data in others.items() if name.startswith(folder)} | mixed
        verdict = await signed(mixed, tmp_path / "mixed", KEY)
        broken = {finding.what.partition("/")[0] + "/" for finding in verdict.findings if not finding.holds}
        assert broken == {folder}
        (tmp_path / "mixed").unlink()


async def test_who_signed_must_be_whom_the_verifier_names(
    stage: Stage, shown: tuple[str, dict[str, Path]], tmp_path: Path
) -> None:
    """A certificate that is trusted may still belong to another organisation."""
    _, paths = shown
    async with stage.agency.open(MT) as vault:
        key = vault.proving_key()
    verdict = await signed(opened(paths["habo"]), tmp_path / "forged", key)
    own = (await verify_evidence(paths["habo"], None)).signer.fingerprint(SHA256()).hex()
    assert verdict.valid
    arguments = ("--signer", own, "--json")
    forged = await asyncio.to_thread(in_process, "evidence", "verify", tmp_path / "forged", *arguments)
    broken = [one["what"] for one in forged.document["findings"] if not one["holds"]]
    assert (forged.status, broken) == (1, ["signer is the one named"])
    true = await asyncio.to_thread(in_process, "evidence", "verify", paths["habo"], *arguments)
    assert true.status == 0


async def test_a_file_that_comes_twice_is_no_evidence(
    shown: tuple[str, dict[str, Path]], tmp_path: Path
) -> None:
    """Otherwise a file in front of the signed one could be shown as well."""
    data = shown[1]["agency"].read_bytes()
    size = 512 + -(-int(data[124:135], 8) // 512) * 512
    (tmp_path / "twice").write_bytes(data[:size] + data)
    with pytest.raises(MoveError):
        await verify_evidence(tmp_path / "twice", None)


async def test_a_time_without_a_zone_is_no_evidence(
    shown: tuple[str, dict[str, Path]], tmp_path: Path
) -> None:
    files = opened(shown[1]["habo"])
    with pytest.raises(MoveError):
        await signed(files, tmp_path / "naive", KEY, made_at="2026-01-01T00:00:00")


async def changed(files: Files, target: str, change: Callable[[bytes], bytes], to: Path) -> EvidenceVerdict:
    class Sink(io.BytesIO):
        async def write(self, data: bytes) -> None:  # type: ignore[override]
            super().write(data)

    sink = Sink()
    archive = ArchiveWriter(sink, 0)
    for name, data in (files if target in files else {target: b""} | files).items():
        await archive.add(name, change(data) if name == target else data)
    await archive.end()
    to.write_bytes(sink.getvalue())
    return await verify_evidence(to, None)


async def test_the_signer_is_judged_by_whom_the_verifier_trusts(
    stage: Stage, shown: tuple[str, dict[str, Path]]
) -> None:
    _, paths = shown
    smp = read_trust(stage.habo.config.federation.trust / "smp")
    verdict = await verify_evidence(paths["habo"], smp)
    wrong = {finding.what.rstrip("0123456789") for finding in verdict.findings if not finding.holds}
    assert wrong == {"signer", "certificate in entry "}


@pytest.mark.parametrize("data", [b"", b"x" * 2000, bytes(1024)])
async def test_what_is_no_evidence_is_said_to_be_none(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "file").write_bytes(data)
    with pytest.raises(MoveError):
        await verify_evidence(tmp_path / "file", None)


async def test_the_command_says_whether_it_holds(
    stage: Stage, shown: tuple[str, dict[str, Path]], tmp_path: Path
) -> None:
    message_id, paths = shown
    trust = stage.habo.config.federation.trust / "organisation"
    ended = await asyncio.to_thread(samdrift, "evidence", "verify", paths["habo"], "--trust", trust, "--json")
    assert (ended.status, ended.document["valid"], ended.document["message"]) == (0, True, message_id)
    assert ended.document["signer_checked"]


async def test_evidence_that_nobody_vouches_for_is_no_more_than_consistent(
    stage: Stage, shown: tuple[str, dict[str, Path]], tmp_path: Path
) -> None:
    """Anyone can sign the same files: without --trust, or with a stranger's key, status 0 says too much."""
    _, paths = shown
    trust = stage.habo.config.federation.trust / "organisation"
    await signed(opened(paths["habo"]), tmp_path / "strangers", KEY)
    for asked in ((paths["habo"],), (tmp_path / "strangers",), (tmp_path / "strangers", "--trust", trust)):
        ended = await asyncio.to_thread(in_process, "evidence", "verify", *asked)
        assert (ended.status, "consistent; nobody vouches for it" in ended.output) == (3, True), ended.output
        ended = await asyncio.to_thread(in_process, "evidence", "verify", *asked, "--json")
        assert (ended.document["valid"], ended.document["consistent"]) == (False, True)


async def test_who_traces_a_message_and_why_is_in_each_log_before_anything_is_read(
    stage: Stage, shown: tuple[str, dict[str, Path]]
) -> None:
    message_id, _ = shown
    gate, organisation = stage.agency.operator.gate, stage.agency.organisation
    steps = await trace(gate, organisation, message_id, Asked("kim", "dnr 7"))
    (moment,) = moments(steps, message_id)
    (retrieved,) = [step.at for step in steps if step.what == MTEvent.MT_MESSAGE_RETRIEVED]
    assert (moment.name, moment.at) == ("dispatched-and-received", retrieved)
    for role in (Role.ACCESS_POINT, MT):
        async with stage.agency.open(role) as vault:
            entries = await vault.log(0, 10_000)
        asked = [entry for entry in entries if entry.event == ProofEvent.ORGANISATION_TRACED]
        assert [dict(entry.ids) for entry in asked] == [{"about": message_id, "by": "kim", "reason": "dnr 7"}]
        reading = [entry for entry in entries if entry.principal == "worker:trace by kim"]
        assert reading[0] == asked[0]
        assert {entry.purpose for entry in reading} == {"trace"}
    assert await trace(gate, organisation, str(uuid4()), Asked("kim", "dnr 7")) == ()
