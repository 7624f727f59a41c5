"""The configuration of one installation: every key with its type, meaning and default.

:mod:`samdrift.config.keys` describes how keys are declared. Some tables are in modules of their own; those
that other packages use can be imported from here.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from samdrift.config.addressbook import AddressBookConfig
from samdrift.config.console import ConsoleConfig
from samdrift.config.hsm import HsmConfig
from samdrift.config.isolation import IsolationConfig
from samdrift.config.isolationcheck import IsolationCheckConfig
from samdrift.config.keys import Change, Compound, Key, Shape, Tables
from samdrift.config.kinds import (
    ADDRESSES,
    COUNT,
    CREDENTIAL,
    FLAG,
    LOOPBACK,
    PARTY,
    PATH,
    PLACE,
    POSITIVE,
    TEXT,
    TEXTS,
    choice,
)
from samdrift.config.logs import LogsConfig
from samdrift.config.mail import AlertsConfig, MailConfig
from samdrift.config.malware import MalwareConfig
from samdrift.config.objects import S3Config as S3Config
from samdrift.config.organisations import DomibusConfig as DomibusConfig
from samdrift.config.organisations import MessageClientConfig as MessageClientConfig
from samdrift.config.organisations import OrganisationConfig as OrganisationConfig
from samdrift.config.organisations import host_of
from samdrift.config.roles import (
    AccessPointConfig,
    GovernanceConfig,
    MessageClientRoleConfig,
    MessageServiceConfig,
)
from samdrift.config.staff import StaffKeysConfig
from samdrift.config.values import SocketAddress as SocketAddress
from samdrift.contracts.principals import Role
from samdrift.wire.identifiers import ParticipantIdentifier


class Environment(StrEnum):
    """Kinds of installation, by the information that they may handle."""

    PRODUCTION = "production"
    TEST = "test"
    DEMONSTRATION = "demonstration"


@dataclass(frozen=True, slots=True)
class FederationConfig:
    """The federation and environment that the installation takes part in."""

    identifier: Annotated[
        str,
        Key(
            "Identifier of the federation and environment.",
            TEXT,
            example='"urn:fdc:digg.se:edelivery:federation:test"',
        ),
    ]
    sml_zone: Annotated[
        str, Key("DNS zone of the service metadata locator.", TEXT, example='"sml.example.se"')
    ]
    trust: Annotated[
        Path,
        Key(
            "Folder with one folder of certificates per purpose: `access-point`, `smp`, `organisation`.",
            PATH,
            example='"trust"',
        ),
    ]
    tls_issuers: Annotated[
        Path | None,
        Key(
            "Bundle (PEM) of issuers of TLS certificates (transport-profile-as4 2.4.1 A1).",
            PATH,
            otherwise="Mozilla's",
            example='"tls.pem"',
        ),
    ] = None
    name_servers: Annotated[
        tuple[SocketAddress, ...],
        Key(
            "DNS servers to ask; in production at port 53.",
            ADDRESSES,
            otherwise="the system's",
            example='["192.0.2.53:53"]',
        ),
    ] = ()
    dnssec_resolvers: Annotated[
        tuple[str, ...],
        Key(
            "Addresses of DNS servers trusted to validate DNSSEC, in addition to those on loopback.",
            TEXTS,
            otherwise="none",
            example='["192.0.2.53"]',
        ),
    ] = ()
    require_dnssec: Annotated[bool, Key("Uses SML's answers only when DNSSEC authenticates them.", FLAG)] = (
        False
    )
    private_addresses: Annotated[
        bool,
        Key("Allows peers and shared services on loopback and private addresses; never in production.", FLAG),
    ] = False
    metadata_seconds: Annotated[
        int,
        Key(
            "Time that service metadata may be reused, 0 for not at all. Whether it may is for the "
            "federation to decide (component-accesspoint 3.1.3 A1, A2).",
            COUNT,
            unit="seconds",
        ),
    ] = 300
    verdict_seconds: Annotated[
        int,
        Key(
            "Time that a verdict on a certificate may be reused, 0 for not at all. Certificates are "
            "checked for revocation (transport-profile-as4 2.10); no text says how old an answer may be.",
            COUNT,
            unit="seconds",
        ),
    ] = 300
    revocation_seconds: Annotated[
        int,
        Key(
            "Time that a valid revocation list or a responder's valid answer is used before a fresh one "
            "is asked for, 0 for not at all (component-pki).",
            COUNT,
            unit="seconds",
        ),
    ] = 3600
    retry_seconds: Annotated[
        int,
        Key(
            "Time that a failed revocation service is not contacted again and a verdict without it is kept.",
            COUNT,
            unit="seconds",
        ),
    ] = 30


def _seals(seals: Path | None, secrets: Path) -> Path:
    return secrets.parent / "seals" if seals is None else seals


_SECRETS = Key("Folder of the key store.", PATH, name="secrets", example='"secrets"')


@dataclass(frozen=True, slots=True)
class VaultConfig:
    """Locations of vaults, bodies and keys."""

    database: Annotated[
        Path | str,
        Key(
            "Folder of the embedded PostgreSQL, or the URL of your own ([database](database.md)).",
            PLACE,
            example='"postgresql://db.example.se/samdrift"',
        ),
    ]
    objects: Annotated[
        Path | str,
        Key(
            "Folder for bodies, or at level `shared` the URL of a bucket ([objects](objects.md)).",
            PLACE,
            example='"objects"',
        ),
    ]
    secrets: Annotated[Path, _SECRETS]
    seals: Annotated[
        Path,
        Compound(
            _seals,
            (
                Key(
                    "Folder that no backup contains, outside the other three ([keys](keys.md)).",
                    PATH,
                    name="seals",
                    default=None,
                    otherwise="`seals`, in the folder that `secrets` is in",
                    example='"seals"',
                ),
                _SECRETS,
            ),
        ),
    ]
    passphrase_file: Annotated[
        Path | None,
        Key(
            "File with the passphrase of the key store.",
            PATH,
            otherwise="`passphrase_credential`",
            example='"passphrase"',
        ),
    ] = None
    passphrase_credential: Annotated[
        str,
        Key(
            "Credential from systemd with the passphrase, instead of `passphrase_file`.",
            CREDENTIAL,
            otherwise="`passphrase_file`",
            example='"samdrift-passphrase"',
        ),
    ] = ""
    s3: Annotated[
        S3Config | None,
        Key(
            "The S3 store, where `objects` is a bucket in one ([objects](objects.md)).",
            Tables(S3Config),
            otherwise="`objects` is a folder",
            since="0.2",
        ),
    ] = None
    hsm: Annotated[
        HsmConfig | None,
        Key(
            "The hardware security module, where organisations have a token in one ([hsm](hsm.md)).",
            Tables(HsmConfig),
            since="0.2",
            formerly="tokens",
        ),
    ] = None
    database_logins: Annotated[
        tuple[str, ...],
        Key(
            "Further logins of your own cluster that may reach every vault, such as those of a superuser, a"
            " standby or a backup ([database](database.md#who-else-reaches-the-vaults)).",
            TEXTS,
            otherwise="none",
            since="0.2",
            example='["replicator"]',
        ),
    ] = ()
    connections: Annotated[
        int | None,
        Key(
            "Limit of database connections of one process ([database](database.md#connections)).",
            POSITIVE,
            otherwise="one for each vault, and 64",
            since="0.2",
            example="700",
        ),
    ] = None
    connection_idle_seconds: Annotated[
        int | None,
        Key(
            "Time after which an unused database connection is closed.",
            POSITIVE,
            unit="seconds",
            otherwise="a second for each vault, from 60 to 300; less for one that was hardly used",
            since="0.2",
            example="600",
        ),
    ] = None
    control: Annotated[
        Path | None,
        Key(
            "Folder of the sockets over which commands reach running processes.",
            PATH,
            otherwise="in `secrets`",
            example='"/run/samdrift/control"',
        ),
    ] = None


class LogLines(StrEnum):
    """Formats of the program's log lines."""

    TEXT = "text"
    JSON = "json"


