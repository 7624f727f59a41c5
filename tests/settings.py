"""Settings of the roles for tests: the configuration's defaults with a test's changes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from samdrift.accesspoint.settings import AccessPointSettings, RetryPolicy
from samdrift.config.model import Config, Environment, FederationConfig, SocketAddress, VaultConfig
from samdrift.config.roles import AccessPointConfig, MessageServiceConfig
from samdrift.installation import rolesettings
from samdrift.messageservice.settings import MessageServiceSettings

_NOWHERE = SocketAddress("127.0.0.1", 0)


def access_point_settings(
    party: str, federation: str, message_id_domain: str, **changes: Any
) -> AccessPointSettings:
    own = AccessPointConfig(party, message_id_domain, _NOWHERE, _NOWHERE)
    return replace(rolesettings.access_point_settings(_config(federation), own), **changes)


def message_service_settings(federation: str, **changes: Any) -> MessageServiceSettings:
    settings = rolesettings.message_service_settings(_config(federation), MessageServiceConfig())
    return replace(settings, **changes)


def retry_policy(**changes: Any) -> RetryPolicy:
    return replace(access_point_settings("", "", "").retry, **changes)


def _config(federation: str) -> Config:
    nowhere = Path("nowhere")
    return Config(
        Environment.TEST,
        FederationConfig(federation, "sml.test", nowhere),
        VaultConfig(nowhere, nowhere, nowhere, nowhere),
        nowhere,
        (),
    )
