"""`samdrift log export`: a log as a file, for recipients that its organisation chooses."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from samdrift.administration.administration import Administration, administering
from samdrift.administration.logexport import Exported, export_log
from samdrift.administration.logs import logs_of
from samdrift.cli.consenting import consented, until_now
from samdrift.cli.org.options import ConfigFile, FormerOrganisation, OnlyOrganisation, named
from samdrift.cli.output import print_line
from samdrift.cli.persons import Actor, ConsentOption, Reason, asked
from samdrift.config.errors import Unusable, shown
from samdrift.config.failures import reported_as_usage_errors
from samdrift.config.reader import load
from samdrift.contracts.principals import Role
from samdrift.governance.consent import Caller, Wanted
from samdrift.installation.logkeeping import OPERATORS
from samdrift.installation.logturns import LogPlace
from samdrift.installation.loop import run
from samdrift.rights.consents import Level
from samdrift.wire.identifiers import ParticipantIdentifier


def export(
    config: ConfigFile,
    out: Annotated[Path, typer.Option("--out", help="The file to write; it must not exist.")],
    reason: Reason,
    by: Actor = None,
    organisation: OnlyOrganisation = None,
    role: Annotated[
        Role | None, typer.Option("--role", help="The role whose log it is; needed if there are several.")
    ] = None,
    consent: ConsentOption = "",
    former: FormerOrganisation = None,
) -> None:
    """Write a log to a file that anyone can verify; without an organisation, the operator's own.

    An organisation's log requires its consent to metadata of all time. The file contains every fact of the
    log, and is only for recipients that the organisation chooses.
    """
    who = asked(by, reason)
    organisation = named(organisation, former)

    async def write() -> Exported:
        loaded = load(config)
        async with administering(loaded, changes=False) as installation:
            place = _place(installation, organisation, role)
            if organisation is None:
                return await export_log(installation, place, who, out)
            wanted = Wanted("log export", Level.METADATA, until_now())
            caller = Caller(who.by, who.reason, consent, who.account, who.proof)
            async with consented(loaded, installation.gate, organisation, wanted, caller) as running:
                return await export_log(installation, place, who, out, running.check)

    with reported_as_usage_errors():
        written = run(write())
    print_line(f"{shown(out)}: {written.size} entries, of which a checkpoint covers {written.signed}")
    if written.signed < written.size:
        print_line("  those after it are unproved: see samdrift log status")


def _place(
    installation: Administration, organisation: ParticipantIdentifier | None, role: Role | None
) -> LogPlace:
    """Return the requested log."""
    if organisation is None:
        return OPERATORS
    found = [each for each in logs_of(installation, organisation) if role in (None, each.role)]
    if not found:
        raise Unusable("that organisation has no such log in this installation")
    if len(found) > 1:
        raise Unusable(f"--role says which log: {', '.join(each.role.value for each in found if each.role)}")
    return found[0]
