"""The message client in a process of its own, which follows commands on standard input, for measuring it.

``python -m bench.web_client FOLDER INTERFACE``: ``fetch`` new messages, ``look`` at the file of the newest
message, ``upload`` a file, ``send`` it; each is answered with a line once it is done.
"""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlencode

from bench.web_house import BOX, HABO, Browser, settings_in, signed_in
from samdrift.client.keys import ClientKey
from samdrift.client.mailbox import Mailbox
from samdrift.client.tokens import Tokens
from samdrift.contracts.principals import Role
from samdrift.messageclient.fetching import Fetching
from samdrift.messageclient.sending import Sending
from samdrift.net.client import http_client
from samdrift.net.clock import system_clock
from samdrift.vault.gate import Gate

BYTES = 22_000_000
"""Size of a file that just fits into a message of 30 MB, in Base64."""
_PIECE = 1 << 16


@asynccontextmanager
async def _service(interface: str) -> AsyncIterator[Mailbox]:
    async with http_client(public_only=False) as http:
        tokens = Tokens(http, f"{interface}/token", "bench", ClientKey.new(), system_clock)
        yield Mailbox(http, f"{interface}/v1", tokens)


async def _serve(folder: Path, interface: str) -> None:
    gate = await Gate.start(settings_in(folder))
    browser = await signed_in(gate)
    vaults = gate.worker("bench", Role.MESSAGE_CLIENT)
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    async with _service(interface) as service:
        later = datetime.now(UTC) + timedelta(minutes=2)
        sending = Sending(vaults, HABO, service, lambda: later)
        fetching = Fetching(vaults, HABO, service, system_clock)
        print("ready", flush=True)
        while order := (await reader.readline()).decode().strip():
            match order:
                case "fetch":
                    await fetching.look()
                case "look":
                    await _download(browser)
                case "upload":
                    await _upload(browser)
                case "send":
                    await sending.turn()
            print(order, flush=True)
    await gate.close()


async def _newest(browser: Browser) -> str:
    """Return the page of the newest conversation."""
    opened = (await browser.get(f"/mailbox/{BOX}/open")).text()
    return (await browser.get(_first(r'href="(/conversation/[^"]+)"', opened))).text()


async def _download(browser: Browser) -> None:
    size = await browser.count(_first(r'href="(/message/[^"]+/file/[^"]+)"', await _newest(browser)))
    assert size > BYTES // 2, size


async def _upload(browser: Browser) -> None:
    """Answer the newest message with a file; the time for undoing begins."""
    page = await _newest(browser)
    token = _first(r'name="form-token" value="([^"]+)"', page)
    only_token = [urlencode({"form-token": token}).encode()]
    draft = (await browser.post(_first(r'action="(/message/[^"]+/reply)"', page), only_token)).headers[
        "location"
    ]
    fields = {
        "form-token": token,
        "version": _version((await browser.get(draft)).text()),
        "subject": "Svar",
        "text": "Se bilagan",
        "confidentiality": "yes",
        "review": "yes",
    }
    saved = await browser.post(draft, _form(fields), "multipart/form-data; boundary=b")
    assert saved.status == 303, saved.text()
    version = _version((await browser.get(saved.headers["location"])).text())
    sent = await browser.post(
        f"{draft}/send", [urlencode({"form-token": token, "version": version}).encode()]
    )
    assert sent.status == 303, sent.text()


def _version(page: str) -> str:
    return _first(r'name="version" value="(\d+)"', page)


def _form(fields: dict[str, str]) -> Iterator[bytes]:
    for name, value in fields.items():
        yield f'--b\r\ncontent-disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
    yield b'--b\r\ncontent-disposition: form-data; name="files"; filename="a.pdf"\r\n\r\n%PDF-1.7\n'
    for _ in range(BYTES // _PIECE):
        yield bytes(_PIECE)
    yield b"\r\n--b--\r\n"


def _first(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    assert found is not None, text[:2000]
    return found[1].replace("&amp;", "&")


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1]), sys.argv[2]))
