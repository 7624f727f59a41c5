"""The table that maps the ids of people in logs to names: separate from the logs, and encrypted with age.

A log identifies people by random ids, so that it can be handed over, kept and shown without their names. The
recipients that the organisation has chosen combine the two on a machine of their own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyrage

from samdrift.administration.administration import Administration
from samdrift.attestation.agefile import fingerprint, recipient_keys
from samdrift.attestation.errors import MoveError, MoveFault
from samdrift.config.errors import shown
from samdrift.contracts.principals import Principal, PrincipalKind, Purpose, Role
from samdrift.keystore.durablefiles import write_new
from samdrift.portability.events import MoveEvent
from samdrift.vault.messageservice import MessageServiceVault
from samdrift.vault.people import People
from samdrift.wire.identifiers import ParticipantIdentifier

FORMAT = "samdrift names 1"
WITH_PERSONS = (Role.MESSAGE_CLIENT, Role.MESSAGE_SERVICE, Role.GOVERNANCE)
"""Roles with vaults that know people: those who sign in, and those for whom systems act."""
_LARGEST = 64 << 20
_USER = "user:"


async def write_names(
    installation: Administration,
    organisation: ParticipantIdentifier,
    by: str,
    recipients: Sequence[str],
    out: Path,
) -> int:
    """Write the new file ``out``, encrypted for ``recipients``, and return the number of people in it.

    ``by`` is the person who asks; the organisation's log records that before anything is read.
    """
    worker = Principal(PrincipalKind.WORKER, f"log names by {by}")
    gate, names = installation.gate, dict[str, str]()
    hosted = [role for role in WITH_PERSONS if gate.registry.find(organisation, role) is not None]
    for role in hosted:
        async with gate.open(worker, organisation, role, Purpose.EXPORT) as vault:
            marks = " ".join(fingerprint(each) for each in recipients)
            vault.record(MoveEvent.LOG_NAMES_WRITTEN, by=by, recipients=marks)
    for role in hosted:
        async with gate.open(worker, organisation, role, Purpose.EXPORT) as vault:
            if isinstance(vault, People | MessageServiceVault):
                persons = await vault.persons()
                names |= {one.id: one.identity.name or one.identity.subject for one in persons}
    document = {"format": FORMAT, "organisation": organisation.value, "persons": names}
    content = json.dumps(document, ensure_ascii=False).encode()
    if not write_new(out, pyrage.encrypt(content, recipient_keys(recipients))):
        raise FileExistsError(out)
    return len(names)


def read_names(file: Path, keys: Sequence[pyrage.x25519.Identity]) -> Mapping[str, str]:
    """Return the names by id; :class:`MoveError` if the file is invalid or ``keys`` do not open it."""
    with file.open("rb") as opened:
        sealed = opened.read(_LARGEST + 1)
    try:
        document = json.loads(pyrage.decrypt(sealed[:_LARGEST], keys))
        if document["format"] != FORMAT:
            raise ValueError
        return {str(person): str(name) for person, name in document["persons"].items()}
    except pyrage.DecryptError:
        raise MoveError(MoveFault.OTHER_RECIPIENT, f"{shown(file)}: is not encrypted for this key") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise MoveError(MoveFault.DAMAGED, f"{shown(file)}: is not a table of names") from None


def with_name(text: str, names: Mapping[str, str]) -> str:
    """Return a value from a log with the person's name added, if the value is a person's id."""
    name = names.get(text.removeprefix(_USER))
    return text if name is None else f"{text} ({name})"
