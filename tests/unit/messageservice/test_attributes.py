"""Attributes of messages in a list, sealed with their record, in the form of interface D."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from samdrift.messageservice.attributes import attributes, of_record
from samdrift.wire.sdkmessage import SdkMessage
from tests.unit.wire.sdkmessage.samples import FULL, RECIPIENT
from tests.vaults import message


def unit(said: SdkMessage) -> Any:
    return json.loads(attributes(said))["recipientAttention"]["subOrganization"]


@pytest.mark.parametrize("label", ["Socialtjänsten", "", None])
def test_the_label_of_a_functional_address_is_shown_where_the_message_has_one(label: str | None) -> None:
    assert RECIPIENT.attention is not None
    attention = replace(RECIPIENT.attention, sub_organisation_label=label)
    shown = unit(replace(FULL, recipient=replace(RECIPIENT, attention=attention)))
    assert shown.get("label", None) == label
    assert ("label" in shown) is (label is not None)


def test_texts_are_kept_as_they_are_read() -> None:
    """A Swedish letter takes two bytes in the vault and in lists, not six, and there is no padding."""
    kept = attributes(FULL)
    assert f'"label":"{FULL.label}"' in kept
    assert "Socialtjänsten" in kept
    assert '"label":"å"' in of_record(replace(message(), attributes="", label="å"))
