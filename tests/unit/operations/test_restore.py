"""A restore of one organisation while others go on, or of all; no waiting message is sent twice."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from samdrift.audit.entries import Happening
from samdrift.contracts.messages import WorkKind
from samdrift.contracts.principals import Purpose, Role
from samdrift.contracts.statements import NumberedStatement
from samdrift.contracts.transfer import TransferState
from samdrift.keystore.keyfiles import KeyStoreError
from samdrift.operations import backupset
from samdrift.operations import restore as restore_module
from samdrift.operations.backup import signers
from samdrift.operations.backupformat import BackupError, BackupFault
from samdrift.operations.restore import restore, restore_registry
from samdrift.operations.restoring import Restoring
from samdrift.vault import logins
from samdrift.vault.database.migrations import hardening_for
from samdrift.vault.errors import (
    DatabaseMissing,
    DatabaseUnfit,
    VaultLocked,
    VaultSuspended,
    VaultUnavailable,
)
from samdrift.vault.events import VaultEvent
from samdrift.vault.heads import RecordBehind
from samdrift.vault.objects import Objects
from samdrift.vault.registry import RegistrationState
from samdrift.wire.identifiers import RECEIPT_EXTENDED
from tests.cluster import ADMINISTRATOR, cluster
from tests.movable import LARGE
from tests.separation.vaultlogin import superuser, vault_login
from tests.sizes import sampled
from tests.unit.operations.backingup import ASKED, PROOF, Ground, administration_of, grounded
from tests.vaults import (
    MINUTE,
    NOW,
    Installation,
    body,
    incoming,
    installed,
    outgoing,
    server_folder,
    settings_in,
    submitted,
    until,
)

AP, MT, MK = Role.ACCESS_POINT, Role.MESSAGE_SERVICE, Role.MESSAGE_CLIENT
_EVER = datetime(2200, 1, 1, tzinfo=UTC)
_GOES_ON = {"log", "log_head", "log_tree", "log_nodes", "log_pauses"}
"""Tables that receive entries about the backup and the restore."""
_SENT = {
    AP: {"transfers", "attempts", "events", "bodies", "moment", "moments"},
    MT: {"work", "moment"},
    MK: {"messages", "drafts", "notices", "moment"},
    Role.GOVERNANCE: {"moment"},
}
"""Tables in which work that waited to be sent is ended."""


@pytest.fixture
async def ground(installation: Installation, tmp_path: Path) -> Ground:
    return await grounded(installation, tmp_path / "backups")


async def contents(ground: Ground) -> dict[Role, dict[str, Any]]:
    """Return count and digest of each of the organisation's tables, as in the database."""
    administrator = await superuser(ground.installation)
    found = {}
    for role in Role:
        login = await vault_login(ground.installation, ground.organisation, role)
        found[role] = administrator.snapshot(login.schema)
    return found


async def resume(ground: Ground) -> None:
    registry = ground.installation.gate.registry
    for role in Role:
        await ground.installation.provisioner.set_state(ground.organisation, role, RegistrationState.ACTIVE)
    await until(lambda: all(registry.serves(ground.organisation, role) for role in Role))


async def suspended(ground: Ground) -> None:
    registry = ground.installation.gate.registry
    await until(lambda: not any(registry.serves(ground.organisation, role) for role in Role))


async def changes(ground: Ground) -> None:
    """Let more come in and go out after the backup."""
    async with ground.installation.open(ground.organisation, AP) as vault:
        await submitted(vault, LARGE, sender=ground.organisation)
        await vault.accept(incoming(), await body(vault, LARGE), b"<given/>", now=NOW)
        for each in await vault.inbox(10):
            await vault.acknowledge(each.id, now=NOW)


