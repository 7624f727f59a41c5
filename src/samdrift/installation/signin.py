"""Sign-in to roles with pages, and the message services that message clients use, as configured."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from functools import cache, partial
from pathlib import Path
from typing import TypeAlias
from urllib.parse import urlsplit

from samdrift.config.errors import Unusable
from samdrift.config.inputs import read_certificates, reason
from samdrift.config.model import Config, Environment, OrganisationConfig
from samdrift.config.organisations import SamlConfig, SignInConfig, UsedServiceConfig, host_of
from samdrift.config.passphrase import read_secret
from samdrift.config.roles import GovernanceConfig, MessageClientRoleConfig
from samdrift.config.toml import ConfigError
from samdrift.contracts.principals import Role
from samdrift.entrance.ownkeys import OwnKeys
from samdrift.entrance.signedin import KnownElsewhere
from samdrift.entrance.sites import Sites, SiteSettings, WithPages
from samdrift.installation.health import Dependency
from samdrift.installation.messageclients import registered
from samdrift.messageclient.administering import Profile, Profiles
from samdrift.messageclient.deleting import DeletionRule
from samdrift.messageclient.working import ServiceSettings
from samdrift.messageservice.oauth.registrations import Registered
from samdrift.net.addresses import EnteredAddresses, any_address
from samdrift.net.client import Watch, unwatched
from samdrift.net.clock import system_clock
from samdrift.net.entered import EnteredAddressClient
from samdrift.net.tls import client_tls
from samdrift.vault.gate import Gate
from samdrift.vault.messageclient import MessageClientVault
from samdrift.vault.people import People
from samdrift.vault.workergate import WorkerGate
from samdrift.web.sessions import SessionLimits
from samdrift.web.signin.provider import Fetches, Provider, ProviderSettings, by_key, by_secret
from samdrift.web.signin.saml.flow import Site as SamlSite
from samdrift.web.signin.saml.provider import SamlProvider, SamlSettings, from_address, from_file
from samdrift.web.signin.service import OidcService, SamlService, SignInService
from samdrift.web.sites import Accent
from samdrift.wire.crypto.keys import DecryptionKey, SigningKey
from samdrift.wire.identifiers import ParticipantIdentifier

WithPagesConfig: TypeAlias = MessageClientRoleConfig | GovernanceConfig


@contextlib.asynccontextmanager
async def sites_of(
    config: Config,
    own: WithPagesConfig,
    gate: Gate,
    role: WithPages = Role.MESSAGE_CLIENT,
    known_elsewhere: KnownElsewhere | None = None,
    watch: Watch = unwatched,
) -> AsyncIterator[Sites]:
    """Provide a role's sites of organisations whose people can sign in.

    :class:`ConfigError` for unusable settings. ``watch`` is notified whether the sign-in service answered
    each call.
    """
    vaults: WorkerGate[People] = gate.worker("sign-in", role)
    async with AsyncExitStack() as stack:
        settings = []
        for number, one in enumerate(config.organisations):
            used = one.sign_in or one.saml
            if used is None or role not in one.roles:
                continue
            where = f"organisations[{number}]"
            opened = sign_in_client(config, own.networks, used.tls_issuers, watch)
            client = await stack.enter_async_context(opened)
            keys = OwnKeys(vaults, one.identifier, system_clock)
            if isinstance(used, SamlConfig):
                service: SignInService = _saml(used, client, keys, f"{where}.saml")
            else:
                service = oidc_service(used, client, f"{where}.sign_in", keys)
            settings.append(_site(one, used, own, service, where))
        yield Sites(gate, settings, system_clock, role, known_elsewhere)


def used_services(config: Config, gate: Gate) -> tuple[ServiceSettings, ...]:
    """Return the message services that message clients use; :class:`ConfigError` for an unusable key."""
    vaults = gate.worker("fetching", Role.MESSAGE_CLIENT)
    current = cache(lambda: registered(config))
    return tuple(
        ServiceSettings(
            one.identifier,
            one.message_service.interface,
            one.message_service.token_endpoint,
            one.message_service.client_id,
            _shown_by(one, one.message_service, vaults, f"organisations[{number}].message_service.key_file"),
            one.message_service.tls_issuers,
            one.message_service.audience or None,
            public_only=not config.federation.private_addresses,
            deletion=_deletion(config, one, one.message_service, current),
            ours=_is_ours(config, one.message_service),
        )
        for number, one in enumerate(config.organisations)
        if one.message_service is not None and Role.MESSAGE_CLIENT in one.roles
    )


def client_profiles(config: Config, services: Sequence[ServiceSettings]) -> Profiles:
    """Return the configuration of each organisation's message client."""
    used = {one.organisation: one for one in services}
    return {
        one.identifier: Profile(tuple(one.functional_addresses), used.get(one.identifier))
        for one in config.organisations
        if Role.MESSAGE_CLIENT in one.roles
    }


def _deletion(
    config: Config,
    organisation: OrganisationConfig,
    used: UsedServiceConfig,
    current: Callable[[], Registered],
) -> DeletionRule | None:
    """Return the rule for deletion at a message service; only our own reveals an address's other readers."""
    if used.delete_after_days is None:
        return None
    after = timedelta(days=used.delete_after_days)
    ours = _is_ours(config, used)
    others = partial(_others, current(), organisation.identifier, used.client_id) if ours else None
    return DeletionRule(after, used.interface, others)


