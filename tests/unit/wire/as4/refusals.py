"""How a refusal is looked at in the tests."""

from __future__ import annotations

import pytest

from samdrift.wire.as4 import As4Fault, As4Limits, EbmsErrorCode, ReceivedMessage, read_message
from tests.unit.wire.as4.crafting import Crafted
from tests.unit.wire.as4.parties import decryption, receiver, sender

LIMITS = As4Limits()


def accepted(crafted: Crafted, limits: As4Limits = LIMITS) -> ReceivedMessage:
    """The message as it is read by its receiver, who knows its sender."""
    content_type, body = crafted.build()
    return read_message(content_type, body, decryption(receiver()), limits, candidates=[sender().certificate])


def refusal(crafted: Crafted, limits: As4Limits = LIMITS) -> tuple[EbmsErrorCode, str]:
    """The code and the text that the message is refused with."""
    with pytest.raises(As4Fault) as caught:
        accepted(crafted, limits)
    return caught.value.error, caught.value.detail
