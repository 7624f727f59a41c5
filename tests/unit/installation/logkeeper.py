"""A process that adds to a log, signs it and has it witnessed, without end: to be killed at any moment."""

from __future__ import annotations

import asyncio
import pickle
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from samdrift.accesspoint.events import APEvent
from samdrift.audit.policies import Member
from samdrift.contracts.principals import Purpose, Role
from samdrift.installation.logkeeping import LogKeeper
from samdrift.installation.logturns import LogPlace
from samdrift.net.addresses import any_address
from samdrift.net.entered import EnteredAddressClient
from samdrift.vault.gate import Gate
from samdrift.vault.settings import VaultSettings
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.throwawaykeys import cheap_keys
from tests.unit.audit.signing import ONE
from tests.vaults import WORKER

AP = Role.ACCESS_POINT


async def main(settings: VaultSettings, organisation: ParticipantIdentifier, address: str) -> None:
    gate = await Gate.start(settings)
    member = Member(ONE.key, address)
    async with EnteredAddressClient(any_address, plain=True) as caller:
        keeper = LogKeeper(gate, lambda _: (member,), caller, lambda: datetime.now(UTC), timedelta(minutes=1))
        while True:
            for entries in (1, 300, 7):
                async with gate.open(WORKER, organisation, AP, Purpose.PROCESS) as vault:
                    for number in range(entries):
                        vault.record(APEvent.AP_TRANSFER_QUEUED, envelope=str(number))
                await keeper.round(LogPlace(organisation, AP))


if __name__ == "__main__":
    given = pickle.loads(Path(sys.argv[1]).read_bytes())
    with cheap_keys():
        asyncio.run(main(*given))