def _own_address(role: str, example: str) -> Key:
    text = (
        f"The same for a process that serves only `{role}`, where one file is used to serve roles separately."
    )
    return Key(text, LOOPBACK, otherwise="`listen`", since="0.2", example=f'"{example}"')


@dataclass(frozen=True, slots=True)
class MetricsConfig:
    """Metrics for a Prometheus on the same host."""

    listen: Annotated[
        SocketAddress,
        Key(
            "Where metrics are served, without a login and only on this host.",
            LOOPBACK,
            example='"127.0.0.1:9100"',
        ),
    ]
    listen_ap: Annotated[SocketAddress | None, _own_address("ap", "127.0.0.1:9101")] = None
    listen_mt: Annotated[SocketAddress | None, _own_address("mt", "127.0.0.1:9102")] = None
    listen_mk: Annotated[SocketAddress | None, _own_address("mk", "127.0.0.1:9103")] = None
    listen_gov: Annotated[SocketAddress | None, _own_address("gov", "127.0.0.1:9104")] = None
    per_organisation: Annotated[
        bool, Key("Names organisations in metrics, which shows who has how much traffic when.", FLAG)
    ] = False
    queue_seconds: Annotated[
        int, Key("Time between two measurements of the lengths of queues.", POSITIVE, unit="seconds")
    ] = 30

    def address(self, roles: Collection[Role]) -> SocketAddress:
        """Return the metrics address of a process that serves ``roles``; one role alone may have its own."""
        own = {
            Role.ACCESS_POINT: self.listen_ap,
            Role.MESSAGE_SERVICE: self.listen_mt,
            Role.MESSAGE_CLIENT: self.listen_mk,
            Role.GOVERNANCE: self.listen_gov,
        }
        return (own[next(iter(roles))] if len(roles) == 1 else None) or self.listen


