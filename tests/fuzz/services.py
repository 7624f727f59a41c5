"""Judges of data from shared services, strangers, and other suppliers' access points."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from datetime import UTC, datetime

from cryptography import x509

from samdrift.domibus.wire import (
    AnswerReader,
    errors,
    fault,
    incoming_message,
    marked,
    pending,
    status,
    submitted,
)
from samdrift.net.interface_c import decode_poll_request
from samdrift.trust.decide import Evidence, decide
from samdrift.trust.policy import SIGNS_AND_DECRYPTS, ChainPolicy
from samdrift.wire.addressbook import read_addresses, read_organisations
from samdrift.wire.crypto.certificates import common_name, fingerprint
from samdrift.wire.errors import WireError
from samdrift.wire.saml.metadata import read_identity_provider
from samdrift.wire.saml.response import read_response
from samdrift.wire.smp import parse_service_group, verify_signed_service_metadata
from tests.fuzz.pieces import cut, split, whole
from tests.unit.web import samlprovider
from tests.unit.wire.as4.parties import NOW, sender

_PROFILES = ("digg-transport-as4-v1_0",)


def metadata(data: bytes) -> None:
    """Service metadata gets a verdict; a service group is parsed or refused."""
    verdict = verify_signed_service_metadata(data)
    assert verdict.valid is (verdict.metadata is not None)
    if verdict.metadata is not None:
        verdict.metadata.endpoint_for(_PROFILES, datetime.now(UTC))
    with contextlib.suppress(WireError):
        parse_service_group(data)


def saml_answer(data: bytes) -> None:
    """A SAML answer is read or refused."""
    with contextlib.suppress(WireError):
        read_response(data, [samlprovider.SERVICE.certificate], [])


def saml_metadata(data: bytes) -> None:
    """Metadata of a SAML service is read or refused."""
    with contextlib.suppress(WireError):
        read_identity_provider(data, samlprovider.ENTITY, None)


def addressbook(data: bytes) -> None:
    """A page of the address book is read or refused."""
    for read in (read_organisations, read_addresses):
        with contextlib.suppress(WireError):
            read(data)


def domibus(data: bytes) -> None:
    """A response of Domibus has the same payload when it arrives in pieces, or is refused."""
    content_type, body = split(data)
    answered = _answered(content_type, whole(body))
    assert answered == _answered(content_type, cut(body)), "the result depends on how the input is split"


def _answered(content_type: str, pieces: Iterable[bytes]) -> bytes | None:
    """Return the payload of a readable response, or ``None`` if it is refused."""
    payload = b""
    try:
        reader = AnswerReader(content_type)
        for piece in (*pieces, b""):
            for found in reader.feed(piece):
                payload += found
        envelope = reader.envelope
    except WireError:
        return None
    for read in (fault, submitted, marked, pending, status, errors):
        with contextlib.suppress(WireError):
            read(envelope)
    if reader.header is not None:
        with contextlib.suppress(WireError):
            incoming_message(reader.header)
    return payload


def poll(data: bytes) -> None:
    """A poll over interface C is read or refused."""
    with contextlib.suppress(ValueError):
        decode_poll_request(data)


def certificate(data: bytes) -> None:
    """A stranger's certificate is named and judged, and never trusted, because no anchor issued it."""
    try:
        shown = x509.load_der_x509_certificate(data)
    except (ValueError, x509.InvalidVersion):
        return
    common_name(shown)
    fingerprint(shown)
    anchors = (sender().certificate,)
    policy = ChainPolicy(anchors, anchors, key_uses=SIGNS_AND_DECRYPTS)
    assert not decide(shown, policy, Evidence(intermediates=(shown,)), NOW).trusted
