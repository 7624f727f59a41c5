"""The library through which a process reaches its tokens.

A PKCS#11 library is one per process, whoever loads it, and python-pkcs11
initialises it for use by one thread at a time. So is :func:`module`: every
store of a process gets the same object, and one call is made after the other.

A library that does not come back from a call cannot be interrupted. Whoever
waits for it gives up after a while, and whoever comes later does so at once, so
that a token that hangs takes no threads from organisations without one.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from time import monotonic
from typing import Any

import pkcs11

from samdrift.keystore.keyfiles import KeyFault, TokenUnavailable

_PATIENCE = 10.0
_RENEWED_AT_MOST = 30.0


@cache
def module(path: Path) -> Module:
    """The library at ``path`` in this process."""
    return Module(lambda: pkcs11.lib(str(path)))


class Module:
    """A library, for one thread at a time; loaded when it is first needed."""

    def __init__(self, load: Callable[[], Any], *, patience: float = _PATIENCE) -> None:
        self.generation = 0
        """Changes when the library begins again: every session and handle from before is void then,
        and its number may have become another's."""
        self._load = load
        self._patience = patience
        self._turn = threading.Lock()
        self._called_at: float | None = None
        self._renewed_at: float | None = None
        self._forked = False
        os.register_at_fork(after_in_child=self._in_child)

    @contextlib.contextmanager
    def calling(self) -> Iterator[Any]:
        """The library, for this thread alone; ``TokenUnavailable`` (``UNAVAILABLE``) when it stays busy."""
        called_at = self._called_at
        hangs = called_at is not None and monotonic() - called_at > self._patience
        if hangs or not self._turn.acquire(timeout=self._patience):
            raise TokenUnavailable(KeyFault.UNAVAILABLE, "the tokens' library does not come back from a call")
        self._called_at = monotonic()
        try:
            yield self._loaded()
        finally:
            self._called_at = None
            self._turn.release()

    def renew(self) -> bool:
        """Have the library look for tokens again, which ends all sessions; false when it did so just now.

        Only while :meth:`calling`. A library may see new tokens in no other way.
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
            raise TokenUnavailable(
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
        """A child of a fork has no sessions, and its parent's other threads do not run in it."""
        self._turn = threading.Lock()
        self._called_at = None
        self._forked = True
