"""Signed notes (c2sp.org/signed-note), checkpoints (tlog-checkpoint) and cosignatures (tlog-cosignature).

A note is a text, an empty line and signatures; a verifier knows the keys beforehand and ignores signatures by
others. A checkpoint is the text in which a log states its size and root; a cosignature is a witness's
statement that it saw the log continue up to that size at a certain time.

Two algorithms of the formats are implemented: Ed25519 for logs (1) and for cosignatures (4). Missing:
ML-DSA-44 (6): not before keys of logs can be generated for it in an HSM.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from functools import lru_cache
from types import MappingProxyType
from typing import Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from samdrift.audit.merkle import HASH_SIZE
from samdrift.audit.reading import MAX_NUMBER, Malformed, Unverified, from_base64, number, to_base64

MAX_NOTE = 1_000_000
"""Maximum size of a note in bytes."""
MAX_SIGNATURES = 100
"""Maximum number of signatures on a note; the specification demands at least 16."""

_CONTROL_CHARACTER = re.compile("[\\x00-\\x09\\x0b-\\x1f]")
_NAME = re.compile("[^\\s\\x00-\\x1f+]+")
_DASH = "— "
_KEY_SIZE, _SIGNATURE_SIZE, _TIME_SIZE = 32, 64, 8

Sign = Callable[[bytes], bytes]
"""A function that signs a message with Ed25519, by a key in a file or an HSM."""


class Algorithm(IntEnum):
    """Types of signatures, by the byte assigned to them."""

    ED25519 = 1
    COSIGNATURE = 4


def is_name(text: str) -> bool:
    """Return whether ``text`` can name a key: not empty, without spaces, control characters and ``+``."""
    return _NAME.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key with its name and the type of signature that it is for: ``name+hash+key``."""

    name: str
    algorithm: Algorithm
    public: bytes

    @classmethod
    def parse(cls, text: str, where: str = "key") -> Self:
        """Read ``name+hash+key``; :class:`Malformed` if the three do not match."""
        name, _, rest = text.partition("+")
        digest, _, encoded = rest.partition("+")
        if not is_name(name) or not _encodable(name):
            raise Malformed("a key begins with a name without spaces and a +", where)
        material = from_base64(encoded, where)
        if len(material) != 1 + _KEY_SIZE or material[0] not in tuple(Algorithm):
            raise Malformed("the key is not for Ed25519 signatures or cosignatures", where)
        key = cls(name, Algorithm(material[0]), material[1:])
        if digest != key.id.hex():
            raise Malformed("the hash in the key is not that of its name and key", where)
        return key

    @property
    def id(self) -> bytes:
        """Return the four bytes by which signatures identify the key."""
        material = bytes([self.algorithm]) + self.public
        return hashlib.sha256(self.name.encode() + b"\n" + material).digest()[:4]

    def __str__(self) -> str:
        return f"{self.name}+{self.id.hex()}+{to_base64(bytes([self.algorithm]) + self.public)}"

    def verifies(self, text: bytes, signature: bytes) -> bool:
        """Return whether ``signature``, without the key's id, is by this key over the note's text."""
        message = text
        if self.algorithm is Algorithm.COSIGNATURE:
            time = int.from_bytes(signature[:_TIME_SIZE])
            if (
                len(signature) != _TIME_SIZE + _SIGNATURE_SIZE
                or time > MAX_NUMBER
                or not _is_checkpoint(text)
            ):
                return False
            message, signature = cosigned(text, time), signature[_TIME_SIZE:]
        try:
            _public_key(self.public).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True

    def line(self, text: bytes, sign: Sign) -> bytes:
        """Return the signature line of a note with ``text``, signed by ``sign``."""
        return _line(self, sign(text))

    def cosignature(self, text: bytes, time: int, sign: Sign) -> bytes:
        """Return the line of a cosignature at POSIX time ``time``, in seconds, over a checkpoint's text."""
        return _line(self, time.to_bytes(_TIME_SIZE) + sign(cosigned(text, time)))


@dataclass(frozen=True, slots=True)
class Signature:
    """A signature line: the name and id of its key, and the bytes that follow the id."""

    name: str
    id: bytes
    signature: bytes

    @classmethod
    def parse(cls, line: str, where: str) -> Self:
        """Read a signature line without its line end."""
        name, _, encoded = line.removeprefix(_DASH).partition(" ")
        if not line.startswith(_DASH) or not is_name(name):
            raise Malformed("a signature line begins with — and the name of a key", where)
        data = from_base64(encoded, where)
        if len(data) < 5:
            raise Malformed("a signature is longer than four bytes", where)
        return cls(name, data[:4], data[4:])

    def by(self, key: VerifierKey) -> bool:
        """Return whether the line claims to be by ``key``."""
        return (self.name, self.id) == (key.name, key.id)

    def __bytes__(self) -> bytes:
        return f"{_DASH}{self.name} {to_base64(self.id + self.signature)}\n".encode()


