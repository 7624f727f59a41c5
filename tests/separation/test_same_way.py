"""Another organisation's record and a non-existent one cost the same statements in as many round trips.

Response times therefore cannot tell them apart. No test asserts a time; this asserts the work on which the
time is spent. That the responses are equal is tested elsewhere
(tests/roles/test_isolation_check.py, tests/separation/test_every_operation.py).
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Sequence
from contextvars import ContextVar
from typing import Any

import pytest
import pytest_asyncio

from samdrift.accesspoint.interface_c import Polling
from samdrift.accesspoint.problems import Problem
from samdrift.config.model import OrganisationConfig
from samdrift.contracts.messageclients import Scope, patterns
from samdrift.contracts.principals import Principal, PrincipalKind, Role
from samdrift.isolationcheck.canary import Planted, deliver, nonexistent, plant
from samdrift.isolationcheck.check import QUESTIONS
from samdrift.messageservice.access import Access
from samdrift.messageservice.interface_d.filters import Filters
from samdrift.messageservice.interface_d.mailboxes import Mailboxes
from samdrift.net.interface_c import PollRequest
from samdrift.scheduling.signals import Signals
from samdrift.vault.database.session import Session, Statement
from samdrift.vault.errors import UnknownRecord
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.sizes import sampled
from tests.unit.accesspoint.ends import settling
from tests.vaults import NOW, Installation

Way = list[list[str]]
"""Statements of each round trip."""
_ATTEMPT: ContextVar[bool] = ContextVar("attempt", default=False)
"""True in an attempt and the tasks that it starts, so that other background work is not recorded."""


@pytest.fixture
def way(monkeypatch: pytest.MonkeyPatch) -> Way:
    """Record the statements that attempts send to the database."""
    found: Way = []
    run = Session.run

    async def noted(self: Session, statements: Sequence[Statement]) -> Any:
        if _ATTEMPT.get():
            found.append([sql for sql, _ in statements])
        return await run(self, statements)

    monkeypatch.setattr(Session, "run", noted)
    return found


@pytest_asyncio.fixture(scope="module")
async def planted(installation: Installation) -> Planted:
    """Return another organisation's records, one of which waits to be fetched."""
    organisation = await installation.organisation()
    canary = OrganisationConfig(organisation, "Grannkommun", tuple(Role), ("sdk.granne",))
    found = await plant(installation.gate, canary, NOW)
    item_id = await deliver(installation.gate, found, NOW)
    return Planted(**{**{name: getattr(found, name) for name in found.__slots__}, "item_id": item_id})


async def goes(way: Way, attempt: Callable[[], Awaitable[object]]) -> Way:
    way.clear()
    began = _ATTEMPT.set(True)
    try:
        with contextlib.suppress(UnknownRecord, Problem):
            await attempt()
    finally:
        _ATTEMPT.reset(began)
    return list(way)


@pytest.mark.parametrize(
    ("role", "name"), sampled((role, name) for role, (_, by_name) in QUESTIONS.items() for name in by_name)
)
async def test_a_vault_is_asked_the_same(
    installation: Installation, planted: Planted, way: Way, role: Role, name: str
) -> None:
    organisation = await installation.organisation([role])
    question = QUESTIONS[role][1][name]

    async def ask(about: Planted) -> object:
        async with installation.open(organisation, role) as vault:  # type: ignore[call-overload]
            return await question(vault, about)

    await goes(way, lambda: ask(nonexistent(NOW)))
    ways = [await goes(way, lambda about=about: ask(about)) for about in (planted, nonexistent(NOW))]  # type: ignore[misc]
    assert ways[0] == ways[1] != []


OF_INTERFACE_D: dict[str, Callable[[Mailboxes, Access, Planted], Awaitable[object]]] = {
    "read": lambda boxes, access, about: boxes.find(access, about.message_id, Filters()),
    "delete": lambda boxes, access, about: boxes.delete(access, about.message_id, Filters()),
    "list by sender": lambda boxes, access, about: boxes.page(
        access, Filters(sender_addresses=(about.address,)), 100, None
    ),
}


@pytest.mark.parametrize("operation", OF_INTERFACE_D)
async def test_interface_d_asks_the_same(
    installation: Installation, planted: Planted, way: Way, operation: str
) -> None:
    organisation = await installation.organisation([Role.MESSAGE_SERVICE])
    access = Access(organisation, "journal", frozenset(Scope), patterns(["*"]))
    boxes, ask = Mailboxes(installation.gate), OF_INTERFACE_D[operation]
    await ask(boxes, access, nonexistent(NOW))
    ways = [
        await goes(way, lambda about=about: ask(boxes, access, about))  # type: ignore[misc]
        for about in (planted, nonexistent(NOW))
    ]
    assert ways[0] == ways[1] != []


OF_INTERFACE_C: dict[str, Callable[[Polling, Principal, ParticipantIdentifier, str], Awaitable[object]]] = {
    "acknowledge": lambda polling, who, organisation, item: polling.acknowledge(who, organisation, item),
    "poll": lambda polling, who, organisation, item: polling.poll(
        who, organisation, PollRequest(0, 0, (item,), item)
    ),
}


@pytest.mark.parametrize("operation", OF_INTERFACE_C)
async def test_interface_c_asks_the_same(
    installation: Installation, planted: Planted, way: Way, operation: str
) -> None:
    organisation = await installation.organisation([Role.ACCESS_POINT])
    who = Principal(PrincipalKind.SYSTEM, "message-service", organisation.value)
    signals = Signals()
    polling = Polling(installation.gate, signals, settling(installation.gate, signals), lambda: NOW)
    ask = OF_INTERFACE_C[operation]
    await goes(way, lambda: ask(polling, who, organisation, nonexistent(NOW).item_id))
    ways = [
        await goes(way, lambda item=about.item_id: ask(polling, who, organisation, item))  # type: ignore[misc]
        for about in (planted, nonexistent(NOW))
    ]
    assert ways[0] == ways[1] != []
