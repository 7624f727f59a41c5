"""`samdrift org keys revoke` and `retire`: how the use of a key ends, and how the key does."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Annotated

import typer

from samdrift.administration.dualcontrol import Matter, two_persons
from samdrift.audit.events import AuditEvent
from samdrift.cli.org.keyoptions import Key, Number, Which, Workplace, worked
from samdrift.cli.org.options import ConfigFile, Organisation, one_line
from samdrift.cli.output import print_line
from samdrift.cli.persons import Actor, By, ByFile, With, WithFile, login, present
from samdrift.cli.published import REPLACE_FIRST, Anyway, still_named
from samdrift.config.errors import Unusable
from samdrift.config.failures import reported_as_usage_errors
from samdrift.installation.keyrows import key_rows
from samdrift.keystore.interface import HeldKey
from samdrift.keystore.keyfiles import KeyName


def revoke(
    organisation: Organisation,
    key: Key,
    number: Number,
    config: ConfigFile,
    reason: Annotated[
        str, typer.Option("--reason", help="The reason; recorded in the logs and shown in the list.")
    ],
    compromised: Annotated[
        bool,
        typer.Option(
            "--compromised", help="It may be known to someone else: it opens nothing any more either."
        ),
    ] = False,
    by: Actor = None,
) -> None:
    """Use a key for nothing new from now on. What was encrypted for it still opens, unless compromised."""

    async def work(place: Workplace) -> bool:
        place.held(key.key, number)
        facts = {"key": key.value, "number": str(number), "reason": reason}
        await place.note(
            AuditEvent.KEYS_REVOKED, by or login(), **facts, compromised="yes" if compromised else "no"
        )
        store, vault = place.installation.keys, place.keeper.vault
        store.revoke(vault, key.value, number, reason, at=datetime.now(UTC), compromised=compromised)
        return any(one.name is key.key and one.state.in_use(datetime.now(UTC)) for one in store.keys(vault))

    with reported_as_usage_errors():
        reason = one_line("--reason", reason)
    another = worked(config, organisation, work)
    for line in _then(key, another, compromised):
        print_line(line)


def retire(
    organisation: Organisation,
    key: Key,
    number: Number,
    config: ConfigFile,
    by: By,
    other: With = None,
    by_file: ByFile = None,
    other_file: WithFile = None,
    anyway: Anyway = False,
) -> None:
    """Destroy a key permanently; the one in use stays. Takes two persons.

    Refused while SMP names its certificate, or cannot be asked.
    """

    async def work(place: Workplace) -> None:
        held, store = place.held(key.key, number), place.installation.keys
        rows = key_rows(store.keys(place.keeper.vault), datetime.now(UTC), [key.key])
        if any(row.in_use for row in rows if row.key == held):
            raise Unusable("the key in use is replaced, or revoked, before it is retired")
        text = f"destroy the {key} key number {number} of {organisation} for good"
        facts = {"key": key.value, "number": str(held.number)}
        if reason := await _named(place, held):
            if not anyway:
                raise Unusable(f"{reason}: {REPLACE_FIRST}")
            text, facts = f"{text}, although {reason}", facts | {"anyway": reason}
        await two_persons(place.installation, Matter("org keys retire", organisation.value, text), persons)
        await place.note(AuditEvent.KEYS_RETIRED, by, **facts)
        await asyncio.to_thread(store.retire, place.keeper.vault, key.value, number)

    with reported_as_usage_errors():
        persons = present(by, other, by_file, other_file)
    worked(config, organisation, work)


async def _named(place: Workplace, held: HeldKey) -> str:
    """Why peers still use the key, as far as SMP tells; certificates of others are not published."""
    if held.name not in (KeyName.SIGNING, KeyName.ENCRYPTION) or held.certificate is None:
        return ""
    return await still_named(place.installation.config, held.certificate, [place.organisation])


def _then(key: Which, another: bool, compromised: bool) -> list[str]:
    """Return the next step, for a person."""
    lines = ["tell the issuer, who puts the certificate on the revocation list"]
    if key in (Which.SIGNING, Which.ENCRYPTION):
        lines.append("have it taken out of certificate publishing: samdrift org keys publish")
    if key is Which.TLS_CLIENT:
        lines.append("take it out of the clients of the access point")
    if not another:
        lines.append("no key of this name is in use now: samdrift org keys create, or activate")
    if compromised and key is Which.ENCRYPTION:
        lines.append("what is still encrypted for it cannot be opened, and is not answered")
    return lines
