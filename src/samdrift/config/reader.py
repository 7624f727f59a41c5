"""The strict reader of an installation's configuration file.

The keys are those declared in :mod:`samdrift.config.model`; an unknown one is an error, so that a misspelt
setting never silently falls back to a default. Paths are relative to the file's folder. The rules that
involve several keys are listed here.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

from samdrift.config.console import ConsoleConfig, check_console
from samdrift.config.directories import check_directories
from samdrift.config.hsm import HsmTokenConfig, check_pin
from samdrift.config.isolation import Isolation, IsolationConfig, check_level
from samdrift.config.keys import Tables
from samdrift.config.malware import MalwareConfig, check_scanner
from samdrift.config.model import Config, DomibusConfig, Environment, OrganisationConfig, VaultConfig
from samdrift.config.objects import S3Config, check_objects, check_secret
from samdrift.config.organisations import (
    HOST_KEYS,
    check_access_point,
    check_client_addresses,
    check_client_keys,
    check_hosts,
    check_login,
    check_message_clients,
    check_sign_in,
    check_webhook,
    host_of,
)
from samdrift.config.reading import Breaches, Check, Checks, read_table
from samdrift.config.roles import AccessPointConfig, MessageServiceConfig, check_attempts
from samdrift.config.signin import (
    DEMONSTRATION_LEVEL,
    SamlConfig,
    SignInConfig,
    check_levels,
    check_metadata,
)
from samdrift.config.staff import staff_breaches
from samdrift.config.toml import Findings, Table, read_file
from samdrift.net.directories import LdapSecurity

_LOGGER = logging.getLogger("samdrift")
_DNS = 53


def load(path: Path) -> Config:
    """Read and check a configuration file, or raise :class:`ConfigError` with all faults."""
    config, found = examine(path)
    for warning in found.warnings:
        _LOGGER.warning("%s: %s", path, warning)
    found.require_no_faults(path)
    return config


def examine(path: Path) -> tuple[Config, Findings]:
    """Read a configuration file; the configuration may be used only if no faults were found.

    Raises :class:`ConfigError` when the file is missing or not TOML.
    """
    table = read_file(path)
    config: Config = read_table(Tables(Config), table, CHECKS)
    return replace(config, file=path.resolve()), table.found


def _check_passphrase(vaults: VaultConfig, _: Table) -> Breaches:
    if (vaults.passphrase_file is None) == (not vaults.passphrase_credential):
        yield "passphrase_file", "or passphrase_credential: one of them is required"


def _check_seals(vaults: VaultConfig, _: Table) -> Breaches:
    for name in ("database", "objects", "secrets"):
        place = getattr(vaults, name)
        if isinstance(place, Path) and _one_inside_the_other(vaults.seals, place):
            yield "seals", f"overlaps {name}: a backup must not contain it"


def _check_objects(vaults: VaultConfig, _: Table) -> Breaches:
    yield from check_objects(vaults.objects, vaults.s3)


def _check_shared_bucket(config: Config, _: Table) -> Breaches:
    """Reject a bucket at level ``process``.

    Every process would hold the access key to all organisations' bodies there.
    """
    if config.isolation.level is Isolation.PROCESS and isinstance(config.vaults.objects, str):
        yield "vaults.objects", "is a folder at level process: each process would have the key to all bodies"


def _note_directories(config: Config, table: Table) -> Breaches:
    """Note that ``serve`` does not read directories at level ``process``.

    There, no process has the keys of two vaults.
    """
    for number, one in enumerate(config.organisations):
        if one.directories and config.isolation.level is Isolation.PROCESS:
            text = "are not read by serve at level process: have a timer run samdrift gov group synchronise"
            table.note(f"organisations[{number}].directories", f"{text} (docs/groups.md)")
    yield from ()


def _one_inside_the_other(one: Path, other: Path) -> bool:
    one, other = one.resolve(), other.resolve()
    return one.is_relative_to(other) or other.is_relative_to(one)


def _check_interface_d(service: MessageServiceConfig, _: Table) -> Breaches:
    if service.listen_d is not None and not service.address_d:
        yield "address_d", "is missing, but interface D is configured"


def _check_scanned(config: Config, _: Table) -> Breaches:
    if config.message_service is not None and config.malware is None:
        yield "malware", "is missing: name the scanner for messages"


def _check_alerts(config: Config, _: Table) -> Breaches:
    """Require the mail server and the metrics that mails to the operator depend on."""
    for name, needed in (("mail", config.mail), ("metrics", config.metrics)):
        if config.alerts is not None and needed is None:
            yield name, "is missing, but alerts need it"


def _check_canaries(config: Config, _: Table) -> Breaches:
    if config.isolation_check is None:
        return
    hosted = [one.identifier for one in config.organisations]
    for canary in config.isolation_check.canaries:
        if canary not in hosted:
            yield "isolation_check.canaries", f"names {canary}, which is not one of the organisations"


def _check_parts(config: Config, _: Table) -> Breaches:
    """Require that an under-organisation belongs to an organisation that is not itself one."""
    parents = {one.identifier: one.part_of for one in config.organisations}
    for number, one in enumerate(config.organisations):
        where = f"organisations[{number}].part_of"
        if one.part_of == one.identifier:
            yield where, "is the organisation itself"
        elif one.part_of is not None and parents.get(one.part_of) is not None:
            yield where, "is an under-organisation; name the organisation that both belong to"


def _check_client_address(config: Config, _: Table) -> Breaches:
    """Require the address of interface D for message clients, since access tokens name it as audience."""
    address = config.message_service.address_d if config.message_service else ""
    if not address and any(one.message_clients for one in config.organisations):
        yield "message_service.address_d", "is missing, but there are message clients"


def _check_issuers(config: Config, _: Table) -> Breaches:
    """Require that no two organisations share an authorisation server."""
    address = config.message_service.address_d if config.message_service else ""
    seen: set[str] = set()
    for number, one in enumerate(config.organisations):
        if one.external_issuer is None:
            continue
        issuer = one.external_issuer.issuer
        if issuer in seen or issuer.startswith(f"{address}/"):
            yield f"organisations[{number}].external_issuer.issuer", "is the issuer of another organisation"
        seen.add(issuer)


def _check_hosts(config: Config, _: Table) -> Breaches:
    """Require a separate host for each organisation and role, and for the console, to separate cookies."""
    seen = {config.console.host} if config.console is not None else set[str]()
    for number, one in enumerate(config.organisations):
        for role, key in HOST_KEYS.items():
            host = host_of(one, role)
            if host in seen:
                text = "is the host of another organisation or role, or the console's"
                yield f"organisations[{number}].{key}", text
            seen |= {host} - {""}


def _check_staff(config: Config, _: Table) -> Breaches:
    """Require that each key belongs to one person."""
    yield from staff_breaches(config.staff)


def _check_tokens(config: Config, _: Table) -> Breaches:
    """Require an HSM library if there are tokens, and reject a token shared by organisations (R6)."""
    labels: set[str] = set()
    for number, one in enumerate(config.organisations):
        if one.hsm is None:
            continue
        if one.hsm.label in labels:
            yield f"organisations[{number}].hsm.label", "two organisations have the same token"
        labels.add(one.hsm.label)
    if labels and config.vaults.hsm is None:
        yield "vaults.hsm", "is missing, but an organisation has a token"


def _guard_name_servers(config: Config, _: Table) -> Breaches:
    if _real(config) and any(server.port != _DNS for server in config.federation.name_servers):
        yield "federation.name_servers", "production asks name servers at port 53"


def _guard_addresses(config: Config, _: Table) -> Breaches:
    if _real(config) and config.federation.private_addresses:
        yield "federation.private_addresses", "production connects to public addresses only"


def _guard_federation(config: Config, _: Table) -> Breaches:
    if not _real(config):
        return
    if not config.federation.identifier.startswith("urn:fdc:digg.se:edelivery:federation:"):
        yield "federation.identifier", "production must be in a federation of DIGG's"
    elif config.federation.identifier.endswith(":test"):
        yield "federation.identifier", "the test federation is not for production"


def _guard_scanner(config: Config, _: Table) -> Breaches:
    if _real(config) and config.malware is not None and config.malware.clamd is None:
        yield "malware.scanner", "production scans messages for malicious code"


def _guard_address_book(config: Config, _: Table) -> Breaches:
    book = config.address_book
    if _real(config) and book is not None and not book.url.startswith("https://"):
        yield "address_book.url", "production reads the address book over HTTPS"


def _guard_sign_in(config: Config, _: Table) -> Breaches:
    """Reject sign-in and pages without TLS, and the demonstration's level, outside the demonstration."""
    if config.environment is Environment.DEMONSTRATION:
        return
    named = ("message_client", "governance", "console")
    for where, pages in zip(named, (config.message_client, config.governance, config.console), strict=True):
        if pages is not None and pages.plain:
            yield f"{where}.plain", "is for the demonstration; pages are served over TLS"
    if config.console is not None:
        yield from _guard_console(config.console)
    for number, one in enumerate(config.organisations):
        if one.sign_in is not None and not one.sign_in.issuer.startswith("https://"):
            yield f"organisations[{number}].sign_in.issuer", "is not an address that begins with https://"
        for key, service in (("sign_in", one.sign_in), ("saml", one.saml)):
            if service is not None and DEMONSTRATION_LEVEL in service.levels:
                where = f"organisations[{number}].{key}.levels"
                yield where, "has the level of the demonstration's persons"


