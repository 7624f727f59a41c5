"""Attacks of every kind on an access point, each with the answer that it must get.

Everything but the attack itself is correct: the sender is an approved access
point, its signature holds, and the recipient is served here.
"""

from __future__ import annotations

import base64
import os
import random
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from samdrift.wire.as4 import (
    Compressed,
    Compressor,
    PreparedMessage,
    UserMessage,
    new_message_id,
    prepare,
    user_message,
)
from samdrift.wire.ebms import EbmsErrorCode
from samdrift.wire.profile import AS4_1_2
from tests import pki
from tests.pki import Certified
from tests.roles import web
from tests.roles.letters import Envelope
from tests.roles.member import Member
from tests.roles.peer import Peer
from tests.unit.wire.as4.crafting import Crafted, gzipped
from tests.unit.wire.as4.wrapping import WRAPPINGS

_MIB = 1 << 20
MIME = {EbmsErrorCode.MIME_INCONSISTENCY}
HEADER = {EbmsErrorCode.INVALID_HEADER}
TOO_MUCH = {EbmsErrorCode.OTHER}
DECRYPTION = {EbmsErrorCode.FAILED_DECRYPTION}
SIGNATURE = {EbmsErrorCode.FAILED_AUTHENTICATION}
GZIP = {EbmsErrorCode.DECOMPRESSION_FAILURE}
RECEIPT: set[EbmsErrorCode] = set()
"""The transfer is receipted, and its content is logged and deleted (transport-profile-as4 2.9)."""

_TOO_MANY = 170
"""Size in MiB; an access point accepts up to 160."""

Posted = tuple[str, web.Body]
"""Content type and body of an HTTP request."""


@dataclass(frozen=True)
class Attack:
    """A peer that attacks a member."""

    peer: Peer
    to: Member
    envelope: Envelope

    def header(self) -> UserMessage:
        """Return the correct header for the envelope."""
        says = self.envelope.header
        return user_message(
            AS4_1_2,
            message_id=new_message_id(os.urandom, "peer.test"),
            timestamp=datetime.now(UTC),
            from_party=self.peer.party,
            to_party=self.to.access_point.party,
            action=says.document.action,
            service=says.process.value,
            service_type=says.process.scheme,
            conversation_id=self.envelope.id,
            original_sender=says.sender.value,
            final_recipient=says.recipient.value,
        )

    def good(self) -> Crafted:
        """Return the correct message."""
        return Crafted(
            header=self.header(),
            signer=Certified(self.peer.key.certificate, pki.key(1)),
            recipient=self.to.certificate,
            secured=datetime.now(UTC),
            content=gzipped(self.envelope.data),
        )


Make = Callable[[Attack], Posted]


def _crafted(**changes: object) -> Make:
    return lambda attack: replace(attack.good(), **changes).build()  # type: ignore[arg-type]


def _soap(change: Callable[[str], str]) -> Make:
    return _crafted(soap=change)


def _payload(change: Callable[[bytes], bytes]) -> Make:
    """Replace the envelope by another payload, with correct signature and encryption."""
    return lambda attack: replace(attack.good(), content=gzipped(change(attack.envelope.data))).build()


def _body(change: Callable[[bytes], bytes]) -> Make:
    def make(attack: Attack) -> Posted:
        content_type, body = attack.good().build()
        return content_type, change(body)

    return make


def _declaring(subset: str, entity: str = "") -> Callable[[str], str]:
    """Put a document type before the SOAP part, and use its entity in the conversation id."""

    def change(soap: str) -> str:
        used = soap.replace("<eb:ConversationId>", f"<eb:ConversationId>{entity}")
        return f"<!DOCTYPE S12:Envelope {subset}>{used}"

    return change


_LAUGHS = "[<!ENTITY a0 'ha'>" + "".join(f"<!ENTITY a{n} '{f'&a{n - 1};' * 10}'>" for n in range(1, 10)) + "]"
_EXTERNAL = "[<!ENTITY x SYSTEM 'file:///etc/hostname'>]"
_REMOTE = "SYSTEM 'http://127.0.0.1:9/evil.dtd'"


def _in_payload(subset: str, entity: bytes) -> Callable[[bytes], bytes]:
    """Put a document type before the envelope, and use its entity in an identifier."""

    def change(data: bytes) -> bytes:
        return f"<!DOCTYPE x:XHE {subset}>".encode() + data.replace(b"<xhb:ID>", b"<xhb:ID>" + entity, 1)

    return change


def _swapped(attack: Attack) -> Posted:
    """Combine the header of one message with the attachment of another from the same sender."""
    first = attack.peer.packs(attack.envelope, attack.to)[1]
    second = attack.peer.packs(attack.peer.encloses(attack.to), attack.to)[1]
    boundary, foreign = _boundary(first.content_type), _boundary(second.content_type)
    head = first.body.split(b"\r\n--" + boundary)[0]
    attachment = second.body.split(b"\r\n--" + foreign)[1]
    return first.content_type, head + b"\r\n--" + boundary + attachment + b"\r\n--" + boundary + b"--\r\n"


