"""Reports when the administrator cannot look after the queue of notifications."""

from __future__ import annotations

from typing import Any, cast

import psycopg
import pytest

from samdrift.vault.errors import LoginRefused, VaultUnavailable
from samdrift.vault.notifyqueue import NotifyQueue


class Database:
    """A database whose administrator's connection fails."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    async def administrators_connection(self) -> None:
        raise self.error


SAID = "database: the notification queue cannot be monitored now: "
AWAY = [
    (psycopg.OperationalError("connection to server failed: Connection refused"), "connection refused"),
    (psycopg.OperationalError("the connection is lost"), "no connection to the database"),
    (VaultUnavailable("no socket at /somewhere:5432"), "no socket at /somewhere:5432"),
]
SHUT_OUT = [
    (psycopg.errors.InsufficientPrivilege("kim"), "see docs/database.md"),
    (LoginRefused(), "the database refused one of the platform's logins"),
]


async def looked(queue: NotifyQueue, times: int) -> None:
    for _ in range(times):
        await queue._look_or_complain()


@pytest.mark.parametrize(("error", "why"), AWAY)
async def test_a_database_that_is_away_for_long_is_said_once_with_its_cause(
    caplog: pytest.LogCaptureFixture, error: Exception, why: str
) -> None:
    """Before that, the database's own line is enough."""
    queue = NotifyQueue(cast(Any, Database(error)))
    await looked(queue, 60)
    assert caplog.messages == []
    await looked(queue, 3)
    assert caplog.messages == [SAID + why]


@pytest.mark.parametrize(("error", "why"), SHUT_OUT)
async def test_an_administrator_who_is_not_let_in_is_said_once_and_immediately(
    caplog: pytest.LogCaptureFixture, error: Exception, why: str
) -> None:
    queue = NotifyQueue(cast(Any, Database(error)))
    await looked(queue, 3)
    assert caplog.messages == [SAID + why]


async def test_that_the_queue_is_looked_after_again_is_said_where_it_was_not(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def look(queue: NotifyQueue) -> None:
        return None

    queue = NotifyQueue(cast(Any, Database(psycopg.errors.InsufficientPrivilege("kim"))))
    await looked(queue, 1)
    monkeypatch.setattr(NotifyQueue, "look", look)
    await looked(queue, 2)
    again = "database: the notification queue is monitored again"
    assert caplog.messages == [f"{SAID}see docs/database.md", again]
