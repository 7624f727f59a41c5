"""`samdrift demo`: a whole federation on this machine, a conversation, and the path of its messages."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from samdrift.cli import demoview
from samdrift.cli.gov.report import report_of
from samdrift.config.failures import reported_as_usage_errors
from samdrift.demo.cast import AGENCY, HABO, MULLSJO
from samdrift.demo.day import live
from samdrift.demo.governing import OPERATOR
from samdrift.demo.proof import prove_rest, prove_way
from samdrift.demo.readyfile import write_ready
from samdrift.demo.scenario import DemoFailed, Exchange, Progress, play
from samdrift.demo.witnessing import prove_logs
from samdrift.demo.world import World, world
from samdrift.evidence.trace import Asked, Step, trace
from samdrift.governance.duties.catalogue import shipped
from samdrift.governance.reportpage import page
from samdrift.installation.loop import run

app = typer.Typer(add_completion=False)


@app.command()
def demo(
    once: Annotated[
        bool, typer.Option("--once", help="Exit when the conversation is over and checked.")
    ] = False,
    ready: Annotated[
        Path | None,
        typer.Option(
            help="A file to write as JSON once everything is up: pages, interfaces, configurations."
        ),
    ] = None,
    folder: Annotated[
        Path, typer.Option(help="The folder in which federation and operators are kept between runs.")
    ] = Path(".samdrift/demo"),
) -> int:
    """Start a federation and two operators; exchange messages between three organisations."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")
    console = demoview.console()
    try:
        with reported_as_usage_errors():
            run(_run(console, folder.resolve(), once, ready))
    except DemoFailed as failure:
        demoview.failed(console, str(failure))
        return 1
    return 0


async def _run(console: Console, folder: Path, once: bool, ready: Path | None) -> None:
    with demoview.progress(console) as progress:
        async with world(folder, progress, pages=not once) as demo_world:
            habo, agency, mullsjo = (demo_world.party(one) for one in (HABO, AGENCY, MULLSJO))
            exchanges = await play(habo, agency, mullsjo, progress)
            progress("every step is in the logs, their chains are whole, the access points hold nothing")
            await prove_rest([habo, agency, mullsjo])
            progress(
                "a stranger verifies every log: its key, each entry, and the witness at the other operator"
            )
            logs = await prove_logs(
                [
                    (enrolled.config, operator, witness)
                    for (enrolled, operator), witness in zip(
                        demo_world.operators, demo_world.witnesses, strict=True
                    )
                ]
            )
            ways = [await _way(exchange, pages=not once) for exchange in exchanges]
            progress.done()
            for exchange, steps in zip(exchanges, ways, strict=True):
                demoview.exchange(console, exchange, steps)
            demoview.logs(console, logs)
            if not once:
                await live({HABO: habo, AGENCY: agency, MULLSJO: mullsjo}, folder, progress)
                progress.done()
            reports = {} if once else await _reports(demo_world, folder, progress)
            if ready is not None:
                write_ready(ready, demo_world, folder, reports)
            if not once:
                await _stay(console, demo_world)


_ASKED = Asked("demonstration", "demonstration")


async def _reports(demo_world: World, folder: Path, progress: Progress) -> dict[str, Path]:
    """Write each organisation's compliance report as a page; return the files by the organisations' names."""
    progress("a compliance report of each organisation is written, with the evidence that there is")
    written = {}
    (folder / "reports").mkdir(exist_ok=True)
    for enrolled, _ in demo_world.operators:
        for one in enrolled.demo.organisations:
            made = await report_of(
                enrolled.config, one.identifier, shipped()[-1], str(OPERATOR), _ASKED, offline=False
            )
            file = folder / "reports" / f"{one.identifier.value.rpartition(':')[2]}.html"
            file.write_text(page(made, "sv"), "utf-8")
            written[one.name] = file
    return written


async def _way(exchange: Exchange, *, pages: bool) -> list[Step]:
    """Return the logged steps of both ends in chronological order, after checking that they are complete."""
    sent, received = [
        await trace(end.operator.gate, end.organisation, exchange.message_id, _ASKED)
        for end in (exchange.sender, exchange.recipient)
    ]
    prove_way(exchange, sent, received, pages=pages)
    return sorted((*sent, *received), key=lambda step: step.at)


async def _stay(console: Console, demo_world: World) -> None:
    demoview.reachable(console, demo_world)
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        demoview.stopping(console)
