"""`samdrift gov emergency`: an hour's access to metadata without consent, signed by two of the staff."""

from __future__ import annotations

from typing import Annotated

import typer

from samdrift.cli.gov.basis import governed, record_of
from samdrift.cli.gov.consent import ExtentText, GroundOption, Of, Ticket, asked_for, read_extent, show
from samdrift.cli.gov.signing import By, Out, Why, propose, subject
from samdrift.cli.org.options import AsJson, ConfigFile, Organisation, one_line
from samdrift.cli.output import print_json, print_line
from samdrift.cli.persons import Actor, PreparedBy, Reason, asked
from samdrift.config.errors import Unusable
from samdrift.config.failures import reported_as_usage_errors
from samdrift.contracts.principals import Role
from samdrift.governance.emergency import REACH, Opens, opens
from samdrift.installation.loop import run
from samdrift.rights.consentfold import consents_of
from samdrift.rights.consents import AccountGiven, EmergencyStated
from samdrift.rights.record import Record
from samdrift.rights.statements import Approved

app = typer.Typer(add_completion=False, no_args_is_help=True)


@app.callback()
def emergency() -> None:
    """State an emergency, sign it as the second person, account for it; the organisation is notified."""


@app.command()
def state(
    organisation: Organisation,
    extent: ExtentText,
    ground: GroundOption,
    ticket: Ticket,
    by: By,
    config: ConfigFile,
    out: Out,
    why: Why,
    prepared_by: PreparedBy = None,
) -> None:
    """State an emergency: access to metadata only, for an hour, once another staff member has signed it."""
    with reported_as_usage_errors():
        act = EmergencyStated(subject("--by", by), ground, one_line("--ticket", ticket), read_extent(extent))
        propose(config, organisation, by, why, lambda record, at: act, out, prepared_by)


@app.command()
def sign(
    organisation: Organisation,
    of: Of,
    by: By,
    config: ConfigFile,
    out: Out,
    why: Why,
    prepared_by: PreparedBy = None,
) -> None:
    """Sign an emergency as the second staff member, within an hour."""
    with reported_as_usage_errors():
        propose(
            config, organisation, by, why, lambda record, at: Approved(_stated(record, of)), out, prepared_by
        )


@app.command()
def account(
    organisation: Organisation,
    of: Of,
    done: Annotated[str, typer.Option("--done", help="The account, in one line: what was seen and done.")],
    by: By,
    config: ConfigFile,
    out: Out,
    why: Why,
    prepared_by: PreparedBy = None,
) -> None:
    """Give an account of an emergency, within a day; an overdue account is shown to the officers in red."""
    with reported_as_usage_errors():
        text = one_line("--done", done)
        propose(
            config,
            organisation,
            by,
            why,
            lambda record, at: AccountGiven(_stated(record, of), text),
            out,
            prepared_by,
        )


@app.command("list")
def list_emergencies(
    organisation: Organisation, config: ConfigFile, reason: Reason, by: Actor = None, as_json: AsJson = False
) -> int:
    """Show every emergency, with its account. Exit status as for `samdrift gov consent list`."""
    with reported_as_usage_errors():
        record = run(record_of(config, organisation, "emergency list", asked(by, reason)))
    found = tuple(each for each in consents_of(record).all() if each.emergency)
    return show(record, found, as_json=as_json)


@app.command()
def reach(
    organisation: Organisation, config: ConfigFile, reason: Reason, by: Actor = None, as_json: AsJson = False
) -> int:
    """Show for each vault what opens it, what an emergency cannot reach, and what root can do.

    Exit status 1 if root could read content.
    """
    with reported_as_usage_errors():

        async def found() -> dict[Role, Opens]:
            async with governed(config, organisation, "emergency reach", asked(by, reason)) as governance:
                installation = governance.installation
                return dict(opens(installation.keys, installation.gate, organisation))

        vaults = run(found())
    if as_json:
        rows = [{"role": role.value, "opens": how.value, "reach": REACH[how]} for role, how in vaults.items()]
        print_json({"content": Opens.OPERATOR in vaults.values(), "vaults": rows})
    else:
        for role, how in vaults.items():
            print_line(f"{role}: {REACH[how]}")
    return 1 if Opens.OPERATOR in vaults.values() else 0


def _stated(record: Record, of: str) -> str:
    found = asked_for(record, of)
    if not found.emergency:
        raise Unusable("that is a request for consent: samdrift gov consent approve")
    return found.id
