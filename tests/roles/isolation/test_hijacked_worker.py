"""A worker that an attacker controls, whose code runs with its user and groups.

The tests look at the other workers: they must keep being served, and the
installation must start again.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil

from samdrift.contracts.principals import Role
from samdrift.keystore import vaultfolder
from samdrift.keystore.custody import Custodians
from samdrift.keystore.durablefiles import remove_tree
from samdrift.keystore.interface import PlatformLogin
from tests.roles.isolation.house import PATIENCE, House, as_root, exchanged, registration
from tests.roles.member import AP, MT, Member, until
from tests.secretfiles import secret_file
from tests.sizes import whole
from tests.unit.cli.commandline import samdrift
from tests.vaults import CHEAP

_ATTEMPTS = """
import fcntl, os, sys
folders, done = sys.argv[1:], []
def attempt(name, call):
    try:
        call()
    except OSError:
        return
    done.append(name)
def nested(folder):
    for _ in range(1500):
        os.mkdir(folder)
        os.chdir(folder)
        folder = "x"
for folder in folders:
    inside = [os.path.join(folder, each) for each in os.listdir(folder)] if os.access(folder, os.R_OK) else []
    for place in (folder, *inside):
        attempt(f"link in {place}", lambda: os.symlink("/etc/shadow", place + "/data-key-0099"))
        attempt(f"FIFO in {place}", lambda: os.mkfifo(place + "/data-key-0098"))
        attempt(f"file in {place}", lambda: os.open(place + "/x", os.O_CREAT | os.O_RDWR))
        attempt(f"folders in {place}", lambda: nested(place + "/states"))
        attempt(f"away with {place}", lambda: os.rename(place, place + "-away"))
        attempt(f"mode of {place}", lambda: os.chmod(place, 0o700))
        if os.path.isdir(place) and os.access(place, os.R_OK):
            for file in os.listdir(place):
                attempt(f"open {file}", lambda: open(f"{place}/{file}", "r+b"))
                attempt(f"remove {file}", lambda: os.remove(f"{place}/{file}"))
print("\\n".join(done))
"""
_HOLDS_LOCKS = """
import fcntl, os, sys, time
for folder in sys.argv[1:]:
    inside = [os.path.join(folder, each) for each in os.listdir(folder)] if os.access(folder, os.R_OK) else []
    for place in (folder, *inside):
        try:
            fcntl.flock(os.open(place, os.O_RDONLY), fcntl.LOCK_EX)
        except OSError:
            pass
print("holds", flush=True)
time.sleep(600)
"""
_PLANTS_AMONG_OBJECTS = """
import os, sys
folder, victim, elsewhere = sys.argv[1:]
os.chdir(folder)
os.mkfifo("fifo")
os.symlink(victim, "link")
os.symlink(elsewhere, "folder")
descriptor = os.open("sparse", os.O_CREAT | os.O_RDWR)
os.truncate(descriptor, 3 << 30)
for number in range(2000):
    open(f"x{number}", "w").close()
for _ in range(1500):
    os.mkdir("nested")
    os.chdir("nested")
"""
_SURVIVES = """
import os, signal, time
if os.fork():
    os._exit(0)
os.setsid()
for stream in (0, 1, 2):
    os.dup2(os.open(os.devnull, os.O_RDWR), stream)
for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
    signal.signal(number, signal.SIG_IGN)
while True:
    if not os.fork():
        time.sleep(2)
        os._exit(0)
    time.sleep(0.2)
"""


def as_worker(house: House, member: Member, role: Role, script: str, *arguments: object) -> str:
    """Run a script with the worker's user and groups; return its output."""
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)],
        **identity(house, member, role),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout


def identity(house: House, member: Member, role: Role) -> dict[str, object]:
    process = psutil.Process(house.worker(member, role))
    status = Path(f"/proc/{process.pid}/status").read_text()
    groups = next(line for line in status.splitlines() if line.startswith("Groups:")).split()[1:]
    return {
        "user": process.uids().real,
        "group": process.gids().real,
        "extra_groups": [int(each) for each in groups],
    }


