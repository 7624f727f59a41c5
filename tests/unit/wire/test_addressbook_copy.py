"""The copy of the address book: lookups, search, and the form in which it is stored."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from samdrift.wire.addressbook import (
    AddressBookCopy,
    FunctionalAddress,
    Organisation,
    OrganisationKind,
    Query,
    read_copy,
)
from samdrift.wire.errors import WireError
from samdrift.wire.identifiers import ParticipantIdentifier

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
HABO = ParticipantIdentifier.parse("0203:habo.se")
SOLNA = ParticipantIdentifier.parse("0203:solna.se")
WHOLE, PART = OrganisationKind.ORGANISATION, OrganisationKind.UNDER_ORGANISATION
COUNCIL = Organisation("1", HABO, "2120001611", "Habo kommun", "Habo", "Vid Vättern", "SE", WHOLE, None)
COMPANY = Organisation("2", HABO, "5560000001", "Habo Energi AB", "", "", "SE", PART, "1")
CITY = Organisation("3", SOLNA, "2120000183", "Solna stad", "", "", "SE", WHOLE, None)
SOCIAL = FunctionalAddress(
    "SE2120001611-0001", "Socialkontoret", "Orosanmälningar", ("1.2.3:soc",), ("LVU", "oro"), COUNCIL
)
BILLS = FunctionalAddress("SE2120001611-0002", "Fakturor", "", (), (), COMPANY)
REGISTRAR = FunctionalAddress("SE2120000183-0001", "Registrator", "", (), ("diarium",), CITY)
COPY = AddressBookCopy(NOW, (COMPANY, COUNCIL, CITY), (REGISTRAR, SOCIAL, BILLS))


def test_lookups_are_by_identifier_whatever_its_case() -> None:
    assert COPY.organisation(HABO) == COUNCIL
    assert COPY.organisation(ParticipantIdentifier.parse("0203:eda.se")) is None
    assert COPY.address(HABO, "se2120001611-0001") == SOCIAL
    assert COPY.address(HABO, BILLS.identifier) == BILLS
    assert COPY.address(SOLNA, SOCIAL.identifier) is None


@pytest.mark.parametrize(
    ("query", "found"),
    [
        (Query(), [BILLS, SOCIAL, REGISTRAR]),
        (Query("SOCIAL"), [SOCIAL]),
        (Query("habo oros"), [SOCIAL]),
        (Query("habo registrator"), []),
        (Query(organisation=HABO), [BILLS, SOCIAL]),
        (Query("social", organisation=SOLNA), []),
        (Query(keyword="lvu"), [SOCIAL]),
        (Query(keyword="lv"), []),
        (Query(keyword="1.2.3:SOC"), [SOCIAL]),
        (Query("lvu"), [SOCIAL]),
    ],
)
def test_search(query: Query, found: list[FunctionalAddress]) -> None:
    assert list(COPY.search(query)) == found


def test_an_under_organisation_belongs_to_one_and_is_found_by_its_name_too() -> None:
    assert COPY.parent(COMPANY) == COUNCIL
    assert COPY.parent(COUNCIL) is None
    part = replace(COMPANY, name="Energibolaget")
    copy = AddressBookCopy(NOW, (part, COUNCIL), (replace(BILLS, organisation=part),))
    assert [one.identifier for one in copy.search(Query("habo kommun fakturor"))] == [BILLS.identifier]


def test_a_search_gives_no_more_than_was_asked_for() -> None:
    assert COPY.search(Query(), limit=2) == (BILLS, SOCIAL)


def test_a_kept_copy_is_the_same_copy() -> None:
    unlisted = replace(REGISTRAR, organisation=replace(CITY, id="9"), identifier="x")
    copy = AddressBookCopy(NOW, COPY.organisations, (*COPY.addresses, unlisted))
    kept = read_copy(copy.to_bytes())
    assert (kept.taken_at, kept.organisations, kept.addresses) == (NOW, copy.organisations, copy.addresses)


def changed(**members: Any) -> bytes:
    return json.dumps({**json.loads(COPY.to_bytes()), **members}).encode()


@pytest.mark.parametrize(
    "kept",
    [
        b"",
        b"null",
        b"{}",
        COPY.to_bytes()[:-40],
        changed(form=2),
        changed(taken_at="2026-03-02T12:00:00"),
        changed(listed=["7"]),
        changed(organisations=[{"id": "1"}]),
        changed(addresses=[1]),
        changed(addresses=None),
    ],
)
def test_what_is_no_copy_is_a_typed_error(kept: bytes) -> None:
    with pytest.raises(WireError):
        read_copy(kept)


def test_a_copy_is_itself_alone() -> None:
    """Copies are compared by identity, so that they can be keys, and comparing them is cheap."""
    again = AddressBookCopy(NOW, COPY.organisations, COPY.addresses)
    assert {COPY: "one", again: "another"} == {again: "another", COPY: "one"}
    assert len({COPY, again}) == 2
