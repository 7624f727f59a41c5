"""Texts of the console's pages for dependencies, reasons and states."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from samdrift.administration.checklist import State
from samdrift.contracts.hold import Hold
from samdrift.contracts.transfer import TransferReason
from samdrift.installation.health import Dependency
from samdrift.keystore.keyfiles import KeyName
from samdrift.vault.accesspoint import Standing
from samdrift.web.texts import Phrase
from samdrift.web.views import Kind

DEPENDENCIES: Mapping[str, Phrase] = {
    Dependency.DATABASE: Phrase("Database"),
    Dependency.CLOCK: Phrase("Clock"),
    Dependency.SESSIONS: Phrase("Sessions of the database"),
    Dependency.LOCKS: Phrase("Room in the database’s lock table"),
    Dependency.LEASES: Phrase("This host’s part of the work"),
    Dependency.OBJECTS: Phrase("Object store"),
    Dependency.KEY_STORE: Phrase("Key store"),
    Dependency.HSM: Phrase("Hardware security module"),
    Dependency.SCANNER: Phrase("Malware scanner"),
    Dependency.ACCESS_POINT: Phrase("Access point"),
    Dependency.SML: Phrase("SML"),
    Dependency.SMP: Phrase("SMP"),
    Dependency.ADDRESS_BOOK: Phrase("Address book"),
    Dependency.REVOCATION: Phrase("Revocation"),
    Dependency.MESSAGE_SERVICE: Phrase("Message service"),
    Dependency.MAIL: Phrase("Mail server"),
    Dependency.IDENTITY_PROVIDER: Phrase("Sign-in service"),
    Dependency.LOG: Phrase("Log and its witnesses"),
    Dependency.TIME_STAMPS: Phrase("Time stamps"),
    Dependency.RECONCILIATION: Phrase("Logs that agree"),
    Dependency.AGREEMENTS: Phrase("Agreements"),
    Dependency.LOG_SYSTEM: Phrase("An organisation’s log system"),
    Dependency.DIRECTORY: Phrase("An organisation’s directory"),
}
"""Names of the kinds of dependency."""

TO_DO: Mapping[str, str] = {
    Dependency.DATABASE: "systemctl status postgresql; samdrift doctor",
    Dependency.CLOCK: "timedatectl; samdrift doctor",
    Dependency.LEASES: "timedatectl; samdrift doctor",
    Dependency.KEY_STORE: "samdrift doctor",
    Dependency.LOG: "samdrift log status",
    Dependency.AGREEMENTS: "samdrift gov coverage",
    Dependency.RECONCILIATION: "samdrift log reconcile",
    Dependency.DIRECTORY: "samdrift gov group show",
}
"""Command to run when a dependency is gone."""
EXAMINE = "samdrift doctor"
"""Command to run for any other dependency."""

REASONS: Mapping[str, Phrase] = {
    Hold.SCANNER: Phrase("The malware scanner does not answer"),
    Hold.ACCESS_POINT: Phrase("The access point does not answer"),
    Hold.SML: Phrase("SML does not answer"),
    Hold.SMP: Phrase("SMP does not answer"),
    Hold.REVOCATION: Phrase("Revocation cannot be checked"),
    Hold.ADDRESS_BOOK: Phrase("The address book does not answer"),
    Hold.CERTIFICATE: Phrase("A certificate or service is not trusted"),
    Hold.NOT_REGISTERED: Phrase("Not registered in the federation"),
    Hold.KEY: Phrase("No key in use"),
    Hold.DATABASE: Phrase("The database or object store does not answer"),
    Hold.LOCK: Phrase("The vault waits for its officer"),
    Hold.SUSPENDED: Phrase("The organisation is suspended"),
    Hold.COVER: Phrase("No agreement covers it"),
    Hold.LIMIT: Phrase("The sender has reached a limit"),
    Hold.OTHER: Phrase("Another reason, see the log"),
    TransferReason.NONE: Phrase("Not attempted yet"),
    TransferReason.RECIPIENT_NOT_REGISTERED: Phrase("The recipient is not registered"),
    TransferReason.SENDER_NOT_REGISTERED: Phrase("The sender is not registered"),
    TransferReason.DISCOVERY_UNAVAILABLE: Phrase("SML or SMP does not answer"),
    TransferReason.DISCOVERY_UNTRUSTED: Phrase("SMP’s answer is not trusted"),
    TransferReason.PEER_UNTRUSTED: Phrase("The peer is not trusted"),
    TransferReason.PEER_UNREACHABLE: Phrase("The peer does not answer"),
    TransferReason.PEER_REFUSED: Phrase("The peer refuses"),
    TransferReason.RECEIPT_INVALID: Phrase("The peer’s receipt is not valid"),
    TransferReason.NOT_SERVICED: Phrase("The peer does not serve the recipient"),
    TransferReason.ENVELOPE_INVALID: Phrase("The envelope is not valid"),
    TransferReason.NOT_COVERED: Phrase("No agreement covers the transfer"),
    TransferReason.GIVEN_UP: Phrase("Given up by the operator"),
}
"""Reasons for waiting, in a message service or an access point."""

STATES: Mapping[State, tuple[Phrase, Kind]] = {
    State.DONE: (Phrase("done"), Kind.GOOD),
    State.SOON: (Phrase("see to it soon"), Kind.WARNING),
    State.MISSING: (Phrase("missing"), Kind.BAD),
    State.NOT_CHECKED: (Phrase("not checked"), Kind.PLAIN),
}
"""States of a checklist item."""

KEYS: Mapping[KeyName, Phrase] = {
    KeyName.ACCESS_POINT: Phrase("Access point"),
    KeyName.TLS_SERVER: Phrase("TLS as a server"),
    KeyName.TLS_CLIENT: Phrase("TLS as a client"),
    KeyName.SIGNING: Phrase("Signature"),
    KeyName.ENCRYPTION: Phrase("Encryption"),
    KeyName.LOG_SIGNING: Phrase("The log’s signature"),
}
"""Names of keys by purpose."""

STANDINGS: Mapping[Standing, Phrase] = {
    Standing.UNKNOWN: Phrase("No transfer has that id here."),
    Standing.UNDER_WAY: Phrase("An attempt is under way; nothing was done."),
    Standing.DELIVERED: Phrase("It was delivered already; nothing was done."),
    Standing.FAILED: Phrase("It had failed already; nothing was done."),
}
"""Reasons why an action on a transfer had no effect."""


def lasting(time: timedelta) -> Phrase:
    """Return a duration in a suitable unit: seconds, minutes, hours or days."""
    seconds = max(0, int(time.total_seconds()))
    if seconds < 120:
        return Phrase("%(count)s s", {"count": seconds})
    if seconds < 7200:
        return Phrase("%(count)s min", {"count": seconds // 60})
    if seconds < 172_800:
        return Phrase("%(count)s h", {"count": seconds // 3600})
    return Phrase("%(count)s days", {"count": seconds // 86_400})
