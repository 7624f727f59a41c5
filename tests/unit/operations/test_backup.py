"""Backups: of one moment while messages flow, refused if a byte differs, and tried by a drill."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import psycopg
import pyrage
import pytest

from samdrift.administration.administration import Administration
from samdrift.attestation.errors import MoveError
from samdrift.config.errors import Unusable
from samdrift.contracts.principals import Role
from samdrift.keystore.interface import OPERATOR_KEYS
from samdrift.keystore.keyfiles import KeyFault, KeyStoreError
from samdrift.operations import backupset, drill
from samdrift.operations.backup import BackupEvent, Made, read_file, signers, verify
from samdrift.operations.backupformat import BackupError, BackupFault, Beginning, Looking, read_backup
from samdrift.operations.backupset import MANIFEST, SIGNATURE, Missing
from samdrift.operations.compliancelogs import drills, of_last_drill
from samdrift.vault.database.migrations import VAULT, versions
from samdrift.vault.errors import VaultUnavailable
from samdrift.vault.gate import Gate
from samdrift.vault.objects import Objects
from samdrift.vault.portability import copies
from tests.movable import LARGE
from tests.roles.disks import disk
from tests.separation.vaultlogin import _content, superuser, vault_login
from tests.unit.operations.backingup import ASKED, PROOF, Ground, grounded
from tests.vaults import NOW, Installation, body, incoming, submitted

AP, MT = Role.ACCESS_POINT, Role.MESSAGE_SERVICE


@pytest.fixture
async def ground(installation: Installation, tmp_path: Path) -> Ground:
    return await grounded(installation, tmp_path / "backups")


async def test_a_backup_of_everything_is_whole_and_can_be_restored(ground: Ground) -> None:
    before = await ground.databases()
    made = await ground.create()
    backup = ground.read(made.folder)
    assert backup.sha256 == made.sha256
    assert backup.manifest.whole
    assert not backup.manifest.missing
    assert {each.organisation for each in backup.manifest.files} == {
        "",
        *(one.organisation.value for one in ground.installation.gate.registry.all()),
    }
    own = backup.manifest.of(ground.organisation.value)
    assert own.rows > 50
    assert own.bodies == len(ground.installation.objects(ground.organisation)) >= 3
    assert own.lost == 0
    verified = await verify(backup, [ground.key])
    assert [file.rows for file, _ in verified] == [contents.rows for _, contents in verified]
    shown: list[int] = []
    found = await drill.drill(ground.administration, backup, [ground.key], ASKED, progress=shown.append)
    assert len(found) == len(backup.manifest.files)
    assert shown == sorted(shown)
    assert shown[-1] == sum(each.bytes for each in backup.manifest.files)
    assert len(set(shown)) > len(found), "progress within each file must be shown, too"
    # Other tests may have removed bodies of their organisations; manifest and drill must both show that.
    lost = [any("bodies that" in what for what in each.differences) for each in found]
    assert lost == [each.file.lost > 0 for each in found]
    assert [each.passed for each in found] == [each.file.lost == 0 for each in found]
    assert await ground.databases() == before, "nothing is left of the drill"
    assert ground.left_of_drills() == []


async def test_every_row_of_the_restored_database_is_that_of_the_running_one(ground: Ground) -> None:
    """The comparison uses the database's own digests, on a vault that is not used meanwhile."""
    made = await ground.create(ground.organisation)
    administrator = await superuser(ground.installation)
    found: dict[Role, tuple[dict[str, Any], dict[str, Any]]] = {}
    compared = drill._compare_logs

    async def look(installation: Any, restored: Any, vaults: Any, comparison: Any) -> None:
        for role in (AP, MT):
            login = await vault_login(ground.installation, ground.organisation, role)
            here = administrator.snapshot(login.schema)
            there = content_of(administrator.address, restored.info.dbname, role.value)
            found[role] = here, there
        await compared(installation, restored, vaults, comparison)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drill, "_compare_logs", look)
        assert (await ground.drill(made)).passed
    changed = {"log", "log_head", "log_tree", "log_nodes", "log_pauses"}
    """Tables that entries about the backup itself have changed since."""
    for role, (here, there) in found.items():
        assert here.keys() == there.keys()
        assert len(here) > 10
        assert {name for name in here if here[name] != there[name]} <= changed, role


