"""One database server for the whole run; every test that asks for an organisation gets a new one."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from pytest_asyncio.plugin import LoopFactory

from samdrift.contracts.principals import Role
from samdrift.installation.loop import loop_factory
from samdrift.net import following
from samdrift.wire.identifiers import ParticipantIdentifier
from tests import postgrestemplate
from tests.cheapness import cheap_commands, cheap_files, few_issuers
from tests.softhsm import SoftHsm, softhsm
from tests.throwawaykeys import cheap_keys, keys_of_the_product
from tests.vaults import Installation, Installations
from tests.vaulttemplates import copied_vaults

pytest_plugins = ["tests.sizes"]


@pytest.fixture(scope="session")
def _asyncio_loop_factory() -> LoopFactory | None:
    """Return the event loop factory that the commands use, for every test.

    This overrides pytest-asyncio's own fixture. Its hook would set the loop for asynchronous tests only, and
    the first synchronous test after them would end the shared fixtures and start them again on another loop.
    """
    return loop_factory()


@pytest.fixture(scope="session", autouse=True)
def cheap_beginnings() -> Iterator[None]:
    """Shortcuts for the whole run: copied data folders and vaults, stored primes, few issuers.

    Commands also skip the check of rights and schemas.
    """
    cheap = (postgrestemplate.copied, copied_vaults, cheap_keys, cheap_files, few_issuers, cheap_commands)
    with contextlib.ExitStack() as stack:
        for each in cheap:
            stack.enter_context(each())
        yield


@pytest.fixture
def product_keys() -> Iterator[None]:
    """Key generation and the cost of passphrases as in the product."""
    with keys_of_the_product():
        yield


@pytest_asyncio.fixture(scope="session")
async def installations() -> AsyncIterator[Installations]:
    """Installations in temporary folders, one at a time."""
    one_at_a_time = Installations()
    yield one_at_a_time
    await one_at_a_time.close()


@pytest_asyncio.fixture(scope="module")
async def installation(installations: Installations) -> Installation:
    """A running installation over an embedded PostgreSQL, which several files may use one after the other."""
    return await installations.current()


@pytest_asyncio.fixture
async def organisation(request: pytest.FixtureRequest, installation: Installation) -> ParticipantIdentifier:
    """A new organisation with a vault in each role, or in those that the module lists in ``ROLES``.

    Each vault takes PostgreSQL some hundredths of a second.
    """
    return await installation.organisation(getattr(request.module, "ROLES", tuple(Role)))


@pytest.fixture
def files_looked_at_always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Immediate detection of changed files, for tests that would otherwise wait for a second each time."""
    monkeypatch.setattr(following, "A_SECOND", 0.0)


@pytest.fixture(scope="session")
def hsm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SoftHsm]:
    """SoftHSM with tokens for this run only."""
    with softhsm(tmp_path_factory.mktemp("softhsm")) as running:
        yield running