@dataclass(frozen=True, slots=True)
class Config:
    """One installation of one operator."""

    environment: Annotated[
        Environment,
        Key(
            "Kind of installation; `production` refuses all that is for demonstration.",
            choice(Environment),
            example='"test"',
        ),
    ]
    federation: Annotated[
        FederationConfig,
        Key("The federation and environment that the installation takes part in.", Tables(FederationConfig)),
    ]
    vaults: Annotated[VaultConfig, Key("Where vaults, bodies and keys are kept.", Tables(VaultConfig))]
    inner_issuers: Annotated[
        Path,
        Key(
            "Bundle (PEM) of issuers of the certificates on interface C (inner security).",
            PATH,
            example='"inner.pem"',
        ),
    ]
    organisations: Annotated[
        tuple[OrganisationConfig, ...],
        Key(
            "The organisations that are served here ([organisations](organisations.md)).",
            Tables(OrganisationConfig, Shape.LIST),
            default=(),
        ),
    ]
    log_lines: Annotated[
        LogLines,
        Key(
            "Form of the lines that `serve` writes to standard error ([operations](operations.md#lines)).",
            choice(LogLines),
            since="0.2",
        ),
    ] = LogLines.TEXT
    access_point: Annotated[
        AccessPointConfig | None,
        Key("The access point; without the table there is none.", Tables(AccessPointConfig)),
    ] = None
    message_service: Annotated[
        MessageServiceConfig | None,
        Key("The message service; without the table there is none.", Tables(MessageServiceConfig)),
    ] = None
    message_client: Annotated[
        MessageClientRoleConfig | None,
        Key(
            "The message client; without the table there is none.",
            Tables(MessageClientRoleConfig),
            since="0.2",
        ),
    ] = None
    governance: Annotated[
        GovernanceConfig | None,
        Key("Governance; without the table there is none.", Tables(GovernanceConfig), since="0.2"),
    ] = None
    console: Annotated[
        ConsoleConfig | None,
        Key(
            "The operator's console ([console](console.md)); without the table there is none.",
            Tables(ConsoleConfig),
            since="0.2",
        ),
    ] = None
    malware: Annotated[
        MalwareConfig | None,
        Key(
            "The malware scanner, needed with a message service ([malware](malware.md)).",
            Tables(MalwareConfig),
        ),
    ] = None
    """Always set if there is a message service."""
    mail: Annotated[
        MailConfig | None,
        Key(
            "The mail server for notices to people, and for mails to the operator (`alerts`); without the"
            " table none are sent.",
            Tables(MailConfig),
            since="0.2",
        ),
    ] = None
    alerts: Annotated[
        AlertsConfig | None,
        Key(
            "Mails to the operator ([monitoring](monitoring.md#without-a-prometheus)); needs `mail` and"
            " `metrics`.",
            Tables(AlertsConfig),
            otherwise="the operator gets none",
            since="0.2",
        ),
    ] = None
    address_book: Annotated[
        AddressBookConfig | None,
        Key(
            "The copy of the address book; without the table, no address is checked.",
            Tables(AddressBookConfig),
        ),
    ] = None
    metrics: Annotated[
        MetricsConfig | None,
        Key("Metrics for a Prometheus on the same host; without the table, none.", Tables(MetricsConfig)),
    ] = None
    logs: Annotated[
        LogsConfig,
        Key("Checkpoints of the logs, and their witnesses ([log](log.md)).", Tables(LogsConfig), since="0.2"),
    ] = field(default_factory=LogsConfig)
    isolation_check: Annotated[
        IsolationCheckConfig | None,
        Key(
            "The isolation check ([separation](separation.md)).",
            Tables(IsolationCheckConfig),
            change=Change.COMMAND,
        ),
    ] = None
    isolation: Annotated[
        IsolationConfig,
        Key("Separation of organisations in memory ([isolation](isolation.md)).", Tables(IsolationConfig)),
    ] = field(default_factory=IsolationConfig)
    operator: Annotated[
        str,
        Key(
            "Party that runs the roles here, by country and number: agreements have to lead to it"
            " ([agreements](agreements.md#what-cover-switches)).",
            PARTY,
            otherwise="to any performer",
            example='"SE:556036-0793"',
            since="0.2",
        ),
    ] = ""
    staff: Annotated[
        tuple[StaffKeysConfig, ...],
        Key(
            "The operator's staff and its services, who prove by a signature who runs a command"
            " ([operations](operations.md#who-acts)).",
            Tables(StaffKeysConfig, Shape.LIST),
            default=(),
            otherwise="no proof is required: the logs record the name that was typed, as unproven",
            since="0.2",
        ),
    ] = ()
    connections_per_address: Annotated[
        int,
        Key(
            "Number of connections of one network address at one interface; 0 for any, behind a proxy.",
            COUNT,
            since="0.2",
        ),
    ] = 200
    file: Path | None = None
    """The file it was read from, which a running installation follows for changes."""

    @property
    def roles(self) -> frozenset[Role]:
        """Return the roles that run in this installation, which are those with a table."""
        tables = {
            Role.ACCESS_POINT: self.access_point,
            Role.MESSAGE_SERVICE: self.message_service,
            Role.MESSAGE_CLIENT: self.message_client,
            Role.GOVERNANCE: self.governance,
        }
        return frozenset(role for role, table in tables.items() if table is not None)

    def hosts(self, role: Role) -> dict[str, ParticipantIdentifier]:
        """Return the organisations whose pages are served in a role, by host name."""
        return {host_of(one, role): one.identifier for one in self.organisations if host_of(one, role)}
