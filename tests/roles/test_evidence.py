"""What an organisation shows of one message is believed by somebody who has nothing but the file."""

from __future__ import annotations

import asyncio
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import pytest
import pytest_asyncio

from samdrift.app.administration import Administration
from samdrift.app.evidence.gathering import Order, gather
from samdrift.app.evidence.verifying import EvidenceVerdict, verify_evidence
from samdrift.app.moving.archive import ArchiveWriter
from samdrift.app.moving.errors import MoveError
from samdrift.app.trustfolder import TrustFolder, read_trust
from samdrift.audit.events import AuditEvent
from samdrift.contracts.messages import Direction, MessageStatus
from tests.roles.letters import DRAFT
from tests.roles.member import MT, Member
from tests.roles.stage import Stage
from tests.unit.app.commandline import samdrift

Files = dict[str, bytes]


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
