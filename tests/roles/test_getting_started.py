"""docs/getting-started.md as a newcomer follows it: its commands, taken from the text, and their number."""

from __future__ import annotations

import asyncio
import re
import shlex
from pathlib import Path

from samdrift.demo.world import world
from tests.postgrestemplate import made_each_time
from tests.roles.member import until
from tests.sizes import whole
from tests.unit.cli.commandline import Ended, in_process
from tests.vaults import server_folder

PAGE = (Path(__file__).parents[2] / "docs" / "getting-started.md").read_text()
MOST_COMMANDS, MOST_WORDS = 15, 3000
DEMO = ".samdrift/demo"


def commands(text: str) -> list[str]:
    """Return the lines of all code blocks."""
    blocks = re.findall(r"^```\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    return [line for block in blocks for line in block.splitlines()]


def section(title: str) -> str:
    return PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def test_it_takes_few_commands_and_few_words() -> None:
    assert 10 < len(commands(PAGE)) <= MOST_COMMANDS
    assert len(PAGE.split()) <= MOST_WORDS
    assert all(
        re.match(r"(sudo (-u samdrift )?)?(\./samdrift|useradd|cp|systemctl) ", line)
        for line in commands(PAGE)
    )


@whole
async def test_the_first_message_arrives_by_the_commands_of_the_page() -> None:
    demo, *others = commands(section("The first message"))
    assert demo == "./samdrift demo"
    with server_folder() as folder, made_each_time():  # Make the database durable, as a newcomer's is.

        async def run(line: str) -> Ended:
            program, *arguments = shlex.split(line.replace(DEMO, str(folder / "demo")))
            assert program == "./samdrift"
            return await asyncio.to_thread(in_process, *arguments)

        async with world(folder / "demo", lambda text: None, pages=True):
            status, send, read, doctor = others
            assert (await run(status)).status == 0
            sent = await run(send)
            assert sent.status == 0, sent.complaints
            message = sent.output.strip().split()[0]

            async def arrived() -> bool | None:
                return True if message in (await run(read)).output else None

            await until(arrived, "the message is in the list of its recipient")
            examined = await run(doctor)
            assert examined.status == 0, examined.output
