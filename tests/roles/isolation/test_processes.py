"""Isolation level ``process``: all processes together work as a single one does."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import urllib.error
import urllib.request
from datetime import UTC, datetime
from typing import Any

import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from samdrift.audit.entries import LogEntry
from samdrift.audit.promises import HEADER
from samdrift.contracts.messages import Direction, MessageStatus
from samdrift.contracts.principals import Role
from samdrift.installation.control import control_folder, tell
from samdrift.installation.events import RunEvent
from samdrift.installation.reporting import ask_running
from samdrift.installation.unlocking import UNLOCK
from samdrift.installation.vaultsettings import vault_settings
from samdrift.vault.database.session import Session
from samdrift.vault.errors import VaultRefused
from samdrift.vault.openkeys import open_keys
from tests.roles import web
from tests.roles.isolation.house import (
    PAGES,
    PATIENCE,
    House,
    base_d,
    client,
    exchanged,
    host_at,
    registration,
    visit,
)
from tests.roles.member import AP, MT, until
from tests.roles.messageclient import MessageClient, document
from tests.sizes import sampled, whole
from tests.unit.cli.commandline import samdrift

COVERED = RunEvent.COVER_CHANGED
_READERS = """
SELECT DISTINCT usename FROM pg_stat_activity a JOIN pg_auth_members m ON m.member = a.usesysid
WHERE m.roleid = (SELECT oid FROM pg_roles WHERE rolname = $1)
"""


async def test_messages_go_between_the_organisations_and_to_and_from_others(house: House) -> None:
    agency, peer = house.stage.agency, house.stage.peer()
    for pair in (
        (house.alfa, house.beta),
        (house.beta, house.alfa),
        (house.alfa, agency),
        (agency, house.beta),
    ):
        await exchanged(*pair)
    for member in (house.alfa, house.beta):
        posted = await peer.posts(peer.encloses(member), member)
        assert posted.is_receipt_of(member.certificate)


async def test_each_organisation_reads_along_in_the_logs_of_all_its_vaults(house: House) -> None:
    """Each log is another process's: certificate and access token get the same bytes, never another's."""
    origins = set()
    for member in (house.alfa, house.beta):
        tls = web.tls(member.config.inner_issuers, await member.client_tls())
        bearer = await client(house, member)
        for role in Role:
            path = f"/logs/{role.value}/checkpoint"

            async def signed(path: str = path, bearer: MessageClient = bearer) -> web.Answer | None:
                answer = await bearer.call("GET", f"/v1{path}")
                return answer if answer.status == 200 else None

            try:
                async with member.open(role) as vault:
                    await vault.tree.sign(datetime.now(UTC))
            except VaultRefused as refused:
                if refused.code != "SD409":  # Its own worker has signed more entries meanwhile.
                    raise
            by_token = await until(signed, f"a checkpoint of {role}", PATIENCE)
            by_certificate = await web.call(tls, "GET", f"{member.own_config.access_point}/c/v1{path}")
            assert by_certificate.status == 200
            origins.add(by_token.body.partition(b"\n")[0])
            origins.add(by_certificate.body.partition(b"\n")[0])
        for path in ("/logs/ap/tile/entries/x999/999", "/logs/none/checkpoint"):
            assert (await bearer.call("GET", f"/v1{path}")).status == 404
    assert len(origins) == 2 * len(Role)
    unknown = web.tls(house.alfa.config.inner_issuers, await house.stage.agency.client_tls())
    for role in Role:
        address = f"{house.alfa.own_config.access_point}/c/v1/logs/{role.value}/checkpoint"
        assert (await web.call(unknown, "GET", address)).status == 403
        plain = MessageClient(base_d(house.alfa), tls, "x")
        assert (await plain.call("GET", f"/v1/logs/{role.value}/checkpoint")).status == 401


async def test_message_clients_send_and_read_with_tokens_of_their_organisation(house: House) -> None:
    alfa, beta = await client(house, house.alfa), await client(house, house.beta)
    message_id = await alfa.sends(document(house.alfa.address, house.beta.address))
    assert await house.alfa.ends(message_id, within=PATIENCE) is MessageStatus.ACCEPTED
    assert (await beta.reads(message_id))["label"] == "Fråga om avtal"
    answer = await beta.send(document(house.alfa.address, house.beta.address))
    assert answer.status == 400, "one organisation's access token must not send for the other"
    assert HEADER.lower() in (await beta.get(message_id)).headers, (
        "each worker must promise the entries of its own log"
    )


async def test_persons_reach_their_organisation_by_its_host_and_only_where_it_has_the_role(
    house: House,
) -> None:
    for member in (house.alfa, house.beta):
        for role in PAGES:
            assert (await visit(house, member, role)).status == 204
    swapped = await visit(house, house.alfa, PAGES[0], host=host_at(house.alfa, PAGES[1]))
    nobodys = await visit(house, house.alfa, PAGES[0], host="eksjo.meddelanden.localhost")
    elsewhere = await visit(house, house.alfa, PAGES[0], path="/elsewhere")
    assert swapped.status == 404
    assert (nobodys, nobodys.headers) == (elsewhere, elsewhere.headers) == (swapped, swapped.headers)


async def test_a_suspended_organisations_pages_say_that_it_is_to_be_asked_again(house: House) -> None:
    config = house.process.config_file
    word = ("--config", config, "--by", "anna", "--why", "test", "--role", "mk")
    name = house.alfa.organisation.value
    suspended = await asyncio.to_thread(samdrift, "org", "suspend", name, *word)
    assert suspended.status == 0, suspended.complaints
    try:

        async def later() -> bool | None:
            return True if (await visit(house, house.alfa, PAGES[0])).status == 503 else None

        await until(later, "the message client is suspended", PATIENCE)
        assert (await visit(house, house.alfa, PAGES[1])).status == 204, (
            "the organisation is still served in its other role"
        )
        assert (await visit(house, house.beta, PAGES[0])).status == 204
    finally:
        resumed = await asyncio.to_thread(samdrift, "org", "resume", name, *word)
    assert resumed.status == 0, resumed.complaints

    async def again() -> bool | None:
        return True if (await visit(house, house.alfa, PAGES[0])).status == 204 else None

    await until(again, "the message client serves again", PATIENCE)


@pytest.mark.parametrize("role", sampled(Role, MT, every=len(Role)))
async def test_one_that_is_killed_keeps_only_its_own_organisation_waiting(house: House, role: Role) -> None:
    """Requests to it meanwhile are asked to try again later, and nothing is lost."""
    agency = house.stage.agency
    victim, others = house.worker(house.alfa, role), house.processes()
    os.kill(victim, signal.SIGKILL)
    waiting = [await house.alfa.send(house.beta.address), await house.beta.send(house.alfa.address)]
    await exchanged(house.beta, agency)
    assert await house.alfa.ends(waiting[0], within=PATIENCE) is MessageStatus.ACCEPTED
    assert await house.beta.ends(waiting[1], within=PATIENCE) is MessageStatus.ACCEPTED
    assert await house.beta.ends(waiting[0], Direction.IN) is MessageStatus.NEW
    assert await house.alfa.ends(waiting[1], Direction.IN) is MessageStatus.NEW
    name = f"{role.value} of {house.alfa.organisation}"

    async def again() -> bool | None:
        return True if house.processes()[name] != victim else None

    await until(again, "the worker serves again", PATIENCE)
    now = house.processes()
    assert {one for one in now if now[one] != others[one]} == {name}
    assert f"{name}: ended with status -9" in house.process.log.read_text()


@whole
async def test_while_a_worker_is_away_its_clients_are_told_to_come_again(house: House) -> None:
    token = await client(house, house.beta)
    peer = house.stage.peer()
    stopped = {role: house.worker(house.beta, role) for role in Role}
    for number in stopped.values():
        os.kill(number, signal.SIGKILL)
    posted = await peer.posts(peer.encloses(house.beta), house.beta)
    polled = await (await house.beta.interface_c()).poll()
    listed = await token.list()
    assert (posted.answer.status, polled.status, listed.status) == (503, 503, 503)
    pages = [await visit(house, house.beta, role) for role in PAGES]
    assert [page.status for page in pages] == [503, 503]
    for answer in (posted.answer, polled, listed, *pages):
        assert int(answer.headers["retry-after"]) > 0
    assert polled.document()["title"] == "unavailable"

    async def again() -> bool | None:
        return True if (await token.list()).status == 200 else None

    await until(again, "interface D answers again", PATIENCE)

    async def all_again() -> bool | None:
        return (
            True if [(await visit(house, house.beta, role)).status for role in PAGES] == [204, 204] else None
        )

    await until(all_again, "the pages answer again", PATIENCE)
    await exchanged(house.alfa, house.beta)


async def test_each_worker_asks_for_cover_and_both_logs_say_that_it_is_inherited(house: House) -> None:
    await exchanged(house.alfa, house.beta)
    operators = [dict(entry.ids) for entry in await _operators_log(house)]
    for member in (house.alfa, house.beta):
        for role in (AP, MT):
            async with member.open(role) as vault:  # type: ignore[call-overload]
                said = [one.ids["state"] for one in await vault.log(0, 5000) if one.event == COVERED]
            assert said == ["inherited"]
            whose = {"organisation": member.organisation.value, "role": role.value, "state": "inherited"}
            assert len([each for each in operators if whose.items() <= each.items()]) == 1


async def _operators_log(house: House) -> list[LogEntry]:
    found: list[LogEntry] = []
    while page := await house.alfa.operator.gate.read_operator_log(found[-1].sequence if found else 0):
        found += page
    return [entry for entry in found if entry.event == COVERED]


async def test_metrics_are_those_of_all_and_tell_the_memory_of_each_kind(house: House) -> None:
    async def samples() -> dict[tuple[str, ...], float]:
        text = await asyncio.to_thread(lambda: urllib.request.urlopen(house.metrics).read().decode())
        families = text_string_to_metric_families(text)
        return {(one.name, *one.labels.values()): one.value for each in families for one in each.samples}

    place = house.metrics.removesuffix("/metrics")
    before = await samples()
    for pair in ((house.alfa, house.beta), (house.beta, house.alfa)):
        await exchanged(*pair)

    async def counted() -> dict[tuple[str, ...], float] | None:
        now = await samples()
        name = ("samdrift_ap_received_total",)
        return now if now.get(name, 0) >= before.get(name, 0) + 4 else None

    after = await until(counted, "both access points have counted", PATIENCE)
    for kind, number in (("front", 1), ("nobody", 1), ("ap", 2), ("mt", 2), ("mk", 2), ("gov", 2)):
        assert after["samdrift_processes", kind] == number
        memory = [after["samdrift_process_memory_bytes", kind, measure] for measure in ("pss", "rss")]
        assert number * 20e6 < memory[0] <= memory[1] < number * 500e6
    assert ("samdrift_ap_queued",) in after
    assert after["samdrift_logs_stopped",] == after["samdrift_log_rounds_failed_total",] == 0
    assert after["samdrift_dependency_gone", "database"] == 0
    assert await asyncio.to_thread(lambda: urllib.request.urlopen(f"{place}/health/ready").status) == 200

    async def healthy() -> Any:
        """Return the state; a busy machine may miss a dependency's answer for a while (503)."""
        with contextlib.suppress(urllib.error.HTTPError):
            return await asyncio.to_thread(lambda: json.load(urllib.request.urlopen(f"{place}/health")))
        return None

    health = await until(healthy, "no dependency is away", PATIENCE)
    assert {"database", "object-store", "key-store"} <= {one["dependency"] for one in health["dependencies"]}
    (running,) = await ask_running(control_folder(house.alfa.config.vaults))
    assert running.serves(house.alfa.organisation, MT)
    assert all(running.workers.values())
    assert not [name for name in after if "0203:" in "".join(name)]


