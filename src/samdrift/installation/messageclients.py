"""The registered message clients in the current configuration file, and the addresses that each reads."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from samdrift.config.model import Config, Environment, MessageClientConfig, OrganisationConfig
from samdrift.config.reader import load
from samdrift.config.toml import ConfigError
from samdrift.messageservice.oauth.registrations import MessageClient, OrganisationClients, Registrations
from samdrift.net.following import Followed, file_state
from samdrift.net.issuers import ExternalIssuer, KeysAt
from samdrift.wire.identifiers import ParticipantIdentifier
from samdrift.wire.jose.keys import PublicKeys

_LOGGER = logging.getLogger("samdrift")


def registrations(config: Config) -> Registrations:
    """Read the clients' key files; :class:`ConfigError` for one that cannot be used."""
    return Registrations({one.identifier: _clients(one, _address(config)) for one in config.organisations})


def check_routing(config: Config) -> None:
    """Require that some client reads every mailbox: refuse a gap in production, warn of it elsewhere."""
    for where, text in _unassigned(config):
        if config.environment is Environment.PRODUCTION:
            raise ConfigError(where, text)
        _LOGGER.warning("%s: %s", where, text)


def registered(config: Config, served: Collection[ParticipantIdentifier] = ()) -> Callable[[], Registrations]:
    """Return the current registrations: adding or removing a client needs no restart.

    They cover the organisations of ``config`` and those in ``served`` at the time. :class:`ConfigError` for a
    file that is unusable at first.
    """
    if config.file is None:
        found = registrations(config)
        return lambda: found
    file = _File(config.file, config, served)
    return Followed("message clients", file.build, file.state).current


class _File:
    """The configuration file as a source of registrations."""

    def __init__(self, path: Path, config: Config, served: Collection[ParticipantIdentifier]) -> None:
        self._path = path
        self._known = {one.identifier for one in config.organisations}
        self._served = served

    def build(self) -> Registrations:
        """Build the registrations of the organisations that this process serves.

        Addresses without a client are only warned about, because removing a client must take effect.
        """
        config = load(self._path)
        served = (one for one in config.organisations if one.identifier in {*self._known, *self._served})
        config = replace(config, organisations=tuple(served))
        found = Registrations(_ClientsNow(config.organisations, _address(config)))
        for where, text in _unassigned(config):
            _LOGGER.warning("%s: %s", where, text)
        return found

    def state(self) -> Hashable:
        return file_state(self._path), len(self._served)


class _ClientsNow(Mapping[ParticipantIdentifier, OrganisationClients]):
    """The clients of each organisation, read from its key files on access.

    Every call of a message client looks up one organisation, so the files of the others are left alone.
    """

    def __init__(self, organisations: Sequence[OrganisationConfig], address: str) -> None:
        self._followed = {
            one.identifier: Followed(
                "message clients",
                partial(_clients, one, address),
                partial(_key_files, one),
            )
            for one in organisations
        }

    def __getitem__(self, organisation: ParticipantIdentifier) -> OrganisationClients:
        return self._followed[organisation].current()

    def __iter__(self) -> Iterator[ParticipantIdentifier]:
        return iter(self._followed)

    def __len__(self) -> int:
        return len(self._followed)


def _address(config: Config) -> str:
    return config.message_service.address_d if config.message_service else ""


def _key_files(organisation: OrganisationConfig) -> Hashable:
    """Return a state that changes when the key files of an organisation's clients change."""
    keys = (client.keys for client in organisation.message_clients)
    return tuple(file_state(each) for each in keys if isinstance(each, Path))


def _clients(organisation: OrganisationConfig, address: str) -> OrganisationClients:
    return OrganisationClients(
        {one.id: _client(one) for one in organisation.message_clients},
        _external(organisation.external_issuer, address) if organisation.external_issuer else None,
    )


def _client(client: MessageClientConfig) -> MessageClient:
    keys = _read(client.keys) if isinstance(client.keys, Path) else client.keys
    if isinstance(keys, KeysAt):
        _check_bundle(keys.tls_issuers)
    return MessageClient(client.id, client.addresses, client.scopes, keys, client.default)


def _external(external: ExternalIssuer, address: str) -> ExternalIssuer:
    _check_bundle(external.tls_issuers)
    _check_bundle(external.keys.tls_issuers if external.keys else None)
    return replace(external, audience=external.audience or address)


def _read(file: Path) -> PublicKeys:
    try:
        return PublicKeys.read(file.read_bytes())
    except OSError as error:
        raise ConfigError(str(file), f"cannot be read ({type(error).__name__})") from None
    except ValueError as error:
        raise ConfigError(str(file), str(error)) from None


def _check_bundle(bundle: Path | None) -> None:
    if bundle is not None and not bundle.is_file():
        raise ConfigError(str(bundle), "there is no such file")


def _unassigned(config: Config) -> Iterator[tuple[str, str]]:
    """Yield organisations that have message clients but also addresses that none of them reads."""
    known = registrations(config)
    for number, one in enumerate(config.organisations):
        addresses = known.of(one.identifier).routing.unassigned(one.functional_addresses)
        if one.message_clients and addresses:
            yield (
                f"organisations[{number}].message_clients",
                f"no client receives messages to {', '.join(addresses)}: no client has the address, "
                "and none is the default",
            )
