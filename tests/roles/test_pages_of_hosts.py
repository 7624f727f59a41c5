"""Pages on two hosts: work that was begun at one continues at the other when the first is killed."""

from __future__ import annotations

import random
import re
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import httpx
import pytest
import pytest_asyncio

from samdrift.contracts.principals import Role
from samdrift.demo.cast import DemoOperator
from samdrift.demo.settling import settle
from samdrift.federation.server import running as federation_running
from samdrift.federation.signin import sign_in_service
from tests.roles.hosts import HERE, Host, Hosts, two_hosts
from tests.roles.member import until
from tests.roles.processes import Process, organisation
from tests.roles.visitors import PERSONS, Visitor, begins, comes_back, configured, signs_in
from tests.sizes import count, whole
from tests.vaults import server_folder

PAGES = organisation("sjobo-pages", "2120001091", tuple(Role))
PATIENCE = count(120, 600)
PORT_OF = {Role.MESSAGE_CLIENT: "message_client", Role.GOVERNANCE: "governance"}


@pytest_asyncio.fixture(scope="module")
async def those() -> AsyncIterator[Hosts]:
    """Two hosts; a browser knows the pages' address, where a balancer would be."""

    def changed(operator: DemoOperator, text: str) -> str:
        if PAGES not in operator.organisations:
            return text
        text = configured(text, sign_in, PAGES, folder)
        for table in PORT_OF.values():
            listen = re.search(rf'\[{table}\]\nlisten = "[^"]*:(\d+)"\n', text)
            assert listen is not None
            text = text.replace(listen[0], f"{listen[0]}port = {listen[1]}\n")
        return text

    async def settled(process: Process) -> None:
        await settle(process.gate, process.config, PAGES, PERSONS)

    async with AsyncExitStack() as stack:
        folder = stack.enter_context(server_folder())
        federation = await stack.enter_async_context(federation_running(folder / "federation"))
        sign_in = await stack.enter_async_context(sign_in_service())
        hosts = two_hosts(federation, changed=changed, cast=(*HERE, PAGES), settled=settled)
        yield await stack.enter_async_context(hosts)


@asynccontextmanager
async def at_each_host(those: Hosts, role: Role) -> AsyncIterator[tuple[Visitor, Visitor]]:
    """Open one browser at the pages, with a connection to each host."""
    known = those.known.processes[0].config
    table = known.message_client if role is Role.MESSAGE_CLIENT else known.governance
    assert table is not None
    async with AsyncExitStack() as stack:
        found, cookies = list[Visitor](), dict[str, str]()
        for host in those.hosts:
            address = await _address(host, role)
            assert address != f"{table.listen.host}:{table.listen.port}"
            client = httpx.AsyncClient(base_url=f"http://{address}", timeout=60)
            await stack.enter_async_context(client)
            assert host.process.running is not None
            origin = f"{PAGES.host(role)}:{table.listen.port}"
            found.append(Visitor(client, host.process.running.pid, origin, cookies))
        yield found[0], found[1]


async def _address(host: Host, role: Role) -> str:
    config = host.process.config
    table = config.message_client if role is Role.MESSAGE_CLIENT else config.governance
    assert table is not None
    return f"{table.listen.host}:{table.listen.port}"


@asynccontextmanager
async def killed(host: Host) -> AsyncIterator[None]:
    """Kill a host with SIGKILL; restart it when the context ends."""
    await host.process.end(signal.SIGKILL)
    try:
        yield
    finally:
        await host.process.start()


@whole
@pytest.mark.parametrize("role", [Role.MESSAGE_CLIENT, Role.GOVERNANCE])
async def test_a_session_goes_on_and_ends_at_the_other_host_when_its_own_is_killed(
    those: Hosts, role: Role
) -> None:
    start = {Role.MESSAGE_CLIENT: "/", Role.GOVERNANCE: "/keys"}[role]
    async with at_each_host(those, role) as (first, second):
        await signs_in(first, first, "anna")
        page = await first.get(start)
        assert page.status_code == 200
        session = dict(first.cookies)
        async with killed(those.hosts[0]):
            assert (await second.get(start)).status_code == 200
            assert (await second.post("/sign-out", page)).status_code == 303, (
                "a host must accept a form of the killed host"
            )
    async with at_each_host(those, role) as (first, _):
        first.cookies |= session
        over = await first.get(start)
        assert "/sign-in/start" in over.text, "the restarted host must know that the session has ended"


@whole
async def test_a_sign_in_that_was_begun_at_a_host_that_is_killed_ends_at_the_other(those: Hosts) -> None:
    async with at_each_host(those, Role.MESSAGE_CLIENT) as (first, second):
        back = await begins(first, "anna")
        async with killed(those.hosts[0]):
            await comes_back(second, back)
            assert (await second.get("/")).status_code == 200


@whole
async def test_a_draft_and_its_file_outlive_their_host_and_go_on_at_the_other(
    those: Hosts,
) -> None:
    content = b"%PDF-1.4\n" + random.Random(1).randbytes(300_000)
    async with at_each_host(those, Role.MESSAGE_CLIENT) as (first, second):
        await signs_in(first, first, "anna")
        page = await first.get("/")
        path = (await first.post(f"/mailbox/{_found(page, MAILBOX)}/write", page)).headers["location"]
        draft = await first.get(path)
        typed = {"version": "1", "subject": "Fortsätts", "text": "hos en annan", "confidentiality": "no"}
        saved = await first.post(f"{path}/save", draft, **typed, files=content)
        assert saved.json()["refused"] == ""
        async with killed(those.hosts[0]):
            again = await second.get(path)
            assert "hos en annan" in again.text
            file = _found(again, r'name="remove-file" value="([^"]+)"')
            assert (await second.get(f"{path}/file/{file}")).content == content
            version = saved.json()["fields"]["version"]
            more = await second.post(
                f"{path}/save", again, **(typed | {"version": version, "text": "vidare"})
            )
            assert more.status_code == 200, more.text
            assert "vidare" in (await second.get(path)).text


@whole
async def test_what_comes_in_is_fetched_and_shown_by_the_other_host(those: Hosts) -> None:
    (*_, other) = those.members
    async with at_each_host(those, Role.MESSAGE_CLIENT) as (first, second):
        await signs_in(first, first, "anna")
        mailbox = _found(await first.get("/"), MAILBOX)
        before = len(_conversations(await first.get(f"/mailbox/{mailbox}")))
        async with killed(those.hosts[0]):
            await other.send(PAGES.address)

            async def shown() -> bool | None:
                listed = _conversations(await second.get(f"/mailbox/{mailbox}"))
                return True if len(listed) == before + 1 else None

            await until(shown, "the message is in the list", within=PATIENCE)


MAILBOX = r'href="/mailbox/([0-9a-f]+)'


def _found(page: httpx.Response, pattern: str) -> str:
    found = re.search(pattern, page.text)
    assert found is not None, page.text
    return found[1]


def _conversations(page: httpx.Response) -> set[str]:
    return set(re.findall(r'href="/conversation/([0-9a-f-]+)', page.text))
