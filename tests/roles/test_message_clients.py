"""An organisation's message client, from the operator's configuration to its access rights."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from starlette.applications import Starlette

from samdrift.client.keys import ClientKey
from samdrift.config.reader import load
from samdrift.contracts.messageclients import Scope
from samdrift.installation.authorization import authorizing
from samdrift.installation.rolesettings import profiles
from samdrift.messageservice.access import Unauthorized
from samdrift.net.clock import system_clock
from tests.roles.stage import Stage
from tests.unit.cli.commandline import in_process
from tests.unit.messageservice.oauth.scene import ASSERTION_TYPE

KEY = ClientKey.new()
CLIENT = """
[[organisations.message_clients]]
id = "journal"
keys = "journal.json"
addresses = ["{address}"]
scopes = ["urn:sdk.api:getMessage"]
"""


def configuration(stage: Stage, *addresses: str) -> Path:
    """Write the configuration of Habo's operator, with a message client for its first organisation."""
    folder = stage.habo.config.vaults.secrets.parent
    (folder / "journal.json").write_text(json.dumps(KEY.public))
    text = without_clients(stage)
    head, first, *others = text.split("[[organisations]]")
    first += "".join(CLIENT.format(address=address) for address in addresses)
    head = head.replace("[message_service]", '[message_service]\naddress_d = "https://sdk.habo.test"')
    file = folder / f"clients-{uuid4()}.toml"
    file.write_text("[[organisations]]".join([head, first, *others]))
    return file


def without_clients(stage: Stage) -> str:
    """Return the configuration of Habo's operator without interface D."""
    text = (stage.habo.config.vaults.secrets.parent / "samdrift.toml").read_text()
    text = re.sub(r"\[\[organisations\.message_clients\]\]\n(?:\S.*\n)*", "", text)
    return re.sub(r"(?:listen|address)_d = .*\n", "", text)


async def routing(file: Path) -> tuple[int, Any]:
    ended = await asyncio.to_thread(in_process, "routing", "--config", file, "--json")
    return ended.status, ended.document["organisations"][0]


async def test_an_operator_sees_who_gets_what_and_a_client_gets_in_there(stage: Stage) -> None:
    file = configuration(stage, "*")
    status, told = await routing(file)
    assert status == 0
    mailbox = stage.habo.address.functional_address
    assert told["addresses"] == {mailbox: ["journal"]}
    assert told["clients"] == [
        {
            "id": "journal",
            "issuer": told["issuer"],
            "addresses": ["*"],
            "scopes": ["urn:sdk.api:getMessage"],
            "default": False,
        }
    ]
    config = load(file)
    assert config.message_service is not None
    async with authorizing(
        config, config.message_service, stage.habo.operator.gate, profiles(config)
    ) as ours:
        transport = httpx.ASGITransport(Starlette(routes=ours.server.routes()))
        async with httpx.AsyncClient(transport=transport) as http:
            assertion = KEY.assertion("journal", told["token_endpoint"], system_clock())
            form = {
                "grant_type": "client_credentials",
                "client_assertion_type": ASSERTION_TYPE,
                "client_assertion": assertion,
            }
            token = (await http.post(told["token_endpoint"], data=form)).json()["access_token"]
        access = await ours.tokens.access(token)
        assert (access.organisation, access.client) == (stage.habo.organisation, "journal")
        assert access.scopes == frozenset({Scope.READ})
        assert access.covers(mailbox)
        with pytest.raises(Unauthorized):
            await ours.tokens.access(token[:-4])


async def test_an_operator_sees_what_nobody_gets(stage: Stage) -> None:
    file = configuration(stage, "elsewhere")
    status, told = await routing(file)
    assert status == 1
    assert told["addresses"] == {stage.habo.address.functional_address: []}
    ended = await asyncio.to_thread(in_process, "routing", "--config", file)
    assert "NOBODY" in ended.output


async def test_a_client_that_gets_the_rest_alone_is_shown_without_an_and(stage: Stage) -> None:
    file = configuration(stage, "*")
    file.write_text(file.read_text().replace('addresses = ["*"]', "default = true"))
    ended = await asyncio.to_thread(in_process, "routing", "--config", file)
    assert "  client journal: all addresses that are no other client's\n" in ended.output


async def test_without_an_address_for_clients_there_is_nothing_to_show(stage: Stage) -> None:
    file = stage.habo.config.vaults.secrets.parent / f"no-clients-{uuid4()}.toml"
    file.write_text(without_clients(stage))
    ended = await asyncio.to_thread(in_process, "routing", "--config", file)
    assert (ended.status, ended.complaints.count("\n")) == (2, 1)
    assert "address_d" in ended.complaints
