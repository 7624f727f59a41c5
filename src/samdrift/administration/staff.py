"""Proof of which member of the operator's staff runs a command: a signature over it with their own key.

The signed text names the command, its parameters, the person and the time. It is recorded with its signature
in each log that the command writes to, so that `ssh-keygen -Y verify` can later show, without Samdrift, who
ran what. It cannot be made without the person's key; the accepted keys are in the configuration, so that this
binds the staff, but not a person who can write that file.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from samdrift.administration.events import AdminEvent
from samdrift.config.model import Config
from samdrift.config.staff import StaffKeysConfig
from samdrift.contracts.errors import Explained
from samdrift.contracts.principals import PrincipalKind, Proof, ProofKind
from samdrift.rights.canonical import CanonicalError, Json, encode
from samdrift.rights.fields import moment_text
from samdrift.vault.gate import Gate
from samdrift.wire.crypto.sshsig import check, unarmoured

NAMESPACE = "samdrift-command"
"""Namespace that keeps a signature for a command from being used for a statement, and vice versa."""
MAX_TEXT = 1000
"""Maximum length of the text, which is that of a fact in a log."""
PRIVATE = frozenset(
    {"escalate_to", "handler", "name", "person", "reviewer", "sender", "stand_in", "subject", "title"}
)
"""Parameters with values about people or messages, replaced by digests in the text because it is logged."""


class StaffFault(StrEnum):
    """Reason why a command is not run in a person's name."""

    UNKNOWN = "unknown"
    SERVICE = "service"
    SIGNATURE = "signature"
    NO_KEY = "no-key"
    CHANGED = "changed"


class NotOfTheStaff(Explained):
    """A command is refused for the named person; the text explains why and what to do."""

    def __init__(self, fault: StaffFault, text: str) -> None:
        super().__init__(text)
        self.fault = fault


def member(staff: Collection[StaffKeysConfig], name: str, command: str) -> StaffKeysConfig:
    """Return the member of the staff with that name, if they may run the command."""
    own = name.removeprefix(f"{PrincipalKind.OPERATOR}:")  # Statements name the staff with this prefix.
    found = next((each for each in staff if each.name == own), None)
    if found is None:
        text = f"{name} is not one of the operator's staff: [[staff]] in the configuration lists their names"
        raise NotOfTheStaff(StaffFault.UNKNOWN, text)
    if found.commands and command not in found.commands:
        allowed = ", ".join(found.commands)
        text = f"{name} is a service, which may only run {allowed}"
        raise NotOfTheStaff(StaffFault.SERVICE, text)
    return found


@dataclass(frozen=True, slots=True)
class Act:
    """One run of a command: the person, the parameters, the installations and the time."""

    by: str
    command: str
    parameters: Mapping[str, str]
    """Everything that determines the effect, by the names of the command's parameters."""
    configs: Sequence[Config]
    """Installations in which the command is run, usually one."""
    at: datetime
    contents: Mapping[str, str] = field(default_factory=dict)
    """SHA-256 of each file that is read, by the name of the parameter that names it."""
    nonce: str = field(default_factory=lambda: secrets.token_hex(16))
    """Random value, so that no two runs have the same text, and each signature proves only one run."""

    def text(self) -> bytes:
        """Return the text to be signed, in canonical JSON.

        Names of people, messages and long values do not belong in logs: they are replaced by the SHA-256 of
        nonce and value, which anyone with the value can compare.
        """
        parameters = dict(self.parameters)
        for name in PRIVATE & parameters.keys():
            parameters[name] = self.digest(parameters[name])
        text = self._text(parameters)
        while len(text.decode()) > MAX_TEXT:
            longest = max(parameters, key=lambda name: len(parameters[name]), default=None)
            if longest is None or len(parameters[longest]) <= len(self.digest("")):
                raise NotOfTheStaff(
                    StaffFault.SIGNATURE,
                    f"the command cannot be signed: it has more than {MAX_TEXT} characters",
                )
            parameters[longest] = self.digest(parameters[longest])
            text = self._text(parameters)
        return text

    def digest(self, value: str) -> str:
        """Return the digest that replaces a value too long or too private for a log."""
        return f"sha256:{hashlib.sha256(f'{self.nonce}{value}'.encode()).hexdigest()}"

    def _text(self, parameters: Mapping[str, str]) -> bytes:
        parties = [each.access_point.party for each in self.configs if each.access_point is not None]
        whole: dict[str, Json] = {
            "at": moment_text(self.at.replace(microsecond=0)),
            "by": self.by,
            "command": self.command,
            "environment": _joined(each.environment.value for each in self.configs),
            "federation": _joined(each.federation.identifier for each in self.configs),
            "nonce": self.nonce,
            "parameters": parameters,
        }
        if self.contents:
            whole["contents"] = self.contents
        if parties:
            whole["installation"] = _joined(parties)
        try:
            return encode(whole)
        except CanonicalError as error:
            raise NotOfTheStaff(StaffFault.SIGNATURE, f"the command cannot be signed: {error}") from None


def _joined(values: Iterable[str]) -> str:
    return " ".join(dict.fromkeys(values))


def proven(who: StaffKeysConfig, text: bytes, armoured: str) -> Proof:
    """Return the proof by a signature, which must be over the text, for commands, with a key of ``who``."""
    try:
        blob = unarmoured(armoured)
        held = [found for key in who.keys if (found := check(key, text, blob)) is not None]
    except ValueError:
        raise NotOfTheStaff(StaffFault.SIGNATURE, "that is not a signature in OpenSSH's form") from None
    if not any(found.namespace == NAMESPACE and found.present for found in held):
        why = f"not a valid signature by {who.name} for this command: use a key that [[staff]] has for"
        raise NotOfTheStaff(StaffFault.SIGNATURE, f"{why} {who.name}, and -n {NAMESPACE}")
    signature = "".join(armoured.strip().split("\n")[1:-1])
    return Proof(ProofKind.SIGNATURE, text.decode(), signature)


async def note_refusal(gate: Gate, act: Act, fault: StaffFault) -> None:
    """Record in the operator's log a command that was refused for lack of proof of who runs it."""
    await gate.operator_log(AdminEvent.COMMAND_REFUSED, by=act.by, command=act.command, reason=fault.value)
