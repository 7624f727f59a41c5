"""Marks of session keys in the message service's vault: one session key opens one envelope.

A member of the federation can sign a captured ciphertext with a valid key of its own, as part of an envelope
that it made. If that were decrypted, receipts, or their absence, would reveal what was sent to another
organisation. So before anything is decrypted with a session key, the key is marked, durably, together with
the envelope that it opens. The same envelope is accepted again, however often it comes; in another envelope
the key counts as one that cannot be unwrapped.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from samdrift.keystore.keyfiles import KeyFault, KeyStoreError
from samdrift.keystore.witness import MARK_BYTES, Witness
from samdrift.vault.coverkeeping import CoverKeeping
from samdrift.vault.database.session import Texts, call
from samdrift.vault.errors import VaultUnavailable
from samdrift.vault.events import VaultEvent
from samdrift.vault.grounds import JudgingVault
from samdrift.vault.sealing import Sealer

_TAKE = "SELECT outcome, kept, doubted, names, keys FROM take_session_key($1, $2, $3, $4, $5, $6, $7, $8, $9)"
_LOOK = "SELECT begun, lost, since, until FROM look_after_marks($1, $2, $3, $4, $5)"
_ACCEPT = call("accept_lost_marks", 1)
_COUNT = call("count_refusal", 3)
_LOST = "SELECT since, until, found_at, accepted_at FROM lost_marks ORDER BY number"
_REFUSED = "SELECT sender, number, first_at FROM refusals ORDER BY sender"


class Claim(StrEnum):
    """The decision about a session key."""

    TAKEN = "taken"
    """The key opens this envelope."""
    USED = "used"
    """The key opens another envelope, or may have opened one: nothing may be decrypted with it."""
    LIMITED = "limited"
    """Too many of the sender's envelopes meant nothing when decrypted: this one is not processed for now."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """The result of claiming a session key."""

    claim: Claim
    doubted: bool = False
    """True if marks of session keys for the same private key are lost.

    Then a message is answered only if it is plainly its sender's.
    """


@dataclass(frozen=True, slots=True)
class LostMarks:
    """A period for which marks of session keys are missing, because they were lost or never made."""

    since: datetime | None
    """Moment of the last remaining mark; ``None`` if there is none."""
    until: datetime
    found_at: datetime
    accepted_at: datetime | None
    """Moment at which two custodians accepted the loss."""


@dataclass(frozen=True, slots=True)
class SenderRefusals:
    """The number of one sender's envelopes that meant nothing when decrypted, since the first of them."""

    sender: str
    number: int
    since: datetime


@dataclass(frozen=True, slots=True)
class RefusalLimit:
    """The number of one sender's envelopes that may mean nothing when decrypted, and the period for it."""

    most: int
    within: timedelta


class MarksMissing(VaultUnavailable):
    """A database that lacks the latest mark; :meth:`SessionKeys.look_after_marks` has to run first."""

    text = "the database is older than the last session key that was marked"


class SessionKeys(JudgingVault, CoverKeeping):
    """The part of the message service's vault for marks of session keys."""

    async def take_session_key(
        self,
        session_key: bytes,
        recipient: x509.Certificate | None,
        *,
        envelope: bytes,
        created: datetime,
        sender: str,
        limit: RefusalLimit,
        now: datetime,
    ) -> Claimed:
        """Mark a session key for the envelope with that SHA-256; durable when this returns.

        The mark is committed on its own, whatever becomes of the opening, so that a sender cannot undo it by
        what the envelope does afterwards. Therefore nothing else may have been asked of the opening before.
        ``recipient`` is the certificate of the private key that unwrapped it, ``created`` the envelope's own
        time. Raises :class:`MarksMissing`.
        """
        store, vault = self._room.keys, self._room.vault
        witness = store.witness(vault)
        own = self._sealer.session_mark(session_key)
        marks = Texts((own.hex(),))
        values = (
            *(envelope, now, created, _identity(recipient)),
            *(sender, now - limit.within, limit.most, witness and witness.mark.hex()),
        )
        ((outcome, kept, doubted, names, keys),) = await self._work.at_once(_TAKE, marks, *values)
        if outcome == "brought":
            brought = [mark_key(sealed, name, self._sealer) for name, sealed in zip(names, keys, strict=True)]
            marks += [self._sealer.session_mark(session_key, key).hex() for key in brought]
            ((outcome, kept, doubted, *_),) = await self._work.at_once(_TAKE, marks, *values)
        if outcome == "unwitnessed":
            raise MarksMissing
        if kept:
            store.keep_witness(vault, Witness(own, now))
        return Claimed(Claim(outcome), doubted)

    async def look_after_marks(self, *, now: datetime) -> LostMarks | None:
        """Record in vault and log which marks are lost, if any, and begin to keep marks in a new vault."""
        store, vault = self._room.keys, self._room.vault
        witness, fresh = store.witness(vault), secrets.token_bytes(MARK_BYTES)
        known = (None, None) if witness is None else (witness.mark.hex(), witness.at)
        rows = await self._work.look(_LOOK, *known, self._recipients(), fresh.hex(), now)
        ((begun, lost, since, until),) = rows
        if begun:

            async def keep() -> None:
                store.keep_witness(vault, Witness(fresh, now))

            self._work.after_commit(keep)
        if not lost:
            return None
        found = LostMarks(since, until, now, None)
        first = "the beginning" if since is None else since.isoformat()
        self.record(VaultEvent.MT_MARKS_LOST, since=first, until=until.isoformat())
        return found

    async def lost_marks(self) -> tuple[LostMarks, ...]:
        """Return every period for which marks were lost, the first one first."""
        return tuple(LostMarks(*row) for row in await self._work.query(_LOST))

    async def accept_lost_marks(self, *, now: datetime) -> int:
        """Accept all losses so far; return their number.

        Envelopes are treated as if no marks were lost in those periods.
        """
        ((number,),) = await self._work.query(_ACCEPT, now)
        return int(number)

    async def count_refusal(self, sender: str, *, limit: RefusalLimit, now: datetime) -> int:
        """Count an envelope that meant nothing when decrypted; return the sender's count in the window."""
        ((number,),) = await self._work.query(_COUNT, sender, now, now - limit.within)
        return int(number)

    async def refusals(self) -> tuple[SenderRefusals, ...]:
        """Return the count of each sender in its latest window."""
        return tuple(SenderRefusals(*row) for row in await self._work.query(_REFUSED))

    def _recipients(self) -> list[bytes]:
        """Return the identities of the private keys that decrypt now."""
        try:
            keys = self._room.keys.decryption_keys(self._room.vault)
        except KeyStoreError as error:
            if error.fault is not KeyFault.MISSING:
                raise
            return []
        return [_identity(key.certificate) for key in keys]


def mark_key_name(key: bytes) -> str:
    """Return the name of a key of marks."""
    return sha256(b"samdrift key of marks" + key).hexdigest()


def mark_key(sealed: bytes, name: str, sealer: Sealer) -> bytes:
    """Open a key of marks that the organisation brought from a former supplier."""
    return sealer.open(sealed, f"key of marks {name}")


def sealed_mark_key(key: bytes, name: str, sealer: Sealer) -> bytes:
    """Seal a key of marks: the inverse of :func:`mark_key`."""
    return sealer.seal(key, f"key of marks {name}")


def _identity(certificate: x509.Certificate | None) -> bytes:
    """Return the identity of a private key under any certificate: SHA-256 of its public half."""
    if certificate is None:
        return b""
    public = certificate.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return sha256(public).digest()
