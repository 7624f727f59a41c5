"""Addresses that a person entered: permitted connections, wherever the name in them leads."""

from __future__ import annotations

import socket
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from aiohttp.abc import ResolveResult
from aiohttp.resolver import ThreadedResolver

from samdrift.net.addresses import EnteredAddresses, any_address
from samdrift.net.client import FetchLimits, HttpFault, NoAnswer
from samdrift.net.entered import EnteredAddressClient
from samdrift.net.tls import client_tls, server_tls
from tests import pki
from tests.unit.net.calling import Reader, Writer
from tests.unit.net.servers import Asked, answering, reply, talking
from tests.unit.net.test_tls import identity, localhost, write

LIMITS = FetchLimits(max_bytes=1000, seconds=2.0)
LISTED = EnteredAddresses(["10.1.2.0/24", "fd12:3456::/32", "127.0.0.0/8", "169.254.0.0/16", "::/0"])
OWN = (
    *(
        "127.0.0.1",
        "127.9.9.9",
        "::1",
        "0.0.0.0",
        "::",
        "::ffff:127.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::1",
    ),
    *("169.254.169.254", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "fe80::1%eth0", "fe80::1"),
    *(
        "168.63.129.16",
        "64:ff9b::a83f:8110",
        "100.100.100.200",
        "192.0.0.192",
        "fd00:ec2::254",
        "fd20:ce::254",
    ),
    *("224.0.0.1", "ff02::1", "2600::5efe:7f00:1"),
)


@pytest.mark.parametrize("address", OWN)
def test_the_machine_itself_and_metadata_services_are_never_permitted_listed_or_not(address: str) -> None:
    assert not EnteredAddresses()(address)
    assert not LISTED(address)


@pytest.mark.parametrize("address", ["10.1.2.3", "::ffff:10.1.2.3", "fd12:3456::1"])
def test_a_private_address_is_permitted_when_the_operator_lists_it(address: str) -> None:
    assert LISTED(address)
    assert not EnteredAddresses()(address)


@pytest.mark.parametrize("address", ["10.1.3.3", "192.168.1.1", "172.16.0.1", "::ffff:10.1.3.3"])
def test_another_private_address_is_not(address: str) -> None:
    assert not LISTED(address)


@pytest.mark.parametrize("address", ["193.180.109.40", "2001:67c:124c:2006::10", "64:ff9b::808:808"])
def test_a_public_address_is_permitted(address: str) -> None:
    assert EnteredAddresses()(address)


def test_a_list_of_something_else_than_networks_is_an_error() -> None:
    with pytest.raises(ValueError, match="does not appear to be"):
        EnteredAddresses(["internal.example"])


async def fault(client: EnteredAddressClient, url: str) -> HttpFault:
    with pytest.raises(NoAnswer) as caught:
        await client.fetch(url, LIMITS)
    return caught.value.fault


async def test_a_name_that_leads_to_this_machine_is_not_asked() -> None:
    called = []

    async def answer(asked: Asked) -> bytes:
        called.append(asked)
        return reply(b"")

    async with answering(answer) as url, EnteredAddressClient(plain=True) as client:
        for address in (
            url,
            url.replace("localhost", "127.0.0.1"),
            url.replace("localhost", "[::ffff:7f00:1]"),
        ):
            assert await fault(client, address) is HttpFault.FORBIDDEN
    assert called == []


async def test_a_name_that_resolves_to_another_address_at_the_second_time_gains_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """DNS answers first with a public address and then with another: only the checked one is connected to."""
    answers = iter(["192.0.2.1", "127.0.0.1"])
    asked_for: list[str] = []

    async def resolve(
        self: ThreadedResolver, host: str, port: int = 0, family: int = 0
    ) -> list[ResolveResult]:
        address = next(answers)
        return [
            ResolveResult(hostname=host, host=address, port=port, family=socket.AF_INET, proto=0, flags=0)
        ]

    def permits(address: str) -> bool:
        asked_for.append(address)
        return address == "192.0.2.1"

    async def answer(asked: Asked) -> bytes:
        return reply(b"this machine")

    monkeypatch.setattr(ThreadedResolver, "resolve", resolve)
    async with answering(answer) as url:
        address = url.replace("localhost", "rebinding.example")
        async with EnteredAddressClient(permits, plain=True, seconds=0.3) as first:
            assert await fault(first, address) in (HttpFault.TIMEOUT, HttpFault.UNREACHABLE)
        async with EnteredAddressClient(permits, plain=True) as second:
            assert await fault(second, address) is HttpFault.FORBIDDEN
    assert asked_for == ["192.0.2.1", "192.0.2.1", "127.0.0.1"]


