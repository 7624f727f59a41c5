"""Signature wrapping: a signed part is kept somewhere, and another is put in its place.

The signature holds in every message here; what it is over is not what would be used.
"""

from __future__ import annotations

import re

import pytest

from samdrift.wire.as4 import EbmsErrorCode
from samdrift.wire.xml import Namespace
from tests.unit.wire.as4.crafting import Crafted
from tests.unit.wire.as4.refusals import accepted, refusal

INVALID = EbmsErrorCode.INVALID_HEADER
POLICY = EbmsErrorCode.POLICY_NONCOMPLIANCE
AUTHENTICATION = EbmsErrorCode.FAILED_AUTHENTICATION

_MESSAGING = re.compile(r"<eb:Messaging .*</eb:Messaging>", re.DOTALL)
_BODY = re.compile(r"<S12:Body .*</S12:Body>", re.DOTALL)
_TIMESTAMP = re.compile(r"<wsu:Timestamp .*</wsu:Timestamp>", re.DOTALL)
_SIGNATURE = re.compile(r"<ds:Signature>.*</ds:Signature>", re.DOTALL)
_SECURITY = re.compile(r"<wsse:Security .*</wsse:Security>", re.DOTALL)
_HEADER_END = "</S12:Header>"


def _piece(pattern: re.Pattern[str], soap: str) -> str:
    found = pattern.search(soap)
    assert found is not None
    return found[0]


def _forged(markup: str) -> str:
    """What an attacker would like to have used."""
    return markup.replace("0203:receiver.example", "0203:attacker.example")


def _forged_with_id(markup: str, wsu_id: str) -> str:
    return re.sub(r'wsu:Id="[^"]*"', f'wsu:Id="{wsu_id}"', _forged(markup), count=1)


def _kept_in_a_wrapper(soap: str) -> str:
    """The signed Messaging inside another header block, the forged one at its place."""
    signed = _piece(_MESSAGING, soap)
    wrapper = f'<x:Wrapper xmlns:x="urn:x">{signed}</x:Wrapper>'
    return soap.replace(signed, _forged_with_id(signed, "Other") + wrapper)


def _kept_after_the_envelope_parts(soap: str) -> str:
    signed = _piece(_MESSAGING, soap)
    body = _piece(_BODY, soap)
    return soap.replace(signed, _forged_with_id(signed, "Other")).replace(body, body + signed)


def _kept_in_the_body(soap: str) -> str:
    signed = _piece(_MESSAGING, soap)
    moved = soap.replace(signed, _forged_with_id(signed, "Other"))
    return moved.replace("</S12:Body>", f"{signed}</S12:Body>")


def _kept_in_security(soap: str) -> str:
    signed = _piece(_MESSAGING, soap)
    moved = soap.replace(signed, _forged_with_id(signed, "Other"))
    return moved.replace("</wsse:Security>", f"{signed}</wsse:Security>")


def _kept_in_the_signature(soap: str) -> str:
    signed = _piece(_MESSAGING, soap)
    moved = soap.replace(signed, _forged_with_id(signed, "Other"))
    return moved.replace("</ds:Signature>", f"<ds:Object>{signed}</ds:Object></ds:Signature>")


def _twice_with_one_id(soap: str) -> str:
    signed = _piece(_MESSAGING, soap)
    return soap.replace(signed, signed + _forged(signed))


def _id_twice(soap: str) -> str:
    return soap.replace(_HEADER_END, f'<x:X xmlns:x="urn:x" Id="Messaging"/>{_HEADER_END}')


def _body_twice(soap: str) -> str:
    body = _piece(_BODY, soap)
    return soap.replace(body, body + body.replace('"Body"', '"Body2"'))


def _body_wrapped(soap: str) -> str:
    body = _piece(_BODY, soap)
    other = body.replace('"Body"', '"Body2"')
    return soap.replace(body, other).replace(_HEADER_END, f'<x:X xmlns:x="urn:x">{body}</x:X>{_HEADER_END}')


