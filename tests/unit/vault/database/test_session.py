"""A session: one round trip for many statements, typed errors, and no half-used state."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
from collections.abc import AsyncIterator
from typing import Any, cast

import psycopg
import pytest
import pytest_asyncio

from samdrift.vault.database.cluster import refused_login
from samdrift.vault.database.server import Database
from samdrift.vault.database.session import Byteas, Int4s, Int8s, Session, Texts
from samdrift.vault.errors import (
    EndedByDatabase,
    LoginRefused,
    UnknownRecord,
    VaultRefused,
    VaultUnavailable,
)
from tests.vaults import NOW, Installation


@pytest_asyncio.fixture
async def session(installation: Installation) -> AsyncIterator[Session]:
    database = await Database.start(installation.settings)
    opened = await Session.connect(database.registry().address)
    yield opened
    opened.close()
    await database.stop()


async def test_statements_are_answered_in_order(session: Session) -> None:
    answers = await session.run(
        [("SELECT 1", ()), ("SELECT generate_series(1, $1)", (3,)), ("SELECT 2 WHERE false", ())]
    )
    assert answers == [[(1,)], [(1,), (2,), (3,)], []]


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        0,
        2**31,
        -(2**62),
        "",
        "Orosanmälan 😀",
        b"",
        bytes(range(256)),
        NOW,
        ["a", "b"],
        [b"x", b""],
        [1, 2**40],
    ],
    ids=lambda value: repr(value)[:20],
)
async def test_values_come_back_as_they_were(session: Session, value: object) -> None:
    kind = {
        type(None): "text",
        bool: "bool",
        int: "int8",
        str: "text",
        bytes: "bytea",
        type(NOW): "timestamptz",
    }
    sql_type = kind[type(value)] if not isinstance(value, list) else f"{kind[type(value[0])]}[]"
    assert await session.run([(f"SELECT $1::{sql_type}", (value,))]) == [[(value,)]]


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (Byteas, []),
        (Byteas, [b"", bytes(range(256)), b"x" * 70_000]),
        (Texts, []),
        (Texts, ["", "åäö 🙂", '{"a",NULL}', "x" * 70_000]),
        (Int4s, []),
        (Int4s, [0, 1, -(2**31), 2**31 - 1]),
        (Int8s, []),
        (Int8s, [0, 1, -(2**63), 2**63 - 1]),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else str(len(value)),
)
async def test_a_list_of_a_known_type_has_that_type_whatever_is_in_it(
    session: Session, kind: type[list[Any]], values: list[Any]
) -> None:
    """An array can only be compared with one of exactly its own type."""
    name = {Byteas: "bytea[]", Texts: "text[]", Int4s: "int4[]", Int8s: "int8[]"}[kind]
    ((row,),) = await session.run([(f"SELECT $1, $1 = '{{}}'::{name}", (kind(values),))])
    assert row == (values, not values)


async def test_one_statement_with_values_of_several_types_is_prepared_for_each(session: Session) -> None:
    for value in (1, 2**20, 2**40, None, 1):
        assert await session.run([("SELECT $1::int8", (value,))]) == [[(value,)]]


async def test_a_large_value_passes_both_ways(session: Session) -> None:
    data = os.urandom(20_000_000)
    ((row,),) = await session.run([("SELECT $1::bytea", (data,))])
    assert row == (data,)


async def test_an_error_ends_the_batch_and_spares_the_session(session: Session) -> None:
    with pytest.raises(VaultRefused) as caught:
        await session.run([("SELECT 1", ()), ("SELECT 1 / $1", (0,)), ("SELECT 2", ())])
    assert caught.value.code == "22012"
    assert await session.run([("SELECT 2", ())]) == [[(2,)]]
    assert not session.closed


async def test_what_a_failed_batch_did_is_undone(session: Session) -> None:
    with pytest.raises(VaultRefused):
        await session.run([("SET application_name = 'left'", ()), ("SELECT 1 / 0", ())])
    assert await session.run([("SHOW application_name", ())]) == [[("samdrift",)]]


@pytest.mark.parametrize("value", ["a\0b", "\ud800"], ids=["nul", "lone surrogate"])
async def test_a_text_that_cannot_be_stored_is_refused(session: Session, value: str) -> None:
    with pytest.raises(VaultRefused):
        await session.run([("SELECT $1::text", (value,))])
    assert await session.run([("SELECT 1", ())]) == [[(1,)]]


async def test_errors_repeat_no_value(session: Session) -> None:
    with pytest.raises(VaultRefused) as caught:
        await session.run([("SELECT $1::text::int", ("Kim Svensson",))])
    assert "Kim" not in f"{caught.value}{caught.value.__cause__}{caught.value.__context__}"


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("SD404", UnknownRecord),
        ("08006", VaultUnavailable),
        ("40001", EndedByDatabase),
        ("53100", EndedByDatabase),
        ("57014", EndedByDatabase),
        ("57P01", VaultUnavailable),
        ("23505", VaultRefused),
    ],
)
async def test_codes_become_typed_errors(session: Session, code: str, error: type[Exception]) -> None:
    with pytest.raises(error) as raised:
        await session.run([(f"DO $$ BEGIN RAISE 'x' USING ERRCODE = '{code}'; END $$", ())])
    assert type(raised.value) is error, (
        "a statement that the server ended must differ from a server that is lost"
    )
    if isinstance(raised.value, VaultUnavailable):
        assert raised.value.cause == f"the database ended the work (SQLSTATE {code})"


async def test_a_cancelled_wait_closes_the_session(session: Session) -> None:
    waiting = asyncio.create_task(
        session.run([("DO $$ BEGIN PERFORM 1 FROM generate_series(1, 1e9); END $$", ())])
    )
    await asyncio.sleep(0.05)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert session.closed
    with pytest.raises(VaultUnavailable):
        await session.run([("SELECT 1", ())])


@pytest.mark.parametrize("way", ["lost", "closed", "cancelled"])
async def test_a_connection_that_ends_while_statements_are_sent_leaves_no_failure_that_nobody_hears_of(
    session: Session, way: str
) -> None:
    """The loop would otherwise write its own line for it, later and without a cause."""
    unheard = list[dict[str, Any]]()
    asyncio.get_running_loop().set_exception_handler(lambda loop, told: unheard.append(told))
    process = session.backend
    os.kill(process, signal.SIGSTOP)  # The server stops reading, so sent data queues up.
    running = asyncio.create_task(session.run([("SELECT $1::bytea", (b"x" * 50_000_000,))]))
    try:
        await asyncio.sleep(0.1)
        if way == "lost":
            with socket.socket(fileno=os.dup(session._pg.socket)) as connection:
                connection.shutdown(socket.SHUT_RDWR)
        elif way == "closed":
            session.close()
        else:
            running.cancel()
        (ended,) = await asyncio.gather(running, return_exceptions=True)
    finally:
        os.kill(process, signal.SIGCONT)
    assert isinstance(ended, asyncio.CancelledError if way == "cancelled" else VaultUnavailable)
    del running, ended
    await asyncio.sleep(0.1)
    gc.collect()
    assert unheard == []


async def test_a_lost_connection_is_noticed_while_idle(session: Session, installation: Installation) -> None:
    gone = asyncio.Event()
    session.on_close = gone.set
    await terminate(installation, session.backend)
    await asyncio.wait_for(gone.wait(), 60)
    with pytest.raises(VaultUnavailable):
        await session.run([("SELECT 1", ())])


async def test_a_connection_lost_at_work_is_a_typed_error(
    session: Session, installation: Installation
) -> None:
    waiting = asyncio.create_task(
        session.run([("DO $$ BEGIN PERFORM 1 FROM generate_series(1, 1e9); END $$", ())])
    )
    await asyncio.sleep(0.05)
    await terminate(installation, session.backend)
    with pytest.raises(VaultUnavailable):
        await waiting


async def test_a_connection_lost_after_its_last_answer_is_a_typed_error(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loss comes before the task that waits for the answer has read it."""
    collect = Session._collect

    def collect_and_break(broken: Session) -> None:
        collect(broken)
        if broken._answered is not None and broken._answered.done():
            broken.close()

    monkeypatch.setattr(Session, "_collect", collect_and_break)
    with pytest.raises(VaultUnavailable):
        await session.run([("SELECT now()", ())])