@dataclass(frozen=True, slots=True)
class Note:
    """A text with its signatures, as they were read; nothing has been verified."""

    text: bytes
    signatures: tuple[Signature, ...]

    @classmethod
    def parse(cls, content: bytes) -> Self:
        """Read a note; :class:`Malformed`, with the place of the fault, for anything else."""
        if len(content) > MAX_NOTE:
            raise Malformed(f"a note has at most {MAX_NOTE} bytes")
        try:
            whole = content.decode("utf-8")
        except UnicodeDecodeError as error:
            raise Malformed("a note is UTF-8", f"byte {error.start}") from None
        if _CONTROL_CHARACTER.search(whole):
            raise Malformed("a note has no control characters")
        text, empty_line, block = whole.rpartition("\n\n")
        if not empty_line or not block.endswith("\n"):
            raise Malformed("a note ends with an empty line and lines of signatures")
        first = text.count("\n") + 3
        lines = block[:-1].split("\n")
        if len(lines) > MAX_SIGNATURES:
            raise Malformed(f"a note has at most {MAX_SIGNATURES} signatures")
        signatures = (Signature.parse(line, f"line {first + place}") for place, line in enumerate(lines))
        return cls(f"{text}\n".encode(), tuple(signatures))

    def __bytes__(self) -> bytes:
        return self.text + b"\n" + b"".join(map(bytes, self.signatures))

    def verified(self, keys: Iterable[VerifierKey]) -> dict[VerifierKey, Signature]:
        """Return the first signature by each of ``keys``.

        :class:`Unverified` if a signature that names one of the keys is invalid, or if there is none.
        """
        found: dict[VerifierKey, Signature] = {}
        by_id = {(key.name, key.id): key for key in keys}
        for place, signature in enumerate(self.signatures, start=1):
            key = by_id.get((signature.name, signature.id))
            if key is not None and key not in found:
                if not key.verifies(self.text, signature.signature):
                    raise Unverified(
                        "a signature in the name of a known key is invalid", f"signature {place}"
                    )
                found[key] = signature
        if not found:
            raise Unverified("it has no signature by a known key")
        return found


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A log's statement of its size and root under its name, the ``origin``."""

    origin: str
    size: int
    root: bytes
    extension: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: bytes) -> Self:
        """Read the text of a note; :class:`Malformed` if it is not a checkpoint."""
        try:
            lines = text.decode("utf-8").split("\n")
        except UnicodeDecodeError as error:
            raise Malformed("a checkpoint is UTF-8", f"byte {error.start}") from None
        if len(lines) < 4 or lines.pop() != "":
            raise Malformed("a checkpoint has three or more lines, each with a line end")
        if "" in lines:
            raise Malformed("a checkpoint has no empty line", f"line {lines.index('') + 1}")
        origin, size, root, *extension = lines
        return cls(origin, number(size, "line 2"), from_base64(root, "line 3", HASH_SIZE), tuple(extension))

    @property
    def text(self) -> bytes:
        lines = (self.origin, str(self.size), to_base64(self.root), *self.extension)
        return "".join(f"{line}\n" for line in lines).encode()

    def signed(self, lines: Sequence[bytes]) -> bytes:
        """Return the note of this checkpoint with the signature ``lines``."""
        return self.text + b"\n" + b"".join(lines)


@dataclass(frozen=True, slots=True)
class SignedCheckpoint:
    """A checkpoint with a valid signature by its log, and the times of its valid cosignatures."""

    checkpoint: Checkpoint
    log: VerifierKey
    cosigned: Mapping[VerifierKey, int] = field(default_factory=lambda: MappingProxyType({}))

    @classmethod
    def parse(
        cls, content: bytes, logs: Iterable[VerifierKey], witnesses: Iterable[VerifierKey] = ()
    ) -> Self:
        """Read and verify a checkpoint of one of ``logs``, each of which signs only under its own name.

        :class:`Malformed` or :class:`Unverified` otherwise, even if only a witness's signature is invalid.
        """
        note = Note.parse(content)
        verified = note.verified([*logs, *witnesses])
        checkpoint = Checkpoint.parse(note.text)
        by_log = [
            key for key in verified if key.algorithm is Algorithm.ED25519 and key.name == checkpoint.origin
        ]
        if not by_log:
            raise Unverified("it is not signed by a log known under this origin", "line 1")
        times = {
            key: int.from_bytes(signature.signature[:_TIME_SIZE])
            for key, signature in verified.items()
            if key.algorithm is Algorithm.COSIGNATURE
        }
        return cls(checkpoint, by_log[0], MappingProxyType(times))


def announced(key: VerifierKey) -> bytes:
    """Return the text by which a log's key announces the next one; it is never the text of a checkpoint."""
    return f"samdrift log key v1\n{key}\n".encode()


def cosigned(text: bytes, time: int) -> bytes:
    """Return the message that a witness signs (tlog-cosignature)."""
    return b"cosignature/v1\ntime %d\n" % time + text


@lru_cache(1024)
def _public_key(public: bytes) -> Ed25519PublicKey:
    """Return the parsed key, cached because a log and its witnesses keep signing with the same keys."""
    return Ed25519PublicKey.from_public_bytes(public)


def _is_checkpoint(text: bytes) -> bool:
    try:
        return Checkpoint.parse(text).text == text
    except Malformed:
        return False


def _line(key: VerifierKey, signature: bytes) -> bytes:
    return bytes(Signature(key.name, key.id, signature))


def _encodable(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
