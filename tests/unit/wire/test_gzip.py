"""Deterministic gzip and bounded decompression (as4-profile 3.1)."""

from __future__ import annotations

import base64
import gzip
import hashlib
import random
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samdrift.wire.errors import WireError, WireFault
from samdrift.wire.gzip import Compressor, Decompressor, ExpansionLimits

_WIDE = ExpansionLimits(max_bytes=1 << 24, max_ratio=2000, free_bytes=1 << 24)


def _compressed(pieces: list[bytes]) -> tuple[bytes, Compressor]:
    compressor = Compressor()
    return b"".join([*map(compressor.feed, pieces), compressor.finish()]), compressor


def _expanded(pieces: list[bytes], limits: ExpansionLimits = _WIDE) -> bytes:
    decompressor = Decompressor(limits)
    expanded = b"".join(out for piece in pieces for out in decompressor.feed(piece))
    decompressor.finish()
    return expanded


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(max_size=2000), max_size=8), st.integers(1, 300))
def test_what_is_compressed_comes_back_in_any_pieces(pieces: list[bytes], size: int) -> None:
    content, compressor = _compressed(pieces)
    assert gzip.decompress(content) == b"".join(pieces)
    assert (compressor.digest, compressor.size) == (hashlib.sha256(content).digest(), len(content))
    assert _expanded([content[at : at + size] for at in range(0, len(content), size)]) == b"".join(pieces)


def test_a_resend_has_the_bytes_of_the_first_attempt() -> None:
    payload = random.Random(1).randbytes(100_000)
    whole, _ = _compressed([payload])
    assert whole == _compressed([payload])[0]
    assert whole[4:8] == b"\x00\x00\x00\x00", "the header must not have a time"


def test_ciphertext_in_base64_shrinks_by_a_quarter() -> None:
    payload = base64.b64encode(random.Random(1).randbytes(300_000))
    content, _ = _compressed([payload])
    assert len(content) < 0.77 * len(payload)


def test_pieces_are_small() -> None:
    content = gzip.compress(bytes(10_000_000))
    decompressor = Decompressor(_WIDE)
    assert max(len(piece) for piece in decompressor.feed(content)) <= 1 << 18


def test_what_waits_inside_comes_out_without_more_input() -> None:
    """The last byte of input may expand to more than one piece."""
    for size in (1 << 18, (1 << 18) + 1, (1 << 19) - 1, 1 << 19):
        assert _expanded([gzip.compress(bytes(size))]) == bytes(size)


@pytest.mark.parametrize("extra", [[b"x"], [b"", b"x"], [gzip.compress(b"second")]])
def test_nothing_may_follow_the_end(extra: list[bytes]) -> None:
    with pytest.raises(WireError) as caught:
        _expanded([gzip.compress(b"first"), *extra])
    assert caught.value.fault is WireFault.COMPRESSION


def test_limits_hold_to_the_byte() -> None:
    content = gzip.compress(bytes(5000))
    assert _expanded([content], ExpansionLimits(5000, 10_000, 0)) == bytes(5000)
    for limits in (ExpansionLimits(4999, 10_000, 0), ExpansionLimits(5000, 5, 0)):
        with pytest.raises(WireError):
            _expanded([content], limits)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 60))
def test_noise_is_refused(noise: bytes, kept: int) -> None:
    start = gzip.compress(b"some text that is long enough")[:kept]
    try:
        _expanded([start + noise])
    except WireError as error:
        assert error.fault is WireFault.COMPRESSION  # noqa: PT017


_WORDS = b"some text " * 50
_FLAGS = [0, 1, 2, 4, 8, 16, 31, 32, 64, 128]
"""Flags of each field that a gzip header may have, of all of them, and bits that have no meaning yet."""


def _header(flags: int) -> bytes:
    fields = {4: b"\x05\x00extra", 8: b"name\x00", 16: b"comment\x00"}
    header = bytes([0x1F, 0x8B, 8, flags, *bytes(5), 255])
    header += b"".join(field for flag, field in fields.items() if flags & flag)
    return header + zlib.crc32(header).to_bytes(4, "little")[:2] if flags & 2 else header