async def test_one_organisation_is_as_it_was_and_another_goes_on_meanwhile(ground: Ground) -> None:
    other = await ground.installation.organisation([AP])
    before = await contents(ground)
    made = await ground.create(ground.organisation)
    await changes(ground)
    sent, enough = 0, asyncio.Event()

    async def goes_on() -> None:
        nonlocal sent
        while not enough.is_set():
            async with ground.installation.open(other, AP) as vault:
                await submitted(vault, LARGE, sender=other)
            sent += 1

    task = asyncio.create_task(goes_on())
    restored = await ground.restore(made)
    done = sent
    await until(lambda: sent > done or task.done())
    enough.set()
    await task
    async with ground.installation.open(other, AP) as vault:
        assert len(await vault.waiting(sent + 1)) == sent, "the other organisation must lose nothing"
    await suspended(ground)
    after = await contents(ground)
    for role in Role:
        differ = {name for name in before[role] if before[role][name] != after[role][name]}
        assert differ <= _GOES_ON | _SENT[role], role
    assert restored.compared > 50
    assert restored.former in await ground.databases()
    await resume(ground)
    async with ground.installation.open(ground.organisation, AP) as vault:
        for item in await vault.inbox(10):
            reader = await vault.incoming_body(item.id)
            assert reader is not None
            assert await reader.read_all(), "bodies must be restored, too"


async def test_after_a_restore_logins_are_replaced_and_the_organisation_is_closed_as_ever(
    ground: Ground,
) -> None:
    """The former database keeps no login and no owner, and is removed with the organisation."""
    made = await ground.create(ground.organisation)
    restored = await ground.restore(made)
    await suspended(ground)
    administrator = await superuser(ground.installation)
    for role in Role:
        login = await vault_login(ground.installation, ground.organisation, role)
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            psycopg.connect(login.address, dbname=restored.former)
        await ground.installation.provisioner.rotate_login(ground.organisation, role)
        assert administrator.rows("SELECT FROM pg_roles WHERE rolname = %s", login.login) == []
    again = await ground.restore(made)
    assert again.former == restored.former
    for role in Role:
        await ground.installation.provisioner.drop(ground.organisation, role)
    assert restored.former not in await ground.databases()


STATEMENTS = [NumberedStatement(number, f"statement {number}".encode()) for number in (1, 2, 3)]


async def test_what_ended_since_the_backup_has_ended_after_a_restore(ground: Ground) -> None:
    """Attack: a restore by one person that gives back what officers have taken."""
    for role in (MK, AP):
        async with ground.installation.open(ground.organisation, role) as vault:
            await vault.append_signed_statements(STATEMENTS[:1])
    made = await ground.create(ground.organisation)
    for role in (MK, AP):
        async with ground.installation.open(ground.organisation, role) as vault:
            await vault.append_signed_statements(STATEMENTS[1:])
    async with ground.installation.open(ground.organisation, MK) as vault:
        assert await vault.append_statements(STATEMENTS[2:]) == 3
    found = await ground.restore(made)
    await resume(ground)
    assert (found.stored_again, found.behind) == (5, ())
    for role in (MK, AP):
        async with ground.installation.open(ground.organisation, role) as vault:
            assert await vault.signed_statements_after(0, 9) == STATEMENTS
    async with ground.installation.open(ground.organisation, MK) as vault:
        assert await vault.last_statement() == 3


async def test_what_the_former_database_lacks_too_leaves_the_record_unread(ground: Ground) -> None:
    """Attack: the rows are deleted before the restore, so that the former database has not got them."""
    made = await ground.create(ground.organisation)
    async with ground.installation.open(ground.organisation, MK) as vault:
        await vault.append_signed_statements(STATEMENTS)
    schema = (await vault_login(ground.installation, ground.organisation, MK)).schema
    (await superuser(ground.installation)).rows(f"DELETE FROM {schema}.signed_statements WHERE number > 1")
    found = await ground.restore(made)
    assert found.behind == ("mk",)
    await resume(ground)
    async with ground.installation.open(ground.organisation, MK) as vault:
        with pytest.raises(RecordBehind):
            await vault.last_signed_statement()
    async with ground.installation.open(ground.organisation, MK) as vault:
        with pytest.raises(RecordBehind):
            await vault.cover_facts()


async def test_it_is_suspended_until_people_resume_it(ground: Ground) -> None:
    made = await ground.create(ground.organisation)
    await ground.restore(made)
    registered = await ground.installation.provisioner.registrations()
    states = {each.state for each in registered if each.organisation == ground.organisation}
    assert states == {RegistrationState.SUSPENDED}
    await suspended(ground)
    with pytest.raises(VaultSuspended):
        async with ground.installation.open(ground.organisation, AP):
            pass
    await resume(ground)
    async with ground.installation.open(ground.organisation, AP) as vault:
        await submitted(vault)


