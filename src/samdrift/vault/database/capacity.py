"""Number and idle time of a process's database connections, by the number of vaults that it serves.

The same traffic over more vaults comes to each of them less often, and a connection that was closed meanwhile
costs a login and a cold server process. So there is one connection per vault, and some for bursts, as far as
the server has room; and the more vaults there are, the longer an unused one stays open. A server process
takes memory, so none stays for more than some minutes, and a connection that was used only once or twice, as
for a look into an idle vault, is closed sooner.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

BURSTS = 64
"""Connections in addition to one for each vault."""
SPARE = 64
"""Connections of the server that are reserved for commands and listeners.

Twice as many as one vault's login may open, so that a stolen password cannot exhaust them.
"""
LEAST_ROOM = 300
_LEAST_IDLE, _LONGEST_IDLE = timedelta(seconds=60), timedelta(minutes=5)
_IDLE_PER_VAULT = timedelta(seconds=1)
_IDLE_AT_FIRST = timedelta(seconds=10)

UNKNOWN_ROOM = 1 << 20
"""Connections that the server has room for, until it has been asked."""
ROOM = """
SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
    - current_setting('reserved_connections')::int
"""
"""Connections that the server lets logins like ours open."""


def embedded_room(vaults: int) -> int:
    """``max_connections`` of the embedded server: also with a process for each vault, which listens too."""
    return max(LEAST_ROOM, 2 * vaults + BURSTS + SPARE)


@dataclass(frozen=True, slots=True)
class Capacity:
    """Limits of a pool."""

    most: int
    """Limit of concurrent connections."""
    idle: timedelta
    """Time that an unused one stays open."""
    idle_at_first: timedelta
    """Time after one use; it grows with the square of the number of uses, up to the whole of it."""
    missing: int = 0
    """Number of wanted connections that the server has no room for."""

    @classmethod
    def of(cls, vaults: int, room: int, most: int | None = None, idle: timedelta | None = None) -> Capacity:
        """Compute it for some vaults and the room of a server; ``most`` and ``idle`` are the operator's."""
        wanted = most or vaults + BURSTS
        may = max(1, min(wanted, room - SPARE))
        by_vaults = min(max(_LEAST_IDLE, vaults * _IDLE_PER_VAULT), _LONGEST_IDLE)
        return cls(may, idle or by_vaults, idle or _IDLE_AT_FIRST, wanted - may)

    def shortage(self, vaults: int) -> str:
        """Return the operator's warning that the server lacks room."""
        return (
            f"for {vaults} vaults the server lacks room for {self.missing} connections: raise its"
            f" max_connections by that, or set vaults.connections to {self.most}; an embedded server is"
            " started with room enough once all processes have been stopped"
        )
