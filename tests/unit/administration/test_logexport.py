"""A vault's log exported to a file: every row, its checkpoints with cosignatures, verified again."""

from __future__ import annotations

import asyncio
import json
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from samdrift.accesspoint.events import APEvent
from samdrift.administration.logexport import Exported, write_tree
from samdrift.audit.entries import Happening
from samdrift.audit.events import AuditEvent, LogEvent, Retention
from samdrift.audit.logverifying import LogVerdict, LogVerifier
from samdrift.audit.notes import Note, VerifierKey
from samdrift.audit.policies import Policy
from samdrift.contracts.principals import Role
from samdrift.evidence import logexport
from samdrift.evidence.logexport import verify_log
from samdrift.messageservice.events import MTEvent
from samdrift.vault import logtree
from samdrift.vault.database.session import Row, Session, Statement, Value
from samdrift.vault.errors import VaultError
from samdrift.vault.logbook import append_statement
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.separation.vaultlogin import superuser, vault_login
from tests.unit.audit.signing import ONE, TWO, Signer
from tests.vaults import Installation

AP = Role.ACCESS_POINT
ROLES = (AP,)
SECOND = timedelta(seconds=1)


@dataclass
class Scene:
    """The log of one vault, whose witnesses respond when the test says so."""

    installation: Installation
    organisation: ParticipantIdentifier
    folder: Path
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    exports: list[Path] = field(default_factory=list)

    async def log(self, entries: int) -> None:
        async with self.installation.open(self.organisation, AP) as vault:
            for number in range(entries):
                vault.record(APEvent.AP_TRANSFER_QUEUED, envelope=str(number))

    async def log_of(self, at: datetime, event: AuditEvent, entries: int) -> None:
        """Add entries with a time in the past."""
        happening = Happening(at, event, "worker:test", "process", {"envelope": "7"})
        statement, values = append_statement([happening] * entries)
        async with self.installation.open(self.organisation, AP) as vault:
            await vault._work.query(statement, *values)

    async def dispose(self, retention: Retention, before: datetime) -> int:
        async with self.installation.open(self.organisation, AP) as vault:
            return await vault.tree.dispose(retention, before, 'Plan "5",\nåtta', "kim", "alex")

    async def sign(self, *witnesses: Signer) -> None:
        """Sign a checkpoint, and let these witnesses cosign it."""
        self.now += SECOND
        async with self.installation.open(self.organisation, AP) as vault:
            state = await vault.tree.sign(self.now)
            assert state.note is not None
            for witness in witnesses:
                time = int(self.now.timestamp())
                line = witness.line(Note.parse(state.note).text, time)
                await vault.tree.answered(state, witness.key, self.now, time, line, "")

    async def export(self) -> Exported:
        self.exports.append(self.folder / f"{len(self.exports)}.log")
        async with self.installation.open(self.organisation, AP) as vault:
            return await write_tree(vault.tree, vault.log_origin.hash, "test", self.exports[-1])

    async def policy(self) -> Policy:
        async with self.installation.open(self.organisation, AP) as vault:
            key = (await vault.tree.keys())[0].key
        lines = f"log {key}\nwitness W {ONE.key}\nwitness V {TWO.key}\ngroup G any W V\nquorum G\n"
        return Policy.parse(lines.encode())

    async def verified(self) -> LogVerdict:
        verifier = LogVerifier(await self.policy(), int(self.now.timestamp()) + 60)
        return await asyncio.to_thread(verify_log, self.exports[-1], verifier)


@pytest.fixture
def scene(installation: Installation, organisation: ParticipantIdentifier, tmp_path: Path) -> Scene:
    return Scene(installation, organisation, tmp_path)


