"""The tables of organisations in the configuration file, and the rules that involve several of their keys."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from samdrift.config.directories import DirectoryConfig
from samdrift.config.hsm import HsmTokenConfig
from samdrift.config.keys import Change, Compound, Key, Shape, Tables
from samdrift.config.kinds import (
    ALGORITHMS,
    CLIENT_ID,
    DOMAIN,
    FLAG,
    HOST,
    HTTPS,
    NAMES,
    NUMBER,
    PARTICIPANT,
    PATH,
    PATTERNS,
    PLACE,
    POSITIVE,
    SCOPES,
    TEXT,
    TEXTS,
    TOKEN_TYPE,
    USER,
    choices,
    client_keys,
    issuer_keys,
)
from samdrift.config.logs import LogSystemConfig
from samdrift.config.reading import Breaches
from samdrift.config.signin import DEMONSTRATION_LEVEL as DEMONSTRATION_LEVEL
from samdrift.config.signin import SamlConfig as SamlConfig
from samdrift.config.signin import SignInConfig as SignInConfig
from samdrift.config.signin import UsedServiceConfig as UsedServiceConfig
from samdrift.config.toml import Table
from samdrift.contracts.messageclients import AddressPattern, Scope
from samdrift.contracts.principals import Role
from samdrift.net.issuers import ExternalIssuer, KeysAt
from samdrift.wire.identifiers import ParticipantIdentifier


@dataclass(frozen=True, slots=True)
class DomibusConfig:
    """A Domibus as an organisation's access point, reached through its web-service plugin."""

    url: Annotated[
        str,
        Key(
            "Address of the plugin.",
            HTTPS,
            example='"https://domibus.example.se/domibus/services/wsplugin"',
        ),
    ]
    party: Annotated[
        str,
        Key("Party identifier of the Domibus, as in its processing mode.", TEXT, example='"AP0007-SDK-TEST"'),
    ]
    message_id_domain: Annotated[
        str,
        Key(
            "Domain that the AS4 message ids end with that are chosen here, and no others.",
            DOMAIN,
            example='"messages.example.se"',
        ),
    ]
    issuers: Annotated[
        Path | None,
        Key(
            "Bundle (PEM) of issuers of its TLS certificate.",
            PATH,
            otherwise="Mozilla's",
            example='"domibus.pem"',
        ),
    ] = None
    user: Annotated[
        str,
        Key(
            "The organisation's plugin user.",
            USER,
            otherwise="the client certificate is the login",
            example='"habo"',
        ),
    ] = ""
    password_file: Annotated[
        Path | None,
        Key(
            "File with the user's password.",
            PATH,
            otherwise="needed with `user`",
            example='"domibus.password"',
        ),
    ] = None
    poll_seconds: Annotated[int, Key("Time between two polls.", POSITIVE, unit="seconds")] = 5


_TLS_ISSUERS = Key(
    "Bundle (PEM) of issuers of the TLS certificate where keys or metadata are fetched.",
    PATH,
    name="tls_issuers",
    default=None,
    otherwise="Mozilla's",
    example='"issuers.pem"',
)


@dataclass(frozen=True, slots=True)
class MessageClientConfig:
    """A message client of an organisation (api-mt-mk 5)."""

    id: Annotated[str, Key("Its `client_id`.", CLIENT_ID, example='"journal"')]
    addresses: Annotated[
        tuple[AddressPattern, ...],
        Key(
            "Functional addresses that it serves, or patterns of them.",
            PATTERNS,
            default=(),
            otherwise="needed unless it is the default",
            example='["sdk.soc.*"]',
        ),
    ]
    scopes: Annotated[
        frozenset[Scope], Key("Operations that it may use.", SCOPES, example='["urn:sdk.api:getMessage"]')
    ]
    keys: Annotated[
        Path | KeysAt | None,
        Compound(
            client_keys,
            (
                Key(
                    "Its public keys: a file (JWK Set or PEM) or the address of a JWK Set.",
                    PLACE,
                    name="keys",
                    otherwise="the organisation's own authorisation server vouches for it",
                    example='"https://journal.example.se/jwks"',
                ),
                _TLS_ISSUERS,
            ),
        ),
    ] = None
    default: Annotated[bool, Key("Gives it messages to addresses that no client serves.", FLAG)] = False


