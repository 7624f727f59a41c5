"""Checks of an installation's folders and files: access rights, and free space on their disks."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path

from samdrift.config.errors import shown
from samdrift.config.model import Config
from samdrift.operations.findings import Finding, Subject

_READS_KEYS = "anyone who can read these files can open every organisation's keys"
_SECRETS = Subject("files.secrets", _READS_KEYS)
_SEALS = Subject("files.seals", _READS_KEYS)
_PASSPHRASE = Subject("files.passphrase", _READS_KEYS)
_AT_OTHERS = Subject(
    "files.service-secrets", "anyone who can read it can impersonate its owner at another service"
)
_AT_OTHERS_KEYS = frozenset({"key_file", "password_file", "pin_file", "secret_file"})
"""Configuration keys that name a file with a secret for a service other than our key store."""
_OBJECTS = Subject("files.objects", "anyone who can write there can destroy messages")
_CONFIGURATION = Subject(
    "files.configuration", "anyone who can write it decides whom the installation trusts"
)
_TRUST = Subject("files.trust", "anyone who can write there decides whose certificates are trusted")
_ROOM = "without space no message is accepted, and the database may stop"

_OTHERS_READ, _OTHERS_WRITE = 0o066, 0o022
_GIB = 1 << 30
_LITTLE, _NEXT_TO_NOTHING = 5 * _GIB, _GIB
_LITTLE_SHARE, _NEXT_TO_NOTHING_SHARE = 0.10, 0.03


def check_files(config: Config) -> Iterator[Finding]:
    """Check the access rights of secrets, and of files that decide on trust.

    Others may traverse a folder when processes run as Unix users of their own, and those users' groups may
    read files further down, so only the folders themselves and single files are checked.
    """
    vaults = config.vaults
    yield _folder(_SECRETS, vaults.secrets, _OTHERS_READ)
    yield _folder(_SEALS, vaults.seals, _OTHERS_READ)
    if vaults.passphrase_file is not None:
        yield _file(_PASSPHRASE, vaults.passphrase_file, _OTHERS_READ)
    if isinstance(vaults.objects, Path):
        yield _folder(_OBJECTS, vaults.objects, _OTHERS_READ)
    if config.file is not None:
        yield _file(_CONFIGURATION, config.file, _OTHERS_WRITE)
    yield _folder(_TRUST, config.federation.trust, _OTHERS_WRITE)
    for file in sorted({*_secret_files(config)}):
        yield _place(_AT_OTHERS, file, _OTHERS_READ, 0o600, owned=False)


def _secret_files(part: object) -> Iterator[Path]:
    """Yield the files with secrets for other services that are named in a part of the configuration."""
    if isinstance(part, tuple):
        for each in part:
            yield from _secret_files(each)
    elif is_dataclass(part):
        for name, value in ((field.name, getattr(part, field.name)) for field in fields(part)):
            if name in _AT_OTHERS_KEYS and isinstance(value, Path):
                yield value
            else:
                yield from _secret_files(value)


def _folder(subject: Subject, folder: Path, denied: int) -> Finding:
    right = 0o700 if denied == _OTHERS_READ else 0o755
    return _place(subject, folder, denied, right)


def _file(subject: Subject, file: Path, denied: int) -> Finding:
    return _place(subject, file, denied, 0o600 if denied == _OTHERS_READ else 0o644)


def _place(subject: Subject, path: Path, denied: int, right: int, *, owned: bool = True) -> Finding:
    """Judge access to a path; with ``owned`` it must belong to the current user or to root."""
    name = shown(path)
    try:
        found = path.stat()
    except OSError as error:
        return subject.fail(
            f"{name}: {(error.strerror or '').lower()}",
            f"samdrift init makes it, or: ls -ld {name}" if owned else f"ls -l {name}",
        )
    mode = stat.S_IMODE(found.st_mode)
    if mode & denied:
        does = "write" if denied == _OTHERS_WRITE or mode & _OTHERS_WRITE else "read"
        return subject.fail(
            f"{name} has mode {mode:04o}: users other than its owner may {does} it",
            f"chmod {right:04o} {name}",
        )
    if owned and found.st_uid not in (0, os.geteuid()):
        return subject.fail(
            f"{name} belongs to user {found.st_uid}, not to user {os.geteuid()}, who runs this",
            f"chown it, or run this as the user that serves (User= of the unit): sudo -u '#{found.st_uid}'",
        )
    return subject.ok(f"{name} has mode {mode:04o}")


def check_disks(config: Config) -> Iterator[Finding]:
    """Check the free space on the disks for database, objects and keys, each disk once."""
    places = {
        "objects": config.vaults.objects,
        "database": config.vaults.database,
        "secrets": config.vaults.secrets,
    }
    seen: set[int] = set()
    for name, place in places.items():
        if not isinstance(place, Path) or not place.is_dir() or place.stat().st_dev in seen:
            continue
        seen.add(place.stat().st_dev)
        yield _room(Subject(f"disk.{name}", _ROOM), place)


def _room(subject: Subject, place: Path) -> Finding:
    found = os.statvfs(place)
    free, whole = found.f_bavail * found.f_frsize, max(1, found.f_blocks * found.f_frsize)
    files = found.f_favail / found.f_files if found.f_files else 1.0
    text = f"{_size(free)} of {_size(whole)} free on the disk of {shown(place)}"
    todo = f"free up space, or use a larger disk: df -h {shown(place)}"
    if files < _NEXT_TO_NOTHING_SHARE:
        return subject.fail(
            f"almost no files can be created on the disk of {shown(place)}", f"df -i {shown(place)}"
        )
    share = free / whole
    if (free < _NEXT_TO_NOTHING and share < _LITTLE_SHARE) or share < _NEXT_TO_NOTHING_SHARE:
        return subject.fail(text, todo)
    if (free < _LITTLE and share < 2 * _LITTLE_SHARE) or share < _LITTLE_SHARE:
        return subject.warn(text, todo)
    return subject.ok(text)


def _size(number: int) -> str:
    return f"{number / _GIB:.1f} GiB" if number >= _GIB else f"{number / (1 << 20):.0f} MiB"
