"""Authorisation of interface D, assembled from the configuration."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from samdrift.config.model import Config
from samdrift.config.roles import MessageServiceConfig
from samdrift.installation.messageclients import check_routing, registered
from samdrift.messageservice.oauth.endpoint import AuthorizationServer
from samdrift.messageservice.oauth.issuing import TokenIssuing
from samdrift.messageservice.oauth.keyring import Keyring
from samdrift.messageservice.oauth.persons import Persons
from samdrift.messageservice.oauth.registrations import OwnIssuers
from samdrift.messageservice.oauth.verifying import TokenVerifying
from samdrift.messageservice.settings import OrganisationProfile
from samdrift.net.client import HttpClient, http_client
from samdrift.net.clock import system_clock
from samdrift.net.keysource import KeysUnavailable
from samdrift.net.tls import client_tls
from samdrift.vault.gate import Gate
from samdrift.wire.identifiers import ParticipantIdentifier


@dataclass(frozen=True, slots=True)
class Authorizing:
    """The parts that authenticate and authorise the clients of interface D."""

    issuers: OwnIssuers
    server: AuthorizationServer
    """Authorization server; its routes are mounted in addition to interface D's own."""
    tokens: TokenVerifying


@contextlib.asynccontextmanager
async def authorizing(
    config: Config,
    own: MessageServiceConfig,
    gate: Gate,
    profiles: Mapping[ParticipantIdentifier, OrganisationProfile],
) -> AsyncIterator[Authorizing]:
    """Provide the authorisation servers and the verification of tokens while the context lasts.

    ``profiles`` holds the profiles of the organisations that are currently served.
    :class:`~samdrift.config.toml.ConfigError` when clients' files cannot be used or, in production, when a
    mailbox would receive messages that no client reads.
    """
    check_routing(config)
    known = registered(config, profiles.keys())
    issuers = OwnIssuers(own.address_d, gate.registry, profiles.keys())
    async with contextlib.AsyncExitStack() as stack:
        keyring = Keyring(gate, _Clients(stack).trusting, system_clock)
        lifetime = timedelta(seconds=own.token_seconds)
        issuing = TokenIssuing(issuers, gate, known, keyring, system_clock, os.urandom, lifetime)
        server = AuthorizationServer(issuers, issuing, gate, known, keyring, system_clock)
        persons = Persons(gate, system_clock)
        tokens = TokenVerifying(issuers, known, keyring, profiles, system_clock, persons)
        yield Authorizing(issuers, server, tokens)


class _Clients:
    """One HTTP client for each bundle of TLS issuers.

    The clients may connect to any address that the operator has configured, including private ones, because
    an organisation's own server may have a private address.
    """

    def __init__(self, stack: contextlib.AsyncExitStack) -> None:
        self._stack = stack
        self._clients: dict[Path | None, HttpClient] = {}

    def trusting(self, bundle: Path | None) -> HttpClient:
        if bundle not in self._clients:
            try:
                client = http_client(client_tls(None, bundle), public_only=False, connections=8)
            except (OSError, ValueError):
                raise KeysUnavailable(f"{bundle} is not a bundle of TLS issuers") from None
            self._clients[bundle] = client
            self._stack.push_async_callback(client.aclose)
        return self._clients[bundle]
