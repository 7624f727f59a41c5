"""Keys of vaults as objects in an HSM: made so that they cannot leave it, found by id, destroyed.

Every object is labelled with its vault's random id, so that two vaults of an organisation can share its HSM
and be removed separately.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pkcs11 import Attribute, AttributeReadOnly, KeyType, Mechanism, MechanismFlag, ObjectClass

from samdrift.keystore.hsm.module import Token
from samdrift.keystore.keyfiles import DECRYPTING, KeyFault, KeyName, KeyStoreError
from samdrift.keystore.wrapping import KEY_BYTES

_ID_BYTES = 16
_STAYS: Final = {
    Attribute.TOKEN: True,
    Attribute.PRIVATE: True,
    Attribute.SENSITIVE: True,
    Attribute.EXTRACTABLE: False,
}
"""Attributes that keep a key where it was made."""
_HAS_STAYED: Final = {
    Attribute.PRIVATE: True,
    Attribute.SENSITIVE: True,
    Attribute.EXTRACTABLE: False,
    Attribute.LOCAL: True,
    Attribute.ALWAYS_SENSITIVE: True,
    Attribute.NEVER_EXTRACTABLE: True,
}
"""Attributes that an HSM reports for a key that was made in it and never left it."""
_ONE_USE: Final = {
    Attribute.SIGN: False,
    Attribute.SIGN_RECOVER: False,
    Attribute.DECRYPT: False,
    Attribute.UNWRAP: False,
    Attribute.DERIVE: False,
}

_EDWARDS25519: Final = b"\x13\x0cedwards25519"
"""Name of the curve as CKA_EC_PARAMS: a printable string, as PKCS#11 allows since 3.0."""
_OCTETS: Final = b"\x04\x20"
"""Beginning of a 32-byte octet string in DER."""
_TRIAL: Final = b"samdrift: the trial of a new key"
"""Text for a trial signature, which cannot be a checkpoint, promise or announcement."""

Request = Callable[[rsa.RSAPublicKey, Callable[[bytes], bytes]], bytes]
"""Function that makes a certificate request or certificate from a public key and a signing function."""


@dataclass(frozen=True, slots=True)
class MadeKey:
    """A new key pair in an HSM, with its certificate request, or the certificate that it signed."""

    key_id: bytes
    public: rsa.RSAPublicKey
    request: bytes


def make_key(token: Token, vault: str, name: KeyName, bits: int, request: Request) -> MadeKey:
    """Make an RSA key for one use: decryption for the names in ``DECRYPTING``, signing for the others.

    A decryption key signs ``request``, and then nothing more.
    """
    decrypts = name in DECRYPTING
    key_id = secrets.token_bytes(_ID_BYTES)

    def make(session: Any) -> MadeKey:
        public, private = session.generate_keypair(
            KeyType.RSA,
            bits,
            id=key_id,
            label=_label(vault, name.value),
            store=True,
            capabilities=MechanismFlag.ENCRYPT if decrypts else MechanismFlag.VERIFY,
            private_template=_STAYS | _ONE_USE | {Attribute.SIGN: True, Attribute.DECRYPT: decrypts},
        )
        _require_stays(private, public)
        numbers = _public_key(public)
        made = MadeKey(key_id, numbers, request(numbers, lambda data: _signed(private, data)))
        if decrypts:
            with contextlib.suppress(AttributeReadOnly):  # PKCS#11 allows it, but not every module.
                private[Attribute.SIGN] = False
        return made

    return token.change(make)


@dataclass(frozen=True, slots=True)
class MadeLogKey:
    """A new Ed25519 key pair in an HSM."""

    key_id: bytes
    public: Ed25519PublicKey


def offers_log_keys(token: Token) -> bool:
    """Return whether the HSM makes Ed25519 keys and signs with them (PKCS#11 3.0)."""
    return token.offers(Mechanism.EC_EDWARDS_KEY_PAIR_GEN, Mechanism.EDDSA)


