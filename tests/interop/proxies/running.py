"""The shipped examples with the test's ports, run by Debian's nginx and HAProxy."""

from __future__ import annotations

import contextlib
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from samdrift.federation.ports import free_port
from tests.programs import found
from tests.roles.stage import HOST
from tests.vaults import until

EXAMPLES = Path(__file__).parents[3] / "deploy"
API = "meddelanden.example.se"
"""Host names that the examples route to interface D, a message client and governance."""
CLIENT, OFFICE = "habo.meddelanden.example.se", "habo.styrning.example.se"


@dataclass(frozen=True)
class Behind:
    """Ports at which Samdrift listens on this machine."""

    interface_a: int
    interface_c: int
    interface_d: int
    message_clients: int
    governance: int


@dataclass(frozen=True)
class Proxy:
    """A running proxy, with its ports and its log."""

    public: int
    inner: int
    log: Path


def changed(example: str, changes: Mapping[str, str]) -> str:
    """Return the shipped example with the test's ports and paths; each replaced text must occur."""
    text = (EXAMPLES / example).read_text()
    for old, new in changes.items():
        assert old in text, f"{example} has no {old}"
        text = text.replace(old, new)
    return text


@asynccontextmanager
async def nginx(folder: Path, behind: Behind, most: int = 200) -> AsyncIterator[Proxy]:
    public, inner = free_port(HOST), free_port(HOST)
    log = folder / "connections.log"
    file = folder / "nginx.conf"
    changes = {
        "listen 443 ": f"listen {HOST}:{public} ",
        "listen [::]:443 ": f"listen [::1]:{public} ",
        "listen 10.0.0.10:8444 ": f"listen {HOST}:{inner} ",
        "/run/nginx.pid": str(folder / "pid"),
        "/var/log/nginx/samdrift.log": str(log),
        "/var/log/nginx/error.log": str(folder / "error.log"),
        "limit_conn addresses 200;": f"limit_conn addresses {most};",
    }
    file.write_text(changed("nginx.conf", changes | _backends(behind)))
    command = [found("nginx"), "-e", folder / "error.log", "-c", file, "-g", "daemon off;"]
    async with _running(command, folder, public):
        yield Proxy(public, inner, log)


@asynccontextmanager
async def haproxy(folder: Path, behind: Behind, most: int = 200) -> AsyncIterator[Proxy]:
    public, inner = free_port(HOST), free_port(HOST)
    file = folder / "haproxy.cfg"
    changes = {
        "bind :443\n": f"bind {HOST}:{public}\n",
        "bind :::443 v6only": f"bind ::1:{public}",
        "bind 10.0.0.10:8444": f"bind {HOST}:{inner}",
        "log /dev/log local0": "log stdout format raw local0",
        "maxconn 16384": "maxconn 1000",
        "gt 200 }": f"gt {most} }}",
    }
    file.write_text(changed("haproxy.cfg", changes | _backends(behind)))
    async with _running([found("haproxy"), "-db", "-f", file], folder, public):
        yield Proxy(public, inner, folder / "output")


PROXIES = {"nginx": nginx, "haproxy": haproxy}


def _backends(behind: Behind) -> dict[str, str]:
    ports = {
        8443: behind.interface_a,
        8444: behind.interface_c,
        8445: behind.interface_d,
        8446: behind.message_clients,
        8447: behind.governance,
    }
    return {f"127.0.0.1:{shipped}": f"{HOST}:{own}" for shipped, own in ports.items()}


@asynccontextmanager
async def _running(command: list[Any], folder: Path, port: int) -> AsyncIterator[None]:
    with (folder / "output").open("ab") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    try:

        def listens() -> bool:
            assert process.poll() is None, (folder / "output").read_text()
            with contextlib.suppress(OSError), socket.create_connection((HOST, port)):
                return True
            return False

        await until(listens)
        yield
    finally:
        process.terminate()
        process.wait(60)


class AskingFor(ssl.SSLContext):
    """A client's TLS context that requests a given server name, wherever it connects."""

    name: str

    def wrap_socket(self, sock: Any, *arguments: Any, **settings: Any) -> ssl.SSLSocket:
        return super().wrap_socket(sock, *arguments, **(settings | {"server_hostname": self.name}))

    def wrap_bio(self, *arguments: Any, **settings: Any) -> ssl.SSLObject:
        return super().wrap_bio(*arguments, **(settings | {"server_hostname": self.name}))


def asking_for(name: str, trust: Path) -> AskingFor:
    """Return a context that checks the issuer but no name, because the certificates are for an address."""
    context = AskingFor(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(trust)
    context.name = name
    return context
