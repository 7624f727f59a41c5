"""Run books for losses: an installation as a process, its backup, and the commands typed in that state.

The organisations' data is backed up by `samdrift backup`, and the rest as docs/keys.md describes: the folder,
seals on a separate medium, and the passphrase elsewhere.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import psutil
import pyrage
import pytest_asyncio
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from samdrift.contracts.messages import Direction, MessageStatus
from samdrift.demo.cast import DemoOperator
from samdrift.demo.enrolment import enrol
from samdrift.federation.shapes import Use, Validity
from samdrift.installation.operator import Operator
from samdrift.installation.vaultsettings import vault_settings
from samdrift.keystore.custody import Custodians
from samdrift.keystore.interface import OPERATOR_KEYS
from samdrift.keystore.keyfiles import KeyName
from samdrift.vault.gate import Gate
from samdrift.vault.openkeys import open_keys
from samdrift.wire.smp import PublishedCertificates
from tests.roles.disks import disk
from tests.roles.member import AP, MT, Member, until
from tests.roles.processes import Process, organisation
from tests.roles.runbooks import Machine, run_book
from tests.roles.stage import Stage, member_of
from tests.roles.test_health import state_of
from tests.secretfiles import secret_file
from tests.sizes import whole
from tests.throwawaykeys import CHEAP
from tests.unit.cli.commandline import Ended, in_process
from tests.vaults import server_folder

BJURHOLM = organisation("bjurholm", "2120002569")
OPERATOR = DemoOperator("srv", "AP0044-SDK-DEMO", (BJURHOLM,))
CUSTODIANS = {"anna.berg": b"a long row of words", "bo.ek": b"quite another row"}
OFFICER = b"the officer's own row of words"


@dataclass
class Installed:
    """An installation on a machine of its own, and the copies that its operator keeps elsewhere."""

    stage: Stage
    folder: Path
    elsewhere: Path
    process: Process
    member: Member
    backup: str = ""
    """Name of the last backup."""

    @property
    def machine(self) -> Machine:
        """Return the systemd commands for its unit, as functions."""

        async def stop() -> None:
            await self.process.stop()
            assert "Traceback" not in self.process.log.read_text()

        async def restart() -> None:
            await stop()
            await self.process.start()

        return {
            "systemctl start samdrift": self.process.start,
            "systemctl stop samdrift": stop,
            "systemctl restart samdrift": restart,
        }

    def names(self, **more: str | Path) -> dict[str, str | Path]:
        return {
            "production.toml": self.process.config_file,
            "0203:habo.se": BJURHOLM.identifier.value,
            "/srv/samdrift": self.folder,
            "/srv/backup": self.elsewhere / "backups",
            "2026-11-27T020000Z": self.backup,
            "backup-key.txt": self.elsewhere / "backup-key.txt",
            "/copy": self.elsewhere / "copy",
            "/medium": self.elsewhere / "medium",
            **more,
        }

    async def backed_up(self) -> None:
        """Make new backup and copies while everything runs; neither has seals or passphrase."""
        shutil.rmtree(self.elsewhere, ignore_errors=True)
        backups, copy, medium = (self.elsewhere / name for name in ("backups", "copy", "medium"))
        for folder in (backups, copy, medium):
            folder.mkdir(parents=True)
        key = pyrage.x25519.Identity.generate()
        secret_file(self.elsewhere / "backup-key.txt", str(key).encode())
        recipient = str(key.to_public())
        made = await self.command(
            "backup", "create", backups, "--to", recipient, "--by", "cron", "--reason", "x"
        )
        assert made.status == 0, made.complaints
        (found,) = backups.iterdir()
        self.backup = found.name
        (copy / "samdrift").mkdir()
        left_out = ("database", "objects", "seals", "passphrase")
        rest = [each for each in self.folder.iterdir() if not each.name.startswith(left_out)]
        subprocess.run(["cp", "-a", *rest, copy / "samdrift"], check=True)
        shutil.rmtree(copy / "samdrift" / "secrets" / ".marks", ignore_errors=True)
        for name in ("seals", "passphrase"):
            subprocess.run(["cp", "-a", self.folder / name, medium / name], check=True)

    async def receives_with_new_key(self) -> str | None:
        """Return the result of :meth:`receives`, or ``None`` until the new key files are in use."""
        try:
            return await self.receives()
        except AssertionError:
            return None

    async def receives(self) -> str:
        """Have a peer send a message and get both of its receipts; return its id."""
        peer = self.stage.peer()
        envelope = peer.encloses(self.member)
        message_id, packed = peer.packs(envelope, self.member)

        async def taken() -> bool | None:
            posted = await peer.repeats(message_id, packed, self.member)
            if posted.answer.status != 200:
                return None
            return posted.is_receipt_of(self.member.certificate)

        assert await until(taken, "the message is taken")
        (receipt,) = await peer.message_receipts(envelope.id)
        assert not receipt.findings
        return envelope.id

    async def refuses(self) -> bool:
        """Return whether a sending peer is asked to try again later."""
        peer = self.stage.peer()
        posted = await peer.posts(peer.encloses(self.member), self.member)
        return posted.answer.status == 503

    async def has(self, envelope_id: str) -> bool:
        """Return whether an incoming message is here, with its content."""
        config = self.process.config
        gate = await Gate.start(vault_settings(config))
        try:
            member = replace(self.member, operator=Operator(config, gate, cast(Any, None)))
            async with member.open(MT) as vault:
                record = await vault.message(envelope_id, Direction.IN)
            return record is not None and record.status is MessageStatus.NEW and record.size > 0
        finally:
            await gate.close()

    def kill_everything(self) -> None:
        """Kill process and database, as a power failure of the machine would."""
        if self.process.running is not None and self.process.running.poll() is None:
            self.process.running.kill()
            self.process.running.wait(60)
        self.kill_database()

    def kill_database(self) -> None:
        pid = self.folder / "database" / "data" / "postmaster.pid"
        if not pid.exists() or not psutil.pid_exists(number := int(pid.read_text().split()[0])):
            return
        server = psutil.Process(number)
        those = [server, *server.children(recursive=True)]
        for one in those:
            with suppress(psutil.NoSuchProcess):
                one.send_signal(signal.SIGKILL)
        psutil.wait_procs(those, 60)

    async def lose_seals(self) -> None:
        """Remove the seals of the organisation's vaults."""
        gate = await Gate.start(vault_settings(self.process.config))
        try:
            found = [gate.registry.find(BJURHOLM.identifier, role) for role in (AP, MT)]
        finally:
            await gate.close()
        vaults = tuple(one.vault for one in found if one is not None)
        seals = [each for each in (self.folder / "seals").iterdir() if each.name.startswith(vaults)]
        assert len(seals) >= len(vaults) == 2
        for seal in seals:
            seal.unlink()

    async def notices_lost_marks(self) -> None:
        """Wait until the message service has checked its marks, which it does before it starts to fetch."""

        async def look() -> bool | None:
            ended = await self.command("org", "keys", "lost-marks", BJURHOLM.identifier.value)
            return True if ended.status == 1 else None

        await until(look, "it is known that marks are lost")

    async def is_gone(self, dependency: str) -> None:
        async def look() -> bool | None:
            return True if await state_of(self.member, dependency) == "gone" else None

        await until(look, f"it is known that {dependency} is gone")

    async def command(self, *arguments: str | Path) -> Ended:
        file = self.process.config_file
        return await asyncio.to_thread(in_process, *arguments, "--config", file)

    def publish(self, **changes: Any) -> None:
        """Publish changes in SMP, as its administrator does with the operator's or organisation's data."""
        smp = self.stage.federation.smp
        self.stage.federation.publish([replace(one, **changes) for one in smp.services(BJURHOLM.identifier)])


