"""Signed statements: a statement, the key that signed it, and the signature; and whether that holds.

The signature is OpenSSH's (SSHSIG) over the statement's bytes, in a namespace that names the kind of
statement; or an assertion of WebAuthn whose challenge is the SHA-256 of these bytes. Both are verified by
programs that know nothing of us. The form is canonical JSON like the statement's own, which stands in it as
a text.
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
"""A namespace of OpenSSH is this and the kind of statement: a grant's signature opens nothing else."""
LASTS = timedelta(hours=24)
"""Time within which a statement is signed and appended: what is older is stated again."""
AHEAD = timedelta(minutes=5)
"""Difference of clocks that is borne."""
MAX_SIGNED = 48 * 1024
"""Most bytes of a signed statement: its text is written as a text once more."""


class Refusal(StrEnum):
    """The reason that a signed statement is not accepted."""

    MALFORMED = "malformed"
    OTHER_ORGANISATION = "other-organisation"
    EXPIRED = "expired"
    """Stated more than a day ago, or in the future."""
    OUT_OF_ORDER = "out-of-order"
    """Stated at an earlier moment than the last one that is there."""
    REPEATED = "repeated"
    UNKNOWN_KEY = "unknown-key"
    OTHERS_KEY = "others-key"
    """A key of another person than the one who states it."""
    KEY_OVER = "key-over"
    """A key that has not begun, has ended, or was lost."""
    CODE_SPENT = "code-spent"
    """A code on paper, for something else than a new key."""
    NAMESPACE = "namespace"
    CHALLENGE = "challenge"
    ORIGIN = "origin"
    NOT_VERIFIED = "not-verified"
    """The authenticator has not asked who the person is, or the person was not there."""
    COUNTER = "counter"
    """The authenticator counts less than before: there may be a copy of it."""
    SIGNATURE = "signature"
    TOO_MANY = "too-many"
    """More about agreements than one states in a day."""
    CROWDED = "crowded"
    """More in one second than can be judged together, some of it other than grants."""


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
    """SSHSIG without its lines, or an assertion."""

    @classmethod
    def parse(cls, content: bytes) -> Self:
        """Read canonical bytes; :class:`StatementError` with the field for anything else."""
        try:
            value = decode(content, MAX_SIGNED)
        except CanonicalError as error:
            raise StatementError(error.text, error.where) from None
        if not isinstance(value, Mapping):
            raise StatementError("it is not an object")
        fields = Fields(value)
        version = fields.take("version")
        if version is True or version != VERSION:
            raise StatementError("a version that this program does not know", "version")
        statement = Statement.parse(fields.text("statement", MAX_BYTES).encode())
        signed = cls(statement, fields.digest("key"), _signature(fields.object("signature")))
        fields.end()
        vars(signed)["content"] = content
        return signed

    @classmethod
    def by_ssh(cls, statement: Statement, armoured: str) -> Self:
        """Return a statement with a file of `ssh-keygen -Y sign`; :class:`StatementError` for another."""
        try:
            blob = sshsig.unarmoured(armoured)
            key = sshsig.signer(blob)
        except ValueError:
            raise StatementError("it is not a signature of OpenSSH", "signature") from None
        return cls(statement, hashlib.sha256(key.blob).hexdigest(), blob)

    @cached_property
    def content(self) -> bytes:
        """The canonical bytes."""
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
    """A signature that holds: whose it is, by which enrolment, and the counter that it shows."""

    enrolment: Enrolment | None
    """``None`` for a custodian's first statement, which enrols the key that signed it."""
    counter: int


def challenge(statement: Statement) -> bytes:
    """Return what an authenticator signs: the digest of the statement."""
    return hashlib.sha256(statement.content).digest()


def namespace(statement: Statement) -> str:
    """Return the namespace in which OpenSSH signs a statement."""
    return NAMESPACE + statement.kind


def verify(signed: Signed, keys: Keys) -> Verified | Refusal:
    """Return who has signed, by the keys that were enrolled before, or why that is not shown."""
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
    """Return whether a statement can be appended now: neither backdated nor of the future."""
    return now - LASTS <= statement.at <= now + AHEAD


def _enrols_itself(signed: Signed) -> bool:
    """Return whether a custodian states the key that signs: where a record begins."""
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