async def test_the_whole_log_of_a_vault_is_in_the_file_and_holds(scene: Scene) -> None:
    for entries in (3, 400, 0, 150):
        await scene.log(entries)
        await scene.sign(ONE)
        await scene.sign(ONE, TWO)
    written = await scene.export()
    verdict = await scene.verified()
    assert verdict.holds, verdict.first_wrong
    assert (verdict.entries, verdict.size) == (written.size, written.signed)
    assert verdict.witnessed_at == int(scene.now.timestamp())
    with tarfile.open(scene.exports[-1]) as archive:
        described = json.load(archive.extractfile("log.json"))  # type: ignore[arg-type]
        bundles = [each.name for each in archive if each.name.startswith("tile/entries/")]
    assert [VerifierKey.parse(each["key"]).name for each in described["keys"]] == [verdict.origin]
    assert bundles[0] == "tile/entries/000"
    assert len(bundles) == -(-written.size // 256)


async def test_entries_after_the_last_checkpoint_are_in_the_file_and_said_to_be_unproved(
    scene: Scene,
) -> None:
    await scene.sign(ONE)
    await scene.log(5)
    written = await scene.export()
    verdict = await scene.verified()
    assert verdict.holds
    assert verdict.unproved == written.size - written.signed >= 5


LONG_AGO = datetime(2021, 5, 1, tzinfo=UTC)
YEAR = timedelta(days=366)


async def test_facts_are_disposed_of_by_a_decision_in_the_log_and_all_proofs_stay(scene: Scene) -> None:
    await scene.log_of(LONG_AGO, MTEvent.MT_MESSAGE_READ, 7)
    await scene.log_of(LONG_AGO, APEvent.AP_TRANSFER_QUEUED, 4)
    await scene.log_of(datetime.now(UTC), MTEvent.MT_MESSAGE_READ, 3)
    await scene.sign(ONE)
    assert await scene.dispose(Retention.READING, LONG_AGO + YEAR) == 7
    assert await scene.dispose(Retention.READING, LONG_AGO + YEAR) == 0
    assert await scene.dispose(Retention.TRANSFER, LONG_AGO + YEAR) == 4
    async with scene.installation.open(scene.organisation, AP) as vault:
        ages = await vault.tree.ages({Retention.READING: LONG_AGO, Retention.TRANSFER: datetime.now(UTC)})
        decided = [each for each in await vault.log() if each.event == LogEvent.LOG_FACTS_DISPOSED]
    assert ages == {Retention.TRANSFER: (0, 0, 4), Retention.READING: (3, 0, 7)}
    assert [each.ids["decision"] for each in decided] == ['Plan "5",\nåtta'] * 2
    await scene.sign(ONE)
    await scene.export()
    verdict = await scene.verified()
    assert verdict.holds, verdict.first_wrong
    assert [(each.retention, each.entries) for each in verdict.disposed] == [("transfer", 4), ("reading", 7)]
    assert b'"envelope":"7"' in scene.exports[-1].read_bytes()  # today's readings are kept


async def test_the_ages_of_a_long_log_are_counted_a_piece_at_a_time(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database ends a statement that takes longer than half a minute."""
    await scene.log_of(LONG_AGO, MTEvent.MT_MESSAGE_READ, 5)
    await scene.log_of(datetime.now(UTC), MTEvent.MT_MESSAGE_READ, 6)
    await scene.log_of(LONG_AGO, APEvent.AP_TRANSFER_QUEUED, 3)
    assert await scene.dispose(Retention.TRANSFER, LONG_AGO + YEAR) == 3
    read = list[Sequence[Value]]()
    run = Session.run

    async def noted(session: Session, statements: Sequence[Statement]) -> list[list[Row]]:
        read.extend(values[2:] for sql, values in statements if sql == logtree._AGES)
        return await run(session, statements)

    monkeypatch.setattr(Session, "run", noted)
    monkeypatch.setattr(logtree, "_MAX_AGED", 4)
    before = {Retention.READING: LONG_AGO + YEAR, Retention.TRANSFER: LONG_AGO, Retention.ACCESS: LONG_AGO}
    async with scene.installation.open(scene.organisation, AP) as vault:
        end = await vault.log_end()
        ages = await vault.tree.ages(before)
    assert (ages[Retention.READING], ages[Retention.TRANSFER]) == ((11, 5, 0), (0, 0, 3))
    assert list(ages) == [Retention.TRANSFER, Retention.READING, Retention.ACCESS]
    assert [tuple(each) for each in read] == [(after, after + 4) for after in range(0, end, 4)]
    assert len(read) > 3


@pytest.mark.parametrize(
    ("retention", "before"),
    [
        (Retention.LOG, LONG_AGO),
        (Retention.TRANSFER, datetime.now(UTC) - timedelta(days=360)),
        (Retention.READING, datetime.now(UTC)),
    ],
)
async def test_the_database_keeps_what_is_about_the_log_and_the_last_year(
    scene: Scene, retention: Retention, before: datetime
) -> None:
    await scene.log_of(LONG_AGO, APEvent.AP_TRANSFER_QUEUED, 2)
    with pytest.raises(VaultError):
        await scene.dispose(retention, before)
    async with scene.installation.open(scene.organisation, AP) as vault:
        assert not [each for each in await vault.tree.rows(0, 1000, 1000) if each[1] is None]


ATTACKS = {
    "changed": (
        "UPDATE {0}.log SET content = convert_to(replace(convert_from(content, 'UTF8'), 'queued', 'failed'),"
        " 'UTF8') WHERE sequence = 12",
        "UPDATE {0}.log SET hash = sha256(salt || content) WHERE sequence = 12",
    ),
    "removed": (
        "DELETE FROM {0}.log WHERE sequence = 12",
        "UPDATE {0}.log SET sequence = -sequence WHERE sequence > 12",
        "UPDATE {0}.log SET sequence = -sequence - 1 WHERE sequence < 0",
        "UPDATE {0}.log_head SET sequence = sequence - 1",
    ),
    "disposed of": ("UPDATE {0}.log SET content = NULL, salt = NULL WHERE sequence = 12",),
    "another class": ("UPDATE {0}.log SET retention = 3 WHERE sequence = 12",),
}


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
async def test_a_change_by_the_owner_of_the_database_is_found(scene: Scene, attack: tuple[str, ...]) -> None:
    await scene.log(40)
    await scene.sign(ONE)
    login = await vault_login(scene.installation, scene.organisation, AP)
    database = await superuser(scene.installation)
    for statement in attack:
        database.rows(statement.format(login.schema))
    await scene.export()
    verdict = await scene.verified()
    assert verdict.first_wrong is not None
    assert verdict.first_wrong.number <= 12


async def test_a_verdict_on_the_file_reads_each_bundle_once(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    await scene.log(600)
    await scene.sign(ONE)
    await scene.export()
    read: list[str] = []
    whole = logexport.ArchiveFile.whole

    def counted(self: logexport.ArchiveFile, member: logexport.Member, most: int) -> bytes:
        read.append(member.name)
        return whole(self, member, most)

    monkeypatch.setattr(logexport.ArchiveFile, "whole", counted)
    assert (await scene.verified()).holds
    assert len(read) == len(set(read))
