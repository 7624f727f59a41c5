"""Valid SDK messages and message receipts made from a seed, independently of our own builders."""

from __future__ import annotations

import base64
from random import Random
from uuid import UUID

from lxml import etree
from lxml.builder import ElementMaker

from tests.unit.wire.mutation import FOREIGN, XSI, Format

TNS = "urn:riv:infrastructure:messaging:MessageWithAttachments:3"
UBL = "urn:oasis:names:specification:ubl:schema:xsd:"
_XS = "http://www.w3.org/2001/XMLSchema"
_ADDRESS = "urn:riv:infrastructure:messaging:functionalAddress"
_NAMES = ("Håbo kommun", "Socialtjänsten", "名前", "A & B <C>", "x", "ö" * 256)

TIMES = (
    "2019-08-22T07:27:15.433Z",
    "2019-08-22T07:27:15.4Z",
    "2019-08-22T07:27:15.4333Z",
    "2019-08-22T07:27:15Z",
    "2019-08-22T07:27:15.433",
    "2019-08-22T07:27:15.433+01:00",
    "2019-08-22T07:27:15.433-14:00",
    "2019-08-22T07:27:15.433+14:01",
    "2019-08-22T24:00:00.000Z",
    "2019-08-22T24:00:01.000Z",
    "2019-02-29T07:27:15.433Z",
    "2020-02-29T07:27:15.433Z",
    "1900-02-29T07:27:15.433Z",
    "2019-13-01T00:00:00.1Z",
    "0000-01-01T00:00:00.1Z",
    "-0044-03-15T12:00:00.0Z",
    "12019-08-22T07:27:15.4Z",
    "2019-08-22T07:27:60.4Z",
    "2019-08-22T07:27:15,4Z",
    "2019-08-22t07:27:15.4z",
    " 2019-08-22T07:27:15.433Z",
    "2019-08-22T07:27:15.433Z\n",
    "3 Sept. 2019",
    "2019-08-22",
)
UUIDS = (
    "3a94b4ed-a6d7-41e2-945d-b3fa91e8a6e9",
    "3A94B4ED-A6D7-41E2-945D-B3FA91E8A6E9",
    "3a94b4eda6d741e2945db3fa91e8a6e9",
    "3a94b4ed-a6d7-41e2-945d-b3fa91e8a6e9Ö",
    "3a94b4ed-a6d7-41e2-945d-b3fa91e8a6e9\n",
    " 3a94b4ed-a6d7-41e2-945d-b3fa91e8a6e9",
    "3a94b4ed-a6d7-41e2-945d-b3fa91e8a6e",
    "٣a94b4ed-a6d7-41e2-945d-b3fa91e8a6e9",
)
_BASE64 = (
    "QUJD",
    "QUI=",
    "QQ==",
    "QQ=",
    "QQ",
    "QUJD\nQUJD",
    "QUJD QUJD",
    " QUJD",
    "QUJD====",
    "QU=D",
    "=QUJ",
    "====",
    "QUJ-_w==",
    "åäö",
    "A",
    "QUJD" * 500,
    "QUJD" * 500 + "!",
)
_ROOTS = ("iso6523-actorid-upis", "ISO6523-ACTORID-UPIS", "iso6523-actorid-upis ", _ADDRESS, "urn:x", "dnr")
_EXTENSIONS = (
    "0203:habo.se",
    "0203:HABO.se",
    "0203:habo",
    "0203:",
    "0007:2021002320",
    "0007:202100232",
    "0088:7350000000001",
    "9999:x.se",
    "0203:http://inera.se",
    " 0203:habo.se",
    "x" * 256,
    "x" * 257,
)
BOOLEANS = ("true", "false", "1", "0", " true ", "TRUE", "yes", "\u00a0true", "2")
_LABELS = ("a", "ö" * 256, "ö" * 257, "😀" * 256, "😀" * 257, " " * 257, " ")


