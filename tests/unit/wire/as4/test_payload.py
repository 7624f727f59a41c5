"""The payload: decrypted, digested, expanded, and refused for the outermost reason (AS4 3.1, SwA 5)."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from dataclasses import replace

import pytest

from samdrift.wire.as4 import (
    As4Fault,
    As4Limits,
    As4Reader,
    EbmsErrorCode,
    NeedData,
    Payload,
    SignedHeader,
    read_message,
)
from samdrift.wire.as4.reader import _PartHeaders
from tests.unit.wire.as4.crafting import Crafted, gzipped
from tests.unit.wire.as4.parties import PAYLOAD, decryption, packed, receiver, sender
from tests.unit.wire.as4.refusals import LIMITS, accepted, refusal

DECOMPRESSION = EbmsErrorCode.DECOMPRESSION_FAILURE
DECRYPTION = EbmsErrorCode.FAILED_DECRYPTION
AUTHENTICATION = EbmsErrorCode.FAILED_AUTHENTICATION


@pytest.mark.parametrize(
    "content",
    [gzip.compress(PAYLOAD), gzip.compress(b""), gzipped(b"x" * 100_000)],
    ids=["ordinary", "empty", "large"],
)
def test_gzip_of_any_make_is_read(content: bytes) -> None:
    assert accepted(Crafted(content=content)).payload == gzip.decompress(content)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not gzip",
        PAYLOAD,
        zlib.compress(PAYLOAD),
        gzipped(PAYLOAD)[:-1],
        gzipped(PAYLOAD)[:20],
        gzipped(PAYLOAD) + b"x",
        gzipped(PAYLOAD) + gzipped(PAYLOAD),
        gzipped(PAYLOAD)[:-8] + b"\x00" * 8,
    ],
)
def test_broken_gzip_is_refused(content: bytes) -> None:
    assert refusal(Crafted(content=content))[0] is DECOMPRESSION


def test_expansion_is_bounded_by_size() -> None:
    limits = replace(LIMITS, max_payload_bytes=100_000)
    assert accepted(Crafted(content=gzipped(b"x" * 100_000)), limits).payload == b"x" * 100_000
    code, detail = refusal(Crafted(content=gzipped(b"x" * 100_001)), limits)
    assert (code, "100000 bytes" in detail) == (DECOMPRESSION, True)


def test_expansion_is_bounded_by_ratio() -> None:
    limits = replace(LIMITS, ratio_free_bytes=100_000, max_ratio=50)
    assert accepted(Crafted(content=gzipped(b"x" * 100_000)), limits)
    code, detail = refusal(Crafted(content=gzipped(b"x" * 1_000_000)), limits)
    assert (code, "50 times" in detail) == (DECOMPRESSION, True)


def _released(reader: As4Reader, body: bytes) -> Iterator[int]:
    """Yield the sizes of the pieces that are released while ``body`` arrives."""
    for piece in [*(body[start : start + (1 << 16)] for start in range(0, len(body), 1 << 16)), b""]:
        reader.receive(piece)
        while not isinstance(event := reader.next_event(), NeedData):
            if isinstance(event, SignedHeader):
                reader.decrypt_with(decryption(receiver()))
            elif isinstance(event, Payload):
                yield len(event.data)


def test_a_bomb_is_never_held_in_memory() -> None:
    """256 MiB of zeros are compressed to a quarter of a megabyte: pieces are small and stop at the limit."""
    compressor = zlib.compressobj(9, wbits=31)
    content = b"".join(compressor.compress(bytes(1 << 20)) for _ in range(256)) + compressor.flush()
    content_type, body = Crafted(content=content).build()
    reader = As4Reader(content_type, replace(LIMITS, max_payload_bytes=4 << 20, max_ratio=10_000))
    sizes: list[int] = []
    with pytest.raises(As4Fault) as caught:
        sizes.extend(_released(reader, body))
    assert caught.value.error is DECOMPRESSION
    assert max(sizes) <= 1 << 18
    assert sum(sizes) <= 4 << 20


def test_a_large_attachment_is_refused_while_it_comes() -> None:
    code, _ = refusal(Crafted(content=gzipped(PAYLOAD)), replace(LIMITS, max_compressed_bytes=1000))
    assert code is EbmsErrorCode.OTHER


def test_another_attachment_than_the_signed_one_is_refused() -> None:
    """It is encrypted for us with the same key and is valid gzip: only the digest differs."""
    crafted = Crafted(content=gzipped(b"forged"), signed_content=gzipped(PAYLOAD))
    assert refusal(crafted)[0] is AUTHENTICATION


def test_attachments_of_two_messages_cannot_be_swapped() -> None:
    first, second = packed(PAYLOAD, seed=1), packed(PAYLOAD + b" ", seed=2)

    def halves(body: bytes) -> tuple[bytes, bytes]:
        at = body.index(b"Content-ID: <message>\r\n\r\n") + len(b"Content-ID: <message>\r\n\r\n")
        return body[:at], body[at : body.rindex(b"\r\n--")]

    (head, _), (_, other) = halves(first.body), halves(second.body)
    tail = first.body[first.body.rindex(b"\r\n--") :]
    with pytest.raises(As4Fault) as caught:
        read_message(first.content_type, head + other + tail, decryption(receiver()))
    assert caught.value.error is DECRYPTION


def test_another_key_does_not_decrypt() -> None:
    sent = packed()
    with pytest.raises(As4Fault) as caught:
        read_message(sent.content_type, sent.body, decryption(sender()))
    assert caught.value.error is DECRYPTION
    assert caught.value.ref_to_message_id == "m-1@ap.example"


def _flipped(position: int) -> bytes:
    def flip(encrypted: bytes) -> bytes:
        changed = bytearray(encrypted)
        changed[position] ^= 0x40
        return bytes(changed)

    return Crafted(ciphertext=flip).build()[1]


@pytest.mark.parametrize("position", [0, 11, 12, 13, 20, 30, 100, 1000, -100, -25, -17, -16, -1])
def test_every_change_of_the_ciphertext_is_answered_alike(position: int) -> None:
    """Even a change that breaks gzip first gets the same response, which reveals nothing of the plaintext."""
    content_type, _ = Crafted().build()
    with pytest.raises(As4Fault) as caught:
        read_message(content_type, _flipped(position), decryption(receiver()))
    assert (caught.value.error, caught.value.detail) == (DECRYPTION, "cannot be decrypted")


@pytest.mark.parametrize("size", [0, 1, 12, 27, 28, 100])
def test_a_ciphertext_that_was_cut_is_answered_alike(size: int) -> None:
    code, detail = refusal(Crafted(ciphertext=lambda encrypted: encrypted[:size]))
    assert (code, detail) == (DECRYPTION, "cannot be decrypted")


def test_a_bomb_in_altered_ciphertext_is_answered_alike() -> None:
    crafted = Crafted(
        content=gzipped(b"x" * 1_000_000),
        ciphertext=lambda encrypted: encrypted[:-1] + bytes([encrypted[-1] ^ 1]),
    )
    assert refusal(crafted, replace(LIMITS, max_payload_bytes=1000)) == (DECRYPTION, "cannot be decrypted")


@pytest.mark.parametrize("size", [0, 15, 17, 24, 32])
def test_a_session_key_of_another_size_is_refused_like_one_that_does_not_open(size: int) -> None:
    class WrongSize:
        certificate = receiver().certificate

        def unwrap(self, wrapped: bytes, oaep: object) -> bytes:
            return b"k" * size

    content_type, body = Crafted().build()
    with pytest.raises(As4Fault) as caught:
        read_message(content_type, body, WrongSize())
    assert (caught.value.error, caught.value.detail) == (DECRYPTION, "cannot be decrypted")


def test_limits_are_over_what_the_profile_demands() -> None:
    """transport-profile-as4 2.8 a: at least 100 MB.

    Clauses: transport-profile-as4 2.8 A4.
    """
    limits = As4Limits()
    assert limits.max_payload_bytes >= 100_000_000
    assert limits.max_compressed_bytes >= 100_000_000


@pytest.mark.parametrize("cut", range(1, 34))
def test_an_encrypted_part_header_may_come_in_any_pieces(cut: int) -> None:
    """WSS SwA profile 1.1, 5.4: decryption passes on its output in pieces, wherever the header ends."""
    part = b"Content-Type: text/xml\r\n\r\n<xhe/>"
    headers = _PartHeaders(1000)
    assert headers.strip(part[:cut]) + headers.strip(part[cut:]) == b"<xhe/>"


def test_an_empty_part_header_is_a_header() -> None:
    """RFC 2046 5.1: the line that ends it comes first, and everything after it is content."""
    headers = _PartHeaders(1000)
    assert headers.strip(b"\r") + headers.strip(b"\n<xhe/>\r\n\r\n.") == b"<xhe/>\r\n\r\n."
    assert headers.strip(b"\r\n") == b"\r\n"


def test_a_part_header_without_end_is_not_held_for_ever() -> None:
    headers = _PartHeaders(10)
    assert headers.strip(b"x" * 14).endswith(b"x" * 14)
    assert headers.strip(b"y") == b"y"


@pytest.mark.parametrize("length", range(15, 26))
def test_the_limit_of_an_encrypted_part_header_is_the_same_in_any_pieces(length: int) -> None:
    """Content after a header over the limit is not what was signed, so that it fails its digest."""
    part = b"A: " + b"b" * (length - 3) + b"\r\n\r\n<xhe/>"
    expected = b"<xhe/>" if length <= 20 else b"\r\n" + part
    for size in range(1, len(part) + 1):
        headers = _PartHeaders(20)
        stripped = [headers.strip(part[at : at + size]) for at in range(0, len(part), size)]
        assert b"".join(stripped) == expected, size


def test_a_few_kilobytes_expand_to_eight_megabytes_by_default_and_no_further() -> None:
    """The usual ratio does not apply below that; more would let a peer fill memory and disk easily."""
    assert len(accepted(Crafted(content=gzipped(bytes(8 << 20)))).payload) == 8 << 20
    code, detail = refusal(Crafted(content=gzipped(bytes((8 << 20) + 1))))
    assert (code, "200 times" in detail) == (DECOMPRESSION, True)


def test_a_payload_of_100_mb_fits_and_one_over_160_mib_does_not() -> None:
    """Clauses: transport-profile-as4 2.8."""
    assert LIMITS.max_payload_bytes == LIMITS.max_compressed_bytes == 160 * 1024 * 1024
