"""`samdrift trace`: the path of one message through an organisation's vaults in this installation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from samdrift.administration.administration import require_readable
from samdrift.attestation.archive import new_file
from samdrift.cli.consenting import consented
from samdrift.cli.output import print_json, print_line
from samdrift.cli.persons import Actor, ConsentOption, asked
from samdrift.config.errors import Unusable, shown
from samdrift.config.failures import reported_as_usage_errors
from samdrift.config.inputs import read_participant
from samdrift.config.reader import load
from samdrift.contracts.principals import Role
from samdrift.evidence.trace import Asked, Step, trace
from samdrift.evidence.traceview import erds, moments, words
from samdrift.evidence.why import Passage, arrived, passages
from samdrift.governance.consent import Caller, Wanted
from samdrift.installation.loop import run
from samdrift.installation.vaultsettings import vault_settings
from samdrift.rights.consents import Extent, Level
from samdrift.vault.gate import Gate
from samdrift.web.texts import Language
from samdrift.wire.identifiers import ParticipantIdentifier, is_uuid

app = typer.Typer(add_completion=False)

Why = Annotated[
    str | None, typer.Option("--reason", help="The reason you look; recorded in the organisation's logs.")
]


@app.command("trace")
def trace_command(
    organisation: Annotated[str, typer.Argument(help="Participant identifier, like 0203:habo.se.")],
    message_id: Annotated[str, typer.Argument(metavar="MESSAGE-ID", help="The id of the message.")],
    config: Annotated[
        list[Path], typer.Option(help="The installation's configuration file (TOML); may be repeated.")
    ] = [],  # noqa: B006
    reason: Why = None,
    by: Actor = None,
    consent: ConsentOption = "",
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write a page with the route as a picture.")
    ] = None,
    language: Annotated[Language, typer.Option("--language", help="The page's language.")] = Language.SWEDISH,
    why: Annotated[
        bool,
        typer.Option(
            "--why", help="Show why it did not arrive: its route, up to the first thing that is wrong."
        ),
    ] = False,
    raw: Annotated[
        bool, typer.Option("--raw", help="Show events and identifiers as the logs have them.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
) -> int:
    """Show every logged step of a message and of its receipt. Facts only: logs contain no content.

    Requires a consent of the organisation, whose logs record who looked and why. Without --config, the
    installations of the demonstration are searched. Exit status 1 when the logs do not contain the message,
    and with --why when it has not arrived; 2 when a log cannot be read, as while the organisation is
    suspended.
    """
    participant, message = read_participant(organisation), _message(message_id)
    if reason is None and config:
        raise Unusable("--reason says why you look: it is recorded in the organisation's logs")
    who = asked(by, reason or "demonstration")
    caller = Caller(who.by, who.reason, consent, who.account, who.proof)
    with reported_as_usage_errors():
        steps = run(_steps(config or _demonstration(), participant, message, who, caller))
        if html is not None and steps:
            _write_page(html, participant, message, steps, language)
    found = passages(steps, message)
    ended = 0 if (arrived(found) if why else steps) else 1
    if as_json:
        print_json(_document(message, steps) | ({"why": [*map(_passage, found)]} if why else {}))
        return ended
    if why:
        _print_way(found)
    elif raw:
        for step in steps:
            ids = "  ".join(f"{name}={value}" for name, value in step.ids.items())
            print_line(f"{step.at:%Y-%m-%d %H:%M:%S.%f}Z  {step.where}  {step.what}  {ids}")
    else:
        _print(message, steps)
    if html is not None and steps:
        print_line(f"{shown(html)}: the route as a page")
    return ended


async def _steps(
    configs: Sequence[Path],
    organisation: ParticipantIdentifier,
    message_id: str,
    who: Asked,
    caller: Caller,
) -> tuple[Step, ...]:
    found: tuple[Step, ...] = ()
    known = False
    for path in configs:
        config = load(path)
        gate = await Gate.start(vault_settings(config))
        try:
            if any(gate.registry.find(organisation, role) for role in Role):
                known = True
                require_readable(gate, organisation)
                wanted = Wanted("trace", Level.METADATA, Extent.message(message_id.lower()))
                async with consented(config, gate, organisation, wanted, caller) as running:
                    await running.check()
                    steps = await trace(gate, organisation, message_id, who)
                    await running.check()
                found += steps
        finally:
            await gate.close()
    if not known:
        raise Unusable(f"{organisation} has no vault here: samdrift org list shows which do")
    return found


def _demonstration() -> list[Path]:
    files = sorted(Path(".samdrift/demo").glob("*/samdrift.toml"))
    if not files:
        raise Unusable("no --config given, and no demonstration has run here")
    return files


def _message(text: str) -> str:
    if not is_uuid(text):
        raise Unusable("the message id is not a UUID")
    return text


def _write_page(
    file: Path, organisation: ParticipantIdentifier, message: str, steps: Sequence[Step], language: Language
) -> None:
    from samdrift.evidence.tracepage import trace_page  # The page templates are slow to import.

    page = trace_page(organisation.value, message, steps, datetime.now(UTC), language)
    with new_file(file) as draft:
        draft.write_bytes(page)


def _print(message: str, steps: Sequence[Step]) -> None:
    if not steps:
        print_line("the organisation's logs do not contain that message")
        return
    for moment in moments(steps, message):
        when = f"{moment.at:%Y-%m-%d %H:%M:%S}Z  " if moment.at else ""
        print_line(f"{when}{moment.text.text}")
    print_line()
    place = max(len(step.where) for step in steps)
    for step in steps:
        name = erds(step, message)
        said = f"{words(step).text}{f' [{name}]' if name else ''}"
        print_line(f"{step.at:%Y-%m-%d %H:%M:%S}Z  {step.where:<{place}}  {said}{_why(step)}")


def _passage(found: Passage) -> dict[str, Any]:
    return asdict(found) | {"at": found.at.isoformat() if found.at else None}


def _print_way(found: Sequence[Passage]) -> None:
    """Print each place that the message has passed, and what to do at the first that it has not reached."""
    if not found:
        print_line("the organisation's logs do not contain that message: it was not received or sent here")
    for each in found:
        when = f"{each.at:%Y-%m-%d %H:%M:%S}Z  " if each.at else ""
        reason = f": {each.reason}" if each.reason else ""
        print_line(f"{each.standing.value:<8} {each.place:<16} {when}{each.text}{reason}")
        if each.todo:
            print_line(f"{'':<8} do: {each.todo}")


def _why(step: Step) -> str:
    reason = " ".join(filter(None, (step.ids.get("reason"), step.ids.get("detail"))))
    return f": {reason}" if reason else ""


def _document(message: str, steps: Sequence[Step]) -> dict[str, Any]:
    return {
        "message": message,
        "moments": [
            {"name": each.name, "at": each.at.isoformat() if each.at else None, "text": each.text.text}
            for each in moments(steps, message)
        ],
        "steps": [
            asdict(step)
            | {
                "at": step.at.isoformat(),
                "role": step.role.value,
                "words": words(step).text,
                "erds": erds(step, message),
            }
            for step in steps
        ],
    }
