"""The peer in Go, driven over pipes with JSON objects, one per line."""

from __future__ import annotations

import base64
import json
import subprocess
from typing import Any

from tests.interop.tlog.build import program
from tests.interop.tools import Unavailable, left_out


class Peer:
    """A running program; the test is skipped where Go is missing."""

    def __init__(self) -> None:
        try:
            path = program("peer")
        except Unavailable as reason:
            left_out("Go's libraries for logs", reason)
        self._process = subprocess.Popen([path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def call(self, call: str, **arguments: Any) -> dict[str, Any]:
        """Call a method of the program; bytes are in base64 in both directions."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        request = {"call": call} | {name: _encoded(value) for name, value in arguments.items()}
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the program ended"
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        """Stop the program."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=60)
        assert self._process.stdout is not None
        self._process.stdout.close()


def decoded(values: list[str] | None) -> list[bytes]:
    return [base64.b64decode(value) for value in values or []]


def _encoded(value: Any) -> Any:
    match value:
        case bytes():
            return base64.b64encode(value).decode()
        case list() | tuple():
            return [_encoded(each) for each in value]
        case _:
            return value
