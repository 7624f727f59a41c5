"""Reads the configuration file of an installation, strictly.

Every table and key is named here; an unknown one is an error, so that a
misspelt setting never silently falls back to a default. Paths are relative to
the file's folder.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from samdrift.app.config import (
    AccessPointConfig,
    Config,
    DomibusConfig,
    Environment,
    FederationConfig,
    MessageServiceConfig,
    MetricsConfig,
    OrganisationConfig,
    SocketAddress,
    VaultConfig,
)
from samdrift.app.toml import ConfigError, Table, count, flag, items, names, positive, text, texts
from samdrift.contracts.principals import Role
from samdrift.wire.errors import WireError
from samdrift.wire.identifiers import ParticipantIdentifier
from samdrift.wire.profile import PROFILES, TransportProfile
from samdrift.wire.webaddress import web_address


def load(path: Path) -> Config:
    """Read and check a configuration file, or raise :class:`ConfigError`."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(str(path), "there is no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(str(path), f"cannot be read ({type(error).__name__})") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(str(path), f"is not TOML: {error}") from None
    return replace(_config(Table(document, "", path.parent.resolve())), file=path.resolve())


_DNS = 53
_DOMAIN = re.compile(r"[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*")


def _config(table: Table) -> Config:
    config = Config(
        environment=table.take("environment", _environment),
        federation=_federation(table.table("federation")),
        vaults=_vaults(table.table("vaults")),
        inner_issuers=table.path("inner_issuers"),
        organisations=tuple(_organisation(each) for each in table.tables("organisations")),
        access_point=_access_point(each) if (each := table.optional("access_point")) else None,
        message_service=_message_service(each) if (each := table.optional("message_service")) else None,
        metrics=_metrics(each) if (each := table.optional("metrics")) else None,
    )
    table.finish()
    _guard_production(config)
    return config


def _guard_production(config: Config) -> None:
    """Nothing meant for demonstration can be switched on in production (invariant 12)."""
    if config.environment is not Environment.PRODUCTION:
        return
    if any(server.port != _DNS for server in config.federation.name_servers):
        raise ConfigError("federation.name_servers", "production asks name servers at port 53")
    if config.federation.private_addresses:
        raise ConfigError("federation.private_addresses", "production connects to public addresses only")
    if not config.federation.identifier.startswith("urn:fdc:digg.se:edelivery:federation:"):
        raise ConfigError("federation.identifier", "production takes part in a federation of DIGG's")
    if config.federation.identifier.endswith(":test"):
        raise ConfigError("federation.identifier", "the test federation is not for production")


def _federation(table: Table) -> FederationConfig:
    federation = FederationConfig(
        identifier=table.take("identifier", text),
        sml_zone=table.take("sml_zone", text),
        trust=table.path("trust"),
        tls_issuers=table.path("tls_issuers") if "tls_issuers" in table else None,
        name_servers=table.take("name_servers", _addresses, ()),
        private_addresses=table.take("private_addresses", flag, False),
        metadata_seconds=table.take("metadata_seconds", count, 300),
        verdict_seconds=table.take("verdict_seconds", count, 300),
        retry_seconds=table.take("retry_seconds", count, 30),
    )
    table.finish()
    return federation


def _vaults(table: Table) -> VaultConfig:
    vaults = VaultConfig(
        database=table.place("database"),
        objects=table.place("objects"),
        secrets=table.path("secrets"),
        passphrase_file=table.path("passphrase_file"),
    )
    table.finish()
    return vaults


def _access_point(table: Table) -> AccessPointConfig:
    access_point = AccessPointConfig(
        party=table.take("party", text),
        message_id_domain=table.take("message_id_domain", text),
        listen=table.take("listen", _address),
        listen_c=table.take("listen_c", _address),
        client_certificates=table.take("client_certificates", flag, False),
        attempts=table.take("attempts", positive, 4),
        interval_seconds=table.take("interval_seconds", positive, 240),
        answer_seconds=table.take("answer_seconds", positive, 60),
        lease_seconds=table.take("lease_seconds", positive, 300),
        profiles=table.take("profiles", _profiles, tuple(PROFILES.values())),
        clock_seconds=table.take("clock_seconds", count, 600),
    )
    table.finish()
    return access_point


