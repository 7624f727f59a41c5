"""`samdrift status`: the state of a running installation, on one screen."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from samdrift.cli.output import complain, print_json, print_screen, print_text
from samdrift.config.errors import shown
from samdrift.config.failures import reported_as_usage_errors
from samdrift.config.isolation import Isolation
from samdrift.config.model import Config
from samdrift.config.reader import load
from samdrift.contracts.principals import Role
from samdrift.installation.control import control_folder, is_hidden
from samdrift.installation.health import Condition
from samdrift.installation.loop import run
from samdrift.installation.reporting import Running, ask_running
from samdrift.net.clock import system_clock

app = typer.Typer(add_completion=False)


@app.command()
def status(
    config: Annotated[Path, typer.Option("--config", help="The installation's configuration file (TOML).")],
    watch: Annotated[bool, typer.Option("--watch", help="Show it again every two seconds.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
) -> int:
    """Show what a running installation serves, and the state of each of its dependencies.

    Exit status 0 when nothing is gone, 1 when something is gone or not served, 2 when nothing is running.
    """
    with reported_as_usage_errors():
        loaded = load(config)
        folder, wanted, secrets = control_folder(loaded.vaults), loaded.roles, loaded.vaults.secrets
        while True:
            running = run(_asked(loaded, folder))
            unknown = not running and is_hidden(loaded.vaults)
            if unknown:
                # By default, the sockets for querying processes are in the key store's folder.
                complain(
                    f"key-store: {shown(secrets)} does not exist, so running processes cannot be queried:"
                )
                complain(
                    "what runs answers at /health, where metrics.listen is; docs/runbooks/key-store-lost.md"
                )
            if as_json:
                print_json(_document(running, wanted))
            elif watch:
                print_screen("\n".join(_lines(running, wanted, system_clock(), unknown=unknown)))
            else:
                print_text("\n".join(_lines(running, wanted, system_clock(), unknown=unknown)))
            if not watch or as_json:
                return _exit(running, wanted)
            time.sleep(_PAUSE)


async def _asked(config: Config, folder: Path) -> tuple[Running, ...]:
    if config.isolation.level is not Isolation.PROCESS:
        return await ask_running(folder)
    # Imported here, since no other isolation level needs a network client.
    from samdrift.installation.reports import every_report

    return await every_report(config)


_PAUSE = 2.0


def _exit(running: Sequence[Running], wanted: frozenset[Role]) -> int:
    if not running:
        return 2
    gone = any(one.gone_since for each in running for one in each.conditions)
    idle = any(not serves for each in running for serves in each.workers.values())
    return int(gone or idle or bool(_not_served(running, wanted)))


def _not_served(running: Sequence[Running], wanted: frozenset[Role]) -> list[str]:
    served = {role for each in running for role in each.roles}
    return sorted(role.value for role in wanted - served)


def _document(running: Sequence[Running], wanted: frozenset[Role]) -> dict[str, Any]:
    return {
        "running": bool(running),
        "notServed": _not_served(running, wanted),
        "processes": [
            {
                "since": each.since.isoformat(),
                "roles": sorted(role.value for role in each.roles),
                "workers": dict(each.workers),
                "dependencies": [one.document() for one in each.conditions],
                "held": [one.document() for one in each.held],
            }
            for each in running
        ],
    }


def _lines(
    running: Sequence[Running], wanted: frozenset[Role], now: datetime, *, unknown: bool
) -> Iterator[str]:
    """Yield the lines of the screen; ``unknown`` if running processes cannot be asked."""
    yield f"{now:%Y-%m-%d %H:%M:%S}Z"
    if unknown:
        yield "UNKNOWN      what runs cannot be asked"
        return
    if not running:
        yield "nothing runs: samdrift serve, or systemctl start samdrift"
        yield "or it waits for its database at the start: journalctl -u samdrift -n 50"
    for each in running:
        roles = ", ".join(sorted(role.value for role in each.roles))
        yield f"serves {roles} since {each.since:%Y-%m-%d %H:%M:%S}Z"
        if each.workers:
            away = sorted(name for name, serves in each.workers.items() if not serves)
            yield f"{len(each.workers) - len(away)} of {len(each.workers)} processes serve"
            yield from (f"NOT SERVING  {name}" for name in away)
        yield from (_line(one, now) for one in each.conditions)
        yield from (f"HELD {one.number:>7} {one.role}: {one.reason}" for one in each.held)
    yield from (f"NOT SERVED   {role}" for role in _not_served(running, wanted))


def _line(one: Condition, now: datetime) -> str:
    name = f"{one.dependency} {one.at}".rstrip()
    if one.gone_since is None:
        return f"there        {name}"
    seconds = one.gone_seconds
    if seconds is None:
        seconds = max(0, int((now - one.gone_since).total_seconds()))  # That process's clock may be ahead.
    return f"GONE {seconds:>5} s {name}: {one.reason}"
