"""A SAML sign-in service for tests with arbitrary answers, signed by signxml, encrypted by hand."""

from __future__ import annotations

import base64
import os
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit
from xml.sax.saxutils import escape, quoteattr

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP, PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from lxml import etree
from signxml import CanonicalizationMethod, DigestAlgorithm, SignatureMethod, methods
from signxml.signer import XMLSigner

from samdrift.wire.crypto.softwarekeys import SoftwareDecryptionKey
from tests import pki

Element = etree._Element

SAML = "urn:oasis:names:tc:SAML:2.0:assertion"
SAMLP = "urn:oasis:names:tc:SAML:2.0:protocol"
MD = "urn:oasis:names:tc:SAML:2.0:metadata"
DS = "http://www.w3.org/2000/09/xmldsig#"
XENC = "http://www.w3.org/2001/04/xmlenc#"
NAMES = {"saml": SAML, "samlp": SAMLP, "ds": DS, "xenc": XENC, "md": MD}
ENTITY = "https://idp.habo.test/saml"
SIGN_IN = "https://idp.habo.test/sso"
LEVEL = "http://id.sambi.se/loa/loa3"
PERSISTENT = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"
TRANSIENT = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"
BEARER = "urn:oasis:names:tc:SAML:2.0:cm:bearer"
DISPLAY_NAME = "urn:oid:2.16.840.1.113730.3.1.241"
SUCCESS = "urn:oasis:names:tc:SAML:2.0:status:Success"
GCM_256 = "http://www.w3.org/2009/xmlenc11#aes256-gcm"
GCM_128 = "http://www.w3.org/2009/xmlenc11#aes128-gcm"
CBC_256 = "http://www.w3.org/2001/04/xmlenc#aes256-cbc"
OAEP_SHA1 = "http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p"
RSA_1_5 = "http://www.w3.org/2001/04/xmlenc#rsa-1_5"

_AUTHORITY = pki.root("Inloggning", 71)
SERVICE = _AUTHORITY.issue("idp.habo.test", private_key=pki.key(72))
NEXT = _AUTHORITY.issue("idp.habo.test", private_key=pki.key(73))
STRANGER = _AUTHORITY.issue("idp.evil.test", private_key=pki.key(74))
FEDERATION = _AUTHORITY.issue("federation.test", private_key=pki.key(75))
OURS = _AUTHORITY.issue("habo.sdk.test", private_key=pki.key(76))
OURS_NEXT = _AUTHORITY.issue("habo.sdk.test", private_key=pki.key(77))


@dataclass
class OurKeys:
    """The organisation's keys without a vault."""

    owners: list[pki.Certified] = field(default_factory=lambda: [OURS])

    async def signing(self) -> Sequence[Any]:
        return [each.signing_key() for each in self.owners]

    async def decrypting(self) -> Sequence[Any]:
        return [SoftwareDecryptionKey(each.private_key, each.certificate) for each in self.owners]


Change = Callable[[Element], object]


def nothing(element: Element) -> None:
    """Make no change."""


