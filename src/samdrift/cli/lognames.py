"""`samdrift log names`, and the names that commands of log control show next to the ids in a log."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from samdrift.administration.administration import administering
from samdrift.administration.dualcontrol import Matter, two_persons
from samdrift.attestation import agefile
from samdrift.cli.consenting import consented, until_now
from samdrift.cli.org.moving import To, ToFile
from samdrift.cli.org.options import ConfigFile, Organisation
from samdrift.cli.output import print_line
from samdrift.cli.persons import By, ByFile, ConsentOption, With, WithFile, present
from samdrift.config.errors import Unusable, shown
from samdrift.config.failures import reported_as_usage_errors
from samdrift.config.reader import load
from samdrift.contracts.principals import BY_PASSPHRASE
from samdrift.governance.consent import Caller, Wanted
from samdrift.installation.loop import run
from samdrift.portability.names import WITH_PERSONS, read_names, with_name, write_names
from samdrift.rights.consents import Level

NamesFile = Annotated[
    Path | None, typer.Option("--names", help="A table of samdrift log names, to show names next to the ids.")
]
Identity = Annotated[Path | None, typer.Option("--identity", help="The age key that opens that table.")]


def names(
    organisation: Organisation,
    out: Annotated[Path, typer.Option("--out", help="The file to write; it must not exist.")],
    config: ConfigFile,
    by: By,
    to: To = [],  # noqa: B006
    to_file: ToFile = None,
    other: With = None,
    by_file: ByFile = None,
    other_file: WithFile = None,
    consent: ConsentOption = "",
) -> None:
    """Write the names of people in an organisation's logs, encrypted for recipients. Needs two custodians.

    Requires the organisation's consent to metadata of all time. Logs and exports of logs contain random ids
    instead of names.
    """
    with reported_as_usage_errors():
        recipients = agefile.recipients([*to, *(agefile.lines(to_file) if to_file else [])])
        if out.exists():
            raise Unusable(f"{shown(out)}: already exists")
        persons = present(by, other, by_file, other_file)

        async def write() -> int:
            loaded = load(config)
            async with administering(loaded) as installation:
                registry = installation.gate.registry
                if all(registry.find(organisation, role) is None for role in WITH_PERSONS):
                    raise Unusable(
                        "that organisation has no persons: it has no message client, message service or"
                        " governance here"
                    )
                what = f"write the names of persons in its logs, encrypted for {', '.join(recipients)}"
                agreed = await two_persons(
                    installation, Matter("log names", organisation.value, what), persons
                )
                wanted = Wanted("log names", Level.METADATA, until_now())
                caller = Caller(agreed.first, "log names", consent, proof=BY_PASSPHRASE)
                async with consented(loaded, installation.gate, organisation, wanted, caller) as running:
                    await running.check()
                    return await write_names(installation, organisation, agreed.first, recipients, out)

        written = run(write())
    print_line(f"{shown(out)}: names of persons: {written}")


def joined(file: Path | None, identity: Path | None) -> Callable[[str], str]:
    """Return a function that adds the name to a value of a log, if a table of names is given."""
    if (file is None) != (identity is None):
        raise Unusable("--names and --identity belong together")
    if file is None or identity is None:
        return str
    with reported_as_usage_errors():
        return partial(with_name, names=read_names(file, agefile.identities(identity)))
