"""Export of one log of an installation: recorded in the log, signed, witnessed, and then read to its end."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from samdrift.administration import logs
from samdrift.administration.administration import Administration, Check, note, nothing_to_check
from samdrift.administration.events import AdminEvent
from samdrift.audit.chain import origin
from samdrift.audit.leaves import Leaf
from samdrift.audit.notes import Note, VerifierKey
from samdrift.audit.tiles import WIDTH
from samdrift.contracts.principals import Principal, PrincipalKind, Purpose
from samdrift.evidence.logexport import Kept, write_log
from samdrift.evidence.trace import Asked
from samdrift.installation.logturns import LogPlace
from samdrift.vault import logbook
from samdrift.vault.logtree import LogTree, SigningStopped, TreeState
from samdrift.vault.registry import OPERATOR_LOG

_PAGE = 500


@dataclass(frozen=True, slots=True)
class Exported:
    """Extent of an exported log: the number of entries in its tree, and how many a checkpoint covers."""

    size: int
    signed: int


async def export_log(
    installation: Administration, place: LogPlace, asked: Asked, out: Path, check: Check = nothing_to_check
) -> Exported:
    """Write a log to the new file ``out``, after recording requester and reason in the log itself.

    ``check`` is called before each page, and raises when reading must stop. If a witness has refused the log
    nothing is signed, and the file contains only what was signed before.
    """
    begins = await _recorded(installation, place, asked)
    with contextlib.suppress(SigningStopped):
        await logs.checkpoint(installation, place)
    async with logs.opened(installation, place) as tree:
        return await write_tree(tree, begins, _name(place), out, check)


async def write_tree(
    tree: LogTree, begins: bytes, name: str, out: Path, check: Check = nothing_to_check
) -> Exported:
    """Write the current log of an opened tree; ``begins`` is the hash that it begins with."""
    state = await tree.state()
    keys = [
        (VerifierKey.parse(each.key), each.announcement or b"", each.statement or b"")
        for each in await tree.keys()
    ]
    await write_log(_Source(tree, state, begins, keys, check), name, out)
    return Exported(state.size, state.signed or 0)


async def _recorded(installation: Administration, place: LogPlace, asked: Asked) -> bytes:
    """Record the export, and return the hash that the log begins with."""
    event = AdminEvent.LOG_EXPORTED
    if place.organisation is None or place.role is None:
        await note(installation, event, asked.by, None, {"reason": asked.reason})
        return origin(OPERATOR_LOG).hash
    worker = Principal(PrincipalKind.WORKER, f"log export by {asked.by}")
    async with installation.gate.open(worker, place.organisation, place.role, Purpose.EXPORT) as vault:
        vault.record(event, by=asked.by, reason=asked.reason)
        return vault.log_origin.hash


def _name(place: LogPlace) -> str:
    if place.organisation is None or place.role is None:
        return "operator"
    return f"{place.organisation.value} {place.role.value}"


class _Source:
    """A log with its rows and its signed tree, up to the entry that was last at the start of the export."""

    def __init__(
        self,
        tree: LogTree,
        state: TreeState,
        begins: bytes,
        keys: Sequence[tuple[VerifierKey, bytes, bytes]],
        check: Check,
    ) -> None:
        self.chain_begins = begins
        self.keys = keys
        self._tree = tree
        self._state = state
        self._check = check

    async def chain(self) -> AsyncIterator[bytes]:
        after, end = 0, self._state.first - 1
        while after < end:
            await self._check()
            rows = await self._tree.rows(after, end, _PAGE)
            after = int(rows[-1][0])
            documents = [logbook.entry(row).document() for row in rows]
            yield "".join(f"{json.dumps(each, ensure_ascii=False)}\n" for each in documents).encode()

    async def entries(self) -> AsyncIterator[list[Kept]]:
        after, end = self._state.first - 1, self._state.first + self._state.size - 1
        while after < end:
            await self._check()
            rows = await self._tree.rows(after, end, WIDTH)
            after = int(rows[-1][0])
            yield [_kept(*row) for row in rows]

    async def checkpoints(self) -> AsyncIterator[tuple[int, bytes]]:
        """Yield the first and latest note of each size that a witness has seen, and the last note."""
        after, last = -1, self._state.signed or 0
        while found := await self._tree.checkpoints(after, _PAGE):
            for each in found:
                after = each.size
                if each.size > last:
                    return
                if each.size == last or len(Note.parse(each.last).signatures) > 1:
                    for content in dict.fromkeys((each.first, each.last)):
                        yield each.size, content

    async def stamps(self) -> AsyncIterator[tuple[bytes, bytes]]:
        after = -1
        while found := await self._tree.stamps(after):
            for size, signed, stamp in found:
                after = size
                if size <= (self._state.signed or 0):
                    yield signed, stamp


def _kept(
    sequence: int, content: bytes | None, _: bytes, digest: bytes, retention: int, salt: bytes | None
) -> Kept:
    facts = b"" if content is None or salt is None else salt + content
    return Kept(Leaf(sequence, retention, digest), facts)