@asynccontextmanager
async def _installed(stage: Stage) -> AsyncIterator[Installed]:
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(server_folder())
        enrolled = await enrol(stage.federation, OPERATOR, folder / "srv")
        process = Process("all", enrolled.config_file, enrolled.config, cast(Any, None))
        stack.push_async_callback(process.stop)
        window = Operator(enrolled.config, cast(Any, None), cast(Any, None))
        member = member_of(stage.federation, window, BJURHOLM)
        for name, words in CUSTODIANS.items():
            Custodians(enrolled.config.vaults.secrets, cost=CHEAP).add(name, words)
            secret_file(folder / f"{name}.txt", words)
        found = Installed(stage, folder / "srv", folder / "elsewhere", process, member)
        await process.start()
        yield found
        found.kill_everything()


@pytest_asyncio.fixture(scope="module")
async def installed(stage: Stage) -> AsyncIterator[Installed]:
    async with _installed(stage) as found:
        yield found


@whole
async def test_the_database_is_lost(installed: Installed) -> None:
    kept = await installed.receives()
    await installed.backed_up()
    lost = await installed.receives()
    async with run_book("database-lost", installed.names(), installed.machine) as at:
        shutil.rmtree(installed.folder / "database" / "data" / "global")
        installed.kill_database()
        await installed.is_gone("database")
        seen = await at.types("./samdrift status")
        assert seen.status == 1
        assert " database: " in seen.output
        assert (await at.types("./samdrift doctor")).status == 2
        listed = (await at.types("./samdrift backup list")).output
        assert re.search(r" everything +1 ", listed)
        assert (await at.types("./samdrift backup verify")).status == 0
        await at.types("systemctl stop samdrift")
        for _ in range(2):
            await at.types("mv ")
        restored = await at.types("./samdrift backup restore")
        assert restored.status == 0, restored.complaints
        await at.types("systemctl start samdrift")
        assert await installed.refuses(), (
            "a restored organisation must be suspended until its losses are examined"
        )
        assert (await at.types("./samdrift org resume")).status == 0
        assert (await at.types("./samdrift org keys lost-marks")).status in (0, 1)
        assert await installed.receives()
        assert (await at.types("./samdrift status")).status == 0
        assert is_ok(await at.types("./samdrift doctor"), "database", "database.rights")
    assert await installed.has(kept)
    assert not await installed.has(lost), "messages after the backup are lost, as the run book says"


