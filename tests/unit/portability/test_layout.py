"""The largest records that an organisation can have fit in a page of an export."""

from __future__ import annotations

import json
from typing import Any

import pytest

from samdrift.messageclient import content
from samdrift.portability import layout
from samdrift.vault.portability.mailparts import _text
from samdrift.wire.sdkmessage.rules import MAX_BYTES

_CHARACTERS = ('"', "\\", "\n", "a", "\u00e5", "\u20ac", "\U0001f600")
_ROOM = 1 << 20
"""Bytes for everything in a record except the texts that another organisation wrote."""


def line(**facts: Any) -> int:
    return len(layout.write_page([layout.Record(facts, {})]))


@pytest.mark.parametrize("character", _CHARACTERS)
def test_a_message_of_any_characters_fits_in_a_page(character: str) -> None:
    """Its attributes are a text of JSON in the JSON of its line."""
    number = 1000
    attributes = json.dumps({"label": character * number}, ensure_ascii=False)
    taken = (line(attributes=attributes) - line(attributes=json.dumps({"label": ""}))) / number
    # XML cannot contain a control character, and writes others in at least as many bytes as UTF-8.
    assert taken / len(character.encode()) * MAX_BYTES + _ROOM < layout.MOST_PAGE


@pytest.mark.parametrize("character", [*_CHARACTERS, "\x01"])
def test_a_delivery_with_the_longest_steps_fits_in_a_page(character: str) -> None:
    text, number = character * (content._MAX_LABEL + 1), 5
    step = {"dateTime": "2026-03-02T12:00:00Z", "typeCode": text, "title": text, "detail": text}
    steps = content.events({"events": [step] * number})
    assert len(steps) == number
    delivery = _text(content.delivery_content("sent", steps))
    assert line(delivery=delivery) * content._MAX_EVENTS / number + _ROOM < layout.MOST_PAGE
