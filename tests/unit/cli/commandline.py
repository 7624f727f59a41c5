"""Running the command line as a person would, with the status and output of each command."""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from samdrift.cli.main import main

_TURN = threading.Lock()


@dataclass(frozen=True, slots=True)
class Ended:
    """The outcome of a command."""

    status: int
    output: str
    complaints: str

    @property
    def document(self) -> Any:
        """Return the one JSON document on standard output."""
        return json.loads(self.output)


def samdrift(*arguments: str | Path) -> Ended:
    """Run a command until it ends."""
    command = [sys.executable, "-P", "-m", "samdrift.cli.main", *map(str, arguments)]
    ended = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600)
    return Ended(ended.returncode, ended.stdout, ended.stderr)


def in_process(*arguments: str | Path) -> Ended:
    """Run a command in a thread of this process, where it can wait for what runs here.

    Most commands need no process of their own. Only one at a time can have the standard output.
    """
    output, complaints = io.StringIO(), io.StringIO()
    with (
        _TURN,
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(output),
        contextlib.redirect_stderr(complaints),
    ):
        patch.setattr(sys, "argv", ["samdrift", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
    assert ended.value.code is None or isinstance(ended.value.code, int)
    return Ended(ended.value.code or 0, output.getvalue(), complaints.getvalue())
