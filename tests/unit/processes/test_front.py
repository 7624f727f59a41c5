"""The front chooses a worker for each request by the host at which people reach a role."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from starlette.types import Scope

from samdrift.accesspoint.settings import Client
from samdrift.config.reader import load
from samdrift.installation.doors import ROLES, Door
from samdrift.installation.listeners import address_of
from samdrift.net.server import CLIENT_CERTIFICATE
from samdrift.processes.front import Directory
from samdrift.processes.handover import NOBODY, Routes
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.unit.config.test_reader import FOUR, write

HABO, EKSJO = "0203:habo.se", "0203:eksjo.se"
OTHER = """
[[organisations]]
identifier = "0203:eksjo.se"
name = "Eksjö kommun"
roles = ["mk"]
message_client_host = "eksjo.messages.example"
"""
ROUTES = Routes(
    {
        "mk": {HABO: "worker-habo", EKSJO: "worker-eksjo"},
        "gov": {HABO: "governance-habo"},
        "ap": {HABO: "ap-habo", EKSJO: "ap-eksjo"},
        "mt": {HABO: "mt-habo", EKSJO: "mt-eksjo"},
    }
)


@pytest.fixture
def directory(tmp_path: Path) -> Directory:
    config = load(write(tmp_path, FOUR + OTHER))
    handed = SimpleNamespace(folder=Path("/run"), config=config.file, routes=ROUTES)
    return Directory(config, cast(Any, handed))


def request(*hosts: str) -> Scope:
    return {"type": "http", "path": "/", "headers": [(b"host", host.encode()) for host in hosts]}


@pytest.mark.parametrize(
    ("door", "hosts", "worker"),
    [
        (Door.MK, ["habo.messages.example"], "worker-habo"),
        (Door.MK, ["HABO.messages.example:443"], "worker-habo"),
        (Door.MK, ["eksjo.messages.example"], "worker-eksjo"),
        (Door.GOV, ["habo.governance.example"], "governance-habo"),
        (Door.GOV, ["habo.messages.example"], NOBODY),
        (Door.MK, ["habo.governance.example"], NOBODY),
        (Door.GOV, ["eksjo.messages.example"], NOBODY),
        (Door.MK, ["vetlanda.messages.example"], NOBODY),
        (Door.MK, ["habo.messages.example", "eksjo.messages.example"], NOBODY),
        (Door.MK, [], NOBODY),
    ],
)
def test_a_host_leads_to_the_worker_of_its_organisation_in_the_role_that_is_reached_there(
    directory: Directory, door: Door, hosts: list[str], worker: str
) -> None:
    assert directory.of_host(door, request(*hosts)) == Path("/run") / f"{worker}.{door.value}"


def test_an_organisation_that_is_served_no_more_leads_to_nobody(directory: Directory) -> None:
    directory.told(Routes({"mk": {EKSJO: "worker-eksjo"}}).line())
    assert directory.of_host(Door.MK, request("habo.messages.example")).stem == NOBODY
    assert directory.of_host(Door.MK, request("eksjo.messages.example")).stem == "worker-eksjo"


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("/c/v1/poll", "ap-habo.c"),
        ("/c/v1/logs/ap/checkpoint", "ap-habo.log"),
        ("/c/v1/logs/mt/tile/entries/000", "mt-habo.log"),
        ("/c/v1/logs/mk/checkpoint", "worker-habo.log"),
        ("/c/v1/logs/none/checkpoint", "ap-habo.c"),
        ("/c/v1/logs/mt", "ap-habo.c"),
        ("/v1/logs/mt/checkpoint", "ap-habo.c"),
    ],
)
def test_a_log_is_asked_for_at_the_worker_whose_it_is(directory: Directory, path: str, place: str) -> None:
    habo = {"certificate": Client(ParticipantIdentifier(HABO), "journal")}
    directory._clients = lambda: habo
    asked = {**request(), "path": path, CLIENT_CERTIFICATE: "certificate"}
    assert directory.of_client(asked) == Path("/run") / place
    asked[CLIENT_CERTIFICATE] = "another"
    assert directory.of_client(asked) == Path("/run") / f"{NOBODY}.c"


@pytest.mark.parametrize(
    ("judged", "role", "changed", "place"),
    [
        ("mt-habo.d", "ap", {}, "ap-habo.log"),
        ("mt-eksjo.d", "ap", {}, "ap-eksjo.log"),
        ("mt-eksjo.d", "gov", {}, None),
        ("mt-habo.d", "mk", {}, None),
        ("ap-habo.c", "ap", {}, None),
        (f"{NOBODY}.d", "ap", {}, None),
        ("mt-habo.d", "ap", {"method": "POST"}, None),
        ("mt-habo.d", "ap", {"path": "/v1/sdk/messages"}, None),
    ],
)
def test_a_message_service_hands_on_its_own_organisations_logs_alone(
    directory: Directory, judged: str, role: str, changed: dict[str, str], place: str | None
) -> None:
    """It passes on only the requested log; one that was taken over reaches no other organisation's."""
    named = "ap" if role == "mk" else role
    asked = {**request(), "method": "GET", "path": f"/v1/logs/{named}/checkpoint", **changed}
    expected = None if place is None else Path("/run") / place
    assert directory.onward(asked, Path("/run") / judged, role) == expected


def test_every_worker_is_measured_under_its_role(directory: Directory) -> None:
    found = {(one.kind, one.organisation) for one in directory.measured()}
    assert found == {(role, whose) for role, names in ROUTES.workers.items() for whose in names} | {
        (NOBODY, None)
    }


def test_every_listener_has_an_address_where_its_role_has_a_table_and_a_role_of_its_own(
    tmp_path: Path,
) -> None:
    config = load(write(tmp_path, FOUR))
    assert {ROLES[door] for door in (Door.MK, Door.GOV)} == {"mk", "gov"}
    assert [address_of(config, door).host for door in (Door.MK, Door.GOV)] == [  # type: ignore[union-attr]
        "192.0.2.11",
        "192.0.2.12",
    ]
    assert set(ROLES) == set(Door) - {Door.METRICS, Door.LOG}
