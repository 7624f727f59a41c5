"""One organisation's HSM, and the library through which a process reaches it.

A process logs in to an HSM when it uses it, and again when the session has ended.

A PKCS#11 library exists once per process, whichever code loads it, and python-pkcs11 initialises it for use
by one thread at a time. The same is true of :func:`module`: every store of a process gets the same object,
and calls are made one after the other.

A call that does not return cannot be interrupted. A thread that waits for it gives up after a while,
and later ones give up immediately, so that an HSM that hangs takes no threads from organisations
without one.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from time import monotonic
from typing import Any, Final, TypeVar

import pkcs11
from pkcs11 import Attribute, ObjectClass, TokenFlag

from samdrift.keystore.durablefiles import NotPrivate, read_private
from samdrift.keystore.keyfiles import HsmUnavailable, KeyFault, KeyStoreError

_PATIENCE = 10.0
"""Seconds that a thread waits for another thread's call."""

_RENEWED_AT_MOST = 30.0
"""Minimum number of seconds between searches for HSMs by the library, which end all sessions."""

T = TypeVar("T")
Watch = Callable[[str, str], None]
"""Function called from any thread with an HSM's label and why it cannot be used, or "" once it can be."""


def unwatched(label: str, reason: str) -> None:
    """Ignore the state of HSMs."""


_PIN: Final[dict[type[pkcs11.PKCS11Error], str]] = {
    pkcs11.PinIncorrect: "the token refuses the PIN; it is not tried again until it has changed",
    pkcs11.PinInvalid: "the token refuses the PIN; it is not tried again until it has changed",
    pkcs11.PinLenRange: "the token refuses the PIN; it is not tried again until it has changed",
    pkcs11.PinExpired: "the token's PIN has expired: set a new one with its own tool",
    pkcs11.PinLocked: "the token has locked its PIN: unlock it with its own tool",
    pkcs11.UserPinNotInitialized: "the token has no user PIN yet: set one with its own tool",
}

_LOST: Final = (
    pkcs11.GeneralError,
    pkcs11.FunctionFailed,
    pkcs11.DeviceError,
    pkcs11.DeviceMemory,
    pkcs11.DeviceRemoved,
    pkcs11.TokenNotPresent,
    pkcs11.TokenNotRecognised,
    pkcs11.SlotIDInvalid,
    pkcs11.SessionHandleInvalid,
    pkcs11.SessionClosed,
    pkcs11.ObjectHandleInvalid,
)
"""Errors of a library that has lost the HSM behind a label, until it is initialised again."""


