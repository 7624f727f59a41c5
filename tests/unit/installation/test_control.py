"""Running processes accept commands only from the user who runs them."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from samdrift.installation import control
from samdrift.installation.control import ControlRefused, controlled, tell


async def greet(told: Mapping[str, Any]) -> dict[str, Any]:
    if told["name"] == "nobody":
        raise ControlRefused("it is nobody")
    return {"greeting": f"hello {told['name']}"}


COMMANDS = {"greet": greet}


async def said(folder: Path, line: bytes) -> Any:
    """Send a raw line, and return the answer."""
    (path,) = folder.iterdir()
    with control._short(path) as name:
        reader, writer = await asyncio.open_unix_connection(name)
    writer.write(line + b"\n")
    answer = json.loads(await reader.readline())
    writer.close()
    return answer


async def test_each_process_that_runs_answers(tmp_path: Path) -> None:
    folder = tmp_path / "control"
    async with controlled(folder, COMMANDS):
        assert await tell(folder, "greet", name="Anna") == [{"greeting": "hello Anna"}]
        assert await tell(folder, "greet", name="Åsa") == [{"greeting": "hello Åsa"}]
    assert await tell(folder, "greet", name="Anna") == []
    assert await tell(tmp_path / "nowhere", "greet", name="Anna") == []


async def test_who_only_looks_whether_anybody_listens_leaves_no_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with controlled(tmp_path, COMMANDS):
        for _ in range(3):
            assert await control.is_running(tmp_path)
        assert await tell(tmp_path, "greet", name="Anna") == [{"greeting": "hello Anna"}]
    assert caplog.messages == []
    assert not await control.is_running(tmp_path)


async def test_a_refusal_says_why(tmp_path: Path) -> None:
    async with controlled(tmp_path, COMMANDS):
        with pytest.raises(ControlRefused, match="it is nobody"):
            await tell(tmp_path, "greet", name="nobody")
        for line in (b"", b"{}", b"[]", b"\xff", b'{"command": "dance"}', b'{"command": []}'):
            assert await said(tmp_path, line) == {"refused": "unknown command"}


async def test_only_whoever_runs_it_reaches_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "control"
    async with controlled(folder, COMMANDS):
        (path,) = folder.iterdir()
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        monkeypatch.setattr(control, "_user", lambda caller: os.geteuid() + 1)
        assert await said(folder, b'{"command": "greet", "name": "Anna"}') == {
            "refused": "you are another user"
        }


async def test_a_process_of_another_user_is_told_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[bytes] = []
    ended = asyncio.Event()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read())
        writer.close()
        ended.set()

    async with await asyncio.start_unix_server(listen, tmp_path / "1.sock"):
        monkeypatch.setattr(control, "_user", lambda listener: os.geteuid() + 1)
        with pytest.raises(ControlRefused, match="another user's process listens there"):
            await tell(tmp_path, "greet", name="Anna")
        await ended.wait()
    assert heard == [b""]


def test_the_system_tells_who_asks() -> None:
    here, there = socket.socketpair()
    with here, there:
        assert control._user(here) == os.geteuid()


async def test_what_a_killed_process_left_is_passed_over(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / "1.sock"))
    async with controlled(tmp_path, COMMANDS):
        assert await tell(tmp_path, "greet", name="Anna") == [{"greeting": "hello Anna"}]


async def test_a_folder_may_lie_as_deep_as_it_likes(tmp_path: Path) -> None:
    folder = tmp_path / ("d" * 100) / ("e" * 100)
    async with controlled(folder, COMMANDS):
        assert await tell(folder, "greet", name="Anna") == [{"greeting": "hello Anna"}]
