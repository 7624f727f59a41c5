"""The rules of the message receipt, R1-APP to R9-APP and those of the text (message-receipt 3)."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from samdrift.wire import xml
from samdrift.wire.codes import Detail, Reason
from samdrift.wire.errors import WireError
from samdrift.wire.receipt import build, parse, validate
from tests.official import DIGG, requires_digg
from tests.unit.wire.receipt.samples import ACCEPTED, REJECTED

STRUCTURE = (Reason.SCHEMA, Detail.STRUCTURE)
INVARIANT = (Reason.RULE, Detail.INVARIANT)
ROOT = "/ApplicationResponse"
RESPONSE = f"{ROOT}/DocumentResponse/Response"
LINE = f"{ROOT}/DocumentResponse/LineResponse[1]"
STATUS = b"<cac:Status><cbc:StatusReason>x</cbc:StatusReason></cac:Status>"


@requires_digg
@pytest.mark.parametrize("file", sorted(DIGG.glob("examples/Kvittens_*.xml")), ids=lambda file: file.stem)
def test_published_receipts_are_valid(file: object) -> None:
    assert validate(file.read_bytes()) == ()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("before", "after", "codes", "path"),
    [
        # R1-APP
        (b"<cbc:ID>", b'<cbc:ID schemeID="x">', INVARIANT, f"{ROOT}/ID"),
        (b"<cbc:ProfileID>", b'<cbc:ProfileID schemeID="x">', INVARIANT, f"{ROOT}/ProfileID"),
        (b"<cbc:LineID>", b'<cbc:LineID schemeID="x">', INVARIANT, f"{LINE}/LineReference/LineID"),
        (b"REJECTED</cbc:ResponseCode>", b"REJECTED</cbc:ResponseCode>" + STATUS, INVARIANT, RESPONSE),
        (b"<cbc:IssueDate>", b"<cbc:UUID>x</cbc:UUID><cbc:IssueDate>", STRUCTURE, ROOT),
        # R2-APP
        (b">structure<", b"> <", INVARIANT, f"{LINE}/Response/Status/StatusReasonCode"),
        # R3-APP, R4-APP
        (b"response:1<", b"response:2<", INVARIANT, f"{ROOT}/CustomizationID"),
        (b"bdx:noprocess", b"bdx:process", INVARIANT, f"{ROOT}/ProfileID"),
        # R5-APP, R6-APP
        (b">REJECTED<", b">rejected<", INVARIANT, f"{RESPONSE}/ResponseCode"),
        (b">SV<", b">XX<", INVARIANT, f"{LINE}/Response/ResponseCode"),
        # R7-APP
        (b">REJECTED<", b">ACCEPTED<", INVARIANT, RESPONSE),
        (b">REJECTED<", b"> ACCEPTED <", INVARIANT, RESPONSE),
        # R9-APP
        (b' schemeID="iso6523-actorid-upis"', b"", INVARIANT, f"{ROOT}/SenderParty"),
        (b"<cbc:IssueTime>12:00:01Z</cbc:IssueTime>", b"", STRUCTURE, ROOT),
        # 3.1 c, d
        (b">12:00:01Z<", b">12:00:01<", INVARIANT, ROOT),
        (b">2024-02-29<", b">12024-02-29<", INVARIANT, ROOT),
        (b">2024-02-29<", b">2024-02-30<", STRUCTURE, f"{ROOT}/IssueDate"),
        (b'"iso6523-actorid-upis"', b'""', INVARIANT, f"{ROOT}/SenderParty/EndpointID"),
        (b">0203:habo.se<", b">habo.se<", INVARIANT, f"{ROOT}/ReceiverParty/EndpointID"),
    ],
)
def test_each_breach_has_its_codes_and_place(
    before: bytes, after: bytes, codes: tuple[Reason, Detail], path: str
) -> None:
    """Clauses: message-receipt 3.1 sentence 1, a, b, c, 3.3 a, 3.4 a, b, R1-APP, R2-APP, R3-APP, R4-APP,
    R5-APP, R6-APP, R7-APP, R9-APP, 3.5 step 2, step 3.
    """
    data = build(REJECTED)
    assert before in data
    found = validate(data.replace(before, after, 1))
    assert (*codes, path) in [(finding.reason, finding.detail, finding.path) for finding in found]


@pytest.mark.parametrize("element", ["CustomizationID", "ProfileID", "ID", "DocumentReference/ID", "LineID"])
def test_r1_only_an_endpoint_has_a_scheme(element: str) -> None:
    """Clauses: message-receipt 3.4 R1-APP."""
    root = etree.fromstring(build(REJECTED))
    found = root.find(".//" + "/".join(f"{{*}}{step}" for step in element.split("/")))
    assert found is not None
    found.set("schemeID", "iso6523-actorid-upis")
    assert [finding.path for finding in validate(root)] == [xml.path(found)]


@pytest.mark.parametrize("party", ["SenderParty", "ReceiverParty"])
def test_r9_and_3_1_d_e_each_endpoint_has_the_scheme_of_the_federation(party: str) -> None:
    """Clauses: message-receipt 3.1 d, e."""
    root = etree.fromstring(build(ACCEPTED))
    endpoint = root.find(f".//{{*}}{party}/{{*}}EndpointID")
    assert endpoint is not None
    endpoint.set("schemeID", "GLN")
    assert [finding.path for finding in validate(root)] == [f"{ROOT}/{party}/EndpointID"]
    del endpoint.attrib["schemeID"]
    assert [finding.path for finding in validate(root)] == [f"{ROOT}/{party}"]


def test_r8_a_receipt_that_rejects_has_a_reason() -> None:
    """Clauses: message-receipt 3.1 f, 3.4 R8-APP."""
    (finding,) = validate(build(ACCEPTED).replace(b">ACCEPTED<", b">REJECTED<"))
    assert (finding.reason, finding.path) == (Reason.RULE, RESPONSE)


def test_r9_a_reason_has_a_status() -> None:
    """Clauses: message-receipt 3.4 R9-APP."""
    data = build(REJECTED)
    start, end = data.index(b"<cac:Status>"), data.index(b"</cac:Status>") + len(b"</cac:Status>")
    (finding,) = validate(data[:start] + data[end:])
    assert (finding.reason, finding.path) == (Reason.RULE, f"{LINE}/Response")


def test_a_tree_has_the_same_verdict_as_its_bytes() -> None:
    data = build(ACCEPTED).replace(b">ACCEPTED<", b">REJECTED<")
    assert validate(xml.parse(data)) == validate(data) != ()


def test_another_root_breaks_the_schema() -> None:
    (finding,) = validate(b"<other/>")
    assert (finding.reason, finding.path) == (Reason.SCHEMA, "NA")


@settings(max_examples=300)
@given(st.data())
def test_any_bytes_give_a_verdict_or_a_typed_error(data: st.DataObject) -> None:
    """Clauses: message-receipt 3.5 step 1."""
    receipt = build(REJECTED)
    start = data.draw(st.integers(0, len(receipt)))
    end = data.draw(st.integers(start, min(start + 40, len(receipt))))
    spoilt = receipt[:start] + data.draw(st.binary(max_size=10)) + receipt[end:]
    with suppress(WireError):
        if validate(spoilt) == ():
            parse(spoilt)
    with suppress(WireError):
        parse(spoilt)


@settings(max_examples=200)
@given(st.sampled_from(("IssueDate", "IssueTime", "EndpointID", "ResponseCode")), st.text(max_size=20))
def test_what_is_valid_can_be_read(element: str, text: str) -> None:
    data = build(REJECTED)
    start = data.index(b">", data.index(f"<cbc:{element}".encode())) + 1
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").encode("utf-8", "replace")
    spoilt = data[:start] + escaped + data[data.index(b"<", start) :]
    try:
        valid = validate(spoilt) == ()
    except WireError:
        return
    if valid:
        parse(spoilt)
