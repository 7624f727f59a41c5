"""`samdrift org keys lost-marks`: session keys that are not known to have been used, after a restore."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from samdrift.administration.dualcontrol import Matter, two_persons
from samdrift.audit.events import AuditEvent
from samdrift.cli.org.keyoptions import Workplace, worked
from samdrift.cli.org.options import AsJson, ConfigFile, Organisation
from samdrift.cli.output import print_json, print_line
from samdrift.cli.persons import Actor, ByFile, With, WithFile, present
from samdrift.config.errors import Unusable
from samdrift.config.failures import reported_as_usage_errors
from samdrift.contracts.principals import Purpose, Role
from samdrift.vault.sessionkeys import LostMarks, SenderRefusals

_COMMAND = "org-keys-lost-marks"


def lost_marks(
    organisation: Organisation,
    config: ConfigFile,
    accept: Annotated[
        bool, typer.Option("--accept", help="Accept the risk permanently. Needs two custodians.")
    ] = False,
    by: Actor = None,
    other: With = None,
    by_file: ByFile = None,
    other_file: WithFile = None,
    as_json: AsJson = False,
) -> int:
    """Show which marks of session keys a restored database lacks, and whose envelopes could not be decrypted.

    Ends with 1 while marks are missing that nobody has accepted.
    """

    async def look(place: Workplace) -> tuple[tuple[LostMarks, ...], tuple[SenderRefusals, ...]]:
        vaults = place.installation.gate.worker(_COMMAND, Role.MESSAGE_SERVICE)
        async with vaults.open(organisation, Purpose.ADMINISTER) as vault:
            return await vault.lost_marks(), await vault.refusals()

    async def agree(place: Workplace) -> None:
        text = f"answer again what uses session keys of {organisation} whose marks a restore has lost"
        matter = Matter("org keys lost-marks --accept", organisation.value, text)
        await two_persons(place.installation, matter, persons)
        vaults = place.installation.gate.worker(_COMMAND, Role.MESSAGE_SERVICE)
        async with vaults.open(organisation, Purpose.ADMINISTER) as vault:
            number = await vault.accept_lost_marks(now=datetime.now(UTC))
        await place.note(AuditEvent.MT_MARKS_LOSS_ACCEPTED, persons.first.name, number=str(number))

    if accept:
        if by is None:
            raise Unusable("--accept takes two persons: name the first with --by")
        with reported_as_usage_errors():
            persons = present(by, other, by_file, other_file)
        worked(config, organisation, agree)
    lost, refused = worked(config, organisation, look)
    if as_json:
        print_json(
            {"lost": [_lost_row(one) for one in lost], "refused": [_refused_row(one) for one in refused]}
        )
    else:
        for line in [*map(_lost_line, lost), *map(_refused_line, refused)] or ["no marks are missing"]:
            print_line(line)
    return int(any(one.accepted_at is None for one in lost))


def _lost_row(lost: LostMarks) -> dict[str, str | None]:
    accepted = None if lost.accepted_at is None else lost.accepted_at.isoformat()
    since = None if lost.since is None else lost.since.isoformat()
    found = lost.found_at.isoformat()
    return {"since": since, "until": lost.until.isoformat(), "found": found, "accepted": accepted}


def _lost_line(lost: LostMarks) -> str:
    since = "the beginning" if lost.since is None else lost.since.isoformat()
    accepted = lost.accepted_at
    then = f"accepted {accepted.isoformat()}" if accepted else "install a new encryption key, or --accept"
    when = f"found {lost.found_at.isoformat()}"
    return f"marks from {since} to {lost.until.isoformat()} are missing  {when}  {then}"


def _refused_row(refused: SenderRefusals) -> dict[str, str | int]:
    return {"sender": refused.sender, "number": refused.number, "since": refused.since.isoformat()}


def _refused_line(refused: SenderRefusals) -> str:
    text = "envelopes could not be decrypted to a message of their sender's since"
    return f"{refused.sender}  {refused.number} {text} {refused.since.isoformat()}"
