"""An organisation's data are the same at the next supplier as at the former one."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from samdrift.attestation.errors import MoveError, MoveFault
from samdrift.audit.leaves import Leaf
from samdrift.audit.merkle import Frontier
from samdrift.audit.notes import Note, SignedCheckpoint, VerifierKey
from samdrift.contracts.messages import Direction, MessageStatus
from samdrift.contracts.principals import Purpose, Role
from samdrift.portability import exporting, layout, manifest
from samdrift.portability.events import MoveEvent
from samdrift.portability.importing import Storing
from samdrift.vault.events import VaultEvent
from samdrift.vault.portability import parts
from samdrift.vault.portability.departure import Departure, MessageServiceDeparture
from samdrift.vault.portability.parts import Part, Taken
from samdrift.vault.registry import RegistrationState
from tests.sizes import sampled
from tests.unit.audit.signing import ONE
from tests.unit.portability.conftest import AP, MT, Files, Move
from tests.vaults import WORKER, until

DIFFERS = {
    "format.json": False,
    "README.txt": False,
    "organisation.json": False,
    "certificates.pem": True,
    "SHA256SUMS": True,
    "manifest.json": True,
    "manifest.json.sig": True,
    "certificate.pem": True,
}
"""Files with the export's own description; true where it differs at another supplier (keys and log)."""
OWN_TO_A_SUPPLIER = (
    *(f"{role}/{log}/" for role in Role for log in ("log", "former-log", "log_keys", "checkpoints")),
    *(f"mt/{marks}/" for marks in ("session_keys", "mark_keys")),
)
"""Folders of an export to which each supplier adds something."""


def records(files: Files) -> Files:
    """Return all files except the export's own description and the supplier's additions."""
    return {
        name: data
        for name, data in files.items()
        if name not in DIFFERS and not name.startswith(OWN_TO_A_SUPPLIER)
    }


def require_marks_of(before: Files, after: Files) -> None:
    """Require that no session key mark was lost; a supplier adds its key, and a mark without an envelope."""
    for part in ("session_keys", "mark_keys"):
        was, now = (files[f"mt/{part}/000001.jsonl"].splitlines() for files in (before, after))
        assert was
        assert set(was) < set(now)
        added = [json.loads(line) for line in now if line not in was]
        assert [one.get("envelope", "\\x") for one in added] == ["\\x"]


def require_proof(files: Files, role: Role, log: str) -> None:
    """Require that a former log is proved by a checkpoint of its time, with a witness's cosignature."""
    entries, stated, keys = (
        list(map(json.loads, files[f"{role}/{part}/000001.jsonl"].splitlines()))
        for part in ("former-log", "checkpoints", "log_keys")
    )
    (last,) = [each for each in stated if each["log"] == log]
    (key,) = [VerifierKey.parse(each["key"]) for each in keys if each["log"] == log]
    note = bytes.fromhex(last["last"].removeprefix("\\x"))
    signed = SignedCheckpoint.parse(note, [key])
    assert list(Note.parse(note).verified([key, ONE.key])) == [key, ONE.key]
    tree = Frontier()
    for each in entries:
        if each["log"] == log and each["retention"] is not None and tree.size < last["size"]:
            digest = bytes.fromhex(each["hash"].removeprefix("\\x"))
            tree.append(Leaf(each["sequence"], each["retention"], digest).hash)
    assert (tree.size, tree.root()) == (signed.checkpoint.size, signed.checkpoint.root)


async def test_an_organisation_that_moves_and_moves_on_has_the_same_at_each_supplier(move: Move) -> None:
    await move.sign()
    await move.set_state(RegistrationState.SUSPENDED)
    first = await move.export()
    await move.leave()
    imported = await move.take_in(first, take_over=True)
    assert imported.manifest == first.manifest
    await move.certify()
    await move.set_state(RegistrationState.ACTIVE)
    await move.sign()
    await move.set_state(RegistrationState.SUSPENDED)
    await move.export("again.age")
    before, after = move.files(), move.files("again.age")
    assert records(before) == records(after)
    require_marks_of(before, after)
    assert len(records(before)) > 20
    assert {
        name for name, differs in DIFFERS.items() if (before[name] != after[name]) is not differs
    } == set()
    for role in Role:
        old = [json.loads(line) for line in before[f"{role}/log/000001.jsonl"].splitlines()]
        kept = [json.loads(line) for line in after[f"{role}/former-log/000001.jsonl"].splitlines()]
        assert [{name: each[name] for name in each if name != "log"} for each in kept] == old
        for proof in ("log_keys", "checkpoints"):
            old, kept = (files[f"{role}/{proof}/000001.jsonl"].splitlines() for files in (before, after))
            assert old
            assert set(old) < set(kept)
        require_proof(after, role, first.manifest.logs[role.value].id)


