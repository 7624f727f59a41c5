"""Unlocking in a running process: statements made while a vault was locked reach it after the passphrase."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any, cast

import pytest

from samdrift.contracts.principals import Purpose, Role
from samdrift.contracts.statements import NumberedStatement
from samdrift.installation import unlocking as module
from samdrift.installation.control import ControlRefused
from samdrift.installation.events import RunEvent
from samdrift.installation.unlocking import AGAIN, WHO, unlock_again, unlocking
from samdrift.keystore.interface import KeyStore
from samdrift.keystore.keyfiles import KeyFault, KeyStoreError
from tests.unit.governance.test_records import COPIES, begun, stored
from tests.unit.rights.building import ANNA, CILLA, SCHOOL
from tests.unit.rights.test_record import grant
from tests.vaults import Installation


class Locked:
    """A key store in which each vault waits for its officer once."""

    def __init__(self) -> None:
        self.opened: set[str] = set()
        self.with_another = False
        """True if all vaults but the first have another passphrase."""

    def locked(self, vault: str) -> bool:
        return vault not in self.opened

    def unlock(self, vault: str, passphrase: bytes) -> None:
        assert passphrase == b"the officer's own words"
        if self.opened and self.with_another:
            raise KeyStoreError(KeyFault.LOCKED, "the passphrase is not the officer's")
        self.opened.add(vault)


async def unlock(installation: Installation, keys: Locked, organisation: str) -> dict[str, Any]:
    command = unlocking(installation.gate, cast(KeyStore, keys))
    return await command({"organisation": organisation, "passphrase": "the officer's own words"})


async def test_copies_of_signed_statements_are_brought_up_to_date(installation: Installation) -> None:
    organisation, house, _ = await begun(installation)
    signed = house.sign(ANNA, grant(house, CILLA, SCHOOL))
    number = house.record.number + 1
    async with installation.open(organisation, Role.GOVERNANCE, Purpose.MAINTAIN) as vault:
        await vault.append_signed_statements([NumberedStatement(number, signed.content)])
    keys = Locked()
    answer = await unlock(installation, keys, organisation.value)
    assert set(answer["unlocked"]) == {role.value for role in Role}
    for role in COPIES:
        assert (await stored(installation, organisation, role))[-1].content == signed.content
    assert await unlock(installation, keys, organisation.value) == {"unlocked": []}


async def test_an_organisation_without_governance_has_nothing_to_copy(installation: Installation) -> None:
    organisation = await installation.organisation((Role.MESSAGE_SERVICE,))
    assert await unlock(installation, Locked(), organisation.value) == {"unlocked": ["mt"]}
    with pytest.raises(ControlRefused, match="not served"):
        await unlock(installation, Locked(), "0203:nobody.se")


async def test_the_log_has_who_unlocked_and_what_proves_it(installation: Installation) -> None:
    """The officer's passphrase opens it; the member of staff who typed it in is a separate matter."""
    organisation = await installation.organisation((Role.ACCESS_POINT,))
    keys = Locked()
    command = unlocking(installation.gate, cast(KeyStore, keys))
    told = {"organisation": organisation.value, "passphrase": "the officer's own words"}
    for unknown in ("[]", "{", '{"by": 1}', 7):
        with pytest.raises(ControlRefused, match="malformed facts about who"):
            await command({**told, WHO: unknown})
    assert keys.opened == set()
    facts = {"by": "ola", "proof": "signature", "proof_text": "{}", "proof_signature": "AAAA"}
    assert await command({**told, WHO: json.dumps(facts)}) == {"unlocked": ["ap"]}
    async with installation.open(organisation, Role.ACCESS_POINT, Purpose.TRACE) as vault:
        (entry,) = [each for each in await vault.log() if each.event == RunEvent.VAULT_UNLOCKED]
    assert facts.items() <= entry.ids.items()


async def test_a_vault_that_is_open_is_recorded_though_the_next_one_refuses(
    installation: Installation,
) -> None:
    organisation = await installation.organisation((Role.ACCESS_POINT, Role.MESSAGE_SERVICE))
    keys = Locked()
    keys.with_another = True
    answer = await unlock(installation, keys, organisation.value)
    assert answer["refused"] == "the passphrase is not the officer's"
    assert answer["unlocked"] == ["ap"]
    async with installation.open(organisation, Role.ACCESS_POINT, Purpose.TRACE) as vault:
        assert RunEvent.VAULT_UNLOCKED in [each.event for each in await vault.log()]


async def test_a_start_unlocks_what_was_unlocked_before_and_logs_what_refuses(
    caplog: pytest.LogCaptureFixture,
) -> None:
    told: list[Mapping[str, Any]] = []

    async def command(values: Mapping[str, Any]) -> dict[str, Any]:
        told.append(values)
        match values["organisation"]:
            case "0203:wrong.se":
                return {"unlocked": [], "refused": "the passphrase is not the officer's"}
            case "0203:gone.se":
                raise ControlRefused("the organisation is not served here")
        return {"unlocked": ["mt"]}

    names = "0203:wrong.se", "0203:gone.se", "0203:right.se"
    await unlock_again(command, dict.fromkeys(names, "the officer's own words"))
    assert [each["organisation"] for each in told] == [*names]
    assert all(AGAIN in each for each in told)
    assert len(caplog.messages) == 2
    assert [name for name in names if any(name in line for line in caplog.messages)] == [*names[:2]]
    assert "own words" not in caplog.text


async def test_a_start_does_not_wait_for_ever_for_what_is_unlocked(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def command(values: Mapping[str, Any]) -> dict[str, Any]:
        await asyncio.Event().wait()
        return {}

    monkeypatch.setattr(module, "_LONGEST_BEFORE", 0.01)
    await unlock_again(command, {"0203:a.se": "the officer's own words"})
    (line,) = caplog.messages
    assert "after the start" in line
