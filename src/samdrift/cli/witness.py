"""`samdrift witness`: a witness for the logs of other operators, on a machine that they do not run."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from samdrift.audit.notes import VerifierKey
from samdrift.audit.operations import unexpected
from samdrift.audit.policies import Policy
from samdrift.audit.reading import Malformed
from samdrift.cli.output import print_line
from samdrift.config.errors import Unusable, shown
from samdrift.config.failures import reported_as_usage_errors
from samdrift.config.model import LogLines
from samdrift.installation.loop import run
from samdrift.installation.witnesses import opened
from samdrift.net.server import listening_socket, serving
from samdrift.processes.loglines import write_lines
from samdrift.transparency.witness import Witness, application

app = typer.Typer(add_completion=False)


@app.callback()
def witness() -> None:
    """Witness other operators' logs: cosign only checkpoints that continue the last one."""


@app.command()
def serve(
    folder: Annotated[
        Path,
        typer.Argument(help="The witness's key and memory; made on first use, and then never copied back."),
    ],
    name: Annotated[
        str, typer.Option(help="The witness's name, as an address without https://: witness.example.se/1.")
    ],
    logs: Annotated[
        Path, typer.Option(help="A policy file with a line 'log KEY' for each log, and 'quorum none'.")
    ],
    listen: Annotated[str, typer.Option(help="Address and port to listen on, for a proxy with TLS.")] = (
        "127.0.0.1:7380"
    ),
) -> None:
    """Run a witness that uses the protocol of c2sp.org/tlog-witness, without trusting the logs' operators."""
    write_lines(LogLines.TEXT)
    host, port = _address(listen)
    with reported_as_usage_errors(), ExitStack() as stack:
        known = _logs(logs)
        made = stack.enter_context(opened(folder, name, known))
        print_line(f"witness key: {made.key}")
        print_line(f"logs: {len(known)}")
        run(_serve(made, host, port))


async def _serve(made: Witness, host: str, port: int) -> None:
    sock = listening_socket(host, port)
    async with serving(application(made, unexpected("the witness")), sock, per_address=0):
        print_line("listening on {}:{}".format(*sock.getsockname()[:2]))
        await asyncio.Event().wait()


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65535:
        raise Unusable("--listen must be an address and a port, such as 127.0.0.1:7380")
    return host.strip("[]"), int(port)


def _logs(file: Path) -> dict[str, list[VerifierKey]]:
    """Return the keys of each log by its origin."""
    try:
        policy = Policy.parse(file.read_bytes())
    except Malformed as fault:
        raise Unusable(f"{shown(file)}: {fault}") from None
    known: dict[str, list[VerifierKey]] = {}
    for member in policy.logs:
        known.setdefault(member.key.name, []).append(member.key)
    return known
