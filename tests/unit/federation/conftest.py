"""One set of keys for all tests of the federation, because making keys takes seconds."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric import rsa

from samdrift.federation.authority import Authority
from samdrift.federation.server import LocalFederation, running

URL = "http://127.0.0.1:1"
"""Address without a responder, for tests that ask an authority without HTTP."""


def no_key(*_: object, **__: object) -> rsa.RSAPrivateKey:
    """Fail, because making keys would take long."""
    raise AssertionError("a key is made")


@pytest.fixture(scope="session")
def key() -> rsa.RSAPrivateKey:
    """Return a key for certificates, smaller than the federation's own for speed."""
    return rsa.generate_private_key(65537, 2048)


@pytest.fixture(scope="session")
def authority_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with an environment's keys."""
    folder = tmp_path_factory.mktemp("environment") / "authority"
    Authority(folder, URL)
    return folder


@pytest.fixture
def environment_keys(authority_folder: Path, tmp_path: Path) -> Path:
    """Return a folder that holds only the keys, so that each test certifies and revokes on its own."""
    return copy_keys(authority_folder, tmp_path / "authority")


@pytest.fixture
def federation_folder(authority_folder: Path, tmp_path: Path) -> Path:
    """Return the folder of a federation that has keys and nothing else."""
    copy_keys(authority_folder, tmp_path / "federation" / "authority")
    return tmp_path / "federation"


@pytest_asyncio.fixture
async def federation(federation_folder: Path) -> AsyncIterator[LocalFederation]:
    """Yield a federation that runs, without participants."""
    async with running(federation_folder) as local:
        yield local


@pytest_asyncio.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    """Yield a client that follows no redirects."""
    async with httpx.AsyncClient(timeout=10) as client:
        yield client


def copy_keys(source: Path, target: Path) -> Path:
    """Copy an environment's keys without its certificates and register."""
    target.mkdir(parents=True)
    for path in source.glob("*.key"):
        shutil.copy(path, target)
    return target
