"""The command line: the list of commands, and the handling of their results and errors.

A command is one module in :mod:`samdrift.cli` with a ``typer`` object called ``app``, and one row in
:data:`COMMANDS`. The module is imported when its command is used, so that ``./samdrift --help`` stays quick
whatever the commands import. A command returns its exit status, or nothing for success.
"""

from __future__ import annotations

import os
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from samdrift import __version__
from samdrift.cli.output import complain, print_line, print_text
from samdrift.config.errors import printable
from samdrift.contracts.errors import Explained
from samdrift.installation.startup import import_for_life

UNUSABLE = 2
"""Exit status for a command line or an input that cannot be used."""

_INTERRUPTED = 130

COMMANDS = {
    "demo": "A whole federation on this machine: messages sent, received, answered, and the route they took.",
    "init": "Set up a new installation: configuration, folders, keys, certificate requests, unit.",
    "serve": "Run the roles of one installation, or of several: access point, message service, and others.",
    "doctor": "Examine everything that an installation depends on: what is wrong, why, what to type.",
    "status": "Show what a running installation serves, and whether what it depends on is there.",
    "watch": "Mail the operator when something is wrong, and when it is over.",
    "console": "Serve the operator's console: health, queues, organisations and more, on pages.",
    "config": "The configuration file: check one, or print what every key means.",
    "org": "Organisations: add, examine, suspend, resume, move and close them.",
    "gov": "Signed decisions: officers, rights, agreements with suppliers, duties, and what is covered.",
    "mailbox": "Mailboxes of message clients, who has which rights in them, and people's first roles.",
    "custodian": "Custodians: people who approve operations under dual control.",
    "database": "The database: new passwords for the vaults' logins, hardening of the operator's own.",
    "backup": "Backups of everything, for each organisation: create, list, verify, restore, drill.",
    "storage": "What each organisation uses, of what, and by which rule it ends.",
    "completion": "Completion of commands, options and organisations by the shell: bash, zsh or fish.",
    "keys": "The operator's own certificates: request, install and retire, while everything runs.",
    "client": "Send, list, fetch and delete messages over interface D, as a message client.",
    "trace": "The route of one message through an organisation's vaults.",
    "evidence": "Evidence about one message, without its content; verified anywhere.",
    "log": "The log of an organisation: export it, verify it anywhere.",
    "witness": "Witness the logs of others: cosign only checkpoints that continue them.",
    "routing": "Which message client gets what, and where each organisation's clients get access tokens.",
    "queue": "Transfers that wait or were refused: reason, retry, give up.",
    "peers": "Access points whose messages do not conform: list them, write a report to DIGG.",
    "addressbook": "The copy of the address book: search it, show its age.",
    "isolation": "Try to cross from one organisation to another, everywhere, and sign the result.",
    "validate": "Check SDK messages, envelopes and receipts: findings with receipt codes.",
    "envelope": "Examine an envelope between organisations: the signer, and whether the signature holds.",
    "as4": "Examine a captured AS4 message, receipt or error: its kind, its signer, and its signature.",
    "testbed": "DIGG's test cases for access points, with a protocol to attach to an application.",
    "bench": "Measure work against its cryptographic floor.",
    "build": "Build what a release consists of: wheel, bill of materials, documentation site.",
    "test": "Run all tests, with what they need; further arguments go to pytest.",
}
"""Name of each command, which is also its module, and its line in the help."""


class _Command(TyperCommand):
    """A row of :data:`COMMANDS`, which shows its line in the help and imports its module only when used."""

    def make_context(self, *arguments: Any, **settings: Any) -> Any:
        return command_named(str(self.name)).make_context(*arguments, **settings)


def command_named(name: str) -> Any:
    """Return a command of :data:`COMMANDS`, importing its module."""
    found = typer.main.get_command(import_for_life(f"samdrift.cli.{name}").app)
    found.name = name
    return found


class Commands(TyperGroup):
    """All commands; a command's module is imported when the command is used."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = {name: _Command(name=name, help=line) for name, line in COMMANDS.items()}

    def list_commands(self, ctx: object) -> list[str]:
        return list(COMMANDS)


app = typer.Typer(name="samdrift", cls=Commands, add_completion=False)


@app.callback(invoke_without_command=True)
def samdrift(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and end.")] = False,
) -> None:
    """SDK, secure digital communication between organisations: each organisation is strictly isolated."""
    if version:
        print_line(f"samdrift {__version__}")
    elif context.invoked_subcommand is None:
        print_text(context.get_help())


def main() -> None:
    """Run the command line. Unusable input ends with one line on standard error and status 2."""
    try:
        status = typer.main.get_command(app).main(prog_name="samdrift", standalone_mode=False)
        sys.stdout.flush()
    except typer.exceptions.TyperException as error:
        complain(f"{' '.join(error.format_message().split())} (see --help)")
        status = UNUSABLE
    except Explained as error:
        complain(printable(str(error)))
        status = UNUSABLE
    except typer.Abort:
        status = _INTERRUPTED
    except OSError as error:
        status = _stopped(error)
    sys.exit(status)


def _stopped(error: OSError) -> int:
    """Report that standard output is full or closed, or another unexpected error; return the exit status."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    if not isinstance(error, BrokenPipeError):
        where = f"{os.fspath(error.filename)}: " if isinstance(error.filename, str) else ""
        complain(printable(where + (error.strerror or type(error).__name__).lower()))
    return UNUSABLE


if __name__ == "__main__":
    main()
