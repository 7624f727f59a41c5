"""The state of each dependency: a change writes one line, and sets the metric."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

import httpx
import pytest
from prometheus_client import CollectorRegistry

from samdrift.cli.status import _line
from samdrift.contracts.malware import ScannerUnavailable
from samdrift.installation import health as module
from samdrift.installation import metrics
from samdrift.installation.health import (
    GONE,
    Condition,
    Dependency,
    Health,
    SharedServices,
    outcome,
    trying,
)
from samdrift.vault.errors import VaultUnavailable
from tests.vaults import NOW, until


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(autouse=True)
def usual_window(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use the product's window, which is not in force in tests of whole operators in the same process."""
    monkeypatch.setattr(module, "_WINDOW", timedelta(seconds=60))


@pytest.mark.parametrize("hours", [3, -3])
def test_a_clock_that_is_set_right_alters_no_length_of_an_outage(
    clock: Clock, caplog: pytest.LogCaptureFixture, hours: int
) -> None:
    """The length used to be -10757 s."""
    seconds = 0.0
    health = Health(clock, elapsed=lambda: seconds)
    clock.now += timedelta(hours=hours)
    health.note("clock", reason=f"{hours} h from the database's")
    clock.now, seconds = NOW + timedelta(seconds=62), 62.0
    (gone,) = map(Condition.read, (one.document() for one in health.conditions()))
    assert _line(gone, clock.now).split() == ["GONE", "62", "s", "clock:", *gone.reason.split()]
    health.note("clock")
    assert caplog.messages[-1] == "clock: back after 62 s"


def test_a_change_writes_one_line_and_what_stays_none(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    health = Health(clock, elapsed=lambda: clock.now.timestamp())
    health.note("smp", "smp.example.se")
    for seconds in range(14):
        health.note("smp", "smp.example.se", f"connection refused, attempt {seconds}")
        clock.now += timedelta(seconds=1)
    for _ in range(3):
        health.note("smp", "smp.example.se")
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("WARNING", "smp smp.example.se: gone since 2026-03-02T12:00:00Z: connection refused, attempt 0"),
        ("WARNING", "smp smp.example.se: back after 14 s"),
    ]
    (there,) = health.conditions()
    back = NOW + timedelta(seconds=14)
    last = "connection refused, attempt 13"
    assert there == Condition("smp", "smp.example.se", None, "", back, NOW, last)
    assert Condition.read(there.document()) == there


