"""The federation's own keys: unencrypted PKCS#8 files, since nothing here is secret from its user."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from samdrift.federation.errors import FederationError

BITS = 3072


def new_key() -> rsa.RSAPrivateKey:
    """An RSA key of the size that the federation uses; takes some tenths of a second."""
    return rsa.generate_private_key(65537, BITS)


def kept_keys(folder: Path, names: Sequence[str]) -> dict[str, rsa.RSAPrivateKey]:
    """The keys of those names in ``folder``; what is missing is made, on all processors at once."""
    missing = [name for name in names if not (folder / f"{name}.key").exists()]
    if missing:
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            for name, key in zip(missing, pool.map(lambda _: new_key(), missing), strict=True):
                _write(folder / f"{name}.key", key)
    return {name: _read(folder / f"{name}.key") for name in names}


def public_key_of(applicant: rsa.RSAPublicKey | bytes) -> rsa.RSAPublicKey:
    """The key to certify: as it is, or from a certificate request (PEM) that proves possession of it."""
    if not isinstance(applicant, bytes):
        return applicant
    try:
        request = x509.load_pem_x509_csr(applicant)
    except ValueError:
        raise FederationError("not a certificate request") from None
    key = request.public_key()
    if not request.is_signature_valid or not isinstance(key, rsa.RSAPublicKey):
        raise FederationError("the certificate request does not prove possession of an RSA key")
    return key


def _write(path: Path, key: rsa.RSAPrivateKey) -> None:
    data = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)


def _read(path: Path) -> rsa.RSAPrivateKey:
    """A key that was made here, so its primes are not tried again: a start of seconds would be the price."""
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), None, unsafe_skip_rsa_key_validation=True)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, rsa.RSAPrivateKey):
        raise FederationError(f"{path.name} in the federation's folder is not a key")
    return key
