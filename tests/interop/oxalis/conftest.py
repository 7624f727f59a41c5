"""One Oxalis for the tests of both its halves, because starting a JVM takes longer than most of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop.java.program import JavaProgram
from tests.interop.listener import certified
from tests.interop.outgoing import OUR_NAME, THEIR_NAME, Endpoint
from tests.pki import Authority, Certified, root


@pytest.fixture(scope="package")
def ours() -> Certified:
    return certified(OUR_NAME, 1)


@pytest.fixture(scope="package")
def theirs() -> Certified:
    return certified(THEIR_NAME, 2)


@pytest.fixture(scope="package")
def excluded() -> Authority:
    """Return an issuer that is in Oxalis's trust store but that its certificate validator rejects."""
    return root("Excluded root", 4)


@pytest.fixture(scope="package")
def oxalis(
    theirs: Certified, excluded: Authority, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Endpoint]:
    program = JavaProgram("oxalis.Peer", "Oxalis", tmp_path_factory.mktemp("oxalis"), Path(__file__).parent)
    try:
        started = program.call(
            "start",
            key=theirs.private_key,
            certificate=theirs.certificate,
            issuer=root("Test root", 0).certificate,
            excluded_issuer=excluded.certificate,
        )
        yield Endpoint(program, f"http://127.0.0.1:{started['port']}/as4")
    finally:
        program.close()
