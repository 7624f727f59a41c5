"""The configuration of one installation, as types."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from samdrift.config.addressbook import AddressBookConfig
from samdrift.config.hsm import TokenConfig, TokensConfig
from samdrift.config.isolation import IsolationConfig
from samdrift.config.isolationcheck import IsolationCheckConfig
from samdrift.config.malware import MalwareConfig
from samdrift.contracts.messageclients import AddressPattern, Scope
from samdrift.contracts.principals import Role
from samdrift.net.issuers import ExternalIssuer, KeysAt
from samdrift.wire.identifiers import ParticipantIdentifier
from samdrift.wire.profile import PROFILES, TransportProfile


class Environment(StrEnum):
    """Whether real information may pass here."""

    PRODUCTION = "production"
    TEST = "test"
    DEMONSTRATION = "demonstration"


@dataclass(frozen=True, slots=True)
class SocketAddress:
    """An address and a port."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class FederationConfig:
    """The federation and environment that the installation takes part in."""

    identifier: str
    sml_zone: str
    trust: Path
    """Folder with one folder of certificates per purpose: access-point, smp, organisation."""
    tls_issuers: Path | None = None
    """Bundle (PEM) of issuers of TLS certificates; Mozilla's when absent (transport-profile-as4 2.4.1 A1)."""
    name_servers: tuple[SocketAddress, ...] = ()
    """DNS servers to ask; the system's when none is named."""
    dnssec_resolvers: tuple[str, ...] = ()
    """Addresses of DNS servers whose word on DNSSEC counts, in addition to those on loopback."""
    require_dnssec: bool = False
    """Whether SML's answers are used only when DNSSEC vouches for them."""
    private_addresses: bool = False
    """Whether peers and shared services may live on loopback and private addresses; never in production."""
    metadata_seconds: int = 300
    """How long service metadata may be reused; 0 for not at all. Whether and how long it may is for the
    federation to decide (component-accesspoint 3.1.3 c, A1, A2), in a declaration that could not be had.
    """
    verdict_seconds: int = 300
    """How long a verdict on a certificate may be reused; 0 for not at all. Certificates are checked for
    revocation (transport-profile-as4 2.10); no text says how old an answer may be.
    """
    revocation_seconds: int = 3600
    """How long a revocation list or a responder's answer that is valid is used before a fresh one is asked
    for; 0 for not at all. As above; its issuer says how long it is valid (component-pki).
    """
    retry_seconds: int = 30
    """How long a revocation service that failed is left alone, and a verdict without it stands."""


@dataclass(frozen=True, slots=True)
class VaultConfig:
    """Where vaults, bodies and keys are kept."""

    database: Path | str
    objects: Path | str
    secrets: Path
    seals: Path
    """A folder that no backup contains; ``seals`` beside ``secrets`` unless told (docs/keys.md)."""
    passphrase_file: Path | None = None
    passphrase_credential: str = ""
    """Where the passphrase of the key store is: in a file, or in a credential of that name from systemd."""
    tokens: TokensConfig | None = None
    """How tokens of a hardware security module are reached, where organisations have one."""
    control: Path | None = None
    """Folder of the sockets by which running processes are told things; in ``secrets`` unless told."""


@dataclass(frozen=True, slots=True)
class AccessPointConfig:
    """Role AP."""

    party: str
    message_id_domain: str
    listen: SocketAddress
    listen_c: SocketAddress
    client_certificates: bool = False
    """Whether peers must show a client certificate on interface A (transport-profile-as4 2.4.2 A2)."""
    attempts: int = 4
    interval_seconds: int = 240
    """How often a transfer is tried, and the time between (component-accesspoint 3.2.5 A3, A4)."""
    answer_seconds: int = 60
    """How long a peer may take to answer a small message; for large ones it gets more time."""
    lease_seconds: int = 300
    """After which time the work of a process that died is taken up; longer than any attempt."""
    profiles: tuple[TransportProfile, ...] = tuple(PROFILES.values())
    """Transport profiles to send to peers by, the preferred one first (transport-profile-as4 2.3.1 e)."""
    timestamp_peers: tuple[str, ...] = ()
    """Peers, by party, that demand a ``wsu:Timestamp``; all others get none."""
    clock_seconds: int = 600
    """How far the clocks of peers may be from ours, when the security timestamp of a message is judged."""
    peer_alarm: int = 10
    """How many messages of one peer that do not conform raise an alarm; none when it is 0."""
    peer_alarm_seconds: int = 86400
    """Within which time they are counted."""
    address: str = ""
    """Where peers reach interface A, as it is registered in SMP; for the checklist of an organisation."""