def is_ok(ended: Ended, *checks: str) -> bool:
    """Return whether the doctor reports each of these checks as in order."""
    found = {tuple(line.replace(":", " ").split()[:2]) for line in ended.output.splitlines()}
    return all(("ok", check) in found for check in checks)


@whole
async def test_the_host_is_lost(installed: Installed) -> None:
    kept = await installed.receives()
    await installed.backed_up()
    async with run_book("host-lost", installed.names(), installed.machine) as at:
        installed.kill_everything()
        seen = await at.types("./samdrift status")
        assert (seen.status, "nothing runs" in seen.output) == (2, True)
        await at.types("systemctl restart samdrift")
        assert is_ok(await at.types("./samdrift doctor"), "process", "database", "key-store")
        assert await installed.receives()
        installed.kill_everything()
        shutil.rmtree(installed.folder)
        for beginning in ("cp -a ", "cp -a ", "install -m 600 "):
            await at.types(beginning)
        restored = await at.types("./samdrift backup restore")
        assert restored.status == 0, restored.complaints
        await at.types("systemctl start samdrift")
        assert (await at.types("./samdrift org resume")).status == 0
        assert await installed.receives()
        assert (await at.types("./samdrift status")).status == 0
        assert is_ok(await at.types("./samdrift doctor"), "process", "database", "key-store")
    assert await installed.has(kept)


