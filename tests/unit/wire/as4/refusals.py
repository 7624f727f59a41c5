"""Helpers to examine acceptance and refusal of messages in tests."""

from __future__ import annotations

import pytest

from samdrift.wire.as4 import As4Fault, As4Limits, EbmsErrorCode, ReceivedMessage, read_message
from tests.unit.wire.as4.crafting import Crafted
from tests.unit.wire.as4.parties import decryption, receiver, sender

LIMITS = As4Limits()


def accepted(crafted: Crafted, limits: As4Limits = LIMITS) -> ReceivedMessage:
    """Return the message as read by its receiver, who knows its sender."""
    content_type, body = crafted.build()
    return read_message(content_type, body, decryption(receiver()), limits, candidates=[sender().certificate])


def refusal(crafted: Crafted, limits: As4Limits = LIMITS) -> tuple[EbmsErrorCode, str]:
    """Return the code and the text with which the message is refused."""
    with pytest.raises(As4Fault) as caught:
        accepted(crafted, limits)
    return caught.value.error, caught.value.detail
