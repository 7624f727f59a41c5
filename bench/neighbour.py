"""Latency of an organisation's requests while another one, or a stranger, floods the server, at both levels.

The floor is the same request without a flood, in turn with it. The flood comes from a process of its own
with lower priority, because it stands for another machine: the measurement is of what the platform lets
it use.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from urllib.parse import urlencode

from tests.roles import web
from tests.roles.member import MT, Member
from tests.roles.processes import Process, organisation, played

from bench import neighbour_traffic
from bench.measure import Row, against_floor
from bench.neighbour_flood import Target
from samdrift.client.keys import ClientKey
from samdrift.demo.cast import DemoOperator
from samdrift.federation.server import LocalFederation, running
from samdrift.installation.loop import run

_FLOODS = (
    "junk",
    "fitting junk",
    "silent connections",
    "unfinished requests",
    "strangers at interface A",
    "polls that wait, and more of them",
    "polls that find nothing",
    "lists",
    "fetches of nothing",
)
_LEVELS = ("shared", "process")
_BAR = 1.5
_ROUNDS = 5
_REQUESTS = 100
_WARM_UP = 50
_SETTLE = 1.5
"""Seconds for a flood to reach full strength, and for its effects to end."""
_NICE = 10


def rows() -> list[Row]:
    """Measure the median time of a list request for each level and flood, undisturbed and disturbed."""
    with tempfile.TemporaryDirectory(prefix="samdrift-neighbour-") as folder:
        return [*run(_measured(Path(folder))), *neighbour_traffic.rows()]


async def _measured(folder: Path) -> list[Row]:
    found: list[Row] = []
    async with running(folder / "federation") as federation:
        for level in _LEVELS:
            found += await _at(federation, folder, level)
    return found


async def _at(federation: LocalFederation, folder: Path, level: str) -> list[Row]:
    cast = organisation(f"lugn{level}", "2120000901"), organisation(f"stor{level}", "2120000902")
    operator = DemoOperator(f"neighbours-{level}", f"AP008{_LEVELS.index(level)}-SDK-DEMO", cast)
    settings = f'[isolation]\nlevel = "{level}"\n'
    async with played(federation, folder, {operator: ("all",)}, settings) as there:
        (process,) = there.processes
        calm, loud = there.members
        await process.start()
        certificate, password = await loud.client_tls()
        target = Target(
            _address(calm.config.message_service and calm.config.message_service.listen_d),
            _address(calm.config.access_point and calm.config.access_point.listen),
            _address(calm.config.access_point and calm.config.access_point.listen_c),
            str(calm.config.inner_issuers),
            await _token(process, loud),
            (str(certificate), password),
        )
        token = await _token(process, calm)
        async with _lister(target, token) as listed:
            await _times(listed, _WARM_UP)
            return [await _row(f"{level}: {kind}", kind, target, listed) for kind in _FLOODS]


async def _row(name: str, kind: str, target: Target, listed: _Lister) -> Row:
    floors, works = [], []
    for _ in range(_ROUNDS):
        floors.append(median(await _times(listed, _REQUESTS)))
        async with _flooding(kind, target):
            await asyncio.sleep(_SETTLE)
            works.append(median(await _times(listed, _REQUESTS)))
        await asyncio.sleep(_SETTLE)
    return against_floor(name, floors, works, bar=_BAR, unit="ms")


async def _times(listed: _Lister, count: int) -> list[float]:
    """Return the milliseconds of each of ``count`` requests, one after another."""
    found = []
    for _ in range(count):
        began = time.perf_counter()
        await listed.request()
        found.append((time.perf_counter() - began) * 1000)
    return found


class _Lister:
    """A message client that lists its mailbox over one kept connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, token: str) -> None:
        self._reader = reader
        self._writer = writer
        self._request = (
            f"GET /v1/sdk/messages HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\r\n".encode()
        )

    async def request(self) -> None:
        self._writer.write(self._request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"a list was answered with {head.partition(bytes(2))[0]!r}")
        while (size := int((await self._reader.readline()).strip(), 16)) or True:
            await self._reader.readexactly(size + 2)
            if not size:
                return


@contextlib.asynccontextmanager
async def _lister(target: Target, token: str) -> AsyncIterator[_Lister]:
    tls = ssl.create_default_context(cafile=target.issuers)
    tls.check_hostname = False
    reader, writer = await asyncio.open_connection(*target.interface_d, ssl=tls)
    try:
        yield _Lister(reader, writer, token)
    finally:
        writer.transport.abort()


@contextlib.asynccontextmanager
async def _flooding(kind: str, target: Target) -> AsyncIterator[None]:
    flood = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.neighbour_flood", kind,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        preexec_fn=lambda: os.nice(_NICE),
    )  # fmt: skip
    assert flood.stdin is not None
    assert flood.stdout is not None
    try:
        flood.stdin.write(target.line().encode() + b"\n")
        if await flood.stdout.readline() != b"floods\n":
            raise RuntimeError(f"no flood of {kind}")
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            flood.kill()
        await flood.wait()


def _address(listen: object) -> tuple[str, int]:
    host, port = getattr(listen, "host", ""), getattr(listen, "port", 0)
    return str(host), int(port)


async def _token(process: Process, member: Member) -> str:
    """Obtain an access token from the organisation's own authorisation server."""
    service = member.config.message_service
    registration = member.operator.gate.registry.find(member.organisation, MT)
    assert service is not None
    assert registration is not None
    endpoint = f"{service.address_d}/v1/oauth2/{registration.public_name}/token"
    name = member.organisation.value.partition(":")[2].rpartition(".")[0]
    key = ClientKey.read((process.config_file.parent / "clients" / f"{name}.se.pem").read_bytes())
    form = {
        "grant_type": "client_credentials",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": key.assertion("demo", endpoint, datetime.now(UTC)),
    }
    headers = {"content-type": "application/x-www-form-urlencoded"}
    tls = web.tls(member.config.inner_issuers)
    answer = await web.call(tls, "POST", endpoint, urlencode(form).encode(), headers)
    token: str = answer.document()["access_token"]
    return token
