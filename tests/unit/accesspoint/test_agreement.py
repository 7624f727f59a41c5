"""component-accesspoint 3.1.6: AS4 header and envelope must have the same values."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samdrift.accesspoint.agreement import Disagreement, compare, participant
from samdrift.wire.as4 import UserMessage, user_message
from samdrift.wire.identifiers import (
    FEDERATION_SDK,
    FEDERATION_TEST,
    RECEIPT_EXTENDED,
    ParticipantIdentifier,
    ProcessIdentifier,
)
from samdrift.wire.profile import AS4_1_2
from tests.roles.letters import header

ENVELOPE = header(ParticipantIdentifier("0203:a.se"), ParticipantIdentifier("0203:b.se"))


def message(**changes: str) -> UserMessage:
    """Return the AS4 header that matches the envelope, with ``changes``."""
    says = {
        "message_id": "m@p",
        "from_party": "AP0001-SDK-TEST",
        "to_party": "AP0002-SDK-TEST",
        "action": ENVELOPE.document.action,
        "service": ENVELOPE.process.value,
        "service_type": ENVELOPE.process.scheme,
        "conversation_id": "c",
        "original_sender": "0203:a.se",
        "final_recipient": "0203:b.se",
    } | changes
    return user_message(AS4_1_2, timestamp=datetime.now(UTC), **says)


def test_they_agree() -> None:
    assert compare(message(), ENVELOPE, FEDERATION_TEST) == ()


def test_participants_are_compared_without_regard_to_case() -> None:
    assert compare(message(final_recipient="0203:B.se"), ENVELOPE, FEDERATION_TEST) == ()


@pytest.mark.parametrize(
    ("changes", "differs"),
    [
        ({"final_recipient": "0203:c.se"}, Disagreement.RECIPIENT),
        ({"final_recipient": ""}, Disagreement.RECIPIENT),
        ({"original_sender": "0203:c.se"}, Disagreement.SENDER),
        ({"original_sender": "a.se"}, Disagreement.SENDER),
        ({"action": RECEIPT_EXTENDED.action}, Disagreement.ACTION),
        ({"action": ENVELOPE.document.value}, Disagreement.ACTION),
        ({"service": "other"}, Disagreement.SERVICE),
        ({"service_type": "other"}, Disagreement.SERVICE),
    ],
)
def test_3_1_6_a_b_c_each_difference_is_named(changes: dict[str, str], differs: Disagreement) -> None:
    """Clauses: component-accesspoint 3.1.6 a, b, c."""
    assert compare(message(**changes), ENVELOPE, FEDERATION_TEST) == (differs,)


def test_2_10_e_another_federation() -> None:
    """Clauses: envelope-profile-xhe 2.1 sentence 1; transport-profile-as4 2.10 e."""
    assert compare(message(), ENVELOPE, FEDERATION_SDK) == (Disagreement.FEDERATION,)


def test_an_absent_property_agrees_with_nothing() -> None:
    bare = replace(message(), properties=())
    assert compare(bare, ENVELOPE, FEDERATION_TEST) == (Disagreement.RECIPIENT, Disagreement.SENDER)


def test_an_absent_service_type_is_not_the_process_scheme() -> None:
    bare = replace(message(), service_type=None)
    assert compare(bare, ENVELOPE, FEDERATION_TEST) == (Disagreement.SERVICE,)


def test_all_differences_are_named_at_once() -> None:
    other = message(
        final_recipient="0203:c.se", original_sender="0203:c.se", action="x", service="x", service_type="x"
    )
    envelope = replace(ENVELOPE, process=ProcessIdentifier("y"))
    assert compare(other, envelope, FEDERATION_SDK) == tuple(Disagreement)


@given(st.text(max_size=60))
def test_whatever_a_property_says_it_names_a_participant_or_none(value: str) -> None:
    found = participant(value)
    assert found is None or found == ParticipantIdentifier.parse(value)


def test_a_federation_is_the_same_when_it_reads_the_same() -> None:
    """Federations are compared by value: the envelope's text is another object than the configuration's."""
    envelope = replace(ENVELOPE, federation=bytes(FEDERATION_TEST, "utf-8").decode())
    assert compare(message(), envelope, FEDERATION_TEST) == ()
