"""DIGG's test data, sent by a peer: the receipt must be the one that the data were made for."""

from __future__ import annotations

from uuid import uuid4

import pytest

from samdrift.contracts.messages import Direction, MessageStatus
from samdrift.wire.codes import ReceiptStatus
from tests.official import DIGG, requires_digg
from tests.roles.stage import Stage

pytestmark = requires_digg

_HEADER = "/messagePayload/message/messageHeader"


@pytest.mark.parametrize(
    ("file", "message_id", "found"),
    [
        ("min.xml", "3a94b4ed-a6d7-41e2-945d-b3fa91e8a6e9", set()),
        (
            "TF2.4.1.xml",
            "232cd54e-5aab-4518-b35c-d81bb053a590",
            {
                ("SV", "structure", f"{_HEADER}/creationDateTime"),
                ("BV", "invariant", f"{_HEADER}/creationDateTime"),
                ("BV", "invariant", f"{_HEADER}/conversationId"),
            },
        ),
    ],
)
async def test_the_receipt_for_diggs_data(
    stage: Stage, file: str, message_id: str, found: set[tuple[str, str, str]]
) -> None:
    agency, peer, new_id = stage.agency, stage.peer(), str(uuid4())
    data = (DIGG / "testdata" / file).read_text()
    for theirs, ours in {
        message_id: new_id,
        "0203:test.sender.inera.se": peer.address.organisation.value,
        "0203:test.recipient.inera.se": agency.organisation.value,
        ">test.function<": f">{agency.address.functional_address}<",
    }.items():
        assert theirs in data
        data = data.replace(theirs, ours)
    letter = peer.letter(agency, message_id=new_id)
    await peer.posts(peer.seals(letter, agency, payload=data.encode()), agency)
    (receipt,) = await peer.message_receipts(new_id)
    assert {(one.reason.value, one.detail, one.path) for one in receipt.findings} == found
    if found:
        assert receipt.status is ReceiptStatus.REJECTED
        return
    assert receipt.status is ReceiptStatus.ACCEPTED
    assert await agency.ends(new_id, Direction.IN) is MessageStatus.NEW
    told = await stage.client(agency).reads(new_id)
    assert (told["label"], told["creationDateTime"]) == ("Printerpapper", "2019-08-22T07:27:15.433Z")
    (person,) = told["senderAttention"]["attentionPerson"]
    assert person == {"root": "personnr", "extension": "19121212-1212", "label": ""}
    (one,) = told["digitalDocument"]
    assert one["contentTextBody"] == ["Teststring"]