def content_of(address: str, database: str, schema: str) -> dict[str, Any]:
    """Return the content of each table, as count and digest, in a database of no recorded vault."""
    with psycopg.connect(address, dbname=database, autocommit=True) as connection:
        return _content(connection, schema)


@contextlib.asynccontextmanager
async def traffic(ground: Ground) -> AsyncIterator[list[int]]:
    """Let messages with large bodies come and go as fast as possible until the context ends."""
    done = [0]

    async def go() -> None:
        while True:
            async with ground.installation.open(ground.organisation, AP) as vault:
                transfer = await submitted(vault, LARGE, sender=ground.organisation)
                item = incoming()
                await vault.accept(item, await body(vault, LARGE), b"<given/>", now=NOW)
            async with ground.installation.open(ground.organisation, AP) as vault:
                await vault.delivered(transfer.id, now=NOW, receipt=b"<proof/>", peer="AP0002")
                for each in await vault.inbox(2):
                    await vault.acknowledge(each.id, now=NOW)
            done[0] += 1

    tasks = [asyncio.create_task(go()) for _ in range(2)]
    try:
        yield done
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task


async def test_it_is_of_one_moment_while_messages_come_and_go(ground: Ground) -> None:
    """Each body named by a restored row is there, however many were removed during the copying."""
    async with traffic(ground) as done:
        while done[0] < 3:
            await asyncio.sleep(0.01)
        begun = done[0]
        made = await ground.create(ground.organisation)
        assert done[0] > begun, "no message was exchanged during the backup"
    (file,) = made.manifest.files
    assert file.lost == 0
    found = await ground.drill(made)
    assert found.differences == ()


