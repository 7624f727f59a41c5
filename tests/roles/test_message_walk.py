"""The source files that one message passes, out and in: what is read by whoever follows it (ARCHITECTURE.md).

``./samdrift test -s tests/roles/test_message_walk.py`` prints them.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from types import FrameType

from samdrift.contracts.messages import Direction, MessageStatus
from tests.roles.stage import Stage

SOURCE = f"{Path(__file__).parents[2] / 'src' / 'samdrift'}/"
ROLES = ("accesspoint/", "messageservice/")
"""The roles on the way. What they stand on, such as formats and vaults, is read for its own sake."""
OUT, IN = 24, 28
"""Files of the roles at most; a limit that is undercut is lowered here and in ARCHITECTURE.md."""
MOST = 12
"""Messages until the files that all of them passed are within a limit: other work goes on meanwhile."""


@contextlib.contextmanager
def passed() -> Iterator[set[str]]:
    """Note the source files whose functions run while the context lasts."""
    found: set[str] = set()

    def note(frame: FrameType, event: str, _: object) -> None:
        file = frame.f_code.co_filename
        if event == "call" and file.startswith(SOURCE):
            found.add(file.removeprefix(SOURCE))

    sys.setprofile(note)
    try:
        yield found
    finally:
        sys.setprofile(None)


async def followed(walk: Callable[[], Awaitable[None]], limit: int) -> list[str]:
    """Return the files of the roles that every one of several messages passed."""
    common: set[str] = set()
    for message in range(MOST):
        with passed() as files:
            await walk()
        there = {file for file in files if file.startswith(ROLES)}
        common = common & there if message else there
        if len(common) <= limit:
            break
    return sorted(common)


async def test_a_message_passes_few_files_on_its_way_out(stage: Stage) -> None:
    """From the message service until the receiver's access point has signed for it."""
    habo, peer = stage.habo, stage.peer()

    async def sent() -> None:
        await habo.reaches(await habo.send(peer.address), MessageStatus.WAITING_FOR_RECEIPT)

    files = await followed(sent, OUT)
    print(f"\nout, {len(files)} files:", *files, sep="\n  ")
    assert len(files) <= OUT


async def test_a_message_passes_few_files_on_its_way_in(stage: Stage) -> None:
    """From AS4 until it lies in the mailbox, for which its message receipt has gone out."""
    habo, peer = stage.habo, stage.peer()

    async def received() -> None:
        envelope = peer.encloses(habo)
        await peer.posts(envelope, habo)
        assert await habo.ends(envelope.id, Direction.IN) is MessageStatus.NEW

    files = await followed(received, IN)
    print(f"\nin, {len(files)} files:", *files, sep="\n  ")
    assert len(files) <= IN
