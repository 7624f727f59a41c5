"""An installation that cannot run reports the reason in one line."""

from __future__ import annotations

import errno
import socket

import pytest

from samdrift.config.errors import Unusable
from samdrift.config.failures import reported_as_usage_errors
from samdrift.config.toml import ConfigError
from samdrift.federation.store import FederationError
from samdrift.keystore.keyfiles import KeyFault, KeyStoreError
from samdrift.net.server import listening_socket
from samdrift.net.trustfolder import TrustFolderError
from samdrift.vault.errors import ServerBusy, VaultUnavailable


@pytest.mark.parametrize(
    ("failure", "text"),
    [
        (FileNotFoundError(errno.ENOENT, "No such file", "two\nlines"), "two\\nlines: no such file"),
        (OSError(errno.ENOSPC, "No space left on device"), "no space left on device"),
        (ConfigError("vaults", "is missing"), "vaults: is missing"),
        (FederationError("a port is taken"), "a port is taken"),
        (TrustFolderError("no certificate for tls"), "no certificate for tls"),
        (KeyStoreError(KeyFault.LOCKED, "the passphrase is another"), "the passphrase is another"),
        (VaultUnavailable(), "the vault cannot be reached now"),
        (
            VaultUnavailable("connection refused at 192.0.2.1:5432"),
            "the vault cannot be reached now (connection refused at 192.0.2.1:5432)",
        ),
        (
            ServerBusy("serve (process 7)"),
            "serve (process 7) is starting or stopping the embedded PostgreSQL: wait until that is done;"
            " if it does not finish, see data/server.log in its folder",
        ),
    ],
)
def test_what_keeps_an_installation_from_running_is_told(failure: Exception, text: str) -> None:
    with pytest.raises(Unusable) as unusable, reported_as_usage_errors():
        raise failure
    assert str(unusable.value) == text


def test_an_address_that_is_taken_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(Unusable) as unusable, reported_as_usage_errors():
            listening_socket("127.0.0.1", port)
    assert str(unusable.value) == f"127.0.0.1:{port}: address already in use"


def test_a_fault_of_ours_stays_one() -> None:
    with pytest.raises(ZeroDivisionError), reported_as_usage_errors():
        raise ZeroDivisionError