EXTERNAL_ISSUER = Tables(
    ExternalIssuer,
    keys={
        "issuer": Key(
            "Its issuer identifier, `iss` of its tokens.", HTTPS, example='"https://login.example.se"'
        ),
        "audience": Key(
            "The `aud` of its tokens for interface D.",
            TEXT,
            default="",
            otherwise="`message_service.address_d`",
            example='"https://messages.example.se"',
        ),
        "keys": Compound(
            issuer_keys,
            (
                Key(
                    "Address of its JWK Set.",
                    PLACE,
                    name="keys",
                    otherwise="as its metadata say",
                    example='"https://login.example.se/jwks"',
                ),
                _TLS_ISSUERS,
            ),
        ),
        "tls_issuers": _TLS_ISSUERS,
        "auth_id_claim": Key("Claim with functional addresses (api-mt-mk 5.2).", TEXT),
        "client_claim": Key("Claim with the client's id.", TEXT),
        "algorithms": Key(
            "Signature algorithms that are accepted.", ALGORITHMS, example='["ES256"]', otherwise="all"
        ),
        "token_type": Key("The `typ` of its access tokens (RFC 9068 2.1).", TOKEN_TYPE),
    },
)


@dataclass(frozen=True, slots=True)
class OrganisationConfig:
    """An organisation that is served here."""

    identifier: Annotated[
        ParticipantIdentifier, Key("Its participant identifier.", PARTICIPANT, example='"0203:habo.se"')
    ]
    name: Annotated[str, Key("Its name.", TEXT, example='"Habo kommun"')]
    roles: Annotated[
        tuple[Role, ...],
        Key(
            "Roles in which it is served: access point, message service, message client, governance.",
            choices(Role),
            example='["ap", "mt"]',
        ),
    ]
    part_of: Annotated[
        ParticipantIdentifier | None,
        Key(
            "The organisation that it is an under-organisation of, in the address book.",
            PARTICIPANT,
            otherwise="it is not an under-organisation",
            example='"0203:habo.se"',
        ),
    ] = None
    number: Annotated[
        str,
        Key(
            "Organisation number, by which its certificates are recognised besides its name.",
            NUMBER,
            otherwise="not compared",
            example='"212000-0241"',
        ),
    ] = ""
    functional_addresses: Annotated[
        tuple[str, ...],
        Key(
            "Its functional addresses; messages to others are answered with `not-found`.",
            TEXTS,
            otherwise="none",
            example='["sdk.soc.0203:habo.se"]',
        ),
    ] = ()
    file_types: Annotated[
        tuple[str, ...],
        Key(
            "Types of files that it sends and receives, besides PDF ([malware](malware.md)).",
            TEXTS,
            otherwise="PDF alone",
            example='["image/png"]',
        ),
    ] = ()
    base_model: Annotated[
        bool,
        Key("Serves it under the base transport model too, which neither signs nor encrypts.", FLAG),
    ] = False
    access_point: Annotated[
        str,
        Key(
            "Base address of interface C of its access point.",
            TEXT,
            otherwise="needed for the role `mt`, or `domibus`",
            example='"https://ap.example.se:8444"',
        ),
    ] = ""
    domibus: Annotated[
        DomibusConfig | None,
        Key(
            "Its access point when that is a Domibus, instead of `access_point` ([domibus](domibus.md)).",
            Tables(DomibusConfig),
        ),
    ] = None
    clients: Annotated[
        Mapping[str, str],
        Key(
            "Systems that may use interface C here, by name: SHA-256 of the client certificate.",
            NAMES,
            otherwise="none",
            example='{ mt = "00ff" }',
            change=Change.FOLLOWED,
        ),
    ] = field(default_factory=dict)
    message_clients: Annotated[
        tuple[MessageClientConfig, ...],
        Key(
            "Its message clients on interface D; for the role `mt` ([authorization](authorization.md)).",
            Tables(MessageClientConfig, Shape.LIST),
            change=Change.FOLLOWED,
        ),
    ] = ()
    external_issuer: Annotated[
        ExternalIssuer | None,
        Key(
            "Its own authorisation server ([authorization](authorization.md)).",
            EXTERNAL_ISSUER,
            change=Change.FOLLOWED,
        ),
    ] = None
    sign_in: Annotated[
        SignInConfig | None,
        Key(
            "Its sign-in service for persons; without one, its pages are not served.",
            Tables(SignInConfig),
            since="0.2",
        ),
    ] = None
    saml: Annotated[
        SamlConfig | None,
        Key(
            "Its sign-in service for persons where that speaks SAML, in place of `sign_in` "
            "([sign-in](sign-in.md)).",
            Tables(SamlConfig),
            since="0.2",
        ),
    ] = None
    message_service: Annotated[
        UsedServiceConfig | None,
        Key(
            "The message service that its message client uses; without one nothing is fetched.",
            Tables(UsedServiceConfig),
            since="0.2",
        ),
    ] = None
    log_system: Annotated[
        LogSystemConfig | None,
        Key(
            "Its own log system, to which its logs are handed over ([log](log.md#hand-over)).",
            Tables(LogSystemConfig),
            since="0.2",
        ),
    ] = None
    contact: Annotated[
        str,
        Key(
            "Support contact for when its pages do not open, as shown there.",
            TEXT,
            otherwise="not said",
            example='"Ring växeln, 036-442 80 00."',
            since="0.2",
        ),
    ] = ""
    accent: Annotated[
        str,
        Key(
            "The colour of its pages: `teal`, `blue`, `violet` or `slate`.",
            TEXT,
            otherwise="teal",
            example='"blue"',
            since="0.2",
        ),
    ] = ""
    message_client_host: Annotated[
        str,
        Key(
            "Name of the host at which persons reach its message client; no other organisation's.",
            HOST,
            otherwise="needed for the role `mk`",
            example='"habo.messages.example.se"',
            since="0.2",
        ),
    ] = ""
    governance_host: Annotated[
        str,
        Key(
            "Name of the host at which persons reach its governance; no other organisation's.",
            HOST,
            otherwise="needed for the role `gov`",
            example='"habo.governance.example.se"',
            since="0.2",
        ),
    ] = ""
    emergency_webhook: Annotated[
        str,
        Key(
            "Address at which the organisation hears of an emergency of the operator's, by a signed token.",
            HTTPS,
            otherwise="none is called; with the role `gov`",
            example='"https://larm.habo.se/samdrift"',
            since="0.2",
        ),
    ] = ""
    directories: Annotated[
        tuple[DirectoryConfig, ...],
        Key(
            "Its directories, whose groups can be given rights; with the roles `mk` and `gov` "
            "([groups](groups.md)).",
            Tables(DirectoryConfig, Shape.LIST),
            since="0.2",
        ),
    ] = ()
    witnesses: Annotated[
        Path | None,
        Key(
            "Policy (c2sp.org/tlog-policy) with the witnesses of its logs, which it chooses; a changed file "
            "is read again ([log](log.md)).",
            PATH,
            otherwise="none",
            example='"habo.policy"',
            since="0.2",
        ),
    ] = None
    hsm: Annotated[
        HsmTokenConfig | None,
        Key(
            "Its token in the hardware security module; without one, its keys are in files ([hsm](hsm.md)).",
            Tables(HsmTokenConfig),
            since="0.2",
            formerly="token",
        ),
    ] = None