@whole
async def test_the_key_store_is_lost_and_then_the_seals(installed: Installed, tmp_path: Path) -> None:
    keys = tmp_path / "habo.keys"
    files = {name: installed.folder.parent / f"{name}.txt" for name in CUSTODIANS}
    first, second = files
    # Receiving marks its session key in the key store, and copies do not include marks.
    await installed.receives()
    made = await installed.command(
        *("org", "keys", "backup", BJURHOLM.identifier.value, "--out", keys),
        *("--by", first, "--by-passphrase-file", files[first]),
        *("--with", second, "--with-passphrase-file", files[second]),
    )
    assert made.status == 0, made.complaints
    await installed.backed_up()
    typed = f"{keys} --by-passphrase-file {files[first]} --with-passphrase-file {files[second]}"
    async with run_book("key-store-lost", installed.names(**{"habo.keys": typed}), installed.machine) as at:
        shutil.rmtree(installed.folder / "secrets")
        await installed.is_gone("key-store")
        found = await at.types("./samdrift doctor")
        assert found.status == 2
        assert not is_ok(found, "key-store")
        await at.types("systemctl stop samdrift")
        await at.types("cp -a ")
        await at.types("systemctl start samdrift")
        await installed.notices_lost_marks()
        assert (await at.types("./samdrift org keys lost-marks")).status == 1
        assert await installed.receives()
        await installed.lose_seals()
        await at.types("systemctl stop samdrift")
        assert (await at.types("./samdrift org keys restore")).status == 0
        await at.types("systemctl start samdrift")
        assert await installed.receives()
        assert is_ok(await at.types("./samdrift doctor"), "key-store")
        assert (await at.types("./samdrift org keys list")).status == 0


@whole
async def test_the_passphrase_is_lost_and_then_an_officers_is_asked_for(
    installed: Installed, tmp_path: Path
) -> None:
    await installed.backed_up()
    words = secret_file(tmp_path / "officer", OFFICER)
    own = f"{BJURHOLM.identifier.value} --passphrase-file {words}"
    async with run_book("passphrase-lost", installed.names(), installed.machine) as at:
        await installed.process.stop()
        (installed.folder / "passphrase").unlink()
        assert not is_ok(await at.types("./samdrift doctor"), "key-store")
        await at.types("install -m 600 ")
        await at.types("systemctl restart samdrift")
        assert await installed.receives()
        lock = "org", "lock", BJURHOLM.identifier.value
        ended = await installed.command(*lock, "--passphrase-file", words)
        assert ended.status == 0, ended.complaints
        await installed.process.stop()
        await installed.process.start()
        assert await installed.refuses()
        at.names = {**at.names, "0203:habo.se": own}
        assert (await at.types("./samdrift org unlock")).status == 0
        assert await installed.receives()
        assert (await at.types("./samdrift status")).status == 0
        assert is_ok(await at.types("./samdrift doctor"), "key-store")
    back = await installed.command(*lock, "--operator", "--present-passphrase-file", words)
    assert back.status == 0, back.complaints


@whole
async def test_the_disk_is_full(installed: Installed) -> None:
    await installed.process.stop()
    async with AsyncExitStack() as stack:
        small = stack.enter_context(disk(installed.folder / "objects", "64m"))
        stack.push_async_callback(installed.process.stop)
        await installed.process.start()
        full = stack.enter_context(ExitStack())
        full.enter_context(small.full())

        async def vacuum() -> None:
            full.close()

        machine = {**installed.machine, "journalctl --vacuum-size=200M": vacuum}
        async with run_book("disk-full", installed.names(), machine) as at:
            await installed.is_gone("object-store")
            assert (await at.types("df -h ")).output
            found = await at.types("./samdrift doctor")
            assert found.status == 2
            assert not is_ok(found, "disk.objects")
            await at.types("journalctl ")

            async def back() -> bool | None:
                return True if await state_of(installed.member, "object-store") == "there" else None

            await until(back, "the object store is back")
            assert await installed.receives()
            assert (await at.types("./samdrift status")).status == 0
            assert is_ok(await at.types("./samdrift doctor"), "objects")
    await installed.process.start()


