"""Reads what the configuration file says of an organisation, with its message clients."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

from samdrift.config.hsm import read_token
from samdrift.config.model import Config, DomibusConfig, MessageClientConfig, OrganisationConfig
from samdrift.config.toml import ConfigError, Table, flag, items, names, positive, text, texts
from samdrift.contracts.messageclients import AUTH_ID, AddressPattern, Algorithm, Scope, patterns
from samdrift.contracts.principals import Role
from samdrift.net.issuers import ExternalIssuer, KeysAt
from samdrift.wire.errors import WireError
from samdrift.wire.identifiers import ParticipantIdentifier
from samdrift.wire.webaddress import web_address

T = TypeVar("T")

_DOMAIN = re.compile(r"[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*")
_NUMBER = re.compile(r"[0-9]{6}-?[0-9]{4}")
_CLIENT_ID = re.compile(r"[!-~]{1,100}")


def organisation(table: Table) -> OrganisationConfig:
    """One of ``[[organisations]]``."""
    external = table.optional("external_issuer")
    read = OrganisationConfig(
        identifier=table.take("identifier", _participant),
        name=table.take("name", text),
        roles=table.take("roles", lambda value: tuple(Role(each) for each in items(value))),
        part_of=table.take("part_of", _participant, None),
        number=table.take("number", _number, ""),
        functional_addresses=table.take("functional_addresses", texts, ()),
        file_types=table.take("file_types", texts, ()),
        base_model=table.take("base_model", flag, False),
        access_point=table.take("access_point", text, ""),
        domibus=_domibus(each) if (each := table.optional("domibus")) else None,
        clients=table.take("clients", names, {}),
        message_clients=tuple(
            _client(each, external is not None) for each in table.tables("message_clients")
        ),
        external_issuer=_external(external) if external is not None else None,
        token=read_token(each) if (each := table.optional("token")) else None,
    )
    table.finish()
    _check_access_point(read, table)
    _check_clients(read, table)
    return read


def _check_access_point(read: OrganisationConfig, table: Table) -> None:
    if read.domibus is not None and read.access_point:
        raise ConfigError(table.at("domibus"), "stands beside access_point; an organisation has one of them")
    if not read.access_point and not read.domibus and Role.MESSAGE_SERVICE in read.roles:
        raise ConfigError(table.at("access_point"), "is missing; the role mt needs one, or domibus")
    if read.domibus is not None and Role.MESSAGE_SERVICE not in read.roles:
        raise ConfigError(table.at("domibus"), "is for organisations with the role mt")


def _check_clients(read: OrganisationConfig, table: Table) -> None:
    ids = [client.id for client in read.message_clients]
    if len(set(ids)) < len(ids):
        raise ConfigError(table.at("message_clients"), "two clients have the same id")
    if sum(client.default for client in read.message_clients) > 1:
        raise ConfigError(table.at("message_clients"), "only one client can be the default")
    if ids and Role.MESSAGE_SERVICE not in read.roles:
        raise ConfigError(table.at("message_clients"), "message clients need the role mt")


def _client(table: Table, external: bool) -> MessageClientConfig:
    default = table.take("default", flag, False)
    client = MessageClientConfig(
        id=table.take("id", _client_id),
        addresses=table.take("addresses", _patterns, *([()] if default else [])),
        scopes=table.take("scopes", _scopes),
        keys=_keys(table),
        default=default,
    )
    table.finish()
    if client.keys is None and not external:
        raise ConfigError(table.at("keys"), "is missing, and the organisation has no external_issuer")
    return client


def _external(table: Table) -> ExternalIssuer:
    keys = _keys(table)
    if isinstance(keys, Path):
        raise ConfigError(table.at("keys"), "is not an address that begins with https://")
    issuer = ExternalIssuer(
        issuer=table.take("issuer", https_address),
        audience=table.take("audience", text, ""),
        keys=keys,
        tls_issuers=_tls_issuers(table),
        auth_id_claim=table.take("auth_id_claim", text, AUTH_ID),
        client_claim=table.take("client_claim", text, "client_id"),
        algorithms=table.take("algorithms", _algorithms, frozenset(Algorithm)),
        token_type=table.take("token_type", lambda value: text(value).lower(), "at+jwt"),
    )
    table.finish()
    return issuer


def _keys(table: Table) -> Path | KeysAt | None:
    """Where keys are: a file beside the configuration, or an address that is called over HTTPS."""
    if "keys" not in table:
        return None
    if isinstance(place := table.place("keys"), Path):
        return place
    try:
        return KeysAt(https_address(place), _tls_issuers(table))
    except ValueError as error:
        raise ConfigError(table.at("keys"), str(error)) from None


def _domibus(table: Table) -> DomibusConfig:
    domibus = DomibusConfig(
        url=table.take("url", https_address),
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


def check_parts(config: Config) -> None:
    """An under-organisation belongs to an organisation, and that to none."""
    parents = {one.identifier: one.part_of for one in config.organisations}
    for number, one in enumerate(config.organisations):
        where = f"organisations[{number}].part_of"
        if one.part_of == one.identifier:
            raise ConfigError(where, "is the organisation itself")
        if one.part_of is not None and parents.get(one.part_of) is not None:
            raise ConfigError(where, "is an under-organisation; name the organisation that both belong to")


def check_issuers(config: Config) -> None:
    """One authorisation server for one organisation, and a name for what tokens are for."""
    address = config.message_service.address_d if config.message_service else ""
    seen: set[str] = set()
    for number, one in enumerate(config.organisations):
        where = f"organisations[{number}]"
        if one.message_clients and not address:
            raise ConfigError("message_service.address_d", "is missing, and there are message clients")
        if one.external_issuer is None:
            continue
        issuer = one.external_issuer.issuer
        if issuer in seen or issuer.startswith(f"{address}/"):
            raise ConfigError(f"{where}.external_issuer.issuer", "is the issuer of another organisation")
        seen.add(issuer)


def https_address(value: Any) -> str:
    """An address that is called over HTTPS; :class:`ValueError` for any other."""
    try:
        address = web_address(text(value), "")
    except WireError:
        address = ""
    if not address.startswith("https://"):
        raise ValueError("is not an address that begins with https://")
    return address


def _domain(value: Any) -> str:
    if not _DOMAIN.fullmatch(text(value)):
        raise ValueError("is not a domain such as messages.example.se")
    return str(value)


def _user(value: Any) -> str:
    if ":" in text(value):
        raise ValueError("has a colon, which no user name has (RFC 7617)")
    return str(value)


def _tls_issuers(table: Table) -> Path | None:
    return table.path("tls_issuers") if "tls_issuers" in table else None


def _participant(value: Any) -> ParticipantIdentifier:
    try:
        return ParticipantIdentifier.parse(text(value))
    except WireError as error:
        raise ValueError(error.text) from None


def _number(value: Any) -> str:
    if not _NUMBER.fullmatch(text(value)):
        raise ValueError("is not an organisation number of ten digits, such as 2120000613")
    return str(value).replace("-", "")


def _client_id(value: Any) -> str:
    if not _CLIENT_ID.fullmatch(text(value)):
        raise ValueError("is not 1 to 100 characters of ASCII without spaces")
    return str(value)


def _patterns(value: Any) -> tuple[AddressPattern, ...]:
    if not texts(value):
        raise ValueError("names no address")
    return patterns(texts(value))


def _scopes(value: Any) -> frozenset[Scope]:
    return _some(_known(Scope.named(name), Scope) for name in texts(value))


def _algorithms(value: Any) -> frozenset[Algorithm]:
    known = {each.value: each for each in Algorithm}
    return _some(_known(known.get(name), Algorithm) for name in texts(value))


def _known(found: T | None, names: Iterable[str]) -> T:
    if found is None:
        raise ValueError(f"is none of {', '.join(names)}")
    return found


def _some(found: Iterable[T]) -> frozenset[T]:
    if not (some := frozenset(found)):
        raise ValueError("is empty")
    return some