async def test_the_export_says_what_is_in_it_and_holds_no_private_key(move: Move) -> None:
    exported = await move.export()
    files = move.files()
    assert set(DIFFERS) <= set(files)
    assert exported.manifest_sha256 == hashlib.sha256(files["manifest.json"]).hexdigest()
    said = json.loads(files["manifest.json"])
    assert said["organisation"] == move.organisation.value
    assert said["records"]["mt/messages"] == 5
    assert said["version"] == 4
    assert said["roles"] == ["ap", "mt", "mk", "gov"]
    assert (said["records"]["mk/records"], said["records"]["gov/records"]) == (1, 1)
    assert said["approved_by"] == ["anna", "bertil"]
    assert said["suspended"] is False
    assert b"PRIVATE" not in move.clear()


async def test_a_third_party_opens_it_with_age_tar_and_openssl_alone(move: Move) -> None:
    """The programs run the commands of docs/moving.md and of the text in the export."""
    await move.export()
    (move.folder / "opened").mkdir()
    (move.folder / "habo.key").write_text(f"{move.key}\n")
    (move.folder / "export.tar").write_bytes(move.clear())
    opened = "age -d -i ../habo.key ../export.age" if shutil.which("age") else "cat ../export.tar"
    commands = f"""
    set -e
    cd {move.folder}/opened
    {opened} | tar -xf -
    sha256sum --quiet -c SHA256SUMS $(find . -name '*.sha256')
    openssl x509 -in certificate.pem -pubkey -noout > key.pem
    openssl dgst -sha256 -verify key.pem -signature manifest.json.sig manifest.json
    grep -q $(sha256sum SHA256SUMS | cut -d' ' -f1) manifest.json
    """
    ran = subprocess.run(["sh", "-c", commands], capture_output=True, text=True)
    assert (ran.returncode, ran.stdout) == (0, "Verified OK\n"), ran.stderr
    (move.folder / "opened" / "manifest.json").write_bytes(b"{}")
    assert subprocess.run(
        ["sh", "-c", commands.replace("| tar -xf -", "> ../again")], capture_output=True
    ).returncode


async def test_both_persons_and_the_recipient_stand_in_the_log_before_and_after(move: Move) -> None:
    exported = await move.export()
    async with move.installation.open(move.organisation, MT) as vault:
        entries = await vault.log()
    begun, done = (
        next(entry.ids for entry in entries if entry.event == event)
        for event in (VaultEvent.ORGANISATION_EXPORT_BEGUN, VaultEvent.ORGANISATION_EXPORTED)
    )
    recipient = hashlib.sha256(str(move.key.to_public()).encode()).hexdigest()
    assert begun == {"first": "anna", "second": "bertil", "recipients": recipient}
    assert done == begun | {"manifest": exported.manifest_sha256}
    assert all(entry.purpose == Purpose.EXPORT for entry in entries if entry.event.startswith("org:"))


async def test_what_was_brought_is_in_the_log_with_where_the_former_ones_end(move: Move) -> None:
    exported = await move.export()
    await move.leave()
    await move.take_in(exported)
    registry = move.installation.gate.registry
    assert not any(registry.serves(move.organisation, role) for role in Role), (
        "it must not be served until it is resumed"
    )
    await move.set_state(RegistrationState.ACTIVE)
    for role in Role:
        async with move.installation.open(move.organisation, role) as vault:  # type: ignore[call-overload]
            (ids,) = [
                entry.ids for entry in await vault.log() if entry.event == MoveEvent.ORGANISATION_IMPORTED
            ]
        log = exported.manifest.logs[role.value]
        assert ids["by"] == "cecilia"
        assert (ids["former_log"], ids["former_head"]) == (log.id, log.head)
        assert ids["manifest"] == exported.manifest_sha256


@pytest.mark.parametrize(
    ("version", "unknown"),
    sampled(
        [(1, {parts.DIGESTS, parts.PEER_CERTIFICATES}), (2, {parts.PEER_CERTIFICATES}), (3, set[Part]())]
    ),
)
async def test_an_export_of_an_earlier_version_is_taken_in(
    move: Move, monkeypatch: pytest.MonkeyPatch, version: int, unknown: set[Part]
) -> None:
    """The earlier version wrote only the roles and parts that it knew."""
    for role in (Role.MESSAGE_CLIENT, Role.GOVERNANCE):
        await move.installation.provisioner.drop(move.organisation, role)
    registry = move.installation.gate.registry
    await until(lambda: registry.find(move.organisation, Role.GOVERNANCE) is None)
    known = [(kind, [part for part in of if part not in unknown]) for kind, of in exporting._READ]
    monkeypatch.setattr(exporting, "_READ", known)
    for module in (exporting, manifest):
        monkeypatch.setattr(module, "VERSION", version)
    exported = await move.export()
    monkeypatch.undo()
    for role in (AP, MT):
        await move.installation.provisioner.drop(move.organisation, role)
    await until(lambda: registry.find(move.organisation, MT) is None)
    assert json.loads(move.files()["manifest.json"])["version"] == version
    imported = await move.take_in(exported)
    assert imported.manifest.roles == ("ap", "mt")
    for role in (AP, MT):
        await move.installation.provisioner.set_state(move.organisation, role, RegistrationState.ACTIVE)
    await move.installation.known(move.organisation, AP, MT)
    async with move.installation.open(move.organisation, MT) as messages:
        assert len(await messages.messages()) == 4


