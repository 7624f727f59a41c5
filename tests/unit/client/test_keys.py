"""Keys of message clients: made in place, shown as public halves only, used to sign assertions (RFC 7523)."""

from __future__ import annotations

import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from joserfc import jwt
from joserfc.jwk import KeySet

from samdrift.client.keys import ClientKey, KeptKey, KeyUnusable
from samdrift.wire.crypto.softwarekeys import SoftwareTokenKey
from samdrift.wire.jose.keys import PublicKey

NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)


def pem(
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey,
    protection: KeySerializationEncryption | None = None,
) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, protection or NoEncryption())


@pytest.mark.parametrize(
    "key", [ec.generate_private_key(ec.SECP256R1()), rsa.generate_private_key(65537, 3072)], ids=["ec", "rsa"]
)
def test_what_the_key_signs_its_public_half_verifies(
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey,
) -> None:
    own = ClientKey.read(pem(key))
    public = KeySet.import_key_set(own.public)  # type: ignore[arg-type]
    token = jwt.decode(own.assertion("journal", "https://as", NOW), public, algorithms=["ES256", "PS256"])
    assert (token.claims["iss"], token.claims["sub"], token.claims["aud"]) == (
        "journal",
        "journal",
        "https://as",
    )
    assert 0 < token.claims["exp"] - NOW.timestamp() <= 300
    assert not {"d", "p", "q"} & set(own.public["keys"][0])  # type: ignore[index]


async def test_a_key_that_is_kept_elsewhere_is_asked_for_each_time_and_all_of_them_are_shown() -> None:
    first, second = [SoftwareTokenKey(ec.generate_private_key(ec.SECP256R1())) for _ in range(2)]
    kept = [first]

    async def keys() -> list[SoftwareTokenKey]:
        return kept

    own = KeptKey(keys)
    for signs in (first, second):
        kept.insert(0, signs)
        public = KeySet.import_key_set(await own.key_set())  # type: ignore[arg-type]
        token = jwt.decode(await own.sign_assertion("mk", "https://as", NOW), public, algorithms=["ES256"])
        assert (token.claims["iss"], token.claims["aud"]) == ("mk", "https://as")
        assert token.header["kid"] == PublicKey.named(signs.public).kid
        assert not any("d" in key for key in (await own.key_set())["keys"])  # type: ignore[attr-defined]


def test_no_two_assertions_are_the_same() -> None:
    own = ClientKey.new()
    assert own.assertion("a", "b", NOW) != own.assertion("a", "b", NOW)


def test_a_new_key_lies_in_a_file_that_only_its_owner_can_read_and_replaces_none(tmp_path: Path) -> None:
    file = tmp_path / "key.pem"
    own = ClientKey.new()
    own.write(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert ClientKey.read(file.read_bytes()).public == own.public
    with pytest.raises(FileExistsError):
        ClientKey.new().write(file)
    assert ClientKey.read(file.read_bytes()).public == own.public


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        pem(ec.generate_private_key(ec.SECP384R1())),
        pem(ed25519.Ed25519PrivateKey.generate()),
        pem(ec.generate_private_key(ec.SECP256R1()), BestAvailableEncryption(b"secret")),
        ec.generate_private_key(ec.SECP256R1())
        .public_key()
        .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
    ],
    ids=["empty", "broken", "p-384", "ed25519", "with a password", "public"],
)
def test_what_is_no_key_for_this(data: bytes) -> None:
    with pytest.raises(KeyUnusable):
        ClientKey.read(data)
