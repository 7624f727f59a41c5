"""Our messages match the processing mode that DIGG publishes for a Domibus (``digg/domibus/p-mode.xml``).

A Domibus refuses other messages with EBMS:0010. Its security policies are part of the Domibus and not of the
file; it has been observed that they refuse a ``wsu:Timestamp``.
"""

from __future__ import annotations

from datetime import timedelta
from functools import cache
from typing import Any

from lxml import etree

from samdrift.wire.identifiers import RECEIPT_EXTENDED, SDK_MESSAGE_EXTENDED
from samdrift.wire.profile import AS4_1_0
from tests.official import DIGG, requires_digg
from tests.settings import retry_policy
from tests.unit.wire.as4.parties import message

pytestmark = requires_digg


@cache
def mode() -> Any:
    """Return the parsed file without the comment before its XML declaration, which makes it invalid XML."""
    text = (DIGG / "domibus/p-mode.xml").read_bytes()
    return etree.fromstring(text[text.index(b"<?xml") :])


def values(path: str) -> set[str]:
    return {str(found) for found in mode().xpath(path)}


def test_2_3_1_roles_and_party_types_are_those_of_the_published_mode() -> None:
    sent = message()
    assert values("//partyIdType/@value") == {sent.from_party_type} == {sent.to_party_type}
    assert values("//role[@name='defaultInitiatorRole']/@value") == {sent.from_role}
    assert values("//role[@name='defaultResponderRole']/@value") == {sent.to_role}


def test_2_3_1_service_and_actions_are_those_of_the_published_mode() -> None:
    sent = message()
    assert values("//service/@value") == {sent.service}
    assert values("//service/@type") == {sent.service_type}
    assert values("//action/@value") == {SDK_MESSAGE_EXTENDED.action, RECEIPT_EXTENDED.action}


def test_2_3_1_the_payload_is_the_one_that_the_published_mode_requires() -> None:
    (part,) = message().parts
    required = "//payloadProfiles/payload[@required='true']"
    assert values(f"{required}/@cid") == {part.href} == {f"cid:{AS4_1_0.payload_content_id}"}
    assert values(f"{required}/@mimeType") == {part.property("MimeType")}


def test_2_3_1_the_message_properties_are_those_of_the_published_mode() -> None:
    assert values("//property/@key") == {entry.name for entry in message().properties}


def test_3_2_5_attempts_and_their_time_are_those_of_the_published_mode() -> None:
    (awareness,) = values("//receptionAwareness/@retry")
    minutes, attempts, kind = awareness.split(";")
    policy = retry_policy()
    assert (policy.attempts, kind) == (int(attempts), "CONSTANT")
    assert policy.interval * (policy.attempts - 1) == timedelta(minutes=int(minutes))
