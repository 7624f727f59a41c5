"""Lines of the running program about what goes wrong: one for each outage, with its cause."""

from __future__ import annotations

import pytest

from samdrift.audit.operations import failing, postponing, unexpected
from samdrift.contracts.errors import Temporary
from samdrift.keystore.keyfiles import KeyFault, KeyStoreError
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


def test_a_key_that_cannot_be_used_has_its_fault_in_the_line(caplog: pytest.LogCaptureFixture) -> None:
    unexpected("the log")(KeyStoreError(KeyFault.MISSING, "the vault has no keys"))
    assert caplog.messages == ["unexpected KeyStoreError in the log (): the vault has no keys"]


def test_work_that_waits_for_a_dependency_says_what_for_and_not_where_in_our_code(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """One line a minute, however often it is tried; what is no outage has the places that it came through."""
    log = failing("access-point-outbound", Temporary)
    for _ in range(100):
        log(VaultUnavailable("connection refused at 192.0.2.1:5432"))
    log(VaultUnavailable())
    log(VaultRefused("SD409"))
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("WARNING", "access-point-outbound waits: connection refused at 192.0.2.1:5432"),
        ("WARNING", "access-point-outbound waits: the vault cannot be reached now"),
        ("ERROR", "unexpected VaultRefused in access-point-outbound (): SQLSTATE SD409"),
    ]