@dataclass(frozen=True)
class Answer:
    """All parts of an answer, which is correct by default."""

    request: str
    at: datetime
    service: str
    acs: str
    version: str = "2.0"
    status: str = SUCCESS
    destination: str | None = "acs"
    in_response_to: str | None = "request"
    issuer: str | None = ENTITY
    asserted_by: str = ENTITY
    name: str = "anna"
    name_format: str | None = PERSISTENT
    qualifier: str | None = None
    service_qualifier: str | None = None
    method: str = BEARER
    recipient: str | None = "acs"
    confirms: str | None = "request"
    bearer_from: timedelta | None = None
    bearer_until: timedelta | None = timedelta(minutes=5)
    valid_from: timedelta | None = timedelta(minutes=-1)
    valid_until: timedelta | None = timedelta(minutes=5)
    audiences: tuple[tuple[str, ...], ...] = (("service",),)
    further_condition: str = ""
    level: str | None = LEVEL
    authenticated: timedelta = timedelta(minutes=-1)
    session: str | None = "session-1"
    session_until: timedelta | None = timedelta(hours=8)
    statements: int = 1
    attributes: Mapping[str, Sequence[str]] = field(
        default_factory=lambda: {DISPLAY_NAME: ["Anna Andersson"]}
    )
    assertions: int = 1
    response_key: pki.Certified | None = None
    assertion_key: pki.Certified | None = SERVICE
    encrypted_for: pki.Certified | None = OURS
    cipher: str = GCM_256
    transport: str = OAEP_SHA1
    key_beside: bool = False
    signature_method: SignatureMethod = SignatureMethod.RSA_SHA256
    digest: DigestAlgorithm = DigestAlgorithm.SHA256
    before_signing: Change = nothing
    after_signing: Change = nothing
    plain: Callable[[bytes], bytes] = lambda text: text
    """Change of the assertion's text before it is encrypted."""
    last: Change = nothing
    """Change of the whole response, signed and encrypted."""

    def _place(self, value: str | None) -> str | None:
        return {"acs": self.acs, "request": self.request, "service": self.service}.get(value or "", value)

    def _time(self, after: timedelta | None) -> str | None:
        return None if after is None else (self.at + after).strftime("%Y-%m-%dT%H:%M:%SZ")

    def assertion(self) -> Element:
        """Return the assertion, signed or not."""
        root = etree.fromstring(
            f'<saml:Assertion xmlns:saml="{SAML}" xmlns:xs="http://www.w3.org/2001/XMLSchema"'
            ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
            f' ID="_assertion" Version="2.0" IssueInstant="{self._time(timedelta())}">'
            f"<saml:Issuer>{self.asserted_by}</saml:Issuer>"
            f"<saml:Subject><saml:NameID{_attributes(Format=self.name_format, NameQualifier=self.qualifier)}"
            f"{_attributes(SPNameQualifier=self.service_qualifier)}>{escape(self.name)}</saml:NameID>"
            f'<saml:SubjectConfirmation Method="{self.method}"><saml:SubjectConfirmationData'
            + _attributes(
                Recipient=self._place(self.recipient),
                InResponseTo=self._place(self.confirms),
                NotBefore=self._time(self.bearer_from),
                NotOnOrAfter=self._time(self.bearer_until),
            )
            + "/></saml:SubjectConfirmation></saml:Subject><saml:Conditions"
            + _attributes(NotBefore=self._time(self.valid_from), NotOnOrAfter=self._time(self.valid_until))
            + f">{''.join(map(self._restriction, self.audiences))}{self.further_condition}</saml:Conditions>"
            + self._statement() * self.statements
            + "<saml:AttributeStatement>"
            + "".join(_attribute(name, values) for name, values in self.attributes.items())
            + "</saml:AttributeStatement></saml:Assertion>"
        )
        self.before_signing(root)
        signed = self._signed(root, self.assertion_key)
        self.after_signing(signed)
        return signed

    def _restriction(self, audiences: Sequence[str]) -> str:
        inner = "".join(f"<saml:Audience>{self._place(each)}</saml:Audience>" for each in audiences)
        return f"<saml:AudienceRestriction>{inner}</saml:AudienceRestriction>"

    def _statement(self) -> str:
        level = (
            "<saml:AuthnContextDeclRef>urn:x</saml:AuthnContextDeclRef>"
            if self.level is None
            else f"<saml:AuthnContextClassRef>{self.level}</saml:AuthnContextClassRef>"
        )
        return (
            "<saml:AuthnStatement"
            + _attributes(
                AuthnInstant=self._time(self.authenticated),
                SessionIndex=self.session,
                SessionNotOnOrAfter=self._time(self.session_until),
            )
            + f"><saml:AuthnContext>{level}</saml:AuthnContext></saml:AuthnStatement>"
        )

    def response(self) -> Element:
        """Return the whole answer."""
        issuer = "" if self.issuer is None else f"<saml:Issuer>{self.issuer}</saml:Issuer>"
        root = etree.fromstring(
            f'<samlp:Response xmlns:samlp="{SAMLP}" xmlns:saml="{SAML}" ID="_response"'
            + _attributes(
                Version=self.version,
                IssueInstant=self._time(timedelta()),
                Destination=self._place(self.destination),
                InResponseTo=self._place(self.in_response_to),
            )
            + f">{issuer}<samlp:Status>"
            f'<samlp:StatusCode Value="{self.status}"/></samlp:Status></samlp:Response>'
        )
        for _ in range(self.assertions):
            assertion = self.assertion()
            root.append(assertion if self.encrypted_for is None else self._encrypted(assertion))
        root = self._signed(root, self.response_key)
        self.last(root)
        return root

    def encoded(self) -> str:
        """Return the answer as the browser posts it."""
        return base64.b64encode(etree.tostring(self.response())).decode()

    def _signed(self, root: Element, owner: pki.Certified | None) -> Element:
        return root if owner is None else signed(root, owner, self.signature_method, self.digest)

    def _encrypted(self, assertion: Element) -> Element:
        assert self.encrypted_for is not None
        plain = self.plain(etree.tostring(assertion))
        key = os.urandom(16 if self.cipher == GCM_128 else 32)
        public = self.encrypted_for.private_key.public_key()
        assert isinstance(public, RSAPublicKey)
        if self.transport == RSA_1_5:
            wrapped = public.encrypt(key, PKCS1v15())
        else:
            wrapped = public.encrypt(key, OAEP(MGF1(hashes.SHA1()), hashes.SHA1(), None))
        holder = etree.fromstring(
            f'<saml:EncryptedAssertion xmlns:saml="{SAML}" xmlns:ds="{DS}" xmlns:xenc="{XENC}">'
            f'<xenc:EncryptedData Type="{XENC}Element">'
            f'<xenc:EncryptionMethod Algorithm="{self.cipher}"/><ds:KeyInfo><xenc:EncryptedKey>'
            f'<xenc:EncryptionMethod Algorithm="{self.transport}"/>'
            f"<xenc:CipherData><xenc:CipherValue>{_base64(wrapped)}</xenc:CipherValue></xenc:CipherData>"
            "</xenc:EncryptedKey></ds:KeyInfo><xenc:CipherData>"
            f"<xenc:CipherValue>{_base64(_enciphered(self.cipher, key, plain))}</xenc:CipherValue>"
            "</xenc:CipherData></xenc:EncryptedData></saml:EncryptedAssertion>"
        )
        if self.key_beside:
            holder.append(holder.find(".//xenc:EncryptedKey", NAMES))  # type: ignore[arg-type]
        return holder


