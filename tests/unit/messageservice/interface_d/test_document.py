"""The OpenAPI document of interface D describes what the code does: no more and no less."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib.resources import files
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from samdrift.contracts.messages import MessageStatus
from samdrift.messageservice.attributes import attributes
from samdrift.messageservice.interface_d import contract, filters, writing
from samdrift.messageservice.interface_d.application import InterfaceD
from samdrift.messageservice.interface_d.problems import Refused, bad_request, broken, problem
from samdrift.wire import sdkmessage
from tests.unit.messageservice.interface_d.test_contract import full
from tests.unit.wire.sdkmessage.samples import FULL
from tests.vaults import message

DOCUMENT: dict[str, Any] = json.loads(
    (files("samdrift.messageservice.interface_d") / "interface-d.json").read_bytes()
)
SCHEMAS = DOCUMENT["components"]["schemas"]
_NOTHING: Any = None


def schema(name: str) -> Draft202012Validator:
    return Draft202012Validator({**SCHEMAS[name], "components": DOCUMENT["components"]})


def resolved(part: dict[str, Any]) -> dict[str, Any]:
    return SCHEMAS[part["$ref"].rpartition("/")[2]] if "$ref" in part else part


def test_the_document_is_openapi_3_1() -> None:
    OpenAPIV31SpecValidator(DOCUMENT).validate()


def test_every_operation_is_in_the_document_with_its_scope_and_the_other_way_round() -> None:
    told = {
        (method.upper(), path): [scope for one in item[method]["security"] for scope in one["token"]]
        for path, item in DOCUMENT["paths"].items()
        for method in {"get", "post", "delete"} & item.keys()
        if path != "/v1/openapi.json"
    }
    operations = InterfaceD(_NOTHING, _NOTHING, (), _NOTHING, _NOTHING, _NOTHING).operations
    served = {(one.method, one.path.replace(":path}", "}")): [one.scope.value] for one in operations}
    assert told == served


def test_what_may_be_sent_is_in_the_document_as_it_is_asked_for() -> None:
    same(SCHEMAS["Creation"], contract.CREATE)


def same(told: dict[str, Any], shape: contract.Shape) -> None:
    told = resolved(told)
    if isinstance(shape, contract.Members):
        assert told["type"] == "object"
        assert set(told["required"]) == shape.required
        assert told["properties"].keys() == shape.known.keys() | shape.ignored
        assert told.get("additionalProperties", True) is shape.extensible
        for name, inside in shape.known.items():
            same(told["properties"][name], inside)
    elif isinstance(shape, contract.Many):
        assert told["type"] == "array"
        same(told["items"], shape.each)
    elif isinstance(shape, contract.Flag):
        assert told["type"] == "boolean"
    else:
        assert told.get("type", "string") == "string"
        assert (told.get("const"), told.get("maxLength")) == (shape.only, shape.longest)


def test_every_filter_is_in_the_document_and_the_other_way_round() -> None:
    operation = DOCUMENT["paths"][writing.MESSAGES]["get"]
    told = {one["name"] for one in operation["parameters"]}
    assert told == {*filters.KNOWN.values(), "filter[messagestatus]"}


def test_every_status_is_in_the_document() -> None:
    assert SCHEMAS["MessageStatus"]["enum"] == [status.value for status in MessageStatus]


def test_what_is_shown_of_messages_is_as_the_document_says() -> None:
    links = {"self": writing.MESSAGES}
    record = message()
    for kept in (attributes(FULL), ""):
        shown = writing.resource(replace(record, attributes=kept), ())
        schema("List").validate(json.loads(f"{writing.opening(links)}[{shown}]}}"))
        schema("Single").validate(json.loads(f"{writing.opening(links)}{shown}}}"))


@pytest.mark.parametrize(
    "refused",
    [
        Refused([sdkmessage.too_long()]),
        Refused([broken("label is missing", "/data")], "19c7e876-ef6f-4fb0-bccb-e93e3ab6e69f"),
    ],
)
def test_what_is_refused_is_as_the_document_says(refused: Refused) -> None:
    schema("BadRequest").validate(json.loads(bytes(bad_request(refused).body)))


def test_a_problem_is_as_the_document_says() -> None:
    schema("Problem").validate(json.loads(bytes(problem(404, "there is no such message").body)))


def test_a_full_document_is_one_of_the_document() -> None:
    schema("Creation").validate(full())
