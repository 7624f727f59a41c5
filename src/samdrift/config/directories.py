"""The tables of an organisation's directories, whose groups can be given rights (LDAP)."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from samdrift.config.keys import Key
from samdrift.config.kinds import HOST, PATH, PORT, TEXT, choice, kind, whole
from samdrift.config.reading import Breaches
from samdrift.config.toml import Table
from samdrift.config.values import text
from samdrift.contracts.principals import Role
from samdrift.net.directories import LdapSecurity

if TYPE_CHECKING:
    from samdrift.config.organisations import OrganisationConfig

_NAME = re.compile(r"[0-9a-z][0-9a-z-]{0,39}")
_ATTRIBUTE = re.compile(r"[A-Za-z][0-9A-Za-z-]{0,63}")
_MINUTES = 15


def _name(value: Any) -> str:
    if not _NAME.fullmatch(text(value)):
        raise ValueError("is not at most 40 lower-case letters, digits and hyphens")
    return text(value)


def _attribute(value: Any) -> str:
    if not _ATTRIBUTE.fullmatch(text(value)):
        raise ValueError("is not the name of an attribute, such as employeeNumber")
    return text(value)


def _filter(value: Any) -> str:
    if not (text(value).startswith("(") and value.endswith(")")):
        raise ValueError("is not a filter of LDAP in parentheses, such as (objectClass=person)")
    return text(value)


ATTRIBUTE = kind("name of an attribute", _attribute)


@dataclass(frozen=True, slots=True)
class DirectoryConfig:
    """A directory of an organisation (LDAP), whose groups can be given rights ([groups](groups.md))."""

    name: Annotated[
        str,
        Key(
            "Its name in decisions: a group is `group:NAME#DISTINGUISHED NAME`.",
            kind("name in small letters", _name),
            example='"ad"',
            since="0.2",
        ),
    ]
    host: Annotated[
        str,
        Key(
            "Name of the server, which its certificate must show.",
            HOST,
            example='"dc1.habo.se"',
            since="0.2",
        ),
    ]
    user: Annotated[
        str,
        Key(
            "Distinguished name to log in as: one that may only read.",
            TEXT,
            example='"cn=samdrift,ou=Tjänster,dc=habo,dc=se"',
            since="0.2",
        ),
    ]
    password_file: Annotated[
        Path, Key("File with the user's password.", PATH, example='"habo-ad.password"', since="0.2")
    ]
    key_file: Annotated[
        Path,
        Key(
            "Private key of OpenSSH (Ed25519, without a passphrase) that signs who is in a group; officers "
            "enrol its public half.",
            PATH,
            example='"habo-ad.key"',
            since="0.2",
        ),
    ]
    people: Annotated[
        str,
        Key(
            "Base under which people are; those not under it are in no group.",
            TEXT,
            example='"ou=Personer,dc=habo,dc=se"',
            since="0.2",
        ),
    ]
    subject: Annotated[
        str,
        Key(
            "Attribute with the sign-in service's identifier of a person (`sub`, or the name identifier).",
            ATTRIBUTE,
            example='"employeeNumber"',
            since="0.2",
        ),
    ]
    people_filter: Annotated[
        str,
        Key(
            "Filter for people, which can leave out accounts that are closed.",
            kind("filter of LDAP", _filter),
            since="0.2",
        ),
    ] = "(objectClass=person)"
    person_name: Annotated[str, Key("Attribute that has a person's name.", ATTRIBUTE, since="0.2")] = "cn"
    member: Annotated[str, Key("Attribute of a group that has its members.", ATTRIBUTE, since="0.2")] = (
        "member"
    )
    uid: Annotated[
        str,
        Key(
            'Attribute of a person by which groups name members (`uid`, with `member = "memberUid"`).',
            ATTRIBUTE,
            otherwise="they are distinguished names",
            example='"uid"',
            since="0.2",
        ),
    ] = ""
    port: Annotated[int, Key("Port of the server.", PORT, since="0.2")] = 636
    security: Annotated[
        LdapSecurity,
        Key(
            "How it is reached: by `tls` from the beginning, or by `starttls`; `none` is for demonstrations.",
            choice(LdapSecurity),
            since="0.2",
        ),
    ] = LdapSecurity.TLS
    tls_issuers: Annotated[
        Path | None,
        Key(
            "Bundle (PEM) of issuers of its TLS certificate.",
            PATH,
            otherwise="Mozilla's",
            example='"habo-ca.pem"',
            since="0.2",
        ),
    ] = None
    minutes: Annotated[
        int, Key("Time between two readings.", whole(1, 1440), unit="minutes", since="0.2")
    ] = _MINUTES
    seconds: Annotated[
        int, Key("Time that a reading may take.", whole(1, 600), unit="seconds", since="0.2")
    ] = 60


def check_directories(own: OrganisationConfig, _: Table) -> Breaches:
    """Require governance, which records the members, the message client, and a sign-in service."""
    if not own.directories:
        return
    if not {Role.GOVERNANCE, Role.MESSAGE_CLIENT} <= set(own.roles):
        yield "directories", "are for organisations with the roles mk and gov"
    if own.sign_in is None and own.saml is None:
        yield "directories", "have people of a sign-in service, and the organisation has none"
    if max(Counter(each.name for each in own.directories).values()) > 1:
        yield "directories", "two have the same name"
