"""BDXL and DNSSEC: the resolvers that vouch for an answer's signatures, and the effect of a lying one."""

from __future__ import annotations

import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

import dns.resolver
import pytest

from samdrift.contracts.discovery import DiscoveryError, DiscoveryUntrusted, NotRegistered
from samdrift.net.client import http_client
from samdrift.net.discovery import SmpDiscovery
from samdrift.net.dns import Dnssec, NaptrResolver, ResolverUnavailable
from samdrift.wire import bdxl
from samdrift.wire.identifiers import SDK_MESSAGE_EXTENDED, ParticipantIdentifier
from tests import pki
from tests.unit.net.servers import Asked, NameServer, answering, name_server, reply
from tests.unit.net.test_discovery import HABO, SIGNED, ZONE, Judge

NOBODY = ParticipantIdentifier.parse("0203:ingen.se")


def own_address() -> str:
    """Return an address of this machine that is not loopback, without sending anything."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.connect(("192.0.2.1", 9))
        except OSError:
            pytest.skip("this machine has no address but loopback")
        address: str = sock.getsockname()[0]
    return address


@dataclass
class Place:
    dns: NameServer
    resolver: NaptrResolver
    discovery: SmpDiscovery

    async def outcome(self, participant: ParticipantIdentifier = HABO) -> type[DiscoveryError] | None:
        try:
            await self.discovery.service(participant, SDK_MESSAGE_EXTENDED)
        except DiscoveryError as error:
            return type(error)
        return None


@asynccontextmanager
async def there(
    host: str = "127.0.0.1", *, required: bool = True, trusted: tuple[str, ...] = ()
) -> AsyncIterator[Place]:
    async def answer(asked: Asked) -> bytes:
        return reply(SIGNED, "200 OK", "content-type: text/xml")

    dns = NameServer({}, authenticated=True)
    async with (
        name_server(dns, host) as port,
        answering(answer) as url,
        http_client(public_only=False) as client,
    ):
        dns.records[bdxl.host(HABO, ZONE).lower()] = [bdxl.record(f"{url}/smp")]
        resolver = NaptrResolver([(host, port)], within=1, trusted=trusted)
        yield Place(
            dns,
            resolver,
            SmpDiscovery(
                ZONE,
                resolver,
                client,
                Judge(),
                lambda: pki.NOW,
                keep=timedelta(minutes=5),
                require_dnssec=required,
            ),
        )


async def test_a_resolver_on_loopback_that_vouches_is_believed() -> None:
    async with there() as place:
        assert await place.outcome() is None
        assert await place.outcome(NOBODY) is NotRegistered


@pytest.mark.parametrize("participant", [HABO, NOBODY], ids=["an address", "a denial"])
async def test_a_resolver_that_strips_the_bit_changes_the_verdict(
    participant: ParticipantIdentifier, caplog: pytest.LogCaptureFixture
) -> None:
    """This includes denials: a forged one would make a recipient unknown."""
    async with there() as place:
        place.dns.authenticated = False
        assert await place.outcome(participant) is DiscoveryUntrusted
        assert "DNSSEC status of SML's answers: not authenticated" in caplog.messages
        assert await place.outcome(participant) is DiscoveryUntrusted
        assert len([each for each in caplog.messages if "DNSSEC" in each]) == 1, (
            "logged only once, until the status changes"
        )


@pytest.mark.parametrize("participant", [HABO, NOBODY], ids=["an address", "a denial"])
async def test_a_resolver_elsewhere_that_forges_the_bit_changes_nothing(
    participant: ParticipantIdentifier, caplog: pytest.LogCaptureFixture
) -> None:
    """An attacker on the way to it could have set the bit."""
    async with there(own_address()) as place:
        assert await place.outcome(participant) is DiscoveryUntrusted
        assert any("DNSSEC status of SML's answers: not known" in each for each in caplog.messages)


async def test_a_resolver_elsewhere_that_is_named_as_trusted_is_believed() -> None:
    host = own_address()
    async with there(host, trusted=(host,)) as place:
        assert await place.outcome() is None
        place.dns.authenticated = False
        assert await place.outcome(NOBODY) is DiscoveryUntrusted


async def test_where_dnssec_is_not_required_the_word_is_logged_and_changes_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with there(required=False) as place:
        with caplog.at_level(logging.INFO, "samdrift"):
            assert await place.outcome(NOBODY) is NotRegistered
            place.dns.authenticated = False
            assert await place.outcome() is None
    told = [
        (each.levelno, each.getMessage().rpartition(": ")[2])
        for each in caplog.records
        if "DNSSEC status" in each.getMessage()
    ]
    assert told == [
        (logging.INFO, Dnssec.AUTHENTICATED.value),
        (logging.WARNING, Dnssec.NOT_AUTHENTICATED.value),
    ], "an authenticated answer must not be logged as a warning"


async def test_one_resolver_that_is_not_trusted_is_one_too_many() -> None:
    """Any of the resolvers may have answered."""
    resolver = NaptrResolver([("127.0.0.1", 53), ("192.0.2.53", 53)])
    assert not resolver._trusted
    assert NaptrResolver([("127.0.0.1", 53), ("::1", 53)])._trusted


async def test_a_machine_that_names_no_server_has_nobody_to_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without /etc/resolv.conf, each question fails but can be asked again later, and nothing crashes."""

    def names_none(self: object, path: str) -> None:
        raise dns.resolver.NoResolverConfiguration(f"cannot open {path}")

    monkeypatch.setattr(dns.resolver.BaseResolver, "read_resolv_conf", names_none)
    resolver = NaptrResolver(within=0.2)
    with pytest.raises(ResolverUnavailable):
        await resolver.naptr("habo.sml.example.se")


async def test_an_answer_that_is_kept_does_not_show_that_a_name_server_answers() -> None:
    """Health reports DNS as back only when a server has answered, not when a cached name is asked for."""
    async with there() as place:
        name = bdxl.host(HABO, ZONE)
        assert (await place.resolver.naptr(name)).fresh
        assert not (await place.resolver.naptr(name)).fresh
        nobody = bdxl.host(NOBODY, ZONE)
        assert (await place.resolver.naptr(nobody)).fresh
        assert not (await place.resolver.naptr(nobody)).fresh, (
            "an answer that the name does not exist must be cached, too"
        )


async def test_a_name_server_that_says_nothing_is_told_of_in_words() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        resolver = NaptrResolver([silent.getsockname()], within=0.2)
        with pytest.raises(ResolverUnavailable, match=r"^no name server answered in time$"):
            await resolver.naptr("sml.example.se")


async def test_a_lookup_that_got_no_answer_says_when_it_began() -> None:
    """Other lookups may have succeeded since, so an earlier start says nothing about the current state."""
    told: list[tuple[object, ...]] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        resolver = NaptrResolver([silent.getsockname()], within=0.2)
        async with http_client(public_only=False) as client:
            discovery = SmpDiscovery(
                *(ZONE, resolver, client, Judge(), lambda: pki.NOW),
                keep=timedelta(0),
                watch=lambda *one: told.append(one),
            )
            with pytest.raises(DiscoveryError):
                await discovery.service(HABO, SDK_MESSAGE_EXTENDED)
    assert told == [("sml", ZONE, "DNS did not answer: no name server answered in time", pki.NOW)]
