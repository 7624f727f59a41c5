"""From a client's document to an SDK message (api-mt-mk, Informationsobjekt), and findings back to it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from samdrift.messageservice.attributes import attributes, of_record
from samdrift.messageservice.interface_d import contract
from samdrift.messageservice.interface_d.drafting import draft, own_id, placed, pointer
from samdrift.wire import sdkmessage
from samdrift.wire.findings import Finding
from samdrift.wire.sdkmessage import Ii, Person, Reference, SdkMessage
from tests.unit.messageservice.interface_d.test_contract import full
from tests.unit.wire.sdkmessage.samples import FULL
from tests.vaults import message as record

ID = "39c7e876-ef6f-4fb0-bccb-e93e3ab6e69f"
A = "/data/attributes"


def drafted(**changes: object) -> SdkMessage:
    data = contract.check(full())["data"]
    data["attributes"] |= changes
    data["attributes"] = {name: value for name, value in data["attributes"].items() if value is not None}
    return draft(data, message_id=ID, conversation_id=ID, created="2024-01-01T00:00:00.000Z")


def test_a_full_document_becomes_a_message_that_may_be_sent() -> None:
    """Clauses: content-specification 4.2 sentence 1, 4.3.2.3 sentence 1, sentence 5, 4.3.3.1 sentence 2,
    4.3.3.2 sentence 2.
    """
    made = drafted()
    assert sdkmessage.prepare(made).findings == ()
    assert made.created == "2024-05-06T07:08:09.1Z"
    assert made.generating_system == Ii("1.2.3", "journal")
    assert made.sender.attention is not None
    assert made.sender.attention.persons == (Person(Ii("1.2", "SE1"), "Anna"),)
    assert made.sender.attention.references == (Reference(Ii("1.2", "SE1"), "Anna"),) * 2
    (one,) = made.documents
    assert (one.id, one.name, one.index) == ("SDK-Meddelande", "SDK-Meddelande", "1")
    assert one.texts == ("Hej, *gäller* avtalet än?",)
    assert [(file.name, file.content_type, file.content) for file in one.files] == [
        ("a.pdf", "application/pdf", "AAAA")
    ]


def test_what_the_message_service_sets_stands_in_for_what_is_left_out() -> None:
    made = drafted(creationDateTime=None, conversationId=None)
    assert (made.created, made.conversation_id) == ("2024-01-01T00:00:00.000Z", ID)


@pytest.mark.parametrize(
    ("message_id", "resource", "own"), [("a", "b", "a"), (None, "b", "b"), (None, None, None), ("", "b", "")]
)
def test_the_id_of_a_message_is_its_messageid_else_that_of_the_resource(
    message_id: str | None, resource: str | None, own: str | None
) -> None:
    data: dict[str, object] = {"attributes": {} if message_id is None else {"messageId": message_id}}
    if resource is not None:
        data["id"] = resource
    assert own_id(data) == own


def test_a_person_and_a_reference_without_label_are_written_and_read_alike() -> None:
    """The contract demands members that the message may lack, which are empty there.

    Clauses: architecture-sad 5.3.5 step 3, step 4; content-specification 4.3.2.3 sentence 2, sentence 6.
    """
    empty = {"root": "", "extension": "", "label": "Anna"}
    nameless = {"root": "1", "extension": "2", "label": ""}
    made = drafted()
    attention = {**full()["data"]["attributes"]["senderAttention"], "attentionPerson": [empty, nameless]}
    attention["referenceId"] = [nameless]
    made = drafted(senderAttention=attention)
    assert made.sender.attention is not None
    assert made.sender.attention.persons == (Person(None, "Anna"), Person(Ii("1", "2"), None))
    assert made.sender.attention.references == (Reference(Ii("1", "2"), None),)
    shown = of_record(replace(record(), attributes=attributes(made)))
    assert '"attentionPerson":[{"root":"","extension":"","label":"Anna"}' in shown
    assert '"referenceId":[{"root":"1","extension":"2","label":""}]' in shown


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("NA", "NA"),
        ("/messagePayload", A),
        ("/messagePayload/message/messageHeader/label", f"{A}/label"),
        ("/messagePayload/message/messageHeader/messageId", f"{A}/messageId"),
        ("/messagePayload/message/messageHeader/generatingSystem/root", f"{A}/generatingSystem/root"),
        ("/messagePayload/message/messageHeader/recipient/recipientID/extension", f"{A}/recipient"),
        ("/messagePayload/message/messageHeader/sender/senderID", f"{A}/sender"),
        (
            "/messagePayload/message/messageHeader/sender/attention/subOrganization/organizationId/extension",
            f"{A}/senderAttention/subOrganization/extension",
        ),
        (
            "/messagePayload/message/messageHeader/recipient/attention/person[2]/personId/root",
            f"{A}/recipientAttention/attentionPerson/1/root",
        ),
        (
            "/messagePayload/message/messageHeader/recipient/attention/reference/referenceId/extension",
            f"{A}/recipientAttention/referenceId/0/extension",
        ),
        ("/messagePayload/message/messageBody", A),
        (
            "/messagePayload/message/messageBody/documents[3]/ContentFiles[2]/contentType",
            f"{A}/digitalDocument/2/contentFiles/1/contentType",
        ),
        (
            "/messagePayload/message/messageBody/documents/ContentText/characterSequence",
            f"{A}/digitalDocument/0/contentTextBody/0",
        ),
        ("/messagePayload/message/messageBody/documents/documentID", f"{A}/digitalDocument/0/documentId"),
    ],
)
def test_a_place_in_the_message_is_one_in_the_document(path: str, place: str) -> None:
    assert pointer(path) == place


def test_every_place_that_a_rule_can_name_is_one_of_the_contract() -> None:
    """The test uses a message with every element blank, so that each rule is broken."""
    blank = replace(FULL, documents=tuple(replace(one, name="", texts=("",)) for one in FULL.documents))
    for finding in sdkmessage.prepare(blank).findings:
        steps = pointer(finding.path).split("/")
        inside: object = contract.CREATE
        for step in steps[1:]:
            assert not isinstance(inside, contract.Text)
            inside = inside.each if isinstance(inside, contract.Many) else inside.known[step]  # type: ignore[attr-defined]


def test_a_finding_keeps_its_codes_and_words() -> None:
    (finding,) = sdkmessage.prepare(drafted(label="å" * 257)).findings
    assert placed(finding) == replace(finding, path=f"{A}/label")
    assert isinstance(finding, Finding)