def _is_ours(config: Config, used: UsedServiceConfig) -> bool:
    """Return whether a message service is this installation's own."""
    own = config.message_service.address_d if config.message_service else ""
    return bool(own) and urlsplit(own).netloc == urlsplit(used.interface).netloc


def _others(
    current: Registered, organisation: ParticipantIdentifier, own: str, address: str
) -> tuple[str, ...]:
    """Return the organisation's other clients that currently read an address at our own message service."""
    readers = current().of(organisation).readers(address)
    return tuple(client for client in readers if client != own)


def _shown_by(
    organisation: OrganisationConfig,
    service: UsedServiceConfig,
    vaults: WorkerGate[MessageClientVault],
    where: str,
) -> bytes | OwnKeys:
    """Return the key that authenticates the organisation to a message service, from a file or its vault."""
    if service.key_file is None:
        return OwnKeys(vaults, organisation.identifier, system_clock)
    return _read(service.key_file, where)


def oidc_service(
    sign_in: SignInConfig, client: Fetches, where: str, keys: OwnKeys | None = None
) -> OidcService:
    """Return a sign-in service as configured; :class:`ConfigError` for an unusable secret.

    ``keys`` authenticate us to it if there is no secret.
    """
    longest = sign_in.max_age_seconds
    settings = ProviderSettings(
        sign_in.issuer,
        sign_in.client_id,
        sign_in.levels,
        sign_in.algorithms,
        sign_in.scopes,
        sign_in.name_claim,
        sign_in.claims,
        None if longest is None else timedelta(seconds=longest),
    )
    if sign_in.secret_file is not None:
        authenticate = by_secret(sign_in.client_id, read_secret(sign_in.secret_file, f"{where}.secret_file"))
    elif keys is not None:
        authenticate = by_key(sign_in.client_id, keys.tokens)
    else:
        raise ConfigError(f"{where}.secret_file", "is missing")
    return OidcService(Provider(settings, authenticate, client, system_clock))


def _saml(saml: SamlConfig, client: Fetches, keys: OwnKeys, where: str) -> SamlService:
    longest, signers = saml.max_age_seconds, None
    if saml.metadata_signers is not None:
        signers = read_certificates(saml.metadata_signers)
    settings = SamlSettings(
        saml.entity_id,
        saml.levels,
        signers,
        saml.subject_attribute,
        saml.name_attribute,
        saml.attributes,
        None if longest is None else timedelta(seconds=longest),
        saml.encrypted,
    )
    if isinstance(saml.metadata, Path):
        _read(saml.metadata, f"{where}.metadata")
        read = from_file(saml.metadata)
    else:
        read = from_address(saml.metadata, client)
    return SamlService(SamlProvider(settings, read, system_clock), keys)


def _site(
    organisation: OrganisationConfig,
    used: SignInConfig | SamlConfig,
    own: WithPagesConfig,
    service: SignInService,
    where: str,
) -> SiteSettings:
    return SiteSettings(
        organisation.identifier,
        organisation.name,
        pages_origin(organisation, own),
        service,
        session_limits(used),
        _accent(organisation.accent, f"{where}.accent"),
        organisation.contact,
    )


def session_limits(used: SignInConfig | SamlConfig) -> SessionLimits:
    """Return the limits on the length of sessions."""
    return SessionLimits(timedelta(seconds=used.idle_seconds), timedelta(seconds=used.whole_seconds))


def saml_metadata(
    config: Config,
    organisation: ParticipantIdentifier,
    signing: Sequence[SigningKey],
    decrypting: Sequence[DecryptionKey],
) -> str:
    """Return the metadata of an organisation's pages for its SAML service; :class:`Unusable` if none."""
    for one in config.organisations:
        if one.identifier == organisation and config.message_client is not None:
            site = SamlSite(pages_origin(one, config.message_client), one.name)
            signers = tuple(key.certificate for key in signing)
            described = site.described(signers, tuple(key.certificate for key in decrypting))
            if described is not None:
                return described
    raise Unusable("the configuration has no pages of that organisation")


def pages_origin(organisation: OrganisationConfig, own: WithPagesConfig) -> str:
    """Return the origin of an organisation's pages in a role, as seen by browsers."""
    role = Role.GOVERNANCE if isinstance(own, GovernanceConfig) else Role.MESSAGE_CLIENT
    scheme, usual = ("http", 80) if own.plain else ("https", 443)
    port = "" if own.public_port == usual else f":{own.public_port}"
    return f"{scheme}://{host_of(organisation, role)}{port}"


def sign_in_client(
    config: Config, networks: Sequence[str], tls_issuers: Path | None, watch: Watch = unwatched
) -> EnteredAddressClient:
    """Return the client for a sign-in service, which in a demonstration may be on this machine."""
    demonstration = config.environment is Environment.DEMONSTRATION
    permits = any_address if demonstration else EnteredAddresses(networks)
    told = partial(watch, Dependency.IDENTITY_PROVIDER)
    return EnteredAddressClient(permits, client_tls(trust=tls_issuers), plain=demonstration, watch=told)


def _read(file: Path, where: str) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise ConfigError(where, f"cannot be read: {reason(error)}") from None


def _accent(name: str, where: str) -> Accent:
    try:
        return Accent(name) if name else Accent.TEAL
    except ValueError:
        raise ConfigError(where, f"is not one of {', '.join(Accent)}") from None
