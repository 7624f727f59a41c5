"""Options for the people who run commands, and the prompts for custodians' passphrases."""

from __future__ import annotations

import getpass
import os
import pwd
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import typer

from samdrift.administration.dualcontrol import Person, Persons
from samdrift.administration.events import AdminEvent
from samdrift.audit.entries import Happening
from samdrift.cli.org.options import one_line
from samdrift.cli.proving import prove
from samdrift.config.errors import Unusable, printable, shown
from samdrift.config.inputs import reason as reason_of
from samdrift.config.passphrase import read_private
from samdrift.contracts.principals import Principal, PrincipalKind, Proof, ProofKind, Purpose
from samdrift.evidence.trace import Asked
from samdrift.net.clock import system_clock

Actor = Annotated[
    str | None,
    typer.Option(
        "--by",
        help="Your name, recorded in the logs; your login by default. Where the configuration names staff,"
        " your key proves it.",
    ),
]
PreparedBy = Annotated[
    str | None,
    typer.Option(
        "--prepared-by",
        help="Your name, of the operator's staff, who prepare what is signed; your login by default. Where"
        " the configuration names staff, your key proves it.",
    ),
]
Reason = Annotated[
    str, typer.Option("--reason", help="Your reason; recorded in the organisation's logs with your name.")
]
ConsentOption = Annotated[
    str,
    typer.Option(
        "--consent",
        help="Number of the organisation's consent (samdrift gov consent list); by default the one that"
        " covers this.",
    ),
]
_LOGIN = Path("/proc/self/loginuid")
_NO_LOGIN = 2**32 - 1
"""The kernel's value for processes without a login, such as services."""
By = Annotated[str, typer.Option("--by", help="The custodian who asks.")]
With = Annotated[
    str | None,
    typer.Option(
        "--with",
        help="The custodian who approves at this terminal; otherwise another custodian approves later.",
    ),
]
ByFile = Annotated[
    Path | None,
    typer.Option(
        "--by-passphrase-file",
        help="A file with the passphrase, for scripts; otherwise it is asked for at the terminal.",
    ),
]
WithFile = Annotated[
    Path | None, typer.Option("--with-passphrase-file", help="The same for the other custodian.")
]


def present(by: str, other: str | None, by_file: Path | None, other_file: Path | None) -> Persons:
    """Return the custodians at the terminal, each with their passphrase."""
    first = Person(by, passphrase(f"Passphrase of {by}", by_file))
    if other is None:
        return Persons(first)
    return Persons(first, Person(other, passphrase(f"Passphrase of {other}", other_file)))


def passphrase(prompt: str, file: Path | None, *, again: bool = False) -> bytes:
    """Return a passphrase from a file, or typed without echo; a new one is asked for twice.

    Surrounding white space is removed, so that a typed passphrase equals one in a file.
    """
    if file is not None:
        text = _read(file)
    elif not sys.stdin.isatty():
        raise Unusable(f"{printable(prompt)}: no terminal to ask on; --help names an option for a file")
    else:
        text = getpass.getpass(f"{printable(prompt)}: ")
        if again and getpass.getpass(f"{printable(prompt)}, again: ") != text:
            raise Unusable("the two passphrases differ")
    if not text.strip():
        raise Unusable("the passphrase is empty")
    return text.strip().encode()


def _read(file: Path) -> str:
    try:
        return read_private(file).decode("utf-8")
    except OSError as error:
        raise Unusable(f"{shown(file)}: {reason_of(error)}") from None
    except UnicodeError:
        raise Unusable(f"{shown(file)}: is not text") from None


@dataclass(frozen=True, slots=True)
class Acting:
    """A member of the operator's staff who runs a command, with proof of the name."""

    name: str
    proof: Proof

    @property
    def principal(self) -> Principal:
        """Return the person as named in log entries."""
        return Principal(PrincipalKind.OPERATOR, self.name)

    def facts(self) -> dict[str, str]:
        """Return the proof as facts of an entry, including the account if the name is not proven."""
        return self.proof.facts()

    def entry(self, command: str, **about: str) -> Happening:
        """Return the entry that records who runs a command, for the operator's log, before it begins."""
        facts = {"command": command, **about, "by": self.name, **self.facts()}
        actor = f"{self.principal.kind}:{self.name}"
        event = AdminEvent.ORGANISATION_COMMAND
        return Happening(system_clock(), event, actor, Purpose.ADMINISTER, facts)


def acting(by: str | None) -> Acting:
    """Return who runs a command, with their proof; by default the name is the login's."""
    name = one_line("--by", by or login())
    proof, account = prove(name), login()
    if proof.kind is ProofKind.NONE and account != name:
        proof = replace(proof, account=account)
    return Acting(name, proof)


def asked(by: str | None, reason: str) -> Asked:
    """Return who runs a command and why, as recorded; by default the name is the login's."""
    why = one_line("--reason", reason)
    who = acting(by)
    return Asked(who.name, why, login(), who.proof)


def preparing(by: str | None, why: str, option: str = "--why") -> Asked:
    """Return who prepares a text for another person to sign, with their proof and the reason.

    A preparation decides nothing, but it reads the organisation's record and words the text to be signed: the
    organisation's log records who prepared it.
    """
    reason_given = one_line(option, why)
    who = acting(by)
    return Asked(who.name, reason_given, login(), who.proof)


def bringing(by: str | None) -> Asked:
    """Return who submits other people's signed statements, with their proof.

    The signature shows a statement's author and reason. The person who appends it decides nothing, but
    chooses the moment: the organisation's log records who it was.
    """
    who = acting(by)
    return Asked(who.name, "", login(), who.proof)


def agreeing(by: str, reason: str) -> Asked:
    """Return the custodian named as the requester, and the reason.

    Nothing proves the name yet: the passphrase does, after which dual control records who has agreed.
    """
    return Asked(one_line("--by", by), one_line("--reason", reason), login())


def login(kept: Path = _LOGIN) -> str:
    """Return the operating system's name of the user who runs the command.

    It is the account of the login, which the kernel keeps even when `sudo` switches to another account.
    """
    try:
        number = int(kept.read_text())
    except (OSError, ValueError):
        number = _NO_LOGIN
    number = os.getuid() if number == _NO_LOGIN else number
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"uid-{number}"
