"""Valid envelopes made from a seed, independently of our own builder, and values to try on them."""

from __future__ import annotations

import base64
from random import Random
from uuid import UUID

from lxml import etree
from lxml.builder import ElementMaker

from tests.unit.wire.formats import BOOLEANS, FRAGMENTS, TIMES, UUIDS
from tests.unit.wire.mutation import FOREIGN, XSI, Format

XHE = "http://docs.oasis-open.org/bdxr/ns/XHE/1/ExchangeHeaderEnvelope"
XHA = "http://docs.oasis-open.org/bdxr/ns/XHE/1/AggregateComponents"
XHB = "http://docs.oasis-open.org/bdxr/ns/XHE/1/BasicComponents"
EXT = "http://docs.oasis-open.org/bdxr/ns/XHE/1/ExtensionComponents"
DS = "http://www.w3.org/2000/09/xmldsig#"
XENC = "http://www.w3.org/2001/04/xmlenc#"

_SCOPE = {
    "DOCUMENTID": "urn:riv:infrastructure:messaging:MessageWithAttachments:3::messagePayload##3.0::tm-base",
    "DOCUMENTID_SCHEME": "busdox-docid-qns",
    "PROCESSID": "bdx:noprocess",
    "PROCESSID_SCHEME": "urn:fdc:digg.se:edelivery:process",
    "FEDERATIONID": "urn:fdc:digg.se:edelivery:federation:test",
}


def _base64(rng: Random, size: int) -> str:
    return base64.b64encode(rng.randbytes(size)).decode()


def _signature(rng: Random) -> etree._Element:
    d = ElementMaker(namespace=DS, nsmap={None: DS})
    return d.Signature(
        d.SignedInfo(
            d.CanonicalizationMethod(Algorithm="http://www.w3.org/TR/2001/REC-xml-c14n-20010315"),
            d.SignatureMethod(Algorithm="http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"),
            d.Reference(
                d.Transforms(d.Transform(Algorithm=f"{DS}enveloped-signature")),
                d.DigestMethod(Algorithm=f"{XENC}sha256"),
                d.DigestValue(_base64(rng, 32)),
                URI="",
            ),
        ),
        d.SignatureValue(_base64(rng, 256)),
        d.KeyInfo(d.X509Data(d.X509Certificate(_base64(rng, 300)))),
    )


def _encrypted(rng: Random) -> etree._Element:
    x = ElementMaker(namespace=XENC, nsmap={None: XENC})
    d = ElementMaker(namespace=DS, nsmap={None: DS})
    key = x.EncryptedKey(
        x.EncryptionMethod(Algorithm=f"{XENC}rsa-oaep-mgf1p"),
        d.KeyInfo(d.X509Data(d.X509Certificate(_base64(rng, 300)))),
        x.CipherData(x.CipherValue(_base64(rng, 256))),
    )
    return x.EncryptedData(
        x.EncryptionMethod(Algorithm=f"{XENC}aes256-cbc"),
        d.KeyInfo(key),
        x.CipherData(x.CipherValue(_base64(rng, 200))),
        Type=f"{XENC}Element",
    )


def _plain(rng: Random) -> etree._Element:
    return etree.fromstring(f'<m:payload xmlns:m="{FOREIGN}"><m:text>{_base64(rng, 50)}</m:text></m:payload>')


