"""Acts about keys: the enrolment and the loss of a public key.

Keys are part of the organisation's record like everything else, so that a reader can verify each
signature in the record without any software of ours.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import ClassVar, Self

from samdrift.rights.canonical import Json
from samdrift.rights.fields import (
    LONGEST,
    Fields,
    StatementError,
    Subject,
    SubjectKind,
    moment_text,
)
from samdrift.wire.crypto.sshsig import SshKey
from samdrift.wire.webauthn import WebAuthnKey, decoded, encoded

_MAX_PUBLIC = 800
MAX_NAME = 100
"""Maximum length of the name stated with a key, in characters."""
_MAX_CREDENTIAL = 1400
SIGNING = frozenset({SubjectKind.PERSON, SubjectKind.CUSTODIAN, SubjectKind.OPERATOR, SubjectKind.DIRECTORY})
"""Kinds of subjects that can have a key."""


class Scheme(StrEnum):
    """Methods by which a person signs."""

    SSH = "ssh"
    """`ssh-keygen -Y sign`, with a key in a file or on a security key."""
    WEBAUTHN = "webauthn"
    """In the browser, with an authenticator that verifies the person."""
    PAPER = "paper"
    """With a code on paper, for the day on which all other keys are lost; it works once."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public key of a person, and how it is used."""

    scheme: Scheme
    public: str
    """A line in OpenSSH format, or SubjectPublicKeyInfo in base64url."""
    site: str = ""
    """Host for which a WebAuthn key was made."""
    credential: str = ""
    """Id by which the browser asks for a WebAuthn key, in base64url."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the key's bytes in hexadecimal, by which the key is named."""
        return hashlib.sha256(self._bytes()).hexdigest()

    def ssh(self) -> SshKey:
        """Return the key as an OpenSSH key; raise :class:`ValueError` if it is not one."""
        return SshKey.parse(self.public)

    def webauthn(self) -> WebAuthnKey:
        """Return the key as an authenticator's key; raise :class:`ValueError` if it is not one."""
        return WebAuthnKey.read(decoded(self.public))

    def members(self) -> dict[str, Json]:
        """Return the key as JSON members of a statement."""
        members: dict[str, Json] = {"scheme": self.scheme.value, "public": self.public}
        if self.scheme is Scheme.WEBAUTHN:
            members |= {"site": self.site, "credential": self.credential}
        return members

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Parse a key; raise :class:`StatementError` naming the invalid field."""
        scheme = fields.one_of("scheme", Scheme)
        public = fields.text("public", _MAX_PUBLIC)
        site = credential = ""
        if scheme is Scheme.WEBAUTHN:
            site, credential = fields.text("site", 253), fields.text("credential", _MAX_CREDENTIAL)
            if site != site.lower() or not site.isascii() or not _is_encoded(credential):
                raise StatementError("a key of WebAuthn has a host in small letters and a credential", "site")
        fields.end()
        key = cls(scheme, public, site, credential)
        try:
            if scheme is Scheme.WEBAUTHN:
                key.webauthn()
            elif key.ssh().kind != "ssh-ed25519" and scheme is Scheme.PAPER:
                raise ValueError
        except ValueError:
            raise StatementError("it is not a public key that can be used like that", "public") from None
        return key

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse a key from JSON; raise :class:`StatementError` if the text is not one."""
        try:
            members = json.loads(text)
        except ValueError:
            raise StatementError("it is not JSON") from None
        if not isinstance(members, dict):
            raise StatementError("expected an object")
        return cls.read(Fields(members))

    def _bytes(self) -> bytes:
        return decoded(self.public) if self.scheme is Scheme.WEBAUTHN else self.ssh().blob


@dataclass(frozen=True, slots=True)
class Enrolled:
    """The enrolment of ``key`` for ``to``, until ``end``, with a ``name`` for display.

    :mod:`samdrift.rights.enrolment` determines the approvals that it needs.
    """

    kind: ClassVar[str] = "enrol"

    to: Subject
    name: str
    key: PublicKey
    end: datetime

    def members(self) -> dict[str, Json]:
        """Return the act as JSON members of a statement."""
        until = moment_text(self.end)
        return {"to": str(self.to), "name": self.name, "key": self.key.members(), "until": until}

    @classmethod
    def read(cls, fields: Fields, at: datetime) -> Self:
        """Parse the act of a statement made at ``at``; raise :class:`StatementError` if it is invalid."""
        to, name = fields.subject("to"), fields.text("name", MAX_NAME)
        key, end = PublicKey.read(fields.object("key")), fields.moment("until")
        if to.kind not in SIGNING:
            raise StatementError("a person, a custodian, the operator's staff or a directory has a key", "to")
        if to.kind is SubjectKind.DIRECTORY and key.scheme is not Scheme.SSH:
            raise StatementError("a directory has a key of OpenSSH", "key")
        if not at < end <= at + LONGEST:
            raise StatementError(f"it must end after enrolment, at most {LONGEST.days} days", "until")
        return cls(to, name, key, end)


@dataclass(frozen=True, slots=True)
class Lost:
    """The loss of the key enrolled by the statement ``of``, which may have been misused since ``since``."""

    kind: ClassVar[str] = "lose"

    of: str
    since: datetime

    def members(self) -> dict[str, Json]:
        """Return the act as JSON members of a statement."""
        return {"of": self.of, "since": moment_text(self.since)}

    @classmethod
    def read(cls, fields: Fields, at: datetime) -> Self:
        """Parse the act of a statement made at ``at``; raise :class:`StatementError` if it is invalid."""
        of, since = fields.digest("of"), fields.moment("since")
        if since > at:
            raise StatementError("it must be lost before it is stated", "since")
        return cls(of, since)


def _is_encoded(text: str) -> bool:
    try:
        return encoded(decoded(text)) == text
    except ValueError:
        return False
