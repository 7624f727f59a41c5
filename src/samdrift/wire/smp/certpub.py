"""A participant's own certificates in an extension of its service metadata (certpub-rest-binding 2.2).

The extension holds elements of SMP 2 inside SMP 1, one certificate in each.
``mimeCode`` has a fixed value in the text; it is written so, and not looked at
when reading, since the content says itself what it is.
"""

from __future__ import annotations

from cryptography import x509
from lxml import etree

from samdrift.wire.crypto.certificates import from_base64, to_base64
from samdrift.wire.smp.types import PublishedCertificates
from samdrift.wire.xml import Element, Namespace, name, path, text

EXTENSION = "urn:fdc:digg.se:edelivery:xml-extension:smp-certpub:1.0"
SIGNING = "urn:fdc:digg.se:edelivery:certpub:signing-cert"
ENCRYPTION = "urn:fdc:digg.se:edelivery:certpub:encryption-cert"

_EXTENSION_ID = name(Namespace.SMP1, "ExtensionID")
_CERTIFICATE = name(Namespace.SMP2_AGGREGATE, "Certificate")
_TYPE = name(Namespace.SMP2_BASIC, "TypeCode")
_CONTENT = name(Namespace.SMP2_BASIC, "ContentBinaryObject")


def read(extensions: list[Element]) -> PublishedCertificates:
    """The certificates in those of ``extensions`` that publish some; the others are not ours to read."""
    found: dict[str, list[x509.Certificate]] = {SIGNING: [], ENCRYPTION: []}
    for extension in extensions:
        identifier = extension.find(_EXTENSION_ID)
        if identifier is None or text(identifier).strip() != EXTENSION:
            continue
        for element in extension.findall(_CERTIFICATE):
            kind, content = element.find(_TYPE), element.find(_CONTENT)
            if kind is None or content is None:
                continue
            if (of_kind := found.get(text(kind).strip())) is not None:
                of_kind.append(from_base64(text(content), path(content)))
    return PublishedCertificates(tuple(found[SIGNING]), tuple(found[ENCRYPTION]))


def write(parent: Element, certificates: PublishedCertificates) -> None:
    """Append one extension for each certificate to ``parent``."""
    for kind, of_kind in ((SIGNING, certificates.signing), (ENCRYPTION, certificates.encryption)):
        for certificate in of_kind:
            extension = etree.SubElement(parent, name(Namespace.SMP1, "Extension"))
            etree.SubElement(extension, _EXTENSION_ID).text = EXTENSION
            element = etree.SubElement(
                extension, _CERTIFICATE, nsmap={"smc": Namespace.SMP2_AGGREGATE, "smb": Namespace.SMP2_BASIC}
            )
            etree.SubElement(element, _TYPE).text = kind
            content = etree.SubElement(element, _CONTENT, mimeCode="application/base64")
            content.text = to_base64(certificate)
