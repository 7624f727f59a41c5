"""What is said when the administrator cannot look after the queue of notifications."""

from __future__ import annotations

from typing import Any, cast

import psycopg
import pytest

from samdrift.vault.errors import VaultUnavailable
from samdrift.vault.notifyqueue import NotifyQueue


class Database:
    """One whose administrator meets an error."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    async def administrators_connection(self) -> None:
        raise self.error


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (psycopg.OperationalError("connection to server failed: Connection refused"), "connection refused"),
        (psycopg.OperationalError("the connection is lost"), "no connection to the database"),
        (VaultUnavailable("no socket at /somewhere:5432"), "no socket at /somewhere:5432"),
        (psycopg.errors.InsufficientPrivilege("kim"), "see docs/database.md"),
    ],
)
async def test_an_outage_is_said_once_with_its_cause(
    caplog: pytest.LogCaptureFixture, error: Exception, why: str
) -> None:
    queue = NotifyQueue(cast(Any, Database(error)))
    for _ in range(3):
        await queue._look_or_complain()
    assert caplog.messages == [f"database: nobody looks after the queue of notifications now: {why}"]
