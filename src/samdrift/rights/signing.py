"""Signed statements: a statement, the key that signed it, and the signature, with their verification.

The signature is either OpenSSH's (SSHSIG) over the statement's bytes, in a namespace that includes the kind
of statement, or a WebAuthn assertion whose challenge is the SHA-256 of these bytes. Both can be verified with
programs that are not ours. The form is canonical JSON, like the statement itself, which is included as a
string.
"""

from __future__ import annotations

import hashlib
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cached_property
from typing import Self

from samdrift.rights.canonical import MAX_BYTES, CanonicalError, Json, decode, encode
from samdrift.rights.enrolment import Enrolment, Keys
from samdrift.rights.fields import Fields, StatementError
from samdrift.rights.keyacts import Enrolled, PublicKey, Scheme
from samdrift.rights.statements import Statement
from samdrift.wire.crypto import sshsig
from samdrift.wire.webauthn import Assertion, AssertionFault, decoded, encoded

VERSION = 1
NAMESPACE = "samdrift-"
"""Prefix of an OpenSSH namespace, followed by the kind of statement.

A signature on one kind of statement is therefore not valid for another kind.
"""
LASTS = timedelta(hours=24)
"""Time within which a statement has to be signed and appended; an older one has to be stated again."""
AHEAD = timedelta(minutes=5)
"""Tolerated clock difference."""
MAX_SIGNED = 48 * 1024
"""Maximum size of a signed statement in bytes; its text is escaped once more as a string."""


class Refusal(StrEnum):
    """Reasons for refusing a signed statement."""

    MALFORMED = "malformed"
    OTHER_ORGANISATION = "other-organisation"
    EXPIRED = "expired"
    """Stated more than a day ago, or in the future."""
    OUT_OF_ORDER = "out-of-order"
    """Stated at an earlier moment than the last statement in the record."""
    REPEATED = "repeated"
    UNKNOWN_KEY = "unknown-key"
    OTHERS_KEY = "others-key"
    """Signed with the key of a person other than its author."""
    KEY_OVER = "key-over"
    """A key that has not begun, has ended, or was lost."""
    CODE_SPENT = "code-spent"
    """Signed with a code on paper, for something other than the enrolment of a key."""
    NAMESPACE = "namespace"
    CHALLENGE = "challenge"
    ORIGIN = "origin"
    NOT_VERIFIED = "not-verified"
    """The authenticator did not verify the person, or the person was not present."""
    COUNTER = "counter"
    """The authenticator reported a lower counter than before, so that there may be a copy of it."""
    SIGNATURE = "signature"
    TOO_MANY = "too-many"
    """More statements about agreements than are allowed in a day."""
    CROWDED = "crowded"
    """More statements in one second than can be judged together, not all of them grants."""


_OF_ASSERTIONS = {
    AssertionFault.MALFORMED: Refusal.MALFORMED,
    AssertionFault.CHALLENGE: Refusal.CHALLENGE,
    AssertionFault.ORIGIN: Refusal.ORIGIN,
    AssertionFault.SITE: Refusal.ORIGIN,
    AssertionFault.NOT_PRESENT: Refusal.NOT_VERIFIED,
    AssertionFault.NOT_VERIFIED: Refusal.NOT_VERIFIED,
    AssertionFault.SIGNATURE: Refusal.SIGNATURE,
}


@dataclass(frozen=True)
class Signed:
    """A statement and its signature."""

    statement: Statement
    key: str
    """Fingerprint of the key."""
    signature: bytes | Assertion
    """SSHSIG in binary form, or a WebAuthn assertion."""

    @classmethod
    def parse(cls, content: bytes) -> Self:
        """Parse canonical bytes; raise :class:`StatementError` naming the field if they are invalid."""
        try:
            value = decode(content, MAX_SIGNED)
        except CanonicalError as error:
            raise StatementError(error.text, error.where) from None
        if not isinstance(value, Mapping):
            raise StatementError("it is not an object")
        fields = Fields(value)
        version = fields.take("version")
        if version is True or version != VERSION:
            raise StatementError("a version unknown to this program", "version")
        statement = Statement.parse(fields.text("statement", MAX_BYTES).encode())
        signed = cls(statement, fields.digest("key"), _signature(fields.object("signature")))
        fields.end()
        vars(signed)["content"] = content
        return signed

    @classmethod
    def by_ssh(cls, statement: Statement, armoured: str) -> Self:
        """Return a statement with a signature by `ssh-keygen -Y sign`.

        Raise :class:`StatementError` if ``armoured`` is not such a signature.
        """
        try:
            blob = sshsig.unarmoured(armoured)
            key = sshsig.signer(blob)
        except ValueError:
            raise StatementError("it is not a signature of OpenSSH", "signature") from None
        return cls(statement, hashlib.sha256(key.blob).hexdigest(), blob)

    @cached_property
    def content(self) -> bytes:
        """The canonical bytes of the signed statement."""
        if isinstance(self.signature, Assertion):
            signature: dict[str, Json] = {
                "authenticator-data": encoded(self.signature.authenticator_data),
                "client-data": encoded(self.signature.client_data),
                "signature": encoded(self.signature.signature),
            }
        else:
            signature = {"sshsig": b64encode(self.signature).decode()}
        fields: dict[str, Json] = {
            "version": VERSION,
            "statement": self.statement.content.decode(),
            "key": self.key,
            "signature": signature,
        }
        try:
            return encode(fields, MAX_SIGNED)
        except CanonicalError as error:
            raise StatementError(error.text, error.where) from None


