"""Daily time stamps on the checkpoints of logs, if the operator has chosen a time-stamping authority.

Each stamp is an entry of its log, so that the next stamp covers it: a stamp whose certificate expires is
renewed by later ones. A log without other entries is not stamped again until its last stamp is about to
expire. The authority is a dependency; while it does not answer, nothing else waits for it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from samdrift.config.inputs import read_certificates
from samdrift.config.logs import LogsConfig
from samdrift.contracts.clock import Clock
from samdrift.installation.health import Dependency
from samdrift.net.following import Followed, file_state
from samdrift.transparency.asking import Caller
from samdrift.transparency.stamping import StampUnavailable, ask, host_of
from samdrift.transparency.timestamps import Trusted
from samdrift.vault.logtree import LastStamp, LogTree, TreeState

_EVERY = timedelta(days=1)
_AGAIN = timedelta(hours=1)
_WHILE_GONE = timedelta(seconds=30)
"""Time after a failed request for a stamp during which the authority is not asked for any log."""
_BEFORE_END = timedelta(days=60)
"""Time before the expiry of the last stamp's certificates at which a silent log is stamped again."""

Opened = Callable[[], AbstractAsyncContextManager[LogTree]]
"""Function that opens the tree of a log for one unit of work."""


class Stamper:
    """Obtains time stamps for the logs of one process."""

    def __init__(
        self,
        caller: Caller,
        address: str,
        trusted: Callable[[], Trusted],
        clock: Clock,
        note: Callable[[str, str, str], None],
    ) -> None:
        """``note`` is notified of the authority's host and the reason why it is gone, empty if it is not."""
        self._caller = caller
        self._address = address
        self._trusted = trusted
        self._clock = clock
        self._note = note
        self._due: dict[str, datetime] = {}
        """Time before which a log, by name, is not checked again."""
        self._away: datetime | None = None
        """Time before which the authority is not asked again, because it issued no stamp."""

    async def stamp(self, opened: Opened) -> bool:
        """Have the last checkpoint of a log stamped if a stamp is due; return whether it was."""
        now = self._clock()
        if self._away is not None and now < self._away <= now + _WHILE_GONE:
            return False
        async with opened() as tree:
            state = await tree.state()
            if now < self._due.get(state.origin, now) <= now + _EVERY:
                return False
            last = await tree.last_stamp()
        if state.note is None or not wanted(state, last, now):
            self._due[state.origin] = now + _AGAIN
            return False
        try:
            stamp = await ask(self._caller, self._address, self._trusted(), state.note, now)
        except StampUnavailable as failure:
            self._away = now + _WHILE_GONE
            host, at = host_of(self._address), urlsplit(self._address).netloc.rpartition("@")[2]
            self._note(Dependency.TIME_STAMPS, host, f"{at}: {failure.text}")
            return False
        self._note(Dependency.TIME_STAMPS, host_of(self._address), "")
        facts = {
            "origin": state.origin,
            "size": str(state.signed),
            "at": stamp.at.isoformat(),
            "until": stamp.until.isoformat(),
            "stamp": hashlib.sha256(stamp.data).hexdigest(),
        }
        async with opened() as tree:
            await tree.keep_stamp(state, stamp.at, stamp.until, stamp.data, facts)
        self._due[state.origin] = now + _EVERY
        return True


def wanted(state: TreeState, last: LastStamp | None, now: datetime) -> bool:
    """Return whether a log needs a stamp, because its last one is old or about to expire.

    A stamp is old after a day if the log has grown since.
    """
    if last is None or last.until - _BEFORE_END < now:
        return True
    return last.at + _EVERY <= now and (state.signed or 0) > last.size + 1


def stamper(
    config: LogsConfig, caller: Caller, clock: Clock, note: Callable[[str, str, str], None]
) -> Stamper | None:
    """Return the configured stamper; ``None`` if the configuration names no authority."""
    if config.time_stamps is None or config.time_stamps_trust is None:
        return None
    file, policy = config.time_stamps_trust, config.time_stamps_policy
    followed = Followed(
        "the certificates of the time-stamping authority",
        lambda: _trusted(file, policy),
        lambda: file_state(file),
    )
    return Stamper(caller, config.time_stamps, followed.current, clock, note)


def trusted_authority(config: LogsConfig) -> Trusted | None:
    """Return the authority that time stamps must come from; ``None`` where the configuration has none."""
    if config.time_stamps is None or config.time_stamps_trust is None:
        return None
    return _trusted(config.time_stamps_trust, config.time_stamps_policy)


def _trusted(file: Path, policy: str | None) -> Trusted:
    return Trusted(read_certificates(file), policy)
