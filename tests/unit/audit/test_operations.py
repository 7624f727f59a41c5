"""Log lines of the running program about failures: one for each outage, with its cause."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from samdrift.audit import operations
from samdrift.audit.operations import failing, postponing, unexpected
from samdrift.contracts.errors import Temporary
from samdrift.keystore.keyfiles import KeyFault, KeyStoreError
from samdrift.vault.errors import (
    EndedByDatabase,
    LoginRefused,
    VaultDenied,
    VaultRefused,
    VaultSuspended,
    VaultUnavailable,
)


def test_an_outage_that_many_calls_meet_is_one_line_with_its_cause(caplog: pytest.LogCaptureFixture) -> None:
    """The person on call reads what is unavailable, not how many peers have asked meanwhile.

    The dependency itself causes a warning, so that failing calls do not cause another one.
    """
    caplog.set_level("INFO", "samdrift")
    log = postponing("interface A")
    for _ in range(100):
        log(VaultUnavailable("key store: there is no such folder"))
    log(VaultUnavailable("connection refused at 192.0.2.1:5432"))
    assert {each.levelname for each in caplog.records} == {"INFO"}
    assert caplog.messages == [
        "interface A asked the caller to retry later: VaultUnavailable: key store: there is no such folder",
        "interface A asked the caller to retry later: VaultUnavailable: connection refused at 192.0.2.1:5432",
    ]


def test_an_outage_that_no_dependency_tells_of_warns(caplog: pytest.LogCaptureFixture) -> None:
    """Examples are a login that is refused, or a database that ends one kind of work."""
    log = postponing("interface A")
    for _ in range(2):
        log(EndedByDatabase("the database ended the work (SQLSTATE 57014)"))
    log(LoginRefused())
    assert caplog.messages == [
        "interface A asked the caller to retry later: EndedByDatabase:"
        " the database ended the work (SQLSTATE 57014)",
        "interface A asked the caller to retry later: LoginRefused",
    ]


def test_what_has_no_cause_is_told_each_time(caplog: pytest.LogCaptureFixture) -> None:
    """The reason may be a different one each time."""
    log = postponing("interface A")
    for _ in range(2):
        log(VaultDenied())
    assert caplog.messages == ["interface A asked the caller to retry later: VaultDenied"] * 2


def test_what_a_person_has_caused_is_one_line_however_many_call(caplog: pytest.LogCaptureFixture) -> None:
    log = postponing("interface A")
    for _ in range(100):
        log(VaultSuspended())
    assert caplog.messages == [
        "interface A asked the caller to retry later: the organisation is suspended here"
    ]


def test_what_the_database_refused_is_told_by_its_state_and_not_in_its_words(
    caplog: pytest.LogCaptureFixture,
) -> None:
    unexpected("the log")(VaultRefused("SD409"))
    assert caplog.messages == ["unexpected VaultRefused in the log (): SQLSTATE SD409"]


def test_a_key_that_cannot_be_used_has_its_fault_in_the_line(caplog: pytest.LogCaptureFixture) -> None:
    unexpected("the log")(KeyStoreError(KeyFault.MISSING, "the vault has no keys"))
    assert caplog.messages == ["unexpected KeyStoreError in the log (): the vault has no keys"]


REFUSED = "connection refused at 192.0.2.1:5432"


class Clock:
    """A clock that advances only when a test says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr(operations.time, "monotonic", lambda: self.now)

    def pass_(self, seconds: int, met: Callable[[], None]) -> None:
        """Let time pass, with one failure in each second."""
        for _ in range(seconds):
            met()
            self.now += 1


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_work_that_waits_leaves_a_short_outage_to_the_line_of_its_dependency(
    caplog: pytest.LogCaptureFixture, clock: Clock
) -> None:
    """Otherwise each process of an organisation would have lines of its own about the same outage."""
    log = failing("access-point-outbound", Temporary)
    clock.pass_(300, lambda: log(VaultUnavailable(REFUSED)))
    clock.now += 150
    clock.pass_(300, lambda: log(VaultUnavailable(REFUSED)))
    assert caplog.messages == []


def test_work_that_waits_for_long_says_what_for_and_not_where_in_our_code(
    caplog: pytest.LogCaptureFixture, clock: Clock
) -> None:
    """A line is logged after five minutes and then once an hour, for each cause, whatever the attempts."""
    log = failing("access-point-outbound", Temporary)

    def met() -> None:
        log(VaultUnavailable(REFUSED))
        log(VaultUnavailable())

    clock.pass_(301, met)
    first = [
        ("WARNING", f"access-point-outbound waits: {REFUSED}"),
        ("WARNING", "access-point-outbound waits: the vault cannot be reached now"),
    ]
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == first
    clock.pass_(3600, met)
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == first * 2


def test_work_that_is_tried_a_minute_after_it_has_failed_says_what_for_after_five(
    caplog: pytest.LogCaptureFixture, clock: Clock
) -> None:
    """The removal of messages is tried like that, and takes some time itself."""
    log = failing("disposal", Temporary)
    for _ in range(6):
        log(VaultUnavailable(REFUSED))
        clock.now += 61
    assert caplog.messages == [f"disposal waits: {REFUSED}"]


def test_what_is_no_outage_has_the_places_that_it_came_through_immediately(
    caplog: pytest.LogCaptureFixture,
) -> None:
    failing("access-point-outbound", Temporary)(VaultRefused("SD409"))
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("ERROR", "unexpected VaultRefused in access-point-outbound (): SQLSTATE SD409"),
    ]
