"""Signature wrapping is refused, and so are similar constructions.

The signature in every message here is valid, but does not cover the content that would be used.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from samdrift.wire.as4 import EbmsErrorCode
from samdrift.wire.xml import Namespace
from tests.unit.wire.as4.crafting import Crafted
from tests.unit.wire.as4.refusals import accepted, refusal
from tests.unit.wire.as4.wrapping import AUTHENTICATION, HEADER_END, INVALID, WRAPPINGS


@pytest.mark.parametrize(("wrap", "codes"), WRAPPINGS)
def test_wrapping_is_refused(wrap: Callable[[str], str], codes: set[EbmsErrorCode]) -> None:
    assert refusal(Crafted(soap=wrap))[0] in codes


@pytest.mark.parametrize("attribute", ["Id", "ID", "id", "xml:id", "wsu:Id"])
def test_an_identifier_stands_once_however_it_is_spelt(attribute: str) -> None:
    block = f'<x:X xmlns:x="urn:x" xmlns:wsu="{Namespace.WSU}" {attribute}="Body"/>'
    crafted = Crafted(soap=lambda soap: soap.replace(HEADER_END, block + HEADER_END))
    assert refusal(crafted)[0] is INVALID


def test_a_reference_cannot_point_into_the_air() -> None:
    crafted = Crafted(soap=lambda soap: soap.replace('wsu:Id="Timestamp"', 'wsu:Id="Other"'))
    assert refusal(crafted)[0] is AUTHENTICATION


def test_a_comment_inside_a_value_changes_neither_the_value_nor_the_signature() -> None:
    """Canonical form drops comments, so a reader that stops at a comment would see another value."""
    crafted = Crafted(soap=lambda soap: soap.replace("0203:receiver", "0203:<!-- x -->receiver"))
    assert accepted(crafted).header.user_message.property("finalRecipient") == "0203:receiver.example"


def test_an_unknown_header_block_is_ignored_unless_it_must_be_understood() -> None:
    block = '<x:X xmlns:x="urn:x"{} xmlns:s="http://www.w3.org/2003/05/soap-envelope">y</x:X>'

    def add(attribute: str) -> Crafted:
        return Crafted(soap=lambda soap: soap.replace(HEADER_END, block.format(attribute) + HEADER_END))

    assert accepted(add(""))
    assert accepted(add(' s:mustUnderstand="false"'))
    assert refusal(add(' s:mustUnderstand="true"'))[0] is INVALID
    assert refusal(add(' s:mustUnderstand="1"'))[0] is INVALID


def test_content_in_the_body_is_refused() -> None:
    crafted = Crafted(soap=lambda soap: soap.replace("</S12:Body>", "payload</S12:Body>"))
    assert refusal(crafted)[0] is INVALID