@settings(max_examples=300, deadline=None)
@given(
    flags=st.sampled_from(_FLAGS),
    content=st.sampled_from([b"", b"x", bytes(9000), _WORDS, random.Random(1).randbytes(500)]),
    level=st.sampled_from([0, 1, 9]),
    flips=st.lists(st.integers(0, 1 << 20), max_size=3),
    size=st.sampled_from([1, 3, 50, 1 << 20]),
)
def test_it_takes_and_refuses_what_zlib_does(
    flags: int, content: bytes, level: int, flips: list[int], size: int
) -> None:
    deflate = zlib.compressobj(level, wbits=-15)
    trailer = zlib.crc32(content).to_bytes(4, "little") + len(content).to_bytes(4, "little")
    member = bytearray(_header(flags) + deflate.compress(content) + deflate.flush() + trailer)
    for flip in flips:
        member[flip // 8 % len(member)] ^= 1 << flip % 8
    assert _outcome(bytes(member), size) == _outcome_with_zlib(bytes(member))


def _outcome(member: bytes, size: int) -> bytes | None:
    try:
        return _expanded([member[at : at + size] for at in range(0, len(member), size)])
    except WireError:
        return None


def _outcome_with_zlib(member: bytes) -> bytes | None:
    inflate = zlib.decompressobj(wbits=31)
    try:
        content = inflate.decompress(member)
    except zlib.error:
        return None
    return content if inflate.eof and not inflate.unused_data else None


def test_the_ratio_is_of_the_bytes_that_came_in() -> None:
    """One byte more than the allowed multiple of the input is refused."""
    ratio = 50
    whole = [(size, gzip.compress(bytes(size), mtime=0)) for size in range(1000, 3000)]
    over = next(each for size, each in whole if size == ratio * len(each) + 1)
    at = next(each for size, each in whole if size == ratio * len(each))
    assert _expanded([at], ExpansionLimits(5000, ratio, 0))
    with pytest.raises(WireError):
        _expanded([over], ExpansionLimits(5000, ratio, 0))


def _cut(content: bytes, size: int) -> list[bytes]:
    return [content[at : at + size] for at in range(0, len(content), size)]


def _drain(decompressor: Decompressor, pieces: list[bytes]) -> None:
    for piece in pieces:
        for _ in decompressor.feed(piece):
            pass


def _fits(pieces: list[bytes], limits: ExpansionLimits) -> bool:
    try:
        _expanded(pieces, limits)
    except WireError:
        return False
    return True


_BLOCK = 4096
_SIZES = (1, 100, _BLOCK - 1, _BLOCK, _BLOCK + 1, 1 << 20)
_NOISE = random.Random(1).randbytes(40_000)


@pytest.mark.parametrize("size", _SIZES)
def test_a_bomb_is_refused_even_if_noise_that_follows_in_the_same_piece_makes_up_for_it(size: int) -> None:
    content = gzip.compress(bytes(1_000_000) + _NOISE)
    assert 1_000_000 + len(_NOISE) < 50 * len(content), "the ratio of the whole is allowed"
    assert not _fits(_cut(content, size), ExpansionLimits(1 << 24, 50, 1 << 16))


@pytest.mark.parametrize("size", _SIZES)
def test_zeros_that_the_next_kilobytes_make_up_for_are_accepted_in_any_pieces(size: int) -> None:
    content = gzip.compress(bytes(50 * _BLOCK - 10_000) + _NOISE)
    assert _fits(_cut(content, size), ExpansionLimits(1 << 24, 50, 0))


def test_a_bomb_is_refused_within_four_kilobytes() -> None:
    content = gzip.compress(bytes(100_000_000))
    for size in (1, _BLOCK, len(content)):
        decompressor = Decompressor(ExpansionLimits(1 << 30, 200, 1 << 16))
        with pytest.raises(WireError, match="200 times"):
            _drain(decompressor, _cut(content, size))
        assert decompressor.size <= 200 * _BLOCK + (1 << 18), size


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 30_000)), max_size=8),
    st.integers(1, 6000),
    st.sampled_from([0, 20_000]),
)
def test_the_ratio_is_the_same_in_any_pieces(runs: list[tuple[bool, int]], size: int, free: int) -> None:
    content = gzip.compress(b"".join(_NOISE[:count] if noise else bytes(10 * count) for noise, count in runs))
    limits = ExpansionLimits(1 << 24, 10, free)
    assert _fits(_cut(content, size), limits) == _fits([content], limits)
