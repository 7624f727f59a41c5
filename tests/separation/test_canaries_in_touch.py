"""Canaries that have exchanged messages: data that one rightly has about the other is not a leak."""

from __future__ import annotations

from dataclasses import replace

from samdrift.config.model import OrganisationConfig
from samdrift.contracts.isolation import Verdict
from samdrift.contracts.messages import Direction
from samdrift.contracts.principals import Role
from samdrift.isolationcheck.canary import plant
from samdrift.isolationcheck.check import in_own_vaults
from samdrift.isolationcheck.ledger import Ledger
from tests.sizes import whole
from tests.vaults import MINUTE, NOW, Installation, body, message

MT = Role.MESSAGE_SERVICE
ADDRESS = "sdk.canary"


@whole
async def test_a_message_from_the_other_canary_is_no_leak_and_a_planted_one_is(
    installation: Installation,
) -> None:
    mine, theirs = await installation.organisation(), await installation.organisation()
    planted = await plant(
        installation.gate,
        OrganisationConfig(theirs, "Canary", tuple(Role), functional_addresses=(ADDRESS,)),
        NOW,
    )
    received = replace(message(Direction.IN, sender_address=ADDRESS), sender=theirs, recipient=mine)
    async with installation.open(mine, MT) as vault:
        await vault.receive(received, await body(vault), None, None, item_id="item", now=NOW, lease=None)
    ledger = Ledger()
    await in_own_vaults(installation.gate, mine, planted, ledger)
    assert ledger.passed, ledger.of(Verdict.LEAKED)

    async with installation.open(mine, MT) as vault:
        leaked = replace(message(sender_address=ADDRESS), id=planted.message_id)
        await vault.create_outgoing(leaked, await body(vault), now=NOW, lease=MINUTE)
    await in_own_vaults(installation.gate, mine, planted, ledger)
    operations = {one.operation for one in ledger.of(Verdict.LEAKED)}
    assert {"mt: messages by sender", "mt: message", "mt: messages"} <= operations
