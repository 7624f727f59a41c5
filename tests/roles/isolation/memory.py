"""Search for secrets in the memory of another process."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from ahocorasick_rs import BytesAhoCorasick, Implementation
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

_PLACE = re.compile(r"([0-9a-f]+)-([0-9a-f]+) rw", re.MULTILINE)
_PIECE = 16 << 20
_PRIVATE_LINE = 15
"""Line of an RSA key's PEM file: earlier ones contain the public modulus, which is in certificates too."""

Secrets = Mapping[str, bytes]
"""Bytes that reveal a secret, by the secret's name."""


def found_in(pid: int, secrets: Secrets) -> set[str]:
    """Return the ``secrets`` that are anywhere in a process's memory, where a core dump would have them.

    All are searched in one pass, since there are hundreds and the memory is that of ten processes.
    """
    overlap = max(map(len, secrets.values())) - 1
    names = list(secrets)
    search = BytesAhoCorasick(list(secrets.values()), implementation=Implementation.DFA)
    found: set[str] = set()
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for start, end in _places(pid):
            before = b""
            for at in range(start, end, _PIECE):
                try:
                    memory.seek(at)
                    piece = before + memory.read(min(_PIECE, end - at))
                except (OSError, ValueError, OverflowError):
                    break  # The kernel's own memory, or unmapped meanwhile.
                found |= {names[at] for at, _, _ in search.find_matches_as_indexes(piece, overlapping=True)}
                before = piece[-overlap:]
    return found


def _places(pid: int) -> list[tuple[int, int]]:
    """Return the writable ranges of the process's memory; the rest are unchanged files."""
    matches = _PLACE.finditer(Path(f"/proc/{pid}/maps").read_text())
    return [(int(match[1], 16), int(match[2], 16)) for match in matches]


def of_key(name: str, key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> Secrets:
    """Return a private key as numbers in both byte orders, and as in files without a password."""
    numbers = key.private_numbers()
    values = (
        {"p": numbers.p, "q": numbers.q, "d": numbers.d}
        if isinstance(numbers, rsa.RSAPrivateNumbers)
        else {"d": numbers.private_value}
    )
    found: dict[str, bytes] = {}
    for number, value in values.items():
        size = (value.bit_length() + 7) // 8
        for order in ("big", "little"):
            found[f"{name}, {number}, {order}-endian"] = value.to_bytes(size, order)  # type: ignore[arg-type]
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    found[f"{name}, PEM"] = pem.splitlines()[_PRIVATE_LINE if isinstance(key, rsa.RSAPrivateKey) else 1]
    return found


def of_bytes(name: str, secret: bytes) -> Secrets:
    """Return a secret as it is, and in other forms in which it may have been written."""
    return {name: secret, f"{name}, in hex": secret.hex().encode(), f"{name}, backwards": secret[::-1]}
