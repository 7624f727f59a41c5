"""What an organisation shows of one message is believed by somebody who has nothing but the file."""

from __future__ import annotations

import asyncio
import io
import json
import tarfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from samdrift.app.administration import Administration
from samdrift.app.evidence.gathering import Order, gather
from samdrift.app.evidence.verifying import EvidenceVerdict, verify_evidence
from samdrift.app.moving.archive import ArchiveWriter
from samdrift.app.moving.errors import MoveError
from samdrift.app.trustfolder import TrustFolder, read_trust
from samdrift.audit.events import AuditEvent
from samdrift.contracts.messages import Direction, MessageStatus
from samdrift.wire.keys import SigningKey
from samdrift.wire.softwarekeys import SoftwareSigningKey
from tests import pki
from tests.roles.letters import DRAFT
from tests.roles.member import MT, Member
from tests.roles.stage import Stage
from tests.unit.app.commandline import samdrift

Files = dict[str, bytes]
KEY = SoftwareSigningKey(pki.key(0), pki.root("Anybody", 0).certificate)


async def gathered(member: Member, message_id: str, out: Path, *, section: bool = False) -> bool:
    gate = member.operator.gate
    installation = Administration(member.config, gate._keys, cast(Any, None), gate)
    return await gather(installation, Order(member.organisation, message_id, "anna", section), out)


def opened(path: Path) -> Files:
    with tarfile.open(path) as archive:
        return {each.name: archive.extractfile(each).read() for each in archive}  # type: ignore[union-attr]


def trust_of(member: Member) -> TrustFolder:
    return read_trust(member.config.federation.trust / "organisation")


@pytest_asyncio.fixture(scope="module")
async def shown(stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, Path]]:
    """A message that went from one operator to the other and was accepted; the evidence of both ends."""
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
    logs = files["log/ap.jsonl"] + files["log/mt.jsonl"]
    assert logs.count(message_id.encode()) > 4
    everything = b"".join(files.values())
    for words in (DRAFT.label, DRAFT.text):
        assert words.encode() not in everything, "no content"


async def test_that_evidence_was_given_is_in_the_organisations_log(
    stage: Stage, shown: tuple[str, dict[str, Path]]
) -> None:
    message_id, _ = shown
    async with stage.habo.open(MT) as vault:
        given = [
            entry.ids
            for entry in await vault.find_log(message_id)
            if entry.event == AuditEvent.ORGANISATION_EVIDENCE_EXPORTED
        ]
    assert given == [{"message": message_id, "by": "anna"}]


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
        ("section/mt", lambda data: b"\n".join(data.splitlines()[:-1]), "section of mt"),
        ("section/ap", lambda data: b"\n".join(data.splitlines()[1:]), "log/ap.jsonl in the section"),
        ("section/ap", lambda data: b"\n".join(data.splitlines()[::2]), "section/ap-000001.jsonl"),
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


async def signed(files: Files, to: Path, key: SigningKey, **statement: object) -> EvidenceVerdict:
    """Evidence of these files, as whoever has ``key`` can make it."""
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
    """They are whole and signed by whom they should be, only not about this message."""
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
    """A certificate that is trusted may be another organisation's."""
    _, paths = shown
    async with stage.agency.open(MT) as vault:
        key = vault.proving_key()
    verdict = await signed(opened(paths["habo"]), tmp_path / "forged", key)
    own = (await verify_evidence(paths["habo"], None)).signer.fingerprint(SHA256()).hex()
    assert verdict.valid
    arguments = ("--signer", own, "--json")
    forged = await asyncio.to_thread(samdrift, "evidence", "verify", tmp_path / "forged", *arguments)
    broken = [one["what"] for one in forged.document["findings"] if not one["holds"]]
    assert (forged.status, broken) == (1, ["signer is the one that was named"])
    true = await asyncio.to_thread(samdrift, "evidence", "verify", paths["habo"], *arguments)
    assert true.status == 0


async def test_a_file_that_comes_twice_is_no_evidence(
    shown: tuple[str, dict[str, Path]], tmp_path: Path
) -> None:
    """What stands in front of the one that was signed would be shown, too."""
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
    assert [finding.what for finding in verdict.findings if not finding.holds] == ["signer"]


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
