"""The table `staff` of the configuration file: keys that prove which member of the staff runs a command."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from samdrift.config.keys import Change, Key
from samdrift.config.kinds import PATH, TEXTS, kind
from samdrift.config.reading import Breaches
from samdrift.config.values import text, texts
from samdrift.wire.crypto.sshsig import SshKey

_NAME = re.compile(r"[0-9a-zåäöé][0-9a-zåäöé._-]{0,40}")
_A_KEY = '["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop"]'


def _name(value: Any) -> str:
    if not _NAME.fullmatch(text(value)):
        raise ValueError("is not at most 41 lower-case letters, digits, dots and hyphens")
    return text(value)


def _keys(value: Any) -> tuple[SshKey, ...]:
    """Read public keys in the format of OpenSSH ``.pub`` files, ignoring comments."""
    try:
        found = tuple(SshKey.parse(" ".join(each.split()[:2])) for each in texts(value))
    except ValueError:
        raise ValueError("has something that is not a public key of OpenSSH, Ed25519 or ECDSA") from None
    if not found:
        raise ValueError("has no key")
    return found


@dataclass(frozen=True, slots=True)
class StaffKeysConfig:
    """A member of the operator's staff, or a service such as a timer, with the keys that prove it."""

    name: Annotated[
        str,
        Key(
            "Their name as logs have it, and as `--by` gives it.",
            kind("name in small letters", _name),
            example='"ola.ek"',
            since="0.2",
        ),
    ]
    keys: Annotated[
        tuple[SshKey, ...],
        Key(
            "Public keys of OpenSSH, one of which signs each command ([operations](operations.md#who-acts)).",
            kind("list of public keys of OpenSSH", _keys),
            example=_A_KEY,
            since="0.2",
            change=Change.COMMAND,
        ),
    ]
    commands: Annotated[
        tuple[str, ...],
        Key(
            "The only commands that these keys may sign, for a service such as a timer.",
            TEXTS,
            otherwise="all, as for a person",
            example='["backup create"]',
            since="0.2",
            change=Change.COMMAND,
        ),
    ] = ()
    key_file: Annotated[
        Path | None,
        Key(
            "File with the private key of a service, whom nobody asks for a passphrase; needs `commands`.",
            PATH,
            otherwise="the key is the person's own, in an agent or typed in",
            example='"backup-timer"',
            since="0.2",
            change=Change.COMMAND,
        ),
    ] = None


def staff_breaches(staff: Collection[StaffKeysConfig]) -> Breaches:
    """Require that each name and key is one person's, and that a service's key has named commands."""
    for name, times in Counter(each.name for each in staff).items():
        if times > 1:
            yield "staff", f"has {name} twice"
    if any(times > 1 for times in Counter(key.blob for each in staff for key in each.keys).values()):
        yield "staff", "has a key twice: each belongs to one person"
    for number, each in enumerate(staff):
        if each.key_file is not None and not each.commands:
            yield f"staff[{number}].commands", "is missing: only a service may have its key in a file"
