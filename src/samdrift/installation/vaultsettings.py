"""The settings of the vaults and the key store, from a configuration."""

from __future__ import annotations

from datetime import timedelta

from samdrift.config.hsm import hsm_settings
from samdrift.config.model import Config
from samdrift.config.passphrase import read_passphrase
from samdrift.installation.objectplace import object_place
from samdrift.keystore.interface import KeyStore
from samdrift.vault.openkeys import open_keys
from samdrift.vault.settings import VaultSettings


def vault_settings(config: Config) -> VaultSettings:
    """Return the settings of the vaults, with the passphrase read from its configured source."""
    return VaultSettings(
        database=config.vaults.database,
        objects=object_place(config.vaults),
        secrets=config.vaults.secrets,
        seals=config.vaults.seals,
        passphrase=read_passphrase(config.vaults),
        tokens=hsm_settings(config.vaults.hsm, {each.identifier: each.hsm for each in config.organisations}),
        other_users=config.isolation.first_user is not None,
        database_logins=config.vaults.database_logins,
        vaults=sum(len(each.roles) for each in config.organisations),
        connections=config.vaults.connections,
        processes=config.isolation.workers,
        idle=connection_idle(config),
    )


def connection_idle(config: Config) -> timedelta | None:
    """Return how long an unused database connection stays open, if configured."""
    seconds = config.vaults.connection_idle_seconds
    return None if seconds is None else timedelta(seconds=seconds)


def key_store(config: Config, *, begin: bool = False) -> KeyStore:
    """Open the key store of an installation; create it only if ``begin`` is set."""
    return open_keys(vault_settings(config), begin=begin)