@dataclass(frozen=True, slots=True)
class Verified:
    """A valid signature: the enrolment of the key that made it, and the authenticator's counter."""

    enrolment: Enrolment | None
    """Enrolment of the key; ``None`` for a custodian's first statement, which enrols its own key."""
    counter: int


def challenge(statement: Statement) -> bytes:
    """Return the challenge that an authenticator signs: the digest of the statement."""
    return hashlib.sha256(statement.content).digest()


def namespace(statement: Statement) -> str:
    """Return the namespace in which OpenSSH signs a statement."""
    return NAMESPACE + statement.kind


def verify(signed: Signed, keys: Keys) -> Verified | Refusal:
    """Return the verified signature, by the keys enrolled earlier, or the reason for refusing it."""
    statement = signed.statement
    enrolment: Enrolment | None = None
    if _enrols_itself(signed):
        key = _act_key(statement)
    else:
        known = keys.of_key(signed.key)
        if not known:
            return Refusal.UNKNOWN_KEY
        enrolment = known[-1]
        if enrolment.act.to != statement.by:
            return Refusal.OTHERS_KEY
        if not enrolment.in_force(statement.at):
            return Refusal.KEY_OVER
        key = enrolment.key
    if key.scheme is Scheme.PAPER and not isinstance(statement.act, Enrolled):
        return Refusal.CODE_SPENT
    found = _by_assertion(signed, key) if key.scheme is Scheme.WEBAUTHN else _by_ssh(signed, key)
    if isinstance(found, Refusal):
        return found
    before = 0 if enrolment is None else enrolment.counter
    if (found or before) and found <= before:
        return Refusal.COUNTER
    return Verified(enrolment, found)


def timely(statement: Statement, now: datetime) -> bool:
    """Return whether a statement can be appended now: neither too old nor in the future."""
    return now - LASTS <= statement.at <= now + AHEAD


def _enrols_itself(signed: Signed) -> bool:
    """Return whether a custodian states the very key that signs, as at the start of a record."""
    act, by = signed.statement.act, signed.statement.by
    return (
        isinstance(act, Enrolled)
        and act.to == by
        and by.kind == "custodian"
        and act.key.fingerprint == signed.key
    )


def _act_key(statement: Statement) -> PublicKey:
    assert isinstance(statement.act, Enrolled)
    return statement.act.key


def _by_ssh(signed: Signed, key: PublicKey) -> int | Refusal:
    if not isinstance(signed.signature, bytes):
        return Refusal.MALFORMED
    try:
        found = sshsig.check(key.ssh(), signed.statement.content, signed.signature)
    except ValueError:
        return Refusal.MALFORMED
    if found is None:
        return Refusal.SIGNATURE
    if found.namespace != namespace(signed.statement):
        return Refusal.NAMESPACE
    return found.counter if found.present else Refusal.NOT_VERIFIED


def _by_assertion(signed: Signed, key: PublicKey) -> int | Refusal:
    if not isinstance(signed.signature, Assertion):
        return Refusal.MALFORMED
    found = signed.signature.check(key.webauthn(), challenge(signed.statement), key.site)
    return _OF_ASSERTIONS[found] if isinstance(found, AssertionFault) else found


def _signature(fields: Fields) -> bytes | Assertion:
    try:
        if "sshsig" in fields:
            blob = b64decode(fields.text("sshsig", MAX_BYTES), validate=True)
            fields.end()
            return blob
        parts = [
            decoded(fields.text(name, MAX_BYTES))
            for name in ("authenticator-data", "client-data", "signature")
        ]
    except StatementError:
        raise
    except ValueError:
        raise StatementError("a signature is base64", "signature") from None
    fields.end()
    return Assertion(*parts)
