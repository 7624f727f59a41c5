"""Every way to break the contract of a new message, with the finding and its place."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from samdrift.demo.cast import AGENCY, HABO
from samdrift.messageservice.interface_d import contract
from samdrift.messageservice.interface_d.problems import MAX_ISSUES, Refused
from samdrift.wire.codes import Detail, Reason
from tests.roles.messageclient import document

GONE = object()


def full() -> dict[str, Any]:
    """Return a document with every member that the contract has."""
    person = {"root": "1.2", "extension": "SE1", "label": "Anna"}
    made = document(
        HABO.address,
        AGENCY.address,
        creationDateTime="2024-05-06T07:08:09.1Z",
        messageId="19c7e876-ef6f-4fb0-bccb-e93e3ab6e69f",
        conversationId="19c7e876-ef6f-4fb0-bccb-e93e3ab6e69f",
        refToMessageId="29c7e876-ef6f-4fb0-bccb-e93e3ab6e69f",
        generatingSystem={"root": "1.2.3", "extension": "journal"},
    )
    for party in ("recipientAttention", "senderAttention"):
        attention = made["data"]["attributes"][party]
        attention |= {"attentionPerson": [dict(person)], "referenceId": [dict(person), dict(person)]}
    (one,) = made["data"]["attributes"]["digitalDocument"]
    one["contentFiles"] = [{"fileName": "a.pdf", "contentType": "application/pdf", "content": "AAAA"}]
    made["data"]["id"] = "19c7e876-ef6f-4fb0-bccb-e93e3ab6e69f"
    return made


def places(value: Any, where: str = "") -> list[str]:
    """Return the JSON pointers of everything in a document."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [where, *(place for name, each in inside for place in places(each, f"{where}/{name}"))]


def changed(pointer: str, value: object) -> Any:
    """Return the full document with one value replaced or removed."""
    made = {"": copy.deepcopy(full())}
    steps = pointer.split("/")
    inside: Any = made
    for step in steps[:-1]:
        inside = inside[int(step)] if isinstance(inside, list) else inside[step]
    last: Any = int(steps[-1]) if isinstance(inside, list) else steps[-1]
    if value is GONE:
        del inside[last]
    else:
        inside[last] = value
    return made[""]


def found(made: object) -> list[tuple[str, str]]:
    with pytest.raises(Refused) as caught:
        contract.check(made)
    for finding in caught.value.findings:
        assert (finding.reason, finding.detail) == (Reason.SCHEMA, Detail.STRUCTURE)
    return [(finding.path, finding.text) for finding in caught.value.findings]


def test_the_full_document_is_taken_as_it_is() -> None:
    assert contract.check(full()) == full()


@pytest.mark.parametrize("value", ["message", "Messages", "", "events"])
def test_the_type_of_the_resource_is_messages(value: str) -> None:
    """Clauses: api-mt-mk message sentence 1."""
    ((where, _),) = found(changed("/data/type", value))
    assert where == "/data/type"


@pytest.mark.parametrize("pointer", places(full()))
def test_a_value_of_another_kind_is_told_with_its_place(pointer: str) -> None:
    ((where, text),) = found(changed(pointer, 4711))
    assert where == (pointer or "NA")
    assert "4711" not in text


REQUIRED = [
    "/data",
    "/data/type",
    "/data/attributes",
    *(
        f"/data/attributes/{name}"
        for name in ("confidentiality", "label", "sender", "recipient", "recipientAttention")
    ),
    "/data/attributes/senderAttention",
    "/data/attributes/digitalDocument",
    "/data/attributes/recipientAttention/subOrganization",
    "/data/attributes/recipientAttention/subOrganization/extension",
    "/data/attributes/senderAttention/attentionPerson/0/label",
    "/data/attributes/senderAttention/referenceId/1/root",
    "/data/attributes/digitalDocument/0/documentId",
    "/data/attributes/digitalDocument/0/contentFiles/0/content",
]


@pytest.mark.parametrize("pointer", REQUIRED)
@pytest.mark.parametrize("how", [GONE, None], ids=["gone", "null"])
def test_what_is_required_is_missed(pointer: str, how: object) -> None:
    ((where, text),) = found(changed(pointer, how))
    assert where == pointer
    assert text.endswith("is missing")


OPTIONAL = [
    "/data/id",
    *(
        f"/data/attributes/{name}"
        for name in ("creationDateTime", "messageId", "conversationId", "refToMessageId", "generatingSystem")
    ),
    "/data/attributes/recipientAttention/subOrganization/label",
    "/data/attributes/recipientAttention/attentionPerson",
    "/data/attributes/digitalDocument/0/contentTextBody",
]


@pytest.mark.parametrize("pointer", OPTIONAL)
def test_what_may_be_left_out_may_be_null(pointer: str) -> None:
    assert contract.check(changed(pointer, None)) == changed(pointer, GONE)


@pytest.mark.parametrize(
    "pointer",
    [
        "/data/attributes/refToMessageID",
        "/data/attributes/recipientAttention/handlingServiceId",
        "/data/attributes/digitalDocument/0/text",
    ],
)
def test_an_attribute_that_the_contract_does_not_know_is_refused_and_not_repeated(pointer: str) -> None:
    """It may be misspelt, and its value would be lost."""
    parent, _, name = pointer.rpartition("/")
    ((where, text),) = found(changed(pointer, "x"))
    assert where == parent
    assert name not in text


@pytest.mark.parametrize(
    "pointer",
    [
        "/meta",
        "/data/relationships",
        "/data/attributes/messageStatus",
        "/data/attributes/events",
        "/data/attributes/event",
        "/data/attributes/generatingSystem/label",
    ],
)
def test_what_makes_no_difference_may_be_there(pointer: str) -> None:
    """Clauses: api-mt-mk message sentence 3."""
    assert contract.check(changed(pointer, "x")) == full()


@pytest.mark.parametrize("party", ["recipientAttention", "senderAttention"])
def test_a_functional_address_has_at_most_256_characters(party: str) -> None:
    pointer = f"/data/attributes/{party}/subOrganization/extension"
    contract.check(changed(pointer, "å" * 256))
    ((where, _),) = found(changed(pointer, "å" * 257))
    assert where == pointer


def test_everything_that_is_wrong_is_told_at_once_up_to_a_bound() -> None:
    made = full()
    made["data"]["type"] = "message"
    made["data"]["attributes"]["label"] = 1
    assert [where for where, _ in found(made)] == ["/data/type", "/data/attributes/label"]
    made["data"]["attributes"]["digitalDocument"] = [1] * 1000
    assert len(found(made)) == MAX_ISSUES
