"""Errors of the gate; their texts name no organisation, no record and no database object."""

from __future__ import annotations

from samdrift.contracts.errors import Explained, NotServed, Temporary
from samdrift.contracts.hold import Hold


class VaultError(Explained):
    """Base class of the errors that the gate raises."""

    text = "the vault cannot do this"

    def __init__(self) -> None:
        super().__init__(self.text)


class VaultDenied(VaultError, NotServed):
    """Denial of an opening; identical whether or not the organisation is hosted here."""

    text = "access to the vault is denied"


class VaultUnavailable(VaultError, Temporary):
    """Failure of the database or object store to respond properly; the same call may succeed later.

    If it is raised at the end of an opening, it is not known whether the work was committed: every operation
    can be repeated safely.
    """

    text = "the vault cannot be reached now"
    hold = Hold.DATABASE

    def __init__(self, cause: str = "", *, reported: bool = True) -> None:
        super().__init__()
        self.cause = cause
        self.reported = reported and bool(cause)


class Entangled(VaultUnavailable):
    """A deadlock between two transactions, in which the database ended this one; the work can be repeated."""


class EndedByDatabase(VaultUnavailable):
    """Work ended by a running database: out of space, out of time, or a queue is full."""

    def __init__(self, cause: str = "") -> None:
        super().__init__(cause, reported=False)


class ServerBusy(VaultUnavailable):
    """Timeout while waiting for another process to start or stop the embedded database."""

    def __init__(self, who: str) -> None:
        super().__init__(f"{who} is starting or stopping the embedded PostgreSQL", reported=False)
        self.todo = "wait until that is done; if it does not finish, see data/server.log in its folder"

    def __str__(self) -> str:
        return f"{self.cause}: {self.todo}"


class LoginRefused(VaultUnavailable):
    """Refusal of a login by a running database."""

    text = "the database refused one of the platform's logins"

    def __init__(self, login: str = "", repair: str = "") -> None:
        super().__init__()
        self._who = f"the database refused the login {login}: {repair}" if repair else self.text

    def __str__(self) -> str:
        return self._who


class DatabaseMissing(VaultUnavailable):
    """A database that does not exist on a server that responds."""

    text = "the organisation's database does not exist: samdrift backup restore --organisation restores it"


class VaultLocked(VaultUnavailable):
    """A vault that is locked until its organisation's officer unlocks it; then the same call succeeds."""

    text = "the vault is locked until its organisation's officer unlocks it"
    hold = Hold.LOCK
    expected = True


class VaultSuspended(VaultUnavailable):
    """An organisation that is hosted here but suspended; raised only to callers that may open its vault."""

    text = "the organisation is suspended here"
    hold = Hold.SUSPENDED
    expected = True
    announced = True


class VaultUncovered(VaultUnavailable):
    """A function of the organisation that no agreement has ever covered here, so it is not switched on."""

    text = "no agreement covers this function of the organisation yet: samdrift gov coverage names the gaps"
    hold = Hold.COVER
    expected = True


class NoKeyInUse(VaultError, Temporary):
    """Absence of a key to sign or decrypt with: the organisation has none yet, or all were revoked."""

    text = "the organisation has no key in use for this"
    hold = Hold.KEY


class VaultClosed(VaultError):
    """Use of a vault after its opening has ended."""

    text = "the opening of the vault has ended"


class UnknownRecord(VaultError):
    """A record that does not exist in this vault, whatever other vaults hold."""

    text = "no such record in this vault"


class TooManyEntries(VaultError):
    """More log entries about an identifier than the caller is prepared to read."""

    text = "the log has more entries about this than are read at once"


class VaultRefused(VaultError):
    """Refusal of an operation by the database: a value that it cannot store, or a lack of rights."""

    text = "the database refused the operation"

    def __init__(self, code: str | None = None) -> None:
        super().__init__()
        self.code = code
        """The SQLSTATE; the server's own text may repeat values and is dropped."""
        self.cause = f"SQLSTATE {code}" if code else ""


class SealBroken(VaultError):
    """A stored value that cannot be decrypted: altered, truncated, or moved to another place."""

    text = "a stored value cannot be decrypted"


class ServerFailed(VaultError):
    """A database server that cannot be used; ``text`` gives the reason."""

    def __init__(self, text: str) -> None:
        self.text = text
        super().__init__()


class DatabaseUnfit(ServerFailed):
    """An operator's own cluster or configuration that is not fit for vaults; ``text`` gives the reason."""