async def test_a_body_that_goes_while_it_is_copied_goes_with_its_row(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its transfer is delivered between the snapshot and the copying, so another snapshot is taken."""
    async with ground.installation.open(ground.organisation, AP) as vault:
        transfer = await submitted(vault, LARGE, sender=ground.organisation)
        envelope = (await vault.outgoing_body(transfer.id)).id
    was, taken = Objects.pieces, []

    async def pieces(self: Objects, name: str) -> AsyncIterator[bytes]:
        if name.endswith(envelope) and not taken:
            taken.append(name)
            async with ground.installation.open(ground.organisation, AP) as vault:
                await vault.delivered(transfer.id, now=NOW, receipt=b"<proof/>", peer="AP0002")
        async for piece in was(self, name):
            yield piece

    monkeypatch.setattr(Objects, "pieces", pieces)
    made = await ground.create(ground.organisation)
    monkeypatch.setattr(Objects, "pieces", was)
    assert len(taken) == 1
    assert made.manifest.files[0].lost == 0
    assert (await ground.drill(made)).differences == ()


async def test_an_empty_object_is_a_lost_body(ground: Ground) -> None:
    """What a vault stores is never empty, so a disk that was full or lost power has lost the content."""
    lost = sorted(ground.installation.objects(ground.organisation))[0]
    lost.write_bytes(b"")
    made = await ground.create(ground.organisation)
    (file,) = made.manifest.files
    assert file.lost == 1
    restored = await ground.restore(made)
    assert sum(restored.lost.values()) == 1


async def test_a_body_that_is_lost_already_is_counted_and_holds_up_nothing(ground: Ground) -> None:
    lost = sorted(ground.installation.objects(ground.organisation))[0]
    lost.unlink()
    made = await ground.create(ground.organisation)
    (file,) = made.manifest.files
    assert file.lost == 1
    found = await ground.drill(made)
    assert not found.passed
    assert any("bodies" in each for each in found.differences)


def places(size: int) -> Iterator[int]:
    """Yield positions of bytes to change: the first, the last, and some between."""
    yield from {0, 1, size // 7, size // 3, size // 2, size - 17, size - 1}


async def refused(ground: Ground, folder: Path) -> BackupFault | None:
    try:
        await verify(ground.read(folder), [ground.key])
    except BackupError as error:
        return error.fault
    return None


async def test_one_changed_byte_anywhere_is_refused(ground: Ground) -> None:
    made = await ground.create(ground.organisation)
    assert await refused(ground, made.folder) is None
    tried = 0
    for path in sorted(made.folder.iterdir()):
        data = path.read_bytes()
        for place in places(len(data)):
            changed = bytearray(data)
            changed[place] ^= 1
            path.write_bytes(changed)
            assert await refused(ground, made.folder) is not None, (path.name, place)
            tried += 1
        for other in (data[:-1], data + b"\0", b""):
            path.write_bytes(other)
            assert await refused(ground, made.folder) is not None, path.name
        path.unlink()
        assert await refused(ground, made.folder) is not None, path.name
        path.write_bytes(data)
    assert tried == 21
    assert await refused(ground, made.folder) is None


async def test_what_is_changed_inside_is_refused_without_the_list_as_well(ground: Ground) -> None:
    """A holder of the recipient's key could remove a row or a table, or reorder the parts."""
    made = await ground.create(ground.organisation)
    clear = pyrage.decrypt((made.folder / "organisation-0001.age").read_bytes(), [ground.key])
    for changed in hostile(clear):
        with pytest.raises((BackupError, MoveError)) as caught:
            await read_clear(changed)
        assert caught.value.fault.value == "damaged"
    await read_clear(clear)


def hostile(clear: bytes) -> Iterator[bytes]:
    blocks = [clear[at : at + 512] for at in range(0, len(clear), 512)]
    yield b"".join(blocks[:-3])
    yield b"".join([*blocks[:-2], *blocks[:2], *blocks[-2:]])
    yield clear.replace(b'"tables": [', b'"tables": 1,"x": [', 1)
    yield clear.replace(b'"versions"', b'"version"', 1)
    yield clear.replace(b'"ap/transfers": [', b'"ap/transferz": [', 1)


async def read_clear(clear: bytes) -> None:
    class Source:
        def __init__(self) -> None:
            self.at = 0

        async def read(self, size: int) -> bytes:
            piece = clear[self.at : self.at + size]
            self.at += len(piece)
            return piece

    await read_backup(Source(), Looking())


async def test_a_backup_that_another_installation_signed_is_refused(ground: Ground) -> None:
    """Anyone who has the recipient's public key can encrypt for it, but that alone is not a backup."""
    made = await ground.create(ground.organisation)
    keys = ground.administration.keys
    keys.begin("vother")
    theirs = keys.log_keys("vother")[0]
    backup = ground.read(made.folder)
    backupset.write(made.folder, backup.manifest, theirs)
    with pytest.raises(BackupError, match="not signed by this installation's key") as caught:
        ground.read(made.folder)
    assert caught.value.fault is BackupFault.SIGNATURE
    named = backupset.read(made.folder, signers(keys, theirs.public.hex()))
    assert named.signer != keys.log_keys(OPERATOR_KEYS)[0].public.hex()


async def test_a_file_of_another_backup_in_its_place_is_refused(ground: Ground) -> None:
    first = await ground.create(ground.organisation)
    kept = first.folder.rename(ground.folder / "kept")
    second = await ground.create(ground.organisation)
    shutil.copy(kept / "organisation-0001.age", second.folder / "organisation-0001.age")
    assert await refused(ground, second.folder) is BackupFault.DAMAGED


def encrypt_again(ground: Ground, file: Path) -> None:
    """Replace a file by one with the same content; only the signed digest shows that it is another."""
    content = pyrage.decrypt(file.read_bytes(), [ground.key])
    file.write_bytes(pyrage.encrypt(content, [ground.key.to_public()]))


class Noting(Looking):
    """A receiver that notes what has begun to reach it."""

    def __init__(self) -> None:
        self.reached: list[str] = []

    async def body(self, role: str, body: str, pieces: AsyncIterator[bytes]) -> None:
        self.reached.append(body)
        await super().body(role, body, pieces)

    async def begin(self, beginning: Beginning) -> None:
        self.reached.append(beginning.organisation)
        await super().begin(beginning)


async def test_a_file_that_somebody_has_encrypted_again_is_refused_before_any_of_it_is_stored(
    ground: Ground,
) -> None:
    """A restore stores bodies while it reads them."""
    made = await ground.create(ground.organisation)
    backup, noting = ground.read(made.folder), Noting()
    file = backup.manifest.of(ground.organisation.value)
    await read_file(backup, file, [ground.key], noting)
    assert len(noting.reached) > 1
    encrypt_again(ground, made.folder / file.file)
    noting.reached.clear()
    (found,) = await asyncio.gather(read_file(backup, file, [ground.key], noting), return_exceptions=True)
    assert noting.reached == []
    assert isinstance(found, BackupError)
    assert found.fault is BackupFault.DAMAGED


async def test_a_file_that_is_replaced_between_its_check_and_its_reading_is_refused(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await ground.create(ground.organisation)
    described = backupset.described

    async def replaced_afterwards(path: Path) -> tuple[int, str]:
        found = await described(path)
        encrypt_again(ground, path)
        return found

    monkeypatch.setattr(backupset, "described", replaced_afterwards)
    assert await refused(ground, made.folder) is BackupFault.DAMAGED


async def test_another_key_of_age_opens_nothing_and_is_told_apart(ground: Ground) -> None:
    made = await ground.create(ground.organisation)
    with pytest.raises(BackupError, match="encrypted for another key") as caught:
        await verify(ground.read(made.folder), [pyrage.x25519.Identity.generate()])
    assert caught.value.fault is BackupFault.KEY


async def test_a_full_disk_leaves_nothing_of_a_backup(ground: Ground) -> None:
    with disk(ground.folder, "64k") as small:
        with pytest.raises(OSError, match="No space left"):
            await ground.create()
        assert list(small.folder.iterdir()) == []


async def test_a_database_that_goes_away_in_the_middle_leaves_nothing(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    await lose_the_database(ground, monkeypatch)
    with pytest.raises(VaultUnavailable):
        await ground.create(ground.organisation)
    assert list(ground.folder.iterdir()) == []


async def test_an_organisation_that_cannot_be_read_is_named_and_the_others_are_there(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ground.installation.organisation([AP])
    await lose_the_database(ground, monkeypatch)
    made = await ground.create()
    assert [each.organisation for each in made.manifest.missing] == [ground.organisation.value]
    assert len(made.manifest.files) > 1
    assert await refused(ground, made.folder) is None


@pytest.mark.parametrize(
    "away",
    [VaultUnavailable("database: the connection was lost"), KeyStoreError(KeyFault.UNAVAILABLE, "no HSM")],
    ids=lambda error: type(error).__name__,
)
async def test_an_organisation_that_goes_away_at_the_end_does_not_cost_the_others_their_backup(
    ground: Ground, monkeypatch: pytest.MonkeyPatch, away: Exception
) -> None:
    """Its vaults were copied, and only its log does not say so afterwards; the operator's log does."""
    other = await ground.installation.organisation([AP])
    was = Gate.record_for_organisation

    async def record(self: Gate, principal: Any, organisation: Any, event: Any, *rest: Any) -> bool:
        if organisation == other and event == BackupEvent.ORGANISATION_BACKED_UP:
            raise away
        return await was(self, principal, organisation, event, *rest)

    monkeypatch.setattr(Gate, "record_for_organisation", record)
    (made,) = await asyncio.gather(ground.create(), return_exceptions=True)
    assert isinstance(made, Made)
    assert await refused(ground, made.folder) is None
    assert made.untold == (Missing(other.value, str(away)),)
    log = await ground.installation.gate.read_operator_log(0, 5000)
    said = [each.ids for each in log if each.ids.get("backup") == made.sha256]
    assert len(said) == len(made.manifest.files)
    assert [each["organisation"] for each in said if "organisation_log" in each] == [other.value]


async def lose_the_database(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the server end the sessions in the organisation's database once a body is being read."""
    login = await vault_login(ground.installation, ground.organisation, AP)
    administrator = await superuser(ground.installation)
    was = Objects.pieces

    async def pieces(self: Objects, name: str) -> AsyncIterator[bytes]:
        if name.startswith(login.vault):
            administrator.rows(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s"
                " AND pid <> pg_backend_pid()",
                login.database,
            )
        async for piece in was(self, name):
            yield piece

    monkeypatch.setattr(Objects, "pieces", pieces)


async def test_what_a_killed_run_left_goes_with_the_next(ground: Ground) -> None:
    left = ground.folder / ".2026-01-01T000000Z.part"
    left.mkdir()
    (left / "registry.age").write_bytes(b"half")
    other = ground.folder / ".mine.part"
    other.mkdir()
    await ground.create(ground.organisation)
    assert not left.exists()
    assert other.exists()


async def test_who_made_it_and_why_is_in_the_organisations_log_and_the_operators(ground: Ground) -> None:
    made = await ground.create(ground.organisation)
    for role in Role:
        async with ground.installation.open(ground.organisation, role) as vault:
            entries = await vault.log(0, 500)
        commands = [each.ids for each in entries if each.event == "org:command:run"]
        assert {"command": "backup create", "by": "anna", "reason": "nightly", **PROOF.facts()} in commands
    async with ground.installation.open(ground.organisation, MT) as vault:
        (said,) = [each for each in await vault.log(0, 500) if each.event == "org:backup:made"]
    assert said.principal == "operator:anna"
    assert said.ids["backup"] == made.sha256
    assert PROOF.facts().items() <= said.ids.items()
    log = await ground.installation.gate.read_operator_log(0, 5000)
    assert made.sha256 in [each.ids["backup"] for each in log if each.event == "org:backup:made"]


async def test_a_drill_is_recorded_and_the_report_turns(ground: Ground) -> None:
    async def row() -> Any:
        return of_last_drill(await drills(ground.administration), ground.organisation.value)

    assert await row() is None
    made = await ground.create(ground.organisation)
    assert (await ground.drill(made)).passed
    assert (await row()).good
    administrator = await superuser(ground.installation)
    login = await vault_login(ground.installation, ground.organisation, MT)
    administrator.rows(f"UPDATE {login.schema}.log SET hash = sha256(hash) WHERE sequence = 2")
    failed = await ground.drill(made)
    assert failed.differences == ("entries of the log of mt",)
    assert not (await row()).good
    async with ground.installation.open(ground.organisation, MT) as vault:
        drilled = [each.ids for each in await vault.log(0, 500) if each.event == "org:restore:drilled"]
    assert [each["passed"] for each in drilled] == ["true", "false"]
    assert all(PROOF.facts().items() <= each.items() for each in drilled)


async def test_a_drill_that_fails_is_recorded_and_leaves_nothing(ground: Ground) -> None:
    made = await ground.create(ground.organisation)
    before = await ground.databases()
    with pytest.raises(BackupError):
        await drill.drill(
            ground.administration,
            ground.read(made.folder),
            [pyrage.x25519.Identity.generate()],
            ASKED,
            ground.organisation,
        )
    found = of_last_drill(await drills(ground.administration), ground.organisation.value)
    assert found is not None
    assert not found.good
    assert await ground.databases() == before
    assert ground.left_of_drills() == []


async def test_a_backup_from_before_a_role_was_added_is_drilled(ground: Ground) -> None:
    """Its logs are those of the roles that it has; the added role has nothing in it."""
    organisation = await ground.installation.organisation([AP])
    older = replace(ground, organisation=organisation)
    made = await older.create(organisation)
    await ground.installation.provisioner.add_organisation(organisation, [AP, MT])
    await ground.installation.known(organisation, AP, MT)
    (found,) = await asyncio.gather(older.drill(made), return_exceptions=True)
    assert isinstance(found, drill.Drilled)
    assert found.differences == ()


async def test_a_file_that_cannot_be_drilled_does_not_keep_the_others_from_it(ground: Ground) -> None:
    registered = await ground.installation.provisioner.registrations()
    # Those of earlier tests would be drilled too, which takes a second each.
    await ground.installation.forget(
        [one.vault for one in registered if one.organisation == ground.organisation]
    )
    made = await ground.create()
    backup = ground.read(made.folder)
    broken = backup.manifest.files[0]
    (made.folder / broken.file).write_bytes(b"")
    every = drill.drill(ground.administration, backup, [ground.key], ASKED)
    (found,) = await asyncio.gather(every, return_exceptions=True)
    assert isinstance(found, list)
    assert [each.file for each in found] == list(backup.manifest.files)
    assert not found[0].passed
    (why,) = found[0].differences
    assert why.startswith("it could not be restored: ")
    assert "was changed, or is incomplete" in why
    assert found[-1].passed


async def test_a_drill_says_when_the_keys_are_gone(ground: Ground) -> None:
    made = await ground.create(ground.organisation)
    keys = cast(Any, SimpleNamespace(has_data_key=lambda vault: False))
    without = Administration(
        ground.administration.config, keys, ground.installation.provisioner, ground.installation.gate
    )
    (found,) = await drill.drill(without, ground.read(made.folder), [ground.key], ASKED, ground.organisation)
    assert len(found.differences) == len(Role)
    assert all("the key store has none" in each for each in found.differences)


async def test_rows_of_a_newer_program_are_refused(ground: Ground) -> None:
    parts = VAULT[AP]
    newer = dict.fromkeys(parts, 1) | {parts[0]: versions(parts[0]) + 1}
    for versions_of_it in (newer, {"a-part-of-tomorrow": 1}):
        with pytest.raises(copies.CopyDiffers, match="newer version"):
            copies._check_versions(versions_of_it, parts)


def test_a_sum_of_rows_has_no_order_and_misses_nothing() -> None:
    def summed(*pieces: bytes) -> tuple[int, str, bool]:
        found = copies.RowSum()
        for each in pieces:
            found.take(each)
        return found.rows, found.digest, found.whole

    assert summed(b"1\ta\n2\tb\n") == summed(b"2\tb\n1", b"\ta\n")
    assert summed(b"1\ta\n2\tb\n") != summed(b"1\tb\n2\ta\n")
    assert summed(b"1\ta\n1\ta\n") != summed(b"1\ta\n")
    assert not summed(b"1\ta\n2")[2]


@pytest.mark.parametrize(
    ("name", "change"),
    [
        (MANIFEST, {"format": "tar"}),
        (MANIFEST, {"version": 2}),
        (MANIFEST, {"files": [{"file": "../../etc/passwd.age"}]}),
        (SIGNATURE, {"key": "00"}),
    ],
)
async def test_a_list_that_is_not_ours_is_refused(ground: Ground, name: str, change: dict[str, Any]) -> None:
    made = await ground.create(ground.organisation)
    keys = ground.administration.keys
    document = json.loads((made.folder / name).read_bytes()) | change
    data = json.dumps(document).encode()
    (made.folder / name).write_bytes(data)
    if name == MANIFEST:
        key = keys.log_keys(OPERATOR_KEYS)[0]
        signature = {"key": key.public.hex(), "signature": key.sign(backupset._SIGNED_AS + data).hex()}
        (made.folder / SIGNATURE).write_text(json.dumps(signature))
    with pytest.raises(Unusable):
        ground.read(made.folder)
