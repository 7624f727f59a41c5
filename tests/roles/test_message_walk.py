"""Source files that one message passes, out and in: the reading list for following it (ARCHITECTURE.md).

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
"""Packages of the roles on the way. Their foundations, such as formats and vaults, are not counted."""
OUT, IN = 24, 28
"""Maximum number of the roles' files; when it falls, lower it here and in ARCHITECTURE.md."""
MOST = 12
"""Maximum number of messages whose files are intersected, because other work runs meanwhile."""


@contextlib.contextmanager
def passed() -> Iterator[set[str]]:
    """Record the source files whose functions run while the context lasts."""
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
    """Return the files of the roles that all of several messages passed."""
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
    """The way leads from the message service to the signed receipt of the receiver's access point."""
    habo, peer = stage.habo, stage.peer()

    async def sent() -> None:
        await habo.reaches(await habo.send(peer.address), MessageStatus.WAITING_FOR_RECEIPT)

    files = await followed(sent, OUT)
    print(f"\nout, {len(files)} files:", *files, sep="\n  ")
    assert len(files) <= OUT


async def test_a_message_passes_few_files_on_its_way_in(stage: Stage) -> None:
    """The way leads from AS4 to the mailbox, after the message receipt was sent."""
    habo, peer = stage.habo, stage.peer()

    async def received() -> None:
        envelope = peer.encloses(habo)
        await peer.posts(envelope, habo)
        assert await habo.ends(envelope.id, Direction.IN) is MessageStatus.NEW

    files = await followed(received, IN)
    print(f"\nin, {len(files)} files:", *files, sep="\n  ")
    assert len(files) <= IN