def signed(
    root: Element,
    owner: pki.Certified,
    method: SignatureMethod = SignatureMethod.RSA_SHA256,
    digest: DigestAlgorithm = DigestAlgorithm.SHA256,
) -> Element:
    """Return the element with a signature by signxml as its last child."""
    signer = _LaxSigner(
        method=methods.enveloped,
        signature_algorithm=method,
        digest_algorithm=digest,
        c14n_algorithm=CanonicalizationMethod.EXCLUSIVE_XML_CANONICALIZATION_1_0,
    )
    done = signer.sign(
        root,
        key=owner.private_key,
        cert=[owner.certificate],
        reference_uri=root.get("ID"),
        id_attribute="ID",
    )
    assert isinstance(done, Element)
    return done


class _LaxSigner(XMLSigner):
    """A signer that also uses SHA-1, which signxml itself refuses."""

    def check_deprecated_methods(self) -> None:
        return


@dataclass
class SamlService:
    """The service as its metadata describe it, and as it answers requests."""

    clock: Callable[[], datetime]
    signers: list[pki.Certified] = field(default_factory=lambda: [SERVICE])
    down: bool = False
    read: int = 0
    document: Callable[[], bytes] | None = None
    entity: str = ENTITY
    changed: dict[str, Any] = field(default_factory=dict)

    async def metadata(self) -> bytes:
        """Return metadata as :mod:`samdrift.web.signin.saml.provider` reads them."""
        self.read += 1
        return self.document() if self.document is not None else described(self.signers)

    def visit(self, url: str) -> Answer:
        """Sign in the person whom our request sends; return the answer."""
        request = asked(url)
        answer = Answer(
            str(request.get("ID")),
            self.clock(),
            request.findtext("saml:Issuer", "", NAMES),
            str(request.get("AssertionConsumerServiceURL")),
        )
        return replace(answer, **self.changed)


