"""Presence over several workers: each tells the others which conversations its persons have open.

It is sent between processes on one machine, over their control sockets, and is not stored. A worker's report
counts for a while, so that persons of a killed worker are not shown as present.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from samdrift.installation.control import ControlRefused, listening_processes, tell_process
from samdrift.messageclient.live.presence import Presence
from samdrift.wire.identifiers import ParticipantIdentifier

PRESENT = "present"
"""The command by which a worker tells another one."""
_AGAIN = 15.0
"""Seconds after which all is told again: to workers that began meanwhile, and since it is forgotten."""
_TOGETHER = 0.1
"""Seconds for which what follows a change is waited for."""
_ANSWER_SECONDS = 3.0


class SharedPresence:
    """The part of one worker: it tells the others of its persons, and is notified of theirs."""

    def __init__(self, folder: Path, presence: Presence) -> None:
        """``folder`` has the control sockets of the workers."""
        self._folder = folder
        self._presence = presence

    async def hear(self, told: Mapping[str, Any]) -> dict[str, Any]:
        """Note what another worker has reported about an organisation."""
        try:
            organisation = ParticipantIdentifier.parse(told["organisation"])
            self._presence.hear(int(told["worker"]), organisation, json.loads(told["stays"]))
        except (KeyError, TypeError, ValueError):
            raise ControlRefused("that is not what a worker tells another") from None
        return {}

    async def share(self) -> None:
        """Send changes to the other workers, until cancelled."""
        while True:
            for organisation in await self._presence.changed(_AGAIN):
                await self._tell(organisation)
            await asyncio.sleep(_TOGETHER)

    async def _tell(self, organisation: ParticipantIdentifier) -> None:
        stays = json.dumps(self._presence.own(organisation))
        own = os.getpid()
        others = [each for each in await listening_processes(self._folder) if each != own]
        values = {"organisation": organisation.value, "worker": str(own), "stays": stays}
        await asyncio.gather(*(self._told(each, values) for each in others))

    async def _told(self, process: int, values: Mapping[str, str]) -> None:
        """Send them to one worker; one that does not listen now gets them again soon."""
        with contextlib.suppress(ControlRefused, OSError):
            await tell_process(self._folder, process, PRESENT, _ANSWER_SECONDS, **values)
