"""A request to sign a person in, signed and carried by HTTP-Redirect (saml-core 3.4, saml-bindings 3.4)."""

from __future__ import annotations

import base64
import zlib
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from samdrift.wire.crypto.keys import SigningKey
from samdrift.wire.crypto.xmldsig import RSA_SHA256
from samdrift.wire.saml.parts import PERSISTENT, POST, written
from samdrift.wire.xml import Namespace
from samdrift.wire.xml.writer import quoted, text

_XMLNS = f'xmlns:samlp="{Namespace.SAML_PROTOCOL}" xmlns:saml="{Namespace.SAML}"'


@dataclass(frozen=True, slots=True)
class AuthnRequest:
    """A request to authenticate a person."""

    identifier: str
    at: datetime
    issuer: str
    destination: str
    answer: str
    """Address to which the response is posted."""
    levels: tuple[str, ...]
    """Acceptable levels of assurance, the preferred one first."""
    again: bool = False
    """True if the person must authenticate again."""
    persistent: bool = False
    """True to request a persistent identifier, which the service may create for us."""

    def __str__(self) -> str:
        force = ' ForceAuthn="true"' if self.again else ""
        policy = f'<samlp:NameIDPolicy Format="{PERSISTENT}" AllowCreate="true"/>' if self.persistent else ""
        levels = "".join(
            f"<saml:AuthnContextClassRef>{text(level)}</saml:AuthnContextClassRef>" for level in self.levels
        )
        return (
            f'<samlp:AuthnRequest {_XMLNS} ID="{quoted(self.identifier)}" Version="2.0"'
            f' IssueInstant="{written(self.at)}" Destination="{quoted(self.destination)}"{force}'
            f' ProtocolBinding="{POST}" AssertionConsumerServiceURL="{quoted(self.answer)}">'
            f"<saml:Issuer>{text(self.issuer)}</saml:Issuer>{policy}"
            f'<samlp:RequestedAuthnContext Comparison="exact">{levels}</samlp:RequestedAuthnContext>'
            "</samlp:AuthnRequest>"
        )


def redirect(destination: str, parameter: str, message: str, key: SigningKey) -> str:
    """Return the URL with which a browser carries a signed message (saml-bindings 3.4.4.1).

    ``parameter`` is ``SAMLRequest`` or ``SAMLResponse``.
    """
    deflater = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    deflated = deflater.compress(message.encode()) + deflater.flush()
    signed = urlencode({parameter: base64.b64encode(deflated).decode(), "SigAlg": RSA_SHA256})
    value = base64.b64encode(key.sign(signed.encode())).decode()
    joint = "&" if "?" in destination else "?"
    return f"{destination}{joint}{signed}&{urlencode({'Signature': value})}"
