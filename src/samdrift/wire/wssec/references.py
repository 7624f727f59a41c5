"""A signed reference: what a signature says of one part, and what a receipt repeats of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from samdrift.wire.wssec.names import ATTACHMENT_SIGNATURE
from samdrift.wire.xml import Element, canonical, parse
from samdrift.wire.xmldsig import SHA256, AllowList, Canonicalization, Reference, read_reference

ALLOWED: Final = AllowList(
    canonicalizations=frozenset({Canonicalization.EXCLUSIVE}),
    transforms=frozenset({Canonicalization.EXCLUSIVE, ATTACHMENT_SIGNATURE}),
    max_references=16,
)
"""What a signature in WS-Security may name (transport-profile-as4 2.2 a, eDelivery AS4 common profile)."""


@dataclass(frozen=True, slots=True)
class SignedReference:
    """One ``ds:Reference`` of a signature.

    ``digest`` holds the raw bytes. ``xml`` is the reference in exclusive canonical form,
    to be copied into a receipt (as4-profile 5.1.8) or kept until one comes.
    """

    uri: str
    digest: bytes
    transforms: tuple[str, ...]
    digest_algorithm: str
    xml: bytes

    @classmethod
    def from_xml(cls, xml: bytes) -> SignedReference:
        """The reference that was kept as :attr:`xml`."""
        element = parse(xml)
        return describe(element, read_reference(element, ALLOWED))

    @property
    def proof(self) -> Proof:
        """What a receipt must repeat of it."""
        return Proof(self.uri, self.digest)


@dataclass(frozen=True, slots=True)
class Proof:
    """What two references must agree in to mean the same signed bytes; the digest is always SHA-256."""

    uri: str
    digest: bytes


def read_proof(element: Element) -> Proof:
    """Read a ``ds:Reference`` of a receipt; :class:`WireError` when it is not one that is accepted."""
    reference = read_reference(element, ALLOWED)
    return Proof(reference.uri, reference.digest)


def describe(element: Element, reference: Reference) -> SignedReference:
    """The reference that was read from ``element``, with its canonical form."""
    return SignedReference(
        uri=reference.uri,
        digest=reference.digest,
        transforms=tuple(transform.algorithm for transform in reference.transforms),
        digest_algorithm=SHA256,
        xml=canonical(element, exclusive=True),
    )
