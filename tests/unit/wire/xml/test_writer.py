"""Text in XML written in canonical form, as lxml would canonicalize it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from samdrift.wire.errors import WireError, WireFault
from samdrift.wire.xml import canonical
from samdrift.wire.xml.writer import attribute, quoted, text

_ALLOWED = st.text(
    st.characters(exclude_categories=["Cs"]).filter(
        lambda char: char in "\t\n\r" or (char >= " " and char not in "\ufffe\uffff")
    )
)


@settings(max_examples=300, deadline=None)
@given(_ALLOWED, _ALLOWED)
def test_values_are_written_as_canonical_xml_has_them(content: str, value: str) -> None:
    root = etree.Element("x", a=value)
    root.text = content
    assert f'<x a="{quoted(value)}">{text(content)}</x>'.encode() == canonical(root, exclusive=True)


@pytest.mark.parametrize("value", ["\x00", "a\x08", "\x1f", "\ufffe", "\uffff", "\ud800"])
def test_what_xml_cannot_hold_is_refused(value: str) -> None:
    for write in (text, quoted):
        with pytest.raises(WireError) as caught:
            write(value)
        assert caught.value.fault is WireFault.STRUCTURE


def test_an_attribute_without_value_is_left_out() -> None:
    assert attribute("a", None) == ""
    assert attribute("a", "") == ' a=""'
    assert attribute("a", '<"&') == ' a="&lt;&quot;&amp;"'