def asked(url: str) -> Element:
    """Return the request in an address, after verifying its signature."""
    query = urlsplit(url).query
    fields = parse_qs(query)
    covered, _, _ = query.partition("&Signature=")
    covered = covered[covered.index("SAMLRequest=") :]
    OURS.private_key.public_key().verify(
        base64.b64decode(fields["Signature"][0]), covered.encode(), PKCS1v15(), hashes.SHA256()
    )
    inflated = zlib.decompress(base64.b64decode(fields["SAMLRequest"][0]), -zlib.MAX_WBITS)
    return etree.fromstring(inflated)


def described(
    signers: Sequence[pki.Certified],
    *,
    by: pki.Certified | None = None,
    until: str | None = None,
    entity: str = ENTITY,
    binding: str = "HTTP-Redirect",
    location: str = SIGN_IN,
    protocols: str = SAMLP,
    around: bool = False,
) -> bytes:
    """Return metadata, signed or not, alone or within a federation's."""
    keys = "".join(
        f'<md:KeyDescriptor use="signing"><ds:KeyInfo><ds:X509Data><ds:X509Certificate>'
        f"{_base64(each.certificate.public_bytes(pki.Encoding.DER))}"
        "</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>"
        for each in signers
    )
    own = (
        f'<md:EntityDescriptor xmlns:md="{MD}" xmlns:ds="{DS}"'
        f"{_attributes(ID='_metadata', entityID=entity, validUntil=until)}>"
        f'<md:IDPSSODescriptor protocolSupportEnumeration="{protocols}">{keys}'
        f'<md:SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:{binding}"'
        f' Location="{location}"/></md:IDPSSODescriptor></md:EntityDescriptor>'
    )
    if around:
        other = described([STRANGER], entity="https://another.test").decode().replace("_metadata", "_other")
        own = f'<md:EntitiesDescriptor xmlns:md="{MD}" ID="_all">{other}{own}</md:EntitiesDescriptor>'
    root = etree.fromstring(own)
    return etree.tostring(root if by is None else signed(root, by))


def _attributes(**values: str | None) -> str:
    return "".join(f" {name}={quoteattr(value)}" for name, value in values.items() if value is not None)


def _attribute(name: str, values: Sequence[str]) -> str:
    inner = "".join(
        f'<saml:AttributeValue xsi:type="xs:string">{escape(each)}</saml:AttributeValue>' for each in values
    )
    return f"<saml:Attribute Name={quoteattr(name)}>{inner}</saml:Attribute>"


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _enciphered(cipher: str, key: bytes, plain: bytes) -> bytes:
    if cipher == CBC_256:
        iv, padding = os.urandom(16), 16 - len(plain) % 16
        encryptor = Cipher(AES(key), CBC(iv)).encryptor()
        return iv + encryptor.update(plain + bytes([padding]) * padding) + encryptor.finalize()
    nonce = os.urandom(12)
    return nonce + AESGCM(key).encrypt(nonce, plain, None)
