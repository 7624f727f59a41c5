"""Sessions: found only by a mark, ended by idle and total time, and ended from everywhere."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from samdrift.web.sessions import SessionLimits, Sessions
from tests.unit.web.scene import ANNA, NOW, Clock, MemoryStore

KEY = b"k" * 32
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def sessions(store: MemoryStore, clock: Clock) -> Sessions:
    return Sessions(store, KEY, clock)


async def begun(sessions: Sessions, sign_in: bytes = b"1") -> str:
    value = await sessions.begin(ANNA, sign_in)
    assert value is not None
    return value


async def test_a_session_is_found_by_its_cookie(sessions: Sessions) -> None:
    session = await sessions.find(await begun(sessions))
    assert session is not None
    assert (session.person, session.began) == (ANNA, NOW)


async def test_the_cookies_value_is_not_in_the_store(sessions: Sessions, store: MemoryStore) -> None:
    value = await begun(sessions)
    assert value not in repr(store)
    assert value.encode() not in b"".join(store.sessions)


async def test_what_the_store_holds_opens_no_session(sessions: Sessions, store: MemoryStore) -> None:
    await begun(sessions)
    (mark,) = store.sessions
    for stolen in (mark.hex(), mark.decode("latin-1")):
        assert await sessions.find(stolen) is None


async def test_a_cookie_means_nothing_to_another_organisation(
    sessions: Sessions, store: MemoryStore, clock: Clock
) -> None:
    """This holds even in a shared store, because the key of the marks is the organisation's."""
    value = await begun(sessions)
    assert await Sessions(store, b"o" * 32, clock).find(value) is None


async def test_it_is_over_after_half_an_hour_without_use(sessions: Sessions, clock: Clock) -> None:
    value = await begun(sessions)
    clock.forward(30 * MINUTE - SECOND)
    assert await sessions.find(value) is not None
    clock.forward(30 * MINUTE - SECOND)
    assert await sessions.find(value) is not None
    clock.forward(30 * MINUTE)
    assert await sessions.find(value) is None


async def test_it_is_over_after_ten_hours_however_much_it_is_used(sessions: Sessions, clock: Clock) -> None:
    value = await begun(sessions)
    for _ in range(59):
        clock.forward(10 * MINUTE)
        assert await sessions.find(value) is not None
    clock.forward(10 * MINUTE)
    assert await sessions.find(value) is None


async def test_a_session_that_is_over_is_removed(
    sessions: Sessions, store: MemoryStore, clock: Clock
) -> None:
    value = await begun(sessions)
    clock.forward(HOUR)
    await sessions.find(value)
    assert store.sessions == {}


async def test_both_times_are_settings(store: MemoryStore, clock: Clock) -> None:
    sessions = Sessions(store, KEY, clock, SessionLimits(idle=MINUTE, whole=2 * MINUTE))
    value = await begun(sessions)
    clock.forward(MINUTE)
    assert await sessions.find(value) is None


async def test_the_store_is_written_to_at_most_once_a_minute(
    sessions: Sessions, store: MemoryStore, clock: Clock
) -> None:
    value = await begun(sessions)
    for _ in range(12):
        clock.forward(10 * SECOND)
        await sessions.find(value)
    assert store.touched == 2


async def test_one_sign_in_begins_one_session(sessions: Sessions, store: MemoryStore) -> None:
    value = await begun(sessions, b"same")
    assert await sessions.begin(ANNA, b"same") is None
    session = await sessions.find(value)
    assert session is not None
    await sessions.end(session)
    assert await sessions.begin(ANNA, b"same") is None


async def test_ending_is_seen_at_the_next_request(sessions: Sessions) -> None:
    one, other = await begun(sessions, b"1"), await begun(sessions, b"2")
    session = await sessions.find(one)
    assert session is not None
    await sessions.end(session)
    assert await sessions.find(one) is None
    assert await sessions.find(other) is not None


async def test_sessions_end_from_outside(sessions: Sessions, clock: Clock) -> None:
    mine = await sessions.begin(replace(ANNA, provider_session="s1"), b"1")
    second = await sessions.begin(replace(ANNA, provider_session="s2"), b"2")
    others = await sessions.begin(replace(ANNA, subject="bo", provider_session="s3"), b"3")
    assert mine is not None
    assert second is not None
    assert others is not None
    assert await sessions.end_of(ANNA.issuer, None, "s1", clock()) == 1
    assert await sessions.find(mine) is None
    assert await sessions.end_of(ANNA.issuer, ANNA.subject, None, clock()) == 1
    assert await sessions.find(second) is None
    assert await sessions.find(others) is not None


async def test_form_tokens_are_bound_to_a_session_and_an_organisation(
    sessions: Sessions, store: MemoryStore, clock: Clock
) -> None:
    one, other = await begun(sessions, b"1"), await begun(sessions, b"2")
    token = sessions.form_token(one)
    assert sessions.is_form_token(one, token)
    assert not sessions.is_form_token(other, token)
    assert not Sessions(store, b"o" * 32, clock).is_form_token(one, token)


@pytest.mark.parametrize("token", ["", "x", "é", "A" * 86, "A" * 85, "=", "AAAA\n"])
async def test_what_is_no_form_token_is_refused(sessions: Sessions, token: str) -> None:
    assert not sessions.is_form_token(await begun(sessions), token)


async def test_a_form_token_never_looks_the_same(sessions: Sessions) -> None:
    """Otherwise a compressed answer would reveal it piece by piece."""
    value = await begun(sessions)
    tokens = {sessions.form_token(value) for _ in range(100)}
    assert len(tokens) == 100
    assert all(sessions.is_form_token(value, token) for token in tokens)
