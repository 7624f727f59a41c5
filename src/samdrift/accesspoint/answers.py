"""What the access point answers over AS4: signed receipts and errors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from samdrift.wire.as4 import As4Fault, Response, SignedReference, build_error, build_receipt, new_message_id
from samdrift.wire.ebms import UserMessage
from samdrift.wire.keys import Random, SigningKey


class Answers:
    """Signs every answer with the access point's own key (transport-profile-as4 2.10)."""

    def __init__(self, key: SigningKey, domain: str, rng: Random) -> None:
        self._key = key
        self._new_id: Callable[[], str] = lambda: new_message_id(rng, domain)

    def receipt(self, message: UserMessage, references: Sequence[SignedReference], now: datetime) -> Response:
        """A receipt with non-repudiation information for every signed part."""
        return build_receipt(
            user_message=message,
            references=references,
            message_id=self._new_id(),
            now=now,
            signer=self._key,
        )

    def error(self, fault: As4Fault, now: datetime) -> Response:
        """An error signal; its detail says what was wrong and never what the message held."""
        return build_error(fault.as_error(), message_id=self._new_id(), now=now, signer=self._key)
