"""News of work for other processes: retried after a failure, and sent once if nothing else brings it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from samdrift.vault import announcing
from samdrift.vault.announcing import Announcements
from samdrift.vault.database.session import Statement
from samdrift.vault.errors import EndedByDatabase, LoginRefused, VaultUnavailable
from tests.vaults import until

FULL = EndedByDatabase("the database ended the work (SQLSTATE 54000)")
TOLD = "database: notifications cannot be sent now ({}): other processes find work by polling"


@pytest.mark.parametrize(
    ("failure", "lines"),
    [
        (VaultUnavailable("connection refused at 192.0.2.1:5432"), []),
        (FULL, [TOLD.format(FULL.cause)]),
        (LoginRefused(), [TOLD.format(LoginRefused.text)]),
    ],
    ids=["the database is away", "the queue is full", "the login is refused"],
)
async def test_what_is_not_sent_is_sent_later_and_told_where_nothing_else_tells_it(
    failure: VaultUnavailable,
    lines: list[str],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(announcing, "_AGAIN_AFTER", 0.0)
    failures, sent = 3, list[Statement]()

    async def run(statements: Sequence[Statement]) -> None:
        nonlocal failures
        failures -= 1
        if failures >= 0:
            raise failure
        sent.extend(statements)

    announcements = Announcements(run)
    announcements.start()
    announcements.ask("channel")
    await until(lambda: bool(sent))
    await announcements.stop()
    assert announcements.failures == 3
    assert caplog.messages == lines
