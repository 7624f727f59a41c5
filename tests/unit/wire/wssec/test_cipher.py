"""AES-128-GCM in a stream, in the layout of XML Encryption 1.1, 5.2.4."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st

from samdrift.wire.errors import WireError, WireFault
from samdrift.wire.wssec import Decryptor, Encryptor

_KEY, _VECTOR = b"k" * 16, b"v" * 12


def _cut(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


@settings(max_examples=80, deadline=None)
@given(st.binary(max_size=300), st.integers(1, 50))
def test_it_is_the_cipher_of_the_library_in_pieces(content: bytes, size: int) -> None:
    whole = AESGCM(_KEY).encrypt(_VECTOR, content, None)
    encryptor = Encryptor(_KEY, _VECTOR)
    assert b"".join(map(encryptor.feed, _cut(content, size))) + encryptor.finish() == whole
    decryptor = Decryptor(_KEY)
    assert b"".join(map(decryptor.feed, _cut(_VECTOR + whole, size))) == content
    decryptor.finish()


@settings(max_examples=80, deadline=None)
@given(st.binary(max_size=60), st.integers(0, 200))
def test_anything_else_is_refused_in_one_way(content: bytes, position: int) -> None:
    whole = bytearray(_VECTOR + AESGCM(_KEY).encrypt(_VECTOR, content, None))
    whole[position % len(whole)] ^= 1
    decryptor = Decryptor(_KEY)
    decryptor.feed(bytes(whole))
    with pytest.raises(WireError) as caught:
        decryptor.finish()
    assert (caught.value.fault, str(caught.value)) == (WireFault.DECRYPTION, "cannot be decrypted")


@pytest.mark.parametrize("size", range(29))
def test_too_little_is_refused(size: int) -> None:
    decryptor = Decryptor(_KEY)
    assert decryptor.feed(bytes(size)) == b""
    with pytest.raises(WireError):
        decryptor.finish()