class Token:
    """An organisation's HSM, known by its label; every method raises :class:`HsmUnavailable`.

    ``LOCKED`` is for a PIN that does not open it, ``UNAVAILABLE`` for an HSM that cannot be reached;
    ``KeyStoreError`` (``MISSING``) for a key that is not in it. PKCS#11 knows one user per process, so a
    login is valid in the whole process. Without ``pin_file``, a person has to :meth:`unlock` it.
    """

    def __init__(
        self,
        module: Module,
        label: str,
        pin_file: Path | None,
        *,
        owner_only: bool = True,
        watch: Watch = unwatched,
    ) -> None:
        self.label = label
        self._watch = watch
        self._said: str | None = None
        self._module = module
        self._pin_file = pin_file
        self._read = read_private if owner_only else Path.read_bytes
        self._told: str | None = None
        self._session: Session | None = None
        self._refused: bytes | None = None

    def use(self, work: Callable[[Session], T]) -> T:
        """Return the result of ``work``; it is repeated in a new session if the first one fails."""
        try:
            result = self._used(work)
        except HsmUnavailable as failure:
            self._say(failure.text)
            raise
        self._say("")
        return result

    def _say(self, reason: str) -> None:
        if reason != self._said:
            self._said = reason
            self._watch(self.label, reason)

    def _used(self, work: Callable[[Session], T]) -> T:
        with self._module.calling() as library:
            try:
                return self._in_session(work, library)
            except pkcs11.PKCS11Error as error:
                self._leave()
                raise _unavailable(error) from None

    def _in_session(self, work: Callable[[Session], T], library: Any) -> T:
        """Do ``work`` in the current session, else a new one, else after initialising the library again."""
        try:
            return work(self._logged_in(library))
        except (pkcs11.PKCS11Error, KeyStoreError) as error:
            if isinstance(error, KeyStoreError) and error.fault is not KeyFault.MISSING:
                raise
        self._leave()
        try:
            return work(self._logged_in(library))
        except (pkcs11.PKCS11Error, KeyStoreError) as error:
            if not _may_be_lost(error) or not self._module.renew():
                raise
        return work(self._logged_in(library))

    def unlock(self, pin: str) -> None:
        """Log in with this PIN, which is kept in memory alone; ``LOCKED`` if it is wrong."""
        if self._pin_file is not None:
            raise KeyStoreError(KeyFault.ACTIVE, "the token's PIN is read from a file: change it there")
        former, self._told = self._told, pin
        try:
            self.use(lambda session: None)
        except KeyStoreError:
            self._told = former
            raise

    def take(self, pin: str) -> None:
        """Use this PIN from now on; a process that logs in with it has handed it over."""
        self._told = pin

    def offers(self, *mechanisms: pkcs11.Mechanism) -> bool:
        """Return whether the HSM lists all of these mechanisms, which it does without its PIN."""
        with self._module.calling() as library:
            try:
                return {*mechanisms} <= {*self._present(library).slot.get_mechanisms()}
            except pkcs11.PKCS11Error as error:
                raise _unavailable(error) from None

    def change(self, work: Callable[[Any], T]) -> T:
        """Return the result of ``work`` in a session that may write; other uses never get one."""
        return self.use(lambda session: _writing(session, work))

    def _logged_in(self, library: Any) -> Session:
        held = self._session
        if held is None or held.generation != self._module.generation:
            pin = self.pin()
            mark = hashlib.sha256(pin.encode()).digest()
            if mark == self._refused:
                raise HsmUnavailable(KeyFault.LOCKED, _PIN[pkcs11.PinIncorrect])
            opened = self._log_in(self._present(library), pin, mark)
            held = self._session = Session(self._module.generation, opened)
        return held

    def _leave(self) -> None:
        """Close the session, which may be dead already, so that the HSM does not run out of sessions."""
        held, self._session = self._session, None
        if held is not None and held.generation == self._module.generation:
            with contextlib.suppress(pkcs11.PKCS11Error):
                held.opened.close()

    def _present(self, library: Any) -> Any:
        try:
            return library.get_token(token_label=self.label)
        except pkcs11.NoSuchToken:
            if not self._module.renew():
                raise
        return library.get_token(token_label=self.label)

    def _log_in(self, token: Any, pin: str, mark: bytes) -> Any:
        if TokenFlag.USER_PIN_FINAL_TRY in token.flags:
            raise HsmUnavailable(
                KeyFault.LOCKED,
                "the token would lock itself after one more wrong PIN: log in with its own tool first",
            )
        try:
            return token.open(user_pin=pin)
        except pkcs11.UserAlreadyLoggedIn:
            return token.open()
        except tuple(_PIN) as error:
            self._refused = mark
            raise HsmUnavailable(KeyFault.LOCKED, _PIN[type(error)]) from None

    def pin(self) -> str:
        """Return the PIN, for this process or for the organisation's own process."""
        if self._pin_file is None:
            if self._told is None:
                raise HsmUnavailable(KeyFault.LOCKED, "the token's PIN has not been entered yet")
            return self._told
        try:
            if pin := self._read(self._pin_file).decode("utf-8").strip():
                return pin
        except NotPrivate:
            text = "users other than its owner can read or write the file with the token's PIN: chmod 600"
            raise HsmUnavailable(KeyFault.LOCKED, text) from None
        except (OSError, ValueError):
            pass
        raise HsmUnavailable(KeyFault.LOCKED, "the file with the token's PIN cannot be read, or is empty")


def _writing(session: Session, work: Callable[[Any], T]) -> T:
    writable = session.opened.token.open(rw=True)
    try:
        return work(writable)
    finally:
        writable.close()


