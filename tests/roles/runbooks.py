"""A terminal for typing the commands of a run book in order, on an installation in the state it is about."""

from __future__ import annotations

import asyncio
import re
import shlex
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.unit.cli.commandline import Ended, in_process

_FOLDER = Path(__file__).parents[2] / "docs" / "runbooks"
Machine = Mapping[str, Callable[[], Awaitable[None]]]
"""System commands that a test replaces by its own functions, such as ``systemctl restart samdrift``."""


def text(name: str) -> str:
    return (_FOLDER / f"{name}.md").read_text()


def commands(name: str) -> list[str]:
    """Return the lines of all code blocks of a run book."""
    blocks = re.findall(r"^```\n(.*?)^```$", text(name), re.DOTALL | re.MULTILINE)
    return [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]


@dataclass
class Terminal:
    """The remaining commands, the values of their placeholders, and the functions that run them."""

    left: list[str]
    names: Mapping[str, str | Path]
    machine: Machine
    run: Callable[..., Ended]

    async def types(self, beginning: str) -> Ended:
        """Type the next command, which must begin with ``beginning``."""
        line = self.left.pop(0)
        assert line.removeprefix("sudo ").removeprefix("-u samdrift ").startswith(beginning), line
        return await self._carried_out(re.sub(r"^sudo (-u samdrift )?", "", line))

    async def _carried_out(self, line: str) -> Ended:
        if line in self.machine:
            await self.machine[line]()
            return Ended(0, "", "")
        named = "|".join(map(re.escape, sorted(self.names, key=len, reverse=True)))
        line = re.sub(named, lambda found: str(self.names[found[0]]), line)
        line, _, file = line.partition(" > ")
        program, *arguments = shlex.split(line)
        if program == "./samdrift":
            ended = await asyncio.to_thread(self.run, *arguments)
        else:
            done = await asyncio.to_thread(
                subprocess.run, [program, *arguments], capture_output=True, text=True
            )
            ended = Ended(done.returncode, done.stdout, done.stderr)
            assert done.returncode == 0, done.stderr
        if file:
            Path(file).write_text(ended.output)
        return ended


@asynccontextmanager
async def run_book(
    name: str,
    names: Mapping[str, str | Path],
    machine: Machine | None = None,
    run: Callable[..., Ended] = in_process,
) -> AsyncIterator[Terminal]:
    """Open a run book; every command in it must have been typed by the end of the context."""
    terminal = Terminal(commands(name), names, machine or {}, run)
    yield terminal
    assert terminal.left == [], "the run book has commands that the test did not run"
