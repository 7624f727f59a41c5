"""What keeps an installation from running, as one line for whoever started it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from os import fspath

from samdrift.app.inputs import reason
from samdrift.app.output import Unusable, printable
from samdrift.app.supervisor import NotStarted
from samdrift.app.toml import ConfigError
from samdrift.federation.errors import FederationError
from samdrift.net.trustfolder import TrustFolderError
from samdrift.vault.errors import VaultError
from samdrift.vault.keys.custody import CustodyError
from samdrift.vault.keys.files import KeyStoreError

_KNOWN = (
    *(ConfigError, CustodyError, FederationError, KeyStoreError, NotStarted),
    *(TrustFolderError, VaultError),
)
"""What has been put into words for people already."""


@contextlib.contextmanager
def told() -> Iterator[None]:
    """Turn a taken address, an unusable file, a database that is not there into :class:`Unusable`."""
    try:
        yield
    except OSError as error:
        where = f"{fspath(error.filename)}: " if isinstance(error.filename, str) else ""
        raise Unusable(printable(where + reason(error))) from None
    except (
        ConfigError,
        CustodyError,
        FederationError,
        KeyStoreError,
        NotStarted,
        TrustFolderError,
        VaultError,
    ) as error:
        raise Unusable(printable(str(error))) from None
