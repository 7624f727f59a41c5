"""The response of a sign-in service: ``Response`` with one assertion (saml-core 3.3.3, saml-profiles 4.1.4).

The response, the assertion or both are signed. If both are, both signatures are verified. An assertion
is only accepted if a trusted key signed it or the response, and it is read from the bytes that were
digested. It may be encrypted with an authenticated cipher.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from cryptography import x509

from samdrift.wire.crypto.keys import DecryptionKey
from samdrift.wire.crypto.xmldsig import ds, signed_bytes
from samdrift.wire.crypto.xmlenc import decrypt_authenticated, xenc
from samdrift.wire.errors import WireError, WireFault
from samdrift.wire.saml.assertion import Assertion, read_assertion
from samdrift.wire.saml.parts import (
    at_most_one,
    check_version,
    entity,
    instant,
    only,
    refused,
    required,
    saml,
    samlp,
)
from samdrift.wire.xml import Element, XmlLimits, children, parse
from samdrift.wire.xml.writer import quoted

SUCCESS = "urn:oasis:names:tc:SAML:2.0:status:Success"
LIMITS = XmlLimits(max_bytes=256 * 1024, max_markup=5_000, max_depth=32)
_ASSERTIONS = (saml("Assertion"), saml("EncryptedAssertion"))


@dataclass(frozen=True, slots=True)
class Response:
    """A response, its assertion verified and decrypted; ``signed`` is true if all of it was signed."""

    destination: str | None
    in_response_to: str | None
    issuer: str | None
    issued_at: datetime
    status: str
    signed: bool
    encrypted: bool
    assertion: Assertion | None = field(repr=False)
    """The assertion; ``None`` if the person was not signed in."""


def read_response(
    data: bytes, signers: Sequence[x509.Certificate], keys: Sequence[DecryptionKey]
) -> Response:
    """Read a response signed by one of ``signers`` and, if encrypted, encrypted for one of ``keys``.

    Raises :class:`WireError`: ``SIGNATURE`` if neither the response nor its assertion is signed by them,
    ``DECRYPTION`` if it cannot be decrypted, ``ALGORITHM`` for an algorithm that is not accepted, and other
    faults for malformed input.
    """
    root = parse(data, LIMITS)
    if root.tag != samlp("Response"):
        raise refused("not a response", "start")
    read, signed = _verified(root, signers)
    holders = [child for child in children(root) if child.tag in _ASSERTIONS]
    if len(holders) > 1:
        raise refused("more than one assertion", "Response")
    assertion = None
    if holders:
        inner = holders[0] if not signed or _is_encrypted(holders[0]) else only(read, saml("Assertion"))
        assertion = _assertion(holders[0], inner, signed, signers, keys)
    check_version(read)
    issuer = at_most_one(read, saml("Issuer"))
    return Response(
        destination=read.get("Destination"),
        in_response_to=read.get("InResponseTo"),
        issuer=None if issuer is None else entity(issuer),
        issued_at=instant(required(read, "IssueInstant"), "IssueInstant"),
        status=required(only(only(read, samlp("Status")), samlp("StatusCode")), "Value"),
        signed=signed,
        encrypted=bool(holders) and _is_encrypted(holders[0]),
        assertion=assertion,
    )


def _verified(element: Element, signers: Sequence[x509.Certificate]) -> tuple[Element, bool]:
    """Return the signed content of an element, parsed again, or the element itself if it is not signed.

    The second value states whether it is signed.
    """
    if element.find(ds("Signature")) is None:
        return element, False
    return parse(signed_bytes(element, required(element, "ID"), signers), LIMITS), True


def _is_encrypted(holder: Element) -> bool:
    return holder.tag == saml("EncryptedAssertion")


def _assertion(
    holder: Element,
    inner: Element,
    response_signed: bool,
    signers: Sequence[x509.Certificate],
    keys: Sequence[DecryptionKey],
) -> Assertion:
    """Read the assertion in ``holder``; ``inner`` is the same one from the signed response."""
    element = _decrypted(holder, keys) if _is_encrypted(holder) else holder
    read, signed = _verified(element, signers)
    if not signed and not response_signed:
        raise WireError(WireFault.SIGNATURE, "neither the response nor the assertion is signed", "Response")
    if signed or _is_encrypted(holder):
        return read_assertion(read)
    return read_assertion(inner)


def _decrypted(holder: Element, keys: Sequence[DecryptionKey]) -> Element:
    """Return the assertion in an ``EncryptedAssertion``, with the namespaces in scope there."""
    encrypted = only(holder, xenc("EncryptedData"))
    plain = decrypt_authenticated(encrypted, holder.findall(xenc("EncryptedKey")), keys)
    scope = "".join(
        f' {f"xmlns:{prefix}" if prefix else "xmlns"}="{quoted(namespace)}"'
        for prefix, namespace in holder.nsmap.items()
    )
    around = parse(f"<decrypted{scope}>".encode() + plain + b"</decrypted>", LIMITS)
    return only(around, saml("Assertion"))
