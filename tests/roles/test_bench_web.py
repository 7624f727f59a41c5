"""A run of the message client benchmark over a small mailbox, without a check of its figures."""

from __future__ import annotations

from pathlib import Path

from bench.web import pages_of

from tests.sizes import whole
from tests.vaults import server_folder


@whole
async def test_pages_are_measured_over_a_mailbox_and_a_long_conversation() -> None:
    with server_folder() as folder:
        rows = await pages_of(Path(folder), messages=160, in_thread=20, repeats=2)
    named = {row.name for row in rows}
    for page in ("list", "conversation of 20", "search, headers", "search, whole text"):
        assert {f"{page}, CPU with the database's, p95", f"{page}, time that passes, p95"} <= named
