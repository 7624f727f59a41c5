"""The message client's pages over a real vault: time of the server, bytes over the wire, memory, and idling.

One mailbox of 10 000 messages in conversations of two, and one conversation of 200. Times are those of the
role's own application, without a network between: rights, session, database, log and template are in them.
"""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import uvloop

from bench import web_idle, web_memory
from bench.measure import Row, reported
from bench.web_house import BOX, Answered, Browser, Letters, installed, settings_in, signed_in
from samdrift.web.assets import Assets

_MESSAGES, _THREAD = 10_000, 200
_REPEATS, _SEARCHES, _WARM_UP = 60, 15, 5
_PERCENTILE = 0.95
_KB = 1000


def rows() -> list[Row]:
    """The 95th percentiles of answers, sizes, memory of 30 MB in and out, and what 300 organisations cost."""
    with tempfile.TemporaryDirectory(prefix="samdrift-bench-") as folder:
        Path(folder).chmod(0o711)
        pages = uvloop.run(_pages(Path(folder)))
    return [*pages, *web_memory.rows(), *web_idle.rows()]


async def _pages(folder: Path) -> list[Row]:
    async with installed(settings_in(folder)) as gate:
        thread = await Letters(gate).fill(_MESSAGES, _THREAD)
        browser = await signed_in(gate)
        opened, page = f"/mailbox/{BOX}/open", f"/conversation/{thread}"
        older = _link(await browser.get(opened), r'href="([^"]+after=[^"]+)"')
        token = _link(await browser.get("/search"), r'name="form-token" value="([^"]+)"')
        headers = await _searched(browser, token, whole=False)
        text = await _searched(browser, token, whole=True)
        timed = [
            *await _timed("list", partial(browser.get, opened), bar=100),
            *await _timed("list, second page", partial(browser.get, older), bar=100),
            *await _timed(f"conversation of {_THREAD}", partial(browser.get, page), bar=100),
            *await _timed("search, headers", partial(browser.get, headers), bar=250, times=_SEARCHES),
            *await _timed("search, whole text", partial(browser.get, text), bar=1000, times=_SEARCHES),
        ]
        return [*timed, *await _sizes(browser, opened, page)]


async def _searched(browser: Browser, token: str, *, whole: bool) -> str:
    """Ask for a word that no message has, so that all of them are looked at; returns where it is answered."""
    form = f"form-token={token}&words=finnsinte&mailbox=&whole={'yes' if whole else ''}"
    answer = await browser.post("/search", [form.encode()])
    assert answer.status == 303, answer.text()
    return answer.headers["location"]


async def _timed(
    name: str, ask: Callable[[], Awaitable[Answered]], *, bar: float, times: int = _REPEATS
) -> list[Row]:
    """Return the 95th percentile of the time that passes, and the CPU of this process in it."""
    passed, used = [], []
    for number in range(_WARM_UP + times):
        began, cpu = time.perf_counter(), time.process_time()
        answer = await ask()
        if number >= _WARM_UP:
            used.append((time.process_time() - cpu) * 1000)
            passed.append((time.perf_counter() - began) * 1000)
        assert answer.status == 200, answer.text()
    passed.sort()
    return [
        reported(f"{name}, p95", [passed[int(len(passed) * _PERCENTILE)]], "ms", bar=bar),
        reported(f"{name}, of it our CPU", used, "ms CPU"),
    ]


async def _sizes(browser: Browser, opened: str, page: str) -> list[Row]:
    """Bytes that a browser fetches: the first page with everything that it refers to, packed."""
    first, conversation = await browser.get(opened), await browser.get(page)
    assets = dict(Assets())
    used = [one for one in assets.values() if one.path in first.text() or one.path.endswith(".js")]
    script = sum(len(one.packed) for name, one in assets.items() if name.endswith(".js"))
    everything = first.size + sum(len(one.packed) for one in used)
    return [
        reported("first page with all of it", [everything / _KB], "kB", bar=60),
        reported("script", [script / _KB], "kB", bar=15),
        reported(f"conversation of {_THREAD}", [conversation.size / _KB], "kB", bar=150),
    ]


def _link(answer: Answered, pattern: str) -> str:
    found = re.search(pattern, answer.text())
    assert found is not None, answer.text()
    return found[1].replace("&amp;", "&")
