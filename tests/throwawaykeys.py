"""RSA keys for tests from a few stored primes: finding a prime takes longer than most tests.

Each pair of primes is another key, and a process never gets the same one twice. They protect
nothing: whoever has this file has them. ``python -m tests.throwawaykeys`` prints new ones.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import combinations
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from samdrift.keystore.wrapping import ScryptCost, Stretching

CHEAP = ScryptCost(n=1 << 4, r=1, p=1)
"""Scrypt cost for passphrases in tests, which makes opening fast."""

_FILE = Path(__file__).with_name("throwawayprimes.json")
_SIZES = (2048, 3072)
_PRIMES = 48
_EXPONENT = 65537
_generate = rsa.generate_private_key
_new_stretching = Stretching.new


@contextmanager
def cheap_keys() -> Iterator[None]:
    """Make RSA keys from stored primes, and make passphrases almost free to check."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rsa, "generate_private_key", rsa_key)
        patch.setattr(Stretching, "new", lambda cost: _new_stretching(CHEAP))
        yield


@contextmanager
def keys_of_the_product() -> Iterator[None]:
    """Generate keys and use the cost of passphrases as in the product."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rsa, "generate_private_key", _generate)
        patch.setattr(Stretching, "new", _new_stretching)
        yield


def rsa_key(public_exponent: int = _EXPONENT, key_size: int = 2048) -> rsa.RSAPrivateKey:
    """Return a key that is new to this process; it is really generated if no pair of primes is left."""
    pairs = _PAIRS.get(key_size, iter(())) if public_exponent == _EXPONENT else iter(())
    pair = next(pairs, None)
    return _generate(public_exponent, key_size) if pair is None else _from(*pair)


def _stored(bits: int) -> list[int]:
    return [int(prime, 16) for prime in json.loads(_FILE.read_text() or "{}").get(str(bits), ())]


_PAIRS = {bits: combinations(_stored(bits), 2) for bits in _SIZES}


def _from(p: int, q: int) -> rsa.RSAPrivateKey:
    d = pow(_EXPONENT, -1, math.lcm(p - 1, q - 1))
    public = rsa.RSAPublicNumbers(_EXPONENT, p * q)
    numbers = rsa.RSAPrivateNumbers(
        p, q, d, rsa.rsa_crt_dmp1(d, p), rsa.rsa_crt_dmq1(d, q), rsa.rsa_crt_iqmp(p, q), public
    )
    return numbers.private_key(unsafe_skip_rsa_key_validation=True)


def _new_primes() -> dict[str, list[str]]:
    # OpenSSL's primes are large enough that the product of any two has the full number of bits.
    return {
        str(bits): [f"{_generate(_EXPONENT, bits).private_numbers().p:x}" for _ in range(_PRIMES)]
        for bits in _SIZES
    }


if __name__ == "__main__":
    print(json.dumps(_new_primes(), indent=1))