async def test_a_wrong_password_is_a_typed_error(installation: Installation) -> None:
    database = await Database.start(installation.settings)
    try:
        with pytest.raises(VaultUnavailable):
            await Session.connect(database.login(database.registry_login, "guess").address)
    finally:
        await database.stop()


async def test_a_server_without_a_free_connection_has_refused_no_login(installation: Installation) -> None:
    """A start then waits, and nobody is sent to look for a wrong password."""
    database = installation.provisioner.database
    login, limit = database.registry_login, "SELECT rolconnlimit FROM pg_roles WHERE rolname = %s"
    async with installation.provisioner.beside() as administrator:
        ((most,),) = await (await administrator.execute(limit.encode(), (login,))).fetchall()
        await administrator.execute(f"ALTER ROLE {login} CONNECTION LIMIT 0".encode())
        try:
            with pytest.raises(VaultUnavailable) as caught:
                await database.registry_session()
        finally:
            await administrator.execute(f"ALTER ROLE {login} CONNECTION LIMIT {most}".encode())
    assert not isinstance(caught.value, LoginRefused)
    assert caught.value.cause.startswith("the database has no free connections at ")
    (await database.registry_session()).close()


async def test_a_database_that_does_not_exist_has_refused_no_login(installation: Installation) -> None:
    with pytest.raises(VaultUnavailable) as caught:
        await installation.provisioner.database.administrators_connection("d" + "0" * 32)
    assert not isinstance(caught.value, LoginRefused)


class _Asked:
    """A connection whose server asked for a password."""

    used_password, host, port = True, b"certificate.example.se", b"5432"


_REFUSED = 'connection to server at "certificate.example.se", port 5432 failed: FATAL: password of "x" wrong'
_GONE = 'connection to server at "192.0.2.1", port 5432 failed: Connection refused'
_FULL = 'connection failed: FATAL: too many connections for role "x"'
_ALL = "Multiple connection attempts failed. All failures were:"


@pytest.mark.parametrize(
    ("said", "refused"),
    [
        (_REFUSED, True),
        (f"{_REFUSED}\n{_ALL}\n- host: 'a': {_GONE}\n- host: 'b': {_REFUSED}", True),
        (f"{_FULL}\n{_ALL}\n- host: 'a': {_REFUSED}\n- host: 'b': {_FULL}", False),
    ],
)
def test_the_host_that_was_asked_last_refuses_a_login_whatever_its_name_and_the_others_say(
    said: str, refused: bool
) -> None:
    """Otherwise the next of several passwords would not be tried while one host is down."""
    error = psycopg.OperationalError(said, pgconn=cast(psycopg.pq.abc.PGconn, _Asked()))
    assert isinstance(refused_login(error), LoginRefused) is refused


async def terminate(installation: Installation, backend: int) -> None:
    """Let the administrator end a connection."""
    database = await Database.start(installation.settings)
    administrator = await Session.connect(database.administrator())
    try:
        await administrator.run([("SELECT pg_terminate_backend($1::int)", (backend,))])
    finally:
        administrator.close()
        await database.stop()
