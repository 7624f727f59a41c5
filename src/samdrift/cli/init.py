"""`samdrift init`: the folders, keys and files of a new installation, and the remaining steps."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import sys
import tomllib
from pathlib import Path
from typing import Annotated

import typer
from cryptography import x509
from cryptography.x509.oid import NameOID

from samdrift.cli.output import print_json, print_line
from samdrift.config.errors import Unusable, shown
from samdrift.config.failures import reported_as_usage_errors
from samdrift.config.reader import load
from samdrift.contracts.discovery import CertificatePurpose
from samdrift.contracts.principals import Role
from samdrift.installation.vaultsettings import key_store
from samdrift.keystore.durablefiles import write_new
from samdrift.keystore.interface import OPERATOR_KEYS
from samdrift.keystore.keyfiles import KeyName
from samdrift.operations.setup import (
    CONFIGURATION,
    CONSOLE_UNIT,
    DATABASE,
    QUESTIONS,
    UNIT,
    WATCH_UNIT,
    Answers,
    configuration,
    console_unit,
    database_script,
    remaining,
    unit,
    watch_unit,
)

app = typer.Typer(add_completion=False)
_PRIVATE = ("secrets", "seals", "objects")


def _help(question: str) -> str:
    """Return a question as the help text of its option."""
    text = QUESTIONS[question]
    return f"{text[0].upper()}{text[1:]}."


@app.command("init")
def init(
    folder: Annotated[
        Path, typer.Argument(help="The folder of the new installation, such as /srv/samdrift.")
    ],
    answers: Annotated[
        Path | None, typer.Option("--answers", help="A TOML file with answers, by the names of the options.")
    ] = None,
    environment: Annotated[str, typer.Option("--environment", help=_help("environment"))] = "",
    party: Annotated[str, typer.Option("--party", help=_help("party"))] = "",
    host: Annotated[str, typer.Option("--host", help=_help("host"))] = "",
    sml_zone: Annotated[str, typer.Option("--sml-zone", help=_help("sml_zone"))] = "",
    address_book: Annotated[
        str, typer.Option("--address-book", help="The address of the federation's address book.")
    ] = "",
    database: Annotated[
        str, typer.Option("--database", help="The URL of your own PostgreSQL; embedded by default.")
    ] = "",
    scanner: Annotated[str, typer.Option("--scanner", help="The socket of clamd; none in a test.")] = "",
    user: Annotated[str, typer.Option("--user", help="The user that serves; samdrift by default.")] = "",
    program: Annotated[
        str, typer.Option("--program", help="The program; /opt/samdrift/samdrift by default.")
    ] = "",
    isolation: Annotated[
        str, typer.Option("--isolation", help="shared, by default, or process: each organisation its own.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
) -> None:
    """Set up a new installation: configuration, folders, keys, certificate requests, unit, database script.

    Answers that are neither options nor in the file are asked for at the terminal. Existing files are not
    replaced. The remaining steps are printed in order.
    """
    options = {
        "environment": environment,
        "party": party,
        "host": host,
        "sml_zone": sml_zone,
        "address_book": address_book,
        "database": database,
        "scanner": scanner,
        "user": user,
        "program": program,
        "isolation": isolation,
    }
    with reported_as_usage_errors():
        given = _given(answers) | {name: value for name, value in options.items() if value}
        read = Answers.read(given | _asked(given))
        place = folder.resolve()
        requests = _made(place, read)
    steps = remaining(read, place, requests)
    if as_json:
        print_json({"folder": str(place), "requests": [str(each) for each in requests], "todo": steps})
        return
    print_line(f"{place} is set up. What is left to do:")
    for number, step in enumerate(steps, 1):
        print_line(f"{number:>2}. {step}")


def _given(answers: Path | None) -> dict[str, str]:
    if answers is None:
        return {}
    try:
        found = tomllib.loads(answers.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        raise Unusable(f"{shown(answers)}: is not TOML") from None
    for name, value in found.items():
        if not isinstance(value, str):
            raise Unusable(f"{shown(answers)}: {name} is not a text")
    return found


def _asked(given: dict[str, str]) -> dict[str, str]:
    """Ask for missing answers at the terminal, if there is one."""
    missing = [name for name in QUESTIONS if not given.get(name)]
    if not missing or not sys.stdin.isatty():
        return {}
    return {name: typer.prompt(f"{name} ({QUESTIONS[name]})") for name in missing}


def _made(folder: Path, answers: Answers) -> list[Path]:
    """Create everything; return the certificate requests."""
    if folder.exists() and any(folder.iterdir()):
        raise Unusable(f"{shown(folder)}: is not empty; a new installation gets a folder of its own")
    owner = _owner(answers.serves_as)
    # Processes that run as other users read the configuration and the trust folder, and nothing else here.
    others = 0o005 if answers.each_its_process else 0
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o750 | others)
    for name in (*_PRIVATE, "database") if answers.embedded else _PRIVATE:
        (folder / name).mkdir(mode=0o700)
    for purpose in CertificatePurpose:
        (folder / "trust" / purpose).mkdir(mode=0o755, parents=True)
    write_new(folder / "passphrase", secrets.token_urlsafe(32).encode())
    file = folder / CONFIGURATION
    _write(file, configuration(answers), 0o640 | (others & 0o004))
    _write(folder / UNIT, unit(answers, folder), 0o644)
    _write(folder / CONSOLE_UNIT, console_unit(answers, folder), 0o644)
    _write(folder / WATCH_UNIT, watch_unit(answers, folder), 0o644)
    if not answers.embedded:
        _write(folder / DATABASE, database_script(answers), 0o644)
    requests = _requested(folder, answers)
    if owner is not None:
        for path in (folder, *folder.rglob("*")):
            shutil.chown(path, owner.pw_uid, owner.pw_gid)
    return requests


def _owner(user: str) -> pwd.struct_passwd | None:
    """Return the user that serves, or ``None`` unless run as root."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam(user)
    except KeyError:
        raise Unusable(
            f"there is no user {user}: useradd --system --shell /usr/sbin/nologin {user}"
        ) from None


def _write(file: Path, text: str, mode: int) -> None:
    file.touch(mode=mode)
    file.chmod(mode)
    file.write_text(text, "utf-8")


def _requested(folder: Path, answers: Answers) -> list[Path]:
    """Create the operator's keys, and write their certificate requests."""
    store = key_store(load(folder / CONFIGURATION), begin=True)
    wanted = {KeyName.TLS_SERVER: (answers.host, [answers.host])}
    if Role.ACCESS_POINT in answers.roles:
        wanted[KeyName.ACCESS_POINT] = (answers.party, [])
    made = []
    for name, (common_name, hosts) in wanted.items():
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        request = store.create_key(OPERATOR_KEYS, name, subject, hosts=hosts)
        made.append(folder / f"{name.value}.csr")
        _write(made[-1], request.decode(), 0o644)
    return made
