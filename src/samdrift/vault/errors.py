"""Errors of the gate. Texts name no organisation, no record and no database object."""

from __future__ import annotations

from samdrift.contracts.errors import Explained, NotServed, Temporary
from samdrift.contracts.hold import Hold


class VaultError(Explained):
    """Base of what the gate raises."""

    text = "the vault cannot do this"

    def __init__(self) -> None:
        super().__init__(self.text)


class VaultDenied(VaultError, NotServed):
    """The opening is not allowed; the same whether or not the organisation is hosted here."""

    text = "the vault does not open for this"


class VaultUnavailable(VaultError, Temporary):
    """Database or object store did not answer as they should; the same call may succeed later.

    When it comes at the end of an opening, whether the work was committed is
    not known: every operation can be repeated safely.
    """

    text = "the vault cannot be reached now"
    hold = Hold.DATABASE

    def __init__(self, cause: str = "", *, reported: bool = True) -> None:
        super().__init__()
        self.cause = cause
        self.reported = reported and bool(cause)


class Entangled(VaultUnavailable):
    """Two transactions waited for each other, and the database ended this one; it can be begun again."""


class EndedByDatabase(VaultUnavailable):
    """The database was there, and ended the work: no room, too little time, a queue that is full."""

    def __init__(self, cause: str = "") -> None:
        super().__init__(cause, reported=False)


class ServerBusy(VaultUnavailable):
    """Another process has been starting or stopping the embedded database for longer than is waited for."""

    def __init__(self, who: str) -> None:
        super().__init__(f"{who} is starting or stopping the embedded PostgreSQL", reported=False)
        self.todo = "wait until that is done; where it does not end, see data/server.log in its folder"

    def __str__(self) -> str:
        return f"{self.cause}: {self.todo}"


class LoginRefused(VaultUnavailable):
    """The database was there, and did not let the login in."""

    text = "the database does not let one of our logins in"

    def __init__(self, login: str = "", repair: str = "") -> None:
        super().__init__()
        self._who = f"the database does not let the login {login} in: {repair}" if repair else self.text

    def __str__(self) -> str:
        return self._who


class VaultLocked(VaultUnavailable):
    """The vault waits for its organisation's officer, who alone unlocks it; then the same call succeeds."""

    text = "the vault is locked until its organisation's officer unlocks it"
    hold = Hold.LOCK
    expected = True


class VaultSuspended(VaultUnavailable):
    """The organisation is served here, but suspended: callers who may open it can try again later."""

    text = "the organisation is suspended here"
    hold = Hold.SUSPENDED
    expected = True
    announced = True


class VaultUncovered(VaultUnavailable):
    """No agreement has ever covered the organisation's function here: it is not switched on."""

    text = "no agreement covers this function of the organisation yet: samdrift gov coverage names the gaps"
    hold = Hold.COVER
    expected = True


class NoKeyInUse(VaultError, Temporary):
    """The organisation has no key to sign or decrypt with: none yet, or all were revoked."""

    text = "the organisation has no key in use for this"
    hold = Hold.KEY


class VaultClosed(VaultError):
    """Used after its opening had ended."""

    text = "the opening of the vault has ended"


class UnknownRecord(VaultError):
    """The vault holds no such record, whatever other vaults hold."""

    text = "no such record in this vault"


class VaultRefused(VaultError):
    """The database refused the operation: a value that it cannot store, or more than its login may do."""

    text = "the database refused the operation"

    def __init__(self, code: str | None = None) -> None:
        super().__init__()
        self.code = code
        """The SQLSTATE; the server's own text may repeat values and is dropped."""
        self.cause = f"SQLSTATE {code}" if code else ""


class SealBroken(VaultError):
    """Something stored does not open: altered, cut short, or put in another's place."""

    text = "something stored does not open"


class ServerFailed(VaultError):
    """The database server cannot be used; ``text`` says why."""

    def __init__(self, text: str) -> None:
        self.text = text
        super().__init__()


class DatabaseUnfit(ServerFailed):
    """The operator's own cluster, or its configuration, is not fit for vaults; ``text`` says why."""
