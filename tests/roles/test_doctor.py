"""`samdrift doctor` on a running installation: first in order, then with each dependency broken."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from samdrift.administration.administration import Administration, beside
from samdrift.config.hsm import HsmTokenConfig
from samdrift.config.mail import MailConfig
from samdrift.config.malware import MalwareConfig
from samdrift.config.model import Config, Environment, SocketAddress
from samdrift.config.signin import SignInConfig
from samdrift.config.staff import StaffKeysConfig
from samdrift.contracts.principals import Role
from samdrift.federation.server import Failure, Service
from samdrift.installation.vaultsettings import vault_settings
from samdrift.keystore.durablefiles import private_folder
from samdrift.net.clamd import ClamdAddress
from samdrift.net.clock import system_clock
from samdrift.net.server import listening_socket
from samdrift.operations import foundation, neighbours, places
from samdrift.operations.doctor import Scope, check_staff, examine
from samdrift.operations.findings import Finding, State, exit_status
from samdrift.vault.errors import ServerBusy
from samdrift.vault.examination import examine_database
from samdrift.vault.logins import CONNECTIONS
from samdrift.vault.openkeys import open_keys
from samdrift.vault.provision import Provisioner
from tests.replicas import replicated
from tests.roles.disks import disk
from tests.roles.member import until
from tests.roles.stage import HOST, Stage, no_patience_with_dns
from tests.scanner import requires_clamd, running_clamd
from tests.secretfiles import secret_file
from tests.vaults import installed, server_folder, settings_in

NOBODY_THERE = f"{HOST}:9"


def by_id(findings: list[Finding]) -> dict[str, Finding]:
    return {one.id: one for one in findings}


def wrong(findings: list[Finding]) -> dict[str, State]:
    """Return problems other than those of the tests' servers (:mod:`tests.postgrestemplate`)."""
    found = {one.id: one.state for one in findings if one.state in (State.WARN, State.FAIL)}
    assert found.pop("database.durable", State.FAIL) is State.FAIL
    return found


async def collected(findings: AsyncIterator[Finding]) -> list[Finding]:
    return [one async for one in findings]


async def of_organisations(installation: Administration) -> list[Finding]:
    """Return the findings about organisations, with queries to the federation."""
    return await collected(neighbours.check_organisations(installation, system_clock(), offline=False))


async def of_foundation(config: Config) -> list[Finding]:
    return (await foundation.check_foundation(vault_settings(config)))[0]


def moved(config: Config, **places_: Any) -> Config:
    return replace(config, vaults=replace(config.vaults, **places_))


@pytest.fixture
def config(stage: Stage) -> Config:
    return stage.agency.config


async def test_a_running_installation_of_the_federation_is_in_order(config: Config) -> None:
    """All is in order but the clock, the scanner's signatures and agreements.

    The clock's server is missing, the test has made the signatures, and agreements are only inherited.
    """
    findings = await examine(config, Scope(time_server=NOBODY_THERE))
    expected = {"clock": State.WARN}
    for role in ("ap", "mt"):
        expected |= {f"agreements.{role}": State.FAIL}
    if config.malware is not None and config.malware.clamd is not None:
        expected["scanner.signatures"] = State.WARN
    assert wrong(findings) == expected
    assert by_id(findings)["clock"].found == f"not known: connection refused at {NOBODY_THERE}"
    assert exit_status(findings) == 2
    seen = {one.id for one in findings if one.state is State.OK}
    assert {
        "database",
        "database.access",
        "database.hardening",
        "database.rights",
        "objects",
        "key-store",
    } <= seen
    assert {"certificate.access-point", "certificate.tls-server", "revocation", "address-book", "dns"} <= seen
    assert {
        "organisation.smp-message",
        "organisation.certpub-signing",
        "process",
        "process.descriptors",
    } <= seen
    assert {f"tls.{door}.{rule}" for door in "acd" for rule in ("versions", "suites", "certificate")} <= seen


