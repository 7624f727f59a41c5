"""Number and idle time of a process's database connections, depending on the number of vaults that it serves.

With more vaults, the same traffic reaches each of them less often, and reopening a closed connection costs a
login and a cold server process. So there is one connection per vault, and some for bursts, as far as the
server has room; and the more vaults there are, the longer an unused connection stays open. A server process
takes memory, so no connection stays unused for more than some minutes, and one that was used only once or
twice, such as for a check of an idle vault, is closed sooner.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

BURSTS = 64
"""Number of connections for bursts, in addition to one for each vault."""
SPARE = 64
"""Number of the server's connections that are reserved for commands and listeners.

It is twice as many as one vault's login may open, so that a stolen password cannot exhaust them.
"""
LEAST_ROOM = 300
_LEAST_IDLE, _LONGEST_IDLE = timedelta(seconds=60), timedelta(minutes=5)
_IDLE_PER_VAULT = timedelta(seconds=1)
_IDLE_AT_FIRST = timedelta(seconds=10)

UNKNOWN_ROOM = 1 << 20
"""Assumed number of connections that the server has room for, before the server was asked."""
ROOM = """
SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
    - current_setting('reserved_connections')::int
"""
"""Query for the number of connections that the server allows for logins like ours."""


def embedded_room(vaults: int) -> int:
    """Return ``max_connections`` for the embedded server: enough for a listening process per vault."""
    return max(LEAST_ROOM, 2 * vaults + BURSTS + SPARE)


@dataclass(frozen=True, slots=True)
class Capacity:
    """Limits of a connection pool."""

    most: int
    """Maximum number of concurrent connections."""
    idle: timedelta
    """Time for which an unused connection stays open."""
    idle_at_first: timedelta
    """Idle time after a single use; it grows with the square of the number of uses, up to ``idle``."""
    missing: int = 0
    """Number of wanted connections that the server has no room for."""

    @classmethod
    def of(cls, vaults: int, room: int, most: int | None = None, idle: timedelta | None = None) -> Capacity:
        """Return the limits for a number of vaults on a server with a certain room.

        ``most`` and ``idle`` are the operator's own settings.
        """
        wanted = most or vaults + BURSTS
        may = max(1, min(wanted, room - SPARE))
        by_vaults = min(max(_LEAST_IDLE, vaults * _IDLE_PER_VAULT), _LONGEST_IDLE)
        return cls(may, idle or by_vaults, idle or _IDLE_AT_FIRST, wanted - may)

    def shortage(self, vaults: int) -> str:
        """Return the warning to the operator that the server lacks room."""
        return (
            f"for {vaults} vaults the server lacks room for {self.missing} connections: raise its"
            f" max_connections by that, or set vaults.connections to {self.most}; an embedded server"
            " starts with enough room once all processes have stopped"
        )
