"""Evidence about a message over interface D: who may get it, its content, and its prior log entry."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest
import pytest_asyncio

from samdrift.accesspoint.events import APEvent
from samdrift.contracts.messages import Direction, MessageStatus
from samdrift.contracts.principals import Role
from samdrift.evidence.verifying import EvidenceVerdict, verify_evidence
from samdrift.installation import evidence
from samdrift.installation.evidence import VaultsEvidence
from samdrift.messageservice.events import MTEvent
from tests.roles.letters import DRAFT
from tests.roles.member import AP, MT
from tests.roles.messageclient import MESSAGES, document, issues, text_document
from tests.roles.stage import Stage
from tests.roles.test_evidence import trust_of
from tests.roles.web import Answer

SECRET = "planterat ord"


@pytest_asyncio.fixture(scope="module")
async def message_id(stage: Stage) -> str:
    """Id of an accepted message with a file from one operator to the other."""
    made = document(
        stage.habo.address,
        stage.agency.address,
        digitalDocument=[text_document(SECRET, ("a.pdf", b"%PDF-1.4" + bytes(300_000)))],
    )
    sent = await stage.client(stage.habo).sends(made)
    assert await stage.habo.ends(sent) is MessageStatus.ACCEPTED
    assert await stage.agency.ends(sent, Direction.IN) is MessageStatus.NEW
    return sent


def files(answer: Answer) -> dict[str, bytes]:
    assert (answer.status, answer.content_type) == (200, "application/x-tar"), answer.body
    with tarfile.open(fileobj=io.BytesIO(answer.body)) as archive:
        return {each.name: archive.extractfile(each).read() for each in archive}  # type: ignore[union-attr]


async def fetched(stage: Stage, name: str, message_id: str, query: str = "") -> Answer:
    client = stage.client(getattr(stage, name))
    return await client.call("GET", f"{MESSAGES}/{message_id}/evidence{query}")


async def verified(stage: Stage, name: str, content: bytes, folder: Path) -> EvidenceVerdict:
    path = folder / "evidence.tar"
    path.write_bytes(content)
    return await verify_evidence(path, trust_of(getattr(stage, name)))


@pytest.mark.parametrize("name", ["habo", "agency"])
async def test_a_client_gets_what_evidence_export_writes_and_it_holds(
    stage: Stage, message_id: str, name: str, tmp_path: Path
) -> None:
    answer = await fetched(stage, name, message_id)
    inside = files(answer)
    assert {"evidence.json", "evidence.json.sig", "digests.jsonl", "log/mt.jsonl", "log/ap.jsonl"} <= {
        *inside
    }
    assert SECRET.encode() not in answer.body, "evidence must not contain message content"
    assert DRAFT.label.encode() not in answer.body
    verdict = await verified(stage, name, answer.body, tmp_path)
    assert [finding for finding in verdict.findings if not finding.holds] == []
    assert verdict.message == message_id


@pytest.mark.parametrize(("name", "direction"), [("habo", Direction.OUT), ("agency", Direction.IN)])
async def test_the_original_goes_along_byte_for_byte_and_is_what_the_log_committed_to(
    stage: Stage, message_id: str, name: str, direction: Direction, tmp_path: Path
) -> None:
    member = getattr(stage, name)
    answer = await fetched(stage, name, message_id, "?original=true")
    inside = files(answer)
    async with member.open(MT) as vault:
        stored = await (await vault.body(message_id, direction)).read_all()
    assert inside["original.xml"] == stored
    assert SECRET.encode() in stored
    verdict = await verified(stage, name, answer.body, tmp_path)
    assert verdict.valid
    (original,) = [finding for finding in verdict.findings if finding.what == "original.xml"]
    assert "an entry commits to" in original.why


async def test_another_original_does_not_hold(stage: Stage, message_id: str, tmp_path: Path) -> None:
    """The organisation signs it all the same, but the log gives it away."""
    answer = await fetched(stage, "habo", message_id, "?original=true")
    original = files(answer)["original.xml"]
    changed = original.replace(SECRET.encode(), SECRET.upper().encode())
    assert len(changed) == len(original)
    verdict = await verified(stage, "habo", answer.body.replace(original, changed), tmp_path)
    assert {finding.what for finding in verdict.findings if not finding.holds} == {"files", "original.xml"}


async def test_evidence_from_too_many_entries_is_left_to_the_operator(
    stage: Stage, message_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each copy of an envelope that a peer sends leaves an entry, and this process serves others too."""
    async with stage.habo.open(AP) as vault:
        for _ in range(100):
            vault.record(APEvent.AP_ENVELOPE_DUPLICATE, envelope=message_id)
    monkeypatch.setattr(evidence, "MOST_ENTRIES", 200)
    assert (await fetched(stage, "habo", message_id)).status == 200
    monkeypatch.setattr(evidence, "MOST_ENTRIES", 100)
    answer = await fetched(stage, "habo", message_id)
    assert answer.status == 409
    assert "samdrift evidence export" in answer.body.decode()


async def test_it_is_in_the_log_under_the_clients_name_before_it_is_shown(
    stage: Stage, message_id: str
) -> None:
    async def given() -> list[tuple[str, str]]:
        async with stage.habo.open(MT) as vault:
            found = await vault.find_log(message_id)
        named = (MTEvent.MT_MESSAGE_EVIDENCED, MTEvent.MT_MESSAGE_READ)
        return [(entry.principal, entry.event) for entry in found if entry.event in named]

    client = stage.client(stage.habo, name="journalen")
    before = await given()
    await client.call("GET", f"{MESSAGES}/{message_id}/evidence")
    assert (await given())[len(before) :] == [("system:journalen", MTEvent.MT_MESSAGE_EVIDENCED)]
    await client.call("GET", f"{MESSAGES}/{message_id}/evidence?original=true")
    assert (await given())[len(before) + 1 :] == [
        ("system:journalen", MTEvent.MT_MESSAGE_EVIDENCED),
        ("system:journalen", MTEvent.MT_MESSAGE_READ),
    ]


@pytest.mark.parametrize(
    "query", ["?original=1", "?original=true&original=false", "?original=", "?page[size]=1"]
)
async def test_what_is_not_understood_is_refused(stage: Stage, message_id: str, query: str) -> None:
    answer = await fetched(stage, "habo", message_id, query)
    assert len(issues(answer)) == 1


async def test_without_the_access_points_vault_it_holds_by_the_message_services_log(
    stage: Stage, message_id: str, tmp_path: Path
) -> None:
    """This is so at isolation level ``process``: the message service has only its own vault's keys."""
    package = await VaultsEvidence(stage.habo.operator.gate, [Role.MESSAGE_SERVICE]).package(
        stage.habo.organisation, message_id, "journalen"
    )
    assert package is not None
    content = b"".join([piece async for piece in package])
    verdict = await verified(stage, "habo", content, tmp_path)
    assert [finding for finding in verdict.findings if not finding.holds] == []
    assert b"log/ap.jsonl" not in content


async def test_who_stops_reading_leaves_nothing_that_goes_on(stage: Stage, message_id: str) -> None:
    evidence = VaultsEvidence(stage.habo.operator.gate, [Role.MESSAGE_SERVICE])
    package = await evidence.package(stage.habo.organisation, message_id, "journalen")
    assert package is not None
    assert await anext(package)
    await package.aclose()  # type: ignore[attr-defined]
    with pytest.raises(StopAsyncIteration):
        await anext(package)