async def test_every_finding_that_is_wrong_has_a_reason_and_something_to_do(
    config: Config, tmp_path: Path
) -> None:
    broken = moved(config, objects=tmp_path / "missing", secrets=tmp_path / "none")
    findings = await examine(broken, Scope(offline=True))
    assert exit_status(findings) == 2
    failed = [one for one in findings if one.state in (State.WARN, State.FAIL)]
    assert {"key-store", "files.secrets", "files.objects", "objects"} <= {one.id for one in failed}
    assert all(one.why and one.todo for one in failed)
    assert not list(tmp_path.rglob("*")), "an examination must not create files"


@pytest.mark.parametrize("mode", [0o644, 0o620])
async def test_a_passphrase_that_others_read(config: Config, tmp_path: Path, mode: int) -> None:
    file = secret_file(tmp_path / "passphrase", "words")
    file.chmod(mode)
    found = by_id(list(places.check_files(moved(config, passphrase_file=file))))["files.passphrase"]
    assert found.state is State.FAIL
    assert found.todo == f"chmod 0600 {file}"


async def test_a_secret_for_another_service_that_others_read(config: Config, tmp_path: Path) -> None:
    """This applies to any table, also at level `process`, where it may belong to the user of a process."""
    files = {name: secret_file(tmp_path / name, "words") for name in ("mail", "sign-in", "pin")}
    sign_in = SignInConfig("https://login.test", "samdrift", ("loa3",), files["sign-in"])
    first, *others = config.organisations
    changed = replace(
        config,
        mail=MailConfig("mail.test", "drift@example.se", password_file=files["mail"]),
        organisations=(
            replace(first, sign_in=sign_in, hsm=HsmTokenConfig("habo", pin_file=files["pin"])),
            *others,
        ),
    )

    def found() -> list[tuple[State, str]]:
        all_files = places.check_files(changed)
        named = [one for one in all_files if one.id == "files.service-secrets"]
        return [
            (one.state, one.todo) for one in named if any(str(file) in one.found for file in files.values())
        ]

    assert [state for state, _ in found()] == [State.OK] * 3
    for file in files.values():
        file.chmod(0o640)
    assert found() == [(State.FAIL, f"chmod 0600 {file}") for file in sorted(files.values())]
    files["pin"].unlink()
    assert (State.FAIL, f"ls -l {files['pin']}") in found()