def own_folders(member: Member) -> list[Path]:
    """Return the member's folder in the key store, and that of a platform login, which no worker can read."""
    secrets = member.config.vaults.secrets
    return [secrets / registration(member, MT).vault, secrets / PlatformLogin.REGISTRY]


def roots_folder(house: House) -> Path:
    """A folder with an old file of root's, to which no link among objects may lead root."""
    folder = house.alfa.config.vaults.secrets.parent / "elsewhere"
    folder.mkdir(exist_ok=True)
    (folder / "passwd").write_bytes(b"root's")
    os.utime(folder / "passwd", (0, 0))
    return folder


def running_as(user: int) -> list[int]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.uids().real == user and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
        except psutil.NoSuchProcess:
            pass
    return found


async def restarted(house: House) -> None:
    """Restart the whole installation; all processes but those of broken workers serve immediately."""
    first = await house.starts_again()
    assert not first["front"], "the status must show that it starts, not that nothing runs"


@whole
@as_root
async def test_a_worker_changes_nothing_that_root_reads_among_keys(house: House) -> None:
    """Links, FIFOs, nested folders and sparse files there misled root, or stopped it."""
    for role in (AP, MT):
        folders = [house.alfa.config.vaults.secrets / registration(house.alfa, role).vault]
        folders.append(own_folders(house.alfa)[1])
        assert as_worker(house, house.alfa, role, _ATTEMPTS, *folders).strip() == ""


@as_root
async def test_a_worker_that_holds_locks_keeps_neither_root_nor_others_waiting(house: House) -> None:
    """Anyone who can read a folder can lock it, so writers take turns by files that no worker can open."""
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLDS_LOCKS, *map(str, own_folders(house.alfa))],
        **identity(house, house.alfa, MT),  # type: ignore[call-overload]
        stdout=subprocess.PIPE,
    )
    try:
        assert await asyncio.to_thread(holder.stdout.readline) == b"holds\n"
        for folder in own_folders(house.alfa):
            with vaultfolder.writing(folder):
                pass
    finally:
        holder.kill()
        holder.wait()


@whole
@as_root
async def test_what_a_worker_leaves_behind_stops_nobody_and_ends_with_it(house: House) -> None:
    """It leaves files among its objects, and processes that ignore signals and have left its session."""
    agency, settings = house.stage.agency, house.alfa.config.vaults
    assert isinstance(settings.objects, Path)
    users, planted, elsewhere = {}, list[Path](), roots_folder(house)
    for role in (AP, MT):
        users[role] = psutil.Process(house.worker(house.alfa, role)).uids().real
        victim = settings.secrets / registration(house.beta, role).vault
        objects = settings.objects / registration(house.alfa, role).vault
        as_worker(house, house.alfa, role, _PLANTS_AMONG_OBJECTS, objects, victim, elsewhere)
        planted.append(objects)
        as_worker(house, house.alfa, role, _SURVIVES)
        user = users[role]

        async def survived(user: int = user) -> set[int] | None:
            running = set(running_as(user))
            return running if len(running) > 2 else None

        former = await until(survived, "what the worker has started runs without it", PATIENCE)
        os.kill(house.worker(house.alfa, role), signal.SIGKILL)
        await exchanged(house.beta, agency)

        async def ended(role: Role = role, former: set[int] = former) -> bool | None:
            return None if former & set(running_as(users[role])) else True

        await until(ended, "what the worker had started has ended", PATIENCE)
    await exchanged(house.alfa, house.beta)
    for role in (AP, MT):
        as_worker(house, house.alfa, role, _SURVIVES)
    assert house.process.running is not None
    await house.process.end(signal.SIGTERM)
    assert [running_as(user) for user in users.values()] == [[], []]
    await house.process.start()
    await exchanged(agency, house.beta)
    await exchanged(house.beta, house.alfa)
    assert "outlived their worker" in house.process.log.read_text()
    for objects in planted:
        descriptor = os.open(objects, os.O_RDONLY)
        remove_tree("nested", descriptor)  # shutil.rmtree cannot remove so deep a tree.
        os.close(descriptor)


