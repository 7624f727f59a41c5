"""Signatures of those who run a command: made with a key in an agent or a file, or asked for."""

from __future__ import annotations

import contextlib
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from typer.main import get_current_context  # type: ignore[attr-defined]

from samdrift.administration.events import AdminEvent
from samdrift.administration.staff import NAMESPACE, NotOfTheStaff, StaffFault, member, proven, text_of
from samdrift.cli.output import complain
from samdrift.config.errors import printable
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

_SIGNED = (
    *("organisation", "role", "roles", "identifier", "message_id", "address", "peer", "key", "number"),
    *("start", "compromised", "rewrap", "section", "everything", "reason", "why"),
)
"""Parameters of commands that the signed text has: what it is about, and why; neither files nor names."""
_END = "-----END SSH SIGNATURE-----"
_MAX_LINES = 100


def prove(name: str) -> Proof:
    """Return the proof that ``name`` runs the command that runs now.

    Where the configuration names nobody of the staff there is none, which the logs say, and in production
    standard error. Otherwise a name that is not proven ends the command, with an entry in the operator's log.
    """
    command, parameters = _running()
    with reported_as_usage_errors():
        configs = [_read(each) for each in _configs(parameters)]
        config = next((each for each in configs if each.staff), None)
        if config is None:
            if any(each.environment is Environment.PRODUCTION for each in configs):
                complain(
                    f"nothing proves that you are {printable(name)}, and the logs say so: [[staff]] is empty"
                )
            return NOT_PROVEN
        try:
            who = member(config.staff, name, command)
            text = text_of(config, name, command, _about(parameters), datetime.now(UTC))
            return proven(who, text, _signature(who, text))
        except NotOfTheStaff as refused:
            run(_record(config, name, command, refused.fault))
            raise


def _running() -> tuple[str, Mapping[str, Any]]:
    """Return the command that runs, without the program's own name, and its parameters."""
    names: list[str] = []
    context = get_current_context()
    parameters: Mapping[str, Any] = context.params
    while context.parent is not None:
        names.insert(0, str(context.info_name))
        context = context.parent
    return " ".join(names), parameters


def _read(file: Path) -> Config:
    """Read a configuration without its warnings, which the command itself says."""
    config, found = examine(file)
    found.require_no_faults()
    return config


def _configs(parameters: Mapping[str, Any]) -> list[Path]:
    given = parameters.get("config")
    return [given] if isinstance(given, Path) else list(given or ())


def _about(parameters: Mapping[str, Any]) -> dict[str, str]:
    given = {name: parameters.get(name) for name in _SIGNED}
    return {name: str(value) for name, value in given.items() if value not in (None, "", False)}


async def _record(config: Config, name: str, command: str, fault: StaffFault) -> None:
    """Write in the operator's log that someone was refused, where it can be reached."""
    with contextlib.suppress(Explained, OSError):
        gate = await Gate.start(vault_settings(config))
        try:
            await gate.operator_log(AdminEvent.STAFF_REFUSED, by=name, command=command, reason=fault.value)
        finally:
            await gate.close()


def _signature(who: StaffKeysConfig, text: bytes) -> str:
    """Return a signature of the text, by the first way that there is: file, agent, home, terminal."""
    if who.key_file is not None:
        return _signed(who.key_file, text)
    held = _keys_of_agent()
    for key in who.keys:
        if key.line in held:
            with tempfile.TemporaryDirectory() as folder:
                (file := Path(folder) / "key.pub").write_text(f"{key.line}\n")
                return _signed(file, text)
        if (own := _in_home(key)) is not None:
            return _signed(own, text)
    if sys.stdin.isatty():
        return _pasted(text)
    raise NotOfTheStaff(
        StaffFault.NO_KEY,
        f"no key of {who.name} is here to sign with: in an agent (SSH_AUTH_SOCK), in ~/.ssh, or for a service"
        " in key_file; nor is there a terminal to ask on",
    )


def _signed(file: Path, text: bytes) -> str:
    """Sign with the key of a file, which OpenSSH may ask a passphrase or a touch for at the terminal."""
    ended = _openssh("ssh-keygen", "-q", "-Y", "sign", "-n", NAMESPACE, "-f", str(file), given=text)
    if ended is None or ended.returncode:
        raise NotOfTheStaff(
            StaffFault.SIGNATURE, "ssh-keygen made no signature: is the key there, and yours?"
        )
    return ended.stdout.decode("ascii", "replace")


def _keys_of_agent() -> set[str]:
    """Return the public keys of the agent, where there is one."""
    if not os.environ.get("SSH_AUTH_SOCK"):
        return set()
    listed = _openssh("ssh-add", "-L")
    lines = listed.stdout.decode("utf-8", "replace").splitlines() if listed is not None else []
    return {" ".join(each.split()[:2]) for each in lines}


def _in_home(key: SshKey) -> Path | None:
    """Return the file beside which the private half of a key is, as OpenSSH names it."""
    for file in sorted((Path.home() / ".ssh").glob("*.pub")):
        with contextlib.suppress(OSError, UnicodeError):
            if " ".join(file.read_text().split()[:2]) == key.line:
                return file
    return None


def _openssh(*command: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes] | None:
    with contextlib.suppress(OSError):
        return subprocess.run(command, input=given, stdout=subprocess.PIPE, check=False)
    return None


def _pasted(text: bytes) -> str:
    """Ask for a signature that is made elsewhere: another account or computer has the key."""
    complain("sign this where your key is, and paste what is printed, to its last line:")
    signing = f"ssh-keygen -q -Y sign -n {NAMESPACE} -f KEY"
    complain(f"printf %s {shlex.quote(text.decode())} | {signing}")
    lines: list[str] = []
    for line in sys.stdin:
        lines.append(line.rstrip("\r\n"))
        if lines[-1] == _END or len(lines) > _MAX_LINES:
            break
    return "\n".join(lines)