@dataclass(frozen=True, slots=True)
class MessageServiceConfig:
    """Role MT."""

    listen_d: SocketAddress | None = None
    """Where message clients reach interface D; nowhere, when it is absent."""
    submit_seconds: int = 3600
    """How long a message may wait to be handed to the access point before it has failed."""
    transfer_seconds: int = 7200
    """How long its transfer may take."""
    receipt_seconds: int = 86400
    """How long its recipient may take for the message receipt."""
    retry_seconds: int = 30
    """The time between attempts at a step that failed for a reason that may pass."""
    lease_seconds: int = 300
    """After which time the work of a process that died is taken up."""
    address_d: str = ""
    """Where message clients reach interface D: ``https://`` and a host, as they write it."""
    token_seconds: int = 900
    """How long the access tokens are valid that are issued here; at most 1800 (api-mt-mk 5)."""


@dataclass(frozen=True, slots=True)
class MetricsConfig:
    """Metrics of the access point, for a Prometheus on the same host."""

    listen: SocketAddress
    """A loopback address: there is no login."""
    per_organisation: bool = False
    """Whether metrics name organisations, which tells who has how much traffic when."""
    queue_seconds: int = 30
    """How often the lengths of queues are looked at, however often they are asked for."""


@dataclass(frozen=True, slots=True)
class DomibusConfig:
    """A Domibus as an organisation's access point, reached through its web-service plugin."""

    url: str
    """Where the plugin answers, such as ``https://domibus.example/domibus/services/wsplugin``."""
    party: str
    """Party identifier of the Domibus, as in its processing mode."""
    message_id_domain: str
    """Ends the AS4 message ids that are chosen here; a domain that nobody else makes such ids in."""
    issuers: Path | None = None
    """Bundle (PEM) of issuers of its TLS certificate; Mozilla's when absent."""
    user: str = ""
    """The organisation's plugin user; empty where the client certificate tells who calls."""
    password_file: Path | None = None
    poll_seconds: int = 5
    """The time between two questions for news."""


@dataclass(frozen=True, slots=True)
class MessageClientConfig:
    """A message client of an organisation (api-mt-mk 5)."""

    id: str
    addresses: tuple[AddressPattern, ...]
    scopes: frozenset[Scope]
    keys: Path | KeysAt | None = None
    """Its public keys, a JWK Set or PEM; none when the organisation's own server vouches for it."""
    default: bool = False
    """Whether it gets what comes to addresses that are no client's."""


@dataclass(frozen=True, slots=True)
class OrganisationConfig:
    """An organisation that is served here."""

    identifier: ParticipantIdentifier
    name: str
    roles: tuple[Role, ...]
    part_of: ParticipantIdentifier | None = None
    """The organisation that it is an under-organisation of, in the address book."""
    number: str = ""
    """Organisation number, ten digits: what its certificates are recognised by, besides its name."""
    functional_addresses: tuple[str, ...] = ()
    file_types: tuple[str, ...] = ()
    base_model: bool = False
    """Whether it is registered under the base transport model too, which neither signs nor encrypts."""
    access_point: str = ""
    """Base address of interface C of its access point; for role ``mt``."""
    domibus: DomibusConfig | None = None
    """Its access point when that is a Domibus, instead of ``access_point``; for role ``mt``."""
    clients: Mapping[str, str] = field(default_factory=dict)
    """Systems that may use interface C here: name to SHA-256 of the certificate; for role ``ap``."""
    message_clients: tuple[MessageClientConfig, ...] = ()
    """Who may use interface D; for role ``mt``."""
    external_issuer: ExternalIssuer | None = None
    """The organisation's own authorisation server; without an audience, that is ``address_d``."""
    token: TokenConfig | None = None
    """Its token in a hardware security module; its keys are in files when there is none."""


@dataclass(frozen=True, slots=True)
class Config:
    """One installation of one operator."""

    environment: Environment
    federation: FederationConfig
    vaults: VaultConfig
    inner_issuers: Path
    """Bundle (PEM) of issuers of the certificates on interface C (inner security)."""
    organisations: tuple[OrganisationConfig, ...]
    access_point: AccessPointConfig | None = None
    message_service: MessageServiceConfig | None = None
    malware: MalwareConfig | None = None
    """Always there where the message service is."""
    address_book: AddressBookConfig | None = None
    metrics: MetricsConfig | None = None
    isolation_check: IsolationCheckConfig | None = None
    isolation: IsolationConfig = field(default_factory=IsolationConfig)
    file: Path | None = None
    """Where it was read, for what is followed there while the installation runs."""
