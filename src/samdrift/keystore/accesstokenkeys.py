"""The keys that access tokens are signed with: made in place, and replaced by themselves (R7).

Nobody outside certifies such a key, so nobody needs to be asked when it is
replaced: a file carries the day it was made, and when the newest is too old
another is made. A token lives for minutes; an older key stays as long as any
process could still sign with it, and a while.
"""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from samdrift.keystore import confined
from samdrift.keystore.confined import remove, write_new
from samdrift.keystore.keyfiles import KeyFault, KeyStoreError
from samdrift.keystore.wrapping import WrappingError, unwrap, wrap
from samdrift.wire.crypto.softwarekeys import SoftwareTokenKey

_RENEW_AFTER = timedelta(days=90)
_STAYS = timedelta(days=2)
_FILE = re.compile(r"token-([0-9]{8})\.key")


def token_keys(folder: Path, wrapping: bytes) -> tuple[SoftwareTokenKey, ...]:
    """Return the keys in ``folder``, under the key ``wrapping``, the newest first."""
    read = (_read(_path(folder, day), wrapping) for day in _made(folder))
    return tuple(key for key in read if key is not None)


def due(folder: Path, today: date) -> bool:
    """Return whether :func:`renew` has anything to do."""
    made = _made(folder)
    return not made or today - made[0] >= _RENEW_AFTER or (len(made) > 1 and today - made[0] >= _STAYS)


def renew(folder: Path, wrapping: bytes, today: date) -> None:
    """Make a key where there is none or the newest is too old, and remove those that nobody needs any more.

    Two processes that make one on the same day have the same one.
    """
    made = _made(folder)
    if not made or today - made[0] >= _RENEW_AFTER:
        write_new(_path(folder, today), wrap(_new(), wrapping))
        made = _made(folder)
    newest, *older = made
    if today - newest >= _STAYS:
        for day in older:
            remove(_path(folder, day))


def _made(folder: Path) -> list[date]:
    """The days on which keys were made, the latest first."""
    found = (_FILE.fullmatch(name) for name in confined.names(folder))
    return sorted((datetime.strptime(match[1], "%Y%m%d").date() for match in found if match), reverse=True)


def _path(folder: Path, day: date) -> Path:
    return folder / f"token-{day:%Y%m%d}.key"


def _new() -> bytes:
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _read(path: Path, wrapping: bytes) -> SoftwareTokenKey | None:
    """The key in a file; ``None`` when another process has just removed it."""
    try:
        key = serialization.load_der_private_key(unwrap(confined.read(path), wrapping), None)
    except FileNotFoundError:
        return None
    except (WrappingError, ValueError):
        key = None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise KeyStoreError(KeyFault.DAMAGED, "a token key does not open")
    return SoftwareTokenKey(key)
