"""Unlocking of vaults in a running process by an organisation's officer, after which their work resumes."""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import Mapping
from typing import Any

from samdrift.contracts import workers
from samdrift.contracts.principals import Purpose, Role
from samdrift.installation.control import Command, ControlRefused
from samdrift.installation.events import RunEvent
from samdrift.keystore.interface import KeyStore
from samdrift.keystore.keyfiles import KeyStoreError
from samdrift.net.clock import system_clock
from samdrift.vault.errors import VaultError
from samdrift.vault.gate import Gate
from samdrift.vault.people import WITH_SESSIONS, People
from samdrift.vault.registry import Registration
from samdrift.wire.errors import WireError
from samdrift.wire.identifiers import ParticipantIdentifier

UNLOCK = "unlock"
AGAIN = "again"
"""Value of the command: another process of the installation has already unlocked them and recorded it."""
WHO = "who"
"""Value of the command: the operator's staff member who gave it, as facts of an entry (JSON)."""
NOT_UNLOCKED = "%s: %s is not unlocked here, while it is elsewhere: %s; its officer must unlock it again"
"""Log message with the process, the organisation and the reason."""
_LONGEST_BEFORE = 100.0
"""Maximum delay of a start in seconds; a process that takes too long to start serving is killed."""
_LOGGER = logging.getLogger("samdrift")


def unlocking(gate: Gate, keys: KeyStore) -> Command:
    """Return the command that accepts an officer's passphrase; the opened keys stay only in memory.

    Its answer names the roles whose vaults were unlocked, and the reason if some were not or a further step
    failed.
    """

    async def unlock(told: Mapping[str, Any]) -> dict[str, Any]:
        try:
            organisation = ParticipantIdentifier.parse(told["organisation"])
            passphrase = told["passphrase"].encode()
        except (WireError, KeyError, AttributeError):
            raise ControlRefused("an organisation and a passphrase are needed") from None
        who = _facts(told)
        hosted = vaults_of(gate, organisation)
        if not hosted:
            raise ControlRefused("the organisation is not served here")
        opened = list[Registration]()
        answer: dict[str, Any] = {}
        try:
            for one in hosted:
                if await _unlocked(keys, one.vault, passphrase):
                    opened.append(one)
        except ControlRefused as error:
            answer["refused"] = str(error)
        if opened and AGAIN not in told:
            try:
                await _recorded(gate, organisation, opened, who)
            except ControlRefused as error:
                answer["refused"] = str(error)
        return {"unlocked": [one.role.value for one in opened]} | answer

    return unlock


async def unlock_again(unlock: Command, unlocked: Mapping[str, str]) -> None:
    """Unlock vaults that officers unlocked before this process began, before it accepts connections or work.

    If that takes too long, the start continues and the parent unlocks the rest afterwards, so that other
    organisations need not wait.
    """
    cores = asyncio.Semaphore(os.cpu_count() or 1)

    async def one(organisation: str, passphrase: str) -> None:
        async with cores:
            told = {"organisation": organisation, "passphrase": passphrase, AGAIN: ""}
            try:
                refused = (await unlock(told)).get("refused")
            except ControlRefused as error:
                refused = str(error)
        if refused is not None:
            _LOGGER.error(NOT_UNLOCKED, "this process", organisation, refused)

    try:
        async with asyncio.timeout(_LONGEST_BEFORE):
            await asyncio.gather(*(one(*each) for each in unlocked.items()))
    except TimeoutError:
        _LOGGER.warning("unlocking takes too long: some organisations are unlocked after the start")


def vaults_of(gate: Gate, organisation: ParticipantIdentifier) -> list[Registration]:
    """Return the organisation's vaults, one for each of its roles."""
    return [one for one in gate.registry.all() if one.organisation == organisation]


async def _unlocked(keys: KeyStore, vault: str, passphrase: bytes) -> bool:
    """Unlock a vault if it waits for its officer; return whether it did."""
    if not keys.locked(vault):
        return False
    try:
        await asyncio.to_thread(keys.unlock, vault, passphrase)
    except KeyStoreError as error:
        raise ControlRefused(error.text) from None
    return True


def _facts(told: Mapping[str, Any]) -> dict[str, str]:
    """Return the facts of who gave the command; empty if it came from an earlier version."""
    try:
        facts = json.loads(told.get(WHO, "{}"))
    except (TypeError, ValueError):
        facts = None
    if not isinstance(facts, dict) or not all(isinstance(each, str) for each in facts.values()):
        raise ControlRefused("malformed facts about who unlocks")
    return facts


async def _recorded(
    gate: Gate, organisation: ParticipantIdentifier, opened: list[Registration], who: Mapping[str, str]
) -> None:
    """Record the unlocking, and catch up on changes made while the vaults were locked."""
    for one in opened:
        await _logged(gate, one, who)
        await _without_sessions(gate, one)
    await _copied(gate, organisation)


async def _copied(gate: Gate, organisation: ParticipantIdentifier) -> None:
    """Update the copies of signed statements, so that rights that ended meanwhile end here, too."""
    if gate.registry.find(organisation, Role.GOVERNANCE) is None:
        return
    from samdrift.governance.records import Records  # Needed only for unlocking.

    try:
        await Records(gate, system_clock).copy(organisation)
    except VaultError as error:
        raise ControlRefused(f"unlocked, but {error}; run samdrift gov statement copy") from None


async def _without_sessions(gate: Gate, one: Registration) -> None:
    """End all sessions, because a logout notice that came while the vault was locked had no effect."""
    if one.role not in WITH_SESSIONS or not one.active:
        return
    try:
        async with gate.open(workers.UNLOCKING, one.organisation, one.role, Purpose.MAINTAIN) as vault:
            assert isinstance(vault, People)
            await vault.end_all_sessions("unlocked")
    except VaultError as error:
        raise ControlRefused(f"unlocked, but {error}; persons stay signed in") from None


async def _logged(gate: Gate, one: Registration, who: Mapping[str, str]) -> None:
    """Record the unlocking in the organisation's own log, where this process may write it."""
    try:
        await gate.record_for_organisation(
            workers.UNLOCKING, one.organisation, RunEvent.VAULT_UNLOCKED, who, [one.role]
        )
    except VaultError as error:
        raise ControlRefused(f"unlocked, but {error}") from None
