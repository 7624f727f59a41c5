"""Addresses that may be connected to."""

from __future__ import annotations

import socket

import pytest
from aiohttp.abc import ResolveResult
from aiohttp.resolver import ThreadedResolver

from samdrift.net.addresses import is_public
from samdrift.net.client import FetchLimits, HttpClient, HttpFault, Network, NoAnswer, fetch, http_client
from samdrift.net.tls import client_tls
from tests.unit.net.servers import Asked, answering, reply

OURSELVES = ("127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "127.1", "2130706433")
LIMITS = FetchLimits(max_bytes=1000, seconds=2.0)


async def fault(client: HttpClient, url: str) -> HttpFault:
    with pytest.raises(NoAnswer) as caught:
        await fetch(client, url, LIMITS)
    return caught.value.fault


def only_ours(address: str) -> bool:
    return address == "127.0.0.1"


async def test_only_public_addresses_are_connected_to_unless_told_otherwise() -> None:
    called = []

    async def answer(asked: Asked) -> bytes:
        called.append(asked)
        return reply(b"")

    async with answering(answer) as url, http_client() as guarded:
        for forbidden in (url, *(url.replace("localhost", host) for host in OURSELVES)):
            assert await fault(guarded, forbidden) is HttpFault.FORBIDDEN
    assert called == []


@pytest.mark.parametrize(
    "address",
    [
        "64:ff9b::a00:1",  # NAT64 to 10.0.0.1
        "64:ff9b::7f00:1",  # NAT64 to 127.0.0.1
        "64:ff9b:1::a00:1",  # NAT64 within one network
        "2002:a00:1::",  # 6to4 to 10.0.0.1
        "2002:c0a8:101::1",  # 6to4 to 192.168.1.1
        "2001:0:a00:1::f5ff:fffe",  # Teredo, a server at 10.0.0.1
        "2001:0:808:808::f5ff:fffe",  # Teredo, a client at 10.0.0.1
        "2600::5efe:a00:1",  # ISATAP to 10.0.0.1
        "::10.0.0.1",
        "::8.8.8.8",
        "::ffff:10.0.0.1",
        "fec0::1",
        "fe80::1%eth0",
        "fd00::1",
        "ff02::1",
        "169.254.169.254",
        "64:ff9b::a9fe:a9fe",  # NAT64 to a metadata service
    ],
)
def test_an_address_that_leads_into_a_private_network_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "2600::1", "64:ff9b::808:808", "::ffff:8.8.8.8"])
def test_an_address_that_leads_to_a_public_network_is(address: str) -> None:
    assert is_public(address)


async def test_the_address_is_checked_that_is_connected_to_and_the_name_stays_for_tls_and_host() -> None:
    hosts = []

    async def answer(asked: Asked) -> bytes:
        hosts.append(asked.headers["host"].partition(":")[0])
        return reply(b"")

    guarded = HttpClient(Network(client_tls(), only_ours, connections=1), silence=2.0)
    async with answering(answer) as url, guarded as client:
        assert (await fetch(client, url, LIMITS)).status == 200
    assert hosts == ["localhost"]


async def test_of_several_addresses_only_the_permitted_ones_are_tried(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A permitted address that cannot be reached is a temporary fault, whatever other addresses there are."""

    async def resolve(
        self: ThreadedResolver, host: str, port: int = 0, family: int = socket.AF_INET
    ) -> list[ResolveResult]:
        return [
            ResolveResult(hostname=host, host=one, port=port, family=socket.AF_INET, proto=0, flags=0)
            for one in ("127.0.0.3", "127.0.0.1", "127.0.0.2")
        ]

    monkeypatch.setattr(ThreadedResolver, "resolve", resolve)

    async def answer(asked: Asked) -> bytes:
        return reply(b"")

    guarded = HttpClient(Network(client_tls(), only_ours, connections=1), silence=2.0)
    async with answering(answer) as url, guarded as client:
        assert (await fetch(client, url, LIMITS)).status == 200
        assert await fault(client, "http://several.example:1/") is HttpFault.UNREACHABLE


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("193.180.109.40", True),
        ("2001:67c:124c:2006::10", True),
        ("127.0.0.1", False),
        ("10.0.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("::1", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("::ffff:10.0.0.1", False),
        ("::ffff:193.180.109.40", True),
    ],
)
def test_public_addresses(address: str, public: bool) -> None:
    assert is_public(address) is public