def _may_be_lost(error: Exception) -> bool:
    """Return whether the library may have lost an HSM that is back, such as one that was unplugged."""
    if isinstance(error, KeyStoreError):
        return error.fault is KeyFault.MISSING
    return isinstance(error, _LOST)


def _unavailable(error: pkcs11.PKCS11Error) -> HsmUnavailable:
    if isinstance(error, pkcs11.NoSuchToken):
        return HsmUnavailable(KeyFault.UNAVAILABLE, "there is no token with the organisation's label")
    if isinstance(error, pkcs11.MultipleTokensReturned):
        return HsmUnavailable(KeyFault.UNAVAILABLE, "several tokens have the organisation's label")
    return HsmUnavailable(KeyFault.UNAVAILABLE, f"the HSM failed: {type(error).__name__}")


@dataclass(slots=True)
class Session:
    """A session that is logged in, and the keys found in it so far."""

    generation: int
    opened: Any
    _found: dict[tuple[ObjectClass, bytes], Any] = field(default_factory=dict)

    def private_key(self, key_id: bytes) -> Any:
        """Return the private key with that id."""
        return self._object(ObjectClass.PRIVATE_KEY, key_id)

    def secret_key(self, key_id: bytes) -> Any:
        """Return the secret key with that id."""
        return self._object(ObjectClass.SECRET_KEY, key_id)

    def _object(self, kind: ObjectClass, key_id: bytes) -> Any:
        found = self._found.get((kind, key_id))
        if found is None:
            self.opened.generate_random(8)  # Fails cleanly in a dead session; a search would write to stderr.
            objects = list(self.opened.get_objects({Attribute.CLASS: kind, Attribute.ID: key_id}))
            if len(objects) != 1:
                raise KeyStoreError(KeyFault.MISSING, "the token lacks an expected key")
            found = self._found[kind, key_id] = objects[0]
        return found


@cache
def module(path: Path) -> Module:
    """Return the library at ``path`` in this process."""
    return Module(lambda: pkcs11.lib(str(path)))


class Module:
    """A PKCS#11 library, used by one thread at a time, and loaded when it is first needed."""

    def __init__(self, load: Callable[[], Any], *, patience: float = _PATIENCE) -> None:
        self.generation = 0
        """Number of times that the library has been initialised again.

        Every earlier session and handle is void then, and its number may belong to another one.
        """
        self._load = load
        self._patience = patience
        self._turn = threading.Lock()
        self._called_at: float | None = None
        self._renewed_at: float | None = None
        self._forked = False
        os.register_at_fork(after_in_child=self._in_child)

    @contextlib.contextmanager
    def calling(self) -> Iterator[Any]:
        """Yield the library, for this thread alone; ``HsmUnavailable`` (``UNAVAILABLE``) if it stays busy."""
        called_at = self._called_at
        hangs = called_at is not None and monotonic() - called_at > self._patience
        if hangs or not self._turn.acquire(timeout=self._patience):
            raise HsmUnavailable(KeyFault.UNAVAILABLE, "the PKCS#11 library does not respond")
        self._called_at = monotonic()
        try:
            yield self._loaded()
        finally:
            self._called_at = None
            self._turn.release()

    def renew(self) -> bool:
        """Make the library look for HSMs again, which ends all sessions; return false if it just did.

        This is called only within :meth:`calling`. A library may see new HSMs in no other way.
        """
        now = monotonic()
        if self._renewed_at is not None and now - self._renewed_at < _RENEWED_AT_MOST:
            return False
        self._renewed_at = now
        self._begin_anew(self._load())
        return True

    def _loaded(self) -> Any:
        try:
            library = self._load()
        except pkcs11.PKCS11Error:
            raise HsmUnavailable(
                KeyFault.UNAVAILABLE, "the PKCS#11 library cannot be loaded: see vaults.hsm.module"
            ) from None
        if self._forked:
            self._begin_anew(library)
            self._forked = False
        return library

    def _begin_anew(self, library: Any) -> None:
        library.reinitialize()
        self.generation += 1

    def _in_child(self) -> None:
        """Reset the state in a forked child, which has no sessions and none of its parent's other threads."""
        self._turn = threading.Lock()
        self._called_at = None
        self._forked = True
