"""The PyPI package ``as4`` as an access point, driven over standard input and output.

It runs in an environment of its own, and exchanges JSON objects, one per line, with bytes in base64. It does
not know Samdrift, and reports only what the package itself does.
"""

from __future__ import annotations

import base64
import json
import sys
from typing import Any

from as4.core.common import AS4ExternalParty, AS4InternalParty, AS4LocalPrivateKey
from as4.core.context import AS4ParseContext, SecurityPolicy
from as4.core.exchange import AS4SendingExchange
from as4.core.message import AS4Message
from as4.core.receipt import AS4Receipt
from as4.core.trust import pinned_certificates
from as4.errors import BaseProfileLevelException, ReceiptVerificationError
from as4.peppol import (
    BusdoxDocidQnsDocumentIdentifier,
    PeppolAS4MessageBuilderArgs,
    PeppolAS4Profile,
    create_peppol_external_party,
    create_peppol_internal_party,
)
from as4.utils.mime_handler import MIMEHandler
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

Answer = dict[str, Any]


class Peer:
    """An access point with its key, and the one with which it exchanges messages."""

    def __init__(self, name: str, key: str, certificate: str, other: str, other_certificate: str) -> None:
        private_key = AS4LocalPrivateKey(load_pem_private_key(key.encode(), None))
        self._trusted = x509.load_pem_x509_certificate(other_certificate.encode())
        own = x509.load_pem_x509_certificate(certificate.encode())
        self._local: AS4InternalParty = create_peppol_internal_party(name, own, private_key)
        self._remote: AS4ExternalParty = create_peppol_external_party(other, self._trusted)
        self._sent: dict[str, AS4SendingExchange[Any, Any, Any]] = {}

    def send(self, payload: str) -> Answer:
        """Build a message, and remember its signature."""
        exchange = AS4SendingExchange(
            profile=PeppolAS4Profile, local_party=self._local, remote_party=self._remote
        )
        identifier = "urn:oasis:names:specification:ubl:schema:xsd:Invoice-2::Invoice##urn:x::2.1"
        arguments = PeppolAS4MessageBuilderArgs(
            sender="0203:sender.example",
            recipient="0203:receiver.example",
            document_type_identifier=BusdoxDocidQnsDocumentIdentifier.from_identifier_value(identifier),
            document_identification_instance_identifier="instance-1",
            process_identifier="bdx:noprocess",
            c1_country_id="SE",
        )
        headers, body = exchange.build(_bytes(payload), arguments)
        self._sent[exchange.message_id] = exchange
        return {
            "message_id": exchange.message_id,
            "content_type": headers["Content-Type"],
            "body": _text(body),
        }

    def take_signal(self, message_id: str, body: str) -> Answer:
        """Process the response to a sent message."""
        exchange = self._sent[message_id]
        try:
            exchange.receive_signal(_bytes(body))
        except ReceiptVerificationError as error:
            return {"state": exchange.state, "refused": str(error)}
        errors = [{"code": error.error_code, "severity": error.severity} for error in exchange.errors]
        return {"state": exchange.state, "errors": errors}

    def receive(self, content_type: str, body: str) -> Answer:
        """Read a message with the core of the package, which has no profile, and respond to it."""
        raw = MIMEHandler.payload_from_request({"Content-Type": content_type}, _bytes(body))
        soap, attachments = PeppolAS4Profile.unpack_message(raw)
        policy = SecurityPolicy(signer_resolver=pinned_certificates(self._trusted))
        context = AS4ParseContext(local_party=self._local, security_policy=policy)
        message = AS4Message.parse(context, soap, attachments)
        _, answer = AS4Receipt.for_message(message, self._local).get_request_data()
        refused = message.parse_error
        return {
            "refused": f"{refused.error_code} {refused.detail}" if refused else None,
            "message_id": message.message_id,
            "parts": {name: _text(data) for name, data in message.decrypted_data.items()},
            "signer": message.signer_certificate and message.signer_certificate.serial_number,
            "answer": _text(answer),
        }

    def refuse(self, message_id: str, detail: str) -> Answer:
        """Build an error signal of the package's own."""
        error = BaseProfileLevelException(detail)
        error.description = "refused"
        signal = AS4Receipt.create_error_signal_from_exception(
            error, self._local, referenced_message_id=message_id, referenced_messaging_id="x"
        )
        _, answer = signal.get_request_data()
        return {"answer": _text(answer)}


def _bytes(value: str) -> bytes:
    return base64.b64decode(value)


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")


def main() -> None:
    peer = Peer(**json.loads(sys.stdin.readline()))
    for line in sys.stdin:
        request = json.loads(line)
        answer = getattr(peer, request.pop("call"))(**request)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