@whole
@as_root
async def test_a_folder_of_keys_in_which_something_was_planted_is_that_vaults_fault_alone(
    house: House,
) -> None:
    """A worker could plant it while the folder was its own; the others serve, also after a restart."""
    agency, secrets = house.stage.agency, house.alfa.config.vaults.secrets
    folders = {role: vaultfolder.current(secrets / registration(house.alfa, role).vault) for role in Role}
    foreign = vaultfolder.current(secrets / registration(house.beta, MT).vault)
    ap, mt = folders[AP], folders[MT]
    assert ap is not None
    assert mt is not None
    assert foreign is not None
    (ap / "secret").rename(ap / ".secret")
    os.mkfifo(ap / "secret")
    (mt / "data-key-0099").symlink_to(foreign / "data-key-0001")
    try:
        await house.says("ALARM: an organisation's keys are not opened")
        await exchanged(house.beta, agency)
        await restarted(house)
        await exchanged(agency, house.beta)
        assert f"ap of {house.alfa.organisation}" not in running(house)
    finally:
        (ap / "secret").unlink()
        (ap / ".secret").rename(ap / "secret")
        (mt / "data-key-0099").unlink()
    await exchanged(house.alfa, house.beta)
    await exchanged(house.beta, house.alfa)


@whole
@as_root
async def test_a_key_backup_and_its_restore_as_root_follow_no_link_that_a_worker_planted(
    house: House, tmp_path: Path
) -> None:
    """Such a link exposed another organisation's data key, through commands as an operator types them.

    The links are where a worker could put them while the folder was its own.
    """
    settings, organisation = house.alfa.config.vaults, house.alfa.organisation.value
    vault = settings.secrets / registration(house.alfa, MT).vault
    files, foreign = (
        vaultfolder.current(vault),
        vaultfolder.current(settings.secrets / registration(house.beta, MT).vault),
    )
    assert files is not None
    assert foreign is not None
    persons = list[str | Path]()
    for option, name in (("by", "anna"), ("with", "bo")):
        words = secret_file(tmp_path / name, f"a long row of words of {name}")
        Custodians(settings.secrets, cost=CHEAP).add(name, words.read_bytes())
        persons += [f"--{option}", name, f"--{option}-passphrase-file", words]
    out, config = tmp_path / "alfa.keys", ("--config", house.process.config_file)
    command = ("org", "keys", "backup", organisation, "--out", out, *persons, *config)
    for name, target in (
        ("data-key-0099", foreign / "data-key-0001"),
        ("password-0099", settings.passphrase_file),
        ("data-key-0098", settings.secrets / "root"),
    ):
        assert target is not None
        (files / name).symlink_to(target)
        ended = await asyncio.to_thread(samdrift, *command)
        (files / name).unlink()
        assert (ended.status, out.exists()) == (2, False), name
        assert "find out who did" in ended.complaints
    ended = await asyncio.to_thread(samdrift, *command)
    assert ended.status == 0, ended.complaints
    before = {path.name: path.read_bytes() for path in foreign.iterdir()}
    seals = {path: path.read_bytes() for role in Role for path in house_seals(house, role)}
    number = f"{int(files.name) + 90:04d}"
    (vault / number).symlink_to(foreign)
    (vault / "draft").symlink_to(foreign)
    for path in seals:
        path.unlink()
    try:
        ended = await asyncio.to_thread(
            samdrift, "org", "keys", "restore", out, *persons[2:4], *persons[6:8], *config
        )
        assert ended.status == 0, ended.complaints
        assert {path: path.read_bytes() for path in seals} == seals
        assert not (vault / number).is_symlink()
        assert not (vault / "draft").is_symlink()
        assert {path.name: path.read_bytes() for path in foreign.iterdir()} == before
        assert vaultfolder.current(vault) == files
    finally:
        for path, content in seals.items():
            path.write_bytes(content)
        for link in (vault / number, vault / "draft"):
            link.unlink(missing_ok=True)
    await exchanged(house.alfa, house.beta)


def house_seals(house: House, role: Role) -> list[Path]:
    seals = house.alfa.config.vaults.seals
    return list(seals.glob(f"{registration(house.alfa, role).vault}.*"))


def running(house: House) -> set[str]:
    return {name for name, number in house.processes().items() if psutil.pid_exists(number)}