async def test_a_duty_to_hand_over_moves_along_until_it_is_fulfilled(move: Move) -> None:
    exported = await move.export()
    await move.leave()
    await move.take_in(exported)
    await move.set_state(RegistrationState.ACTIVE)
    for role in (Role.MESSAGE_CLIENT, Role.GOVERNANCE):
        async with move.installation.open(move.organisation, role) as vault:  # type: ignore[call-overload]
            (record,) = await vault.records(10)
            assert await vault.release_record(record)
            assert not await vault.release_record(record)
            assert await vault.records(10) == ()


async def test_an_import_that_was_cut_short_is_taken_up_again(
    move: Move, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After an interruption at any page, nothing is duplicated, and nothing is missing."""
    await move.set_state(RegistrationState.SUSPENDED)
    exported = await move.export()
    await move.leave()
    page_end, left, runs = Storing.page_end, 0, 0

    async def cut(self: Storing, digest: str) -> None:
        nonlocal left
        if left == 0:
            raise MoveError(MoveFault.DAMAGED, "killed")
        left -= 1
        await page_end(self, digest)

    monkeypatch.setattr(Storing, "page_end", cut)
    imported = None
    while imported is None:
        left = runs
        with contextlib.suppress(MoveError):
            imported = await move.take_in(exported, take_over=True)
        runs += 1
    assert runs > 8
    assert not imported.already
    monkeypatch.undo()
    assert (await move.take_in(exported, take_over=True)).already
    await move.certify()
    await move.export("again.age")
    before, after = move.files(), move.files("again.age")
    assert records(before) == records(after)
    require_marks_of(before, after)


async def test_a_message_that_is_deleted_while_the_export_is_made_is_one_that_was_deleted(
    move: Move, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its body is in the object store, which has no snapshots."""
    read_page = exporting.read_page

    async def deleted_then(vault: Departure, part: Part, after: Sequence[object]) -> list[Taken]:
        taken = await read_page(vault, part, after)
        for one in taken if part.name == "messages" else ():
            if getattr(one.contents.get("message"), "size", 0) > 100_000:
                async with move.installation.open(move.organisation, MT) as messages:
                    assert await messages.delete(one.facts["id"], Direction(one.facts["direction"]))
        return taken

    monkeypatch.setattr(exporting, "read_page", deleted_then)
    exported = await move.export()
    (gone,) = [name for name in move.files() if name.endswith(".gone")]
    await move.leave()
    await move.take_in(exported)
    await move.set_state(RegistrationState.ACTIVE)
    message_id = gone.removeprefix("mt/messages/message/out-").removesuffix(".xml.gone")
    async with move.installation.open(move.organisation, MT) as messages:
        assert await messages.message(message_id, Direction.OUT) is None
        assert len(await messages.messages()) == 3
        left = await messages.messages(statuses=list(MessageStatus))
        assert message_id not in {one.id for one in left if one.direction is Direction.OUT}


async def test_what_was_under_way_is_taken_over_from_a_suspended_organisation_alone(move: Move) -> None:
    exported = await move.export()
    await move.leave()
    with pytest.raises(MoveError) as caught:
        await move.take_in(exported, take_over=True)
    assert caught.value.fault is MoveFault.NOT_SUSPENDED
    assert move.installation.gate.registry.find(move.organisation, MT) is None


async def test_nothing_is_taken_in_where_something_is(move: Move) -> None:
    exported = await move.export()
    with pytest.raises(MoveError) as caught:
        await move.take_in(exported)
    assert caught.value.fault is MoveFault.OCCUPIED
    assert move.installation.gate.registry.serves(move.organisation, MT), (
        "the organisation must still be served"
    )
    async with move.installation.gate.depart(WORKER, move.organisation, MessageServiceDeparture, {}) as vault:
        assert len(await vault.messages()) == 5


async def test_an_export_that_fails_leaves_no_file(move: Move, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in Path(move.installation.settings.objects).rglob("*"):  # type: ignore[arg-type]
        if path.is_file() and path in move.installation.objects(move.organisation):
            path.write_bytes(b"something else")
    with pytest.raises(MoveError) as caught:
        await move.export()
    assert caught.value.fault is MoveFault.DAMAGED
    assert list(move.folder.iterdir()) == []


async def test_an_export_that_could_not_be_read_again_fails(
    move: Move, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layout, "MOST_PAGE", 100)
    with pytest.raises(MoveError, match=r"ap/incoming/000001\.jsonl: would have \d+ bytes"):
        await move.export()
    assert not (move.folder / "export.age").exists()


async def test_an_export_takes_no_name_that_another_file_has(move: Move) -> None:
    (move.folder / "export.age").write_bytes(b"")
    with pytest.raises(MoveError) as caught:
        await move.export()
    assert caught.value.fault is MoveFault.TARGET
    assert [each.name for each in move.folder.iterdir()] == ["export.age"]


async def test_what_a_killed_export_left_is_written_over(move: Move) -> None:
    (move.folder / ".export.age.part").write_bytes(b"half of something" * 10_000)
    await move.export()
    assert "manifest.json" in move.files()
    assert [each.name for each in move.folder.iterdir()] == ["export.age"]
