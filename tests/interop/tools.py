"""What peers are built and run with, and whether this machine has it."""

from __future__ import annotations

import os
import re
import subprocess
from typing import NoReturn

import pytest

from tests.programs import REQUIRED, found


class Unavailable(Exception):
    """This machine lacks what the peer needs; the text says what."""


PACKAGES = {
    "java": "default-jdk-headless",
    "mvn": "maven",
    "node": "nodejs",
    "npm": "npm",
    "go": "golang-go",
    "ssh-agent": "openssh-client",
}
"""Packages of Debian."""


def left_out(peer: str, reason: Unavailable) -> NoReturn:
    """Skip the tests with ``peer``, or fail them where every program must be there."""
    end = pytest.fail if REQUIRED in os.environ else pytest.skip
    end(f"{peer}: {reason}")


def require(program: str, name: str) -> None:
    """:class:`Unavailable` when there is no such program; ``name`` is what people call it."""
    if found(program) is None:
        raise Unavailable(f"there is no {name} here: Debian has it in {PACKAGES[program]}")


def require_version(program: str, name: str, ask: str, answer: str, oldest: int) -> None:
    """As :func:`require`, also for one that is too old: ``answer`` finds its number."""
    require(program, name)
    said = subprocess.run([f"{found(program)}", ask], capture_output=True, text=True)
    version = re.search(answer, said.stdout + said.stderr)
    if version is None or int(version[1]) < oldest:
        raise Unavailable(f"there is no {name} {oldest} or newer here: Debian has it in {PACKAGES[program]}")
