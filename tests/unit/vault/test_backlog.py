"""A long queue costs no more than a short one, counted in pages that the database touches, not time."""

from __future__ import annotations

import json

import psycopg
import pytest

from samdrift.contracts.principals import Role
from tests.separation.vaultlogin import Row, superuser, vault_login
from tests.sizes import sampled
from tests.vaults import NOW, Installation

FILL = {
    Role.ACCESS_POINT: """
        INSERT INTO {schema}.transfers
            (id, envelope_id, as4_message_id, conversation_id, sender, recipient, document, document_scheme,
             process, process_scheme, created_at, due_at, body, size, digest)
        SELECT 't' || n, 'e' || n, 'm', 'c', 's', 'r' || n %% 20, 'd', 'ds', 'p', 'ps', %s, %s,
               'b' || n, 1, ''
        FROM generate_series(%s::int, %s::int) n
    """,
    Role.MESSAGE_SERVICE: """
        INSERT INTO {schema}.work (kind, id, due_at) SELECT 'message', 'm' || n, greatest(%s, %s)
        FROM generate_series(%s::int, %s::int) n
    """,
}
QUEUE = {Role.ACCESS_POINT: "transfers", Role.MESSAGE_SERVICE: "work"}
QUESTIONS = {
    Role.ACCESS_POINT: (
        "SELECT * FROM claim_in_turn('{now}', '{now}'::timestamptz + interval '5 min', 4, 3, '{{}}', 'r7')",
        "SELECT min(due_at) FROM transfers WHERE due_at IS NOT NULL",
        "SELECT min(due_at) FROM transfers WHERE due_at > '{now}'",
    ),
    Role.MESSAGE_SERVICE: (
        "SELECT * FROM claim_work('{now}', '{now}'::timestamptz + interval '5 min', 4)",
        "SELECT min(due_at) FROM work",
    ),
}


def pages(connection: psycopg.Connection[Row], question: str) -> int:
    """Return the number of pages that answering ``question`` touches, including those in functions."""
    ((plan,),) = connection.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {question}".encode()).fetchall()
    (top,) = plan if isinstance(plan, list) else json.loads(plan)
    return int(top["Plan"]["Shared Hit Blocks"] + top["Plan"]["Shared Read Blocks"])


def most_pages(connection: psycopg.Connection[Row], question: str) -> int:
    return max(pages(connection, question.format(now=NOW.isoformat())) for _ in range(5))


@pytest.mark.parametrize("role", sampled(FILL), ids=str)
async def test_claims_touch_as_few_pages_with_100_000_waiting(installation: Installation, role: Role) -> None:
    """So does a session that planned its claims while the queue was empty, before any statistics."""
    organisation = await installation.organisation([role])
    login = await vault_login(installation, organisation, role)
    administrator = await superuser(installation)
    fill = FILL[role].format(schema=login.schema)
    # The trigger would query for each row, which is slow enough for autovacuum to run meanwhile.
    administrator.rows(f"ALTER TABLE {login.schema}.{QUEUE[role]} DISABLE TRIGGER keep_moment")
    with login.connect() as connection:
        for question in QUESTIONS[role] * 8:
            pages(connection, question.format(now=NOW.isoformat()))
        administrator.rows(fill, NOW, NOW, 1, 1_000)
        few = [most_pages(connection, question) for question in QUESTIONS[role]]
        administrator.rows(fill, NOW, NOW, 1_001, 100_000)
        many = [most_pages(connection, question) for question in QUESTIONS[role]]
    assert all(after <= before + 30 for before, after in zip(few, many, strict=True)), (few, many)
    await installation.provisioner.drop(organisation, role)
