"""Secrets in the memory of each process, and the files and descriptors that it can reach."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import psutil
import pytest

from samdrift.config.isolation import IsolationConfig
from samdrift.contracts.principals import Role
from samdrift.installation.vaultsettings import vault_settings
from samdrift.keystore import vaultfolder
from samdrift.keystore.interface import OPERATOR_KEYS, PlatformLogin
from samdrift.keystore.keyfiles import KeyName, KeyStoreError
from samdrift.keystore.software import SoftwareKeyStore
from samdrift.keystore.unlocking import RootUnlocker
from samdrift.vault.openkeys import open_keys
from samdrift.vault.sealing import Generation
from tests.roles.isolation.house import FIRST_USER, House, as_root, exchanged, registration
from tests.roles.isolation.memory import Secrets, found_in, of_bytes, of_key
from tests.roles.member import AP, MT, Member
from tests.sizes import whole

PYTHON = ("/usr/bin/python3" if Path("/usr/bin/python3").exists() else sys.executable, "-c")
_READS = """
import os, sys
for place in sys.argv[1:]:
    try:
        os.listdir(place) if os.path.isdir(place) else open(place)
    except OSError:
        continue
    print(place, end="\\0")
"""


def secrets_of(house: House, *vaults: str) -> Secrets:
    """Return everything that would reveal the content of the vaults."""
    settings = vault_settings(house.alfa.config)
    store = cast(SoftwareKeyStore, open_keys(settings))
    found: dict[str, bytes] = {}
    for vault in vaults:
        folder = vaultfolder.current(settings.secrets / vault)
        assert folder is not None
        files = store._open(vault, folder)
        found |= of_bytes("unlock key", store.unlock_key(vault)) | of_bytes("vault secret", files._secret)
        found["password of key files"] = files.password.encode()
        if store.has_data_key(vault):
            for each in store.data_keys(vault).generations:
                found |= of_bytes(f"data key {each.number}", each.key)
                derived = Generation.of(each)
                found |= of_bytes("key of values", derived.values) | of_bytes("key of bodies", derived.bodies)
        for name in KeyName:
            try:
                keys = cast(Any, store.signing_keys(vault, name))
            except KeyStoreError:
                continue
            for key in keys:
                found |= of_key(name.value, key._private_key)
        for number, token in enumerate(files.token_keys()):
            found |= of_key(f"token key {number}", token._private_key)
    return found


async def of_member(house: House, member: Member, role: Role) -> Secrets:
    """Return the secrets of one vault, with the password of its login."""
    found = registration(member, role)
    login = (await member.operator.gate._room(found)).login
    return {**secrets_of(house, found.vault), "login's password": login.password.encode()}


def of_installation(house: House) -> Secrets:
    """Return the secrets that open everything."""
    settings = vault_settings(house.alfa.config)
    root = RootUnlocker(settings.secrets, settings.seals, settings.passphrase)._root
    administrator = open_keys(settings).login_password(PlatformLogin.ADMINISTRATOR).encode()
    return {"passphrase": settings.passphrase, "administrator's password": administrator} | of_bytes(
        "root", root
    )


def role_of(process: str) -> str:
    return process.partition(" ")[0]


def named(of: str, secrets: Secrets) -> dict[str, bytes]:
    return {f"{of}: {name}": secret for name, secret in secrets.items()}


@whole
@as_root
@pytest.mark.usefixtures("product_keys")
async def test_the_memory_of_a_worker_holds_no_key_of_another_vault(house: House) -> None:
    """The front process has no key at all; and the search finds the secrets that are there."""
    await exchanged(house.alfa, house.beta)
    await exchanged(house.beta, house.alfa)
    vaults = {
        f"{role.value} of {member.organisation}": await of_member(house, member, role)
        for member in (house.alfa, house.beta)
        for role in Role
    }
    operators = named("operator", secrets_of(house, OPERATOR_KEYS))
    installations = named("installation", of_installation(house))
    tls = {name for name in operators if "tls-server" in name}
    everything = {**operators, **installations}
    for whose, secrets in vaults.items():
        everything |= named(whose, secrets)
    for name, number in house.processes().items():
        found = await asyncio.to_thread(found_in, number, everything)
        own = {each for each in everything if each.startswith(f"{name}: ")}
        access_point = name == "nobody" or name.startswith("ap ")
        allowed = own | (operators.keys() if access_point else set()) | (tls if name == "front" else set())
        assert not found - allowed, name
        if own:
            expected = {"unlock key"}
            if role_of(name) in (AP, MT):  # Other workers have not opened their vaults yet.
                expected |= {"key of values", "key of bodies", "login's password"}
            assert expected <= {each.partition(": ")[2] for each in found & own}
        if name.startswith("mt "):
            assert {
                f"{name}: {key}, p, little-endian" for key in ("signing", "encryption", "tls-client")
            } <= found
        if access_point:
            assert "operator: access-point, p, little-endian" in found
        if name == "front":
            assert "operator: tls-server, p, little-endian" in found


@as_root
async def test_what_would_leave_a_trace_of_the_memory_is_off(house: House) -> None:
    """This applies to the supervisor too, which has all keys."""
    assert house.process.running is not None
    for number in (house.process.running.pid, *house.processes().values()):
        limits = Path(f"/proc/{number}/limits").read_text()
        assert re.search(r"^Max core file size +0 +0 ", limits, re.MULTILINE)
        status = Path(f"/proc/{number}/status").read_text()
        assert re.search(r"^NoNewPrivs:\t1$", status, re.MULTILINE)
    for number in house.processes().values():
        limits = Path(f"/proc/{number}/limits").read_text()
        assert re.search(rf"^Max data size +{IsolationConfig().memory_mb << 20} ", limits, re.MULTILINE)
        assert re.search(rf"^Max open files +{IsolationConfig().open_files} ", limits, re.MULTILINE)
        assert re.search(rf"^Max processes +{IsolationConfig().processes} ", limits, re.MULTILINE)
        assert re.search(rf"^Max file size +{4 << 30} ", limits, re.MULTILINE)
        status = Path(f"/proc/{number}/status").read_text()
        assert re.search(r"^CapEff:\t0+$", status, re.MULTILINE)
        assert Path(f"/proc/{number}/environ").stat().st_uid == 0, (
            "root owns the files in /proc only if the process is not dumpable"
        )


@as_root
async def test_each_process_runs_as_a_user_of_its_own_who_cannot_read_the_others_keys(house: House) -> None:
    users = {name: psutil.Process(number).uids().real for name, number in house.processes().items()}
    assert len(set(users.values())) == len(users) == 10
    assert all(FIRST_USER <= user < FIRST_USER + 100 for user in users.values())
    settings = house.alfa.config.vaults
    assert isinstance(settings.objects, Path)
    (settings.objects / registration(house.beta, MT).vault / "planted").write_bytes(b"x")
    for member, other in ((house.alfa, house.beta), (house.beta, house.alfa)):
        for role in Role:
            user = users[f"{role.value} of {member.organisation}"]
            own = settings.secrets / registration(member, role).vault
            assert (own.stat().st_uid, own.stat().st_gid) == (0, user)
            foreign = [registration(other, each).vault for each in Role]
            places = [
                *(folder / vault for vault in foreign for folder in (settings.secrets, settings.objects)),
                *(settings.secrets / name for name in ("", "root", *PlatformLogin)),
                *(settings.objects, settings.seals, house.folder / "passphrase"),
            ]
            assert read(user, own, *places) == [own]
    assert (
        read(users["front"], *(settings.secrets / one for one in (OPERATOR_KEYS, PlatformLogin.REGISTRY)))
        == []
    )
    for role in set(Role) - {AP}:
        assert read(users[f"{role} of {house.alfa.organisation}"], settings.secrets / OPERATOR_KEYS) == []


def read(user: int, *places: Path) -> list[Path]:
    """Return the folders that a Unix user can list, and the files that it can read."""
    found = subprocess.run(
        [*PYTHON, _READS, *map(str, places)],
        user=user,
        group=user,
        extra_groups=[],
        capture_output=True,
        check=True,
    )
    return [Path(each) for each in found.stdout.decode().split("\0")[:-1]]


def does(user: int, what: str) -> bool:
    """Return whether a Unix user can do something."""
    command = [*PYTHON, f"import os; {what}"]
    done = subprocess.run(command, user=user, group=user, extra_groups=[], capture_output=True)
    return done.returncode == 0


@as_root
async def test_a_process_has_no_descriptors_but_those_that_it_needs(house: House) -> None:
    """It has standard streams, sockets, those of the event loop and random source, and its life's lock."""
    for name, number in house.processes().items():
        kinds = {fd: os.readlink(f"/proc/{number}/fd/{fd}") for fd in os.listdir(f"/proc/{number}/fd")}
        log = str(house.process.log)
        expected = re.compile(
            rf"socket:|anon_inode:\[(eventpoll|eventfd|io_uring)\]|pipe:|/dev/null|/dev/urandom|{re.escape(log)}"
            r"|.*/secrets/\.lives/[0-9a-z.]+$"
        )
        assert not [place for place in kinds.values() if not expected.match(place)], name
        assert kinds["0"] == "/dev/null"
        assert kinds["1"] == kinds["2"] == log


@as_root
async def test_nobody_can_put_anything_where_root_makes_sockets_and_a_certificate(house: House) -> None:
    """Not even the front can, which owns the files: a link there would have root expose its target."""
    processes = house.processes()
    sockets = psutil.Process(processes["nobody"]).net_connections("unix")
    (folder,) = {Path(one.laddr).parent for one in sockets if one.laddr.endswith(".a")}
    for number in processes.values():
        user = psutil.Process(number).uids().real
        assert not does(user, f"open({str(folder / 'planted')!r}, 'w')")
    front = psutil.Process(processes["front"]).uids().real
    assert does(front, f"open({str(folder / 'tls-server-0.pem')!r})")
    assert not does(user, f"open({str(folder / 'tls-server-0.pem')!r})")