def test_one_call_of_many_that_got_no_answer_is_no_outage_while_a_later_one_did(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    health, began = Health(clock), clock.now
    clock.now += timedelta(seconds=5)
    health.note("access-point", "ap.example.se", began=clock.now)
    clock.now += timedelta(seconds=5)
    health.note("access-point", "ap.example.se", "POST: timeout", began)
    assert [one.gone_since for one in health.conditions()] == [None]
    assert caplog.records == []
    health.note("access-point", "ap.example.se", "POST: refused", clock.now)
    assert [one.gone_since for one in health.conditions()] == [clock.now]
    assert len(caplog.records) == 1


@pytest.mark.parametrize(
    "answered_later", [False, True], ids=["fails", "no answer while later calls have one"]
)
def test_a_service_that_answers_a_part_of_the_calls_is_gone_and_not_again_and_again(
    clock: Clock, caplog: pytest.LogCaptureFixture, answered_later: bool
) -> None:
    """Every third call fails for five minutes; the person on call is alerted once, not a hundred times."""
    health, reason = Health(clock), "it answers 503"
    for call in range(150):
        began = clock.now
        clock.now += timedelta(seconds=2)
        if call % 3 == 2:
            if answered_later:
                health.note("smp", "smp.example.se")
            health.note("smp", "smp.example.se", reason, began if answered_later else None)
        else:
            health.note("smp", "smp.example.se")
    (gone,) = health.conditions()
    assert gone.reason == f"it answers only some of the calls: {reason}"
    assert len(caplog.messages) <= 5
    since = gone.gone_since
    assert caplog.messages[-1] == f"smp smp.example.se: gone since {since:%Y-%m-%dT%H:%M:%SZ}: {gone.reason}"
    caplog.clear()
    for _ in range(45):
        clock.now += timedelta(seconds=2)
        health.note("smp", "smp.example.se")
    (there,) = health.conditions()
    assert there.gone_since is None
    assert len(caplog.messages) == 1
    assert ": back after " in caplog.messages[0]


def test_a_service_that_answered_in_part_and_then_not_at_all_is_gone_for_that_reason(clock: Clock) -> None:
    health = Health(clock)
    for call in range(60):
        clock.now += timedelta(seconds=5)
        health.note("smp", "smp.example.se", "it answers 503" if call % 2 or call > 30 else "")
    (gone,) = health.conditions()
    assert gone.reason == "it answers 503"


def test_what_is_tried_by_itself_is_there_with_its_next_answer_however_often_it_was_gone(
    clock: Clock,
) -> None:
    """The installation is ready again after that answer."""
    health = Health(clock)
    for _ in range(9):
        for reason in ("connection refused", ""):
            clock.now += timedelta(seconds=2)
            health.note("database", "", reason)
            assert bool(health.conditions()[0].gone_since) is bool(reason)


def test_calls_that_began_in_an_outage_and_end_after_it_say_nothing_of_the_time_since(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    health, began = Health(clock), clock.now
    health.note("smp", "smp.example.se")
    for _ in range(5):
        clock.now += timedelta(seconds=2)
        health.note("smp", "smp.example.se", "no answer in time", began)
    in_outage = clock.now
    for _ in range(5):
        clock.now += timedelta(seconds=1)
        health.note("smp", "smp.example.se")
        health.note("smp", "smp.example.se", "no answer in time", in_outage)
    (there,) = health.conditions()
    assert there.gone_since is None
    assert len(caplog.messages) == 2


def test_a_few_calls_of_hundreds_that_get_no_answer_are_no_outage(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    health = Health(clock)
    for call in range(600):
        began = clock.now
        clock.now += timedelta(seconds=0.5)
        health.note("smp", "smp.example.se")
        if call % 40 == 39:
            health.note("smp", "smp.example.se", "no answer in time", began)
    assert caplog.messages == []
    assert health.conditions()[0].gone_since is None


def test_an_outage_is_known_also_after_the_clock_was_set_back(clock: Clock) -> None:
    """An answer from the future says nothing about a call that has begun since."""
    health = Health(clock)
    health.note("smp", "smp.example.se", began=clock.now)
    clock.now -= timedelta(hours=1)
    began = clock.now
    clock.now += timedelta(seconds=5)
    health.note("smp", "smp.example.se", "no answer in time", began)
    assert [one.gone_since for one in health.conditions()] == [clock.now]


def test_what_is_another_process_affair_now_has_no_state_here_and_no_line_says_it_is_back(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    health = Health(clock)
    health.note("log", "a", "a witness has not answered")
    caplog.clear()
    health.note("log", "a", None)
    health.note("log", "unknown", None)
    assert health.conditions() == ()
    assert caplog.records == []


def test_a_service_that_many_call_is_one_line_and_back_for_the_last_of_them(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    seconds = 0.0
    health = Health(clock, elapsed=lambda: seconds)
    shared = SharedServices(Dependency.LOG_SYSTEM, health.note, timedelta(minutes=5), elapsed=lambda: seconds)
    shared.note("logs.example.se:6514", "", caller="one")
    assert health.conditions() == (), (
        "a service that never failed must have no state, as there may be hundreds"
    )
    for caller in ("one", "other", "one"):
        shared.note("logs.example.se:6514", "connection refused", caller=caller)
    shared.note("logs.example.se:6514", "", caller="one")
    assert len(caplog.messages) == 1, "it must count as gone as long as the other caller has not reached it"
    shared.note("logs.example.se:6514", "", caller="other")
    assert [text.rpartition(": ")[2] for text in caplog.messages] == ["connection refused", "back after 0 s"]


def test_a_service_that_is_not_called_any_more_is_forgotten_and_not_before_that(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """A process that lost its work for a moment used to write a second line about the same outage."""
    now = [0.0]
    health = Health(clock, elapsed=lambda: 0)
    shared = SharedServices(Dependency.LOG, health.note, timedelta(minutes=5), elapsed=lambda: now[0])
    shared.note("witness w", "connection refused", caller="one")
    for now[0] in (250.0, 500.0):
        shared.forget()
        shared.note("witness w", "connection refused", caller="other")
    shared.forget()
    shared.note("witness w", "", caller="other")
    assert [text.partition(" since")[0] for text in caplog.messages] == [
        "log witness w: gone",
        "log witness w: back after 0 s",
    ], "a caller that no longer calls must not keep it gone"
    shared.note("witness w", "connection refused")
    now[0] = 801.0
    shared.forget()
    assert health.conditions() == ()
    assert len(caplog.messages) == 3, "forgetting it must not be logged as a recovery"


def test_the_last_reason_is_the_one_that_is_shown_and_the_first_moment(clock: Clock) -> None:
    health = Health(clock)
    health.note("scanner")
    health.note("database", reason="connection refused at 127.0.0.1:5432")
    clock.now += timedelta(minutes=1)
    health.note("database", reason="the database is starting")
    gone, there = health.conditions()
    assert gone == Condition("database", "", NOW, "the database is starting")
    assert there == Condition("scanner", there_since=NOW)
    assert [Condition.read(one.document()) for one in (gone, there)] == [gone, there]


def test_the_metric_counts_those_of_a_kind_that_are_gone(clock: Clock) -> None:
    health, registry = Health(clock), CollectorRegistry()
    registry.register(health)
    for host in ("a", "b", "c"):
        health.note("smp", host, "" if host == "c" else "away")
    health.note("scanner")
    assert registry.get_sample_value(GONE, {"dependency": "smp"}) == 2
    assert registry.get_sample_value(GONE, {"dependency": "scanner"}) == 0


def test_what_another_process_logs_is_known_and_not_logged(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    health = Health(clock, elsewhere=["scanner"])
    health.note("scanner", reason="away")
    assert caplog.records == []
    assert health.conditions()[0].gone_since == NOW


async def test_a_token_is_noted_from_the_thread_that_uses_it(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    health = Health(clock)
    note = health.of_tokens()
    await asyncio.to_thread(note, "habo", "there is no token with the organisation's label")
    await until(lambda: bool(health.conditions()))
    (gone,) = health.conditions()
    assert (gone.dependency, gone.at, gone.gone_since) == ("hsm", "habo", NOW)
    assert [record.getMessage() for record in caplog.records] == [
        "hsm habo: gone since 2026-03-02T12:00:00Z: there is no token with the organisation's label"
    ]


def test_hosts_that_others_name_at_will_do_not_fill_the_memory(clock: Clock) -> None:
    health = Health(clock)
    health.note("database")
    for number in range(1000):
        health.note("smp", f"{number}.example.se", "away")
    assert len(health.conditions()) == module._MOST
    assert Condition("database", there_since=NOW) in health.conditions()


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (VaultUnavailable("connection refused at 127.0.0.1:5432"), "connection refused at 127.0.0.1:5432"),
        (VaultUnavailable(), "the vault cannot be reached now"),
        (ScannerUnavailable("the malware scanner cannot be reached", "no such file"), "no such file"),
        (ConnectionRefusedError(111, "Connection refused"), "connection refused"),
        (KeyError("a secret"), "KeyError"),
    ],
)
async def test_the_reason_is_in_words_of_ours(error: Exception, reason: str) -> None:
    async def fail() -> None:
        raise error

    assert await outcome(fail) == reason


async def test_a_dependency_is_tried_until_it_is_back(
    clock: Clock, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_EVERY", 0.001)
    monkeypatch.setattr(module, "_WHILE_GONE", 0.001)
    health, tries = Health(clock), {"there": 0, "away": 0}
    away = asyncio.Event()

    async def reach() -> None:
        tries["away" if away.is_set() else "there"] += 1
        if away.is_set():
            raise VaultUnavailable("connection refused")

    with caplog.at_level(logging.INFO):
        async with trying(health, {"database": reach}):
            await until(lambda: tries["there"] > 2)
            away.set()
            await until(lambda: tries["away"] > 2)
            away.clear()
            before = tries["there"]
            await until(lambda: tries["there"] > before + 1)
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]


async def _unreachable() -> None:
    raise VaultUnavailable("connection refused")


@pytest.mark.parametrize("measure", [_unreachable, asyncio.Event().wait], ids=["refused", "silent"])
async def test_metrics_say_that_the_database_is_gone_while_it_is(
    measure: Callable[[], Awaitable[None]], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without an answer, monitoring would conclude that the whole installation is gone."""
    monkeypatch.setattr(metrics, "_PATIENCE", 0.01)
    health, registry = Health(clock), CollectorRegistry()
    registry.register(health)
    health.note("database", reason="connection refused at 127.0.0.1:5432")
    transport = httpx.ASGITransport(metrics.metrics_application(registry, measure))
    async with httpx.AsyncClient(transport=transport, base_url="http://watched") as client:
        answer = await client.get(metrics.PATH)
    assert answer.status_code == 200
    assert f'{GONE}{{dependency="database"}} 1.0' in answer.text
