"""The doctor's verdict on TLS equals that of testssl.sh, rule by rule, or differs for a listed reason.

testssl.sh takes minutes for a listener, so its findings about all of them are stored
(:mod:`tests.interop.testssl.examine`), and only a few are examined again here.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from samdrift.net.tlsprobe import Listener
from samdrift.operations.findings import State
from samdrift.operations.tlsrules import RULES, Target, check_tls
from tests.interop.testssl.examine import FINE, SAYS, asked, broken, kept
from tests.interop.testssl.listeners import HOST, LISTENERS, NAME, listening
from tests.programs import requires

pytestmark = [requires("java", "default-jdk-headless"), requires("openssl", "openssl")]
DIFFERENCES: Mapping[tuple[str, str], str] = {
    ("SHA-1 of the issuer", "key"): "testssl.sh looks at the hash of the server's certificate alone",
    ("a suite without forward secrecy", "forward-secrecy"): "testssl.sh is content where one suite has it",
}
"""Listeners and rules on which the verdicts differ, with the reason."""
AGAIN = {"TLS 1.0 and 1.1": ("-p", ("versions",)), "RC4": ("-s", ("suites", "cbc"))}
"""Listeners that testssl.sh partly examines again, and the rules concerned."""
NOT_COMPARED = {
    "reach": "testssl.sh ends where nothing answers",
    "tls13": "testssl.sh is content with TLS 1.2, and so is grade A: the doctor warns",
    "heartbeat": "no TLS library that is left answers heartbeats",
}


@dataclass(frozen=True)
class Running:
    """The running listeners."""

    folder: Path
    issuers: Path
    ports: Mapping[str, int]

    async def broken(self, which: str) -> set[str]:
        """Return the rules that a listener breaks according to the doctor."""
        target = Target("a", Listener(HOST, self.ports[which], NAME, 60.0), self.issuers)
        found = {one.id.removeprefix("tls.a."): one.state async for one in check_tls(target)}
        return {rule for rule, state in found.items() if state is not State.OK}


@pytest_asyncio.fixture(scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    folder = tmp_path_factory.mktemp("testssl")
    async with listening(folder) as (files, ports):
        yield Running(folder, files.issuers, ports)


def test_every_rule_is_compared_on_twelve_listeners_and_more() -> None:
    assert {*NOT_COMPARED, *SAYS} == RULES.keys()
    assert kept().keys() == {*LISTENERS}
    assert len(LISTENERS) >= 12
    assert set().union(*map(broken, kept().values())) >= SAYS.keys() - {"renegotiation"}


@pytest.mark.parametrize("which", LISTENERS)
async def test_the_verdict_is_that_of_testssl(running: Running, which: str) -> None:
    """transport-profile-as4 2.4.1 a"""
    ours, theirs = await running.broken(which) - NOT_COMPARED.keys(), broken(kept()[which])
    listed = {rule for where, rule in DIFFERENCES if where == which}
    assert ours ^ theirs == listed, kept()[which]


def test_renegotiation_that_clients_begin_is_a_fault_to_testssl_alone() -> None:
    severity, _ = kept()["renegotiation by clients"]["secure_client_renego"]
    assert severity not in FINE


@requires("testssl", "testssl.sh")
@pytest.mark.parametrize("which", AGAIN)
async def test_what_testssl_says_is_still_what_is_kept(running: Running, which: str) -> None:
    option, rules = AGAIN[which]
    said = await asked(running.ports[which], running.issuers, running.folder, option)
    names = {name for rule in rules for name in SAYS[rule] if name in said}
    assert names
    assert {name: [*said[name]] for name in names} == {name: kept()[which][name] for name in names}