async def test_a_redirect_is_not_followed() -> None:
    async def answer(asked: Asked) -> bytes:
        assert asked.target == "/start"
        return reply(b"", "302 Found", "location: /metadata")

    async with answering(answer) as url, EnteredAddressClient(any_address, plain=True) as client:
        assert (await client.fetch(f"{url}/start", LIMITS)).status == 302


async def test_whoever_watches_hears_which_host_answers_and_why_one_does_not() -> None:
    async def answer(asked: Asked) -> bytes:
        return reply(b"", "503 Service Unavailable" if asked.target == "/down" else "404 Not Found")

    told: list[tuple[str, str]] = []
    async with (
        answering(answer) as url,
        EnteredAddressClient(any_address, plain=True, watch=lambda *one: told.append(one)) as client,
    ):
        await client.fetch(f"{url}/down", LIMITS)
        await client.fetch(f"{url}/there", LIMITS)
        assert await fault(client, "http://localhost:1/") is HttpFault.UNREACHABLE
        assert await fault(client, "http://no-such-host.invalid/") is HttpFault.UNREACHABLE
    host = urlsplit(url).hostname
    assert told[:2] == [(host, "it answers 503"), (host, "")]
    refused, unknown = told[2:]
    assert refused == ("localhost", "localhost:1: unreachable (connection refused)")
    assert unknown[0] == "no-such-host.invalid"
    assert unknown[1].startswith("no-such-host.invalid:80: unreachable (")


async def test_an_address_that_is_not_permitted_is_no_outage() -> None:
    told: list[tuple[str, str]] = []
    async with EnteredAddressClient(LISTED, watch=lambda *one: told.append(one)) as client:
        assert await fault(client, "https://127.0.0.1:1/") is HttpFault.FORBIDDEN
    assert told == []


@pytest.mark.parametrize("scheme", ["http", "HTTP", "ftp"])
async def test_an_address_without_tls_is_not_called(scheme: str) -> None:
    async with EnteredAddressClient(any_address) as client:
        assert await fault(client, f"{scheme}://localhost:1/") is HttpFault.FORBIDDEN


@pytest.mark.parametrize(
    "address", ["https://[", "https://[:::]/", "https://[127.0.0.1]/", "https://a\u2100b/"]
)
async def test_an_address_that_parsers_refuse_is_one_that_is_not_called(address: str) -> None:
    """A person may enter anything, and a caller of several addresses expects no other error."""
    async with EnteredAddressClient(any_address) as client:
        assert await fault(client, address) is HttpFault.FORBIDDEN


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "::1", "::ffff:127.0.0.1"])
async def test_a_connection_for_another_protocol_has_the_same_guard(host: str) -> None:
    async with answering(nothing) as url, EnteredAddressClient() as client:
        with pytest.raises(NoAnswer) as caught:
            await client.connect(host, int(url.rpartition(":")[2]))
        assert caught.value.fault is HttpFault.FORBIDDEN


async def test_a_connection_for_another_protocol_is_tls_with_the_name_that_was_entered(
    tmp_path: Path,
) -> None:
    authority = pki.root("TLS CA", 1)
    trust = write(tmp_path / "trust.pem", authority.certificate)
    server = server_tls(identity(tmp_path / "server.pem", localhost(authority)))

    async def talk(reader: Reader, writer: Writer) -> None:
        writer.write(await reader.readline())

    trusted = EnteredAddressClient(any_address, client_tls(trust=trust))
    async with (
        talking(talk, server.current()) as url,
        trusted as client,
        EnteredAddressClient(any_address) as public,
    ):
        port = int(url.rpartition(":")[2])
        reader, writer = await client.connect("localhost", port)
        writer.write(b"<14>1 - - - - - -\n")
        assert await reader.readline() == b"<14>1 - - - - - -\n"
        writer.close()
        with pytest.raises(NoAnswer) as caught:
            await public.connect("localhost", port)
        assert caught.value.fault is HttpFault.UNREACHABLE


async def nothing(asked: Asked) -> bytes:
    return reply(b"")
