"""The message client's pages over a real vault: the server's time, bytes, memory, idling, and new messages.

One mailbox of 10 000 messages in conversations of two, and one conversation of 200. Times are those of the
role's own application, without a network: they include rights, session, database, log and template.
The bars are for the CPU of this process and of the database, which equals the elapsed time on a machine that
does nothing else; the elapsed time is reported as well.
"""

from __future__ import annotations

import gc
import re
import tempfile
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from statistics import median

import psutil
import uvloop

from bench import web_idle, web_memory, web_visible
from bench.measure import Row, reported
from bench.web_house import (
    BOX,
    Answered,
    Browser,
    Letters,
    cpu_of,
    database_of,
    installed,
    settings_in,
    signed_in,
)
from samdrift.messageclient import finding
from samdrift.web.assets import Assets

_MESSAGES, _THREAD = 10_000, 200
_REPEATS, _WARM_UP = 60, 5
_SEARCHES = 4
"""Divisor of the number of repetitions for searches."""
_PERCENTILE = 0.95
_PATIENCE = 60.0
_KB = 1000


def rows() -> list[Row]:
    """Measure 95th percentiles of answers, sizes, memory for 30 MB in and out, and 300 organisations.

    The time until a new message is visible is measured last.
    """
    with tempfile.TemporaryDirectory(prefix="samdrift-bench-") as folder:
        Path(folder).chmod(0o711)
        pages = uvloop.run(pages_of(Path(folder), _MESSAGES, _THREAD, _REPEATS))
    return [*pages, *web_memory.rows(), *web_idle.rows(), *web_visible.rows()]


async def pages_of(folder: Path, messages: int, in_thread: int, repeats: int) -> list[Row]:
    """Return rows about the pages of a mailbox with that many messages and one long conversation.

    A search reads all of the mailbox, which a busy machine may not finish within the time limit.
    """
    finding.SECONDS = _PATIENCE
    async with installed(settings_in(folder)) as gate:
        thread = await Letters(gate).fill(messages, in_thread)
        timed = _Timed(database_of(folder), repeats)
        browser = await signed_in(gate)
        opened, page = f"/mailbox/{BOX}/open", f"/conversation/{thread}"
        older = _link(await browser.get(opened), r'href="([^"]+after=[^"]+)"')
        token = _link(await browser.get("/search"), r'name="form-token" value="([^"]+)"')
        headers = await _searched(browser, token, whole=False)
        text = await _searched(browser, token, whole=True)
        rows = [
            *await timed.of("list", partial(browser.get, opened), bar=100),
            *await timed.of("list, second page", partial(browser.get, older), bar=100),
            *await timed.of(f"conversation of {in_thread}", partial(browser.get, page), bar=100),
            *await timed.of("search, headers", partial(browser.get, headers), bar=250, share=_SEARCHES),
            *await timed.of("search, whole text", partial(browser.get, text), bar=1000, share=_SEARCHES),
        ]
        return [*rows, *await _sizes(browser, opened, page, in_thread)]


async def _searched(browser: Browser, token: str, *, whole: bool) -> str:
    """Search for a word that is in no message, so that all are read; return the path of the results."""
    form = f"form-token={token}&words=finnsinte&mailbox=&whole={'yes' if whole else ''}"
    answer = await browser.post("/search", [form.encode()])
    assert answer.status == 303, answer.text()
    return answer.headers["location"]


class _Timed:
    """Times of answers, and the CPU that they use."""

    def __init__(self, database: psutil.Process, repeats: int) -> None:
        self._database = database
        self._repeats = repeats

    async def of(
        self, name: str, ask: Callable[[], Awaitable[Answered]], *, bar: float, share: int = 1
    ) -> list[Row]:
        """Measure the 95th percentile of an answer's CPU and of its elapsed time."""
        passed, own, both = list[float](), list[float](), list[float]()
        for number in range(_WARM_UP + max(self._repeats // share, 2)):
            if number == _WARM_UP:
                _settled()
            began, used, database = time.perf_counter(), time.process_time(), cpu_of(self._database)
            answer = await ask()
            own.append(1000 * (time.process_time() - used))
            both.append(own[-1] + 1000 * max(0.0, cpu_of(self._database) - database))
            passed.append(1000 * (time.perf_counter() - began))
            assert answer.status == 200, answer.text()
        return [
            reported(f"{name}, CPU with the database's, p95", [_percentile(both)], "ms CPU", bar=bar),
            reported(f"{name}, CPU with the database's, median", [median(both[_WARM_UP:])], "ms CPU"),
            reported(f"{name}, of it our own, p95", [_percentile(own)], "ms CPU"),
            reported(f"{name}, time that passes, p95", [_percentile(passed)], "ms"),
        ]


def _percentile(measured: list[float]) -> float:
    counted = sorted(measured[_WARM_UP:])
    return counted[int(len(counted) * _PERCENTILE)]


def _settled() -> None:
    """Exempt existing objects from garbage collection, as the program does once it has started."""
    gc.collect()
    gc.freeze()


async def _sizes(browser: Browser, opened: str, page: str, in_thread: int) -> list[Row]:
    """Measure the packed bytes that a browser fetches for the first page with all its assets."""
    first, conversation = await browser.get(opened), await browser.get(page)
    assets = dict(Assets())
    used = [one for one in assets.values() if one.path in first.text() or one.path.endswith(".js")]
    script = sum(len(one.packed) for name, one in assets.items() if name.endswith(".js"))
    everything = first.size + sum(len(one.packed) for one in used)
    return [
        reported("first page with all of it", [everything / _KB], "kB", bar=60),
        reported("script", [script / _KB], "kB", bar=15),
        reported(f"conversation of {in_thread}", [conversation.size / _KB], "kB", bar=150),
    ]


def _link(answer: Answered, pattern: str) -> str:
    found = re.search(pattern, answer.text())
    assert found is not None, answer.text()
    return found[1].replace("&amp;", "&")
