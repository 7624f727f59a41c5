"""People at the pages of an operator that runs as processes; each visitor is served by one worker."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import signal
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import httpx
import psutil

from samdrift.config.organisations import DEMONSTRATION_LEVEL
from samdrift.contracts.principals import Role
from samdrift.demo.cast import DemoOrganisation
from samdrift.demo.persons import DemoPerson, Work
from samdrift.federation.signin import SignInClient, SignInService
from samdrift.web.cookies import SESSION
from tests.secretfiles import secret_file

PERSONS = (
    DemoPerson("anna", "Anna Andersson", Work.CASE_WORKER),
    DemoPerson("bo", "Bo Berg", Work.CASE_WORKER),
    DemoPerson("karin", "Karin Kvist", Work.ADMINISTRATOR),
)
_SAME_ORIGIN = {"sec-fetch-site": "same-origin", "origin": "null"}
_FILE = "bilaga.pdf"
_TOKEN = re.compile(r'name="form-token" value="([^"]+)"')


def configured(text: str, service: SignInService, organisation: DemoOrganisation, folder: Path) -> str:
    """Return the configuration with a sign-in service for an organisation, registering its pages there."""
    name = organisation.identifier.value.partition(":")[2].removesuffix(".se")
    places = []
    for table, role in (("message_client", Role.MESSAGE_CLIENT), ("governance", Role.GOVERNANCE)):
        listen = re.search(rf'\[{table}\]\nlisten = "([^"]*)"\n', text)
        assert listen is not None
        text = text.replace(listen[0], f"{listen[0]}plain = true\n")
        places.append(
            (f"http://{organisation.host(role)}:{listen[1].rpartition(':')[2]}", f"http://{listen[1]}")
        )
    secret = secret_file(folder / f"{name}.secret", secrets.token_urlsafe(32))
    persons, level = [each.at_sign_in for each in PERSONS], DEMONSTRATION_LEVEL
    known = SignInClient(
        name, organisation.name, "pages", secret.read_text(), level, persons, *places[0], places[1:]
    )
    service.add(known)
    table = (
        f'[organisations.sign_in]\nissuer = "{service.issuer(name)}"\nclient_id = "pages"\n'
        f'secret_file = "{secret}"\nlevels = ["{level}"]\nclaims = ["groups"]\n\n'
    )
    entry = re.search(rf'(?ms)^identifier = "{organisation.identifier.value}"\n.*?(?=^\[|\Z)', text)
    assert entry is not None
    return text.replace(entry[0], f"{entry[0]}{table}")


@dataclass
class Visitor:
    """A headless browser whose requests all go to one worker."""

    client: httpx.AsyncClient
    worker: int
    """Process id of the worker."""
    host: str
    cookies: dict[str, str] = field(default_factory=dict)
    """Cookies, possibly shared: a browser has several connections, each to any worker."""

    def headers(self) -> Mapping[str, str]:
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items() if value)
        return {"host": self.host, **({"cookie": cookies} if cookies else {})}

    async def get(self, path: str) -> httpx.Response:
        return self._answered(await self.client.get(path, headers=self.headers()))

    async def post(self, path: str, page: httpx.Response, **form: str | bytes) -> httpx.Response:
        """Post a form of ``page``; values of type ``bytes`` are uploaded as files."""
        token = _TOKEN.search(page.text)
        assert token is not None, page.text
        given = {"form-token": token[1], **form}
        parts = [
            (name, (None, value) if isinstance(value, str) else (_FILE, value, "application/pdf"))
            for name, value in given.items()
        ]
        headers = {**self.headers(), **_SAME_ORIGIN}
        return self._answered(await self.client.post(path, headers=headers, files=cast(Any, parts)))

    @contextlib.asynccontextmanager
    async def stream(self, path: str) -> AsyncIterator[AsyncIterator[str]]:
        """Follow a stream of events, and yield their names."""
        async with self.client.stream("GET", path, headers=self.headers()) as answer:
            assert answer.status_code == 200, answer.status_code
            self._require_worker(answer)
            yield _events(answer.aiter_lines())

    def _answered(self, answer: httpx.Response) -> httpx.Response:
        self._require_worker(answer)
        for each in answer.headers.get_list("set-cookie"):
            name, _, value = each.partition(";")[0].partition("=")
            self.cookies[name] = value
        return answer

    def _require_worker(self, answer: httpx.Response) -> None:
        port = answer.extensions["network_stream"].get_extra_info("client_addr")[1]
        assert port in _ports(self.worker), "another worker has answered"


async def _events(lines: AsyncIterator[str]) -> AsyncIterator[str]:
    async for line in lines:
        if line.startswith("event: "):
            yield line.removeprefix("event: ")


def _ports(process: int) -> set[int]:
    return {each.raddr.port for each in psutil.Process(process).net_connections("tcp") if each.raddr}


@contextlib.contextmanager
def _halted(processes: Iterable[int]) -> Iterator[None]:
    """Suspend processes for a moment, so that another one accepts a connection."""
    stopped = list(processes)
    for each in stopped:
        os.kill(each, signal.SIGSTOP)
    try:
        yield
    finally:
        for each in stopped:
            os.kill(each, signal.SIGCONT)


@contextlib.asynccontextmanager
async def visitors(
    workers: Iterable[int], address: str, origin_host: str, number: int = 1
) -> AsyncIterator[list[Visitor]]:
    """Connect ``number`` times to each worker; all connections belong to one browser."""
    async with AsyncExitStack() as stack:
        found, cookies, everyone = list[Visitor](), dict[str, str](), list(workers)
        for _ in range(number):
            for worker in everyone:
                limits = httpx.Limits(max_connections=1, keepalive_expiry=None)
                client = httpx.AsyncClient(base_url=f"http://{address}", limits=limits, timeout=60)
                await stack.enter_async_context(client)
                visitor = Visitor(client, worker, origin_host, cookies)
                with _halted(each for each in everyone if each != worker):
                    assert (await visitor.get("/sign-in")).status_code == 200
                found.append(visitor)
        yield found


async def signs_in(first: Visitor, second: Visitor, person: str) -> None:
    """Begin to sign in at one worker, and return from the sign-in service to another."""
    await comes_back(second, await begins(first, person))


async def begins(visitor: Visitor, person: str) -> str:
    """Begin to sign in; return the path to which the sign-in service leads back."""
    begun = await visitor.get("/sign-in/start")
    assert begun.status_code == 303, begun.text
    url = begun.headers["location"]
    async with httpx.AsyncClient(timeout=60) as client:
        chosen = await client.get(url.replace("/authorize?", "/choose?") + f"&person={person}")
    back = urlsplit(chosen.headers["location"])
    assert "code" in parse_qs(back.query)
    return f"{back.path}?{back.query}"


async def comes_back(visitor: Visitor, path: str) -> None:
    """Return from the sign-in service, which completes the sign-in."""
    ended = await visitor.get(path)
    assert ended.status_code == 303, ended.text
    assert visitor.cookies[SESSION]