HOST_KEYS = {Role.MESSAGE_CLIENT: "message_client_host", Role.GOVERNANCE: "governance_host"}
"""The key with the host name of each role's pages."""


def host_of(own: OrganisationConfig, role: Role) -> str:
    """Return the host name of an organisation's pages in a role; empty if there is none."""
    return {Role.MESSAGE_CLIENT: own.message_client_host, Role.GOVERNANCE: own.governance_host}.get(role, "")


def check_hosts(own: OrganisationConfig, _: Table) -> Breaches:
    """Require a host name for each role with pages, and reject one for other roles."""
    for role, key in HOST_KEYS.items():
        host = host_of(own, role)
        if role in own.roles and not host:
            yield key, f"is missing; the role {role} needs one"
        if host and role not in own.roles:
            yield key, f"is for organisations with the role {role}"


def check_webhook(own: OrganisationConfig, _: Table) -> Breaches:
    """Require governance for a webhook, since its key signs the notifications."""
    if own.emergency_webhook and Role.GOVERNANCE not in own.roles:
        yield "emergency_webhook", f"is for organisations with the role {Role.GOVERNANCE}"


def check_sign_in(own: OrganisationConfig, _: Table) -> Breaches:
    """Require at most one sign-in service, and a role with pages to sign in to."""
    if own.sign_in is not None and own.saml is not None:
        yield "saml", "cannot be combined with sign_in: use one of them"
    for key, service in (("sign_in", own.sign_in), ("saml", own.saml)):
        if service is not None and not {Role.MESSAGE_CLIENT, Role.GOVERNANCE} & set(own.roles):
            yield key, "is for organisations with the role mk or gov"


