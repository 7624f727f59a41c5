"""The log entry of a message names the transport profile whose values it had, even if it is unknown."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from samdrift.accesspoint.facts import profile_facts
from samdrift.wire.as4 import UserMessage, user_message
from samdrift.wire.identifiers import PARTICIPANT_SCHEME
from samdrift.wire.profile import AS4_1_0, AS4_1_2, PROFILES, TransportProfile
from tests import pki

KNOWN = tuple(PROFILES.values())


def sent(profile: TransportProfile, **changes: Any) -> UserMessage:
    message = user_message(
        profile,
        message_id="m@ap.test",
        timestamp=pki.NOW,
        from_party="AP0001-SDK-TEST",
        to_party="AP0002-SDK-TEST",
        action="a",
        service="s",
        service_type="t",
        conversation_id="c",
        original_sender="0203:a.se",
        final_recipient="0203:b.se",
    )
    return replace(message, **changes)


def typed(*types: str | None) -> dict[str, Any]:
    properties = sent(AS4_1_0).properties
    return {"properties": tuple(replace(one, type=kind) for one, kind in zip(properties, types, strict=True))}


@pytest.mark.parametrize(
    ("message", "roles", "types"),
    [
        (sent(AS4_1_0), AS4_1_0.identifier, AS4_1_0.identifier),
        (sent(AS4_1_2), AS4_1_2.identifier, AS4_1_2.identifier),
        (
            sent(AS4_1_2, **typed(PARTICIPANT_SCHEME, PARTICIPANT_SCHEME)),
            AS4_1_2.identifier,
            AS4_1_0.identifier,
        ),
        (sent(AS4_1_0, **typed(None, None)), AS4_1_0.identifier, "none"),
        (sent(AS4_1_0, **typed(None, PARTICIPANT_SCHEME)), AS4_1_0.identifier, "other"),
        (sent(AS4_1_0, to_role="urn:x", **typed("urn:x", "urn:x")), "other", "other"),
        (sent(AS4_1_0, to_role=AS4_1_2.responder_role), "other", AS4_1_0.identifier),
    ],
)
def test_2_3_1_the_profiles_of_roles_and_property_types_are_named(
    message: UserMessage, roles: str, types: str
) -> None:
    assert profile_facts(message, KNOWN) == {"roles": roles, "property_types": types}


def test_2_3_1_what_an_operator_set_of_a_profile_is_known() -> None:
    own = replace(AS4_1_2, initiator_role="urn:own", responder_role="urn:own", property_type="urn:own")
    found = profile_facts(sent(own), (own, *KNOWN))
    assert found == {"roles": AS4_1_2.identifier, "property_types": AS4_1_2.identifier}