async def test_a_key_store_whose_mount_keeps_no_locks_for_other_hosts(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text("22 1 0:44 / / rw shared:1 - nfs server:/export rw,vers=3,hard,nolock\n")
    monkeypatch.setattr("samdrift.operations.sharedfolders.MOUNTS", mounts)
    findings = by_id(await examine(config, Scope(offline=True)))
    assert findings["files.locks"].state is State.FAIL


async def test_folders_that_others_read_or_write(config: Config, tmp_path: Path) -> None:
    for name, mode in (("secrets", 0o750), ("seals", 0o704), ("objects", 0o722), ("trust", 0o775)):
        (tmp_path / name).mkdir()
        (tmp_path / name).chmod(mode)
    changed = moved(config, **{name: tmp_path / name for name in ("secrets", "seals", "objects")})
    changed = replace(changed, federation=replace(config.federation, trust=tmp_path / "trust"))
    assert wrong(list(places.check_files(changed))) == dict.fromkeys(
        ("files.secrets", "files.seals", "files.objects", "files.trust"), State.FAIL
    )


def test_production_in_which_nobody_proves_who_runs_a_command_is_warned_of(config: Config) -> None:
    found = check_staff(replace(config, environment=Environment.PRODUCTION))
    assert (found.state, found.found) == (State.WARN, "nobody is named")
    assert "#who-acts" in found.todo
    assert check_staff(config).state is State.SKIPPED
    ola = StaffKeysConfig("ola.ek", ())
    named = check_staff(replace(config, environment=Environment.PRODUCTION, staff=(ola,)))
    assert (named.state, named.found) == (State.OK, "1 may run commands, each signed")


async def test_the_wrong_passphrase(config: Config, tmp_path: Path) -> None:
    other = moved(config, passphrase_file=secret_file(tmp_path / "passphrase", "another one"))
    found = by_id(await of_foundation(other))
    assert found["key-store"].state is State.FAIL
    assert found["database"].state is State.SKIPPED
    assert found["objects"].state is State.OK


async def test_a_database_that_another_process_starts_for_long_is_not_called_gone(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def busy(*_: object) -> None:
        raise ServerBusy("samdrift serve (process 4711, since 02:14:05Z)")

    monkeypatch.setattr(foundation, "examine_database", busy)
    found = by_id(await of_foundation(config))["database"]
    assert found.state is State.FAIL
    assert "samdrift serve (process 4711, since 02:14:05Z) is starting or stopping" in found.found
    assert found.todo.startswith("wait until that is done")


async def test_a_database_that_is_gone_is_named_by_its_address(config: Config) -> None:
    with listening_socket(HOST) as sock:
        port = sock.getsockname()[1]
    gone = moved(config, database=f"postgresql://administrator@{HOST}:{port}/samdrift")
    found = by_id(await of_foundation(gone))["database"]
    assert (found.state, found.found) == (State.FAIL, f"connection refused at {HOST}:{port}")


@asynccontextmanager
async def changed(config: Config, change: str, back: str) -> AsyncIterator[None]:
    """Have the administrator change a setting of the database, and restore it at the end."""
    settings = vault_settings(config)
    provisioner = await Provisioner.connect(settings, keys=open_keys(settings))
    try:
        connection = await provisioner.database.administrators_connection()
        async with connection:
            await connection.execute(change.encode())
            try:
                yield
            finally:
                await connection.execute(back.encode())
    finally:
        await provisioner.close()


@pytest.mark.parametrize(
    ("change", "back", "check"),
    [
        (
            "GRANT CONNECT ON DATABASE postgres TO PUBLIC",
            "REVOKE CONNECT ON DATABASE postgres FROM PUBLIC",
            "database.access",
        ),
        (
            "GRANT SELECT ON pg_catalog.pg_stat_activity TO PUBLIC",
            "REVOKE SELECT ON pg_catalog.pg_stat_activity FROM PUBLIC",
            "database.hardening",
        ),
    ],
)
async def test_rights_that_everybody_was_given(config: Config, change: str, back: str, check: str) -> None:
    async with changed(config, change, back):
        assert wrong(await of_foundation(config)) == {check: State.FAIL}
    assert wrong(await of_foundation(config)) == {}


async def test_a_database_that_may_lose_what_it_committed(config: Config) -> None:
    """The sender of a message was assured that it is kept (invariant 7)."""
    found = by_id(await of_foundation(config))["database.durable"]
    assert (found.state, found.found) == (
        State.FAIL,
        "fsync and full_page_writes off: a crash loses what was committed",
    )
    async with (
        changed(config, "ALTER SYSTEM SET fsync = on", "ALTER SYSTEM RESET fsync"),
        changed(config, "ALTER SYSTEM SET full_page_writes = on", "ALTER SYSTEM RESET full_page_writes"),
    ):
        async with changed(config, "SELECT pg_reload_conf()", "SELECT 1"):
            assert (await durable(config, State.OK)).found == "what is committed is on the disk"
        off = "ALTER ROLE CURRENT_USER SET synchronous_commit = off"
        async with changed(config, off, "ALTER ROLE CURRENT_USER RESET synchronous_commit"):
            found = await durable(config, State.FAIL)
            assert found.found == "synchronous_commit off: a crash loses what was committed"
    async with changed(config, "SELECT pg_reload_conf()", "SELECT 1"):
        pass


async def durable(config: Config, state: State) -> Finding:
    """Return the finding once the server has reloaded its settings."""

    async def look() -> Finding | None:
        found = by_id(await of_foundation(config))["database.durable"]
        return found if found.state is state else None

    return await until(look, f"the database is found to be {state}")


async def test_a_standby_that_nothing_waits_for_is_warned_of() -> None:
    with server_folder() as folder, replicated(folder / "servers") as servers:
        settings = settings_in(folder / "installation")
        (private_folder(settings.secrets) / "administrator").write_text(servers.password)
        settings = replace(settings, database=servers.url)
        async with installed(settings) as installation:
            keys = installation.provisioner.keys

            async def loses() -> bool:
                return (await examine_database(settings, keys)).failover_loses

            assert not await loses()
            with servers.superuser() as connection:
                connection.execute("ALTER ROLE postgres SET synchronous_commit = local")
                assert await loses()
                connection.execute("ALTER ROLE postgres RESET synchronous_commit")
                connection.execute("ALTER SYSTEM RESET synchronous_standby_names")
                connection.execute("SELECT pg_reload_conf()")
            assert await until(loses, "the setting is read")
            facts = replace(await examine_database(settings, keys), loses=())
    found = by_id(list(foundation.judge_database(facts)))["database.durable"]
    assert (found.state, found.todo) == (
        State.WARN,
        "set synchronous_standby_names: docs/database.md#a-standby",
    )


async def test_a_login_that_was_given_more_than_its_own(config: Config, stage: Stage) -> None:
    registration = stage.agency.operator.gate.registry.find(stage.agency.organisation, Role.ACCESS_POINT)
    assert registration is not None
    login = registration.login
    more = f'ALTER ROLE "{login}" CONNECTION LIMIT 1000'
    async with changed(config, more, more.replace("1000", str(CONNECTIONS))):
        found = by_id(await of_foundation(config))["database.rights"]
        assert found.state is State.FAIL
    async with changed(config, f'ALTER ROLE "{login}" CREATEROLE', f'ALTER ROLE "{login}" NOCREATEROLE'):
        found = by_id(await of_foundation(config))["database.logins"]
        assert (found.state, found.found) == (State.FAIL, f"the login {login} may make logins")
    assert wrong(await of_foundation(config)) == {}


async def test_an_object_store_that_is_read_only(config: Config, tmp_path: Path) -> None:
    with disk(tmp_path / "objects", "1m"):
        subprocess.run(["mount", "-o", "remount,ro", tmp_path / "objects"], check=True)
        found = by_id(await of_foundation(moved(config, objects=tmp_path / "objects")))["objects"]
    assert (found.state, found.found) == (State.FAIL, "object store: read-only file system")


async def test_a_disk_that_is_full(config: Config, tmp_path: Path) -> None:
    with disk(tmp_path / "objects", "1m") as own, own.full():
        on_it = moved(config, objects=own.folder)
        found = by_id(list(places.check_disks(on_it)))
        assert found["disk.objects"].state is State.FAIL
        objects = by_id(await of_foundation(on_it))["objects"]
        assert (objects.state, objects.found) == (State.FAIL, "object store: no space left on device")


@pytest.mark.parametrize(
    ("days", "state"), [(-20, State.WARN), (1, State.FAIL)], ids=["expires soon", "expired"]
)
async def test_certificates_at_their_end(config: Config, stage: Stage, days: int, state: State) -> None:
    then = stage.agency.certificate.not_valid_after_utc + timedelta(days=days)
    keys = open_keys(vault_settings(config))
    found = by_id(list(foundation.check_certificates(config, keys, then)))
    assert found["certificate.access-point"].state is state
    async with beside(config, keys) as installation:
        organisations = await collected(neighbours.check_organisations(installation, then, offline=True))
    assert by_id(organisations)["organisation.key-signing"].state is state


async def test_smp_that_names_another_certificate_or_nothing(config: Config, stage: Stage) -> None:
    async def found() -> Finding:
        async with beside(config, open_keys(vault_settings(config))) as installation:
            each = await collected(
                neighbours.check_organisations(installation, system_clock(), offline=False)
            )
        return by_id(each)["organisation.smp-message"]

    smp, participant = stage.federation.smp, stage.agency.organisation
    services = smp.services(participant)
    other = stage.access_point_certificate("AP0099-SDK-TEST")
    try:
        stage.federation.publish(
            replace(one, endpoints=tuple(replace(end, certificate=other) for end in one.endpoints))
            for one in services
        )
        named = await found()
        assert (named.state, named.about) == (State.FAIL, participant.value)
        assert named.found == "is registered with another certificate than our access point’s"
        stage.federation.outages.failures[Service.SMP] = Failure.ERROR
        assert (await found()).state is State.WARN
    finally:
        stage.federation.outages.failures.clear()
        stage.federation.publish(services)
    assert (await found()).state is State.OK


async def test_dns_that_does_not_answer_and_dnssec_that_is_required(config: Config) -> None:
    silent = replace(config, federation=replace(config.federation, name_servers=(SocketAddress(HOST, 9),)))
    with no_patience_with_dns():
        assert wrong(await collected(neighbours.check_dns(silent))) == {"dns": State.FAIL}
    assert wrong(await collected(neighbours.check_dns(config))) == {}


async def test_an_address_book_that_is_down(config: Config, stage: Stage) -> None:
    assert config.address_book is not None
    nowhere = replace(config.address_book, url="https://127.0.0.1:1/book")
    for file, state in ((config.address_book.file, State.WARN), (Path("/nowhere"), State.FAIL)):
        changed_ = replace(config, address_book=replace(nowhere, file=file))
        async with beside(changed_, open_keys(vault_settings(config))) as installation:
            each = await collected(
                neighbours.check_organisations(installation, system_clock(), offline=False)
            )
        found = by_id(each)["address-book"]
        assert found.state is state
        assert "no usable answer" in found.found


async def test_a_revocation_service_that_does_not_answer(config: Config, stage: Stage) -> None:
    keys = open_keys(vault_settings(config))
    stage.federation.outages.failures[Service.RESPONDER] = Failure.ERROR
    try:
        found = await neighbours.check_revocation(config, keys, system_clock())
    finally:
        stage.federation.outages.failures.clear()
    assert found.state is State.WARN
    assert (await neighbours.check_revocation(config, keys, system_clock())).state is State.OK


def test_a_trust_folder_without_issuers(config: Config, tmp_path: Path) -> None:
    empty = replace(config, federation=replace(config.federation, trust=tmp_path))
    assert neighbours.check_trust(empty).state is State.FAIL
    assert neighbours.check_trust(config).state is State.OK


async def test_a_scanner_that_is_gone(tmp_path: Path) -> None:
    gone = MalwareConfig(ClamdAddress(tmp_path / "clamd.sock"))
    (found,) = await collected(neighbours.check_scanner(gone, system_clock()))
    assert (found.state, found.found) == (State.FAIL, f"no such file or directory at {tmp_path}/clamd.sock")


@requires_clamd
async def test_a_scanner_that_does_not_look_into_archives() -> None:
    with server_folder() as folder:
        async with running_clamd(folder, "ScanArchive no", "AlertExceedsMax yes") as daemon:
            found = await collected(
                neighbours.check_scanner(MalwareConfig(ClamdAddress(daemon.socket)), system_clock())
            )
    assert wrong(found)["scanner.finds"] is State.FAIL
    assert by_id(found)["scanner"].state is State.OK


@pytest.mark.parametrize(("days", "state"), [(1, State.OK), (3, State.WARN), (8, State.FAIL)])
async def test_signatures_that_are_old(tmp_path: Path, days: int, state: State) -> None:
    """The daemon answers as clamd does with official signatures of that day."""
    now = system_clock()
    dated = (now - timedelta(days=days)).strftime("%a %b %d %H:%M:%S %Y")

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if await reader.readuntil(b"\0") == b"zVERSION\0":
            writer.write(f"ClamAV 1.4.3/27800/{dated}\0".encode())
        writer.close()

    server = await asyncio.start_unix_server(answer, tmp_path / "clamd.sock")
    async with server:
        config = MalwareConfig(ClamdAddress(tmp_path / "clamd.sock"), answer_seconds=5)
        found = by_id(await collected(neighbours.check_scanner(config, now)))
    assert found["scanner"].found == "ClamAV 1.4.3"
    assert found["scanner.signatures"].state is state
    assert found["scanner.finds"].state is State.FAIL
