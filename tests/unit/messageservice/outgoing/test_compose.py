"""content-specification 4.3.2: composed messages are accepted messages."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samdrift.messageservice.outgoing.compose import (
    Address,
    Attachment,
    Draft,
    complete,
    compose,
    compose_each,
    reply,
)
from samdrift.wire import sdkmessage
from samdrift.wire.errors import WireError
from samdrift.wire.identifiers import ParticipantIdentifier
from samdrift.wire.sdkmessage import Ii, Reference, SdkMessage
from tests.official import requires_digg, schema_errors, schematron_errors

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
CASE = Reference(Ii("urn:example:case", "2026-17"), "Ärende")
HERE = Address(ParticipantIdentifier("0203:a.se"), "A", "sdk.a", "Registrator", (CASE,))
THERE = Address(ParticipantIdentifier("0203:b.se"), "B", "sdk.b", "Socialtjänst")
DRAFT = Draft("Fråga", "# Hej\n\n*text*", (Attachment("a.pdf", "application/pdf", b"%PDF-1.4"),))


def opening() -> SdkMessage:
    return compose(DRAFT, HERE, THERE, message_id=str(uuid4()), at=NOW)


def test_a_message_that_opens_a_conversation_gives_it_its_own_id() -> None:
    message = opening()
    assert message.conversation_id == message.message_id
    assert message.ref_to_message_id is None
    assert message.created == "2026-03-02T12:00:00.000Z"


def test_a_message_says_what_the_draft_says() -> None:
    message = opening()
    (document,) = message.documents
    assert (message.label, message.confidentiality) == (DRAFT.label, DRAFT.confidentiality)
    assert document.texts == (DRAFT.text,)
    assert [(one.name, one.content_type, one.data()) for one in document.files] == [
        ("a.pdf", "application/pdf", b"%PDF-1.4")
    ]


@requires_digg
def test_what_is_composed_is_valid_by_the_official_rules() -> None:
    """Clauses: certpub-rest-binding 3.2 step 1."""
    answer = reply(DRAFT, THERE, opening(), message_id=str(uuid4()), at=NOW)
    for message in (opening(), answer):
        data = sdkmessage.build(message)
        assert sdkmessage.validate(data) == ()
        assert schema_errors("sdk-message", data) == []
        assert schematron_errors("sdk-message", data) == []


def test_4_3_2_a_reply_stays_in_the_conversation_and_refers_to_its_message() -> None:
    """Clauses: architecture-sad 4.3.7.1 sentence 1; content-specification 4.3.2 sentence 6."""
    original = opening()
    answer = reply(DRAFT, THERE, original, message_id=str(uuid4()), at=NOW)
    assert answer.conversation_id == original.conversation_id
    assert answer.ref_to_message_id == original.message_id
    assert answer.message_id != original.message_id
    assert (answer.recipient.id, answer.sender.id) == (original.sender.id, original.recipient.id)


def test_4_3_2_3_the_other_sides_references_are_returned() -> None:
    """Clauses: content-specification 4.3.2.3 sentence 4."""
    answer = reply(DRAFT, THERE, opening(), message_id=str(uuid4()), at=NOW)
    assert answer.recipient.attention is not None
    assert answer.recipient.attention.references == (CASE,)
    assert answer.recipient.attention.sub_organisation.extension == HERE.functional_address


def test_there_is_no_reply_to_nobody() -> None:
    original = opening()
    nobody = SdkMessage(
        **{name: getattr(original, name) for name in SdkMessage.__slots__ if name != "sender"},
        sender=sdkmessage.Party(original.sender.id),
    )
    with pytest.raises(ValueError, match="no functional address"):
        reply(DRAFT, THERE, nobody, message_id=str(uuid4()), at=NOW)


def test_a_completion_refers_to_its_message_and_goes_where_that_went() -> None:
    """architecture-sad 5.3.7.7.

    Clauses: architecture-sad 4.3.7.1 sentence 1; content-specification 4.3.2 sentence 6.
    """
    original = opening()
    for _ in range(2):
        more = complete(DRAFT, HERE, original, message_id=str(uuid4()), at=NOW)
        assert more.conversation_id == original.conversation_id
        assert more.ref_to_message_id == original.message_id
        assert more.message_id != original.message_id
        assert (more.sender, more.recipient) == (original.sender, original.recipient)


def test_several_recipients_get_a_message_each_and_cannot_tell() -> None:
    """architecture-sad 5.3.7.8."""
    other = Address(ParticipantIdentifier("0203:c.se"), "C", "sdk.c", "Registrator")
    first, second = compose_each(DRAFT, HERE, [THERE, other], new_id=lambda: str(uuid4()), at=NOW)
    assert [one.recipient.id.extension for one in (first, second)] == ["0203:b.se", "0203:c.se"]
    ids = [first.message_id, second.message_id, first.conversation_id, second.conversation_id]
    assert len(set(ids)) == 2
    assert b"0203:c.se" not in sdkmessage.build(first)
    assert first.documents == second.documents


@settings(max_examples=50, deadline=None)
@given(label=st.text(st.characters(codec="utf-8"), max_size=80), text=st.text(max_size=200))
def test_whatever_somebody_writes_a_message_is_valid_or_refused_with_findings(label: str, text: str) -> None:
    """A character that XML cannot contain causes a typed error, never another one."""
    message = compose(Draft(label, text), HERE, THERE, message_id=str(uuid4()), at=NOW)
    try:
        data = sdkmessage.build(message)
    except WireError:
        return
    if not sdkmessage.validate(data):
        assert sdkmessage.parse(data).label == label
