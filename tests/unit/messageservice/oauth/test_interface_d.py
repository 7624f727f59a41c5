"""Interface D with real access tokens, from the token endpoint to the mailboxes that they open."""

from __future__ import annotations

import json
from collections.abc import AsyncIterable, AsyncIterator
from importlib.resources import files
from typing import Any, cast

import httpx
import pytest
import pytest_asyncio
from jsonschema import Draft202012Validator

from samdrift.contracts.hold import Hold
from samdrift.contracts.messages import MessageStatus
from samdrift.messageservice.interface_d.application import InterfaceD
from samdrift.messageservice.interface_d.filters import read_filters
from samdrift.messageservice.interface_d.mailboxes import Mailboxes
from samdrift.vault.errors import VaultLocked, VaultUnavailable
from tests.unit.messageservice.oauth.scene import (
    ADDRESS,
    CARE,
    DESK,
    MINUTE,
    SCHOOL,
    Scene,
    curve_key,
)
from tests.unit.vault.test_mailboxes import IN, MT, came, store
from tests.vaults import NOW

MESSAGES = "/v1/sdk/messages"
NOBODYS = "sdk.ingen.habo.se"


@pytest_asyncio.fixture
async def http(scene: Scene) -> AsyncIterator[httpx.AsyncClient]:
    gate, served = scene.installation.gate, {scene.habo, scene.mullsjo}
    interface_d = InterfaceD(gate, scene.tokens, served, Mailboxes(gate), cast(Any, None), cast(Any, None))
    application = interface_d.application(scene.server.routes())
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(cast(Any, application)), base_url=ADDRESS
    ) as client:
        scene.http = client
        yield client


async def listed(http: httpx.AsyncClient, token: str) -> set[str]:
    answer = await http.get(MESSAGES, headers={"authorization": f"Bearer {token}"})
    assert answer.status_code == 200, answer.text
    return {one["id"] for one in answer.json()["data"]}


async def test_a_client_lists_what_its_registration_opens(scene: Scene, http: httpx.AsyncClient) -> None:
    """Each client has its own; the default client has the unassigned ones, including unknown addresses."""
    async with scene.installation.open(scene.habo, MT) as vault:
        ids = {address: await store(vault, came(address)) for address in (SCHOOL, CARE, DESK, NOBODYS)}
    journal = await scene.token()
    rest = await scene.token(scene.assertion("rest", key=curve_key(3)))
    theirs = scene.theirs(scope="urn:sdk.api:getMessageByFilter")
    ours = set(ids.values())
    assert await listed(http, journal) & ours == {ids[SCHOOL]}
    assert await listed(http, rest) & ours == {ids[DESK], ids[NOBODYS]}
    assert await listed(http, theirs) & ours == {ids[CARE]}
    other = await scene.token(scene.assertion(key=curve_key(2), at=scene.mullsjo), at=scene.mullsjo)
    assert not await listed(http, other) & ours


async def test_a_token_that_has_ended_opens_nothing(scene: Scene, http: httpx.AsyncClient) -> None:
    token = await scene.token()
    scene.now += 31 * MINUTE
    answer = await http.get(MESSAGES, headers={"authorization": f"Bearer {token}"})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].endswith('error="invalid_token"')


async def test_while_nobody_can_tell_the_client_is_to_come_again(
    scene: Scene, http: httpx.AsyncClient
) -> None:
    scene.web.down = True
    answer = await http.get(MESSAGES, headers={"authorization": f"Bearer {scene.theirs()}"})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")


@pytest.mark.parametrize(
    ("outage", "waits_for"), [(VaultUnavailable, Hold.DATABASE.value), (VaultLocked, None)]
)
async def test_an_outage_of_database_or_object_store_is_named_and_no_other(
    scene: Scene,
    http: httpx.AsyncClient,
    monkeypatch: pytest.MonkeyPatch,
    outage: type[VaultUnavailable],
    waits_for: str | None,
) -> None:
    """A message client of this installation learns that the service is there, and which part is gone."""
    async with scene.installation.open(scene.habo, MT) as vault:
        message_id = await store(vault, came(CARE))
        await vault.set_status(message_id, MessageStatus.NEW, (), now=NOW, deadline=None, direction=IN)

    async def away(pieces: AsyncIterable[bytes]) -> AsyncIterator[str]:
        for nothing in list[str]():
            yield nothing
        raise outage

    monkeypatch.setattr("samdrift.messageservice.interface_d.application.documents", away)
    token = scene.theirs(scope="urn:sdk.api:getMessage")
    answer = await http.get(f"{MESSAGES}/{message_id}", headers={"authorization": f"Bearer {token}"})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")
    assert answer.json().get("waitsFor") == waits_for
    described = json.loads((files("samdrift.messageservice.interface_d") / "interface-d.json").read_bytes())
    Draft202012Validator(described["components"]["schemas"]["Problem"]).validate(answer.json())


async def test_a_reading_for_a_person_names_them_by_their_id_and_the_system_that_fetched(
    scene: Scene, http: httpx.AsyncClient
) -> None:
    """The log has neither name nor subject; if a system fetches for itself, the reader is the system."""
    async with scene.installation.open(scene.habo, MT) as vault:
        message = await store(vault, came(CARE))
        await vault.set_status(message, MessageStatus.NEW, (), now=NOW, deadline=None, direction=IN)
    read = "urn:sdk.api:getMessage urn:sdk.api:getMessageByFilter"
    alone = scene.theirs(scope=read)
    person = scene.theirs(scope=read, sub="kim@habo.se", name="Kim Åberg", act={"sub": "theirs"})
    for token in (alone, person):
        access = await scene.access(token)
        found = await Mailboxes(scene.installation.gate).find(access, message, read_filters([]))
        assert found is not None
        assert message in await listed(http, token)
    async with scene.installation.open(scene.habo, MT) as vault:
        entries = await vault.log(limit=100_000)
        (known,) = [one.id for one in await vault.persons() if one.identity.subject == "kim@habo.se"]
    reads = [one for one in entries if one.event == "mt:message:read" and one.ids["message"] == message]
    assert [(one.principal, one.ids.get("through")) for one in reads] == [
        ("system:theirs", None),
        (f"user:{known}", "theirs"),
    ]
    openings = [one for one in entries if one.event == "vault:opening:granted" and one.purpose == "read"]
    assert (openings[-1].principal, openings[-1].ids) == (f"user:{known}", {"through": "theirs"})
    said = repr([(one.principal, one.ids) for one in entries])
    assert "kim@habo.se" not in said
    assert "Kim Åberg" not in said
