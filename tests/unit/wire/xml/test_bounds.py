"""Documents that are small and well-formed but expensive to process: refused before they cause the cost."""

from __future__ import annotations

import sys
from types import FrameType

import pytest

from samdrift.wire.errors import WireError, WireFault
from samdrift.wire.xml import LARGE, MAX_ATTRIBUTES, MAX_DECLARATIONS, SMALL, XmlLimits, parse


def _attributes(number: int) -> bytes:
    return ("<x><y " + " ".join(f'a{at}=""' for at in range(number)) + "/></x>").encode()


def _declarations(number: int) -> bytes:
    return ("<x " + " ".join(f'xmlns:a{at}="urn:{at}"' for at in range(number)) + "/>").encode()


@pytest.mark.parametrize("limits", [SMALL, LARGE])
def test_an_element_has_a_bounded_number_of_attributes(limits: XmlLimits) -> None:
    assert len(parse(_attributes(MAX_ATTRIBUTES), limits)[0].attrib) == MAX_ATTRIBUTES
    with pytest.raises(WireError) as caught:
        parse(_attributes(MAX_ATTRIBUTES + 1), limits)
    assert caught.value.fault is WireFault.TOO_LARGE


@pytest.mark.parametrize("limits", [SMALL, LARGE])
def test_a_document_has_a_bounded_number_of_namespace_declarations(limits: XmlLimits) -> None:
    assert len(parse(_declarations(MAX_DECLARATIONS), limits).nsmap) == MAX_DECLARATIONS
    with pytest.raises(WireError) as caught:
        parse(_declarations(MAX_DECLARATIONS + 1), limits)
    assert caught.value.fault is WireFault.TOO_LARGE


def test_attributes_are_counted_for_each_element() -> None:
    document = b"<x>" + b'<y a="" b=""/>' * 1000 + b"</x>"
    assert len(parse(document)) == 1000


@pytest.mark.parametrize("document", [_attributes(70_000), _declarations(40_000)])
def test_what_costs_much_is_refused_before_it_is_walked(document: bytes) -> None:
    """The test counts calls: no work is done for each attribute or declaration."""
    calls = 0

    def count(frame: FrameType, event: str, argument: object) -> None:
        nonlocal calls
        calls += 1

    sys.setprofile(count)
    try:
        with pytest.raises(WireError) as caught:
            parse(document)
    finally:
        sys.setprofile(None)
    assert caught.value.fault is WireFault.TOO_LARGE
    assert calls < 200
