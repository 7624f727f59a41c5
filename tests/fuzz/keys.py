"""Deterministic keys, so that an input that revealed a fault does so again in the next run.

They are for these tests only: the number of a key determines the key.
"""

from __future__ import annotations

from functools import cache
from random import Random

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from tests import pki

_EXPONENT = 65537
_WITNESSES = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37)


def fix() -> None:
    """Derive keys from their numbers from now on, and certificates' serial numbers from their order."""
    pki.key = cache(_key)
    serials = Random(1)
    x509.random_serial_number = lambda: serials.getrandbits(150) + 1


def _key(number: int = 0, bits: int = 2048) -> rsa.RSAPrivateKey:
    rng = Random(number)
    p, q = _prime(rng, bits // 2), _prime(rng, bits // 2)
    d = pow(_EXPONENT, -1, (p - 1) * (q - 1))
    public = rsa.RSAPublicNumbers(_EXPONENT, p * q)
    return rsa.RSAPrivateNumbers(
        p, q, d, rsa.rsa_crt_dmp1(d, p), rsa.rsa_crt_dmq1(d, q), rsa.rsa_crt_iqmp(p, q), public
    ).private_key()


def _prime(rng: Random, bits: int) -> int:
    while True:
        candidate = rng.getrandbits(bits) | 3 << (bits - 2) | 1
        if (candidate - 1) % _EXPONENT and _is_prime(candidate):
            return candidate


def _is_prime(number: int) -> bool:
    """Return whether a number is prime, by the Miller-Rabin test."""
    odd, twos = number - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    return all(_passes(pow(witness, odd, number), twos, number) for witness in _WITNESSES)


def _passes(power: int, twos: int, number: int) -> bool:
    if power in (1, number - 1):
        return True
    for _ in range(twos - 1):
        power = power * power % number
        if power == number - 1:
            return True
    return False
