"""Documents of the address book (architecture-sad 7.1.1)."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samdrift.wire.addressbook import OrganisationKind, read_addresses, read_organisations
from samdrift.wire.errors import WireError
from samdrift.wire.identifiers import ParticipantIdentifier

HABO: dict[str, Any] = {
    "type": "organizations",
    "id": "7",
    "attributes": {
        "participantIdentifier": "0203:habo.se",
        "organizationNumber": "212000-0241",
        "name": "Håbo kommun",
        "countryCode": "SE",
        "type": "o",
    },
}
SOCIAL: dict[str, Any] = {
    "type": "addresses",
    "id": "70",
    "attributes": {
        "identifier": "SE2120000241-00001",
        "name": "Socialtjänsten i Håbo",
        "description": "Ekonomiskt bistånd",
        "codes": ["1.2.752.129.2.2.2.2:2005"],
        "keywords": ["orosanmälan"],
    },
    "relationships": {"organization": {"data": {"type": "organizations", "id": "7"}}},
}


def document(*resources: Any, **members: Any) -> bytes:
    return json.dumps({"data": list(resources), **members}).encode()


def changed(resource: dict[str, Any], **attributes: Any) -> dict[str, Any]:
    return {**resource, "attributes": {**resource["attributes"], **attributes}}


def test_an_organisation_is_read() -> None:
    page = read_organisations(document(HABO, links={"next": "/organizations?page[number]=2"}))
    (habo,) = page.items
    assert habo.participant == ParticipantIdentifier("0203:habo.se")
    assert habo.organisation_number == "2120000241"
    assert (habo.name, habo.alternate_name, habo.description) == ("Håbo kommun", "", "")
    assert (habo.kind, habo.parent) == (OrganisationKind.ORGANISATION, None)
    assert page.next == "/organizations?page[number]=2"


def test_an_under_organisation_knows_the_one_it_belongs_to() -> None:
    school = changed(HABO, name="Håbo skola", type="ou")
    school["relationships"] = {"organization": {"data": {"type": "organizations", "id": "7"}}}
    (read,) = read_organisations(document(school)).items
    assert (read.kind, read.parent) == (OrganisationKind.UNDER_ORGANISATION, "7")


def test_a_functional_address_is_read_with_its_organisation() -> None:
    (social,) = read_addresses(document(SOCIAL, included=[HABO])).items
    assert social.identifier == "SE2120000241-00001"
    assert social.codes == ("1.2.752.129.2.2.2.2:2005",)
    assert social.keywords == ("orosanmälan",)
    assert social.organisation.name == "Håbo kommun"


@pytest.mark.parametrize(
    "broken",
    [
        changed(HABO, name=""),
        changed(HABO, name="x" * 257),
        changed(HABO, name="<script>"),
        changed(HABO, name=["a"]),
        changed(HABO, name="\ud800"),
        changed(HABO, description="x" * 1025),
        changed(HABO, participantIdentifier="habo.se"),
        changed(HABO, organizationNumber="1"),
        changed(HABO, countryCode="sverige"),
        changed(HABO, type="x"),
        changed(HABO, type="ou "),
        {"type": "organizations", "id": "8"},
    ],
)
def test_an_organisation_that_breaks_a_rule_is_left_out_and_counted(broken: dict[str, Any]) -> None:
    page = read_organisations(document(broken, HABO))
    assert (len(page.items), page.refused) == (1, 1)


@pytest.mark.parametrize(
    "broken",
    [
        changed(SOCIAL, identifier=None),
        changed(SOCIAL, codes="2005"),
        changed(SOCIAL, keywords=[1]),
        {**SOCIAL, "relationships": {}},
        {**SOCIAL, "relationships": {"organization": {"data": {"type": "organizations", "id": "8"}}}},
    ],
)
def test_an_address_that_breaks_a_rule_is_left_out_and_counted(broken: dict[str, Any]) -> None:
    page = read_addresses(document(broken, SOCIAL, included=[HABO]))
    assert (len(page.items), page.refused) == (1, 1)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff",
        b"[" * 100_000,
        b'{"data": {}}',
        b'{"data": [1]}',
        document(SOCIAL),
        document({**HABO, "attributes": []}),
        document(HABO, links=[]),
        document(HABO, links={"next": 1}),
        document(HABO, included={}),
    ],
)
def test_what_is_no_such_document_is_a_typed_error(data: bytes) -> None:
    with pytest.raises(WireError):
        read_organisations(data)


NAMES = ["data", "type", "id", "attributes", "links", "next"]
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["data", "type", "id", "attributes", "links", "next"]), inner, max_size=4
        )
    ),
    max_leaves=10,
)


@given(ANYTHING, ANYTHING)
@settings(max_examples=150)
def test_any_json_is_read_or_refused(value: Any, attribute: Any) -> None:
    for data in (json.dumps(value).encode(), document(changed(HABO, name=attribute), value)):
        for read in (read_organisations, read_addresses):
            try:
                read(data)
            except WireError:
                continue