def _message(rng: Random) -> etree._Element:
    e = ElementMaker(namespace=TNS, nsmap={rng.choice((None, "tns", "ns2")): TNS, "x": _XS})

    def maybe(element: etree._Element, likely: float = 0.5) -> list[etree._Element]:
        return [element] if rng.random() < likely else []

    def ii(local: str, root: str, extension: str) -> etree._Element:
        return e(local, e.root(root), e.extension(extension))

    def label() -> list[etree._Element]:
        return maybe(e.label(rng.choice(_NAMES)))

    def attention() -> etree._Element:
        persons = [
            e.person(*maybe(ii("personId", "1.2.752.129.2.1.3.1", "19121212-1212"), 0.8), e.label("Tolvan"))
            for _ in range(rng.randrange(3))
        ]
        references = [
            e.reference(ii("referenceId", "dnr", rng.choice(("2024-1", "x" * 256))), *label())
            for _ in range(rng.randrange(3))
        ]
        unit = e.subOrganization(ii("organizationId", _ADDRESS, "sdk.inkorg"), *label())
        return e.attention(*persons, unit, *references)

    def document(index: int) -> etree._Element:
        files = [
            e.ContentFiles(
                e.fileName("a.pdf"),
                e.contentType("application/pdf"),
                e.content(base64.b64encode(rng.randbytes(rng.randrange(1, 200))).decode()),
            )
            for _ in range(rng.randrange(3))
        ]
        texts = [
            e.ContentText(e.characterSequence("# Hej\n\n*text*")) for _ in range(rng.randrange(not files, 3))
        ]
        return e.documents(
            e.documentID("d"),
            *maybe(e.documentName("n")),
            *maybe(e.index(str(index)), 0.9),
            *files,
            *texts,
        )

    def party(local: str, identifier: str, extension: str, likely: float) -> etree._Element:
        participant = ii(identifier, "iso6523-actorid-upis", extension)
        return e(local, participant, *label(), *maybe(attention(), likely))

    header = e.messageHeader(
        e.creationDateTime("2024-02-29T12:00:00." + "123"[: rng.randrange(1, 4)] + "Z"),
        e.messageId(str(UUID(int=rng.getrandbits(128)))),
        e.conversationId(str(UUID(int=rng.getrandbits(128)))),
        *maybe(e.refToMessageId(str(UUID(int=rng.getrandbits(128))))),
        e.label(rng.choice(_NAMES)),
        e.confidentiality(rng.choice(("true", "false", "1", "0"))),
        *maybe(ii("generatingSystem", "kodverk", "system")),
        party("recipient", "recipientID", "0203:arbetsformedlingen.se", 1.0),
        party("sender", "senderID", rng.choice(("0203:habo.se", "0007:2021002320")), 0.9),
    )
    body = e.messageBody(*(document(index + 1) for index in range(rng.choice((1, 1, 2, 3)))))
    return e.messagePayload(e.message(header, body))


FRAGMENTS = (
    f'<f:x xmlns:f="{FOREIGN}">text</f:x>',
    f'<f:x xmlns:f="{FOREIGN}"/>',
    f'<f:x xmlns:f="{FOREIGN}" a="1"><f:y> </f:y><f:z>mixed<f:w>1</f:w></f:z></f:x>',
    "<x>text</x>",
)

MESSAGE = Format(
    TNS,
    _message,
    values={
        "creationDateTime": TIMES,
        "messageId": UUIDS,
        "conversationId": UUIDS,
        "refToMessageId": UUIDS,
        "content": _BASE64,
        "root": _ROOTS,
        "extension": _EXTENSIONS,
        "confidentiality": BOOLEANS,
        "label": _LABELS,
    },
    attributes=(
        ("plain", ("1", "")),
        (f"{{{FOREIGN}}}a", ("1",)),
        ("{http://www.w3.org/XML/1998/namespace}lang", ("sv",)),
        (f"{{{XSI}}}schemaLocation", ("urn:a b",)),
        (f"{{{XSI}}}noNamespaceSchemaLocation", ("x.xsd",)),
        (f"{{{XSI}}}nil", ("true", "false")),
        (f"{{{XSI}}}other", ("1",)),
        *((f"{{{XSI}}}type", ("x:string", "x:token", "x:boolean", "x:dateTime")),) * 3,
    ),
    fragments=(
        *FRAGMENTS,
        *(
            f'<f:x xmlns:f="{FOREIGN}" xmlns:t="{TNS}">{inner}</f:x>'
            for inner in (
                "<t:messageId>x</t:messageId>",
                "<t:messageHeader><t:label>x</t:label></t:messageHeader>",
                "<t:recipientID><t:root>x</t:root><t:extension>x</t:extension></t:recipientID>",
                "<t:ContentFiles><t:content>?</t:content></t:ContentFiles>",
                "<t:messagePayload>x</t:messagePayload>",
                "<t:documents><t:index>1</t:index></t:documents>",
            )
        ),
        *(
            f'<t:{local} xmlns:t="{TNS}" xmlns:x="{_XS}" xmlns:i="{XSI}" i:type="{name}">{text}</t:{local}>'
            for local, name, text in (
                ("messageId", "x:string", "3a94b4ed-a6d7-41e2-945d-b3fa91e8a6e9"),
                ("refToMessageId", "x:token", "3a94b4ed-a6d7-41e2-945d-b3fa91e8a6e9"),
                ("label", "x:string", "x"),
                ("index", "x:unknown", "1"),
                ("generatingSystem", "t:IIType", "<t:root>a</t:root><t:extension>b</t:extension>"),
                ("generatingSystem", "t:CVType", "<t:code>a</t:code>"),
            )
        ),
        f'<f:x xmlns:f="{FOREIGN}" xmlns:x="{_XS}" xmlns:i="{XSI}" i:type="x:date">yesterday</f:x>',
        f'<f:x xmlns:f="{FOREIGN}" xmlns:x="{_XS}" xmlns:i="{XSI}" i:type="x:date">2024-02-29</f:x>',
    ),
)