def make_log_key(token: Token, vault: str) -> MadeLogKey:
    """Make an Ed25519 key that signs a vault's log, and check that its signatures can be verified."""
    key_id = secrets.token_bytes(_ID_BYTES)

    def make(session: Any) -> MadeLogKey:
        curve = session.create_domain_parameters(
            KeyType.EC_EDWARDS, {Attribute.EC_PARAMS: _EDWARDS25519}, local=True
        )
        public, private = curve.generate_keypair(
            mechanism=Mechanism.EC_EDWARDS_KEY_PAIR_GEN,
            id=key_id,
            label=_label(vault, "log-key"),
            store=True,
            capabilities=MechanismFlag.SIGN | MechanismFlag.VERIFY,
            private_template=_STAYS | _ONE_USE | {Attribute.SIGN: True},
        )
        _require_stays(private, public)
        try:
            found = _edwards_point(public[Attribute.EC_POINT])
            found.verify(_log_signed(private, _TRIAL), _TRIAL)
        except (ValueError, InvalidSignature):
            for each in (private, public):
                each.destroy()
            text = "the token's Ed25519 signatures do not verify"
            raise KeyStoreError(KeyFault.UNAVAILABLE, text) from None
        return MadeLogKey(key_id, found)

    return token.change(make)


def sign_log(token: Token, key_id: bytes, data: bytes) -> bytes:
    """Return the Ed25519 signature of ``data`` (RFC 8032 5.1.6)."""
    return token.use(lambda session: _log_signed(session.private_key(key_id), data))


def make_secret(token: Token, vault: str) -> bytes:
    """Make a secret key that only authenticates (HMAC), and return its id."""
    key_id = secrets.token_bytes(_ID_BYTES)

    def make(session: Any) -> None:
        secret = session.generate_key(
            KeyType.GENERIC_SECRET,
            KEY_BYTES * 8,
            id=key_id,
            label=_label(vault, "secret"),
            store=True,
            capabilities=MechanismFlag.SIGN,
            template=_STAYS,
        )
        _require_stays(secret)

    token.change(make)
    return key_id


def sign(token: Token, key_id: bytes, data: bytes) -> bytes:
    """Return the RSASSA-PKCS1-v1_5 signature of ``data`` with SHA-256."""
    return token.use(lambda session: _signed(session.private_key(key_id), data))


def authenticate(token: Token, key_id: bytes, data: bytes) -> bytes:
    """Return the HMAC of ``data`` with SHA-256, 32 bytes."""
    return token.use(
        lambda session: bytes(session.secret_key(key_id).sign(data, mechanism=Mechanism.SHA256_HMAC))
    )


def destroy(token: Token, *key_ids: bytes) -> None:
    """Destroy the keys with those ids; missing ones are ignored."""

    def work(session: Any) -> None:
        for key_id in key_ids:
            for found in list(session.get_objects({Attribute.ID: key_id})):
                found.destroy()

    token.change(work)


def destroy_all(token: Token, vault: str) -> None:
    """Destroy everything of a vault, including what a crash left behind."""

    def work(session: Any) -> None:
        for kind in (ObjectClass.SECRET_KEY, ObjectClass.PRIVATE_KEY, ObjectClass.PUBLIC_KEY):
            for found in list(session.get_objects({Attribute.CLASS: kind})):
                if str(found[Attribute.LABEL]).startswith(_label(vault, "")):
                    found.destroy()

    token.change(work)


def _signed(key: Any, data: bytes) -> bytes:
    return bytes(key.sign(data, mechanism=Mechanism.SHA256_RSA_PKCS))


def _log_signed(key: Any, data: bytes) -> bytes:
    return bytes(key.sign(data, mechanism=Mechanism.EDDSA))


def _edwards_point(point: bytes) -> Ed25519PublicKey:
    """Return a public key from the form in which an HSM returns it; ``ValueError`` for other forms.

    It is bare (PKCS#11 3.0), or in an octet string, as for other curves.
    """
    return Ed25519PublicKey.from_public_bytes(point.removeprefix(_OCTETS) if len(point) == 34 else point)


def _label(vault: str, what: str) -> str:
    return f"{vault} {what}"


def _require_stays(key: Any, *others: Any) -> None:
    """Destroy a new key and raise ``WEAK`` if the HSM would let it be exported."""
    if any(key[attribute] is not value for attribute, value in _HAS_STAYED.items()):
        for each in (key, *others):
            each.destroy()
        raise KeyStoreError(KeyFault.WEAK, "the token creates keys that could be extracted")


def _public_key(key: Any) -> rsa.RSAPublicKey:
    modulus, exponent = key[Attribute.MODULUS], key[Attribute.PUBLIC_EXPONENT]
    return rsa.RSAPublicNumbers(int.from_bytes(exponent, "big"), int.from_bytes(modulus, "big")).public_key()
