"""The tables for an organisation's sign-in service and for the message service that its client uses."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from samdrift.config.keys import Key
from samdrift.config.kinds import (
    ALGORITHMS,
    CLIENT_ID,
    FLAG,
    HTTPS,
    PATH,
    PLACE,
    POSITIVE,
    SERVICE,
    TEXT,
    TEXTS,
)
from samdrift.config.reading import Breaches
from samdrift.config.toml import Table
from samdrift.wire.jose.keys import Algorithm
from samdrift.wire.saml.parts import DISPLAY_NAME

_IDLE_SECONDS, _WHOLE_SECONDS = 1800, 36000
_IDLE = Annotated[int, Key("Time after which an unused session ends.", POSITIVE, unit="seconds")]
_WHOLE = Annotated[int, Key("Time after which any session ends.", POSITIVE, unit="seconds")]
_MAX_AGE = Annotated[
    int | None,
    Key(
        "How long ago a person may have authenticated.",
        POSITIVE,
        unit="seconds",
        otherwise="as the sign-in service has it",
        example="3600",
    ),
]
_ITS_TLS_ISSUERS = Annotated[
    Path | None,
    Key(
        "Bundle (PEM) of issuers of its TLS certificate.",
        PATH,
        otherwise="Mozilla's",
        example='"issuers.pem"',
    ),
]

DEMONSTRATION_LEVEL = "urn:samdrift:demonstration:loa3"
"""Level of assurance of the demonstration's users, accepted only in the demonstration."""


@dataclass(frozen=True, slots=True)
class SignInConfig:
    """An organisation's own sign-in service for people (OpenID Connect)."""

    issuer: Annotated[
        str,
        Key(
            "Its issuer identifier; its metadata are found from there.",
            SERVICE,
            example='"https://login.habo.se"',
            since="0.2",
        ),
    ]
    client_id: Annotated[str, Key("The `client_id` by which it knows us.", CLIENT_ID, example='"samdrift"')]
    levels: Annotated[
        tuple[str, ...],
        Key(
            "Levels of assurance (`acr`) that open a session, the preferred one first; level 3 is demanded.",
            TEXTS,
            example='["http://id.sambi.se/loa/loa3"]',
        ),
    ]
    secret_file: Annotated[
        Path | None,
        Key(
            "File with the secret by which it knows us.",
            PATH,
            otherwise="the organisation's own key in its vault (`private_key_jwt`)",
            example='"login.habo.secret"',
        ),
    ] = None
    claims: Annotated[
        tuple[str, ...],
        Key(
            "Claims that decisions about rights may name, such as groups.",
            TEXTS,
            otherwise="none",
            example='["groups"]',
        ),
    ] = ()
    scopes: Annotated[tuple[str, ...], Key("Scopes that are asked for.", TEXTS)] = ("openid", "profile")
    name_claim: Annotated[str, Key("The claim with a person's name.", TEXT)] = "name"
    algorithms: Annotated[
        frozenset[Algorithm],
        Key("Signature algorithms that are accepted.", ALGORITHMS, example='["ES256"]', otherwise="all"),
    ] = frozenset(Algorithm)
    max_age_seconds: _MAX_AGE = None
    idle_seconds: _IDLE = _IDLE_SECONDS
    whole_seconds: _WHOLE = _WHOLE_SECONDS
    tls_issuers: _ITS_TLS_ISSUERS = None