def _receipt(rng: Random) -> etree._Element:
    cac, cbc = f"{UBL}CommonAggregateComponents-2", f"{UBL}CommonBasicComponents-2"
    nsmap = {None: f"{UBL}ApplicationResponse-2", "cac": cac, "cbc": cbc}
    r = ElementMaker(namespace=f"{UBL}ApplicationResponse-2", nsmap=nsmap)
    a = ElementMaker(namespace=cac, nsmap=nsmap)
    b = ElementMaker(namespace=cbc, nsmap=nsmap)

    def party(local: str, value: str) -> etree._Element:
        return a(local, b.EndpointID(value, schemeID="iso6523-actorid-upis"))

    def line() -> etree._Element:
        code = [b.StatusReasonCode(rng.choice(("structure", "RegelID-1")))] if rng.random() < 0.7 else []
        return a.LineResponse(
            a.LineReference(b.LineID(rng.choice(("NA", "/a/b[2]")))),
            a.Response(
                b.ResponseCode(rng.choice(("SV", "BV", "SIG"))),
                a.Status(*code, b.StatusReason(rng.choice(_NAMES))),
            ),
        )

    lines = [line() for _ in range(rng.randrange(4))]
    return r.ApplicationResponse(
        b.CustomizationID("urn:fdc:digg.se:edelivery:messagetype:response:1"),
        b.ProfileID("bdx:noprocess"),
        b.ID(str(UUID(int=rng.getrandbits(128)))),
        b.IssueDate(rng.choice(("2024-02-29", "2024-02-29Z"))),
        b.IssueTime(rng.choice(("12:00:00Z", "12:00:00.123+01:00"))),
        party("SenderParty", "0203:habo.se"),
        party("ReceiverParty", "0203:arbetsformedlingen.se"),
        a.DocumentResponse(
            a.Response(b.ResponseCode("REJECTED" if lines else "ACCEPTED")),
            a.DocumentReference(b.ID("x")),
            *lines,
        ),
    )


RECEIPT = Format(
    f"{UBL}ApplicationResponse-2",
    _receipt,
    values={
        "CustomizationID": ("urn:fdc:digg.se:edelivery:messagetype:response:2", " x ", "x\ny"),
        "ProfileID": ("bdx:noprocess", " bdx:noprocess\n", "BDX:NOPROCESS"),
        "IssueDate": (
            "2024-02-30",
            "2024-02-29+01:00",
            "20240229",
            " 2024-02-29 ",
            "-0044-03-15",
            "12024-01-01",
        ),
        "IssueTime": (
            "12:00:00",
            "24:00:00Z",
            "24:00:01Z",
            "12:00Z",
            " 12:00:00Z ",
            "12:00:00.1234567Z",
            "noon",
        ),
        "EndpointID": ("0203:habo.se", "habo.se", " 0203:habo.se", "0007:1", "0203:å.se"),
        "ResponseCode": (
            "ACCEPTED",
            "REJECTED",
            " ACCEPTED ",
            "\nREJECTED",
            "accepted",
            "SV",
            "BV",
            "SIG",
            " SV",
        ),
        "StatusReasonCode": ("Not-found", "duplicate", "x" * 300),
        "StatusReason": ("x" * 3000,),
        "LineID": ("NA", "anything"),
    },
    attributes=(
        ("schemeID", ("iso6523-actorid-upis", "GLN", "", " ")),
        ("schemeID", ("iso6523-actorid-upis",)),
        ("schemeName", ("x",)),
        ("languageID", ("sv",)),
        (f"{{{XSI}}}schemaLocation", ("urn:a b",)),
        (f"{{{XSI}}}nil", ("false",)),
    ),
    fragments=(
        *FRAGMENTS,
        *(
            f'<b:{local} xmlns:b="{UBL}CommonBasicComponents-2">x</b:{local}>'
            for local in ("Note", "UUID", "ID", "Description", "StatusReason", "ResponseCode")
        ),
        *(
            f'<a:{local} xmlns:a="{UBL}CommonAggregateComponents-2" xmlns:b="{UBL}CommonBasicComponents-2">'
            f"{inner}</a:{local}>"
            for local, inner in (
                ("Status", "<b:StatusReason>x</b:StatusReason>"),
                ("Signature", "<b:ID>x</b:ID>"),
                ("LineResponse", ""),
                ("LineResponse", "<a:LineReference><b:LineID>NA</b:LineID></a:LineReference>"),
                (
                    "LineResponse",
                    "<a:LineReference><b:LineID>NA</b:LineID></a:LineReference>"
                    "<a:Response><b:ResponseCode>SV</b:ResponseCode></a:Response>",
                ),
            )
        ),
    ),
)
