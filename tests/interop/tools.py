"""Programs with which peers are built and run, and checks that this machine has them."""

from __future__ import annotations

import os
import re
import subprocess
from typing import NoReturn

import pytest

from tests.programs import REQUIRED, found


class Unavailable(Exception):
    """The machine lacks something that the peer needs, which the text names."""


PACKAGES = {
    "java": "default-jdk-headless",
    "mvn": "maven",
    "node": "nodejs",
    "npm": "npm",
    "go": "golang-go",
    "ssh-agent": "openssh-client",
}
"""Debian packages of the programs."""


def left_out(peer: str, reason: Unavailable) -> NoReturn:
    """Skip the tests with ``peer``, or fail them where every program must be available."""
    end = pytest.fail if REQUIRED in os.environ else pytest.skip
    end(f"{peer}: {reason}")


def require(program: str, name: str) -> None:
    """Raise :class:`Unavailable` if a program is missing; ``name`` is its common name."""
    if found(program) is None:
        raise Unavailable(f"there is no {name} here: Debian has it in {PACKAGES[program]}")


def require_version(program: str, name: str, ask: str, answer: str, oldest: int) -> None:
    """Do as :func:`require`, and also raise if it is too old; ``answer`` matches its version number."""
    require(program, name)
    said = subprocess.run([f"{found(program)}", ask], capture_output=True, text=True)
    version = re.search(answer, said.stdout + said.stderr)
    if version is None or int(version[1]) < oldest:
        raise Unavailable(f"there is no {name} {oldest} or newer here: Debian has it in {PACKAGES[program]}")
