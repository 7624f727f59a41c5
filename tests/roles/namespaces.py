"""Machines as network namespaces, each with a loopback, an address and one link that can be cut.

Services on the loopback of the test's own namespace, such as the federation and another operator, are reached
from each machine at the same addresses over its link. This needs neither a firewall nor address translation,
since the loopback's addresses are routed. Services on a machine's own loopback are at
:data:`OWN_LOOPBACK`. The near end of a link has no address, because a browser that runs at the same time
drops its pending requests as soon as the addresses of its host change. Only root can make namespaces.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from ipaddress import IPv4Network
from pathlib import Path

from tests.roles.member import until

_TESTING = IPv4Network("198.18.0.0/15")
"""Addresses reserved for network tests, which belong to no host."""
_RELAY = """
import asyncio, sys
async def passed(reader, writer):
    while piece := await reader.read(1 << 16):
        writer.write(piece)
        await writer.drain()
    writer.close()
def reached(place, unix, tcp, *answer):
    host, _, port = place.rpartition(":")
    return tcp(*answer, host, int(port)) if host else unix(*answer, place)
async def connected(reader, writer):
    there = await reached(sys.argv[2], asyncio.open_unix_connection, asyncio.open_connection)
    await asyncio.gather(passed(reader, there[1]), passed(there[0], writer), return_exceptions=True)
async def main():
    place = sys.argv[1], asyncio.start_unix_server, asyncio.start_server, connected
    await (await reached(*place)).serve_forever()
asyncio.run(main())
"""
_DATABASE_PORT, _HEALTH_PORT = 5432, 9100
OWN_LOOPBACK = "127.53.0.1"


class NoNamespaces(Exception):
    """Network namespaces cannot be made on this machine, for the reason in the text."""


def _run(*command: str) -> None:
    ended = subprocess.run(command, capture_output=True, text=True)
    if ended.returncode:
        raise NoNamespaces(f"{' '.join(command)}: {ended.stderr.strip()}")


@dataclass(frozen=True)
class Machine:
    """One namespace and its link."""

    name: str
    link: str
    """Interface of the link in the test's own namespace."""
    address: str

    @property
    def inside(self) -> Sequence[str]:
        """Return the command prefix that runs a program in the machine."""
        return ("ip", "netns", "exec", self.name)

    def cut(self) -> None:
        """Stop all traffic without closing connections, so that pending requests get no answer."""
        _run("ip", "link", "set", self.link, "down")

    def join(self) -> None:
        """Let all traffic through again."""
        _run("ip", "link", "set", self.link, "up")
        _run("ip", "route", "add", f"{self.address}/32", "dev", self.link, "src", "127.0.0.1")


@contextlib.contextmanager
def machine() -> Iterator[Machine]:
    """Make a machine; raise :class:`NoNamespaces` if that is not possible."""
    if os.geteuid() != 0:
        raise NoNamespaces("only root makes network namespaces")
    if shutil.which("ip") is None:
        raise NoNamespaces("there is no program ip (iproute2)")
    number = random.SystemRandom().randrange(1, _TESTING.num_addresses - 1)
    made = Machine(f"samdrift-{number}", f"sam{number}", str(_TESTING[number]))
    _run("ip", "netns", "add", made.name)
    try:
        _run("ip", "link", "add", made.link, "type", "veth", "peer", "name", "eth0", "netns", made.name)
        _set("net.ipv4.conf", made.link, route_localnet=1, rp_filter=0, forwarding=1, proxy_arp=1)
        if Path("/proc/sys/net/ipv6").exists():
            _set("net.ipv6.conf", made.link, disable_ipv6=1)
        made.join()
        _run("ip", "-n", made.name, "address", "add", f"{made.address}/32", "dev", "eth0")
        _run("ip", "-n", made.name, "link", "set", "eth0", "up")
        here = "/proc/sys/net/ipv4/conf"
        for setting in ("all/rp_filter", "eth0/rp_filter"):
            _run(*made.inside, "sh", "-ec", f"echo 0 > {here}/{setting}")
        _run(*made.inside, "sh", "-ec", f"echo 1 > {here}/eth0/route_localnet")
        _run("ip", "-n", made.name, "link", "set", "lo", "up")
        _run("ip", "-n", made.name, "address", "delete", "127.0.0.1/8", "dev", "lo")
        _run("ip", "-n", made.name, "address", "add", f"{OWN_LOOPBACK}/32", "dev", "lo")
        for reached in ("default", "127.0.0.0/8"):
            _run("ip", "-n", made.name, "route", "add", reached, "dev", "eth0", "src", made.address)
        yield made
    finally:
        _run("ip", "netns", "delete", made.name)  # This removes the link, too.


def _set(where: str, link: str, **values: int) -> None:
    folder = Path("/proc/sys", *where.split("."), link)
    try:
        for name, value in values.items():
            (folder / name).write_text(str(value))
    except OSError as error:
        raise NoNamespaces(f"{folder}: {error.strerror}") from None


@cache
def missing() -> str:
    """Return the reason why this machine cannot make namespaces, or an empty text."""
    try:
        with machine():
            return ""
    except NoNamespaces as error:
        return str(error)


@contextlib.asynccontextmanager
async def database_in(where: Machine, socket: Path) -> AsyncIterator[str]:
    """Relay to the database at that Unix socket from an address in a machine; yield the address."""
    place = f"{where.address}:{_DATABASE_PORT}"
    async with _passed_on(where, place, str(socket)):
        yield place


@contextlib.asynccontextmanager
async def database_for(where: Machine, place: str, socket: Path) -> AsyncIterator[None]:
    """Relay to the database at its address from a Unix socket in a machine, like an encrypting tunnel."""
    async with _passed_on(where, str(socket), place):
        yield


@contextlib.asynccontextmanager
async def health_of(where: Machine, port: int) -> AsyncIterator[tuple[str, int]]:
    """Relay health checks of balancers to a machine, which answers them on its loopback only."""
    async with _passed_on(where, f"{where.address}:{_HEALTH_PORT}", f"{OWN_LOOPBACK}:{port}"):
        yield where.address, _HEALTH_PORT


@contextlib.asynccontextmanager
async def _passed_on(where: Machine, place: str, to: str) -> AsyncIterator[None]:
    running = subprocess.Popen(
        (*where.inside, sys.executable, "-c", _RELAY, place, to), stderr=subprocess.DEVNULL
    )
    try:

        async def answers() -> bool | None:
            host, _, port = place.rpartition(":")
            with contextlib.suppress(OSError):
                connecting = (
                    asyncio.open_connection(host, int(port)) if host else asyncio.open_unix_connection(place)
                )
                _, writer = await connecting
                writer.close()
                return True
            return None

        await until(answers, f"{where.name} passes on {place}")
        yield
    finally:
        running.kill()
        await asyncio.to_thread(running.wait)
