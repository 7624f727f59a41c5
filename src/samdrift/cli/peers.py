"""`samdrift peers`: access points whose messages do not conform, and the report to DIGG about one."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from samdrift.administration.peers import DOCUMENT_FILE, PeerBreaches, PeerRefusals, Reporter, write_report
from samdrift.attestation.archive import new_folder
from samdrift.cli.output import complain, complain_of_unreached, print_json, print_line, print_table
from samdrift.cli.persons import Acting, Actor, acting
from samdrift.config.errors import Unusable, shown
from samdrift.config.failures import reported_as_usage_errors
from samdrift.config.model import Config
from samdrift.config.reader import load
from samdrift.installation.loop import run
from samdrift.installation.vaultsettings import vault_settings
from samdrift.vault.gate import Gate
from samdrift.wire.identifiers import ParticipantIdentifier

T = TypeVar("T")
app = typer.Typer(add_completion=False)

ConfigFile = Annotated[Path, typer.Option("--config", help="The installation's configuration file (TOML).")]
Days = Annotated[int, typer.Option("--days", min=1, max=3650, help="How far back to look.")]
Limit = Annotated[
    int, typer.Option("--limit", min=1, help="The maximum number of refusals, the latest ones.")
]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]
PeerName = Annotated[
    str,
    typer.Argument(metavar="PEER", help="Its party, such as AP0040-SDK-PROD, or its certificate's SHA-256."),
]
Out = Annotated[Path, typer.Option("--out", help="A new folder for the report.")]


@app.callback()
def peers() -> None:
    """Report access points whose messages do not conform. Content is neither kept nor shown."""


@app.command("list")
def list_peers(
    config: ConfigFile, days: Days = 30, limit: Limit = 1000, by: Actor = None, as_json: Json = False
) -> int:
    """List peers whose messages were refused, by certificate: how many, when last, and why.

    Only peers with a trusted certificate are listed: no other sender can have a message attributed to them.
    Exit status 1 if an organisation's vault, which is then named, cannot be reached; the others are counted.
    """
    found, unreached = _asked(config, by, lambda refusals: refusals.since(_start(days), limit))
    if as_json:
        print_json({"peers": [_listed(peer) for peer in found]})
    else:
        print_table(("peer", "refused", "last", "clauses", "reason", "certificate"), map(_cells, found))
    return complain_of_unreached(unreached)


def _cells(peer: PeerBreaches) -> tuple[str, ...]:
    latest = peer.breaches[0]
    return (
        peer.party,
        str(len(peer.breaches)),
        f"{latest.entry.at:%Y-%m-%d %H:%M:%S}Z",
        ", ".join(latest.clauses),
        str(latest.reason),
        peer.certificate,
    )


@app.command()
def report(
    peer: PeerName, config: ConfigFile, out: Out, days: Days = 30, limit: Limit = 1000, by: Actor = None
) -> int:
    """Write the report to DIGG about one peer: text, JSON, certificate and evidence, ready to be sent."""
    with reported_as_usage_errors():
        return run(_report(peer, load(config), out, _start(days), limit, acting(by)))


async def _report(peer: str, config: Config, out: Path, start: datetime, limit: int, who: Acting) -> int:
    if config.access_point is None:
        raise Unusable("this installation has no access point")
    reporter = Reporter(config.access_point.party, config.environment.value, config.federation.identifier)
    gate = await Gate.start(vault_settings(config))
    try:
        refusals = PeerRefusals(gate, who.name, who.proof)
        named = await refusals.of(peer, start, limit)
        if not named:
            complain("nothing of that peer was refused in this time")
            complain_of_unreached(refusals.unreached)
            return 1
        if len(named) > 1:
            certificates = ", ".join(one.certificate for one in named)
            raise Unusable(f"that peer has used several certificates; name one of them: {certificates}")
        (found,) = named
        files = write_report(found, await refusals.certificate(found), reporter, datetime.now(UTC))
        with new_folder(out) as draft:
            for name, data in files.items():
                (draft / name).write_bytes(data)
        await refusals.reported(found, hashlib.sha256(files[DOCUMENT_FILE]).hexdigest())
    finally:
        await gate.close()
    print_line(f"{shown(out)}: {len(found.breaches)} refusals of {found.party}")
    return complain_of_unreached(refusals.unreached)


def _listed(peer: PeerBreaches) -> dict[str, object]:
    times = [breach.entry.at for breach in peer.breaches]
    reasons = {breach.reason: list(breach.clauses) for breach in peer.breaches}
    return {
        "peer": peer.party,
        "certificate": peer.certificate,
        "refused": len(peer.breaches),
        "first": min(times).isoformat(),
        "last": max(times).isoformat(),
        "reasons": [{"reason": reason, "clauses": clauses} for reason, clauses in reasons.items()],
    }


def _start(days: int) -> datetime:
    return datetime.now(UTC) - timedelta(days=days)


def _asked(
    config: Path, by: str | None, ask: Callable[[PeerRefusals], Awaitable[T]]
) -> tuple[T, Mapping[ParticipantIdentifier, str]]:
    async def asked(who: Acting) -> tuple[T, Mapping[ParticipantIdentifier, str]]:
        gate = await Gate.start(vault_settings(load(config)))
        refusals = PeerRefusals(gate, who.name, who.proof)
        try:
            return await ask(refusals), refusals.unreached
        finally:
            await gate.close()

    with reported_as_usage_errors():
        return run(asked(acting(by)))
