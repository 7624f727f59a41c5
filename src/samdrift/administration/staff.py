"""Proof of which of the operator's staff runs a command: a signature over the command, with their own key.

The text that is signed names the command, what it is about, why, by whom and when. It is kept with its
signature in each log that the command writes to, so that `ssh-keygen -Y verify` shows later, without
Samdrift, who ran what. Nobody but the person can make it: also not the operator, for one of its staff.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from enum import StrEnum

from samdrift.config.model import Config
from samdrift.config.staff import StaffKeysConfig
from samdrift.contracts.errors import Explained
from samdrift.contracts.principals import PrincipalKind, Proof, ProofKind
from samdrift.rights.canonical import CanonicalError, encode
from samdrift.rights.fields import moment_text
from samdrift.wire.crypto.sshsig import check, unarmoured

NAMESPACE = "samdrift-command"
"""Keeps a signature for a command from being shown for a statement, and the other way round."""
MAX_TEXT = 1000
"""Characters of the text: as many as a fact of a log can have."""


class StaffFault(StrEnum):
    """Why nobody has proven who runs a command."""

    UNKNOWN = "unknown"
    SERVICE = "service"
    SIGNATURE = "signature"
    NO_KEY = "no-key"


class NotOfTheStaff(Explained):
    """Why a command is not run for someone, and what to do."""

    def __init__(self, fault: StaffFault, text: str) -> None:
        super().__init__(text)
        self.fault = fault


def member(staff: Collection[StaffKeysConfig], name: str, command: str) -> StaffKeysConfig:
    """Return the one of the staff who is called that and may run the command."""
    own = name.removeprefix(f"{PrincipalKind.OPERATOR}:")  # As statements name the operator's staff.
    found = next((each for each in staff if each.name == own), None)
    if found is None:
        text = "--by names nobody of the operator's staff: [[staff]] in the configuration has their names"
        raise NotOfTheStaff(StaffFault.UNKNOWN, text)
    if found.commands and command not in found.commands:
        allowed = ", ".join(found.commands)
        text = f"{name} is a service, which runs {allowed} and nothing else"
        raise NotOfTheStaff(StaffFault.SERVICE, text)
    return found


def text_of(config: Config, name: str, command: str, about: Mapping[str, str], at: datetime) -> bytes:
    """Return the text that ``name`` signs, in canonical JSON; ``about`` has identifiers and the reason."""
    whole = {
        **about,
        "at": moment_text(at.replace(microsecond=0)),
        "by": name,
        "command": command,
        "environment": config.environment.value,
        "federation": config.federation.identifier,
    }
    try:
        text = encode(whole)
    except CanonicalError as error:
        raise NotOfTheStaff(StaffFault.SIGNATURE, f"the command cannot be signed: {error}") from None
    if len(text.decode()) > MAX_TEXT:
        raise NotOfTheStaff(
            StaffFault.SIGNATURE, f"the command cannot be signed: it has more than {MAX_TEXT} characters"
        )
    return text


def proven(who: StaffKeysConfig, text: bytes, armoured: str) -> Proof:
    """Return the proof that a signature is: by a key of ``who``, over the text, made for commands."""
    try:
        blob = unarmoured(armoured)
        held = [found for key in who.keys if (found := check(key, text, blob)) is not None]
    except ValueError:
        raise NotOfTheStaff(StaffFault.SIGNATURE, "that is not a signature in OpenSSH's form") from None
    if not any(found.namespace == NAMESPACE and found.present for found in held):
        why = f"that is no signature of {who.name} over this command: it takes a key that [[staff]] has for"
        raise NotOfTheStaff(StaffFault.SIGNATURE, f"{why} {who.name}, and -n {NAMESPACE}")
    signature = "".join(armoured.strip().split("\n")[1:-1])
    return Proof(ProofKind.SIGNATURE, text.decode(), signature)
