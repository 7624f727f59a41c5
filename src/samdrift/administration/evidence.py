"""Evidence about one message in a file, for the organisation whose message it is."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import BinaryIO

from samdrift.administration import logs
from samdrift.administration.administration import Administration, hosted, signing_key
from samdrift.attestation.archive import new_file
from samdrift.contracts.principals import Role
from samdrift.evidence.gathering import Evidence, Order
from samdrift.installation.logkeeping import LogPlace
from samdrift.vault.logtree import SigningStopped


async def export_evidence(installation: Administration, order: Order, out: Path) -> bool:
    """Write ``out``, a new file; false, and none, when the organisation's logs know no such message."""
    organisation = order.organisation
    roles = hosted(installation.gate, organisation)
    evidence = await Evidence.find(installation.gate, order, roles)
    if evidence is None:
        return False
    key = await signing_key(installation, organisation, roles)

    async def checkpoint(role: Role) -> None:
        with contextlib.suppress(SigningStopped):
            await logs.checkpoint(installation, LogPlace(organisation, role))

    with new_file(out) as draft, draft.open("r+b") as file:
        file.truncate()
        await evidence.write(_Sink(file), key, checkpoint=checkpoint)
        file.flush()
        os.fsync(file.fileno())
    return True


class _Sink:
    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    async def write(self, data: bytes) -> None:
        self._file.write(data)
