"""Reaching a directory by LDAP: the server, where people and groups are in it, and what it answers.

Apart from :mod:`samdrift.net.ldap`, so that reading a configuration loads no library for LDAP.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from samdrift.contracts.errors import Temporary


class LdapSecurity(StrEnum):
    """Ways of reaching a directory."""

    TLS = "tls"
    STARTTLS = "starttls"
    NONE = "none"
    """In demonstrations alone."""


@dataclass(frozen=True, slots=True)
class LdapSettings:
    """A directory, and where in it people and the members of groups are."""

    host: str
    port: int
    security: LdapSecurity
    user: str
    """Distinguished name to log in as."""
    password: str = field(repr=False)
    people: str
    """Base under which people are."""
    people_filter: str
    subject: str
    """Attribute with what the sign-in service calls a person."""
    name: str
    """Attribute with a person's name."""
    member: str
    """Attribute of a group with its members."""
    uid: str = ""
    """Attribute of a person that members are named by; empty where they are distinguished names."""
    seconds: float = 60.0
    """Time in which a reading is done."""
    max_members: int = 10_000

    @property
    def server(self) -> str:
        """Address of the directory, as statements have it."""
        scheme = "ldaps" if self.security is LdapSecurity.TLS else "ldap"
        return f"{scheme}://{self.host}:{self.port}"


@dataclass(frozen=True, slots=True, order=True)
class ListedPerson:
    """A person as the directory has them."""

    subject: str
    name: str = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class GroupListing:
    """The people in a group, or why there is no list."""

    people: frozenset[ListedPerson] = frozenset()
    unknown: int = 0
    """Members who are not among the people: other groups, accounts outside the base, names of no use."""
    fault: str = ""


class DirectoryUnavailable(Temporary):
    """A directory that has not answered in full; ``cause`` says why, in words of ours."""

    service = "LDAP"

    def __init__(self, cause: str) -> None:
        super().__init__(f"the directory has not answered in full: {cause}")
        self.cause = cause
