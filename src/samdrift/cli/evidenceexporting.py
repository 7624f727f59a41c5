"""`samdrift evidence export`: an organisation's log entries and receipts about one message."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from samdrift.administration.administration import administering, require_readable
from samdrift.administration.evidence import export_evidence as export
from samdrift.cli.consenting import consented, until_now
from samdrift.cli.org.options import ConfigFile, Organisation
from samdrift.cli.output import complain
from samdrift.cli.persons import Actor, ConsentOption, Reason, asked
from samdrift.config.errors import Unusable
from samdrift.config.failures import reported_as_usage_errors
from samdrift.config.model import Config
from samdrift.config.reader import load
from samdrift.evidence.gathering import Order
from samdrift.evidence.trace import Asked
from samdrift.governance.consent import Caller, Wanted
from samdrift.installation.loop import run
from samdrift.rights.consents import Extent, Level
from samdrift.wire.identifiers import is_uuid


def export_evidence(
    organisation: Organisation,
    message_id: Annotated[str, typer.Argument(metavar="MESSAGE-ID", help="The id of the message.")],
    out: Annotated[Path, typer.Option("--out", help="The file to write; it must not exist.")],
    config: ConfigFile,
    reason: Reason,
    section: Annotated[
        bool,
        typer.Option(
            "--section",
            help="Include all log entries from the message on; they name other organisations too.",
        ),
    ] = False,
    asic: Annotated[
        bool,
        typer.Option("--asic", help="Put it into a container (ASiC-S) with a time stamp over it."),
    ] = False,
    consent: ConsentOption = "",
    by: Actor = None,
) -> int:
    """Write the organisation's log entries and receipts about a message, signed with its key.

    Requires a consent of the organisation. Exit status 1 when its logs do not contain the message.
    """
    if not is_uuid(message_id):
        raise Unusable("the message id is not a UUID")
    with reported_as_usage_errors():
        who = asked(by, reason)
        order = Order(organisation, message_id, who.by, who.reason, section)
        found = run(_gather(load(config), order, who, out, consent, asic=asic))
    if not found:
        complain("the organisation's logs do not contain that message")
    return 0 if found else 1


async def _gather(config: Config, order: Order, who: Asked, out: Path, consent: str, *, asic: bool) -> bool:
    # A section contains every later entry of the log, including those about other messages and organisations.
    extent = until_now() if order.section else Extent.message(order.message_id.lower())
    wanted = Wanted("evidence export", Level.METADATA, extent)
    caller = Caller(who.by, who.reason, consent, who.account, who.proof)
    async with administering(config, changes=False) as installation:
        require_readable(installation.gate, order.organisation)
        async with consented(config, installation.gate, order.organisation, wanted, caller) as running:
            return await export(installation, order, out, stamped=asic, check=running.check)
