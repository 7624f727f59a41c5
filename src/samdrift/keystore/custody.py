"""Custodians: people of whom two must agree to what one must not do alone (R7, dual control).

A custodian is known by a name and a passphrase. The passphrase is stored nowhere: stretched with scrypt it
becomes a signature key (Ed25519), and a file has the public half. So custodians *sign* what they agree to, a
reader of the files cannot agree in another person's name, and agreements can be verified later. A person who
can write in the key store's folder could put another key in a custodian's place. That risk remains; it shows
as an addition that is missing in the operator's log.

A person becomes a custodian in two steps. The person makes a key, alone, and is shown its fingerprint; two
custodians then agree to exactly that key. So the custodian who asks for it cannot type a passphrase in the
person's name: the fingerprint would differ.

Writers take turns by a lock over all processes (:meth:`Custodians.writing`), from the check whether
something is allowed until it is done.

A passphrase is the only protection against a reader of these files who wants to agree in a custodian's name,
or to open what an officer has locked. So :func:`weakness` judges a new one by the number of its characters
that do not follow from those before them, without words that everybody tries. That is a minimum, not a
measure of strength: a sentence of one's own is far above it.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import json
import os
import re
import stat
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from samdrift.contracts.errors import Explained
from samdrift.keystore.durablefiles import private_folder, remove, write_new
from samdrift.keystore.wrapping import PERSONS_COST, ScryptCost, Stretching

_MIN_CHARACTERS = 12
_MAX_CHARACTERS = 1024
"""Limits on the length of a passphrase."""

_UNPREDICTABLE = 8
"""Minimum number of characters that neither repeat nor continue preceding ones, without obvious words."""

_SEQUENCES = (
    "abcdefghijklmnopqrstuvwxyzåäö",
    "01234567890",
    "qwertyuiopå",
    "asdfghjklöä",
    "zxcvbnm",
)

_OBVIOUS = (
    *(
        "password",
        "passphrase",
        "passord",
        "lösenord",
        "losenord",
        "lösenfras",
        "losenfras",
        "secret",
        "hemligt",
    ),
    *(
        "hemlig",
        "qwerty",
        "administrator",
        "admin",
        "welcome",
        "välkommen",
        "valkommen",
        "letmein",
        "changeme",
    ),
    *("change me", "iloveyou", "jagälskardig", "dragon", "monkey", "football", "fotboll", "sommar", "vinter"),
    *("höst", "vår", "summer", "winter", "samdrift", "sdk", "custodian", "operator", "officer", "kommun"),
    *("region", "correct horse battery staple", "correcthorsebatterystaple", "default", "master", "test"),
    *("hejsan", "sverige", "sweden", "stockholm", "januari", "februari", "september", "oktober", "november"),
)

_LOOKALIKES = tuple(str.maketrans("013457@$!", letters) for letters in ("oleastasi", "oieastasi"))

FOLDER = "custodians"
"""Name of the folder within the key store's own."""

NEEDED = 2

LASTS = timedelta(hours=24)
"""Time for which a request, or the key of a person who is to become a custodian, waits."""

_NAME = re.compile(r"[a-zåäö][a-zåäö0-9.-]{0,40}")
_SUFFIX = ".json"
_WAITING = ".waiting"
_LOCK = ".lock"
_MAX_BYTES = 64 << 10
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class CustodyFault(StrEnum):
    """Reasons why something under dual control is not done, for programs to branch on."""

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
    NO_KEY = "no-key"
    """No key of the person is waiting, or a different one is."""
    RESTART = "restart"
    """There were two custodians once, and fewer are left: only an explicit restart begins again."""
    DAMAGED = "damaged"


class CustodyError(Explained, ValueError):
    """A refusal with its reason and what to do about it; the text contains nothing of a passphrase."""

    def __init__(self, fault: CustodyFault, text: str) -> None:
        super().__init__(text)
        self.fault = fault
        self.text = text


@dataclass(frozen=True, slots=True)
class TwoPersons:
    """Names of the two people who agreed: the one who asked, and the one who approved."""

    first: str
    second: str


@dataclass(frozen=True, slots=True)
class Custodian:
    """A custodian who has proved the passphrase, with the key for signing."""

    name: str
    key: Ed25519PrivateKey = field(repr=False)


