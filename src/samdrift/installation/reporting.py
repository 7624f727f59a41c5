"""Reports of a running process over its control socket: the roles that it serves, and its health."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from samdrift.contracts.principals import Role
from samdrift.installation.control import Command, tell
from samdrift.installation.health import Condition, Health
from samdrift.net.clock import system_clock
from samdrift.scheduling.held import HeldNumber
from samdrift.wire.identifiers import ParticipantIdentifier

HEALTH = "health"
"""The command's name."""
Workers = Callable[[], Mapping[str, bool]]
"""Function that returns whether each worker serves, by its name in the log."""


def answering_health(
    roles: Collection[Role],
    health: Health,
    workers: Workers = dict,
    began: datetime | None = None,
    held: Callable[[], Iterable[HeldNumber]] = tuple,
) -> Command:
    """Return the command that reports which roles a process serves, and the state of its dependencies."""
    since = began or system_clock()

    async def answer(told: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "since": since.isoformat(timespec="seconds"),
            "roles": sorted(role.value for role in roles),
            "workers": dict(workers()),
            "dependencies": [one.document() for one in health.conditions()],
            "held": [one.document() for one in held()],
        }

    return answer


@dataclass(frozen=True, slots=True)
class Running:
    """A process of an installation as it reports itself."""

    since: datetime
    roles: frozenset[Role]
    workers: Mapping[str, bool]
    """Workers by name, true for those that serve; empty for a process without workers."""
    conditions: tuple[Condition, ...]
    held: tuple[HeldNumber, ...] = ()
    """Numbers of waiting items; empty at level ``process``, where only the metrics have them."""
    alike: bool = False
    """True if each worker serves every organisation."""

    def serves(self, organisation: ParticipantIdentifier, role: Role) -> bool:
        """Return whether it serves that organisation in that role, provided that there is a vault for it."""
        if role not in self.roles or not self.workers:
            return role in self.roles
        if self.alike:
            return any(self.workers.values())
        return self.workers.get(f"{role.value} of {organisation}", False)


async def ask_running(folder: Path) -> tuple[Running, ...]:
    """Ask every running process of an installation for its report; empty if none is running.

    :class:`~samdrift.installation.control.ControlRefused` for one that does not answer.
    """
    return tuple(
        Running(
            datetime.fromisoformat(each["since"]),
            frozenset(map(Role, each["roles"])),
            each["workers"],
            tuple(map(Condition.read, each["dependencies"])),
            tuple(map(HeldNumber.read, each["held"])),
            each.get("alike", False),
        )
        for each in await tell(folder, HEALTH)
    )
