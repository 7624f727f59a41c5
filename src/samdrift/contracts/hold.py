"""Reasons for which a message waits in a message service: a closed list, for counts that identify no one."""

from __future__ import annotations

from enum import StrEnum


class Hold(StrEnum):
    """Reason why a message is held."""

    SCANNER = "scanner"
    ACCESS_POINT = "access-point"
    """The access point on interface C."""
    SML = "sml"
    SMP = "smp"
    REVOCATION = "revocation"
    ADDRESS_BOOK = "address-book"
    CERTIFICATE = "certificate"
    """A shared service or a certificate that is not trusted."""
    NOT_REGISTERED = "not-registered"
    KEY = "key"
    """The organisation has no active key, or its hardware security module does not answer."""
    DATABASE = "database"
    """The database or the object store."""
    LOCK = "lock"
    """The vault is locked until the organisation's officer unlocks it."""
    SUSPENDED = "suspended"
    COVER = "cover"
    """No agreement covers the function."""
    LIMIT = "limit"
    """The sender has exceeded the limit of messages that could not be decrypted."""
    OTHER = "other"
    """Any other reason; the log has the cause."""
