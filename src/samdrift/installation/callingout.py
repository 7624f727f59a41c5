"""Webhooks of organisations, as configured; they are called while governance is served."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from functools import partial

from samdrift.audit.operations import unexpected
from samdrift.config.model import Config, Environment
from samdrift.governance.records import Records
from samdrift.governance.webhooks import Target, Webhooks
from samdrift.installation.health import Dependency, Note
from samdrift.installation.signin import pages_origin
from samdrift.net.addresses import EnteredAddresses, any_address
from samdrift.net.background import in_background
from samdrift.net.clock import system_clock
from samdrift.net.entered import EnteredAddressClient
from samdrift.vault.gate import Gate
from samdrift.wire.identifiers import ParticipantIdentifier


def targets(config: Config) -> dict[ParticipantIdentifier, Target]:
    """Return the configured webhooks by organisation."""
    own = config.governance
    if own is None:
        return {}
    return {
        one.identifier: Target(one.emergency_webhook, pages_origin(one, own))
        for one in config.organisations
        if one.emergency_webhook
    }


@contextlib.asynccontextmanager
async def calling_webhooks(config: Config, gate: Gate, records: Records, note: Note) -> AsyncIterator[None]:
    """Notify each organisation that has a webhook of emergencies, while the context lasts.

    Webhooks may be at public addresses and in the networks that the operator has listed for governance.
    """
    called = targets(config)
    if not called or config.governance is None:
        yield
        return
    demonstration = config.environment is Environment.DEMONSTRATION
    permits = any_address if demonstration else EnteredAddresses(config.governance.networks)
    watch, failed = partial(note, Dependency.WEBHOOK), unexpected("webhooks")
    async with EnteredAddressClient(permits, plain=demonstration) as client:
        webhooks = Webhooks(gate, records, called, client, system_clock, watch)
        async with in_background(webhooks.keep(failed), webhooks.hear(), on_failure=failed):
            yield
