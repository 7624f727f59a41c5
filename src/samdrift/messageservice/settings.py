"""Settings of the message service, chosen by the operator and by each organisation."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from samdrift.vault.sessionkeys import RefusalLimit
from samdrift.wire.identifiers import ParticipantIdentifier

WORKER = "message-service"
"""Name under which this role's own work is recorded in the logs of organisations."""


@dataclass(frozen=True, slots=True)
class MessageServiceSettings:
    """Settings of one message service in one federation.

    The operator's choices come from the configuration, which also has the defaults.
    """

    federation: str
    submit_within: timedelta
    """Time that a message may wait for SMP, CertPub or the access point before it expires."""
    transfer_within: timedelta
    """Time within which the access point must have a transport receipt, or report a failed transfer."""
    receipt_within: timedelta
    """Time that the recipient may take to send the message receipt after the transport receipt."""
    retry_after: timedelta
    """Pause before a step that failed for a temporary reason is tried again."""
    lease: timedelta
    parallel: int = 4
    """Number of messages processed at the same time for one organisation."""
    poll_wait: float = 55.0
    """Initial and minimum number of seconds that a poll of the access point waits for news."""

    meaningless_most: int = 20
    """Number of a sender's envelopes that may be meaningless when decrypted before its others must wait."""
    meaningless_within: timedelta = timedelta(hours=1)
    """Period within which these envelopes are counted, starting with the first one."""

    @property
    def meaningless_limit(self) -> RefusalLimit:
        """Return both limits in the form that the vault accepts."""
        return RefusalLimit(self.meaningless_most, self.meaningless_within)

    @property
    def sent_within(self) -> timedelta:
        """Return the time that an item may wait for submission, regardless of the cause (invariant 8).

        It is longer than ``submit_within``, so that a temporary failure is reported as such.
        """
        return self.submit_within + self.retry_after + self.lease


@dataclass(frozen=True, slots=True)
class OrganisationProfile:
    """The message service's profile of an organisation that it serves.

    Clauses: content-specification 4.3.3.3 sentence 4.
    """

    organisation: ParticipantIdentifier
    name: str
    functional_addresses: frozenset[str]
    """The organisation's own addresses; any other is answered as unknown (receipt ``not-found``)."""
    file_types: frozenset[str] = frozenset({"application/pdf"})
    """Types of attachments that are accepted and sent, by :func:`samdrift.wire.filetypes.canonical` name.

    PDF is always among them (content-specification 4.3.3.3, contentType).
    """
    base_model: bool = False
    """True if messages may also be exchanged under the base transport model, unsigned and unencrypted."""
