"""Addition and removal of custodians, checked and performed under one lock, and logged beforehand.

Once there have been two custodians, one person alone cannot add another. If fewer are left, because files
were removed by hand or are damaged, only :func:`restart` can begin again, which is recorded in every log.
"""

from __future__ import annotations

import asyncio

from samdrift.administration.administration import Administration, note, note_during_outage
from samdrift.administration.dualcontrol import Matter, Persons, custodians_of, record, two_persons
from samdrift.administration.events import AdminEvent
from samdrift.contracts.principals import NOT_PROVEN, Proof
from samdrift.keystore.custody import NEEDED, CustodyError, CustodyFault, PublicKey

_AT_ONCE = 1000


async def admit(installation: Administration, key: PublicKey, persons: Persons | None) -> None:
    """Make the owner of a key a custodian; if there are already two, they must agree to that key."""
    custodians = custodians_of(installation)
    async with custodians.in_turn():
        able = custodians.able()
        text = f"make {key.name} a custodian, with the key that has the fingerprint {key.fingerprint}"
        matter = Matter("custodian add", "", text)
        if len(able) >= NEEDED:
            await _agreement(installation, matter, persons)
        elif custodians.damaged() or await _were_two(installation):
            raise CustodyError(
                CustodyFault.RESTART,
                f"there were {NEEDED} custodians, but only {len(able)} can still agree; one person cannot "
                "add one alone. Find out what became of the others; samdrift custodian restart begins again",
            )
        facts = {"custodian": key.name, "fingerprint": key.fingerprint}
        await record(installation, AdminEvent.CUSTODY_CUSTODIAN_ADDED, key.name, matter, facts)
        await asyncio.to_thread(custodians.admit, key)


async def dismiss(installation: Administration, name: str, persons: Persons) -> None:
    """Remove ``name`` from the custodians, with the agreement of two; two must remain."""
    custodians = custodians_of(installation)
    async with custodians.in_turn():
        custodians.require_removable(name)
        matter = Matter("custodian remove", "", f"make {name} a custodian no more")
        await _agreement(installation, matter, persons)
        facts = {"custodian": name}
        await record(installation, AdminEvent.CUSTODY_CUSTODIAN_REMOVED, persons.first.name, matter, facts)
        await asyncio.to_thread(custodians.dismiss, name)


async def restart(
    installation: Administration, by: str, why: str, proof: Proof = NOT_PROVEN
) -> tuple[str, ...]:
    """Begin again without custodians if fewer than two are left; return the names of those removed.

    This is recorded in the operator's log, and in that of each organisation if it can be written, with the
    proof of identity of the person who did it.
    """
    custodians = custodians_of(installation)
    async with custodians.in_turn():
        able = custodians.able()
        if len(able) >= NEEDED:
            text = f"{len(able)} custodians can agree to whatever is needed: they add and remove others"
            raise CustodyError(CustodyFault.EXISTS, text)
        ended = custodians.names()
        facts = {"ended": " ".join(ended), "why": why, **proof.facts()}
        hosted = {one.organisation for one in installation.gate.registry.all()}
        await note(installation, AdminEvent.CUSTODY_RESTARTED, by, None, facts)
        for organisation in sorted(hosted, key=lambda one: one.value):
            await note_during_outage(installation, AdminEvent.CUSTODY_RESTARTED, by, organisation, facts)
        await asyncio.to_thread(custodians.dismiss_all)
    return ended


async def _agreement(installation: Administration, matter: Matter, persons: Persons | None) -> None:
    """Require two custodians, because a custodian added by one alone could be the same person."""
    if persons is None:
        text = f"there are {NEEDED} custodians: --by and --with say which two of them agree"
        raise CustodyError(CustodyFault.TOO_FEW, text)
    await two_persons(installation, matter, persons)


async def _were_two(installation: Administration) -> bool:
    """Return whether two custodians have been added since the beginning, or since the last restart.

    This is read from the operator's log, which remains when files are removed from the key store.
    """
    added: set[str] = set()
    after = 0
    while entries := await installation.gate.read_operator_log(after, _AT_ONCE):
        after = entries[-1].sequence
        for entry in entries:
            if entry.event == AdminEvent.CUSTODY_RESTARTED:
                added = set()
            elif entry.event == AdminEvent.CUSTODY_CUSTODIAN_ADDED:
                added.add(entry.ids.get("custodian", entry.ids["by"]))
    return len(added) >= NEEDED
