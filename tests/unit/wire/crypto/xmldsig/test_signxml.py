"""signxml, an independent implementation, verifies our signatures, and we verify signxml's.

Documents have no ``xml:`` attributes on the root, which signxml 5 omits from the inclusive form of SignedInfo
(Canonical XML 1.0, 2.4). It also fails on DIGG's signed example, for the reason given in
``docs/decisions/0001-xml-security-core.md``.
"""

from __future__ import annotations

import pytest
from lxml import etree
from signxml import CanonicalizationMethod, SignatureConfiguration, XMLSigner, XMLVerifier

from samdrift.wire.crypto.xmldsig import Canonicalization, sign_enveloped, verify_enveloped
from samdrift.wire.xml import parse
from tests.unit.wire.envelope.samples import SENDER, sealed

DOCUMENTS = [
    b"<r/>",
    b"<r> <a>1</a> &amp; <b/> </r>",
    b'<p:r xmlns:p="urn:p" xmlns:q="urn:q"><p:a q:z="1" z="2" xml:lang="sv"><!-- c -->x</p:a></p:r>',
    '<r xmlns:p="urn:p">å<a xmlns="urn:a" x="&#10;&#9;"><p:b/></a>\r\n<![CDATA[<&>]]></r>'.encode(),
    sealed(signed=False),
    sealed(signed=False, encrypted=False),
]


@pytest.mark.parametrize("method", Canonicalization)
@pytest.mark.parametrize("document", DOCUMENTS)
def test_signxml_verifies_ours(document: bytes, method: Canonicalization) -> None:
    """Clauses: envelope-profile-xhe 3.5 sentence 1."""
    root = parse(document)
    sign_enveloped(root, SENDER.signing_key(), method=method)
    verified = XMLVerifier().verify(
        etree.tostring(root.getroottree()),
        x509_cert=SENDER.certificate,
        expect_config=SignatureConfiguration(expect_references=1),
    )
    assert verified.signed_xml is not None
    assert etree.QName(verified.signed_xml).localname == etree.QName(root).localname


@pytest.mark.parametrize("method", Canonicalization)
@pytest.mark.parametrize("document", DOCUMENTS)
def test_we_verify_signxml(document: bytes, method: Canonicalization) -> None:
    """Clauses: envelope-profile-xhe 3.5 sentence 1."""
    signer = XMLSigner(c14n_algorithm=CanonicalizationMethod(method.value))
    root = signer.sign(etree.fromstring(document), key=SENDER.private_key, cert=[SENDER.certificate])
    verdict = verify_enveloped(parse(etree.tostring(root)))
    assert verdict.valid
    assert verdict.certificate == SENDER.certificate
