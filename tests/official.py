"""DIGG's published schemas, Schematron rules and examples as the judge of our own verdicts.

The files are read from ``../shared/digg`` beside the checkout and are never
copied into it. Tests that need them are marked with :data:`requires_digg`.

Two faults of the published files, and two of libxml2, are handled here and
nowhere else:

* The receipt schema imports its parts under names that start with
  ``DIGG UBL-ApplicationResponse-2.1_``; the files were published as
  ``Response-2.1_…``. A resolver maps the one name to the other.
* ``MessageConstraints.xml`` has an assert that is not valid XPath,
  ``tns:characterSequence not null``. It is in an abstract pattern that no
  pattern instantiates, so it never takes effect; :data:`BROKEN_ASSERTS` names
  it, and a test checks that it is the only one.
* libxml2 refuses a date with white space around it, though XML Schema collapses
  white space first (part 2, 4.3.6). It is removed before libxml2 judges, and
  comments too, since one may be between the white space and the date.
* libxml2 treats ``a*, any*`` as ``(a | any)*``: it lets elements of the format
  follow one of another namespace. A schema with ``xs:any`` last requires them
  to precede it, as another processor (xmlschema 4.3.2) confirms.
  :func:`schema_errors` adds that error.
"""

from __future__ import annotations

from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any, Literal, cast

import pytest
from lxml import etree

from tests.schematron import Failure, Schematron

Kind = Literal["sdk-message", "envelope", "receipt"]

DIGG = Path(__file__).resolve().parents[2] / "shared" / "digg"
requires_digg = pytest.mark.skipif(
    not DIGG.is_dir(), reason="DIGG's published files are not at ../shared/digg"
)

SCHEMAS: dict[Kind, Path] = {
    "sdk-message": DIGG / "schema/message/infrastructure_messaging_MessageWithAttachments_3.0.xsd",
    "envelope": DIGG / "schema/envelope/XHE-1.0.xsd",
    "receipt": DIGG / "schema/receipt/Response-2.1.xsd",
}
SCHEMATRONS: dict[Kind, Path] = {
    "sdk-message": DIGG / "schematron/MessageConstraints.xml",
    "envelope": DIGG / "schematron/DIGG-XHE-Business-Rules.scmt",
    "receipt": DIGG / "schematron/DIGG-AppRes-Business-Rules.scmt",
}
BROKEN_ASSERTS = {SCHEMATRONS["sdk-message"]: ["tns:characterSequence not null"]}

_MESSAGE_NAMESPACE = "urn:riv:infrastructure:messaging:MessageWithAttachments:3"
_OTHER = f"namespace-uri() != '{_MESSAGE_NAMESPACE}'"
_IMPORTED_AS = "DIGG UBL-ApplicationResponse-2.1_"
_PUBLISHED_AS = "Response-2.1_"


class _RenamedParts(etree.Resolver):
    def resolve(self, system_url: str, public_id: str, context: Any) -> Any:  # type: ignore[override]
        if _IMPORTED_AS not in system_url:
            return None
        file = system_url.replace(_IMPORTED_AS, _PUBLISHED_AS)
        return self.resolve_filename(file, context)  # type: ignore[attr-defined]


@cache
def _schema(kind: Kind) -> etree.XMLSchema:
    parser = etree.XMLParser()
    parser.resolvers.add(_RenamedParts())
    return etree.XMLSchema(etree.parse(SCHEMAS[kind], parser))


@cache
def schematron(kind: Kind) -> Schematron:
    """Return the compiled rules for a kind of document, as published."""
    return Schematron(SCHEMATRONS[kind])


def read(data: bytes) -> etree._Element:
    """Parse a document; lxml's own error is raised if it is not well-formed."""
    return etree.fromstring(data, etree.XMLParser(huge_tree=True, resolve_entities=False))


def schema_errors(kind: Kind, data: bytes | etree._Element) -> list[str]:
    """Return the errors that the published schema finds in a document; empty if it is valid."""
    root = _without_space_around_dates(read(data) if isinstance(data, bytes) else data)
    schema = _schema(kind)
    schema.validate(root)
    found = [f"line {error.line}: {error.message}" for error in list(schema.error_log)]  # type: ignore[call-overload]
    if not found and kind == "sdk-message":
        found = [f"line {element.sourceline}: out of place" for element in _after_extensions(root)]
    return found


def _without_space_around_dates(root: etree._Element) -> etree._Element:
    dates = ("{*}creationDateTime", "{*}CreationDateTime", "{*}IssueDate", "{*}IssueTime")
    root = deepcopy(root)
    etree.strip_elements(root, etree.Comment, etree.ProcessingInstruction, with_tail=False)
    for element in root.iter(*dates):
        element.text = (element.text or "").strip(" \t\r\n")
    return root


def _after_extensions(root: etree._Element) -> list[etree._Element]:
    """Return elements of the message that follow a sibling of another namespace.

    Elements inside such siblings are ignored.
    """
    own, other = f"t:*[not(ancestor::*[{_OTHER}])]", f"preceding-sibling::*[{_OTHER}]"
    found = root.xpath(f"//{own}[{other}]", namespaces={"t": _MESSAGE_NAMESPACE})
    return cast(list[etree._Element], found)


def schematron_failures(kind: Kind, data: bytes | etree._Element) -> list[Failure]:
    """Return the asserts of the published Schematron that a document fails, with their locations."""
    return schematron(kind).failures(read(data) if isinstance(data, bytes) else data)


def schematron_errors(kind: Kind, data: bytes | etree._Element) -> list[str]:
    """Return the errors that the published Schematron finds in a document; empty if it is valid."""
    return [str(failure) for failure in schematron_failures(kind, data)]
