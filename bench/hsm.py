"""Cost of a key in an HSM: signatures and unwrappings per second, compared with the same keys in software.

Run with ``python -m bench.hsm``. Initialises SoftHSM (``softhsm2``) in a
temporary folder, so the figures are those of the library and of this machine;
a module on a network adds its round trips.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa

from samdrift.keystore.hsm import objects
from samdrift.keystore.hsm.module import Token, module
from samdrift.keystore.hsm.store import HsmDecryptionKey, HsmSigningKey
from samdrift.keystore.keyfiles import KeyName
from samdrift.wire.crypto.keys import DecryptionKey, Oaep, SigningKey
from samdrift.wire.crypto.softwarekeys import SoftwareDecryptionKey, SoftwareSigningKey

_LIBRARY = Path("/usr/lib/softhsm/libsofthsm2.so")
_BITS = 3072
_TIMES = 400


def main() -> None:
    """Measure each operation and print a line for it."""
    own = rsa.generate_private_key(65537, _BITS)
    certificate = _certificate(own)
    with TemporaryDirectory(prefix="samdrift-bench-") as folder:
        token = _token(Path(folder))
        signing = objects.make_key(token, "bench", KeyName.SIGNING, _BITS, _no_request)
        encryption = objects.make_key(token, "bench", KeyName.ENCRYPTION, _BITS, _no_request)
        _tell("sign, token", _signing(HsmSigningKey(token, signing.key_id, certificate)))
        _tell("sign, software", _signing(SoftwareSigningKey(own, certificate)))
        in_token = HsmDecryptionKey(token, encryption.key_id, certificate)
        _tell("unwrap, token", _unwrapping(in_token, encryption.public))
        _tell("unwrap, software", _unwrapping(SoftwareDecryptionKey(own, certificate), own.public_key()))


def _tell(name: str, work: Callable[[], object]) -> None:
    work()
    began = time.perf_counter()
    for _ in range(_TIMES):
        work()
    print(f"{name:20} {_TIMES / (time.perf_counter() - began):8.0f} per second")


def _signing(key: SigningKey) -> Callable[[], object]:
    data = os.urandom(600)
    return lambda: key.sign(data)


def _unwrapping(key: DecryptionKey, public: rsa.RSAPublicKey) -> Callable[[], object]:
    wrapped = public.encrypt(os.urandom(32), Oaep.SHA1.padding)
    return lambda: key.unwrap(wrapped, Oaep.SHA1)


def _token(folder: Path) -> Token:
    (folder / "tokens").mkdir()
    (folder / "conf").write_text(f"directories.tokendir = {folder / 'tokens'}\n")
    os.environ["SOFTHSM2_CONF"] = str(folder / "conf")
    pin = folder / "pin"
    pin.write_text(secrets.token_hex(8))
    setup = ["--init-token", "--free", "--label", "bench", "--pin", pin.read_text(), "--so-pin", "12345678"]
    subprocess.run(["softhsm2-util", *setup], check=True, capture_output=True)
    return Token(module(_LIBRARY), "bench", pin)


def _no_request(*_: object) -> bytes:
    return b""


def _certificate(key: rsa.RSAPrivateKey) -> x509.Certificate:
    """Return any certificate: the keys require one but do not use it."""
    name, now = x509.Name([]), datetime.now(UTC)
    return x509.CertificateBuilder(name, name, key.public_key(), 1, now, now).sign(key, hashes.SHA256())


if __name__ == "__main__":
    main()
