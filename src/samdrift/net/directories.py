"""Settings for reading an LDAP directory (server, people, groups), and the result of a reading.

Separate from :mod:`samdrift.net.ldap`, so that reading a configuration does not load the LDAP library.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from samdrift.contracts.errors import Temporary


class LdapSecurity(StrEnum):
    """Ways of securing the connection to a directory."""

    TLS = "tls"
    STARTTLS = "starttls"
    NONE = "none"
    """No TLS; for demonstrations only."""


@dataclass(frozen=True, slots=True)
class LdapSettings:
    """The settings for reading a directory, including where people and group members are found."""

    host: str
    port: int
    security: LdapSecurity
    user: str
    """Distinguished name to log in as."""
    password: str = field(repr=False)
    people: str
    """Base below which people are searched for."""
    people_filter: str
    subject: str
    """Attribute with the identifier that the sign-in service uses for a person."""
    name: str
    """Attribute with a person's name."""
    member: str
    """Attribute of a group that lists its members."""
    uid: str = ""
    """Attribute of a person that groups list members by; empty if they list distinguished names."""
    seconds: float = 60.0
    """Time limit for one whole reading."""
    max_members: int = 10_000

    @property
    def server(self) -> str:
        """The URL of the directory, as shown in statements."""
        scheme = "ldaps" if self.security is LdapSecurity.TLS else "ldap"
        return f"{scheme}://{self.host}:{self.port}"


@dataclass(frozen=True, slots=True, order=True)
class ListedPerson:
    """A person as listed in the directory."""

    subject: str
    name: str = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class GroupListing:
    """The people in a group, or the fault that prevented reading it."""

    people: frozenset[ListedPerson] = frozenset()
    unknown: int = 0
    """Number of members not among the people: nested groups, accounts outside the base, unusable names."""
    fault: str = ""


class DirectoryUnavailable(Temporary):
    """The directory did not answer in full; ``cause`` gives the reason in our own words."""

    service = "LDAP"

    def __init__(self, cause: str) -> None:
        super().__init__(f"the directory has not answered in full: {cause}")
        self.cause = cause
