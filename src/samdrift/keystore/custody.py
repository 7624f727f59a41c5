"""Custodians: the persons two of whom are needed for what one alone must not do (R7, dual control).

A custodian is known by a name and a passphrase. The passphrase is kept nowhere:
stretched with scrypt it is a signature key (Ed25519), and what a file keeps is
the public half. So a custodian *signs* what he or she agrees to, nobody who can
read the files can agree in another's name, and what was agreed to can be
verified later. Who may write in the key store's folder could put another key in
a custodian's place: that remains, and stands in the operator's log as an
addition that is missing there.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from samdrift.contracts.errors import Explained
from samdrift.keystore.durablefiles import private_folder, remove, write_new
from samdrift.keystore.wrapping import ScryptCost, Stretching

FOLDER = "custodians"
"""The folder in the key store's own."""
NEEDED = 2
SHORTEST = 12
"""Characters of a passphrase."""

_NAME = re.compile(r"[a-zåäö][a-zåäö0-9.-]{0,40}")
_SUFFIX = ".json"


class CustodyFault(StrEnum):
    """Why something under dual control is not done, for programs to branch on."""

    BAD_NAME = "bad-name"
    WEAK = "weak"
    EXISTS = "exists"
    UNKNOWN = "unknown"
    PASSPHRASE = "passphrase"  # noqa: S105
    SAME_PERSON = "same-person"
    TOO_FEW = "too-few"
    ASKED = "asked"
    """One person has asked; another one must approve."""
    NO_REQUEST = "no-request"
    DAMAGED = "damaged"


class CustodyError(Explained, ValueError):
    """Why it is not done, and what to do; never with anything of a passphrase."""

    def __init__(self, fault: CustodyFault, text: str) -> None:
        super().__init__(text)
        self.fault = fault
        self.text = text


@dataclass(frozen=True, slots=True)
class TwoPersons:
    """The names of those who agreed: who asked, and who approved."""

    first: str
    second: str


@dataclass(frozen=True, slots=True)
class Custodian:
    """A custodian who has shown the passphrase, and can sign until this is forgotten."""

    name: str
    key: Ed25519PrivateKey = field(repr=False)


class Custodians:
    """The custodians of one installation."""

    def __init__(self, store: Path, *, cost: ScryptCost | None = None) -> None:
        """Those whose files are in the key store's folder ``store``; ``cost`` is for new ones."""
        self._folder = store / FOLDER
        self._cost = cost or ScryptCost()

    def names(self) -> tuple[str, ...]:
        """Who they are, in the order of the alphabet."""
        if not self._folder.is_dir():
            return ()
        found = (path.name.removesuffix(_SUFFIX) for path in self._folder.glob(f"*{_SUFFIX}"))
        return tuple(sorted(name for name in found if _NAME.fullmatch(name)))

    def require_new(self, name: str, passphrase: bytes) -> None:
        """Return when a custodian can be added by that name, with that passphrase."""
        if not _NAME.fullmatch(name):
            text = "a custodian's name is of small letters, digits, dots and hyphens, at most 41"
            raise CustodyError(CustodyFault.BAD_NAME, text)
        if name in self.names():
            raise CustodyError(CustodyFault.EXISTS, f"{name} is a custodian already")
        if len(passphrase.decode("utf-8", "replace")) < SHORTEST:
            text = f"a custodian's passphrase has at least {SHORTEST} characters"
            raise CustodyError(CustodyFault.WEAK, text)

    def add(self, name: str, passphrase: bytes) -> None:
        """Make ``name`` a custodian."""
        self.require_new(name, passphrase)
        stretching = Stretching.new(self._cost)
        public = _key(passphrase, stretching).public_key().public_bytes_raw()
        parts = stretching.parts() | {"public": public.hex()}
        private_folder(self._folder)
        if not write_new(self._file(name), json.dumps(parts).encode()):
            raise CustodyError(CustodyFault.EXISTS, f"{name} is a custodian already")

    def remove(self, name: str) -> None:
        """Make ``name`` a custodian no more; two must remain, or one person alone could fill the places."""
        self.require_removable(name)
        remove(self._file(name))

    def require_removable(self, name: str) -> None:
        """Return when ``name`` can be removed."""
        self._require(name)
        if len(self.names()) <= NEEDED:
            text = f"{NEEDED} custodians must remain: add the successor first"
            raise CustodyError(CustodyFault.TOO_FEW, text)

    def prove(self, name: str, passphrase: bytes) -> Custodian:
        """The custodian, when the passphrase is his or hers; takes a tenth of a second on purpose."""
        stretching, public = self._read(name)
        try:
            key = _key(passphrase, stretching)
        except ValueError:
            raise _damaged(name) from None
        if key.public_key().public_bytes_raw() != public.public_bytes_raw():
            raise CustodyError(CustodyFault.PASSPHRASE, f"the passphrase is not the one of {name}")
        return Custodian(name, key)

    def signed(self, name: str, data: bytes, signature: bytes) -> bool:
        """Whether a custodian of now has signed ``data``."""
        if name not in self.names():
            return False
        try:
            self._read(name)[1].verify(signature, data)
        except InvalidSignature:
            return False
        return True

    def _read(self, name: str) -> tuple[Stretching, Ed25519PublicKey]:
        self._require(name)
        try:
            parts = json.loads(self._file(name).read_bytes())
            public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(parts["public"]))
            return Stretching.read(parts), public
        except (ValueError, KeyError, TypeError):
            raise _damaged(name) from None

    def _require(self, name: str) -> None:
        if name not in self.names():
            raise CustodyError(CustodyFault.UNKNOWN, "there is no custodian of that name")

    def _file(self, name: str) -> Path:
        return self._folder / f"{name}{_SUFFIX}"


def _key(passphrase: bytes, stretching: Stretching) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(stretching.key(passphrase))


def _damaged(name: str) -> CustodyError:
    return CustodyError(CustodyFault.DAMAGED, f"the file of custodian {name} is damaged")
