"""Reads the configuration file of an installation, strictly.

Every table and key is named here; an unknown one is an error, so that a
misspelt setting never silently falls back to a default. Paths are relative to
the file's folder.
"""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from samdrift.config.addressbook import read_address_book
from samdrift.config.credentials import credential
from samdrift.config.hsm import check_tokens, read_tokens
from samdrift.config.isolation import IsolationConfig, read_isolation
from samdrift.config.isolationcheck import read_isolation_check
from samdrift.config.malware import read_malware
from samdrift.config.model import (
    AccessPointConfig,
    Config,
    Environment,
    FederationConfig,
    MessageServiceConfig,
    MetricsConfig,
    SocketAddress,
    VaultConfig,
)
from samdrift.config.organisations import check_issuers, check_parts, https_address, organisation
from samdrift.config.toml import ConfigError, Table, count, flag, items, positive, read_file, text, texts
from samdrift.contracts.messageclients import LONGEST_SECONDS
from samdrift.wire.profile import PROFILES, TransportProfile


def load(path: Path) -> Config:
    """Read and check a configuration file, or raise :class:`ConfigError`."""
    return replace(_config(read_file(path)), file=path.resolve())


_DNS = 53


def _config(table: Table) -> Config:
    organisations = tuple(organisation(each) for each in table.tables("organisations"))
    hosted = [one.identifier for one in organisations]
    config = Config(
        environment=table.take("environment", _environment),
        federation=_federation(table.table("federation")),
        vaults=_vaults(table.table("vaults")),
        inner_issuers=table.path("inner_issuers"),
        organisations=organisations,
        access_point=_access_point(each) if (each := table.optional("access_point")) else None,
        message_service=_message_service(each) if (each := table.optional("message_service")) else None,
        malware=read_malware(each) if (each := table.optional("malware")) else None,
        address_book=read_address_book(each) if (each := table.optional("address_book")) else None,
        metrics=_metrics(each) if (each := table.optional("metrics")) else None,
        isolation_check=read_isolation_check(each, hosted)
        if (each := table.optional("isolation_check"))
        else None,
        isolation=read_isolation(each) if (each := table.optional("isolation")) else IsolationConfig(),
    )
    table.finish()
    if config.message_service is not None and config.malware is None:
        raise ConfigError("malware", "is missing: say which scanner scans messages")
    check_issuers(config)
    check_parts(config)
    check_tokens(config.vaults.tokens, (one.token for one in config.organisations))
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
    if config.malware is not None and config.malware.clamd is None:
        raise ConfigError("malware.scanner", "production scans messages for malicious code")
    if config.address_book is not None and not config.address_book.url.startswith("https://"):
        raise ConfigError("address_book.url", "production reads the address book over HTTPS")


def _federation(table: Table) -> FederationConfig:
    federation = FederationConfig(
        identifier=table.take("identifier", text),
        sml_zone=table.take("sml_zone", text),
        trust=table.path("trust"),
        tls_issuers=table.path("tls_issuers") if "tls_issuers" in table else None,
        name_servers=table.take("name_servers", _addresses, ()),
        dnssec_resolvers=table.take("dnssec_resolvers", texts, ()),
        require_dnssec=table.take("require_dnssec", flag, False),
        private_addresses=table.take("private_addresses", flag, False),
        metadata_seconds=table.take("metadata_seconds", count, 300),
        verdict_seconds=table.take("verdict_seconds", count, 300),
        revocation_seconds=table.take("revocation_seconds", count, 3600),
        retry_seconds=table.take("retry_seconds", count, 30),
    )
    table.finish()
    return federation


def _vaults(table: Table) -> VaultConfig:
    secrets = table.path("secrets")
    vaults = VaultConfig(
        database=table.place("database"),
        objects=table.place("objects"),
        secrets=secrets,
        seals=table.path("seals") if "seals" in table else secrets.parent / "seals",
        passphrase_file=table.path("passphrase_file") if "passphrase_file" in table else None,
        passphrase_credential=table.take("passphrase_credential", credential, ""),
        tokens=read_tokens(each) if (each := table.optional("tokens")) else None,
        control=table.path("control") if "control" in table else None,
    )
    table.finish()
    if (vaults.passphrase_file is None) == (not vaults.passphrase_credential):
        raise ConfigError(table.at("passphrase_file"), "or passphrase_credential: one of them is needed")
    for name in ("database", "objects", "secrets"):
        place = getattr(vaults, name)
        if isinstance(place, Path) and _one_inside_the_other(vaults.seals, place):
            raise ConfigError(table.at("seals"), f"is not apart from {name}: a backup must not contain it")
    return vaults


def _one_inside_the_other(one: Path, other: Path) -> bool:
    one, other = one.resolve(), other.resolve()
    return one.is_relative_to(other) or other.is_relative_to(one)


def _access_point(table: Table) -> AccessPointConfig:
    profiles = table.take("profiles", _profiles, tuple(PROFILES.values()))
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
        profiles=_with_values(profiles, table.optional("transport_profiles")),
        timestamp_peers=table.take("timestamp_peers", texts, ()),
        clock_seconds=table.take("clock_seconds", count, 600),
        peer_alarm=table.take("peer_alarm", count, 10),
        peer_alarm_seconds=table.take("peer_alarm_seconds", positive, 86400),
        address=table.take("address", https_address, ""),
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
        address_d=table.take("address_d", _origin, ""),
        token_seconds=table.take("token_seconds", _token_seconds, 900),
    )
    table.finish()
    if message_service.listen_d is not None and not message_service.address_d:
        raise ConfigError("message_service.address_d", "is missing, and interface D is to be served")
    return message_service


def _metrics(table: Table) -> MetricsConfig:
    metrics = MetricsConfig(
        listen=table.take("listen", _loopback),
        per_organisation=table.take("per_organisation", flag, False),
        queue_seconds=table.take("queue_seconds", positive, 30),
    )
    table.finish()
    return metrics


def _origin(value: Any) -> str:
    address = https_address(value).rstrip("/")
    if address.count("/") != 2:
        raise ValueError("is more than https:// and a host")
    return address


def _token_seconds(value: Any) -> int:
    if positive(value) > LONGEST_SECONDS:
        raise ValueError(f"is more than {LONGEST_SECONDS}")
    return int(value)


def _environment(value: Any) -> Environment:
    return Environment(text(value))


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


def _with_values(profiles: tuple[TransportProfile, ...], table: Table | None) -> tuple[TransportProfile, ...]:
    """The profiles with the values that the operator sets, since not every text could be had."""
    if table is None:
        return profiles
    changed = tuple(
        _changed(one, values) if (values := table.optional(one.identifier)) else one for one in profiles
    )
    table.finish()
    return changed


def _changed(profile: TransportProfile, table: Table) -> TransportProfile:
    changed = replace(
        profile,
        party_type=table.take("party_type", text, profile.party_type),
        initiator_role=table.take("initiator_role", text, profile.initiator_role),
        responder_role=table.take("responder_role", text, profile.responder_role),
        property_type=table.take("property_type", text, profile.property_type),
        security_timestamp=table.take("security_timestamp", flag, profile.security_timestamp),
    )
    table.finish()
    return changed


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
