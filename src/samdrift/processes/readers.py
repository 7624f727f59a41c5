"""The logins by which workers read the registry: one for each, another one with each start, kept nowhere.

A login may change its own password and settings. One that is shared is everybody's to
break; one of its own only its worker's, until that is started again.
"""

from __future__ import annotations

import asyncio

from samdrift.keystore.interface import KeyStore
from samdrift.processes.handover import ReaderLogin
from samdrift.vault.provision import Provisioner
from samdrift.vault.settings import VaultSettings


class Readers:
    """Makes them, with the administrator's login."""

    def __init__(self, settings: VaultSettings, keys: KeyStore) -> None:
        self._settings = settings
        self._keys = keys
        self._last: dict[str | None, ReaderLogin] = {}
        self._one_at_a_time = asyncio.Lock()

    async def renew(self, vault: str | None) -> ReaderLogin:
        """Make another login for the worker of a vault, or nobody's; the former one is dropped."""
        async with self._one_at_a_time:
            provisioner = await Provisioner.connect(self._settings, keys=self._keys)
            try:
                made = self._last[vault] = ReaderLogin(*await provisioner.new_reader(vault))
            finally:
                await provisioner.close()
        return made

    def last(self, vault: str | None) -> ReaderLogin:
        """The one that was made last."""
        return self._last[vault]
