"""Presence across several workers: each reports to the others which conversations its people have open.

Reports are sent over the control sockets of one machine, and are not stored. A worker's report expires after
a while, so that the people of a killed worker are not shown as present.
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
"""Command with which a worker reports presence to another one."""
_AGAIN = 15.0
"""Seconds after which all presence is sent again, for new workers and because reports expire."""
_TOGETHER = 0.1
"""Seconds to wait after a change, so that further changes are sent together."""
_ANSWER_SECONDS = 3.0


class SharedPresence:
    """One worker's share in presence: it reports its own people and receives the others' reports."""

    def __init__(self, folder: Path, presence: Presence) -> None:
        """``folder`` contains the control sockets of the workers."""
        self._folder = folder
        self._presence = presence

    async def hear(self, told: Mapping[str, Any]) -> dict[str, Any]:
        """Record what another worker has reported about an organisation."""
        try:
            organisation = ParticipantIdentifier.parse(told["organisation"])
            self._presence.hear(int(told["worker"]), organisation, json.loads(told["stays"]))
        except (KeyError, TypeError, ValueError):
            raise ControlRefused("invalid presence report") from None
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
        """Send values to one worker; one that does not listen now gets them in the next report."""
        with contextlib.suppress(ControlRefused, OSError):
            await tell_process(self._folder, process, PRESENT, _ANSWER_SECONDS, **values)