def _message_service(table: Table) -> MessageServiceConfig:
    message_service = MessageServiceConfig(
        listen_d=table.take("listen_d", _address, None),
        submit_seconds=table.take("submit_seconds", positive, 3600),
        transfer_seconds=table.take("transfer_seconds", positive, 7200),
        receipt_seconds=table.take("receipt_seconds", positive, 86400),
        retry_seconds=table.take("retry_seconds", positive, 30),
        lease_seconds=table.take("lease_seconds", positive, 300),
    )
    table.finish()
    return message_service


def _metrics(table: Table) -> MetricsConfig:
    metrics = MetricsConfig(
        listen=table.take("listen", _loopback),
        per_organisation=table.take("per_organisation", flag, False),
        queue_seconds=table.take("queue_seconds", positive, 30),
    )
    table.finish()
    return metrics


def _organisation(table: Table) -> OrganisationConfig:
    organisation = OrganisationConfig(
        identifier=table.take("identifier", _participant),
        name=table.take("name", text),
        roles=table.take("roles", lambda value: tuple(Role(each) for each in items(value))),
        functional_addresses=table.take("functional_addresses", texts, ()),
        file_types=table.take("file_types", texts, ()),
        base_model=table.take("base_model", flag, False),
        access_point=table.take("access_point", text, ""),
        domibus=_domibus(each) if (each := table.optional("domibus")) else None,
        clients=table.take("clients", names, {}),
    )
    table.finish()
    if organisation.domibus is not None and organisation.access_point:
        raise ConfigError(table.at("domibus"), "stands beside access_point; an organisation has one of them")
    if (
        not organisation.access_point
        and not organisation.domibus
        and Role.MESSAGE_SERVICE in organisation.roles
    ):
        raise ConfigError(table.at("access_point"), "is missing; the role mt needs one, or domibus")
    if organisation.domibus is not None and Role.MESSAGE_SERVICE not in organisation.roles:
        raise ConfigError(table.at("domibus"), "is for organisations with the role mt")
    return organisation


def _domibus(table: Table) -> DomibusConfig:
    domibus = DomibusConfig(
        url=table.take("url", _https),
        party=table.take("party", text),
        message_id_domain=table.take("message_id_domain", _domain),
        issuers=table.path("issuers") if "issuers" in table else None,
        user=table.take("user", _user, ""),
        password_file=table.path("password_file") if "password_file" in table else None,
        poll_seconds=table.take("poll_seconds", positive, 5),
    )
    table.finish()
    if domibus.user and domibus.password_file is None:
        raise ConfigError(table.at("password_file"), "is missing; a user has a password")
    if domibus.password_file is not None and not domibus.user:
        raise ConfigError(table.at("user"), "is missing; a password is a user's")
    return domibus


def _https(value: Any) -> str:
    address = text(value)
    try:
        web_address(address, "url")
    except WireError as error:
        raise ValueError(error.text) from None
    if not address.startswith("https://"):
        raise ValueError("does not begin with https://")
    return address


def _domain(value: Any) -> str:
    if not _DOMAIN.fullmatch(text(value)):
        raise ValueError("is not a domain such as messages.example.se")
    return str(value)


def _user(value: Any) -> str:
    if ":" in text(value):
        raise ValueError("has a colon, which no user name has (RFC 7617)")
    return str(value)


def _environment(value: Any) -> Environment:
    return Environment(text(value))


def _participant(value: Any) -> ParticipantIdentifier:
    try:
        return ParticipantIdentifier.parse(text(value))
    except WireError as error:
        raise ValueError(error.text) from None


def _address(value: Any) -> SocketAddress:
    host, separator, port = text(value).rpartition(":")
    if not separator or not port.isdigit() or int(port) > 65535:
        raise ValueError("is not of the form address:port")
    return SocketAddress(host.strip("[]"), int(port))


def _profiles(value: Any) -> tuple[TransportProfile, ...]:
    named = texts(value)
    if not named or len(set(named)) != len(named) or not PROFILES.keys() >= set(named):
        raise ValueError(f"is not one or several of {', '.join(PROFILES)}, each once")
    return tuple(PROFILES[name] for name in named)


def _loopback(value: Any) -> SocketAddress:
    address = _address(value)
    try:
        loopback = ip_address(address.host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise ValueError("is not a loopback address such as 127.0.0.1:9100")
    return address


def _addresses(value: Any) -> tuple[SocketAddress, ...]:
    return tuple(_address(each) for each in items(value))
