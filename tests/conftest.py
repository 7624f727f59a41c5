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
    """The event loop that the commands run on, for every test.

    This is pytest-asyncio's own fixture: by its hook asynchronous tests alone would have that loop, and
    the first other test after them would end what is shared, to start it again on another loop.
    """
    return loop_factory()


@pytest.fixture(scope="session", autouse=True)
def cheap_beginnings() -> Iterator[None]:
    """Embedded PostgreSQL servers start from copies of one data folder, vaults from copies of those of others
    that nobody has used, keys from stored primes; clients have few issuers, and commands find order.
    """
    cheap = (postgrestemplate.copied, copied_vaults, cheap_keys, cheap_files, few_issuers, cheap_commands)
    with contextlib.ExitStack() as stack:
        for each in cheap:
            stack.enter_context(each())
        yield


@pytest.fixture
def product_keys() -> Iterator[None]:
    """Keys are made, and passphrases cost, as in the product."""
    with keys_of_the_product():
        yield


@pytest_asyncio.fixture(scope="session")
async def installations() -> AsyncIterator[Installations]:
    """Installations in temporary folders, one after the other."""
    one_at_a_time = Installations()
    yield one_at_a_time
    await one_at_a_time.close()


@pytest_asyncio.fixture(scope="module")
async def installation(installations: Installations) -> Installation:
    """A gate over an embedded PostgreSQL, which several files may have after each other."""
    return await installations.current()


@pytest_asyncio.fixture
async def organisation(request: pytest.FixtureRequest, installation: Installation) -> ParticipantIdentifier:
    """A new organisation with a vault in each role, or in those that the module names as ``ROLES``.

    A vault takes PostgreSQL some hundredths of a second.
    """
    return await installation.organisation(getattr(request.module, "ROLES", tuple(Role)))


@pytest.fixture
def files_looked_at_always(monkeypatch: pytest.MonkeyPatch) -> None:
    """What follows files sees a change at once, for tests that would wait for a second time and again."""
    monkeypatch.setattr(following, "A_SECOND", 0.0)


@pytest.fixture(scope="session")
def hsm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SoftHsm]:
    """SoftHSM with tokens of the run's own."""
    with softhsm(tmp_path_factory.mktemp("softhsm")) as running:
        yield running
