"""A machine with only Debian's own packages: a separate root file system, in separate namespaces.

systemd is its first process, so that units run with the hardening that they request. It has no network but
loopback: packages from a registry are installed before it starts.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tarfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.programs import found

ROOT = Path(__file__).parents[3]
PROGRAM = "opt/samdrift"
"""Path of the checkout in the machine, as in docs/getting-started.md."""
PACKAGES = (
    *("ca-certificates", "dbus", "iproute2", "libpam-systemd", "passwd", "procps", "python3", "python3-venv"),
    *("sudo", "systemd", "systemd-sysv"),
)
PATIENCE = 300.0
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_BOOT = """
set -e
root=$1
mount --make-rprivate /
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mount -t tmpfs -o mode=755 dev "$root/dev"
for device in null zero full random urandom tty; do
    touch "$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
mount -t tmpfs -o mode=1777 shm "$root/dev/shm"
mount -t tmpfs -o mode=755 run "$root/run"
hostname machine
echo 127.0.0.1 localhost machine >"$root/etc/hosts"
# Not chroot: in one, the kernel makes no user namespaces, which units ask for.
cd "$root"
pivot_root . mnt
cd /
umount --lazy /mnt
exec env -i container=namespaces PATH="$PATH" /lib/systemd/systemd --log-target=null
"""


@dataclass(frozen=True)
class Machine:
    """A running machine; ``init`` is the host's process id of its first process."""

    root: Path
    init: int

    def command(self, line: str) -> list[str]:
        """Return the command that runs a shell line as root in the machine, in the folder of the checkout."""
        inside = [
            "nsenter",
            "--target",
            str(self.init),
            "--mount",
            "--pid",
            "--uts",
            "--ipc",
            "--net",
            "--cgroup",
        ]
        shell = f"cd /{PROGRAM} && {line}"
        clean = ["env", "-i", f"PATH={_PATH}", "HOME=/root", "LANG=C.UTF-8"]
        return [*inside, *clean, "sh", "-c", shell]

    def run(self, line: str, *, within: float = PATIENCE) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(line), capture_output=True, text=True, timeout=within, stdin=subprocess.DEVNULL
        )

    def succeeds(self, line: str) -> str:
        done = self.run(line)
        assert done.returncode == 0, f"{line}: {done.stdout}{done.stderr}"
        return done.stdout

    def until(self, line: str, what: str) -> None:
        """Wait until a command succeeds."""
        end = time.monotonic() + PATIENCE
        while (last := self.run(line)).returncode:
            assert time.monotonic() < end, f"{what}: {last.stdout}{last.stderr}"
            time.sleep(0.5)

    def file(self, path: str) -> Path:
        """Return the host's path of a file in the machine."""
        return self.root / path.lstrip("/")


_AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")
"""Certificate authorities that the host trusts, including those of the package registries."""


def made(root: Path) -> None:
    """Make the root file system with the checkout, and install what the checkout installs on first use."""
    suite = subprocess.check_output(
        ["sh", "-c", ". /etc/os-release; echo $VERSION_CODENAME"], text=True
    ).strip()
    sources = sorted(Path("/etc/apt/sources.list.d").glob("debian.sources"))
    command = [
        "mmdebstrap",
        "--quiet",
        "--variant=apt",
        f"--include={','.join(PACKAGES)}",
        suite,
        root,
        *sources,
    ]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=os.environ | {"LANG": "C"})
    packed = subprocess.check_output(["git", "-C", ROOT, "archive", "HEAD"])
    program = root / PROGRAM
    program.mkdir(parents=True)
    with tarfile.open(fileobj=BytesIO(packed)) as archive:
        archive.extractall(program, filter="fully_trusted")
    with _reaching_registries(root) as names:
        clean = ["env", "-i", f"PATH={_PATH}", *(f"{name}={os.environ[name]}" for name in names)]
        subprocess.run(
            ["chroot", root, *clean, f"/{PROGRAM}/samdrift", "--version"], check=True, timeout=1200
        )


@contextlib.contextmanager
def _reaching_registries(root: Path) -> Iterator[list[str]]:
    """Give programs in the root file system the host's access to package registries."""
    names = [
        name for name in os.environ if name.startswith("PIP_") or "SSL_CERT" in name or "CA_BUNDLE" in name
    ]
    files = [
        *(Path(os.environ[name]) for name in names),
        _AUTHORITIES,
        *map(Path, ("/etc/pip.conf", "/etc/resolv.conf")),
    ]
    brought = [each for each in files if each.is_absolute() and each.is_file()]
    for file in brought:
        place = root / str(file).lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.unlink(missing_ok=True)
        shutil.copy(file, place)
    with contextlib.ExitStack() as mounts:
        # Not --rbind: a disk that another test has mounted below could not be removed meanwhile.
        for kind in ("proc", "dev"):
            subprocess.run(["mount", "--bind", f"/{kind}", root / kind], check=True)
            mounts.callback(subprocess.run, ["umount", "--lazy", root / kind], check=True)
        yield names
    for file in (Path("/etc/pip.conf"), Path("/etc/resolv.conf")):
        (root / str(file).lstrip("/")).unlink(missing_ok=True)


@contextlib.contextmanager
def booted(root: Path) -> Iterator[Machine]:
    """Start the machine, and stop it at the end of the context."""
    namespaces = ["--mount", "--pid", "--uts", "--ipc", "--net", "--cgroup", "--fork", "--kill-child"]
    outer = subprocess.Popen(
        ["unshare", *namespaces, "sh", "-c", _BOOT, "sh", root], stdin=subprocess.DEVNULL
    )
    try:
        end = time.monotonic() + 60
        while not (children := psutil.Process(outer.pid).children()):
            assert outer.poll() is None, "the machine does not start"
            assert time.monotonic() < end
            time.sleep(0.05)
        machine = Machine(root, children[0].pid)
        machine.until("systemctl is-system-running --wait | grep -E 'running|degraded'", "systemd runs")
        machine.succeeds("ip link set lo up")
        yield machine
    finally:
        outer.kill()
        outer.wait(60)


def here() -> Any:
    """Skip tests on a host that cannot run the machine: making namespaces requires root."""
    return pytest.mark.skipif(
        os.geteuid() != 0 or found("unshare") is None, reason="only root makes namespaces"
    )
