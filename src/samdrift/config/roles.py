"""The tables of the four roles in the configuration file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated

from samdrift.config.keys import Change, Compound, Key, Shape, Tables
from samdrift.config.kinds import (
    ADDRESS,
    COUNT,
    FLAG,
    HTTPS,
    NETWORKS,
    ORIGIN,
    PORT,
    POSITIVE,
    PROFILE_NAMES,
    TEXT,
    TEXTS,
    whole,
)
from samdrift.config.organisations import DomibusConfig as DomibusConfig
from samdrift.config.organisations import MessageClientConfig as MessageClientConfig
from samdrift.config.organisations import OrganisationConfig as OrganisationConfig
from samdrift.config.reading import Breaches
from samdrift.config.toml import ConfigError, Table
from samdrift.config.values import SocketAddress as SocketAddress
from samdrift.contracts.messageclients import LONGEST_SECONDS
from samdrift.wire.profile import AS4_1_0, PROFILES, TransportProfile

_MONTH = 30 * 86400
_PATIENCE = whole(1, _MONTH)
"""Seconds that a sender may wait for one step.

All its retries together take a fraction of the time for which duplicates are detected (vault/retention.py).
"""


@dataclass(frozen=True, slots=True)
class ProfileValues:
    """Transport profile values that the operator can set, since not all specifications were available."""

    party_type: Annotated[
        str | None,
        Key(
            "Type of the party identifiers.",
            TEXT,
            example=f'"{AS4_1_0.party_type}"',
            otherwise="the profile's",
        ),
    ] = None
    initiator_role: Annotated[
        str | None,
        Key("Role of the sender.", TEXT, example=f'"{AS4_1_0.initiator_role}"', otherwise="the profile's"),
    ] = None
    responder_role: Annotated[
        str | None,
        Key("Role of the receiver.", TEXT, example=f'"{AS4_1_0.responder_role}"', otherwise="the profile's"),
    ] = None
    property_type: Annotated[
        str | None,
        Key(
            "Type of the properties `originalSender` and `finalRecipient`.",
            TEXT,
            example=f'"{AS4_1_0.property_type}"',
            otherwise="the profile's",
        ),
    ] = None
    security_timestamp: Annotated[
        bool | None, Key("Signs a `wsu:Timestamp`.", FLAG, example="false", otherwise="the profile's")
    ] = None

    def applied(self, profile: TransportProfile) -> TransportProfile:
        """Return the profile with these values in place of its own."""
        values = {name: getattr(self, name) for name in self.__slots__}
        return replace(profile, **{name: value for name, value in values.items() if value is not None})


def _with_values(
    profiles: tuple[TransportProfile, ...], values: Mapping[str, ProfileValues]
) -> tuple[TransportProfile, ...]:
    for name in values:
        if name not in {profile.identifier for profile in profiles}:
            raise ConfigError(f"transport_profiles.{name}", "is not one of the profiles in use")
    return tuple(values.get(one.identifier, ProfileValues()).applied(one) for one in profiles)


@dataclass(frozen=True, slots=True)
class AccessPointConfig:
    """Settings of role AP, the access point."""

    party: Annotated[
        str,
        Key(
            "Name of the party: the CN of the access point's certificate.", TEXT, example='"AP0001-SDK-TEST"'
        ),
    ]
    message_id_domain: Annotated[
        str, Key("Domain that AS4 message ids end with.", TEXT, example='"ap.example.se"')
    ]
    listen: Annotated[
        SocketAddress, Key("Address at which peers reach interface A.", ADDRESS, example='"192.0.2.10:8443"')
    ]
    listen_c: Annotated[
        SocketAddress,
        Key("Address at which message services reach interface C.", ADDRESS, example='"192.0.2.10:8444"'),
    ]
    client_certificates: Annotated[
        bool,
        Key("Requires a client certificate of peers on interface A (transport-profile-as4 2.4.2 A2).", FLAG),
    ] = False
    attempts: Annotated[
        int, Key("Number of times that a transfer is attempted (component-accesspoint 3.2.5 A3).", POSITIVE)
    ] = 4
    interval_seconds: Annotated[
        int,
        Key("Time between two attempts (component-accesspoint 3.2.5 A4).", POSITIVE, unit="seconds"),
    ] = 240
    answer_seconds: Annotated[
        int,
        Key(
            "Time that a peer may take to answer a small message; large ones get more.",
            POSITIVE,
            unit="seconds",
        ),
    ] = 60
    lease_seconds: Annotated[
        int,
        Key(
            "Time after which work of a process that may have ended, as on another machine, is"
            " taken over; longer than any attempt.",
            POSITIVE,
            unit="seconds",
        ),
    ] = 300
    parallel: Annotated[
        int,
        Key("Transfers of one organisation that are under way at the same time.", POSITIVE, since="0.2"),
    ] = 4
    profiles: Annotated[
        tuple[TransportProfile, ...],
        Compound(
            _with_values,
            (
                Key(
                    "Transport profiles to send to peers by, the preferred one first "
                    "(transport-profile-as4 2.3.1 e).",
                    PROFILE_NAMES,
                    name="profiles",
                    otherwise="all, in this order",
                    example=f'["{AS4_1_0.identifier}"]',
                ),
                Key(
                    "Values of a transport profile, by its name "
                    "([transport profiles](operations.md#transport-profiles)).",
                    Tables(ProfileValues, Shape.NAMED),
                    name="transport_profiles",
                    default={},
                ),
            ),
        ),
    ] = tuple(PROFILES.values())
    timestamp_peers: Annotated[
        tuple[str, ...],
        Key(
            "Peers, by party, that demand a `wsu:Timestamp`.",
            TEXTS,
            otherwise="none",
            example='["AP0040-SDK-PROD"]',
        ),
    ] = ()
    clock_seconds: Annotated[
        int,
        Key("Tolerance for peers' clocks when the timestamp of a message is judged.", COUNT, unit="seconds"),
    ] = 600
    peer_alarm: Annotated[
        int,
        Key(
            "Number of messages of one peer that do not conform and raise an alarm, 0 for none "
            "(transport-model-base 2.9.5).",
            COUNT,
        ),
    ] = 10
    peer_alarm_seconds: Annotated[
        int, Key("Time within which the messages that do not conform are counted.", POSITIVE, unit="seconds")
    ] = 86400
    address: Annotated[
        str,
        Key(
            "Address of interface A as it is registered in SMP, for an organisation's checklist.",
            HTTPS,
            example='"https://ap.example.se/as4"',
            change=Change.COMMAND,
        ),
    ] = ""


def check_attempts(own: AccessPointConfig, _: Table) -> Breaches:
    """Reject retries that go on for longer than duplicates are reliably detected."""
    if own.attempts * own.interval_seconds > _MONTH:
        yield "attempts", "go on for more than 30 days, with interval_seconds between them"


@dataclass(frozen=True, slots=True)
class MessageServiceConfig:
    """Settings of role MT, the message service."""

    listen_d: Annotated[
        SocketAddress | None,
        Key(
            "Address at which message clients reach interface D.",
            ADDRESS,
            otherwise="interface D is not served",
            example='"192.0.2.10:8445"',
        ),
    ] = None
    submit_seconds: Annotated[
        int,
        Key(
            "Time after which a message that the access point has not accepted has failed.",
            _PATIENCE,
            unit="seconds",
        ),
    ] = 3600
    transfer_seconds: Annotated[int, Key("Time that its transfer may take.", _PATIENCE, unit="seconds")] = (
        7200
    )
    receipt_seconds: Annotated[
        int, Key("Time that its recipient may take for the message receipt.", _PATIENCE, unit="seconds")
    ] = 86400
    retry_seconds: Annotated[
        int,
        Key(
            "Time between attempts at a step that failed for a reason that may pass.",
            POSITIVE,
            unit="seconds",
        ),
    ] = 30
    lease_seconds: Annotated[
        int,
        Key(
            "Time after which work of a process that may have ended, as on another machine, is taken over.",
            POSITIVE,
            unit="seconds",
        ),
    ] = 300
    parallel: Annotated[
        int, Key("Messages of one organisation that are in work at the same time.", POSITIVE, since="0.2")
    ] = 4
    address_d: Annotated[
        str,
        Key(
            "Address of interface D as message clients write it.",
            ORIGIN,
            otherwise="needed with `listen_d`, and for message clients",
            example='"https://messages.example.se"',
        ),
    ] = ""
    token_seconds: Annotated[
        int,
        Key(
            "Lifetime of the access tokens that are issued here (api-mt-mk 5).",
            whole(1, LONGEST_SECONDS),
            unit="seconds",
        ),
    ] = LONGEST_SECONDS


# For every role with pages.
PagesPort = Annotated[
    int | None,
    Key(
        "Port in the addresses of the pages as persons have it, where that is another than `listen`'s.",
        PORT,
        otherwise="that of `listen`",
        example="443",
        since="0.2",
    ),
]
_Networks = Annotated[
    tuple[str, ...],
    Key(
        "Private networks in which sign-in services of organisations may be called.",
        NETWORKS,
        otherwise="public addresses alone",
        example='["10.1.2.0/24"]',
        since="0.2",
    ),
]
PagesPlain = Annotated[
    bool, Key("Serves the pages of the demonstration without TLS, on this machine.", FLAG, since="0.2")
]


@dataclass(frozen=True, slots=True)
class MessageClientRoleConfig:
    """Settings of role MK, the message client."""

    listen: Annotated[
        SocketAddress,
        Key(
            "Where persons reach the message clients of all organisations, each by its own host.",
            ADDRESS,
            example='"192.0.2.11:443"',
            since="0.2",
        ),
    ]
    port: PagesPort = None
    networks: _Networks = ()
    poll_seconds: Annotated[
        int,
        Key("Time between two polls of the message services.", POSITIVE, unit="seconds", since="0.2"),
    ] = 25
    plain: PagesPlain = False

    @property
    def public_port(self) -> int:
        """Return the port in the addresses of the pages."""
        return self.port or self.listen.port


@dataclass(frozen=True, slots=True)
class GovernanceConfig:
    """Settings of role GOV, governance."""

    listen: Annotated[
        SocketAddress,
        Key(
            "Where persons reach the governance of all organisations, each by its own host.",
            ADDRESS,
            example='"192.0.2.12:443"',
            since="0.2",
        ),
    ]
    port: PagesPort = None
    networks: _Networks = ()
    plain: PagesPlain = False

    @property
    def public_port(self) -> int:
        """Return the port in the addresses of the pages."""
        return self.port or self.listen.port
