"""One set of keys for all tests of the federation: making them takes seconds."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from samdrift.federation.authority import Authority

URL = "http://127.0.0.1:1"
"""Where no responder is: for tests that ask an authority without HTTP."""


@pytest.fixture(scope="session")
def key() -> rsa.RSAPrivateKey:
    """A key for whoever needs a certificate; smaller than the federation's own, for speed."""
    return rsa.generate_private_key(65537, 2048)


@pytest.fixture(scope="session")
def authority_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an environment's keys."""
    folder = tmp_path_factory.mktemp("environment") / "authority"
    Authority(folder, URL)
    return folder


@pytest.fixture
def environment_keys(authority_folder: Path, tmp_path: Path) -> Path:
    """A folder that holds only the keys, so that each test certifies and revokes on its own."""
    folder = tmp_path / "authority"
    folder.mkdir()
    for path in authority_folder.glob("*.key"):
        shutil.copy(path, folder)
    return folder
