"""Reasons for which a message waits in a message service: a closed list, for counts that name no one."""

from __future__ import annotations

from enum import StrEnum


class Hold(StrEnum):
    """The thing that a held message waits for."""

    SCANNER = "scanner"
    ACCESS_POINT = "access-point"
    """The access point on interface C."""
    SML = "sml"
    SMP = "smp"
    REVOCATION = "revocation"
    ADDRESS_BOOK = "address-book"
    CERTIFICATE = "certificate"
    """A shared service or a certificate is not trusted."""
    NOT_REGISTERED = "not-registered"
    KEY = "key"
    """The organisation has no key in use, or its hardware security module does not answer."""
    DATABASE = "database"
    """Database or object store."""
    LOCK = "lock"
    """The vault waits for its organisation's officer."""
    SUSPENDED = "suspended"
    COVER = "cover"
    """No agreement covers the function."""
    LIMIT = "limit"
    """The sender has sent too much that could not be decrypted."""
    OTHER = "other"
    """Anything else; the log has its cause."""
