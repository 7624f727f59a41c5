"""Public keys of clients and issuers (RFC 7517, RFC 8725 3.1 and 3.5)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import ECKey, OctKey, RSAKey

from samdrift.wire.jose.keys import Algorithm, PublicKeys
from tests.unit.messageservice.oauth.scene import curve_key, jwk_set, rsa_key

RS256, PS256, ES256 = Algorithm


def pem(key: Any) -> bytes:
    data: bytes = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return data


def count(keys: PublicKeys, algorithm: Algorithm, kid: str | None = None) -> int:
    return len(keys.fitting(algorithm, kid))


def test_a_key_in_pem_has_no_name_and_fits_every_name() -> None:
    keys = PublicKeys.read(pem(rsa_key().public_key))
    assert [count(keys, each) for each in Algorithm] == [1, 1, 0]
    assert count(keys, RS256, "whatever") == 1


def test_a_set_is_searched_by_name_and_kind() -> None:
    keys = PublicKeys.read(jwk_set(curve_key(1), curve_key(2), rsa_key()))
    assert count(keys, ES256) == 2
    assert count(keys, ES256, "ec-2") == 1
    assert count(keys, ES256, "ec-9") == 0
    assert count(keys, RS256, "ec-1") == 1, "the RSA key matches, as it has no name"


def test_a_key_verifies_what_it_says_that_it_is_for() -> None:
    keys = PublicKeys.read(jwk_set(rsa_key(), alg="PS256", use="sig"))
    assert [count(keys, each) for each in Algorithm] == [0, 1, 0]


UNUSABLE = (
    {"use": "enc"},
    {"alg": "RS512"},
    {"alg": "HS256"},
    {"alg": "none"},
    {"kid": 7},
    {"kty": "oct"},
    {"kty": ["EC"]},
    {"crv": "P-384"},
    {"x": "AAAA"},
    {"x": 7},
)


@pytest.mark.parametrize("more", UNUSABLE)
def test_what_is_for_something_else_is_passed_over(more: dict[str, Any]) -> None:
    odd = {**curve_key(1).as_dict(private=False), **more}
    document = {"keys": [odd, *json.loads(jwk_set(curve_key(2)))["keys"], "x"]}
    keys = PublicKeys.read(json.dumps(document).encode())
    assert [key.kid for key in keys] == ["ec-2"]


@pytest.mark.filterwarnings("ignore:Key size")
def test_keys_that_are_weak_or_of_other_kinds() -> None:
    weak = RSAKey.import_key(rsa.generate_private_key(65537, 1024))
    other = ECKey.import_key(ec.generate_private_key(ec.SECP384R1()))
    edwards = ed25519.Ed25519PrivateKey.generate().public_key()
    for data in (
        jwk_set(weak),
        jwk_set(other),
        pem(weak.public_key),
        pem(other.public_key),
        pem(edwards),
        json.dumps({"keys": [OctKey.generate_key(256).as_dict()]}).encode(),
        json.dumps({"keys": []}).encode(),
    ):
        with pytest.raises(ValueError, match=r"bits|P-256|no key"):
            PublicKeys.read(data)


def test_a_private_key_is_refused_wherever_it_lies() -> None:
    private = [curve_key(1).as_dict(private=True), rsa_key().as_dict(private=True)]
    for data in (
        *(json.dumps({"keys": [key]}).encode() for key in private),
        json.dumps({"keys": [*json.loads(jwk_set(curve_key(2)))["keys"], *private]}).encode(),
        curve_key(1).as_pem(private=True),
    ):
        with pytest.raises(ValueError, match="private"):
            PublicKeys.read(data)


@given(st.binary() | st.text().map(str.encode) | st.just(b"-----BEGIN PUBLIC KEY-----\nAA==\n"))
def test_junk_is_no_set(data: bytes) -> None:
    with pytest.raises(ValueError, match="neither"):
        PublicKeys.read(data)


@pytest.mark.parametrize(
    "data", [b'{"keys": {}}', b"[]", b"[" * 100_000, b'{"keys": [' + b"1," * 200 + b"1]}"]
)
def test_other_documents_are_no_set(data: bytes) -> None:
    with pytest.raises(ValueError, match="neither"):
        PublicKeys.read(data)
