"""Decisions about keys, beside the key files, which never change: start of use, and revocation.

A decision is a file of its own in the vault's folder. Its name contains everything that is needed
while messages flow, so that the list of names is the state and another process's change is seen
immediately::

    states/signing-0002.from-20261201T000000Z      used from then on; without it, immediately
    states/signing-0001.revoked                    used for nothing new; what was encrypted for it still opens
    states/signing-0001.compromised                and not even that

Nothing here is secret, and it is the same for every kind of key store.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from samdrift.keystore import confined
from samdrift.keystore.confined import STATES, remove, write_new
from samdrift.keystore.keyfiles import KeyFault, KeyName, KeyStoreError

_TIME = "%Y%m%dT%H%M%SZ"
_FILE = re.compile(r"([a-z-]+)-([0-9]{4,9})\.(from-([0-9]{8}T[0-9]{6}Z)|revoked|compromised)")


@dataclass(frozen=True, slots=True)
class KeyState:
    """Decisions about one key."""

    active_from: datetime | None = None
    """Start of use; ``None`` for immediately."""
    revoked: bool = False
    compromised: bool = False
    """True if the key may be known to another party, so that it decrypts nothing either."""

    def in_use(self, now: datetime) -> bool:
        """Return whether the key may be used for anything new."""
        return not self.revoked and not self.planned(now)

    def planned(self, now: datetime) -> bool:
        """Return whether the key's start of use is still to come."""
        return self.active_from is not None and now < self.active_from


UNDECIDED = KeyState()


class KeyStates:
    """The decisions about the keys of one vault."""

    def __init__(self, vault_folder: Path) -> None:
        self._folder = vault_folder / STATES

    def of(self, name: KeyName) -> Mapping[int, KeyState]:
        """Return the states of keys about which anything was decided, by number."""
        found: dict[int, KeyState] = {}
        for number, what, at in self._facts(name):
            old = found.get(number, UNDECIDED)
            active_from = old.active_from
            if at is not None:
                active_from = at if active_from is None else max(at, active_from)
            found[number] = KeyState(
                active_from,
                old.revoked or what in ("revoked", "compromised"),
                old.compromised or what == "compromised",
            )
        return found

    def activate(self, name: KeyName, number: int, at: datetime) -> None:
        """Use a key from ``at`` on, in place of any time set before.

        A crash in between leaves two times, of which the later one counts.
        """
        confined.make(self._folder)
        path = self._path(name, number, f"from-{at.astimezone(UTC):{_TIME}}")
        write_new(path, b"")
        for other in confined.names(self._folder):
            if other.startswith(f"{name}-{number:04d}.from-") and other != path.name:
                remove(self._folder / other)

    def revoke(self, name: KeyName, number: int, reason: str, at: datetime, *, compromised: bool) -> None:
        """Stop using a key for anything new, or, if it is compromised, for anything at all."""
        confined.make(self._folder)
        document = json.dumps({"reason": reason, "at": at.isoformat()}, ensure_ascii=False).encode()
        for kind in ("compromised", "revoked") if compromised else ("revoked",):
            write_new(self._path(name, number, kind), document)

    def reason(self, name: KeyName, number: int) -> str:
        """Return the reason why a key was revoked; empty if it was not."""
        try:
            return str(json.loads(confined.read(self._path(name, number, "revoked")))["reason"])
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return ""

    def forget(self, name: KeyName, number: int) -> None:
        """Remove the decisions about a key that is gone."""
        for each in confined.names(self._folder):
            if each.startswith(f"{name}-{number:04d}."):
                remove(self._folder / each)

    def _facts(self, name: KeyName) -> Iterable[tuple[int, str, datetime | None]]:
        for each in confined.names(self._folder):
            match = _FILE.fullmatch(each)
            if match and match[1] == name:
                at = datetime.strptime(match[4], _TIME).replace(tzinfo=UTC) if match[4] else None
                yield int(match[2]), match[3], at

    def _path(self, name: KeyName, number: int, what: str) -> Path:
        return self._folder / f"{name}-{number:04d}.{what}"


def in_use(numbers: Iterable[int], states: Mapping[int, KeyState], now: datetime) -> int | None:
    """Return the newest of the keys that may be used for anything new, if there is one."""
    return max((number for number in numbers if states.get(number, UNDECIDED).in_use(now)), default=None)


def usable(numbers: Iterable[int], states: Mapping[int, KeyState], now: datetime) -> tuple[int, ...]:
    """Return the keys that may sign and be shown: those whose time has come first, each newest first.

    ``MISSING`` if none is in use.
    """
    newest_first = sorted(numbers, reverse=True)
    in_use = [number for number in newest_first if states.get(number, UNDECIDED).in_use(now)]
    if not in_use:
        raise KeyStoreError(KeyFault.MISSING, "the vault has no key of that name in use")
    planned = [
        number
        for number in newest_first
        if (state := states.get(number, UNDECIDED)).planned(now) and not state.revoked
    ]
    return (*in_use, *planned)


def opening(numbers: Iterable[int], states: Mapping[int, KeyState]) -> tuple[int, ...]:
    """Return the keys that may decrypt, the newest first: all except compromised ones."""
    newest_first = sorted(numbers, reverse=True)
    return tuple(number for number in newest_first if not states.get(number, UNDECIDED).compromised)
