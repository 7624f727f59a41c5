"""What the access point answers over AS4: signed receipts and errors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from cryptography import x509

from samdrift.accesspoint.ownkeys import CurrentKeys
from samdrift.wire.as4 import As4Fault, Response, SignedReference, build_error, build_receipt, new_message_id
from samdrift.wire.crypto.keys import Random
from samdrift.wire.ebms import UserMessage


class Answers:
    """Signs every answer with the access point's own keys (transport-profile-as4 2.10)."""

    def __init__(self, keys: CurrentKeys, domain: str, rng: Random) -> None:
        self._keys = keys
        self._new_id: Callable[[], str] = lambda: new_message_id(rng, domain)

    def receipt(
        self,
        message: UserMessage,
        references: Sequence[SignedReference],
        addressed: x509.Certificate,
        now: datetime,
    ) -> Response:
        """A receipt with non-repudiation information for every signed part.

        ``addressed`` is the certificate of ours that the message was encrypted for.

        Clauses: content-specification 2.1 step 1; transport-model-base 3.3.1 step 10, step 19, 3.3.2 step 10,
        step 19; transport-model-extended 3.3.1 step 13, step 25, 3.3.2 step 14, step 25.
        """
        return build_receipt(
            user_message=message,
            references=references,
            message_id=self._new_id(),
            now=now,
            signer=self._keys().of(addressed),
        )

    def error(self, fault: As4Fault, now: datetime) -> Response:
        """An error signal; its detail says what was wrong and never what the message held."""
        return build_error(fault.as_error(), message_id=self._new_id(), now=now, signer=self._keys().newest)
