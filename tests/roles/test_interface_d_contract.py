"""DIGG's OpenAPI file as the judge of interface D's answers, applied by schemathesis.

Requests are generated from the file, good ones and bad ones, with a fixed seed, and
every answer is checked against it. Where the file cannot be followed to the letter,
because the text or the file itself contradicts it, that is one of the quirks in
``docs/interface-d.md``; those that a request meets are in :data:`QUIRKS`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis import APIOperation, Case, CheckFunction, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks
from schemathesis.specs.openapi.schemas import OpenApiSchema

from samdrift.contracts.messages import Direction, MessageStatus
from tests.official import DIGG, requires_digg
from tests.roles.member import Member
from tests.roles.messageclient import document, text_document
from tests.roles.stage import Stage
from tests.sizes import sampled

pytestmark = requires_digg

FILE = DIGG / "api" / "sdk-api-restful.yml"
SEND, LIST = "POST /sdk/messages", "GET /sdk/messages"
READ, DELETE = "GET /sdk/messages/{messageId}", "DELETE /sdk/messages/{messageId}"
GOOD, BAD = GenerationMode.POSITIVE, GenerationMode.NEGATIVE
JUDGED: tuple[CheckFunction, ...] = (
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
    checks.positive_data_acceptance,
)
QUIRKS: dict[str, CheckFunction] = {SEND: checks.positive_data_acceptance}
"""Checks that are skipped: according to the file, an empty message could be sent."""

_EXAMPLES = 25


@cache
def contract() -> OpenApiSchema:
    """Read the file, which takes longer than most calls that are generated from it."""
    return schemathesis.openapi.from_path(FILE)


def operation(label: str) -> APIOperation[Any, Any, Any, Any]:
    return contract().find_operation_by_label(label)


def with_attribute(case: Case) -> Case:
    """Add an attribute to a filter: the file requires only a value, but the text requires both."""
    value = case.query.pop("filter", None)
    if value is not None:
        case.query["filter[senderAttention.subOrganization.extension]"] = f"sdk.{value}"
    return case


class Judge:
    """A client of an organisation that checks the answers to its calls against the file."""

    def __init__(self, stage: Stage, member: Member) -> None:
        client = stage.client(member)
        self._base = f"{client.base}/v1"
        self._headers = {"authorization": f"Bearer {client.token}"}
        self._trust = str(member.config.inner_issuers)

    def judges(self, case: Case, judged: tuple[CheckFunction, ...] = JUDGED) -> Any:
        response = case.call(base_url=self._base, headers=self._headers, verify=self._trust)
        case.validate_response(response, checks=list(judged))
        return response


@pytest.mark.parametrize(
    ("label", "mode"),
    sampled(
        [(SEND, GOOD), (LIST, GOOD), (READ, GOOD), (DELETE, GOOD), (SEND, BAD), (LIST, BAD), (READ, BAD)]
    ),
)
async def test_every_answer_is_one_of_the_contract(stage: Stage, label: str, mode: GenerationMode) -> None:
    judge, judged = Judge(stage, stage.habo), tuple(one for one in JUDGED if one is not QUIRKS.get(label))
    prepared: Callable[[Case], Case] = with_attribute if mode is GOOD else lambda case: case

    @seed(1)
    @settings(
        max_examples=_EXAMPLES,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation(label).as_strategy(generation_mode=mode))
    def every(case: Case) -> None:
        judge.judges(prepared(case), judged)

    await asyncio.to_thread(every)


async def test_a_message_of_the_contract_is_sent_listed_read_and_deleted(stage: Stage) -> None:
    sender, recipient = Judge(stage, stage.habo), Judge(stage, stage.agency)
    made = document(
        stage.habo.address,
        stage.agency.address,
        digitalDocument=[text_document("x", ("a.pdf", b"%PDF-1.4"))],
        generatingSystem={"root": "1.2.3", "extension": "journal"},
    )
    sent = operation(SEND).Case(body=made, media_type="application/json")
    response = await asyncio.to_thread(sender.judges, sent)
    assert response.status_code == 201
    message_id = response.headers["location"][0].rpartition("/")[2]
    assert await stage.habo.ends(message_id) is MessageStatus.ACCEPTED
    assert await stage.agency.ends(message_id, Direction.IN) is MessageStatus.NEW
    where = {"messageId": message_id}
    for judge in (sender, recipient):
        for case, status in (
            (operation(LIST).Case(), 200),
            (operation(READ).Case(path_parameters=where), 200),
            (operation(DELETE).Case(path_parameters=where), 202),
            (operation(READ).Case(path_parameters=where), 404),
        ):
            assert (await asyncio.to_thread(judge.judges, case)).status_code == status
