"""The address book's reading interface: JSON:API (architecture-sad 5.1.1.2, 7.1.1)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from samdrift.federation.addressbook import address_book
from samdrift.federation.directory import Directory, Entry, FunctionalAddress, Organisation
from samdrift.federation.store import FederationError
from samdrift.wire.identifiers import ParticipantIdentifier

URL = "http://addressbook.test"
HABO = ParticipantIdentifier.parse("0203:habo.se")
SOLNA = ParticipantIdentifier.parse("0203:solna.se")
COUNCIL = Organisation(HABO, "2120001611", "Habo kommun", "Habo", "En kommun vid Vättern.")
COMPANY = Organisation(HABO, "5560000001", "Habo Energi AB", parent=COUNCIL.id)
CITY = Organisation(SOLNA, "2120000183", "Solna stad")
SOCIAL = FunctionalAddress(
    "SE2120001611-0001",
    "Socialkontoret",
    "Orosanmälningar",
    ("1.2.752.129.2.2.1.4:socialtjänst",),
    ("orosanmälan", "LVU"),
)
REGISTRAR = FunctionalAddress("SE2120001611-0002", "Registrator")
CITY_REGISTRAR = FunctionalAddress("SE2120000183-0001", "Registrator i Solna", keywords=("diarium",))


@pytest.fixture
def directory(tmp_path: Path) -> Directory:
    filled = Directory(tmp_path / "addressbook")
    filled.put(Entry(COUNCIL, (SOCIAL, REGISTRAR)))
    filled.put(Entry(COMPANY))
    filled.put(Entry(CITY, (CITY_REGISTRAR,)))
    return filled


@pytest_asyncio.fixture
async def http(directory: Directory) -> AsyncIterator[httpx.AsyncClient]:
    """Yield a client of the address book, without a network in between."""
    transport = httpx.ASGITransport(address_book(directory, URL))
    async with httpx.AsyncClient(transport=transport, base_url=URL) as client:
        yield client


async def get(http: httpx.AsyncClient, url: str, **parameters: str | int) -> dict[str, Any]:
    answer = await http.get(url, params=parameters or None)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/vnd.api+json"
    document = answer.json()
    assert isinstance(document, dict)
    return document


def names(document: dict[str, Any]) -> list[str]:
    return [one["attributes"]["name"] for one in document["data"]]


async def test_organisation_has_the_attributes_of_the_information_specification(
    http: httpx.AsyncClient,
) -> None:
    document = await get(http, f"{URL}/organizations/{COUNCIL.id}")
    assert document["data"] == {
        "type": "organizations",
        "id": COUNCIL.id,
        "attributes": {
            "participantIdentifier": "0203:habo.se",
            "organizationNumber": "2120001611",
            "name": "Habo kommun",
            "alternateName": "Habo",
            "description": "En kommun vid Vättern.",
            "countryCode": "SE",
            "type": "o",
        },
        "links": {"self": f"{URL}/organizations/{COUNCIL.id}"},
    }


async def test_under_organisation_belongs_to_an_organisation(http: httpx.AsyncClient) -> None:
    document = await get(http, f"{URL}/organizations/{COMPANY.id}", include="organization")
    assert document["data"]["attributes"]["type"] == "ou"
    assert document["data"]["attributes"]["participantIdentifier"] == "0203:habo.se"
    above = {"type": "organizations", "id": COUNCIL.id}
    assert document["data"]["relationships"]["organization"]["data"] == above
    assert names({"data": document["included"]}) == ["Habo kommun"]


async def test_functional_address_tells_whose_it_is(http: httpx.AsyncClient) -> None:
    document = await get(http, f"{URL}/addresses/{SOCIAL.id}")
    assert document["data"]["attributes"] == {
        "identifier": "SE2120001611-0001",
        "name": "Socialkontoret",
        "description": "Orosanmälningar",
        "codes": ["1.2.752.129.2.2.1.4:socialtjänst"],
        "keywords": ["orosanmälan", "LVU"],
    }
    related = document["data"]["relationships"]["organization"]
    assert related["data"] == {"type": "organizations", "id": COUNCIL.id}
    owner = await get(http, related["links"]["related"])
    assert owner["data"]["attributes"]["name"] == "Habo kommun"


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({}, ["Habo Energi AB", "Habo kommun", "Solna stad"]),
        ({"participantIdentifier": "0203:HABO.se"}, ["Habo Energi AB", "Habo kommun"]),
        ({"participantIdentifier": "0203:habo.se", "type": "o"}, ["Habo kommun"]),
        ({"organizationNumber": "2120000183"}, ["Solna stad"]),
        ({"organizationNumber": "212000018"}, []),
        ({"countryCode": "NO"}, []),
        ({"name": "sol"}, ["Solna stad"]),
        ({"text": "vättern"}, ["Habo kommun"]),
        ({"name": "vättern"}, []),
    ],
)
async def test_organisations_are_filtered(
    http: httpx.AsyncClient, filters: dict[str, str], found: list[str]
) -> None:
    parameters = {f"filter[{name}]": value for name, value in filters.items()}
    assert names(await get(http, f"{URL}/organizations", **parameters)) == found


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({}, ["Registrator", "Registrator i Solna", "Socialkontoret"]),
        ({"identifier": "SE2120001611-0002"}, ["Registrator"]),
        ({"keywords": "lvu"}, ["Socialkontoret"]),
        ({"keywords": "lv"}, []),
        ({"codes": "1.2.752.129.2.2.1.4:socialtjänst"}, ["Socialkontoret"]),
        ({"name": "registrator"}, ["Registrator", "Registrator i Solna"]),
        ({"text": "diar"}, ["Registrator i Solna"]),
        ({"organization.participantIdentifier": "0203:habo.se"}, ["Registrator", "Socialkontoret"]),
        ({"organization": CITY.id}, ["Registrator i Solna"]),
        ({"organization": CITY.id, "keywords": "lvu"}, []),
    ],
)
async def test_functional_addresses_are_filtered(
    http: httpx.AsyncClient, filters: dict[str, str], found: list[str]
) -> None:
    parameters = {f"filter[{name}]": value for name, value in filters.items()}
    assert names(await get(http, f"{URL}/addresses", **parameters)) == found


async def test_pages_lead_from_one_to_the_next(directory: Directory, http: httpx.AsyncClient) -> None:
    entries = tuple(FunctionalAddress(f"SE2120000183-{n:04}", f"Funktion {n:04}") for n in range(45))
    directory.put(Entry(CITY, entries))
    next_page: str | None = f"{URL}/addresses?filter[organization]={CITY.id}"
    pages: list[dict[str, Any]] = []
    while next_page and len(pages) < 9:
        pages.append(await get(http, next_page))
        next_page = pages[-1]["links"]["next"]
    assert [len(page["data"]) for page in pages] == [20, 20, 5]
    assert [name for page in pages for name in names(page)] == [one.name for one in entries]
    assert all(page["meta"] == {"totalItems": 45, "totalPages": 3} for page in pages)
    assert pages[2]["links"]["prev"] == pages[1]["links"]["self"]
    assert pages[0]["links"]["last"] == pages[2]["links"]["self"]
    assert pages[1]["links"]["first"] == pages[0]["links"]["self"]
    assert pages[0]["links"]["prev"] is None
    beyond = await get(http, f"{URL}/addresses", **{"page[number]": 9, "page[size]": 40})
    assert beyond["data"] == []
    assert beyond["links"]["next"] is None


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("page[number]", "0"),
        ("page[size]", "-1"),
        ("page[size]", "many"),
        ("page[offset]", "1"),
        ("filter[secret]", "x"),
        ("filter", "x"),
        ("include", "organization,people"),
        ("sort", "name"),
    ],
)
async def test_unknown_parameters_are_refused(http: httpx.AsyncClient, parameter: str, value: str) -> None:
    answer = await http.get(f"{URL}/addresses", params={parameter: value})
    assert answer.status_code == 400
    (error,) = answer.json()["errors"]
    assert (error["status"], error["source"]) == ("400", {"parameter": parameter})


async def test_it_can_only_be_read_and_only_from_the_same_origin(http: httpx.AsyncClient) -> None:
    url = f"{URL}/organizations"
    answer = await http.get(url, headers={"origin": "http://elsewhere.example"})
    assert "access-control-allow-origin" not in answer.headers
    for status, refused in (
        (405, await http.post(url, json={})),
        (404, await http.get(f"{url}/unknown")),
        (404, await http.get(f"{URL}/people")),
    ):
        assert refused.status_code == status
        assert refused.headers["content-type"] == "application/vnd.api+json"
        assert refused.json()["errors"][0]["status"] == str(status)


def test_texts_are_checked_as_the_address_book_checks_them() -> None:
    for refused in (
        lambda: Organisation(HABO, "212000161", "Habo"),
        lambda: Organisation(HABO, "2120001611", ""),
        lambda: Organisation(HABO, "2120001611", "x" * 257),
        lambda: Organisation(HABO, "2120001611", "Habo <b>"),
        lambda: Organisation(HABO, "2120001611", "Habo", description="x" * 1025),
        lambda: Organisation(HABO, "2120001611", "Habo", country_code="sverige"),
        lambda: FunctionalAddress("", "Registrator"),
        lambda: FunctionalAddress("SE1", "Registrator", keywords=("a > b",)),
    ):
        with pytest.raises(FederationError):
            refused()


def test_directory_keeps_what_belongs_together(tmp_path: Path) -> None:
    directory = Directory(tmp_path / "addressbook")
    with pytest.raises(FederationError):
        directory.put(Entry(COMPANY))
    directory.put(Entry(COUNCIL, (SOCIAL, REGISTRAR)))
    directory.put(Entry(COMPANY))
    with pytest.raises(FederationError):
        directory.put(Entry(CITY, (SOCIAL,)))
    directory.put(Entry(COUNCIL, (SOCIAL,)))
    again = Directory(tmp_path / "addressbook")
    assert again.entries() == directory.entries() == [Entry(COMPANY), Entry(COUNCIL, (SOCIAL,))]
    again.remove(HABO)
    assert Directory(tmp_path / "addressbook").entries() == []
