"""The vaults of one organisation, whatever their state, and the key that it signs with."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from samdrift.administration.administration import Administration
from samdrift.attestation.errors import MoveError, MoveFault
from samdrift.contracts.principals import Principal, PrincipalKind, Purpose, Role
from samdrift.keystore.interface import OPERATOR_KEYS
from samdrift.keystore.keyfiles import KeyFault, KeyName, KeyStoreError
from samdrift.vault.gate import Gate
from samdrift.wire.crypto.keys import SigningKey
from samdrift.wire.identifiers import ParticipantIdentifier

WORKER = Principal(PrincipalKind.WORKER, "export")


def hosted(gate: Gate, organisation: ParticipantIdentifier) -> tuple[Role, ...]:
    """The roles that the organisation has here, whatever their state."""
    roles = tuple(role for role in Role if gate.registry.find(organisation, role))
    if not roles:
        raise MoveError(MoveFault.NOT_HOSTED, "that organisation has no vault in this installation")
    return roles


async def signing_key(
    installation: Administration, organisation: ParticipantIdentifier, roles: Sequence[Role]
) -> SigningKey:
    """The organisation's; the access point's where it has its message service, and its keys, elsewhere."""
    message_service = Role.MESSAGE_SERVICE in roles
    role = Role.MESSAGE_SERVICE if message_service else Role.ACCESS_POINT
    try:
        async with installation.gate.open(WORKER, organisation, role, Purpose.EXPORT) as vault:
            return vault.proving_key()
    except KeyStoreError as error:
        if message_service or error.fault is not KeyFault.MISSING:
            raise
    return await asyncio.to_thread(installation.keys.signing_key, OPERATOR_KEYS, KeyName.ACCESS_POINT)
