"""Time stamps on checkpoints (RFC 3161): asked for at an authority, and examined by trusted certificates.

A time stamp says that a checkpoint existed at a time, in the words of an authority whose key outlives that of
a witness. It is over the bytes of the note as the log signed it: ``openssl ts -verify`` checks it, too. An
answer that is not one, is over something else or is not signed by a trusted authority is no answer: the
authority is asked again later.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from cryptography import x509
from rfc3161_client import (
    HashAlgorithm,
    TimestampRequestBuilder,
    TimeStampResponse,
    VerificationError,
    VerifierBuilder,
    decode_timestamp_response,
)

from samdrift.audit.reading import Malformed, Unverified
from samdrift.contracts.errors import Temporary
from samdrift.net.client import FetchLimits, NoAnswer
from samdrift.transparency.asking import Caller
from samdrift.wire.crypto import certificates

MAX_STAMP = 64 * 1024
"""Most bytes of a time stamp with its certificates."""
LIMITS = FetchLimits(max_bytes=MAX_STAMP, seconds=20)
_AHEAD = timedelta(minutes=5)
"""Most by which an authority's clock may be before ours."""
_GRANTED = b"\x30\x03\x02\x01\x00"
"""The status of a response that has a token, in DER."""
_HEADERS = {"content-type": "application/timestamp-query", "accept": "application/timestamp-reply"}
_HASHES = {
    "2.16.840.1.101.3.4.2.1": hashlib.sha256,
    "2.16.840.1.101.3.4.2.2": hashlib.sha384,
    "2.16.840.1.101.3.4.2.3": hashlib.sha512,
}


class StampUnavailable(Temporary):
    """The authority gave no usable time stamp."""

    service = "time-stamping authority"

    def __init__(self, text: str) -> None:
        super().__init__(f"the time-stamping authority gave no time stamp: {text}")
        self.text = text


@dataclass(frozen=True, slots=True)
class Stamp:
    """A time stamp that is over the given bytes."""

    data: bytes = field(repr=False)
    """The whole response (TimeStampResp), in DER."""
    at: datetime
    until: datetime
    """The end of the first of its certificates to end: from then on a later time stamp must cover it."""
    signer: str
    """Subject of the authority's certificate."""


@dataclass(frozen=True, slots=True)
class Trusted:
    """The authorities that are trusted, by their roots, and the policy that is wanted of them, if any."""

    roots: tuple[x509.Certificate, ...]
    policy: str | None = None

    def verify(self, data: bytes, message: bytes) -> Stamp:
        """Return a time stamp over ``message`` by one of these; :class:`Malformed` or :class:`Unverified`."""
        response, stamp = _read(data, message)
        builder = VerifierBuilder(roots=list(self.roots))
        if self.policy:
            builder = builder.policy_id(x509.ObjectIdentifier(self.policy))
        try:
            builder.build().verify_message(response, message)
        except (VerificationError, ValueError):
            raise Unverified(
                "it is not by a trusted authority, or not under the policy that is wanted"
            ) from None
        return stamp


def examine(data: bytes, message: bytes) -> Stamp:
    """Return a time stamp over ``message``, whoever signed it; :class:`Malformed` or :class:`Unverified`."""
    return _read(data, message)[1]


async def ask(caller: Caller, address: str, trusted: Trusted, message: bytes, now: datetime) -> Stamp:
    """Ask the authority for a time stamp on ``message``; :class:`StampUnavailable` without one that holds."""
    request = TimestampRequestBuilder().data(message).hash_algorithm(HashAlgorithm.SHA256).build()
    try:
        answer = await caller.fetch(address, LIMITS, content=request.as_bytes(), headers=_HEADERS)
    except NoAnswer as failure:
        raise StampUnavailable(failure.words) from None
    if answer.status not in (200, 201):
        raise StampUnavailable(f"status {answer.status}")
    try:
        stamp = trusted.verify(answer.body, message)
        if decode_timestamp_response(answer.body).tst_info.nonce != request.nonce:
            raise Unverified("it answers another request")
    except (Malformed, Unverified) as fault:
        raise StampUnavailable(str(fault)) from None
    if not now - _AHEAD <= stamp.at <= now + _AHEAD:
        raise StampUnavailable("its time is not now; compare the clocks")
    return stamp


def token_of(data: bytes) -> bytes:
    """Return the token in a response (TimeStampToken, RFC 5652), which containers have."""
    return bytes(decode_timestamp_response(data).time_stamp_token())


def response_of(token: bytes) -> bytes:
    """Return the response that grants a token."""
    content = _GRANTED + token
    size = len(content).to_bytes((len(content).bit_length() + 7) // 8)
    length = size if len(content) < 0x80 else bytes((0x80 | len(size),)) + size
    return b"\x30" + length + content


def host_of(address: str) -> str:
    """Return the authority's host, as health and doctor name it."""
    return urlsplit(address).hostname or ""


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
        raise Malformed("it is not a time stamp alone, in DER")
    if hashed is None or not secrets.compare_digest(hashed(message).digest(), imprint.message):
        raise Unverified("it is over something else")
    until = min(each.not_valid_after_utc for each in embedded)
    return response, Stamp(data, at, until, certificates.subject(leaf))


def _embedded(response: TimeStampResponse) -> Sequence[x509.Certificate]:
    return [x509.load_der_x509_certificate(each) for each in response.signed_data.certificates]


def _leaf(response: TimeStampResponse) -> x509.Certificate:
    """Return the certificate of the authority, which the response names; ``ValueError`` without it."""
    (signer,) = response.signed_data.signer_infos
    for each in _embedded(response):
        if (each.issuer, each.serial_number) == (signer.issuer, signer.serial_number):
            return each
    raise ValueError("no certificate of the signer")