async def test_what_waited_is_not_sent_again_and_each_is_listed(ground: Ground) -> None:
    """Work that was due at the backup may have been sent since, so it no longer waits after the restore."""
    async with ground.installation.open(ground.organisation, AP) as vault:
        waited = {each.envelope_id for each in await vault.waiting(100)}
        receipt = outgoing(ground.organisation)
        answer = type(receipt)(
            receipt.envelope_id,
            receipt.conversation_id,
            receipt.sender,
            receipt.recipient,
            RECEIPT_EXTENDED,
            receipt.process,
        )
        await vault.submit(answer, await body(vault), as4_message_id="r@ap.test", now=NOW, lease=None)
    async with ground.installation.open(ground.organisation, MT) as service:
        due = await service.claim_work(now=_EVER, lease=MINUTE, limit=100)
    messages = {each.id for each in due if each.kind is WorkKind.MESSAGE}
    assert waited
    assert messages
    made = await ground.create(ground.organisation)
    async with ground.installation.open(ground.organisation, AP) as vault:
        for each in await vault.waiting(100):
            await vault.delivered(each.id, now=NOW, receipt=b"<proof/>", peer="AP0002")
    restored = await ground.restore(made)
    found = {(each.what, each.id) for each in restored.unsent}
    assert {("transfer", each) for each in waited} <= found
    assert {("message", each) for each in messages} <= found
    await suspended(ground)
    await resume(ground)
    async with ground.installation.open(ground.organisation, AP) as vault:
        assert [each.envelope_id for each in await vault.waiting(100)] == [answer.envelope_id]
        for envelope in waited:
            status = await vault.status(envelope)
            assert status is not None
            assert status.state is TransferState.FAILED
    async with ground.installation.open(ground.organisation, MT) as service:
        left = await service.claim_work(now=_EVER, lease=MINUTE, limit=100)
        assert WorkKind.MESSAGE not in {each.kind for each in left}
        assert messages <= {each.id for each in left if each.kind is WorkKind.DEADLINE}
    logged = set()
    for role in (AP, MT, MK):
        async with ground.installation.open(ground.organisation, role) as opened:
            entries = await opened.log(0, 500)
        logged |= {
            (each.ids["what"], each.ids["message"])
            for each in entries
            if each.event == "org:restore:not-sent"
        }
    assert logged == found
    log = await ground.installation.gate.read_operator_log(0, 5000)
    said = [each.ids for each in log if each.event == "org:restore:done"][-1]
    assert said["organisation"] == ground.organisation.value
    assert said["backup"] == ground.read(made.folder).sha256
    assert PROOF.facts().items() <= said.items()


async def test_what_is_due_in_the_restored_vault_is_known_to_the_registry(ground: Ground) -> None:
    made = await ground.create(ground.organisation)
    await changes(ground)
    await ground.restore(made)
    await suspended(ground)
    await resume(ground)
    due = dict(await ground.installation.gate.due(MT, _EVER))
    async with ground.installation.open(ground.organisation, MT) as service:
        assert due[ground.organisation] == await service.next_due()


async def states(ground: Ground) -> dict[Role, RegistrationState]:
    registered = await ground.installation.provisioner.registrations()
    return {each.role: each.state for each in registered if each.organisation == ground.organisation}


