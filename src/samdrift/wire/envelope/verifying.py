"""Verification of an envelope's signature, and access to its payload (envelope-profile-xhe 3.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cryptography import x509

from samdrift.wire.crypto import longtext
from samdrift.wire.crypto.keys import DecryptionKey, Random
from samdrift.wire.crypto.longtext import Document
from samdrift.wire.crypto.xmldsig import verify_enveloped
from samdrift.wire.crypto.xmlenc import LockedPayload, cipher_value, decrypt_element, unwrap
from samdrift.wire.envelope.header import EnvelopeHeader
from samdrift.wire.envelope.reading import header_of, payload_root, plain_payload
from samdrift.wire.errors import WireError, WireFault
from samdrift.wire.verdicts import SignedPart
from samdrift.wire.xml import LARGE


@dataclass(frozen=True, slots=True)
class VerifiedEnvelope:
    """A signed envelope after verification, without its signature; created only by :func:`verify`."""

    header: EnvelopeHeader
    _document: Document

    def payload(self, keys: Sequence[DecryptionKey]) -> bytes:
        """Return the payload as serialised bytes, decrypted with one of ``keys`` if it is encrypted.

        Raises :class:`WireError` (``DECRYPTION``), the same for every failure, or
        :class:`samdrift.wire.crypto.keys.OaepNotOffered`. A signature does not prove that the signer
        produced the ciphertext: callers that respond to senders use :meth:`unlock` for encrypted payloads.
        """
        element = payload_root(self._document.root)
        if element is None or not self.header.encrypted:
            return plain_payload(self._document)
        return decrypt_element(element, keys, self._document.text(cipher_value(element)))

    def unlock(self, keys: Sequence[DecryptionKey], rng: Random) -> LockedPayload:
        """Unwrap the session key of an encrypted payload, without decrypting the payload yet.

        Raises as :func:`samdrift.wire.crypto.xmlenc.unwrap` does.
        """
        element = payload_root(self._document.root)
        if element is None or not self.header.encrypted:
            raise WireError(WireFault.DECRYPTION, "the payload is not encrypted")
        return unwrap(element, keys, self._document.text(cipher_value(element)), rng)


@dataclass(frozen=True, slots=True)
class EnvelopeVerdict:
    """Verdict on whether an envelope follows the profile and is as the holder of ``signer`` signed it.

    ``header`` is set if it could be read, ``signer`` if the certificate could be read, and ``envelope`` only
    if the verdict is valid. It does not state whether ``signer`` is the certificate that the sender
    published, or is valid and not revoked (envelope-profile-xhe 3.5 a, b).
    """

    reason: str
    header: EnvelopeHeader | None = None
    signer: x509.Certificate | None = None
    envelope: VerifiedEnvelope | None = None
    signed: SignedPart | None = None
    """The signed bytes and signature value of a valid signature, which covers the whole envelope."""

    @property
    def valid(self) -> bool:
        return self.envelope is not None


def verify(data: bytes) -> EnvelopeVerdict:
    """Judge the envelope in ``data``, without raising on bad input.

    Clauses: certpub-rest-binding 3.2 step 2b; envelope-profile-xhe 3.2 sentence 2, sentence 3, 3.4.1 step 1;
    transport-model-extended 3.3.2 step 20.
    """
    try:
        document = longtext.parse(data, LARGE)
        header = header_of(document)
    except WireError as error:
        return EnvelopeVerdict(str(error))
    signature = verify_enveloped(document.root, new_sink=document.new_sink)
    envelope = VerifiedEnvelope(header, document) if signature.valid else None
    return EnvelopeVerdict(signature.reason, header, signature.certificate, envelope, signature.signed)
