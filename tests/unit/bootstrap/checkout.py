"""A miniature checkout for tests of the launcher, with its own lock file and package, and no network."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).parents[3]
INTERPRETER = os.path.realpath(sys.executable)

_LAUNCHER = ("bootstrap/launcher.py", "bootstrap/installed.py", "bootstrap/environment.py")
_COMMAND_LINE = "cli/main.py"
_MAIN = '''
"""Tells what the launcher started: the arguments and the locked package that it can import."""
import sys
import tiny
print(sys.argv[1:], tiny.VERSION)
'''


@dataclass(frozen=True, slots=True)
class Checkout:
    """A folder that looks like a checkout; ``wheels`` stands for the package index."""

    root: Path
    wheels: Path

    @property
    def environment(self) -> Path:
        return self.root / ".venv"

    def lock(self, version: str, name: str = "requirements.lock") -> None:
        """Publish ``tiny`` in ``version`` in the package index, and lock it."""
        wheel = build_wheel(self.wheels, version)
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        (self.root / name).write_text(f"tiny=={version} \\\n    --hash=sha256:{digest}\n    # via samdrift\n")

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        """Start ``./samdrift`` as on a fresh machine, in a session of its own."""
        settings = environment | {
            "PATH": os.environ["PATH"],
            "HOME": str(self.root / "home"),
            "PIP_NO_INDEX": "1",
        }
        return subprocess.Popen(
            [INTERPRETER, self.root / "samdrift", *arguments],
            env=settings | {"PIP_FIND_LINKS": str(self.wheels), "PIP_CONFIG_FILE": os.devnull},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *arguments: str, **environment: str) -> tuple[int, str, str]:
        """Run ``./samdrift``; return its exit status, standard output and standard error."""
        process = self.start(*arguments, **environment)
        output, complaints = process.communicate(timeout=120)
        return process.returncode, output, complaints


def make_checkout(root: Path, wheels: Path) -> Checkout:
    """Set up the launcher of this project with a command line that only prints its arguments."""
    wheels.mkdir(exist_ok=True)
    source = root / "src" / "samdrift"
    for name in (*_LAUNCHER, _COMMAND_LINE):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).with_name("__init__.py").touch()
    shutil.copy(PROJECT / "samdrift", root)
    (source / "__init__.py").touch()
    for name in _LAUNCHER:
        shutil.copy(PROJECT / "src" / "samdrift" / name, source / name)
    (source / _COMMAND_LINE).write_text(_MAIN)
    checkout = Checkout(root, wheels)
    checkout.lock("1.0")
    return checkout


def build_wheel(folder: Path, version: str) -> Path:
    """Build a wheel of the package ``tiny``, which reports its own version."""
    path = folder / f"tiny-{version}-py3-none-any.whl"
    info = f"tiny-{version}.dist-info"
    files = {
        "tiny/__init__.py": f"VERSION = {version!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: tiny\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{name},{_digest(text)},{len(text)}\n" for name, text in files.items())
    with zipfile.ZipFile(path, "w") as wheel:
        for name, text in (files | {f"{info}/RECORD": record + f"{info}/RECORD,,\n"}).items():
            wheel.writestr(zipfile.ZipInfo(name), text)
    return path


def _digest(text: str) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
