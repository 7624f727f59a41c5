"""RSA-OAEP as an ``EncryptedKey`` may name it (xmlenc-core1 5.5.2, envelope-profile-xhe 3.4.4.2 a)."""

from __future__ import annotations

from typing import Final

from samdrift.wire.crypto.keys import Oaep
from samdrift.wire.crypto.xmldsig import SHA256, ds
from samdrift.wire.xml import Element, Namespace, children, name

RSA_OAEP_MGF1P: Final = "http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p"
"""The profile's key transport; its mask function is always with SHA-1."""

RSA_OAEP: Final = "http://www.w3.org/2009/xmlenc11#rsa-oaep"
"""The one of XML Encryption 1.1, which names its mask function; accepted."""

SHA1: Final = "http://www.w3.org/2000/09/xmldsig#sha1"
MGF1_SHA1: Final = "http://www.w3.org/2009/xmlenc11#mgf1sha1"
MGF1_SHA256: Final = "http://www.w3.org/2009/xmlenc11#mgf1sha256"

_MGF = name(Namespace.XENC11, "MGF")
_BY_DIGEST_AND_MASK = {
    (SHA1, MGF1_SHA1): Oaep.SHA1,
    (SHA256, MGF1_SHA1): Oaep.SHA256_MGF1_SHA1,
    (SHA256, MGF1_SHA256): Oaep.SHA256,
}


def read_oaep(method: Element) -> Oaep | None:
    """The form that an ``EncryptionMethod`` names; ``None`` when it is not accepted.

    Digest and mask are with SHA-1 where nothing is said. A label
    (``OAEPparams``) is not accepted: the keys of this project know none.
    """
    named = {str(part.tag): part.get("Algorithm", "") for part in children(method)}
    digest = named.pop(ds("DigestMethod"), SHA1)
    mask = named.pop(_MGF, MGF1_SHA1) if method.get("Algorithm") == RSA_OAEP else MGF1_SHA1
    if named or method.get("Algorithm") not in (RSA_OAEP, RSA_OAEP_MGF1P):
        return None
    return _BY_DIGEST_AND_MASK.get((digest, mask))
