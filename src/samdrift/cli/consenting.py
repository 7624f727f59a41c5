"""Consent to commands that read data of an organisation."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta

from samdrift.cli.output import complain
from samdrift.config.model import Config, Environment
from samdrift.governance.consent import Caller, ConsentWanted, Session, Wanted, Way, permitted, session
from samdrift.net.clock import system_clock
from samdrift.rights.consentfold import moment_of
from samdrift.rights.consents import EVERYTHING, Extent
from samdrift.rights.record import Record
from samdrift.vault.gate import Gate
from samdrift.wire.identifiers import ParticipantIdentifier


@contextlib.asynccontextmanager
async def consented(
    config: Config, gate: Gate, organisation: ParticipantIdentifier, wanted: Wanted, caller: Caller
) -> AsyncIterator[Session]:
    """Open a session for a command's access; warn on standard error if no officer could consent.

    The organisations of a demonstration are fictitious: there, sessions are logged but need no consent,
    unless the caller names one.
    """
    demonstration = config.environment is Environment.DEMONSTRATION and not caller.consent
    async with session(
        gate, organisation, wanted, caller, system_clock, demonstration=demonstration
    ) as running:
        if running.permit.way is Way.NOBODY:
            complain(
                f"{organisation}: no officer has a key, so no one could consent to this; its log says so"
                " (samdrift gov officer enrol)"
            )
        yield running


async def shows_use(
    stack: contextlib.AsyncExitStack,
    config: Config,
    gate: Gate,
    organisation: ParticipantIdentifier,
    record: Record,
    wanted: Wanted,
    caller: Caller,
) -> bool:
    """Open a session on ``stack`` for the times of last use by the organisation's people.

    Return false, without a session, if no consent covers that: the answer then omits these times. A consent
    that the caller names must cover it.
    """
    if config.environment is not Environment.DEMONSTRATION and not caller.consent:
        try:
            permitted(record, wanted, caller, moment_of(record, system_clock()))
        except ConsentWanted:
            return False
    await stack.enter_async_context(consented(config, gate, organisation, wanted, caller))
    return True


def until_now() -> Extent:
    """Return an extent that covers all existing data."""
    return Extent.span(EVERYTHING, system_clock().replace(microsecond=0) + timedelta(seconds=1))
