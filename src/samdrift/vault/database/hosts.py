"""The hosts of a replicated database, one of which is the primary.

A URL may name several. A login goes to the host that is not a standby, and first tries the one that accepted
the last login: otherwise each login would wait for a host that is down.
"""

from __future__ import annotations

from itertools import cycle, islice
from typing import Any

from psycopg import AsyncConnection
from psycopg.conninfo import conninfo_to_dict, make_conninfo

_LISTS = ("host", "hostaddr", "port")
"""Parameters of libpq that have one value per host, or one for all hosts."""


class Hosts:
    """A memory of which host of each address accepted the last login."""

    def __init__(self) -> None:
        self._last: dict[tuple[str, ...], int] = {}

    def ordered(self, address: str) -> str:
        """Return a connection string whose first host is the one that accepted the last login."""
        if "," not in address or not (lists := _lists(address)):
            return address
        first = self._last.get(_key(lists), 0)
        return make_conninfo(address, **{name: ",".join(_from(first, each)) for name, each in lists.items()})

    def let_in(self, address: str, host: str, hostaddr: str, port: str) -> None:
        """Remember which host of an address, as written, accepted a login."""
        if "," not in address or not (lists := _lists(address)):
            return
        number = len(next(iter(lists.values())))
        hosts = lists.get("host") or lists["hostaddr"]
        ports = lists.get("port", [""] * number)
        for each in range(number):
            if hosts[each] in (host, hostaddr) and ports[each] in ("", port):
                self._last[_key(lists)] = each
                return


_KNOWN = Hosts()
"""The memory of this process, all of whose logins lead to the same servers."""


async def connected(address: str) -> AsyncConnection[tuple[Any, ...]]:
    """Log in at a connection string, on whichever host its database is now."""
    connection = await AsyncConnection.connect(_KNOWN.ordered(address), autocommit=True)
    info = connection.info
    _KNOWN.let_in(address, info.host, info.hostaddr, str(info.port))
    return connection


def _lists(address: str) -> dict[str, list[str]]:
    """Return the values of each parameter per host; nothing if there is only one host."""
    said = conninfo_to_dict(address)
    given = {name: str(value).split(",") for name in _LISTS if (value := said.get(name))}
    number = max((len(each) for name, each in given.items() if name != "port"), default=1)
    if number == 1:
        return {}
    return {name: list(islice(cycle(each), number)) for name, each in given.items()}


def _from(first: int, values: list[str]) -> list[str]:
    return [*values[first:], *values[:first]]


def _key(lists: dict[str, list[str]]) -> tuple[str, ...]:
    return tuple(",".join(lists.get(name, ())) for name in _LISTS)
