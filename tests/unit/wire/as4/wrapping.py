"""Signature wrapping: a signed part is kept somewhere, and another one takes its place.

Each function changes a SOAP part with a valid signature, which stays valid but does not cover the content
that would be used.
"""

from __future__ import annotations

import re

from samdrift.wire.as4 import EbmsErrorCode
from samdrift.wire.xml import Namespace

INVALID = EbmsErrorCode.INVALID_HEADER
POLICY = EbmsErrorCode.POLICY_NONCOMPLIANCE
AUTHENTICATION = EbmsErrorCode.FAILED_AUTHENTICATION

_MESSAGING = re.compile(r"<eb:Messaging .*</eb:Messaging>", re.DOTALL)
_BODY = re.compile(r"<S12:Body .*</S12:Body>", re.DOTALL)
_TIMESTAMP = re.compile(r"<wsu:Timestamp .*</wsu:Timestamp>", re.DOTALL)
_SIGNATURE = re.compile(r"<ds:Signature>.*</ds:Signature>", re.DOTALL)
_SECURITY = re.compile(r"<wsse:Security .*</wsse:Security>", re.DOTALL)
_RECIPIENT = re.compile(r'(name="finalRecipient"[^>]*>)[^<]*')
HEADER_END = "</S12:Header>"


def _piece(pattern: re.Pattern[str], soap: str) -> str:
    found = pattern.search(soap)
    assert found is not None
    return found[0]


def _forged(markup: str) -> str:
    """Return the content that an attacker would like to be used."""
    return _RECIPIENT.sub(r"\g<1>0203:attacker.example", markup)


def _forged_with_id(markup: str, wsu_id: str) -> str:
    return re.sub(r'wsu:Id="[^"]*"', f'wsu:Id="{wsu_id}"', _forged(markup), count=1)


def _kept_in_a_wrapper(soap: str) -> str:
    """Move the signed Messaging into another header block, and put the forged one in its place."""
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
    return soap.replace(HEADER_END, f'<x:X xmlns:x="urn:x" Id="Messaging"/>{HEADER_END}')


def _body_twice(soap: str) -> str:
    body = _piece(_BODY, soap)
    return soap.replace(body, body + body.replace('"Body"', '"Body2"'))


def _body_wrapped(soap: str) -> str:
    body = _piece(_BODY, soap)
    other = body.replace('"Body"', '"Body2"')
    return soap.replace(body, other).replace(HEADER_END, f'<x:X xmlns:x="urn:x">{body}</x:X>{HEADER_END}')


def _header_twice(soap: str) -> str:
    header = soap[soap.index("<S12:Header>") : soap.index(HEADER_END) + len(HEADER_END)]
    return soap.replace(header, f"<S12:Header></S12:Header>{header}")


def _security_twice(soap: str) -> str:
    security = _piece(_SECURITY, soap)
    return soap.replace(security, f'{security}<wsse:Security xmlns:wsse="{Namespace.WSSE}"/>')


def _signature_twice(soap: str) -> str:
    signature = _piece(_SIGNATURE, soap)
    return soap.replace(signature, signature + signature)


def _timestamp_wrapped(soap: str) -> str:
    """Put a fresh timestamp in front of the signed one."""
    signed = _piece(_TIMESTAMP, soap)
    forged = re.sub(r">\d{4}-", ">2096-", signed.replace('"Timestamp"', '"Timestamp2"'))
    return soap.replace(signed, forged).replace(
        HEADER_END, f'<x:X xmlns:x="urn:x">{signed}</x:X>{HEADER_END}'
    )


def _two_messages(soap: str) -> str:
    return soap.replace("</eb:UserMessage>", "</eb:UserMessage><eb:UserMessage></eb:UserMessage>")


WRAPPINGS = [
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
]
"""Each attack, with the codes with which it may be refused."""
