"""`samdrift org keys rotate-data-key`: what an organisation's content is encrypted with from now on."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Annotated

import typer

from samdrift.audit.events import AuditEvent
from samdrift.cli.org.keyoptions import Workplace, worked
from samdrift.cli.org.options import ConfigFile, Organisation
from samdrift.cli.persons import Actor, login
from samdrift.contracts.principals import Role


def rotate_data_key(
    organisation: Organisation,
    config: ConfigFile,
    rewrap: Annotated[
        bool,
        typer.Option("--rewrap", help="Rewrap all keys as well, under a new secret of each vault."),
    ] = False,
    by: Actor = None,
) -> None:
    """Encrypt what is stored from now on under a new data key; what is there stays readable."""

    async def work(place: Workplace) -> None:
        registry, keys = place.installation.gate.registry, place.installation.keys
        vaults = [found.vault for role in Role if (found := registry.find(organisation, role)) is not None]
        facts = {"rewrapped": "yes" if rewrap else "no", "at": datetime.now(UTC).isoformat()}
        await place.note(AuditEvent.KEYS_DATA_KEY_ROTATED, by or login(), **facts)
        for vault in vaults:
            await asyncio.to_thread(keys.rotate_data_key, vault)
            if rewrap:
                await asyncio.to_thread(keys.rewrap, vault)

    worked(config, organisation, work)