def sign_in_issuer(own: OrganisationConfig) -> str | None:
    """Return the issuer of the organisation's sign-in service, which is part of a person's identity."""
    if own.saml is not None:
        return own.saml.entity_id
    return None if own.sign_in is None else own.sign_in.issuer


def check_access_point(own: OrganisationConfig, _: Table) -> Breaches:
    """Require exactly one access point for the role mt."""
    if own.domibus is not None and own.access_point:
        yield "domibus", "cannot be combined with access_point: use one of them"
    if own.domibus is not None and Role.MESSAGE_SERVICE not in own.roles:
        yield "domibus", "is for organisations with the role mt"
    if own.domibus is None and not own.access_point and Role.MESSAGE_SERVICE in own.roles:
        yield "access_point", "is missing; the role mt needs one, or domibus"


def check_message_clients(own: OrganisationConfig, _: Table) -> Breaches:
    """Require distinct client ids, at most one default client, and the role mt."""
    ids = Counter(client.id for client in own.message_clients)
    if any(count > 1 for count in ids.values()):
        yield "message_clients", "two clients have the same id"
    if sum(client.default for client in own.message_clients) > 1:
        yield "message_clients", "only one client can be the default"
    if ids and Role.MESSAGE_SERVICE not in own.roles:
        yield "message_clients", "message clients need the role mt"


def check_client_keys(own: OrganisationConfig, _: Table) -> Breaches:
    """Require a client's keys unless the organisation's own authorisation server vouches for the client."""
    for number, client in enumerate(own.message_clients):
        if client.keys is None and own.external_issuer is None:
            yield f"message_clients[{number}].keys", "is missing, and the organisation has no external_issuer"


def check_client_addresses(own: OrganisationConfig, _: Table) -> Breaches:
    """Require addresses for every client except the default one."""
    for number, client in enumerate(own.message_clients):
        if client.addresses == () and not client.default:
            yield f"message_clients[{number}].addresses", "is missing"


def check_login(domibus: DomibusConfig, _: Table) -> Breaches:
    """Require a user and a password together."""
    if domibus.user and domibus.password_file is None:
        yield "password_file", "is missing; a user has a password"
    if domibus.password_file is not None and not domibus.user:
        yield "user", "is missing; a password is a user's"