@dataclass(frozen=True, slots=True)
class SamlConfig:
    """An organisation's own sign-in service for people that uses SAML 2.0."""

    entity_id: Annotated[
        str,
        Key(
            "Its entity identifier, by which it is found in the metadata.",
            TEXT,
            example='"https://login.habo.se/saml"',
            since="0.2",
        ),
    ]
    metadata: Annotated[
        Path | str,
        Key(
            "Its metadata: a file, or an address where they are signed.",
            PLACE,
            example='"habo-login.xml"',
        ),
    ]
    levels: Annotated[
        tuple[str, ...],
        Key(
            "Levels of assurance (`AuthnContextClassRef`) that open a session, the preferred one first; "
            "level 3 is demanded.",
            TEXTS,
            example='["http://id.sambi.se/loa/loa3"]',
        ),
    ]
    metadata_signers: Annotated[
        Path | None,
        Key(
            "Certificates (PEM) whose keys may have signed the metadata; then they must be signed.",
            PATH,
            otherwise="needed where `metadata` is an address",
            example='"federation-signers.pem"',
        ),
    ] = None
    subject_attribute: Annotated[
        str,
        Key(
            "The attribute that persons are known by, the same at every sign-in and never another person's.",
            TEXT,
            otherwise="the persistent NameID",
            example='"http://sambi.se/attributes/1/employeeHsaId"',
        ),
    ] = ""
    name_attribute: Annotated[str, Key("The attribute with a person's name.", TEXT)] = DISPLAY_NAME
    attributes: Annotated[
        tuple[str, ...],
        Key(
            "Attributes that decisions about rights may name, such as groups.",
            TEXTS,
            otherwise="none",
            example='["urn:oid:1.3.6.1.4.1.5923.1.5.1.1"]',
        ),
    ] = ()
    encrypted: Annotated[bool, Key("Refuses assertions that are not encrypted.", FLAG)] = True
    max_age_seconds: _MAX_AGE = None
    idle_seconds: _IDLE = _IDLE_SECONDS
    whole_seconds: _WHOLE = _WHOLE_SECONDS
    tls_issuers: _ITS_TLS_ISSUERS = None


@dataclass(frozen=True, slots=True)
class UsedServiceConfig:
    """The message service that an organisation's message client uses, which may be another supplier's."""

    interface: Annotated[
        str,
        Key(
            "Base address of its interface D, with its version.",
            HTTPS,
            example='"https://messages.example.se/v1"',
            since="0.2",
        ),
    ]
    token_endpoint: Annotated[
        str,
        Key(
            "Where access tokens are issued; for our own as `samdrift routing` prints it.",
            HTTPS,
            example='"https://messages.example.se/v1/oauth2/NAME/token"',
        ),
    ]
    client_id: Annotated[str, Key("The `client_id` of the message client there.", CLIENT_ID, example='"mk"')]
    key_file: Annotated[
        Path | None,
        Key(
            "File with the private key (PEM) that it authenticates with.",
            PATH,
            otherwise="the organisation's own key in its vault",
            example='"mk.pem"',
        ),
    ] = None
    audience: Annotated[
        str,
        Key(
            "The authorisation server's name in assertions.",
            TEXT,
            otherwise="its token endpoint",
            example='"https://login.example.se"',
        ),
    ] = ""
    tls_issuers: Annotated[
        Path | None,
        Key(
            "Bundle (PEM) of issuers of its TLS certificates.",
            PATH,
            otherwise="Mozilla's",
            example='"issuers.pem"',
        ),
    ] = None
    delete_after_days: Annotated[
        int | None,
        Key(
            "Days after which messages that are stored, and in a verified backup, are deleted there "
            "([organisations](organisations.md#deletion-at-the-message-service)).",
            POSITIVE,
            otherwise="nothing is deleted there",
            example="90",
            since="0.2",
        ),
    ] = None


def check_levels(own: SignInConfig | SamlConfig, _: Table) -> Breaches:
    """Require at least one level of assurance, since otherwise any sign-in would be accepted."""
    if not own.levels:
        yield "levels", "has no level of assurance"


def check_metadata(own: SamlConfig, _: Table) -> Breaches:
    """Require that metadata from the network are signed and fetched over TLS."""
    if isinstance(own.metadata, Path):
        return
    if not own.metadata.startswith("https://"):
        yield "metadata", "is not an address that begins with https://"
    if own.metadata_signers is None:
        yield "metadata_signers", "is missing; metadata from an address are signed"
