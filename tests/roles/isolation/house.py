"""An installation whose organisations have processes of their own, and its callers."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlencode

import pytest

from samdrift.client.keys import ClientKey
from samdrift.config.organisations import host_of
from samdrift.contracts.messages import Direction, MessageStatus
from samdrift.contracts.principals import Role
from samdrift.installation.control import control_folder
from samdrift.installation.reporting import Running, ask_running
from samdrift.vault.registry import Registration
from tests.roles import web
from tests.roles.member import MT, Member, until
from tests.roles.messageclient import MessageClient
from tests.roles.processes import Process, organisation
from tests.roles.stage import Stage

ALFA, BETA = organisation("alfa", "2120000101", tuple(Role)), organisation("beta", "2120000102", tuple(Role))
PAGES = (Role.MESSAGE_CLIENT, Role.GOVERNANCE)
"""Roles whose pages people use."""
PATIENCE = 300.0
FIRST_USER = 400_000 + os.getpid() % 10_000 * 10_000
"""First Unix user of this run only: an installation kills foreign processes of its own users."""
ROOT = os.geteuid() == 0
as_root = pytest.mark.skipif(not ROOT, reason="only root may look into, and start processes as, others")
SERVES = re.compile(r"^(.+): \S+ INFO serves as process ([0-9]+); memory [0-9]+ MB", re.MULTILINE)


@dataclass
class House:
    """An installation whose organisations have processes of their own."""

    stage: Stage
    process: Process
    alfa: Member
    beta: Member
    metrics: str

    @property
    def folder(self) -> Path:
        return self.process.config_file.parent

    def processes(self) -> dict[str, int]:
        """Return process ids by purpose; of several with the same purpose, the latest."""
        return {name: int(number) for name, number in SERVES.findall(self.process.log.read_text())}

    def worker(self, member: Member, role: Role) -> int:
        return self.processes()[f"{role.value} of {member.organisation}"]

    async def says(self, text: str) -> None:
        async def look() -> bool | None:
            return True if text in self.process.log.read_text() else None

        await until(look, f"in the log: {text}", PATIENCE)

    async def starts_again(self) -> Mapping[str, bool]:
        """Restart it; return the first answer about its processes, while they start."""
        folder = control_folder(self.alfa.config.vaults)

        async def asked() -> Running | None:
            return next(iter(await ask_running(folder)), None)

        await self.process.end(signal.SIGTERM)
        starting = asyncio.create_task(self.process.start())
        first = await until(asked, "it answers how it is", PATIENCE)
        await starting
        return first.workers


async def exchanged(sender: Member, recipient: Member) -> str:
    """Exchange a message until it is accepted and receipted; return its id."""
    message_id = await sender.send(recipient.address)
    assert await sender.ends(message_id, within=PATIENCE) is MessageStatus.ACCEPTED
    assert await recipient.ends(message_id, Direction.IN) is MessageStatus.NEW
    return message_id


def registration(member: Member, role: Role) -> Registration:
    found = member.operator.gate.registry.find(member.organisation, role)
    assert found is not None
    return found


def base_d(member: Member) -> str:
    assert member.config.message_service is not None
    return member.config.message_service.address_d


def host_at(member: Member, role: Role) -> str:
    """Return the host name at which the organisation's people reach a role."""
    own = next(one for one in member.config.organisations if one.identifier == member.organisation)
    return host_of(own, role)


async def visit(
    house: House, member: Member, role: Role, path: str = "/health", host: str | None = None
) -> web.Answer:
    """Send a request to the address of a role, with the organisation's host name or another one."""
    config = member.config
    table = config.message_client if role is Role.MESSAGE_CLIENT else config.governance
    assert table is not None
    url = f"https://{table.listen.host}:{table.listen.port}{path}"
    named = host_at(member, role) if host is None else host
    return await web.call(web.tls(config.inner_issuers), "GET", url, None, {"host": named})


async def client(house: House, member: Member) -> MessageClient:
    """Return the organisation's message client, with a token of its own authorisation server."""
    endpoint = f"{base_d(member)}/v1/oauth2/{registration(member, MT).public_name}/token"
    name = member.organisation.value.rpartition(":")[2]
    key = ClientKey.read((house.folder / "clients" / f"{name}.pem").read_bytes())
    form = {
        "grant_type": "client_credentials",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": key.assertion("demo", endpoint, datetime.now(UTC)),
    }
    tls = web.tls(member.config.inner_issuers)
    headers = {"content-type": "application/x-www-form-urlencoded"}
    answer = await web.call(tls, "POST", endpoint, urlencode(form).encode(), headers)
    assert answer.status == 200, answer.body
    return MessageClient(base_d(member), tls, answer.document()["access_token"])
