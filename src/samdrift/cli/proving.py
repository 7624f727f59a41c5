"""Signatures by the people who run commands, made with a key in an agent or a file, or pasted."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Any

from typer.main import get_current_context  # type: ignore[attr-defined]

from samdrift.administration.staff import (
    NAMESPACE,
    Act,
    NotOfTheStaff,
    StaffFault,
    member,
    note_refusal,
    proven,
)
from samdrift.cli.inputs import digest_of_input, known_digest, require_unchanged
from samdrift.cli.output import complain
from samdrift.config.errors import Unusable, printable, shown
from samdrift.config.failures import reported_as_usage_errors
from samdrift.config.model import Config, Environment
from samdrift.config.reader import examine
from samdrift.config.staff import StaffKeysConfig
from samdrift.contracts.errors import Explained
from samdrift.contracts.principals import NOT_PROVEN, Proof
from samdrift.installation.loop import run
from samdrift.installation.vaultsettings import vault_settings
from samdrift.vault.gate import Gate
from samdrift.wire.crypto.sshsig import SshKey

UNSIGNED = frozenset(
    {
        *("by", "config", "as_json", "raw", "language"),
        *("by_file", "other_file", "custodian_file", "passphrase_file", "present_file", "officer_file"),
        "code_file",
    }
)
"""Parameters left out of the signed text, because they do not determine what is done.

They are the format of the answer, the location of the installation, passphrases, and the name, which the text
contains separately.
"""
_PREPARER = "prepared_by"
"""Parameter with the name in commands that prepare a statement, where `by` is the person who will sign it."""
WRITTEN = frozenset(
    {"cedar", "csv", "drawing", "folder", "html", "openfga", "oscal", "out", "pdf", "to_sign"}
)
"""Parameters that name a command's output, which has no content to sign yet."""
KEYS = frozenset({"bundle_file", "identity", "key_file"})
"""Parameters that name files with keys.

The data that these keys open is signed or recorded, but a secret's digest must not be in a log.
"""
_PROVEN = "samdrift.cli.proving "
_END = "-----END SSH SIGNATURE-----"
_MAX_LINES = 100


def prove(name: str) -> Proof:
    """Return the proof that ``name`` runs the current command.

    If the configuration does not list the staff, there is no proof; the logs record that, and in production a
    warning on standard error reports it. Otherwise an unproven name ends the command, with an entry in the
    operator's log.
    """
    command, context = _running()
    before: Proof | None = context.meta.get(f"{_PROVEN}{name}")
    if before is not None:
        return before  # One signature per run, however many callers ask for proof.
    with reported_as_usage_errors():
        configs = [_read(each) for each in _configs(context.params)]
        staffed = [each for each in configs if each.staff]
        if not staffed:
            if any(each.environment is Environment.PRODUCTION for each in configs):
                complain(
                    f"nothing proves that you are {printable(name)}, and the logs say so: [[staff]] is empty"
                )
            return NOT_PROVEN
        files = read_files(context.params)
        read_already = [each for some in files.values() for each in some if known_digest(each) is not None]
        contents = {name: " ".join(map(_digest, some)) for name, some in files.items()}
        parameters = signed(context.command, context.params)
        act = Act(name, command, parameters, staffed, datetime.now(UTC), contents)
        proof = context.meta[f"{_PROVEN}{name}"] = _proven(act)
        with _refusals(staffed[0], act):
            for each in read_already:
                _require_same(each)
        return proof


def _proven(act: Act) -> Proof:
    """Return the proof by one signature, which must be valid in each of the installations."""
    first, *others = act.configs
    with _refusals(first, act):
        who = member(first.staff, act.by, act.command)
        text = act.text()
    for other in others:
        with _refusals(other, act):
            member(other.staff, act.by, act.command)
    with _refusals(first, act):
        signature = _signature(who, text)
        proof = proven(who, text, signature)
    for other in others:
        with _refusals(other, act):
            proven(member(other.staff, act.by, act.command), text, signature)
    return proof


@contextlib.contextmanager
def _refusals(config: Config, act: Act) -> Iterator[None]:
    """Record in an installation's operator log that a person was refused."""
    try:
        yield
    except NotOfTheStaff as refused:
        run(_record(config, act, refused.fault))
        raise


def _running() -> tuple[str, Any]:
    """Return the running command, without the program's own name, and its context."""
    names: list[str] = []
    context = innermost = get_current_context()
    while context.parent is not None:
        names.insert(0, str(context.info_name))
        context = context.parent
    return " ".join(names), innermost


def signed(command: Any, parameters: Mapping[str, Any]) -> dict[str, str]:
    """Return the parameters of a run that its signed text includes: those that differ from their defaults."""
    defaults = {each.name: getattr(each, "default", None) for each in command.params}
    left_out = UNSIGNED if _PREPARER not in defaults else UNSIGNED - {"by"} | {_PREPARER}
    return {
        name: _plain(value)
        for name, value in parameters.items()
        if name not in left_out and value not in (None, "", (), [], defaults.get(name))
    }


