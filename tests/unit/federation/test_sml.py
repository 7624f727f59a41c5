"""The SML over real DNS (component-sml 2.8; eDelivery BDXL 1.6), asked with dnspython."""

from __future__ import annotations

import asyncio

import dns.asyncquery
import dns.asyncresolver
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.resolver
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samdrift.federation.server import Failure, LocalFederation, Service
from samdrift.federation.sml import Sml
from samdrift.wire import bdxl
from samdrift.wire.identifiers import ParticipantIdentifier

HABO = ParticipantIdentifier.parse("0203:habo.se")
ZONE = "sml.samdrift.test"


def resolver(federation: LocalFederation) -> dns.asyncresolver.Resolver:
    made = dns.asyncresolver.Resolver(configure=False)
    made.nameservers = ["127.0.0.1"]
    made.port = federation.dns_port
    made.lifetime = 2
    return made


def test_names_are_found_without_regard_to_case() -> None:
    sml = Sml(ZONE)
    sml.register([HABO], "http://127.0.0.1:1/smp")
    question = dns.message.make_query(bdxl.host(HABO, ZONE).swapcase(), "NAPTR")
    answer = dns.message.from_wire(sml.answer(question.to_wire()) or b"")
    assert len(answer.answer) == 1


@pytest.mark.parametrize("tcp", [False, True])
async def test_naptr_leads_to_the_smp(federation: LocalFederation, tcp: bool) -> None:
    federation.sml.register([HABO], federation.smp_url)
    name = bdxl.host(HABO, federation.sml_zone)
    answer = await resolver(federation).resolve(name, "NAPTR", tcp=tcp)
    (record,) = answer
    assert (record.flags, record.service) == (b"U", b"Meta:SMP")
    assert record.regexp.decode() == f"!.*!{federation.smp_url}!"
    assert answer.rrset is not None
    assert answer.rrset.ttl == 60
    assert answer.response.flags & dns.flags.AA


async def test_what_is_not_registered_does_not_exist(federation: LocalFederation) -> None:
    name = bdxl.host(HABO, federation.sml_zone)
    with pytest.raises(dns.resolver.NXDOMAIN):
        await resolver(federation).resolve(name, "NAPTR")
    federation.sml.register([HABO], federation.smp_url)
    await resolver(federation).resolve(name, "NAPTR")
    with pytest.raises(dns.resolver.NoAnswer):
        await resolver(federation).resolve(name, "A")
    federation.sml.remove(HABO)
    query = dns.message.make_query(name, "NAPTR")
    answer = await dns.asyncquery.udp(query, "127.0.0.1", port=federation.dns_port, timeout=60)
    assert answer.rcode() is dns.rcode.NXDOMAIN
    assert [one.rdtype for one in answer.authority] == [dns.rdatatype.SOA]


async def test_other_zones_are_refused(federation: LocalFederation) -> None:
    for name in ("example.se", f"not{federation.sml_zone}", "."):
        query = dns.message.make_query(name, "NAPTR")
        answer = await dns.asyncquery.udp(query, "127.0.0.1", port=federation.dns_port, timeout=60)
        assert answer.rcode() is dns.rcode.REFUSED


async def test_outages(federation: LocalFederation) -> None:
    federation.sml.register([HABO], federation.smp_url)
    query = dns.message.make_query(bdxl.host(HABO, federation.sml_zone), "NAPTR")
    federation.outages.failures[Service.SML] = Failure.ERROR
    answer = await dns.asyncquery.udp(query, "127.0.0.1", port=federation.dns_port, timeout=60)
    assert answer.rcode() is dns.rcode.SERVFAIL
    federation.outages.failures[Service.SML] = Failure.SILENCE
    with pytest.raises(dns.exception.Timeout):
        await dns.asyncquery.udp(query, "127.0.0.1", port=federation.dns_port, timeout=0.1)
    federation.outages.failures.clear()
    answer = await dns.asyncquery.udp(query, "127.0.0.1", port=federation.dns_port, timeout=60)
    assert answer.rcode() is dns.rcode.NOERROR


async def test_tcp_client_that_speaks_something_else_is_left(federation: LocalFederation) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", federation.dns_port)
    writer.write(b"\x00\x10GET / HTTP/1.1\r\n\r\n")
    assert await asyncio.wait_for(reader.read(), 60) == b""
    writer.close()


@given(st.binary(max_size=120))
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_answered_or_ignored(data: bytes) -> None:
    answer = Sml(ZONE).answer(data)
    assert answer is None or len(answer) >= 12


@given(st.integers(0, 200), st.integers(0, 255))
@settings(max_examples=300, deadline=None)
def test_damaged_questions_are_answered_or_ignored(position: int, value: int) -> None:
    sml = Sml(ZONE)
    sml.register([HABO], "http://127.0.0.1:1/smp")
    question = bytearray(dns.message.make_query(bdxl.host(HABO, ZONE), "NAPTR").to_wire())
    question[position % len(question)] = value
    answer = sml.answer(bytes(question))
    assert answer is None or answer[:2] == question[:2]
