"""Message clients as the configuration has them: sign-in of persons, and the message services in use."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path

from samdrift.config.inputs import reason
from samdrift.config.model import Config, Environment, OrganisationConfig
from samdrift.config.organisations import SignInConfig, host_of
from samdrift.config.roles import MessageClientRoleConfig
from samdrift.config.toml import ConfigError
from samdrift.contracts.principals import Role
from samdrift.messageclient.administering import Profile, Profiles
from samdrift.messageclient.entrance.sites import Sites, SiteSettings
from samdrift.messageclient.working import ServiceSettings
from samdrift.net.addresses import EnteredAddresses, any_address
from samdrift.net.clock import system_clock
from samdrift.net.entered import EnteredAddressClient
from samdrift.net.tls import client_tls
from samdrift.vault.gate import Gate
from samdrift.web.sessions import SessionLimits
from samdrift.web.signin.provider import Fetches, ProviderSettings, by_secret
from samdrift.web.sites import Accent


@contextlib.asynccontextmanager
async def client_sites(config: Config, own: MessageClientRoleConfig, gate: Gate) -> AsyncIterator[Sites]:
    """Return the sites of organisations whose persons can sign in; :class:`ConfigError` for what is unfit."""
    async with AsyncExitStack() as stack:
        settings, fetches = [], dict[str, Fetches]()
        for number, one in enumerate(config.organisations):
            if one.sign_in is None or Role.MESSAGE_CLIENT not in one.roles:
                continue
            settings.append(_site(one, one.sign_in, own, f"organisations[{number}]"))
            client = _client(config, own, one.sign_in)
            fetches[one.sign_in.issuer] = await stack.enter_async_context(client)
        yield Sites(gate, settings, fetches, system_clock)


def used_services(config: Config) -> tuple[ServiceSettings, ...]:
    """Return the message services that message clients use; :class:`ConfigError` for a key that is unfit."""
    return tuple(
        ServiceSettings(
            one.identifier,
            one.message_service.interface,
            one.message_service.token_endpoint,
            one.message_service.client_id,
            _read(one.message_service.key_file, f"organisations[{number}].message_service.key_file"),
            one.message_service.tls_issuers,
            one.message_service.audience or None,
            public_only=not config.federation.private_addresses,
        )
        for number, one in enumerate(config.organisations)
        if one.message_service is not None and Role.MESSAGE_CLIENT in one.roles
    )


def client_profiles(config: Config, services: Sequence[ServiceSettings]) -> Profiles:
    """Return what the configuration says of the message client of each organisation."""
    used = {one.organisation: one for one in services}
    return {
        one.identifier: Profile(tuple(one.functional_addresses), used.get(one.identifier))
        for one in config.organisations
        if Role.MESSAGE_CLIENT in one.roles
    }


def _site(
    organisation: OrganisationConfig, sign_in: SignInConfig, own: MessageClientRoleConfig, where: str
) -> SiteSettings:
    scheme, usual = ("http", 80) if own.plain else ("https", 443)
    port = "" if own.public_port == usual else f":{own.public_port}"
    longest = sign_in.max_age_seconds
    return SiteSettings(
        organisation.identifier,
        organisation.name,
        f"{scheme}://{host_of(organisation, Role.MESSAGE_CLIENT)}{port}",
        ProviderSettings(
            sign_in.issuer,
            sign_in.client_id,
            sign_in.levels,
            sign_in.algorithms,
            sign_in.scopes,
            sign_in.name_claim,
            sign_in.claims,
            None if longest is None else timedelta(seconds=longest),
        ),
        by_secret(sign_in.client_id, _secret(sign_in.secret_file, f"{where}.sign_in.secret_file")),
        SessionLimits(timedelta(seconds=sign_in.idle_seconds), timedelta(seconds=sign_in.whole_seconds)),
        _accent(organisation.accent, f"{where}.accent"),
        organisation.contact,
    )


def _client(config: Config, own: MessageClientRoleConfig, sign_in: SignInConfig) -> EnteredAddressClient:
    """Return the client for the sign-in service: in the demonstration it is on this machine."""
    demonstration = config.environment is Environment.DEMONSTRATION
    permits = any_address if demonstration else EnteredAddresses(own.networks)
    return EnteredAddressClient(permits, client_tls(trust=sign_in.tls_issuers), plain=demonstration)


def _secret(file: Path, where: str) -> str:
    try:
        secret = _read(file, where).decode("utf-8").strip()
    except UnicodeError:
        raise ConfigError(where, "is not text") from None
    if not secret:
        raise ConfigError(where, "is empty")
    return secret


def _read(file: Path, where: str) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise ConfigError(where, f"cannot be read: {reason(error)}") from None


def _accent(name: str, where: str) -> Accent:
    try:
        return Accent(name) if name else Accent.TEAL
    except ValueError:
        raise ConfigError(where, f"is none of {', '.join(Accent)}") from None
