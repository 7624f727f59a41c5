"""The doctor's verdict on TLS is that of testssl.sh, rule by rule, or differs for a reason that is listed."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from samdrift.net.tlsprobe import Listener
from samdrift.operations.findings import State
from samdrift.operations.tlsrules import RULES, Target, check_tls
from tests.interop.testssl.listeners import HOST, LISTENERS, NAME, listening
from tests.programs import requires

pytestmark = [requires("testssl", "testssl.sh"), requires("java", "default-jdk-headless")]
_AT_ONCE = 3
_ASKED = ("-p", "-s", "-S", "-R", "-C", "-J", "-P")
"""Protocols, kinds of suites, what the server shows, renegotiation, compression, groups, order of suites."""
_FINE = ("OK", "INFO")
_SAYS: Mapping[str, tuple[str, ...]] = {
    "versions": ("SSLv2", "SSLv3", "TLS1", "TLS1_1"),
    "tls13": ("TLS1_3",),
    "suites": (
        "cipherlist_NULL",
        "cipherlist_aNULL",
        "cipherlist_EXPORT",
        "cipherlist_LOW",
        "cipherlist_3DES_IDEA",
    ),
    "group": ("LOGJAM", "LOGJAM-common_primes"),
    "cbc": ("cipherlist_AVERAGE",),
    "compression": ("CRIME_TLS",),
    "renegotiation": ("secure_renego", "secure_client_renego"),
    "certificate": ("cert_trust", "cert_chain_of_trust", "cert_expirationStatus"),
    "key": ("cert_keySize", "cert_signatureAlgorithm"),
}
"""What testssl.sh calls the things that a rule is about."""
DIFFERENCES: Mapping[tuple[str, str], str] = {}


@dataclass(frozen=True)
class Verdicts:
    """Rules that a listener breaks: by the doctor, and by testssl.sh."""

    ours: set[str]
    theirs: set[str]
    said: dict[str, tuple[str, str]]


@pytest_asyncio.fixture(scope="module")
async def verdicts(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[dict[str, Verdicts]]:
    folder = tmp_path_factory.mktemp("testssl")
    turns = asyncio.Semaphore(_AT_ONCE)

    async with listening(folder) as (files, ports):

        async def examined(which: str) -> Verdicts:
            target = Target("a", Listener(HOST, ports[which], NAME, 60.0), files.issuers)
            found = {one.id.removeprefix("tls.a."): one.state async for one in check_tls(target)}
            async with turns:
                said = await asyncio.to_thread(_asked, ports[which], files.issuers, folder)
            ours = {rule for rule, state in found.items() if state is not State.OK}
            return Verdicts(ours, _broken(said), said)

        every = await asyncio.gather(*map(examined, LISTENERS))
        yield dict(zip(LISTENERS, every, strict=True))


def _asked(port: int, issuers: Path, folder: Path) -> dict[str, tuple[str, str]]:
    """Have testssl.sh examine a listener; returns severity and finding by their names."""
    file = folder / f"{port}.json"
    options = ("--quiet", "--color", "0", "--warnings", "off", "--nodns", "none", "--ip", HOST)
    subprocess.run(
        ["testssl", *options, "--jsonfile", file, *_ASKED, f"{NAME}:{port}"],
        env={"PATH": "/usr/bin:/bin", "CA_BUNDLES_PATH": str(issuers.parent), "TERM": "dumb"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        timeout=600,
        check=False,
    )
    return {one["id"]: (one["severity"], one["finding"]) for one in json.loads(file.read_text())}


def _broken(said: Mapping[str, tuple[str, str]]) -> set[str]:
    """Return the rules that are broken by what testssl.sh says."""
    return {
        rule for rule, names in _SAYS.items() for name in names if name in said and said[name][0] not in _FINE
    }


def test_every_rule_is_compared() -> None:
    assert {"reach", "forward-secrecy", "heartbeat", *_SAYS} == RULES.keys()


@pytest.mark.parametrize("which", LISTENERS)
def test_the_verdict_is_that_of_testssl(verdicts: dict[str, Verdicts], which: str) -> None:
    found = verdicts[which]
    listed = {rule for where, rule in DIFFERENCES if where == which}
    assert found.ours ^ found.theirs == listed, found.said