@dataclass(frozen=True, slots=True)
class PublicKey:
    """The public half of a person's key, and the parameters that turn the passphrase into the other half."""

    name: str
    stretching: Stretching
    public: bytes

    @classmethod
    def new(cls, name: str, passphrase: bytes, cost: ScryptCost) -> PublicKey:
        """Make the key of ``name``, which cannot be made again without the passphrase."""
        stretching = Stretching.new(cost)
        return cls(name, stretching, _key(passphrase, stretching).public_key().public_bytes_raw())

    @classmethod
    def read(cls, name: str, parts: dict[str, Any]) -> PublicKey:
        """Return a key from its file; ``ValueError``, ``KeyError`` or ``TypeError`` for other content."""
        public = bytes.fromhex(parts["public"])
        Ed25519PublicKey.from_public_bytes(public)
        return cls(name, Stretching.read(parts), public)

    @property
    def fingerprint(self) -> str:
        """Return 128 bits of the public key's SHA-256, in groups for reading out over the telephone."""
        digits = hashlib.sha256(self.public).hexdigest()[:32]
        return " ".join(digits[place : place + 4] for place in range(0, 32, 4))

    def opened(self, passphrase: bytes) -> Custodian | None:
        """Return the custodian if the passphrase is right, otherwise ``None``."""
        key = _key(passphrase, self.stretching)
        return Custodian(self.name, key) if key.public_key().public_bytes_raw() == self.public else None

    def signed(self, data: bytes, signature: bytes) -> bool:
        """Return whether the person has signed ``data``."""
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, data)
        except InvalidSignature:
            return False
        return True

    def parts(self) -> dict[str, Any]:
        """Return the key in the form of its file."""
        return self.stretching.parts() | {"public": self.public.hex()}


class Custodians:
    """The custodians of one installation."""

    def __init__(self, store: Path, *, cost: ScryptCost | None = None) -> None:
        """Open the custodians in the key store's folder ``store``; ``cost`` is for new ones."""
        self._folder = store / FOLDER
        self._cost = cost or PERSONS_COST

    def names(self) -> tuple[str, ...]:
        """List the custodians in alphabetical order, including those whose file is damaged."""
        if not self._folder.is_dir():
            return ()
        found = (path.name.removesuffix(_SUFFIX) for path in self._folder.glob(f"*{_SUFFIX}"))
        return tuple(sorted(name for name in found if _NAME.fullmatch(name)))

    def able(self) -> tuple[str, ...]:
        """List the custodians who can agree to something, because their file can be read."""
        return tuple(name for name in self.names() if self._readable(name))

    def damaged(self) -> tuple[str, ...]:
        """List the custodians who can agree to nothing, because their file cannot be read."""
        return tuple(name for name in self.names() if not self._readable(name))

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Lock custodians, so that no other process adds or removes one."""
        descriptor = self._locked()
        try:
            yield
        finally:
            os.close(descriptor)

    @contextlib.asynccontextmanager
    async def in_turn(self) -> AsyncIterator[None]:
        """Lock custodians as :meth:`writing` does, around work that awaits something, such as a log entry."""
        descriptor = await asyncio.to_thread(self._locked)
        try:
            yield
        finally:
            os.close(descriptor)

    def require_new(self, name: str, passphrase: bytes) -> None:
        """Raise :class:`CustodyError` unless a custodian can be added with that name and passphrase."""
        if not _NAME.fullmatch(name):
            text = "a custodian's name has at most 41 lower-case letters, digits, dots and hyphens"
            raise CustodyError(CustodyFault.BAD_NAME, text)
        if name in self.names():
            raise CustodyError(CustodyFault.EXISTS, f"{name} is already a custodian")
        weak = weakness(passphrase.decode("utf-8", "replace"), name)
        if weak is not None:
            raise CustodyError(CustodyFault.WEAK, weak)

    def new_key(self, name: str, passphrase: bytes) -> PublicKey:
        """Make the key of a person who is to become a custodian; nothing is written yet."""
        self.require_new(name, passphrase)
        return PublicKey.new(name, passphrase, self._cost)

    def waiting(self, name: str, now: datetime) -> PublicKey | None:
        """Return the key that a person has made, if it is still waiting for two custodians to agree."""
        try:
            parts = (
                json.loads(read_small(self._folder / f"{name}{_WAITING}")) if _NAME.fullmatch(name) else {}
            )
            made = datetime.fromisoformat(parts["at"])
            return PublicKey.read(name, parts) if made <= now < made + LASTS else None
        except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
            return None

    def wait(self, key: PublicKey, now: datetime) -> None:
        """Write the key of a person who is to become a custodian, in place of an earlier one."""
        private_folder(self._folder)
        with self.writing():
            if key.name in self.names():
                raise CustodyError(CustodyFault.EXISTS, f"{key.name} is already a custodian")
            path = self._folder / f"{key.name}{_WAITING}"
            remove(path)
            write_new(path, json.dumps(key.parts() | {"at": now.isoformat()}).encode())

    def admit(self, key: PublicKey) -> None:
        """Make the person with that key a custodian, within :meth:`writing` or :meth:`in_turn`."""
        for name in self.able():
            if self.key(name).public == key.public:
                raise CustodyError(CustodyFault.SAME_PERSON, f"that is the key of {name}, who is a custodian")
        private_folder(self._folder)
        if not write_new(self._file(key.name), json.dumps(key.parts()).encode()):
            raise CustodyError(CustodyFault.EXISTS, f"{key.name} is already a custodian")
        remove(self._folder / f"{key.name}{_WAITING}")

    def add(self, name: str, passphrase: bytes) -> None:
        """Make ``name`` a custodian, a person who is present and has typed the passphrase."""
        key = self.new_key(name, passphrase)
        with self.writing():
            self.admit(key)

    def remove(self, name: str) -> None:
        """Remove a custodian; two must remain, or one person alone could fill the places."""
        with self.writing():
            self.dismiss(name)

    def dismiss(self, name: str) -> None:
        """Remove a custodian as :meth:`remove` does, within :meth:`writing` or :meth:`in_turn`."""
        self.require_removable(name)
        remove(self._file(name))

    def dismiss_all(self) -> None:
        """Remove all custodians, waiting keys and requests, within :meth:`in_turn`."""
        for place in (self._folder, self._folder / "requests"):
            for path in place.iterdir() if place.is_dir() else ():
                if path.name != _LOCK and (path.is_symlink() or not path.is_dir()):
                    remove(path)

    def require_removable(self, name: str) -> None:
        """Raise :class:`CustodyError` unless two able custodians would remain without ``name``."""
        self._require(name)
        if len([other for other in self.able() if other != name]) < NEEDED:
            text = f"{NEEDED} custodians must remain: add the successor first"
            raise CustodyError(CustodyFault.TOO_FEW, text)

    def prove(self, name: str, passphrase: bytes) -> Custodian:
        """Return the custodian if the passphrase is right; deliberately takes half a second.

        Raises :class:`CustodyError` if it is not.
        """
        proved = self.key(name).opened(passphrase)
        if proved is None:
            raise CustodyError(CustodyFault.PASSPHRASE, f"the passphrase is not that of {name}")
        return proved

    def signed(self, name: str, data: bytes, signature: bytes) -> bool:
        """Return whether a current custodian has signed ``data``."""
        return name in self.able() and self.key(name).signed(data, signature)

    def key(self, name: str) -> PublicKey:
        """Return the public half of a custodian's key."""
        self._require(name)
        try:
            return PublicKey.read(name, json.loads(read_small(self._file(name))))
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            text = (
                f"the file of custodian {name} is damaged: have two others remove {name} and add them again"
            )
            raise CustodyError(CustodyFault.DAMAGED, text) from None

    def _readable(self, name: str) -> bool:
        try:
            self.key(name)
        except CustodyError:
            return False
        return True

    def _require(self, name: str) -> None:
        if name not in self.names():
            raise CustodyError(CustodyFault.UNKNOWN, "there is no custodian of that name")

    def _file(self, name: str) -> Path:
        return self._folder / f"{name}{_SUFFIX}"

    def _locked(self) -> int:
        private_folder(self._folder)
        descriptor = os.open(
            self._folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600
        )
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor


