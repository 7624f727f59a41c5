"""AS4 in memory: pack, unpack and verify, build the receipt, verify it, for an envelope of 10 kB."""

from __future__ import annotations

import base64
import hashlib
import os
from dataclasses import dataclass, field
from datetime import UTC, datetime

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256

from bench.identities import Identity, new_identity
from bench.measure import Row, measure
from samdrift.wire.as4 import (
    ReceiptSignal,
    UserMessage,
    build_receipt,
    new_message_id,
    pack,
    read_message,
    read_response,
    user_message,
    verify_receipt,
)
from samdrift.wire.crypto.keys import Oaep
from samdrift.wire.identifiers import NO_PROCESS, SDK_MESSAGE_EXTENDED
from samdrift.wire.profile import AS4_1_0

BAR = 1.6
_PAYLOAD_SIZE = 10_000
_HEADER_SIZE = 2_000
"""Approximate number of bytes of the SOAP header that are hashed."""


def row() -> Row:
    """Measure the work of both access points on one message, against its bare cryptography."""
    exchange = _Exchange()
    return measure("as4", exchange.floor, exchange.work, bar=BAR)


@dataclass
class _Exchange:
    sender: Identity = field(default_factory=lambda: new_identity("AP-A"))
    receiver: Identity = field(default_factory=lambda: new_identity("AP-B"))
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    payload: bytes = base64.b64encode(os.urandom(_PAYLOAD_SIZE * 3 // 4))
    """Base64 of random bytes, like an envelope with encrypted content."""

    def __post_init__(self) -> None:
        self.message = self._message()
        self._keys = [_rsa(self.sender), _rsa(self.receiver)]
        self._compressed = os.urandom(_PAYLOAD_SIZE * 3 // 4)
        self._header = os.urandom(_HEADER_SIZE)

    def work(self) -> None:
        packed = pack(
            self.message,
            self.payload,
            signer=self.sender.signing,
            recipient=self.receiver.certificate,
            rng=os.urandom,
        )
        received = read_message(
            packed.content_type,
            packed.body,
            self.receiver.decryption,
            candidates=[self.sender.certificate],  # a known peer
        )
        response = build_receipt(
            user_message=received.header.user_message,
            references=received.references,
            message_id=new_message_id(os.urandom, "ap.example"),
            now=self.now,
            signer=self.receiver.signing,
        )
        signal = read_response(response.content_type, response.body)
        if not isinstance(signal, ReceiptSignal):
            raise TypeError("an error came back")
        verdict = verify_receipt(
            signal,
            message_id=self.message.message_id,
            sent=[packed.references],
            expected=self.receiver.certificate,
        )
        if not verdict.valid or received.payload != self.payload:
            raise ValueError("the exchange did not succeed")

    def floor(self) -> None:
        """Make and verify two signatures, wrap and unwrap a key, encrypt and decrypt the content."""
        sender, receiver = self._keys
        session_key, vector = os.urandom(16), os.urandom(12)
        ciphertext = AESGCM(session_key).encrypt(vector, self._compressed, None)
        wrapped = receiver.encrypt(session_key, Oaep.SHA256.padding)
        signature = self.sender.signing.sign(self._header)
        sender.verify(signature, self._header, PKCS1v15(), SHA256())
        AESGCM(self.receiver.decryption.unwrap(wrapped, Oaep.SHA256)).decrypt(vector, ciphertext, None)
        receipt = self.receiver.signing.sign(self._header)
        receiver.verify(receipt, self._header, PKCS1v15(), SHA256())
        for _ in range(2):
            hashlib.sha256(self._compressed).digest()
            hashlib.sha256(self._header).digest()

    def _message(self) -> UserMessage:
        return user_message(
            AS4_1_0,
            message_id=new_message_id(os.urandom, "ap.example"),
            timestamp=self.now,
            from_party="AP-A",
            to_party="AP-B",
            action=SDK_MESSAGE_EXTENDED.action,
            service=NO_PROCESS.value,
            service_type=NO_PROCESS.scheme,
            conversation_id=new_message_id(os.urandom, "ap.example"),
            original_sender="0203:sender.example",
            final_recipient="0203:receiver.example",
        )


def _rsa(identity: Identity) -> RSAPublicKey:
    key = identity.certificate.public_key()
    if not isinstance(key, RSAPublicKey):
        raise TypeError("not an RSA key")
    return key
