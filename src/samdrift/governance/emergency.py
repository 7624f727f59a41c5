"""Emergencies: access to metadata without consent, signed by two of the operator's staff and announced.

The emergency is recorded in the log of each of the organisation's roles before anything is read, and officers
who have chosen to get mail from their message client get one. The data that an emergency can reach depends on
what opens the vaults.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from samdrift.audit.events import AuditEvent
from samdrift.contracts import workers
from samdrift.contracts.principals import Purpose, Role
from samdrift.keystore.interface import KeyStore
from samdrift.rights.consentfold import Consent
from samdrift.rights.fields import Subject
from samdrift.vault.bodies import new_id
from samdrift.vault.errors import VaultError
from samdrift.vault.gate import Gate
from samdrift.vault.noticing import NoticeRecord
from samdrift.wire.identifiers import ParticipantIdentifier

NOTICE = "emergency"
"""Kind of the notice that officers receive by mail."""
_TRIED = timedelta(hours=24)


class EmergencyEvent(AuditEvent):
    """An event about an emergency."""

    BEGUN = "gov:emergency:begun"
    """Two of the operator's staff have signed, and may read metadata without consent for an hour."""


class Opens(StrEnum):
    """Means by which a vault is opened."""

    TOKEN = "token"  # noqa: S105
    """The organisation's own HSM."""
    OFFICER = "officer"
    """The passphrase of the organisation's officer."""
    OPERATOR = "operator"
    """The operator's passphrase."""


@dataclass(frozen=True, slots=True)
class Announced:
    """Channels by which an organisation was notified of an emergency."""

    roles: tuple[Role, ...]
    """Roles that have the emergency in their logs."""
    mailed: tuple[str, ...]
    """Ids of the officers to whom a mail is sent."""


async def announce(
    gate: Gate,
    organisation: ParticipantIdentifier,
    emergency: Consent,
    in_a_week: int,
    officers: tuple[Subject, ...],
    now: datetime,
) -> Announced:
    """Notify an organisation of an emergency in each of its logs, and notify its officers by mail.

    ``in_a_week`` counts the emergencies of the week that this one ends.
    """
    hosted = [role for role in Role if gate.registry.find(organisation, role) is not None]
    act = emergency.act
    facts = {
        "consent": emergency.id,
        "person": str(act.to),
        "second": str(emergency.approvals[-1][0]),
        "extent": str(act.extent),
        "ground": act.ground.value,
        "ticket": act.ticket,
        "in_a_week": str(in_a_week),
    }
    told = [
        role
        for role in hosted
        if await gate.record_for_organisation(
            workers.GOVERNANCE, organisation, EmergencyEvent.BEGUN, facts, (role,)
        )
    ]
    return Announced(tuple(told), await _mailed(gate, organisation, officers, now))


async def _mailed(
    gate: Gate, organisation: ParticipantIdentifier, officers: tuple[Subject, ...], now: datetime
) -> tuple[str, ...]:
    """Queue a mail to each officer with an address in the message client, and return their ids.

    If the message client's vault cannot be opened, no mail is queued: the logs have the emergency anyway.
    """
    if gate.registry.find(organisation, Role.MESSAGE_CLIENT) is None:
        return ()
    try:
        async with gate.open(workers.GOVERNANCE, organisation, Role.MESSAGE_CLIENT, Purpose.PROCESS) as vault:
            choices = await vault.notice_choices()
            chosen = [each.id for each in officers if each.id in choices]
            for person in chosen:
                content = {"to": choices[person]["address"], "until": (now + _TRIED).isoformat()}
                vault.add_notice(NoticeRecord(new_id(), NOTICE, None, now, now, 0, None, None, content))
    except VaultError:
        return ()
    return tuple(chosen)


def opens(keys: KeyStore, gate: Gate, organisation: ParticipantIdentifier) -> Mapping[Role, Opens]:
    """Return the means by which the vault of each role is opened."""
    found: dict[Role, Opens] = {}
    for role in Role:
        registration = gate.registry.find(organisation, role)
        if registration is not None:
            token, officer = keys.in_token(registration.vault), keys.locked(registration.vault)
            found[role] = Opens.TOKEN if token else Opens.OFFICER if officer else Opens.OPERATOR
    return found


REACH = {
    Opens.TOKEN: "no way to content: the vault opens with the organisation's HSM alone",
    Opens.OFFICER: "no way to content: the vault waits for the passphrase of the organisation's officer",
    Opens.OPERATOR: "content is not shown by any command, but root on the machine can read it: the vault"
    " opens with the operator's passphrase (docs/threat-model.md, What remains)",
}
