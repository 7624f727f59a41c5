"""A command's input files: the content that is used is the content that was signed.

Signing a command includes the SHA-256 of each file that it reads (:mod:`samdrift.cli.proving`). A small file
is read once, here, and the digest is of those very bytes. A large file, which is read as needed, is hashed in
advance, and its reader compares the digest. A file that is changed or replaced in between, directly or
through a symbolic link, is refused and never used unsigned.
"""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Sequence
from pathlib import Path

from typer.main import get_current_context  # type: ignore[attr-defined]

from samdrift.config.errors import Unusable, shown
from samdrift.config.inputs import reason

MAX_FILE = 1 << 20
"""Maximum size in bytes of a file that is read whole, unless its reader names another limit."""
_KEPT = "samdrift.cli.inputs"


def read_input(file: Path, most: int = MAX_FILE) -> bytes:
    """Return the content of a file of at most ``most`` bytes; :class:`Unusable` if that fails."""
    try:
        with file.open("rb") as opened:
            content = opened.read(most + 1)
    except OSError as error:
        raise Unusable(f"{shown(file)}: {reason(error)}") from None
    if len(content) > most:
        raise Unusable(f"{shown(file)}: larger than {most} bytes")
    _note(file, hashlib.sha256(content).hexdigest())
    return content


def digest_of_input(file: Path, listing: str = "") -> str:
    """Return the SHA-256 of a file of any size, or of the ``listing`` in a folder.

    A listing contains the digests of the folder's files. :class:`Unusable` for a file that cannot be read, or
    has changed since it was hashed.
    """
    try:
        with (file / listing).open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError as error:
        raise Unusable(f"{shown(file)}: {reason(error)}") from None
    _note(file, digest)
    return digest


def note_folder(folder: Path, files: Sequence[Path]) -> None:
    """Record a folder that was read: the SHA-256 of the lines that `sha256sum` prints for its files."""
    lines = (f"{known_digest(each)}  {each.name}\n" for each in files)
    _note(folder, hashlib.sha256("".join(lines).encode()).hexdigest())


def known_digest(file: Path) -> str | None:
    """Return the digest of a file if this command has read or signed it, else ``None``."""
    return _kept().get(file.absolute())


def require_unchanged(file: Path) -> None:
    """Refuse a file that has changed since it was read; a pipe, which is read only once, is not checked."""
    try:
        if stat.S_ISREG(file.stat().st_mode):
            digest_of_input(file)
    except OSError as error:
        raise Unusable(f"{shown(file)}: {reason(error)}") from None


def changed(file: Path) -> Unusable:
    """Return the error for a file that differs from the signed one."""
    return Unusable(f"{shown(file)}: was changed while the command ran; nothing was done with it")


def _note(file: Path, digest: str) -> None:
    if _kept().setdefault(file.absolute(), digest) != digest:
        raise changed(file)


def _kept() -> dict[Path, str]:
    """Return the digests of this run, kept in its context so that runs do not share them."""
    context = get_current_context(silent=True)
    kept: dict[Path, str] = {} if context is None else context.meta.setdefault(_KEPT, {})
    return kept
