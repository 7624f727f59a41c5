"""Signatures of documents shown to others: exports, evidence, results of checks, and destruction. Pure.

All have the same form: RSASSA-PKCS1-v1_5 with SHA-256, which ``openssl dgst -verify`` can check. In a JSON
document, the signature is stored next to the signed content, with the signer's certificate, and covers that
content as JSON with sorted names and without spaces. The verifier decides whether to trust the signer, at the
time that the document states.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from samdrift.attestation.archive import damaged
from samdrift.wire.crypto.certificates import from_pem
from samdrift.wire.crypto.keys import SigningKey

ALGORITHM = "RSASSA-PKCS1-v1_5 with SHA-256"


def canonical(document: Mapping[str, Any]) -> bytes:
    """Return the bytes of a JSON document to be signed; raise ``ValueError`` for text that has none."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def signed(document: Mapping[str, Any], key: SigningKey) -> dict[str, str]:
    """Return the signature of ``document``, to be stored next to it."""
    return {
        "algorithm": ALGORITHM,
        "certificate": key.certificate.public_bytes(Encoding.PEM).decode(),
        "value": b64encode(key.sign(canonical(document))).decode(),
    }


def signed_bytes(content: bytes, key: SigningKey) -> str:
    """Return the signature of a file, as a JSON document to be stored next to it."""
    beside = {
        "algorithm": ALGORITHM,
        "certificate": key.certificate.public_bytes(Encoding.PEM).decode(),
        "value": b64encode(key.sign(content)).decode(),
    }
    return json.dumps(beside, indent=1)


def signer(document: Mapping[str, Any], signature: Mapping[str, str]) -> x509.Certificate | None:
    """Return the certificate that signed ``document``, or ``None`` if the signature is invalid.

    Raise ``ValueError``, ``KeyError``, ``TypeError`` or ``AttributeError`` if ``signature`` is not in
    our form.
    """
    if signature["algorithm"] != ALGORITHM:
        raise ValueError("another algorithm")
    certificate = from_pem(signature["certificate"].encode())
    value = b64decode(signature["value"], validate=True)
    return certificate if holds(canonical(document), value, certificate) else None


def holds(data: bytes, signature: bytes, certificate: x509.Certificate) -> bool:
    """Return whether the key of ``certificate`` has signed ``data``."""
    try:
        key = certificate.public_key()
        if not isinstance(key, rsa.RSAPublicKey):
            return False
        key.verify(signature, data, padding.PKCS1v15(), hashes.SHA256())
    except (InvalidSignature, UnsupportedAlgorithm, ValueError):
        return False
    return True


def time_of(value: object) -> datetime:
    """Return the moment that a document states; raise ``ValueError`` or ``TypeError`` if it is not one."""
    if not isinstance(value, str):
        raise TypeError
    at = datetime.fromisoformat(value)
    if at.tzinfo is None:
        raise ValueError
    return at


def read_object(data: bytes, name: str) -> dict[str, Any]:
    """Return the JSON object in a file of the export."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise damaged(f"{name} is not a JSON object")
    return document