@whole
async def test_a_certificate_has_expired(installed: Installed, tmp_path: Path) -> None:
    """The access point's certificate is renewed, activated while everything runs, and published."""
    config, authority = installed.process.config, installed.stage.federation.authority
    request, certificate = tmp_path / "request.pem", tmp_path / "certificate.pem"
    keys = open_keys(vault_settings(config))
    ended = Validity(datetime.now(UTC) - timedelta(days=400), datetime.now(UTC) - timedelta(days=1))
    made = keys.create_key(OPERATOR_KEYS, KeyName.ACCESS_POINT, x509.Name([]), bits=2048)
    expired = authority.issue_access_point(OPERATOR.party, made, validity=ended)
    keys.install_certificate(OPERATOR_KEYS, KeyName.ACCESS_POINT, expired)
    names = installed.names(**{"request.pem": request, "certificate.pem": certificate})
    async with run_book("certificate-expired", names, installed.machine) as at:
        assert f"in use  {ended.end:%Y-%m-%d}" in (await at.types("./samdrift keys list")).output
        assert (await at.types("./samdrift keys request")).status == 0
        issued = authority.issue_access_point(OPERATOR.party, request.read_bytes())
        certificate.write_bytes(issued.public_bytes(Encoding.PEM))
        assert (await at.types("./samdrift keys install")).status == 0
        (service, *_) = installed.stage.federation.smp.services(BJURHOLM.identifier)
        endpoints = tuple(replace(one, certificate=issued) for one in service.endpoints)
        installed.publish(endpoints=endpoints)
        installed.member = replace(installed.member, certificate=issued)
        assert (await at.types("./samdrift org keys list")).status == 0
        in_use = (await at.types("./samdrift keys list")).output
        assert f"in use  {issued.not_valid_after_utc:%Y-%m-%d}" in in_use
        assert is_ok(await at.types("./samdrift doctor"), "certificate.access-point")
        shown = await at.types("./samdrift org show")
        assert "registered with our access point’s certificate" in shown.output
        assert await until(installed.receives_with_new_key, "what runs signs with the new key")


@whole
async def test_an_organisation_is_compromised(installed: Installed) -> None:
    """It is suspended, its key is withdrawn, its logins are replaced; then it continues."""
    peer = installed.stage.peer()
    async with run_book("organisation-compromised", installed.names(), installed.machine) as at:
        assert (await at.types("./samdrift org suspend")).status == 0
        envelope = peer.encloses(installed.member)
        message_id, packed = peer.packs(envelope, installed.member)
        posted = await peer.repeats(message_id, packed, installed.member)
        assert posted.answer.status == 503
        assert re.search(r" signing +1 +in use ", (await at.types("./samdrift org keys list")).output)
        assert (await at.types("./samdrift org keys revoke")).status == 0
        assert (await at.types("./samdrift database rotate-logins")).status == 0
        await _certified_again(installed)
        assert (await at.types("./samdrift org resume")).status == 0

        async def taken() -> bool | None:
            again = await peer.repeats(message_id, packed, installed.member)
            return True if again.answer.status == 200 else None

        await until(taken, "what the peer had to send again is taken")
        (receipt,) = await peer.message_receipts(envelope.id)
        assert not receipt.findings
        over = await at.types("./samdrift org keys list")
        assert "incident 41" in over.output


async def _certified_again(installed: Installed) -> None:
    """Give the organisation its next signing key, and have it published."""
    first, second = CUSTODIANS
    files = {name: installed.folder.parent / f"{name}.txt" for name in CUSTODIANS}
    ended = await installed.command(
        *("org", "keys", "create", BJURHOLM.identifier.value, "signing"),
        *("--by", first, "--by-passphrase-file", files[first]),
        *("--with", second, "--with-passphrase-file", files[second]),
    )
    assert ended.status == 0, ended.complaints
    issued = installed.stage.federation.authority.issue_organisation(
        BJURHOLM.identifier,
        BJURHOLM.name,
        ended.output.encode(),
        Use.SIGNING,
        organisation_number=BJURHOLM.number,
    )
    file = installed.folder.parent / "signing.pem"
    file.write_bytes(issued.public_bytes(Encoding.PEM))
    ended = await installed.command("org", "keys", "install", BJURHOLM.identifier.value, "signing", file)
    assert ended.status == 0, ended.complaints
    (service, *_) = installed.stage.federation.smp.services(BJURHOLM.identifier)
    installed.publish(certificates=PublishedCertificates((issued,), service.certificates.encryption))
