"""Lines of the running program about what goes wrong: one for each outage, with its cause."""

from __future__ import annotations

import pytest

from samdrift.audit.operations import postponing, unexpected
from samdrift.vault.errors import VaultDenied, VaultRefused, VaultUnavailable


def test_an_outage_that_many_calls_meet_is_one_line_with_its_cause(caplog: pytest.LogCaptureFixture) -> None:
    """Whoever is woken reads what is gone, and not how many peers have asked meanwhile."""
    log = postponing("interface A")
    for _ in range(100):
        log(VaultUnavailable("key store: there is no such folder"))
    log(VaultUnavailable("connection refused at 192.0.2.1:5432"))
    assert caplog.messages == [
        "interface A asked to come again: VaultUnavailable: key store: there is no such folder",
        "interface A asked to come again: VaultUnavailable: connection refused at 192.0.2.1:5432",
    ]


def test_what_has_no_cause_is_told_each_time(caplog: pytest.LogCaptureFixture) -> None:
    """It may be another one each time."""
    log = postponing("interface A")
    for _ in range(2):
        log(VaultDenied())
    assert caplog.messages == ["interface A asked to come again: VaultDenied"] * 2


def test_what_the_database_refused_is_told_by_its_state_and_not_in_its_words(
    caplog: pytest.LogCaptureFixture,
) -> None:
    unexpected("the log")(VaultRefused("SD409"))
    assert caplog.messages == ["unexpected VaultRefused in the log (): SQLSTATE SD409"]
