"""The envelope in memory: validate, encrypt, sign, then verify, decrypt, validate a message of 10 kB."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import uuid4

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.hashes import SHA256

from bench.identities import Identity, new_identity
from bench.measure import Row, measure
from samdrift.wire import sdkmessage
from samdrift.wire.crypto.keys import Oaep
from samdrift.wire.envelope import EnvelopeHeader, seal, verify
from samdrift.wire.identifiers import (
    FEDERATION_TEST,
    FUNCTIONAL_ADDRESS_ROOT,
    NO_PROCESS,
    PARTICIPANT_SCHEME,
    SDK_MESSAGE_EXTENDED,
    ParticipantIdentifier,
)
from samdrift.wire.sdkmessage import Attention, Document, Ii, Party, SdkMessage
from samdrift.wire.xml import Namespace

BAR = 2.0
_ATTACHMENT_SIZE = 6_000
"""Bytes of an attachment that makes a message of 10 kB, with base64 and the rest of the message."""

_SIGNED_INFO_SIZE = 900
_ADDRESS = "sdk.inkorg"
_SENDER = ParticipantIdentifier("0203:sender.example")
_RECIPIENT = ParticipantIdentifier("0203:receiver.example")


def row() -> Row:
    """Measure the work of both message services on one envelope, against its bare cryptography."""
    exchange = _Exchange()
    return measure("envelope", exchange.floor, exchange.work, bar=BAR)


@dataclass
class _Exchange:
    sender: Identity = field(default_factory=lambda: new_identity("sender.example"))
    receiver: Identity = field(default_factory=lambda: new_identity("receiver.example"))
    message_id: str = field(default_factory=lambda: str(uuid4()))

    def __post_init__(self) -> None:
        self.payload = sdkmessage.build(self._message())
        self.header = self._header()
        self._signer, self._recipient = _rsa(self.sender), _rsa(self.receiver)
        self._envelope = os.urandom(len(self._seal()))
        self._padded = os.urandom(len(self.payload) + 16 - len(self.payload) % 16)
        self._signed_info = os.urandom(_SIGNED_INFO_SIZE)

    def work(self) -> None:
        if sdkmessage.validate(self.payload):
            raise ValueError("the message is not valid")
        envelope = verify(self._seal()).envelope
        if envelope is None:
            raise ValueError("the envelope does not verify")
        payload = envelope.payload([self.receiver.decryption])
        if sdkmessage.validate(payload) or len(payload) < _ATTACHMENT_SIZE:
            raise ValueError("the message is not valid")

    def floor(self) -> None:
        """Make and verify a signature, wrap and unwrap a key, encrypt and decrypt the payload."""
        key, vector = os.urandom(32), os.urandom(16)
        wrapped = self._recipient.encrypt(key, Oaep.SHA1.padding)
        encryptor = Cipher(AES(key), CBC(vector)).encryptor()
        ciphertext = encryptor.update(self._padded) + encryptor.finalize()
        hashlib.sha256(self._envelope).digest()
        signature = self.sender.signing.sign(self._signed_info)
        self._signer.verify(signature, self._signed_info, PKCS1v15(), SHA256())
        hashlib.sha256(self._envelope).digest()
        key = self.receiver.decryption.unwrap(wrapped, Oaep.SHA1)
        decryptor = Cipher(AES(key), CBC(vector)).decryptor()
        _ = decryptor.update(ciphertext) + decryptor.finalize()

    def _seal(self) -> bytes:
        return seal(
            self.header,
            self.payload,
            signer=self.sender.signing,
            recipient=self.receiver.certificate,
            rng=os.urandom,
        )

    def _header(self) -> EnvelopeHeader:
        return EnvelopeHeader(
            id=self.message_id,
            created=datetime.now(UTC),
            sender=_SENDER,
            recipient=_RECIPIENT,
            document=SDK_MESSAGE_EXTENDED,
            process=NO_PROCESS,
            federation=FEDERATION_TEST,
            document_type_code=f"Q{{{Namespace.SDK_MESSAGE}}}messagePayload",
            content_type_code="application/xml",
            handling_service_id=_ADDRESS,
            encrypted=True,
        )

    def _message(self) -> SdkMessage:
        attention = Attention(Ii(FUNCTIONAL_ADDRESS_ROOT, _ADDRESS), "Inkorg", (), ())
        file = sdkmessage.file_from_bytes("a.pdf", "application/pdf", os.urandom(_ATTACHMENT_SIZE))
        return SdkMessage(
            created=sdkmessage.new_timestamp(datetime.now(UTC)),
            message_id=self.message_id,
            conversation_id=self.message_id,
            ref_to_message_id=None,
            label="Begäran om underlag",
            confidentiality=True,
            generating_system=None,
            recipient=Party(Ii(PARTICIPANT_SCHEME, _RECIPIENT.value), "Receiver", attention),
            sender=Party(Ii(PARTICIPANT_SCHEME, _SENDER.value), "Sender", attention),
            documents=(Document("1", "Underlag", "1", (file,), ("Hej!",)),),
        )


def _rsa(identity: Identity) -> RSAPublicKey:
    key = identity.certificate.public_key()
    if not isinstance(key, RSAPublicKey):
        raise TypeError("not an RSA key")
    return key
