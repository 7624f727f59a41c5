"""A snapshot of a vault lasts for as long as reading it takes."""

from __future__ import annotations

from samdrift.contracts.principals import Role
from samdrift.vault.portability.departure import MessageClientDeparture
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.vaults import WORKER, Installation

_ENDING = ("statement_timeout", "transaction_timeout", "idle_in_transaction_session_timeout")
_SET_FOR = "SELECT unnest(setconfig) FROM pg_db_role_setting s JOIN pg_roles r ON r.oid = s.setrole"


async def test_no_time_limit_of_the_vaults_login_ends_a_snapshot(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    found = installation.gate.registry.find(organisation, Role.MESSAGE_CLIENT)
    assert found is not None
    async with installation.provisioner.beside() as connection:
        rows = await (await connection.execute(f"{_SET_FOR} WHERE r.rolname = %s", [found.login])).fetchall()
    settings = dict(setting.split("=", 1) for (setting,) in rows)
    limits = {name for name in settings if name.endswith("_timeout")} - {"lock_timeout"}
    assert limits == set(_ENDING), "every limit of the login that can end a transaction is tested here"

    async with installation.gate.depart(WORKER, organisation, MessageClientDeparture, {}) as vault:
        current = ", ".join(f"current_setting('{name}')" for name in _ENDING)
        assert await vault._snapshot.query(f"SELECT {current}") == [("0",) * len(_ENDING)]
