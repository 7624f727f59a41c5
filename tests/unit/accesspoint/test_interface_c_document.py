"""The OpenAPI document of interface C matches the code exactly."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from starlette.routing import Route

from samdrift.accesspoint.interface_c import InterfaceC
from samdrift.accesspoint.problems import TYPE, ProblemKind
from samdrift.contracts.transfer import (
    InboxItem,
    Poll,
    Submission,
    TransferEvent,
    TransferReason,
    TransferState,
)
from samdrift.net.interface_c import PollRequest, decode_poll_request, encode_poll, encode_submission
from tests.vaults import NOW

DOCUMENT: dict[str, Any] = json.loads((files("samdrift.accesspoint") / "interface-c.json").read_bytes())
SCHEMAS = DOCUMENT["components"]["schemas"]
METHODS = {"get", "put", "post", "delete", "patch", "head", "options", "trace"}


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield method, path and description of each operation."""
    for path, item in DOCUMENT["paths"].items():
        for method in METHODS & item.keys():
            yield method.upper(), path, item[method]


def resolved(part: dict[str, Any]) -> dict[str, Any]:
    """Return the part of the document to which a reference points."""
    while "$ref" in part:
        found = DOCUMENT
        for name in part["$ref"].removeprefix("#/").split("/"):
            found = found[name]
        part = found
    return part


def answers(operation: dict[str, Any]) -> Iterator[tuple[int, str]]:
    """Yield each status with each type of problem that it can have; other responses have an empty type."""
    for status, response in operation["responses"].items():
        content = resolved(response).get("content", {})
        problem = content.get("application/problem+json")
        types = problem["schema"]["properties"]["type"]["enum"] if problem else [""]
        yield from ((int(status), kind.removeprefix(TYPE)) for kind in types)


def schema(name: str) -> Draft202012Validator:
    return Draft202012Validator({**SCHEMAS[name], "components": DOCUMENT["components"]})


def test_the_document_is_openapi_3_1() -> None:
    OpenAPIV31SpecValidator(DOCUMENT).validate()


def test_every_route_is_in_the_document_and_the_other_way_round() -> None:
    nothing: Any = None
    routes = InterfaceC(nothing, nothing, nothing, dict).application().routes
    code = {
        (method, route.path.replace(":path", ""))
        for route in routes
        if isinstance(route, Route)
        for method in (route.methods or set()) - {"HEAD"}
    }
    assert {(method, path) for method, path, _ in operations()} == code


def test_every_problem_is_in_the_document_with_its_status_and_the_other_way_round() -> None:
    told = {answer for _, _, operation in operations() for answer in answers(operation) if answer[1]}
    assert told == {(kind.status, kind.value) for kind in ProblemKind}


def test_states_and_reasons_are_those_of_the_contract() -> None:
    event = SCHEMAS["TransferEvent"]["properties"]
    assert event["state"]["enum"] == [state.value for state in TransferState]
    assert event["reason"]["enum"] == [reason.value for reason in TransferReason]


def test_what_is_answered_has_the_form_that_is_told() -> None:
    event = TransferEvent(1, NOW, "e", "t", "a@b", TransferState.QUEUED, TransferReason.PEER_REFUSED, "why")
    item = InboxItem("i", "e", "0203:a.se", "0203:b.se", "doc", "c", "a@b", "AP1", NOW, 17, b"<xhe/>")
    poll = encode_poll(Poll((event,), (item,)))
    submission = encode_submission(Submission("e", "t", True))
    schema("Poll").validate(poll)
    schema("Submission").validate(submission)
    for name, document in (
        ("Poll", poll),
        ("TransferEvent", poll["events"][0]),  # type: ignore[index]
        ("InboxItem", poll["inbox"][0]),  # type: ignore[index]
        ("Submission", submission),
    ):
        optional = {"envelope"} if name == "InboxItem" else set()
        assert set(document) == set(SCHEMAS[name]["properties"]) == set(SCHEMAS[name]["required"]) | optional


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"after": 7, "wait": 3600, "taken": ["x" * 128] * 200},
        {"after": -1},
        {"after": "7"},
        {"after": 1.5},
        {"after": True},
        {"wait": 3601},
        {"taken": "a"},
        {"taken": [""]},
        {"taken": [7]},
        {"taken": ["x" * 129]},
        {"taken": ["x"] * 201},
        {"past": ""},
        {"past": "b"},
        {"past": None},
        {"past": "x" * 129},
        {"organisation": "0203:b.se"},
        [],
    ],
)
def test_a_poll_is_read_as_strictly_as_the_document_says(asked: Any) -> None:
    try:
        decode_poll_request(json.dumps(asked).encode())
        taken = True
    except ValueError:
        taken = False
    assert schema("PollRequest").is_valid(asked) is taken


def test_what_our_own_client_asks_has_the_form_that_is_told() -> None:
    schema("PollRequest").validate(json.loads(PollRequest(7, 55, ("a",), "b").encode()))