def _boundary(content_type: str) -> bytes:
    return content_type.split('boundary="')[1].split('"')[0].encode()


def _another_content(attack: Attack) -> Posted:
    """Sign another attachment than the one that is sent, with the same session key."""
    good = attack.good()
    return replace(good, signed_content=gzipped(attack.envelope.data + b" ")).build()


def _bomb(size: int) -> bytes:
    """Return ``size`` zeros in gzip, which shrinks them to a thousandth."""
    compressor = zlib.compressobj(9, wbits=31)
    piece = bytes(_MIB)
    return b"".join([*(compressor.compress(piece) for _ in range(size // _MIB)), compressor.flush()])


def _slow_bomb(size: int) -> bytes:
    """Return gzip that expands to ``size``, at a ratio that is too low to give it away."""
    compressor = zlib.compressobj(1, wbits=31)
    line = _base64(8 << 10)
    pieces = [compressor.compress(line + bytes(_MIB)) for _ in range(size // _MIB)]
    return b"".join([*pieces, compressor.flush()])


def _prepared(attack: Attack, part: Compressed) -> PreparedMessage:
    """Return the header of a message whose attachment is signed as ``part``."""
    return prepare(
        attack.header(),
        part,
        signer=attack.peer.key,
        recipient=attack.to.certificate,
        rng=os.urandom,
        created=datetime.now(UTC),
    )


def _oversized(attack: Attack) -> Posted:
    """Send an attachment that is larger than the limit."""
    prepared = _prepared(attack, Compressed(bytes(32), _TOO_MANY * _MIB))

    def stream() -> Iterator[bytes]:
        yield prepared.head()
        encryptor, piece = prepared.encryptor(), os.urandom(_MIB)
        for _ in range(_TOO_MANY):
            yield encryptor.feed(piece)

    return prepared.content_type, stream()


def _endless_envelope(attack: Attack) -> Posted:
    """Send an envelope that looks correct and is stored as it arrives, until it is too large."""
    compressor = Compressor()
    pieces = [compressor.feed(piece) for piece in never_ending(attack.envelope)]
    pieces.append(compressor.finish())
    prepared = _prepared(attack, compressor.compressed)
    return prepared.content_type, prepared.encode(pieces)


def never_ending(envelope: Envelope) -> Iterator[bytes]:
    """Yield the beginning of an envelope, and then ciphertext without end."""
    yield envelope.data[: envelope.data.rindex(b"<xenc:CipherValue>") + 100]
    line = _base64(_MIB)
    for _ in range(_TOO_MANY):
        yield line


def _base64(size: int) -> bytes:
    """Return text that compresses as badly as ciphertext."""
    return base64.b64encode(os.urandom(size * 3 // 4))


def _endless_soap(attack: Attack) -> Posted:
    def stream() -> Iterator[bytes]:
        yield b"--B\r\nContent-Type: application/soap+xml\r\n\r\n<S12:Envelope>"
        for _ in range(64):
            yield b" " * _MIB

    return 'multipart/related; type="application/soap+xml"; boundary="B"', stream()


def _many_parts(attack: Attack) -> Posted:
    part = b"\r\n--B\r\nContent-Type: application/octet-stream\r\nContent-ID: <message>\r\n\r\nx"
    return replace(attack.good(), parts_after=part * 100_000).build()


def _many_parts_first(attack: Attack) -> Posted:
    part = b"--B\r\nContent-Type: text/plain\r\n\r\nx\r\n"
    content_type, body = attack.good().build()
    return content_type, part * 100_000 + body


def _in_header(markup: str) -> Callable[[str], str]:
    return lambda soap: soap.replace("</S12:Header>", markup + "</S12:Header>", 1)


def _in_messaging(attribute: str) -> Callable[[str], str]:
    return lambda soap: soap.replace("<eb:UserMessage", f"<eb:UserMessage {attribute}", 1)


def _attributes(each: str, number: int) -> str:
    """Return an element with that many attributes."""
    return f"<n {' '.join(each.format(one) for one in range(number))}/>"


def _nested(depth: int) -> str:
    return "<n>" * depth + "</n>" * depth


def _noise(data: bytes) -> bytes:
    return random.Random(len(data)).randbytes(len(data))


ATTACKS: dict[str, tuple[Make, set[EbmsErrorCode]]] = {
    "entity expansion": (_soap(_declaring(_LAUGHS, "&a9;")), HEADER),
    "external entity": (_soap(_declaring(_EXTERNAL, "&x;")), HEADER),
    "external document type": (_soap(_declaring(_REMOTE)), HEADER),
    "entity expansion in the payload": (_payload(_in_payload(_LAUGHS, b"&a9;")), RECEIPT),
    "external entity in the payload": (_payload(_in_payload(_EXTERNAL, b"&x;")), RECEIPT),
    "another message's attachment": (_swapped, DECRYPTION),
    "another attachment than was signed": (_another_content, SIGNATURE),
    "attachment that is not signed": (
        _crafted(attachment_signed=False),
        {EbmsErrorCode.POLICY_NONCOMPLIANCE},
    ),
    "gzip bomb": (lambda attack: replace(attack.good(), content=_bomb(256 * _MIB)).build(), GZIP),
    "gzip that grows under every ratio": (
        lambda attack: replace(attack.good(), content=_slow_bomb(200 * _MIB)).build(),
        GZIP,
    ),
    "no gzip": (_crafted(content=b"<xml/>"), GZIP),
    "oversized attachment": (_oversized, TOO_MUCH),
    "envelope that never ends": (_endless_envelope, GZIP),
    "oversized SOAP part": (_endless_soap, TOO_MUCH),
    "cut off": (_body(lambda body: body[:-40]), MIME | DECRYPTION),
    "something after the end": (_body(lambda body: body + b"--B\r\n\r\nmore\r\n--B--\r\n"), MIME),
    "another boundary": (_crafted(content_type="multipart/related; boundary=C"), MIME),
    "no boundary": (_crafted(content_type="multipart/related"), MIME),
    "header field twice": (_crafted(content_fields="Content-ID: <message>\r\n"), MIME),
    "many parts after": (_many_parts, MIME),
    "many parts before": (_many_parts_first, MIME),
    "deep nesting": (_soap(_in_header(_nested(1900))), HEADER),
    "deep nesting over the count of elements": (_soap(_in_header(_nested(8000))), TOO_MUCH),
    "deep nesting in the payload": (_payload(lambda data: _nested(90_000).encode()), RECEIPT),
    "huge attribute": (_soap(_in_messaging(f'a="{"x" * 200_000}"')), SIGNATURE),
    "huge attribute over the size": (_soap(_in_header(f'<n a="{"x" * 400_000}"/>')), TOO_MUCH),
    "huge attribute in the payload": (
        _payload(lambda data: data.replace(b"<x:XHE", b'<x:XHE a="' + _base64(8 * _MIB) + b'"', 1)),
        RECEIPT,
    ),
    "many attributes": (
        _soap(_in_header(_attributes('a{}=""', 9000))),
        TOO_MUCH,
    ),
    "many namespaces": (
        _soap(_in_header(_attributes('xmlns:a{}="u"', 3000))),
        TOO_MUCH,
    ),
    "huge part header": (_crafted(content_fields=f"X: {'y' * _MIB}\r\n"), MIME),
    "many part header fields": (_crafted(content_fields="".join(f"X-{n}: y\r\n" for n in range(9000))), MIME),
    "huge content type": (_crafted(content_type=f"multipart/related; boundary=B; x={'y' * 9000}"), MIME),
    "noise": (_body(_noise), MIME),
    "noise for a payload": (_payload(_noise), RECEIPT),
    "noise for an attachment": (_crafted(ciphertext=_noise), DECRYPTION),
    **{f"wrapping: {wrap.__name__.strip('_')}": (_soap(wrap), codes) for wrap, codes in WRAPPINGS},
}


ENVELOPES: dict[str, Callable[[Envelope], web.Body]] = {
    "entity expansion": lambda one: _in_payload(_LAUGHS, b"&a9;")(one.data),
    "external entity": lambda one: _in_payload(_EXTERNAL, b"&x;")(one.data),
    "external document type": lambda one: _in_payload(_REMOTE, b"")(one.data),
    "deep nesting": lambda one: one.data.replace(b"<xha:Header>", _nested(5000).encode() + b"<xha:Header>"),
    "deep nesting in the payload": lambda one: one.data.replace(
        b"<xenc:EncryptionMethod", _nested(90).encode() + b"<xenc:EncryptionMethod", 1
    ),
    "huge attribute": lambda one: one.data.replace(b"<x:XHE", b'<x:XHE a="' + _base64(8 * _MIB) + b'"', 1),
    "huge value": lambda one: one.data.replace(b"<xhb:ID>", b"<xhb:ID>" + _base64(8 * _MIB), 1),
    "many elements": lambda one: one.data.replace(b"<xha:Header>", b"<xha:Header>" + b"<n/>" * 300_000),
    "no end": never_ending,
    "cut off": lambda one: one.data[:-20],
    "another after it": lambda one: one.data + one.data,
    "noise": lambda one: _noise(one.data),
}
"""Data that a message service may submit instead of an envelope."""


def damaged(data: bytes, number: int) -> bytes:
    """Return the data with one to four faults, the same ones for the same number."""
    rng = random.Random(number)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(data))
        taken = rng.choice((0, 1, 1, 40))
        data = data[:at] + rng.randbytes(rng.choice((0, 1, 1, 8))) + data[at + taken :]
    return data