def read_small(path: Path) -> bytes:
    """Return the content of a file in this folder; ``OSError`` or ``ValueError`` for anything else there.

    A link, a FIFO or a file of any size in its place does not block the reader.
    """
    descriptor = os.open(path, _READ)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError("not a regular file")
        with open(descriptor, "rb", closefd=False) as file:
            data = file.read(_MAX_BYTES + 1)
    finally:
        os.close(descriptor)
    if len(data) > _MAX_BYTES:
        raise ValueError("too large")
    return data


def _key(passphrase: bytes, stretching: Stretching) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(stretching.key(passphrase))


def weakness(passphrase: str, *own: str) -> str | None:
    """Return the reason why a new passphrase is refused, as a sentence, or ``None`` if it is accepted.

    ``own`` are names that an attacker would try first: the person's, the organisation's.
    """
    if len(passphrase) < _MIN_CHARACTERS:
        return f"the passphrase has fewer than {_MIN_CHARACTERS} characters"
    if len(passphrase) > _MAX_CHARACTERS:
        return f"the passphrase has more than {_MAX_CHARACTERS} characters"
    text = passphrase.casefold()
    if _unpredictable(_period(text)) < _UNPREDICTABLE:
        return "the passphrase repeats itself, or follows the alphabet, digits or keyboard: use a sentence"
    words = [
        *_OBVIOUS,
        *(part for name in own for part in re.split(r"[^\w]+", name.casefold()) if len(part) > 1),
    ]
    left = min(_unpredictable(_period(_without(each, words))) for each in _readings(text))
    if left < _UNPREDICTABLE:
        return "the passphrase is made of words or names that attackers try first: use a sentence of your own"
    return None


def _readings(text: str) -> tuple[str, ...]:
    """Return the text unchanged, and with digits and signs read as the letters that they look like."""
    return text, *(text.translate(each) for each in _LOOKALIKES)


def _without(text: str, words: list[str]) -> str:
    for word in sorted(words, key=len, reverse=True):
        text = text.replace(word, "")
    return text


def _period(text: str) -> str:
    """Return the shortest beginning of which the text is a repetition, the last one possibly cut off."""
    for length in range(1, len(text) // 2 + 1):
        if (text[:length] * (len(text) // length + 1))[: len(text)] == text:
            return text[:length]
    return text


def _unpredictable(text: str) -> int:
    return sum(not _follows(before, each) for before, each in zip(f"\0{text}", text, strict=False))


def _follows(before: str, character: str) -> bool:
    pair = before + character
    return before == character or any(pair in row or pair in row[::-1] for row in _SEQUENCES)
