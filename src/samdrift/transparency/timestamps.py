"""Time stamps on checkpoints (RFC 3161), verified against trusted certificates, whatever their source.

A time stamp is an authority's statement that a checkpoint existed at a certain time; the authority's key is
valid for longer than that of a witness. It is over the bytes of the note as the log signed it, so
``openssl ts -verify`` can check it too.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from cryptography import x509
from rfc3161_client import (
    TimeStampResponse,
    VerificationError,
    VerifierBuilder,
    decode_timestamp_response,
)

from samdrift.audit.reading import Malformed, Unverified
from samdrift.wire.crypto import certificates

MAX_STAMP = 64 * 1024
"""Maximum size in bytes of a time stamp with its certificates."""
_GRANTED = b"\x30\x03\x02\x01\x00"
"""The status of a response that contains a token, in DER."""
_HASHES = {
    "2.16.840.1.101.3.4.2.1": hashlib.sha256,
    "2.16.840.1.101.3.4.2.2": hashlib.sha384,
    "2.16.840.1.101.3.4.2.3": hashlib.sha512,
}


@dataclass(frozen=True, slots=True)
class Stamp:
    """A time stamp that has been checked to be over the given bytes."""

    data: bytes = field(repr=False)
    """The whole response (TimeStampResp), in DER."""
    at: datetime
    until: datetime
    """The first expiry among its certificates: a later time stamp must cover it from then on."""
    signer: str
    """Subject of the authority's certificate."""


@dataclass(frozen=True, slots=True)
class Trusted:
    """The trusted authorities, by their roots, and the policy that is required of them, if any."""

    roots: tuple[x509.Certificate, ...]
    policy: str | None = None

    def verify(self, data: bytes, message: bytes) -> Stamp:
        """Return a time stamp over ``message`` by one of these authorities.

        Raises :class:`Malformed` or :class:`Unverified` for anything else.
        """
        response, stamp = _read(data, message)
        builder = VerifierBuilder(roots=list(self.roots))
        if self.policy:
            builder = builder.policy_id(x509.ObjectIdentifier(self.policy))
        try:
            builder.build().verify_message(response, message)
        except (VerificationError, ValueError):
            raise Unverified("it is not by a trusted authority or not under the required policy") from None
        return stamp


def examine(data: bytes, message: bytes) -> Stamp:
    """Return a time stamp over ``message``, by any authority; :class:`Malformed` or :class:`Unverified`."""
    return _read(data, message)[1]


def token_of(data: bytes) -> bytes:
    """Return the token in a response (TimeStampToken, RFC 5652), as containers store it."""
    return bytes(decode_timestamp_response(data).time_stamp_token())


def response_of(token: bytes) -> bytes:
    """Return the response that grants a token."""
    content = _GRANTED + token
    size = len(content).to_bytes((len(content).bit_length() + 7) // 8)
    length = size if len(content) < 0x80 else bytes((0x80 | len(size),)) + size
    return b"\x30" + length + content


def _read(data: bytes, message: bytes) -> tuple[TimeStampResponse, Stamp]:
    if len(data) > MAX_STAMP:
        raise Malformed(f"a time stamp has at most {MAX_STAMP} bytes")
    try:
        response = decode_timestamp_response(data)
        imprint, at = response.tst_info.message_imprint, response.tst_info.gen_time
        hashed = _HASHES.get(imprint.hash_algorithm.dotted_string)
        embedded, leaf = _embedded(response), _leaf(response)
    except (ValueError, TypeError, OverflowError, KeyError, x509.InvalidVersion):
        raise Malformed("it is not a time stamp of RFC 3161 with its certificate") from None
    if response.as_bytes() != data:
        raise Malformed("it is not just a time stamp in DER")
    if hashed is None or not secrets.compare_digest(hashed(message).digest(), imprint.message):
        raise Unverified("it is over something else")
    until = min(each.not_valid_after_utc for each in embedded)
    return response, Stamp(data, at, until, certificates.subject(leaf))


def _embedded(response: TimeStampResponse) -> Sequence[x509.Certificate]:
    return [x509.load_der_x509_certificate(each) for each in response.signed_data.certificates]


def _leaf(response: TimeStampResponse) -> x509.Certificate:
    """Return the authority's certificate, which the response names; ``ValueError`` without it."""
    (signer,) = response.signed_data.signer_infos
    for each in _embedded(response):
        if (each.issuer, each.serial_number) == (signer.issuer, signer.serial_number):
            return each
    raise ValueError("the signer's certificate is missing")
