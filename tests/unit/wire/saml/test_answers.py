"""A SAML response altered in transit is refused, or still says what was signed."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime
from random import Random

import pytest
from lxml import etree

from samdrift.wire.errors import WireError
from samdrift.wire.saml.metadata import read_identity_provider
from samdrift.wire.saml.parts import instant
from samdrift.wire.saml.response import Response, read_response
from tests.sizes import count, seed, soak
from tests.unit.web.samlprovider import (
    ENTITY,
    FEDERATION,
    MD,
    SAML,
    SAMLP,
    SERVICE,
    STRANGER,
    Answer,
    Element,
    described,
)
from tests.unit.wire.mutation import Format, document

SAMPLE, FULL = 400, 20_000
GENUINE = Answer(
    "_request", datetime(2026, 11, 26, 9, 52, 7, tzinfo=UTC), "https://sp.test", "https://sp.test/"
)
_HOSTILE = ("eva", "", "https://evil.test", "_evil", "#_evil", "2099-01-01T00:00:00Z")
_FRAGMENTS = (
    f'<saml:Assertion xmlns:saml="{SAML}" ID="_evil"><saml:Issuer>x</saml:Issuer></saml:Assertion>',
    f'<saml:NameID xmlns:saml="{SAML}">eva</saml:NameID>',
    f'<samlp:Extensions xmlns:samlp="{SAMLP}"/>',
    f'<saml:Issuer xmlns:saml="{SAML}">https://<!-- x -->evil.test</saml:Issuer>',
)


def shape(root: Element) -> Format:
    """Return the mutations to apply to a response."""
    texts = ("NameID", "Issuer", "Audience", "AttributeValue", "AuthnContextClassRef", "DigestValue")
    return Format(
        SAML,
        lambda rng: deepcopy(root),
        dict.fromkeys(texts, _HOSTILE),
        (("ID", _HOSTILE), ("URI", _HOSTILE), ("Recipient", _HOSTILE), ("Version", ("1.1", "2.0"))),
        _FRAGMENTS,
    )


def read(data: bytes) -> Response:
    return read_response(data, [SERVICE.certificate], [])


WAYS = {"assertion": (SERVICE, None), "response": (None, SERVICE), "both": (SERVICE, SERVICE)}


@soak
@pytest.mark.parametrize("way", WAYS)
def test_an_answer_that_was_changed_is_refused_or_says_what_was_signed(way: str) -> None:
    own, around = WAYS[way]
    answer = Answer(
        GENUINE.request,
        GENUINE.at,
        GENUINE.service,
        GENUINE.acs,
        encrypted_for=None,
        assertion_key=own,
        response_key=around,
    ).response()
    signed = read(etree.tostring(answer))
    rng, format_, refused = Random(f"{way} {seed(20261126)}"), shape(answer), 0
    for _ in range(count(SAMPLE, FULL)):
        try:
            found = read(document(rng, format_))
        except WireError:
            refused += 1
            continue
        assert found.assertion in (signed.assertion, None)
        assert found == signed or not found.signed
    assert refused


@soak
def test_metadata_that_were_changed_are_refused_or_say_what_was_signed() -> None:
    data = described([SERVICE], by=FEDERATION, around=True)
    signers = [FEDERATION.certificate]
    signed = read_identity_provider(data, ENTITY, signers)
    rng, format_, refused = Random(seed(20261126)), shape(etree.fromstring(data)), 0
    for _ in range(count(SAMPLE, FULL)):
        try:
            found = read_identity_provider(document(rng, format_), ENTITY, signers)
        except WireError:
            refused += 1
        else:
            assert found == signed
    assert refused


@pytest.mark.parametrize(
    "value",
    [
        "2026-11-26T09:52:07",
        "2026-11-26T09:52:07+00:00",
        "2026-13-26T09:52:07Z",
        "2026-11-26 09:52:07Z",
        "2026-11-26T09:52:07.Z",
        "26 November 2026",
        "",
    ],
)
def test_a_time_that_is_not_in_utc_is_refused(value: str) -> None:
    with pytest.raises(WireError):
        instant(value, "NotBefore")


def test_a_time_may_have_parts_of_a_second() -> None:
    assert instant("2026-11-26T09:52:07.1234567Z", "NotBefore").second == 7


def test_a_service_is_described_once() -> None:
    own = described([SERVICE]).decode()
    twice = own + described([STRANGER]).decode()
    root = f'<md:EntitiesDescriptor xmlns:md="{MD}">{twice}</md:EntitiesDescriptor>'
    with pytest.raises(WireError):
        read_identity_provider(root.encode(), ENTITY, None)


def test_metadata_of_another_service_are_not_those_of_the_one_asked_for() -> None:
    """Otherwise its keys could sign people in."""
    for entity in (f"{ENTITY}2", ENTITY[:-1]):
        with pytest.raises(WireError):
            read_identity_provider(described([STRANGER], entity=entity), ENTITY, None)


def test_a_value_is_read_up_to_its_limit() -> None:
    """Longer values would be stored for each person who is signed in."""
    answer = replace(GENUINE, encrypted_for=None, attributes={"name": ["x" * 4096]})
    found = read(etree.tostring(answer.response())).assertion
    assert found is not None
    assert found.attributes["name"] == ("x" * 4096,)
    longer = replace(answer, attributes={"name": ["x" * 4097]})
    with pytest.raises(WireError):
        read(etree.tostring(longer.response()))
