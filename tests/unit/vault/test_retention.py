"""Every table has a rule against endless growth, and expired rows are removed in small steps."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast, get_type_hints

import psycopg
import pytest
from psycopg import sql

from samdrift.config.roles import AccessPointConfig, MessageServiceConfig, check_attempts
from samdrift.config.toml import Table
from samdrift.config.values import SocketAddress
from samdrift.contracts.messages import Direction, ReceiptState
from samdrift.contracts.principals import Role
from samdrift.contracts.transfer import TransferReason
from samdrift.vault.accesspoint import AccessPointVault
from samdrift.vault.messageservice import MessageServiceVault
from samdrift.vault.records import Received
from samdrift.vault.retention import DUPLICATE_WINDOW, NOTICED, REGISTRY, SEARCHED, TABLES
from samdrift.vault.rights import WORKERS_REGISTRY
from samdrift.vault.sessionkeys import Claim, RefusalLimit
from samdrift.vault.upkeep import forget_in_vault
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.separation.vaultlogin import Superuser, superuser, vault_login
from tests.vaults import MINUTE, Installation, body, incoming, message, receipt, submitted

AP, MT, MK = Role.ACCESS_POINT, Role.MESSAGE_SERVICE, Role.MESSAGE_CLIENT
DAY = timedelta(days=1)
PRESENT = datetime.now(UTC)
"""The current time; the database's own clock protects young rows and decides which are old."""
OLD, YOUNG = PRESENT - 200 * DAY, PRESENT - 170 * DAY
VERY_OLD = PRESENT - 500 * DAY


def tables_of(administrator: Superuser, schema: str) -> set[str]:
    return {name for name in administrator.tables(schema) if not name.endswith("_seq")}


async def rows(
    installation: Installation, organisation: ParticipantIdentifier, role: Role, table: str
) -> int:
    login = await vault_login(installation, organisation, role)
    ((number,),) = (await superuser(installation)).rows(f"SELECT count(*) FROM {login.schema}.{table}")
    return int(number)


