"""Private keys in a token, behind the interfaces of :mod:`samdrift.wire.crypto.keys`."""

from __future__ import annotations

from typing import Final

import pkcs11
from cryptography import x509
from pkcs11 import MGF, Attribute, Mechanism

from samdrift.keystore.hsm import objects
from samdrift.keystore.hsm.token import Session, Token
from samdrift.wire.crypto.keys import Oaep, OaepNotOffered
from samdrift.wire.errors import WireError, WireFault

_FORMS: Final = {
    Oaep.SHA1: (Mechanism.SHA_1, MGF.SHA1, None),
    Oaep.SHA256_MGF1_SHA1: (Mechanism.SHA256, MGF.SHA1, None),
    Oaep.SHA256: (Mechanism.SHA256, MGF.SHA256, None),
}
_NOT_OFFERED = (pkcs11.ArgumentsBad, pkcs11.MechanismParamInvalid, pkcs11.MechanismInvalid)
_DOES_NOT_OPEN = (
    pkcs11.EncryptedDataInvalid,
    pkcs11.EncryptedDataLenRange,
    pkcs11.DataInvalid,
    pkcs11.DataLenRange,
)
_UNCLEAR = (pkcs11.GeneralError, pkcs11.FunctionFailed)


class TokenSigningKey:
    """An RSA key that signs in a token, with its certificate."""

    remote = True

    def __init__(self, token: Token, key_id: bytes, certificate: x509.Certificate) -> None:
        self._token = token
        self._key_id = key_id
        self.certificate = certificate

    def sign(self, data: bytes) -> bytes:
        """RSASSA-PKCS1-v1_5 with SHA-256 over ``data``."""
        return objects.sign(self._token, self._key_id, data)


class TokenDecryptionKey:
    """An RSA key that unwraps session keys in a token, with its certificate."""

    remote = True

    def __init__(self, token: Token, key_id: bytes, certificate: x509.Certificate) -> None:
        self._token = token
        self._key_id = key_id
        self.certificate = certificate

    def unwrap(self, wrapped: bytes, oaep: Oaep) -> bytes:
        """The session key, as :class:`samdrift.wire.crypto.keys.DecryptionKey` has it.

        The padding is taken off in the token. Nothing here falls back to bare RSA:
        a key that does that for whoever asks is an oracle, and taking the padding off
        in our own code, in constant time, is not for us to invent.
        """
        return self._token.use(lambda session: self._unwrap(session, wrapped, oaep))

    def _unwrap(self, session: Session, wrapped: bytes, oaep: Oaep) -> bytes:
        key = session.private_key(self._key_id)
        try:
            opened = key.decrypt(wrapped, mechanism=Mechanism.RSA_PKCS_OAEP, mechanism_param=_FORMS[oaep])
        except _NOT_OFFERED:
            raise OaepNotOffered from None
        except _DOES_NOT_OPEN:
            raise _undecryptable() from None
        except _UNCLEAR:
            _ = key[Attribute.MODULUS]  # Raises when it is the token that fails, and not the ciphertext.
            raise _undecryptable() from None
        return bytes(opened)


def _undecryptable() -> WireError:
    return WireError(WireFault.DECRYPTION, "cannot be decrypted")