def _guard_directories(config: Config, _: Table) -> Breaches:
    """Require TLS for directories outside the demonstration, since passwords and people's data are sent."""
    demonstration = config.environment is Environment.DEMONSTRATION
    for number, one in enumerate(() if demonstration else config.organisations):
        for place, directory in enumerate(one.directories):
            if directory.security is LdapSecurity.NONE:
                where = f"organisations[{number}].directories[{place}].security"
                yield where, "is for the demonstration; a directory is read by TLS"


def _guard_console(console: ConsoleConfig) -> Breaches:
    if console.sign_in is None:
        return
    if not console.sign_in.issuer.startswith("https://"):
        yield "console.sign_in.issuer", "is not an address that begins with https://"
    if DEMONSTRATION_LEVEL in console.sign_in.levels:
        yield "console.sign_in.levels", "has the level of the demonstration's persons"


def _real(config: Config) -> bool:
    return config.environment is Environment.PRODUCTION


PRODUCTION: tuple[Check, ...] = (
    _guard_name_servers,
    _guard_addresses,
    _guard_federation,
    _guard_scanner,
    _guard_address_book,
    _guard_sign_in,
    _guard_directories,
)
"""Rules that reject, in production, settings meant for demonstration only (invariant 12)."""
CHECKS: Checks = {
    Config: (
        _check_scanned,
        _check_alerts,
        _check_canaries,
        _check_client_address,
        _check_issuers,
        _check_parts,
        _check_hosts,
        _check_staff,
        _check_tokens,
        _check_shared_bucket,
        _note_directories,
        *PRODUCTION,
    ),
    VaultConfig: (_check_passphrase, _check_seals, _check_objects),
    S3Config: (check_secret,),
    MessageServiceConfig: (_check_interface_d,),
    AccessPointConfig: (check_attempts,),
    MalwareConfig: (check_scanner,),
    IsolationConfig: (check_level,),
    HsmTokenConfig: (check_pin,),
    DomibusConfig: (check_login,),
    ConsoleConfig: (check_console,),
    SignInConfig: (check_levels,),
    SamlConfig: (check_levels, check_metadata),
    OrganisationConfig: (
        check_access_point,
        check_hosts,
        check_webhook,
        check_sign_in,
        check_message_clients,
        check_client_keys,
        check_client_addresses,
        check_directories,
    ),
}
"""Rules that involve several keys, by the table that they apply to."""
