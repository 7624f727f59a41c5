"""Settings of the message service, chosen by the operator and by each organisation."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from samdrift.vault.sessionkeys import RefusalLimit
from samdrift.wire.identifiers import ParticipantIdentifier

WORKER = "message-service"
"""The name of this role's own work in the logs of organisations."""


@dataclass(frozen=True, slots=True)
class MessageServiceSettings:
    """Settings of one message service in one federation.

    The operator's choices come from the configuration, which has the defaults.
    """

    federation: str
    submit_within: timedelta
    """Time that a message may wait for SMP, CertPub or the access point before it expires."""
    transfer_within: timedelta
    """Time that the access point may take until the transport receipt is there or the transfer has failed."""
    receipt_within: timedelta
    """Time that the recipient may take for the message receipt after the transport receipt."""
    retry_after: timedelta
    """Pause before a step is tried again that failed for a reason that may pass."""
    lease: timedelta
    parallel: int = 4
    """Messages in work at the same time for one organisation."""
    poll_wait: float = 55.0
    """Seconds that a poll of the access point may last."""

    meaningless_most: int = 20
    """Number of a sender's envelopes that may be meaningless when decrypted before its others wait."""
    meaningless_within: timedelta = timedelta(hours=1)
    """Within which time they are counted, from the first one on."""

    @property
    def meaningless_limit(self) -> RefusalLimit:
        """Both as the vault takes them."""
        return RefusalLimit(self.meaningless_most, self.meaningless_within)

    @property
    def sent_within(self) -> timedelta:
        """Return the time that an item may wait for submission, whatever delays it (invariant 8).

        Longer than ``submit_within``: a passing failure is reported under its own name.
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
    """The organisation's own addresses; others are answered as unknown (receipt ``not-found``)."""
    file_types: frozenset[str] = frozenset({"application/pdf"})
    """Types of attachments that are taken and sent, as :func:`samdrift.wire.filetypes.canonical` names
    them; PDF always is (content-specification 4.3.3.3, contentType).
    """
    base_model: bool = False
    """True when messages are exchanged under the base transport model too, unsigned and unencrypted."""
