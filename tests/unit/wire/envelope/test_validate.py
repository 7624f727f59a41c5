"""The rules of the envelope profile, each broken separately (envelope-profile-xhe 2.5)."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy

import pytest
from lxml import etree

from samdrift.wire.codes import Detail, Reason
from samdrift.wire.envelope import read, validate
from samdrift.wire.envelope.header import MAX_VALUE
from samdrift.wire.envelope.structure import xha, xhb
from samdrift.wire.errors import WireError, WireFault
from samdrift.wire.findings import Finding
from samdrift.wire.xml.schema import MAX_FINDINGS
from tests.unit.wire.envelope.samples import changed, one, sealed

Change = Callable[[etree._Element], object]

CRITERION = "//xha:BusinessScopeCriterion"
SENDER_ID, RECIPIENT_ID = "//xha:FromParty//xhb:ID", "//xha:ToParty//xhb:ID"
CONTENT = "//xha:PayloadContent"
ENCRYPTED = "//xhb:InstanceEncryptionIndicator"


def text(path: str, value: str | None) -> Change:
    return lambda root: setattr(one(root, path), "text", value)


def without(path: str) -> Change:
    def change(root: etree._Element) -> None:
        element = one(root, path)
        parent = element.getparent()
        assert parent is not None
        parent.remove(element)

    return change


def twice(path: str) -> Change:
    return lambda root: one(root, path).addnext(deepcopy(one(root, path)))


def attribute(path: str, name: str, value: str) -> Change:
    return lambda root: one(root, path).set(name, value)


def added(path: str, tag: str, at: int) -> Change:
    def change(root: etree._Element) -> None:
        element = etree.Element(tag)
        element.text = "x"
        one(root, path).insert(at, element)

    return change


def code(value: str) -> str:
    return f"{CRITERION}[xhb:BusinessScopeCriterionTypeCode='{value}']/xhb:BusinessScopeCriterionTypeCode"


def findings(change: Change) -> tuple[Finding, ...]:
    return validate(changed(sealed(), change))


def test_what_we_seal_follows_the_profile() -> None:
    for signed in (True, False):
        for encrypted in (True, False):
            assert validate(sealed(signed=signed, encrypted=encrypted)) == ()


@pytest.mark.parametrize(
    ("rule", "change"),
    [
        ("R1-XHE", added("/x:XHE", xhb("ProfileID"), 2)),
        ("R1-XHE", added("//xha:Header", xhb("UUID"), 1)),
        ("R1-XHE", added("//xha:Payload", xhb("Description"), 0)),
        ("R1-XHE", added("/x:XHE", "{http://docs.oasis-open.org/bdxr/ns/XHE/1/ExtensionComponents}X", 0)),
        ("R1-XHE", attribute("//xha:Header/xhb:ID", "schemeID", "x")),
        ("R1-XHE", attribute(SENDER_ID, "schemeName", "x")),
        ("R1-XHE", attribute("/x:XHE", "{http://www.w3.org/XML/1998/namespace}lang", "sv")),
        ("R2-XHE", text("//xhb:HandlingServiceID", " \n")),
        ("R2-XHE", text("//xhb:DocumentTypeCode", None)),
        ("R2-XHE", without("//xha:ToParty/xha:PartyIdentification")),
        ("R2-XHE", without("//xenc:EncryptedData")),
        ("R3-XHE", text("//xhb:CustomizationID", "urn:fdc:digg.se:edelivery:xhe:2")),
        ("R4-XHE", text(code("DOCUMENTID"), "DOCUMENT")),
        ("R5-XHE", text(code("DOCUMENTID_SCHEME"), "documentid_scheme")),
        ("R6-XHE", text(code("PROCESSID"), "x")),
        ("R7-XHE", text(code("PROCESSID_SCHEME"), "x")),
        ("R8-XHE", text(code("FEDERATIONID"), "x")),
        ("R9-XHE", text("//xhb:XHEVersionID", "1.1")),
        ("R10-XHE", attribute(SENDER_ID, "schemeID", "x")),
        ("R10-XHE", lambda root: one(root, SENDER_ID).attrib.clear()),
        ("R11-XHE", attribute(RECIPIENT_ID, "schemeID", "")),
        ("R11-XHE", lambda root: one(root, RECIPIENT_ID).attrib.clear()),
        ("R12-XHE", lambda root: setattr(one(root, f"{CONTENT}/*"), "tag", "{urn:a}b")),
        ("R13-XHE", text(ENCRYPTED, "false")),
        ("R14-XHE", without("//xhb:CustomizationID")),
        ("R14-XHE", without("//xhb:DocumentTypeCode")),
        ("R14-XHE", without("//xhb:ContentTypeCode")),
        ("R14-XHE", without(ENCRYPTED)),
        ("R14-XHE", without("//xha:FromParty")),
        ("R14-XHE", without(CONTENT)),
        ("R14-XHE", twice("//xha:ToParty")),
        ("R14-XHE", twice("//xha:Payload")),
        ("R14-XHE", twice("//xhb:ContentTypeCode")),
        ("R14-XHE", twice(f"{CRITERION}[1]")),
        ("R14-XHE", text(code("PROCESSID"), "DOCUMENTID")),
        ("ID", text("//xha:Header/xhb:ID", "1")),
        ("CreationDateTime", text("//xhb:CreationDateTime", "2026-03-02T12:00:00")),
        ("PartyIdentification", text(SENDER_ID, "habo.se")),
        ("PartyIdentification", text(RECIPIENT_ID, "9999:habo.se")),
    ],
)  # fmt: skip
def test_a_broken_rule_is_named(rule: str, change: Change) -> None:
    """Clauses: architecture-sad 5.3.7.1 sentence 1; content-specification 3.2 answer 1; envelope-profile-xhe
    2.2 a, sentences 1-4, sentence 6, sentence 7, sentence 13, 2.4 a, 2.5 b, R1-XHE, R2-XHE, R3-XHE,
    R4-XHE, R5-XHE, R6-XHE, R7-XHE, R8-XHE, R9-XHE, R10-XHE, R11-XHE, R12-XHE, R13-XHE, R14-XHE.
    """
    found = findings(change)
    assert rule in {finding.text.partition(":")[0] for finding in found}
    assert all(finding.detail is Detail.INVARIANT for finding in found if finding.reason is Reason.RULE)
    assert all(finding.path.startswith("/XHE") for finding in found)


@pytest.mark.parametrize(
    ("path", "change"),
    [
        ("/other", lambda root: setattr(root, "tag", "{urn:a}other")),
        ("/XHE/Header/other", added("//xha:Header", "{urn:a}other", 5)),
        ("/XHE/Payloads/Payload/other", added("//xha:Payload", "other", 0)),
        ("/XHE/Header/ID", lambda root: one(root, "//xha:Header").append(one(root, "//xha:Header/xhb:ID"))),
        ("/XHE/Header", text("//xha:Header", "stray")),
        ("/XHE/Header/ID", added("//xha:Header/xhb:ID", "{urn:a}b", 0)),
        ("/XHE/Header/CreationDateTime", text("//xhb:CreationDateTime", "2026-02-30T12:00:00Z")),
        ("/XHE/Payloads/Payload/InstanceEncryptionIndicator", text(ENCRYPTED, "yes")),
        ("/XHE/Payloads/Payload/PayloadContent", added(CONTENT, "{urn:a}b", 1)),
        ("/XHE/Payloads/Payload/PayloadContent", added(CONTENT, "b", 0)),
        ("/XHE/Payloads/Payload/PayloadContent", added(CONTENT, xha("Party"), 0)),
        ("/XHE/Payloads/Payload/HandlingServiceID", text("//xhb:HandlingServiceID", "x" * (MAX_VALUE + 1))),
        ("/XHE/Payloads/Payload/HandlingServiceID", text("//xhb:HandlingServiceID", "x" * 100_000)),
        ("/XHE/Payloads", text("//xha:Payloads", "x" * 100_000)),
    ],
)  # fmt: skip
def test_broken_structure_is_found_where_it_is(path: str, change: Change) -> None:
    """Clauses: envelope-profile-xhe 2.5 a."""
    structure = [finding for finding in findings(change) if finding.reason is Reason.SCHEMA]
    assert {(finding.detail, finding.path) for finding in structure} == {(Detail.STRUCTURE, path)}


@pytest.mark.parametrize(
    "change",
    [
        text("//xhb:CustomizationID", "\n urn:fdc:digg.se:edelivery:xhe:1 "),
        text(ENCRYPTED, " 1 "),
        text("//xhb:CreationDateTime", "2021-03-24T17:22:10+01:00"),
        text(code("DOCUMENTID"), " DOCUMENTID "),
        attribute(SENDER_ID, "schemeID", " iso6523-actorid-upis "),
        attribute("/x:XHE", "{http://www.w3.org/2001/XMLSchema-instance}schemaLocation", "urn:a b"),
        without("//xhb:HandlingServiceID"),
        without("ds:Signature"),
        twice("ds:Signature"),
        lambda root: root.insert(0, etree.Comment("c")),
        lambda root: one(root, "//xha:Header/xhb:ID").append(etree.Comment("c")),
        text(CONTENT, "text beside the element"),
        text(CONTENT, "x" * 100_000),
    ],
)
def test_what_the_profile_leaves_open_is_taken(change: Change) -> None:
    assert findings(change) == ()


def test_values_are_read_without_the_white_space_around_them() -> None:
    data = changed(sealed(), text(SENDER_ID, " 0203:HABO.se\n"))
    assert read(data).header.sender.value == "0203:habo.se"


def test_a_comment_in_a_value_does_not_cut_it() -> None:
    data = sealed().replace(b">0203:habo.se<", b">0203:habo<!-- -->.se<")
    assert read(data).header.sender.value == "0203:habo.se"


def test_reading_refuses_what_breaks_the_profile_and_says_where() -> None:
    with pytest.raises(WireError) as refused:
        read(changed(sealed(), text("//xhb:XHEVersionID", "2.0")))
    assert (refused.value.fault, refused.value.where) == (WireFault.STRUCTURE, "/XHE/XHEVersionID")


def test_findings_repeat_no_value() -> None:
    for path in ("//xhb:CustomizationID", SENDER_ID, "//xha:Header/xhb:ID", "//xhb:CreationDateTime"):
        for finding in findings(text(path, "19121212-1212")):
            assert "19121212" not in finding.text + finding.path


def test_the_number_of_findings_is_bounded() -> None:
    strangers = [etree.Element("{urn:a}b") for _ in range(MAX_FINDINGS * 2)]
    assert len(findings(lambda root: root.extend(strangers))) == MAX_FINDINGS