async def test_every_table_of_every_role_has_a_rule_by_which_its_rows_end(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    administrator = await superuser(installation)
    for role in Role:
        schema = (await vault_login(installation, organisation, role)).schema
        found = tables_of(administrator, schema)
        assert found == set(TABLES[role]), f"add each table of {role} to the rules in vault/retention.py"
    assert tables_of(administrator, "registry") == set(REGISTRY)
    assert tables_of(administrator, WORKERS_REGISTRY) <= {"versions"}


def longest(config: type, name: str) -> int:
    """Return the largest value that the configuration accepts for a key."""
    (key,) = get_type_hints(config, include_extras=True)[name].__metadata__
    low, high = 1, 1 << 40
    while low < high:
        middle = (low + high + 1) // 2
        try:
            key.kind.read(middle, Path())
            low = middle
        except ValueError:
            high = middle - 1
    return low


def access_point(attempts: int, interval: int) -> AccessPointConfig:
    where = SocketAddress("127.0.0.1", 8443)
    return AccessPointConfig("AP", "ap.test", where, where, attempts=attempts, interval_seconds=interval)


def test_no_sender_can_be_told_to_repeat_for_longer_than_duplicates_are_found() -> None:
    """Attempts cut short by a restart do not count, so that there may be twice as many."""
    table = cast(Table, None)
    assert list(check_attempts(access_point(30, 86400), table)) == []
    ((where, text),) = check_attempts(access_point(31, 86400), table)
    assert (where, text.split(",")[0]) == ("attempts", "go on for more than 30 days")
    assert 2 * timedelta(days=30) < DUPLICATE_WINDOW
    steps = ("submit_seconds", "transfer_seconds", "receipt_seconds")
    waits = sum((timedelta(seconds=longest(MessageServiceConfig, each)) for each in steps), timedelta(0))
    assert waits < DUPLICATE_WINDOW


async def failed_transfer(installation: Installation, whose: ParticipantIdentifier, at: datetime) -> str:
    async with installation.open(whose, AP) as vault:
        transfer = await submitted(vault)
        await vault.failed(transfer.id, now=at, reason=TransferReason.GIVEN_UP, detail="")
    return transfer.envelope.envelope_id


async def delivered_transfer(installation: Installation, whose: ParticipantIdentifier, at: datetime) -> str:
    async with installation.open(whose, AP) as vault:
        transfer = await submitted(vault)
        await vault.delivered(transfer.id, now=at, receipt=b"receipt", peer="AP0002-SDK-TEST")
    return transfer.id


async def test_an_access_point_forgets_failed_transfers_and_old_news_and_no_proof(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    old, young = [await failed_transfer(installation, organisation, at) for at in (OLD, YOUNG)]
    proved = await delivered_transfer(installation, organisation, OLD)
    await forget_in_vault(installation.gate, AP, organisation)
    async with installation.open(organisation, AP) as vault:
        assert await vault.status(old) is None
        assert await vault.status(young) is not None
        assert await vault.proof(proved) == b"receipt"
        assert [event.envelope_id for event in await vault.events(0, 10)] == [young]


async def test_a_message_service_forgets_items_and_ids_and_rejected_ones_and_nothing_that_is_stored(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    stored, deleted, young = (message(Direction.IN, at=at) for at in (OLD, OLD, YOUNG))
    async with installation.open(organisation, MT) as vault:
        for number, each in enumerate((stored, deleted, young)):
            at = each.created_at
            taken = await vault.receive(
                each, await body(vault), None, None, item_id=f"item {number}", now=at, lease=None
            )
            assert taken is Received.STORED
    async with installation.open(organisation, MT) as vault:
        assert await vault.delete(deleted.id, Direction.IN)
        assert await vault.delete(young.id, Direction.IN)
    await forget_in_vault(installation.gate, MT, organisation)
    async with installation.open(organisation, MT) as vault:
        assert await vault.message(stored.id) is not None
        assert [await vault.was_processed(f"item {number}") for number in range(3)] == [False, False, True]
    assert await rows(installation, organisation, MT, "messages") == 2
    async with installation.open(organisation, MT) as vault:
        again = await vault.receive(
            young, await body(vault), None, None, item_id="item 4", now=PRESENT, lease=None
        )
    assert again is Received.DUPLICATE_ID, "an id younger than the window must still be found"


async def test_it_goes_in_small_steps_that_another_opening_can_come_between(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    for _ in range(5):
        await failed_transfer(installation, organisation, OLD)
    left = []
    more = True
    while more:
        async with installation.open(organisation, AP) as vault:
            more = await vault.forget_duplicates(limit=2)
        left.append(await rows(installation, organisation, AP, "transfers"))
    assert left == [3, 1, 0]


@pytest.mark.parametrize("role", [AP, MT])
async def test_the_database_refuses_to_forget_what_a_sender_may_still_repeat(
    installation: Installation, organisation: ParticipantIdentifier, role: Role
) -> None:
    """The vault's own login cannot make the database forget, even if a process's clock is wrong."""
    login = await vault_login(installation, organisation, role)
    connection = login.connect()
    try:
        connection.execute(sql.SQL("SET search_path = {}").format(sql.Identifier(login.schema)))
        for function, days in (("forget_duplicates", 179), ("dispose_proofs", 360)):
            with pytest.raises(psycopg.Error) as refused:
                connection.execute(f"SELECT {function}(now() - interval '{days} days', 10)".encode())
            assert refused.value.sqlstate == "SD409"
            connection.rollback()
    finally:
        connection.close()


async def test_the_database_forgets_searches_and_notices_when_their_rules_say(
    installation: Installation,
) -> None:
    """The rules are in the code and in the database's functions, and must mean the same moment."""
    organisation = await installation.organisation([MK])
    login = await vault_login(installation, organisation, MK)
    connection = login.connect()
    moment = timedelta(seconds=1)
    try:
        connection.execute(sql.SQL("SET search_path = {}").format(sql.Identifier(login.schema)))
        for name, before in (("older", SEARCHED + moment), ("younger", SEARCHED - moment)):
            connection.execute("SELECT keep_search(%s, 'kim', %s, '')", (name, PRESENT - before))
        connection.execute("SELECT keep_search('new', 'kim', %s, '')", (PRESENT,))
        for name, before in (("older", NOTICED + moment), ("younger", NOTICED - moment)):
            began = PRESENT - before
            connection.execute("SELECT add_notice(%s, 'new', NULL, %s, %s, '')", (name, began, began))
            connection.execute("SELECT move_notice(%s, NULL, 'sent', %s, '')", (name, began))
        connection.execute("SELECT add_notice('new', 'new', NULL, %s, %s, '')", (PRESENT, PRESENT))
        connection.commit()
    finally:
        connection.close()
    administrator = await superuser(installation)
    for table in ("searches", "notices"):
        left = administrator.rows(f"SELECT id FROM {login.schema}.{table} ORDER BY id")
        assert left == [("new",), ("younger",)], table


async def test_an_envelope_whose_message_is_forgotten_does_not_open_again(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    """A recording may be replayed after the window, so its key stays marked as long as the vault lives."""

    async def take(now: datetime) -> Claim:
        async with installation.open(organisation, MT) as vault:
            limit = RefusalLimit(3, timedelta(hours=1))
            claimed = await vault.take_session_key(
                b"k" * 32, None, envelope=b"e", created=OLD, sender="0203:a.se", limit=limit, now=now
            )
            return claimed.claim

    assert await take(OLD) is Claim.TAKEN
    assert await take(OLD + DUPLICATE_WINDOW - MINUTE) is Claim.TAKEN
    assert await take(OLD + DUPLICATE_WINDOW + MINUTE) is Claim.USED


async def disposed(vault: AccessPointVault | MessageServiceVault, before: datetime) -> None:
    while await vault.dispose_proofs(before, limit=1):
        pass


async def test_proofs_of_exchanges_go_with_the_decision_about_their_entries_in_the_log(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    old, young = [await delivered_transfer(installation, organisation, at) for at in (VERY_OLD, OLD)]
    item = incoming()
    async with installation.open(organisation, AP) as vault:
        await vault.accept(item, await body(vault), b"given", now=VERY_OLD)
    async with installation.open(organisation, AP) as vault:
        (waiting,) = await vault.inbox(10)
        await disposed(vault, PRESENT - 400 * DAY)
    async with installation.open(organisation, AP) as vault:
        assert await vault.known_receipt(item.as4_message_id, item.peer) == b"given", (
            "the envelope still waits, so its receipt must be kept"
        )
        await vault.acknowledge(waiting.id, now=VERY_OLD)
        await disposed(vault, PRESENT - 400 * DAY)
    async with installation.open(organisation, AP) as vault:
        assert await vault.known_receipt(item.as4_message_id, item.peer) is None
        assert await vault.proof(old) is None
        assert await vault.proof(young) == b"receipt"


async def test_a_receipt_stays_for_as_long_as_its_message(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    kept, gone = (message(Direction.IN, at=VERY_OLD) for _ in range(2))
    async with installation.open(organisation, MT) as vault:
        for number, each in enumerate((kept, gone)):
            own = receipt(each.id)
            await vault.receive(
                each, await body(vault), own, b"<xml/>", item_id=str(number), now=VERY_OLD, lease=None
            )
            await vault.set_receipt_state(own.id, ReceiptState.DELIVERED, now=VERY_OLD, deadline=None)
    login = await vault_login(installation, organisation, MT)
    (await superuser(installation)).rows(
        f"UPDATE {login.schema}.receipts SET created_at = '{VERY_OLD.isoformat()}' RETURNING id"
    )
    async with installation.open(organisation, MT) as vault:
        await vault.delete(gone.id, Direction.IN)
        await disposed(vault, PRESENT - 400 * DAY)
    async with installation.open(organisation, MT) as vault:
        assert await vault.receipt_for_message(kept.id) is not None
        assert await vault.receipt_for_message(gone.id) is None


async def test_that_nothing_was_to_be_forgotten_leaves_no_entry(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    async with installation.open(organisation, AP) as vault:
        before = await vault.log_end()
    await forget_in_vault(installation.gate, AP, organisation)
    async with installation.open(organisation, AP) as vault:
        assert await vault.log_end() == before
