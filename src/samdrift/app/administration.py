"""An installation in the hands of its operator: what the commands about organisations need open."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

from samdrift.app.config import Config
from samdrift.app.operator import vault_settings
from samdrift.vault.gate import Gate
from samdrift.vault.keys.opened import open_keys
from samdrift.vault.keys.store import KeyStore
from samdrift.vault.provision import Provisioner


@dataclass(frozen=True, slots=True)
class Administration:
    """The parts, all open. The gate knows who is hosted; the provisioner makes and drops vaults."""

    config: Config
    keys: KeyStore
    provisioner: Provisioner
    gate: Gate


@contextlib.asynccontextmanager
async def administering(config: Config) -> AsyncIterator[Administration]:
    """Open the installation beside whatever runs; a new one is installed, an older one brought up to date."""
    settings = vault_settings(config)
    keys = await asyncio.to_thread(open_keys, settings)
    async with contextlib.AsyncExitStack() as stack:
        provisioner = await Provisioner.connect(settings, keys=keys)
        stack.push_async_callback(provisioner.close)
        await provisioner.install()
        gate = await Gate.start(settings, keys=keys)
        stack.push_async_callback(gate.close)
        yield Administration(config, keys, provisioner, gate)
