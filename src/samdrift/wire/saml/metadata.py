"""Metadata: what a sign-in service publishes about itself, and what we publish for it (saml-metadata 2)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509

from samdrift.wire.crypto.certificates import from_base64, to_base64
from samdrift.wire.crypto.xmldsig import ds, signed_bytes
from samdrift.wire.errors import WireError, WireFault
from samdrift.wire.saml.parts import POST, REDIRECT, instant_of, only, refused, required
from samdrift.wire.webaddress import web_address
from samdrift.wire.xml import Element, Namespace, XmlLimits, children, name, parse, text
from samdrift.wire.xml.writer import quoted
from samdrift.wire.xml.writer import text as escaped

LIMITS = XmlLimits(max_bytes=32 << 20, max_markup=400_000, max_depth=32)
"""Limits for metadata, which a federation may publish for all its members in one document."""
_MAX_CERTIFICATES = 8
AES_GCM = (
    "http://www.w3.org/2009/xmlenc11#aes256-gcm",
    "http://www.w3.org/2009/xmlenc11#aes128-gcm",
    "http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p",
)


def _md(local: str) -> str:
    return name(Namespace.SAML_METADATA, local)


@dataclass(frozen=True, slots=True)
class IdentityProvider:
    """A sign-in service as described by its metadata."""

    entity: str
    sign_in: str
    """Address for sign-in requests, by HTTP-Redirect."""
    sign_out: str | None
    """Address for logout requests, by HTTP-Redirect."""
    signers: tuple[x509.Certificate, ...]
    """Certificates of its signing keys; there are two while it replaces one."""
    valid_until: datetime | None

    def valid(self, at: datetime) -> bool:
        """Return whether the metadata may be used at ``at``."""
        return self.valid_until is None or at < self.valid_until


def read_identity_provider(
    data: bytes, entity: str, signers: Sequence[x509.Certificate] | None
) -> IdentityProvider:
    """Read the metadata of ``entity``, alone or among others; raise :class:`WireError` if that fails.

    The document must be signed by one of ``signers``, unless that is ``None``: then the document must have
    been obtained in another trusted way.
    """
    root = parse(data, LIMITS)
    if signers is not None:
        root = parse(signed_bytes(root, required(root, "ID"), signers), LIMITS)
    path = [each for each in _entities(root) if each[-1].get("entityID") == entity]
    if len(path) != 1:
        raise refused("the service is not described, or more than once", "EntityDescriptor")
    role = [
        each
        for each in path[0][-1].findall(_md("IDPSSODescriptor"))
        if Namespace.SAML_PROTOCOL in each.get("protocolSupportEnumeration", "").split()
    ]
    if len(role) != 1:
        raise refused("exactly one description as an identity provider is required", "IDPSSODescriptor")
    sign_in = _location(role[0], "SingleSignOnService")
    if sign_in is None:
        raise refused("the service is not reached by HTTP-Redirect", "SingleSignOnService")
    ends = [end for each in (*path[0], role[0]) if (end := instant_of(each, "validUntil")) is not None]
    return IdentityProvider(
        entity,
        sign_in,
        _location(role[0], "SingleLogoutService"),
        tuple(_signers(role[0])),
        min(ends, default=None),
    )


def _entities(root: Element) -> Iterator[tuple[Element, ...]]:
    """Yield each entity in the document as a path, after the groups that contain it."""
    if root.tag == _md("EntityDescriptor"):
        yield (root,)
    elif root.tag == _md("EntitiesDescriptor"):
        for child in children(root):
            for found in _entities(child):
                yield (root, *found)


def _location(role: Element, service: str) -> str | None:
    for each in role.findall(_md(service)):
        if each.get("Binding") == REDIRECT:
            return web_address(required(each, "Location"), service)
    return None


def _signers(role: Element) -> list[x509.Certificate]:
    """Return the certificates of the signing keys; their validity dates and issuers are irrelevant."""
    found = [
        from_base64(text(certificate), "X509Certificate")
        for key in role.findall(_md("KeyDescriptor"))
        if key.get("use") in (None, "signing")
        for certificate in only(key, ds("KeyInfo")).findall(f"{ds('X509Data')}/{ds('X509Certificate')}")
    ]
    if not 0 < len(found) <= _MAX_CERTIFICATES:
        raise WireError(WireFault.SIGNATURE, "no key that signs, or too many", "KeyDescriptor")
    return found


@dataclass(frozen=True, slots=True)
class ServiceProvider:
    """Ourselves, as described to an organisation's sign-in service."""

    entity: str
    answer: str
    signers: tuple[x509.Certificate, ...]
    """Certificates of our signing keys, the current one first; a new one is listed before it is used."""
    recipient: x509.Certificate
    """Certificate that assertions are to be encrypted for."""
    name: str
    """Name of the organisation."""
    address: str
    """Address of the organisation's pages."""

    def __str__(self) -> str:
        keys = "".join(_key("signing", each) for each in self.signers)
        methods = "".join(f'<md:EncryptionMethod Algorithm="{each}"/>' for each in AES_GCM)
        return (
            f'<md:EntityDescriptor xmlns:md="{Namespace.SAML_METADATA}" xmlns:ds="{Namespace.DSIG}"'
            f' entityID="{quoted(self.entity)}">'
            f'<md:SPSSODescriptor protocolSupportEnumeration="{Namespace.SAML_PROTOCOL}"'
            ' AuthnRequestsSigned="true" WantAssertionsSigned="true">'
            f"{keys}{_key('encryption', self.recipient, methods)}"
            f'<md:AssertionConsumerService Binding="{POST}" Location="{quoted(self.answer)}" index="0"'
            ' isDefault="true"/>'
            "</md:SPSSODescriptor>"
            f'<md:Organization><md:OrganizationName xml:lang="sv">{escaped(self.name)}'
            f'</md:OrganizationName><md:OrganizationDisplayName xml:lang="sv">{escaped(self.name)}'
            f'</md:OrganizationDisplayName><md:OrganizationURL xml:lang="sv">{escaped(self.address)}'
            "</md:OrganizationURL></md:Organization>"
            "</md:EntityDescriptor>"
        )


def _key(use: str, certificate: x509.Certificate, methods: str = "") -> str:
    return (
        f'<md:KeyDescriptor use="{use}"><ds:KeyInfo><ds:X509Data>'
        f"<ds:X509Certificate>{to_base64(certificate)}</ds:X509Certificate>"
        f"</ds:X509Data></ds:KeyInfo>{methods}</md:KeyDescriptor>"
    )