def read_files(parameters: Mapping[str, Any]) -> dict[str, tuple[Path, ...]]:
    """Return a run's input files, by parameter: those whose content determines what is done."""
    left_out = UNSIGNED | WRITTEN | KEYS
    given = {
        name: tuple(value) if isinstance(value, list | tuple) else (value,)
        for name, value in parameters.items()
        if name not in left_out and value is not None
    }
    return {name: some for name, some in given.items() if some and all(isinstance(one, Path) for one in some)}


def _digest(file: Path) -> str:
    """Return the digest of a file's content, which was read or is about to be read."""
    return known_digest(file) or digest_of_input(file)


def _require_same(file: Path) -> None:
    try:
        require_unchanged(file)
    except Unusable as error:
        raise NotOfTheStaff(StaffFault.CHANGED, str(error)) from None


def _plain(value: Any) -> str:
    """Return a parameter's value as in the signed text; a path is made absolute, since folders differ."""
    match value:
        case bool():
            return "yes" if value else "no"
        case Path():
            return str(value.absolute())
        case list() | tuple():
            return " ".join(map(_plain, value))
        case Enum():
            return str(value.value)
        case _:
            return str(value)


def _read(file: Path) -> Config:
    """Read a configuration without its warnings, which the command itself prints."""
    config, found = examine(file)
    found.require_no_faults(file)
    require_owners_alone(config, file)
    return config


def require_owners_alone(config: Config, file: Path) -> None:
    """Require that only its owner can write a configuration that lists staff."""
    if config.staff and file.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise Unusable(
            f"{shown(file)}: users other than its owner can write it, and so add themselves to [[staff]]:"
            " chmod go-w"
        )


def _configs(parameters: Mapping[str, Any]) -> list[Path]:
    given = parameters.get("config")
    return [given] if isinstance(given, Path) else list(given or ())


async def _record(config: Config, act: Act, fault: StaffFault) -> None:
    """Record the refusal in the operator's log, if it can be reached."""
    with contextlib.suppress(Explained, OSError):
        gate = await Gate.start(vault_settings(config))
        try:
            await note_refusal(gate, act, fault)
        finally:
            await gate.close()


def _signature(who: StaffKeysConfig, text: bytes) -> str:
    """Return a signature of the text by the first way that works: file, agent, home folder, terminal."""
    if who.key_file is not None:
        if (made := _signed(who.key_file, text)) is None:
            raise NotOfTheStaff(
                StaffFault.SIGNATURE,
                f"ssh-keygen made no signature with the key_file of {who.name}{_missing()}",
            )
        return made
    held = _keys_of_agent()
    for key in who.keys:
        if key.line in held:
            with tempfile.TemporaryDirectory() as folder:
                (file := Path(folder) / "key.pub").write_text(f"{key.line}\n")
                if (made := _signed(file, text)) is not None:
                    return made
        if (own := _in_home(key)) is not None and (made := _signed(own, text)) is not None:
            return made
    if sys.stdin.isatty():
        return _pasted(text)
    raise NotOfTheStaff(
        StaffFault.NO_KEY,
        f"no key of {who.name} is here to sign with: in an agent (SSH_AUTH_SOCK), in ~/.ssh, or for a "
        f"service in key_file; nor is there a terminal to ask on{_missing()}",
    )


def _missing() -> str:
    """Return advice to install OpenSSH if it is missing, to be added to an error."""
    return "" if shutil.which("ssh-keygen") else "; ssh-keygen is not installed here: install openssh-client"


def _signed(file: Path, text: bytes) -> str | None:
    """Sign with a key file, for which OpenSSH may request a passphrase or a touch at the terminal.

    ``None`` without a signature: the key or the program is missing, or the key was not opened.
    """
    ended = _openssh("ssh-keygen", "-q", "-Y", "sign", "-n", NAMESPACE, "-f", str(file), given=text)
    if ended is None or ended.returncode:
        return None
    return ended.stdout.decode("ascii", "replace")


def _keys_of_agent() -> set[str]:
    """Return the public keys in the agent, if there is one."""
    if not os.environ.get("SSH_AUTH_SOCK"):
        return set()
    listed = _openssh("ssh-add", "-L")
    lines = listed.stdout.decode("utf-8", "replace").splitlines() if listed is not None else []
    return {" ".join(each.split()[:2]) for each in lines}


def _in_home(key: SshKey) -> Path | None:
    """Return the file of a public key that has its private half next to it, as OpenSSH names the two."""
    for file in sorted((Path.home() / ".ssh").glob("*.pub")):
        with contextlib.suppress(OSError, UnicodeError):
            if " ".join(file.read_text().split()[:2]) == key.line and file.with_suffix("").is_file():
                return file
    return None


def _openssh(*command: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes] | None:
    with contextlib.suppress(OSError):
        return subprocess.run(command, input=given, stdout=subprocess.PIPE, check=False)
    return None


def _pasted(text: bytes) -> str:
    """Ask for a signature made elsewhere, because another account or computer has the key."""
    complain("sign this where your key is, and paste what is printed, to its last line:")
    signing = f"ssh-keygen -q -Y sign -n {NAMESPACE} -f KEY"
    complain(f"printf %s {shlex.quote(text.decode())} | {signing}")
    lines: list[str] = []
    for line in sys.stdin:
        lines.append(line.rstrip("\r\n"))
        if lines[-1] == _END or len(lines) > _MAX_LINES:
            break
    return "\n".join(lines)