def _make(rng: Random) -> etree._Element:
    nsmap = {None: XHB, "xha": XHA, "x": XHE, "xsi": XSI}
    x = ElementMaker(namespace=XHE, nsmap=nsmap)
    a = ElementMaker(namespace=XHA, nsmap=nsmap)
    b = ElementMaker(namespace=XHB, nsmap=nsmap)

    def criterion(code: str) -> etree._Element:
        return a.BusinessScopeCriterion(
            b.BusinessScopeCriterionTypeCode(code), b.BusinessScopeCriterionValue(_SCOPE[code])
        )

    def party(local: str, value: str) -> etree._Element:
        return a(local, a.PartyIdentification(b.ID(value, schemeID="iso6523-actorid-upis")))

    encrypted = rng.random() < 0.5
    header = a.Header(
        b.ID(str(UUID(int=rng.getrandbits(128)))),
        b.CreationDateTime(rng.choice(("2024-02-29T12:00:00.123Z", "2021-03-24T17:22:10+01:00"))),
        a.BusinessScope(*(criterion(code) for code in rng.sample(list(_SCOPE), 5))),
        party("FromParty", rng.choice(("0203:habo.se", "0007:2021002320"))),
        party("ToParty", rng.choice(("0203:arbetsformedlingen.se", "0088:7350000000001"))),
    )
    payload = a.Payload(
        b.DocumentTypeCode("Q{urn:example}payload"),
        b.ContentTypeCode("application/xml"),
        *([b.HandlingServiceID("sdk.inkorg")] if rng.random() < 0.7 else []),
        b.InstanceEncryptionIndicator(rng.choice(("true", "1") if encrypted else ("false", "0"))),
        a.PayloadContent(_encrypted(rng) if encrypted else _plain(rng)),
    )
    signatures = [_signature(rng) for _ in range(rng.choice((0, 1, 1, 2)))]
    return x.XHE(
        b.XHEVersionID("1.0"),
        b.CustomizationID("urn:fdc:digg.se:edelivery:xhe:1"),
        header,
        a.Payloads(payload),
        *signatures,
    )


def _basic(*locals_: str) -> tuple[str, ...]:
    return tuple(f'<b:{local} xmlns:b="{XHB}">x</b:{local}>' for local in locals_)


ENVELOPE = Format(
    XHE,
    _make,
    values={
        "XHEVersionID": ("1.0", " 1.0\n", "1", "1.1"),
        "CustomizationID": ("urn:fdc:digg.se:edelivery:xhe:1", " urn:fdc:digg.se:edelivery:xhe:1 ", "x"),
        "ID": (*UUIDS, "0203:habo.se", " 0203:habo.se ", "0007:1", "habo.se"),
        "CreationDateTime": TIMES,
        "BusinessScopeCriterionTypeCode": (*_SCOPE, " DOCUMENTID ", "PROCESSID\n", "documentid", "OTHER"),
        "InstanceEncryptionIndicator": BOOLEANS,
        "DocumentTypeCode": ("x" * 4096, "x" * 4097),
        "HandlingServiceID": ("x", "x" * 4097),
        "DigestValue": ("QUJD", "?", ""),
        "X509Certificate": ("QUJD", "?"),
        "CipherValue": ("QUJD", "?"),
    },
    attributes=(
        ("schemeID", ("iso6523-actorid-upis", " iso6523-actorid-upis ", "GLN", "", " ")),
        ("schemeID", ("iso6523-actorid-upis",)),
        ("schemeName", ("x",)),
        ("listID", ("x",)),
        ("languageID", ("sv",)),
        ("Id", ("a", "1")),
        (f"{{{XSI}}}schemaLocation", ("urn:a b",)),
        (f"{{{XSI}}}nil", ("false",)),
        (f"{{{FOREIGN}}}a", ("1",)),
    ),
    fragments=(
        *FRAGMENTS,
        *_basic("UUID", "ID", "ProfileID", "ProfileExecutionID", "Description", "CustomizationID"),
        *_basic("ValidationTypeCode", "ValidationVersionID", "InstanceEncryptionMethod", "InstanceHashValue"),
        f'<a:ExternalReference xmlns:a="{XHA}" xmlns:b="{XHB}"><b:ID>x</b:ID></a:ExternalReference>',
        f'<a:PayloadExternalReference xmlns:a="{XHA}" xmlns:b="{XHB}"><b:ID>x</b:ID>'
        "</a:PayloadExternalReference>",
        f'<a:Party xmlns:a="{XHA}"/>',
        f'<e:XHEExtensions xmlns:e="{EXT}"><e:XHEExtension><e:ExtensionContent><x/></e:ExtensionContent>'
        "</e:XHEExtension></e:XHEExtensions>",
        f'<d:Object xmlns:d="{DS}">x</d:Object>',
        f'<d:KeyName xmlns:d="{DS}">x</d:KeyName>',
        f'<e:EncryptedData xmlns:e="{XENC}"/>',
    ),
)