@whole
async def test_all_logins_get_new_passwords_and_every_process_goes_on(house: House) -> None:
    """Each worker has its own login to the registry, and receives the next password."""
    config, before = house.process.config_file, house.processes()
    sent = asyncio.create_task(exchanged(house.alfa, house.beta))
    former = await readers_connected(house)
    assert len(former) == len(before) - 1, "each process except the front listens with its own login"
    ended = await asyncio.to_thread(samdrift, "database", "rotate-logins", "--config", config)
    assert (ended.status, ended.output) == (0, "19 logins have a new password\n"), ended.complaints

    async def hear_again() -> bool | None:
        found = await readers_connected(house)
        return True if len(found) == len(former) and not found & former else None

    await until(hear_again, "every worker has logged in again", PATIENCE)
    await sent
    await exchanged(house.beta, house.alfa)
    assert house.processes() == before


async def readers_connected(house: House) -> set[str]:
    """Return the registry logins with which workers are connected."""
    database = house.alfa.operator.gate.database
    administrator = await Session.connect(database.administrator())
    try:
        (found,) = await administrator.run([(_READERS, (database.worker_group,))])
    finally:
        administrator.close()
    return {login for (login,) in found}


@whole
async def test_a_vault_whose_officer_has_not_unlocked_it_has_no_process(house: House) -> None:
    """It gets a process as soon as it is unlocked; meanwhile every caller is asked to try again later."""
    settings = vault_settings(house.alfa.config)
    store, vault = open_keys(settings), registration(house.beta, MT).vault
    number = house.worker(house.beta, MT)
    token = await client(house, house.beta)
    store.relock(vault, b"the officer's own")
    await until(_gone(number), "the worker has ended", PATIENCE)
    assert (await token.list()).status == 503
    waiting = await house.alfa.send(house.beta.address)
    said = {"organisation": house.beta.organisation.value, "passphrase": "the officer's own"}
    (answer,) = await tell(control_folder(house.beta.config.vaults), UNLOCK, **said)
    assert answer == {"unlocked": ["mt"]}
    assert await house.alfa.ends(waiting, within=PATIENCE) is MessageStatus.ACCEPTED
    assert house.worker(house.beta, MT) != number
    store.relock(vault, None)


def _gone(number: int) -> Any:
    async def look() -> bool | None:
        return None if psutil.pid_exists(number) else True

    return look