async def test_an_organisation_is_suspended_before_its_bodies_are_stored(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise it removes bodies of messages that it handles meanwhile, and the restored rows name them."""
    made = await ground.create(ground.organisation)
    found: list[RegistrationState] = []
    was = Restoring.body

    async def body(*arguments: Any) -> None:
        found.extend((await states(ground)).values())
        await was(*arguments)

    monkeypatch.setattr(Restoring, "body", body)
    restored = await ground.restore(made)
    assert set(found) == {RegistrationState.SUSPENDED}
    assert restored.lost == {}


async def test_a_body_that_is_removed_during_a_restore_is_reported_as_lost(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Work that began before the suspension may end after the bodies were compared."""
    made = await ground.create(ground.organisation)
    was = restore_module.end_unsent
    stored = sorted(ground.installation.objects(ground.organisation))

    async def end_unsent(*arguments: Any) -> Any:
        stored[0].unlink(missing_ok=True)
        return await was(*arguments)

    monkeypatch.setattr(restore_module, "end_unsent", end_unsent)
    restored = await ground.restore(made)
    assert sum(restored.lost.values()) == 1


async def test_after_a_restore_that_fails_only_those_vaults_are_suspended_that_were(ground: Ground) -> None:
    made = await ground.create(ground.organisation)
    await ground.installation.provisioner.set_state(ground.organisation, MT, RegistrationState.SUSPENDED)
    before = await states(ground)
    ground.key = type(ground.key).generate()
    with pytest.raises(BackupError, match="another key"):
        await ground.restore(made)
    assert await states(ground) == before


async def test_a_failure_after_the_switch_resumes_nothing(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The organisation has the restored database, which people look at before they resume it."""
    made = await ground.create(ground.organisation)

    async def refuses(*_: object) -> None:
        raise VaultUnavailable

    monkeypatch.setattr("samdrift.vault.portability.replacing._let_in", refuses)
    with pytest.raises(VaultUnavailable):
        await ground.restore(made)
    assert set((await states(ground)).values()) == {RegistrationState.SUSPENDED}


async def test_an_organisation_that_cannot_be_resumed_after_a_failure_is_named(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await ground.create(ground.organisation)
    ground.key = type(ground.key).generate()

    async def away(*_: object) -> None:
        raise VaultUnavailable

    monkeypatch.setattr(restore_module, "resume", away)
    with pytest.raises(BackupError, match=r"stays suspended.*samdrift org resume") as caught:
        await ground.restore(made)
    assert "another key" in str(caught.value)
    assert caught.value.fault is BackupFault.SUSPENDED


@pytest.mark.parametrize("how", sampled(["a changed byte", "another key"]))
async def test_a_restore_that_fails_changes_nothing(ground: Ground, how: str) -> None:
    made = await ground.create(ground.organisation)
    before, databases = await contents(ground), await ground.databases()
    if how == "a changed byte":
        file = made.folder / "organisation-0001.age"
        data = bytearray(file.read_bytes())
        data[len(data) // 2] ^= 1
        file.write_bytes(data)
    else:
        ground.key = type(ground.key).generate()
    with pytest.raises(BackupError):
        await ground.restore(made)
    assert await ground.databases() == databases
    after = await contents(ground)
    for role in Role:
        assert {name for name in before[role] if before[role][name] != after[role][name]} <= _GOES_ON
    await until(lambda: ground.installation.gate.registry.serves(ground.organisation, AP))
    async with ground.installation.open(ground.organisation, AP) as vault:
        await submitted(vault)


async def test_a_switch_that_is_cut_short_leaves_the_organisation_as_it_was(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The interruption is after its logins are shut out and before the names have changed."""
    made = await ground.create(ground.organisation)
    databases = await ground.databases()

    async def cut_short(*_: object) -> None:
        raise VaultUnavailable

    monkeypatch.setattr("samdrift.vault.databases.rename", cut_short)
    with pytest.raises(VaultUnavailable):
        await ground.restore(made)
    assert await ground.databases() == databases
    async with asyncio.timeout(60):
        while True:
            try:
                async with ground.installation.open(ground.organisation, AP) as vault:
                    await submitted(vault)
                return
            except VaultUnavailable:
                await asyncio.sleep(0.05)


async def test_a_restore_that_cannot_end_a_session_leaves_the_organisation_as_it_was(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await ground.create(ground.organisation)
    shut_out, tried = logins.shut_out, list[str]()

    async def one_stays(connection: logins.Connection, login: str) -> None:
        tried.append(login)
        if len(tried) == len(Role):
            monkeypatch.setattr(logins, "_END", "SELECT %s::text")  # finds the session, and does not end it
        await shut_out(connection, login)

    with monkeypatch.context() as patch:
        patch.setattr(logins, "shut_out", one_stays)
        with pytest.raises(VaultUnavailable) as caught:
            await ground.restore(made)
    assert caught.value.cause == "a session of a vault does not end"
    allowed = await ground.installation.provisioner._rows(
        "SELECT rolcanlogin FROM pg_roles WHERE rolname = ANY(%s)", tried
    )
    assert allowed == [(True,)] * len(Role), "every login must be allowed again"


async def test_a_backup_of_other_vaults_is_refused(ground: Ground) -> None:
    """The organisation was closed and added again, so a backup of it opens for nobody."""
    made = await ground.create(ground.organisation)
    for role in Role:
        await ground.installation.provisioner.drop(ground.organisation, role)
    await ground.installation.provisioner.add_organisation(ground.organisation, tuple(Role))
    await ground.installation.known(ground.organisation, *Role)
    with pytest.raises(BackupError, match="vaults other than") as caught:
        await ground.restore(made)
    assert caught.value.fault is BackupFault.ABSENT


async def test_an_organisation_is_put_back_without_bodies_that_were_lost_before_the_backup(
    ground: Ground,
) -> None:
    """Every later backup lacks them as well, so the rest must come back, and what is lost be counted."""
    sorted(ground.installation.objects(ground.organisation))[0].unlink()
    made = await ground.create(ground.organisation)
    assert made.manifest.of(ground.organisation.value).lost == 1
    restored = await ground.restore(made)
    assert sum(restored.lost.values()) == 1
    log = await ground.installation.gate.read_operator_log(0, 5000)
    said = [each.ids for each in log if each.event == "org:restore:done"][-1]
    assert said["lost"] == " ".join(f"{role}=1" for role in restored.lost)


async def test_a_backup_that_lacks_more_bodies_than_its_list_says_is_refused(ground: Ground) -> None:
    sorted(ground.installation.objects(ground.organisation))[0].unlink()
    made = await ground.create(ground.organisation)
    backup = ground.read(made.folder)
    files = tuple(replace(each, lost=0) for each in backup.manifest.files)
    said = replace(backup, manifest=replace(backup.manifest, files=files))
    with pytest.raises(BackupError, match=r"bodies that .* names: use another backup") as caught:
        await restore(ground.administration, said, [ground.key], ASKED, ground.organisation)
    assert caught.value.fault is BackupFault.DAMAGED


async def test_an_organisation_whose_database_is_gone_is_put_back(ground: Ground) -> None:
    made = await ground.create(ground.organisation)
    login = await vault_login(ground.installation, ground.organisation, AP)
    administrator = await superuser(ground.installation)
    administrator.rows(f'DROP DATABASE "{login.database}" WITH (FORCE)')
    why = Happening(NOW, VaultEvent.ORGANISATION_SUSPENDED, "operator:anna", Purpose.ADMINISTER, {})
    state = RegistrationState.SUSPENDED
    with pytest.raises(DatabaseMissing, match="backup restore --organisation"):
        await ground.installation.provisioner.set_state(ground.organisation, AP, state, why)
    await ground.restore(made)
    await suspended(ground)
    await resume(ground)
    async with ground.installation.open(ground.organisation, AP) as vault:
        assert await vault.inbox(10)


async def test_everything_is_put_back_into_an_empty_installation(tmp_path: Path) -> None:
    """The host is lost; only the backup and the key store with its seals, backed up separately, remain."""
    with server_folder() as folder:
        settings = settings_in(folder)
        async with installed(settings) as installation:
            ground = await grounded(installation, tmp_path / "backups")
            other = await installation.organisation([AP])
            async with installation.open(other, AP) as vault:
                await submitted(vault, LARGE, sender=other)
            made = await ground.create()
            before = await contents(ground)
        for place in (settings.database, settings.objects):
            shutil.rmtree(place)
        async with installed(settings) as installation:
            keys = administration_of(installation).keys
            backup = backupset.read(made.folder, signers(keys, None))
            objects = Objects(settings.objects)
            await restore_registry(installation.provisioner, objects, backup, [ground.key])
            with pytest.raises(BackupError, match="already"):
                await restore_registry(installation.provisioner, objects, backup, [ground.key])
        async with installed(settings) as installation:
            administration = administration_of(installation)
            for organisation in (ground.organisation, other):
                await restore(administration, backup, [ground.key], ASKED, organisation)
            again = Ground(installation, administration, ground.organisation, ground.folder, ground.key)
            after = await contents(again)
            for role in Role:
                differ = {name for name in before[role] if before[role][name] != after[role][name]}
                assert differ <= _GOES_ON | _SENT[role], role
            await resume(again)
            async with installation.open(ground.organisation, AP) as vault:
                items = await vault.inbox(10)
                assert items
                for item in items:
                    reader = await vault.incoming_body(item.id)
                    assert reader is not None
                    assert await reader.read_all()
            log = await installation.gate.read_operator_log(0, 5000)
            assert "org:backup:made" not in [each.event for each in log], "its log must be that of the backup"
            assert [each.event for each in log].count("org:restore:done") == 2


async def test_one_that_its_officer_has_locked_is_put_back_into_a_new_cluster_with_the_officer(
    tmp_path: Path,
) -> None:
    """The passwords of its logins are sealed with keys that only the officer opens."""
    officer, another = b"the officer's own row of words", b"another row of words, of somebody else"
    with server_folder() as folder:
        settings = settings_in(folder)
        async with installed(settings) as installation:
            ground = await grounded(installation, tmp_path / "backups")
            keys = installation.provisioner.keys
            for role in Role:
                found = installation.gate.registry.find(ground.organisation, role)
                assert found is not None
                keys.relock(found.vault, officer)
                await installation.provisioner.rotate_login(ground.organisation, role)
            made = await ground.create()
        for place in (settings.database, settings.objects):
            shutil.rmtree(place)
        async with installed(settings) as installation:
            backup = backupset.read(made.folder, signers(administration_of(installation).keys, None))
            objects = Objects(settings.objects)
            await restore_registry(installation.provisioner, objects, backup, [ground.key])
        async with installed(settings) as installation:
            administration = replace(administration_of(installation), keys=installation.provisioner.keys)
            again = Ground(installation, administration, ground.organisation, ground.folder, ground.key)
            with pytest.raises(BackupError, match="--officer-passphrase-file") as caught:
                await again.restore(made)
            assert caught.value.fault is BackupFault.LOCKED
            with pytest.raises(KeyStoreError, match="is not the officer's"):
                await restore(administration, backup, [again.key], ASKED, again.organisation, another)
            restored = await restore(administration, backup, [again.key], ASKED, again.organisation, officer)
            assert restored.compared > 50
            await suspended(again)
            await resume(again)
            with pytest.raises(VaultLocked):
                async with installation.open(again.organisation, AP):
                    pass
            for role in Role:
                found = installation.gate.registry.find(again.organisation, role)
                assert found is not None
                installation.gate._keys.unlock(found.vault, officer)
            async with installation.open(again.organisation, AP) as vault:
                assert await vault.inbox(10)
            log = await installation.gate.read_operator_log(0, 5000)
            (done,) = [each.ids for each in log if each.event == "org:restore:done"]
            assert done["officer"] == "present"


async def test_an_administrator_who_is_no_superuser_backs_up_and_puts_back(tmp_path: Path) -> None:
    """In the operator's own cluster, the rights given in docs/database.md suffice.

    The cluster is hardened from the beginning, as the script of `samdrift init` leaves it.
    """
    with server_folder() as folder, cluster(folder / "cluster") as theirs:
        theirs.superuser(f"CREATE DATABASE samdrift_template OWNER {ADMINISTRATOR}", "postgres")
        for database in ("samdrift", "samdrift_template"):
            theirs.superuser(hardening_for(ADMINISTRATOR), database)
        async with installed(theirs.settings()) as installation:
            ground = await grounded(installation, tmp_path / "backups")
            made = await ground.create()
            assert (await ground.drill(made)).differences == ()
            await changes(ground)
            restored = await ground.restore(made)
            await suspended(ground)
            await resume(ground)
            async with installation.open(ground.organisation, AP) as vault:
                assert await vault.inbox(10)
            theirs.superuser(f"REVOKE SELECT ON pg_catalog.pg_constraint FROM {ADMINISTRATOR}")
            with pytest.raises(DatabaseUnfit, match="have a superuser run it again"):
                await ground.create()
        names = [name for (name,) in theirs.ask("SELECT datname FROM pg_database")]
        assert restored.former in names
        opened = (
            "SELECT datname FROM pg_database WHERE datname ~ '^d' AND coalesce(datacl::text, '{=') ~ '[{,]='"
        )
        assert theirs.ask(opened) == [], "only our logins may connect, also to the former database"
