"""The certificate in ``ds:KeyInfo`` (envelope-profile-xhe 3.5.2.5, 3.4.4.4)."""

from __future__ import annotations

from cryptography import x509
from lxml import etree

from samdrift.wire.crypto import certificates
from samdrift.wire.crypto.xmldsig.signedinfo import ds
from samdrift.wire.errors import WireError, WireFault
from samdrift.wire.xml import Element, text

_MAX_DER = 16 * 1024


def append_certificate(parent: Element, certificate: x509.Certificate) -> Element:
    """Append ``ds:KeyInfo`` with the certificate as the only thing in it.

    Clauses: envelope-profile-xhe 3.5.2.5 a.
    """
    key_info = etree.SubElement(parent, ds("KeyInfo"))
    data = etree.SubElement(key_info, ds("X509Data"))
    etree.SubElement(data, ds("X509Certificate")).text = certificates.to_base64(certificate)
    return key_info


def certificate_elements(key_info: Element) -> list[Element]:
    """Return the elements of ``ds:KeyInfo`` that hold certificates, of which the profile has exactly one."""
    return key_info.findall(f"{ds('X509Data')}/{ds('X509Certificate')}")


def read_certificate(key_info: Element) -> x509.Certificate:
    """The one certificate in ``ds:KeyInfo``; :class:`WireError` unless there is exactly one.

    Names, serial numbers and bare key values beside it are left unread: the
    certificate alone is what is compared with the published one.
    """
    found = certificate_elements(key_info)
    if len(found) != 1:
        raise WireError(WireFault.SIGNATURE, "exactly one certificate is required", "KeyInfo")
    return certificates.from_base64(text(found[0]), "X509Certificate")


def load_certificate(der: bytes) -> x509.Certificate:
    """Read a certificate; :class:`WireError` (``SIGNATURE``) when it is none that can be read."""
    if len(der) > _MAX_DER:
        raise WireError(WireFault.SIGNATURE, "certificate too large", "X509Certificate")
    try:
        return x509.load_der_x509_certificate(der)
    except (ValueError, x509.InvalidVersion):
        raise WireError(WireFault.SIGNATURE, "not a certificate", "X509Certificate") from None
