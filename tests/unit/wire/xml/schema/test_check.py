"""The walk over a table of elements, for a small format of its own."""

from __future__ import annotations

import pytest
from lxml import etree

from samdrift.wire.codes import Detail, Reason
from samdrift.wire.errors import WireError, WireFault
from samdrift.wire.xml.schema import (
    BOOLEAN,
    MAX_FINDINGS,
    TEXT,
    Particle,
    Schema,
    Sequence,
    Simple,
    limited,
    require_structure,
    violations,
)

_IDENTIFIER = Simple("{urn:t}Id", attributes=frozenset(("scheme",)))
_PERSON = Sequence("{urn:t}Person", (Particle("{urn:t}id", _IDENTIFIER),))
FORMAT = Schema(
    "urn:t",
    "{urn:t}root",
    Sequence(
        "{urn:t}Root",
        (
            Particle("{urn:t}name", TEXT),
            Particle("{urn:t}label", limited(3), minimum=0),
            Particle("{urn:t}secret", BOOLEAN, minimum=0),
            Particle("{urn:t}person", _PERSON, minimum=0, maximum=None),
        ),
        extensible=True,
    ),
)


_UNKNOWN = "An element that this format does not have is not expected here"


def _found(inner: str, attributes: str = "") -> list[tuple[str, str]]:
    root = etree.fromstring(
        '<root xmlns="urn:t" xmlns:f="urn:f" xmlns:x="http://www.w3.org/2001/XMLSchema"'
        f' xmlns:i="http://www.w3.org/2001/XMLSchema-instance" {attributes}>{inner}</root>'
    )
    return [(finding.path, finding.text) for finding in violations(root, FORMAT)]


@pytest.mark.parametrize(
    "inner",
    [
        "<name/>",
        "<name>n</name><label>abc</label><secret> true </secret><person><id scheme='s'>1</id></person>",
        "<!-- c --> <name>n<!-- c --></name> <?p i?> <person><id/></person> <person><id/></person>",
        "<name>n</name><f:x a='1'>mixed<f:y/><name/></f:x><f:z/>",
        "<name i:type='x:string'>n</name><person i:type='Person'><id/></person>",
        "<name i:schemaLocation='a b' i:noNamespaceSchemaLocation='c'>n</name>",
        "<![CDATA[ ]]><name><![CDATA[<]]></name>",
        "<name>n</name><f:x><root><name/></root></f:x>",
    ],
)
def test_what_the_table_allows(inner: str) -> None:
    assert _found(inner) == []


@pytest.mark.parametrize(
    ("inner", "path", "text"),
    [
        ("", "/root", "Element root lacks name"),
        ("<name/><name/>", "/root", "Element root has more than 1 name"),
        ("<name/><secret>1</secret><label/>", "/root/label", "Element label is in the wrong place"),
        ("<name/><f:x/><label/>", "/root/label", "Element label is in the wrong place"),
        ("<name/><other/>", "/root", _UNKNOWN),
        ("<name/><x xmlns=''/>", "/root", _UNKNOWN),
        ("<name/><person><id/><f:x/></person>", "/root/person", _UNKNOWN),
        ("<name/>text", "/root", "Element root holds text between its elements"),
        ("text<name/>", "/root", "Element root holds text between its elements"),
        ("<name/><!-- c -->\u00a0", "/root", "Element root holds text between its elements"),
        ("<name><f:x/></name>", "/root/name", "Element name holds elements but should hold text only"),
        ("<name/><label>abcd</label>", "/root/label", "Element label is longer than 3 characters"),
        ("<name/><secret>maybe</secret>", "/root/secret", "Element secret is not true or false"),
        ("<name a='1'/>", "/root/name", "Element name has an attribute that is not allowed"),
        ("<name f:a='1'/>", "/root/name", "Element name has an attribute that is not allowed"),
        ("<name i:nil='false'/>", "/root/name", "Element name has an attribute that is not allowed"),
        ("<name i:type='x:token'/>", "/root/name", "Element name names another type than its own"),
        ("<name i:type='q:string'/>", "/root/name", "Element name names another type than its own"),
        ("<name/><label i:type='x:string'/>", "/root/label", "Element label names another type than its own"),
        ("<name/><f:x><root/></f:x>", "/root", "Element root lacks name"),
        ("<name/><person/><person><id a='1'/></person>", "/root/person[1]", "Element person lacks id"),
    ],
)
def test_what_it_does_not(inner: str, path: str, text: str) -> None:
    assert (path, text) in _found(inner)


def test_a_violation_is_one_of_the_schema() -> None:
    (finding,) = violations(etree.fromstring("<root/>"), FORMAT)
    assert (finding.reason, finding.detail) == (Reason.SCHEMA, Detail.STRUCTURE)
    assert finding.text == "The root element is not that of this format"


def test_required_structure_raises_the_first_violation() -> None:
    root = etree.fromstring('<root xmlns="urn:t"><label>abcd</label></root>')
    with pytest.raises(WireError) as caught:
        require_structure(root, FORMAT)
    assert (caught.value.fault, caught.value.where) == (WireFault.STRUCTURE, "/root/label")


def test_a_flood_of_violations_is_cut_off() -> None:
    assert len(_found("<other/>" * 5000)) == MAX_FINDINGS


def test_formats_nested_in_each_other_are_walked_once() -> None:
    """Each level is inside the other: a walk that repeats itself would take 2 to the 50th steps."""
    root = etree.fromstring('<root xmlns="urn:t"/>')
    for _ in range(50):
        outer = etree.Element(FORMAT.root)
        etree.SubElement(etree.SubElement(outer, "{urn:f}x"), "{urn:f}y").append(root)
        root = outer
    assert len(violations(root, FORMAT)) == 51
