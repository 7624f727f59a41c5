"""A signed reference: what a signature states about one part, and what a receipt repeats."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from samdrift.wire.crypto.xmldsig import (
    SHA256,
    AllowList,
    Canonicalization,
    Reference,
    Transform,
    read_reference,
)
from samdrift.wire.wssec.names import ATTACHMENT_SIGNATURE
from samdrift.wire.xml import Element, Namespace, base64text, parse
from samdrift.wire.xml.writer import XMLNS_DS, quoted

ALLOWED: Final = AllowList(
    canonicalizations=frozenset({Canonicalization.EXCLUSIVE}),
    transforms=frozenset({Canonicalization.EXCLUSIVE, ATTACHMENT_SIGNATURE}),
    max_references=16,
)
"""Algorithms accepted in WS-Security (transport-profile-as4 2.2 a, eDelivery AS4 common profile)."""


@dataclass(frozen=True, slots=True)
class SignedReference:
    """One ``ds:Reference`` of a signature; ``digest`` is the SHA-256, in raw bytes."""

    uri: str
    transforms: tuple[Transform, ...]
    digest: bytes

    @classmethod
    def of(cls, reference: Reference) -> SignedReference:
        """Convert a reference that was read from a signature."""
        return cls(reference.uri, reference.transforms, reference.digest)

    @classmethod
    def read(cls, element: Element) -> SignedReference:
        """Read a ``ds:Reference``; raise :class:`WireError` if it is not acceptable."""
        return cls.of(read_reference(element, ALLOWED))

    @classmethod
    def from_xml(cls, xml: bytes) -> SignedReference:
        """Read a reference that was stored as :attr:`xml`."""
        return cls.read(parse(xml))

    @property
    def xml(self) -> bytes:
        """The reference as a document of its own, for a receipt (as4-profile 5.1.8) or to be stored."""
        return self.markup(f" {XMLNS_DS}").encode()

    @property
    def proof(self) -> tuple[str, bytes]:
        """The values in which two references must agree to refer to the same signed bytes."""
        return self.uri, self.digest

    def markup(self, declaration: str = "") -> str:
        """Write ``ds:Reference`` in canonical form; pass ``declaration`` where ``ds`` is not declared."""
        return (
            f'<ds:Reference{declaration} URI="{quoted(self.uri)}">'
            f"<ds:Transforms>{''.join(map(_transform, self.transforms))}</ds:Transforms>"
            f'<ds:DigestMethod Algorithm="{SHA256}"></ds:DigestMethod>'
            f"<ds:DigestValue>{base64text.encode(self.digest).decode('ascii')}</ds:DigestValue>"
            "</ds:Reference>"
        )


def _transform(transform: Transform) -> str:
    prefixes = ""
    if transform.prefixes:
        prefixes = (
            f'<ec:InclusiveNamespaces xmlns:ec="{Namespace.EXC_C14N}"'
            f' PrefixList="{quoted(" ".join(transform.prefixes))}"></ec:InclusiveNamespaces>'
        )
    return f'<ds:Transform Algorithm="{quoted(transform.algorithm)}">{prefixes}</ds:Transform>'
