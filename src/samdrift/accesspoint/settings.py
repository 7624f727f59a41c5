"""Settings of one access point in one federation and environment, with its own keys and its clients."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509

from samdrift.contracts.principals import Principal, PrincipalKind
from samdrift.wire.crypto.keys import DecryptionKey, SigningKey
from samdrift.wire.identifiers import (
    RECEIPT_BASE,
    RECEIPT_EXTENDED,
    SDK_MESSAGE_BASE,
    SDK_MESSAGE_EXTENDED,
    DocumentIdentifier,
    ParticipantIdentifier,
)
from samdrift.wire.profile import TransportProfile


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Number and intervals of the attempts at a transfer (component-accesspoint 3.2.3 b, 3.2.5 A3, A4).

    The interval is constant. ``jitter`` is the share of the interval by which an attempt may come earlier or
    later, so that not all senders contact a peer simultaneously when it is back.

    An attempt counts when it has an outcome. One that our own restart interrupted, or that ended with its
    process, does not count, within limits (``outbound._MOST_SPARED``, ``vault.accesspoint._PARDONED``).

    Clauses: component-accesspoint 3.2.5 a.
    """

    attempts: int
    interval: timedelta
    jitter: float = 0.1

    @property
    def most(self) -> int:
        """Maximum number of attempts, including those without an outcome because their process ended."""
        return 2 * self.attempts

    def next_attempt(self, made: int, now: datetime, chance: float) -> datetime | None:
        """Return the time of the next attempt after ``made`` attempts, or ``None`` after the last one.

        ``chance`` is a number from 0 to 1 that places the attempt within the jitter.

        Clauses: accesspoint-test-cases 6.1.1 TF-05.
        """
        if made >= self.attempts:
            return None
        return now + self.interval * (1 + self.jitter * (2 * chance - 1))


_PER_MEGABYTE = timedelta(seconds=6)


@dataclass(frozen=True, slots=True)
class AccessPointSettings:
    """Settings of one access point: one party, federation and environment (transport-profile-as4 2.10 e).

    The operator's choices come from the configuration, which also has the defaults.
    """

    party: str
    """CN of the access point certificate, such as ``AP0040-SDK-PROD``."""
    federation: str
    message_id_domain: str
    base_model: Container[ParticipantIdentifier]
    """Organisations that are registered under the base transport model in addition to the extended one."""
    profiles: tuple[TransportProfile, ...]
    """Transport profiles that may be used to send, the preferred one first."""
    timestamp_peers: frozenset[str]
    """Parties that are sent a ``wsu:Timestamp`` even if their transport profile has none."""
    retry: RetryPolicy
    lease: timedelta
    """Time that one worker may hold a transfer before another takes it over."""
    answer_within: timedelta
    """Time that a peer may take to answer an attempt with a small message."""
    clock_tolerance: timedelta
    """Maximum difference between the clocks of two access points."""
    measure_every: timedelta
    """Minimum time between two measurements of queue lengths, however often they are requested."""
    peer_alarm: int
    """Number of nonconforming messages of one peer within the period that raises an alarm; 0 for never."""
    peer_alarm_within: timedelta
    parallel: int = 4
    """Transfers in flight at the same time for one organisation."""

    def patience(self, size: int) -> timedelta:
        """Return the time within which a peer must answer a body of ``size`` bytes.

        Some peers need minutes where others need a second, and a message that is abandoned meanwhile may
        still have been delivered (docs/compatibility.md). The time always ends before the lease.
        """
        longer = self.answer_within + _PER_MEGABYTE * (size / 1e6)
        return max(self.answer_within, min(longer, self.lease * 0.8))

    def documents(self, organisation: ParticipantIdentifier) -> tuple[DocumentIdentifier, ...]:
        """Return the types of message that are served for an organisation (transport-profile-as4 2.5 a)."""
        if organisation in self.base_model:
            return (SDK_MESSAGE_EXTENDED, RECEIPT_EXTENDED, SDK_MESSAGE_BASE, RECEIPT_BASE)
        return (SDK_MESSAGE_EXTENDED, RECEIPT_EXTENDED)


@dataclass(frozen=True, slots=True)
class OwnKeys:
    """The keys of every certificate that is not retired, at least one, with the newest first.

    The newest signs. The others stay for as long as peers may still find their certificates in SMP, or use
    ones found there earlier.

    Clauses: transport-profile-as4 2.3.1 f.
    """

    signing: tuple[SigningKey, ...]
    decryption: tuple[DecryptionKey, ...]

    @property
    def newest(self) -> SigningKey:
        """Return the key that signs this access point's own messages."""
        return self.signing[0]

    def of(self, certificate: x509.Certificate) -> SigningKey:
        """Return the key that signs the receipt for a message that was encrypted for ``certificate``.

        The sender found that certificate in SMP, and accepts a receipt only from it (transport-profile-as4
        2.10 a).
        """
        return next((key for key in self.signing if key.certificate == certificate), self.newest)


CurrentKeys = Callable[[], OwnKeys]
"""Returns the current keys, so that a certificate can be replaced without a restart."""


@dataclass(frozen=True, slots=True)
class Client:
    """An organisation's system that may use interface C."""

    organisation: ParticipantIdentifier
    system: str

    @property
    def principal(self) -> Principal:
        return Principal(PrincipalKind.SYSTEM, self.system, self.organisation.value)


CurrentClients = Callable[[], Mapping[str, Client]]
"""Returns the current clients of interface C, by the SHA-256 of their certificates in hex."""