def _header_twice(soap: str) -> str:
    header = soap[soap.index("<S12:Header>") : soap.index(_HEADER_END) + len(_HEADER_END)]
    return soap.replace(header, f"<S12:Header></S12:Header>{header}")


def _security_twice(soap: str) -> str:
    security = _piece(_SECURITY, soap)
    return soap.replace(security, f'{security}<wsse:Security xmlns:wsse="{Namespace.WSSE}"/>')


def _signature_twice(soap: str) -> str:
    signature = _piece(_SIGNATURE, soap)
    return soap.replace(signature, signature + signature)


def _timestamp_wrapped(soap: str) -> str:
    """A fresh timestamp in front of the signed one."""
    signed = _piece(_TIMESTAMP, soap)
    forged = signed.replace('"Timestamp"', '"Timestamp2"').replace("2026", "2036")
    return soap.replace(signed, forged).replace(
        _HEADER_END, f'<x:X xmlns:x="urn:x">{signed}</x:X>{_HEADER_END}'
    )


def _two_messages(soap: str) -> str:
    return soap.replace("</eb:UserMessage>", "</eb:UserMessage><eb:UserMessage></eb:UserMessage>")


@pytest.mark.parametrize(
    ("wrap", "codes"),
    [
        (_kept_in_a_wrapper, {INVALID}),
        (_kept_after_the_envelope_parts, {INVALID}),
        (_kept_in_the_body, {INVALID}),
        (_kept_in_security, {INVALID}),
        (_kept_in_the_signature, {INVALID, AUTHENTICATION}),
        (_twice_with_one_id, {INVALID}),
        (_id_twice, {INVALID}),
        (_body_twice, {INVALID}),
        (_body_wrapped, {INVALID}),
        (_header_twice, {INVALID}),
        (_security_twice, {INVALID}),
        (_signature_twice, {INVALID}),
        (_timestamp_wrapped, {POLICY}),
        (_two_messages, {INVALID}),
    ],
)
def test_wrapping_is_refused(wrap: object, codes: set[EbmsErrorCode]) -> None:
    assert callable(wrap)
    assert refusal(Crafted(soap=wrap))[0] in codes


@pytest.mark.parametrize("attribute", ["Id", "ID", "id", "xml:id", "wsu:Id"])
def test_an_identifier_stands_once_however_it_is_spelt(attribute: str) -> None:
    block = f'<x:X xmlns:x="urn:x" xmlns:wsu="{Namespace.WSU}" {attribute}="Body"/>'
    crafted = Crafted(soap=lambda soap: soap.replace(_HEADER_END, block + _HEADER_END))
    assert refusal(crafted)[0] is INVALID


def test_a_reference_cannot_point_into_the_air() -> None:
    crafted = Crafted(soap=lambda soap: soap.replace('wsu:Id="Timestamp"', 'wsu:Id="Other"'))
    assert refusal(crafted)[0] is AUTHENTICATION


def test_a_comment_inside_a_value_changes_neither_the_value_nor_the_signature() -> None:
    """Canonical form drops comments: whoever reads only the text before one reads another value."""
    crafted = Crafted(soap=lambda soap: soap.replace("0203:receiver", "0203:<!-- x -->receiver"))
    assert accepted(crafted).header.user_message.property("finalRecipient") == "0203:receiver.example"


def test_an_unknown_header_block_is_ignored_unless_it_must_be_understood() -> None:
    block = '<x:X xmlns:x="urn:x"{} xmlns:s="http://www.w3.org/2003/05/soap-envelope">y</x:X>'

    def add(attribute: str) -> Crafted:
        return Crafted(soap=lambda soap: soap.replace(_HEADER_END, block.format(attribute) + _HEADER_END))

    assert accepted(add(""))
    assert accepted(add(' s:mustUnderstand="false"'))
    assert refusal(add(' s:mustUnderstand="true"'))[0] is INVALID
    assert refusal(add(' s:mustUnderstand="1"'))[0] is INVALID


def test_content_in_the_body_is_refused() -> None:
    crafted = Crafted(soap=lambda soap: soap.replace("</S12:Body>", "payload</S12:Body>"))
    assert refusal(crafted)[0] is INVALID
