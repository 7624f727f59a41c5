"""Verification of evidence with one byte changed, in several processes at a time."""

from __future__ import annotations

import asyncio
import io
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache, cached_property
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from samdrift.attestation import archive, trustfolder
from samdrift.attestation.errors import MoveError
from samdrift.attestation.trustfolder import TrustFolder, read_trust
from samdrift.audit.notes import Note, VerifierKey
from samdrift.audit.policies import Policy
from samdrift.evidence import grounds, verifying
from samdrift.evidence.findings import Finding
from samdrift.evidence.verifying import verify_evidence_in
from samdrift.trust.decide import decide
from samdrift.wire import receipt as receipts

Change = tuple[int, int]
"""Position of a byte, and the value that it is combined with by exclusive or."""
_AT_ONCE = 200
_NICE = 10


@dataclass
class Verifier:
    """Evidence that holds, and the verifier's inputs for it."""

    whole: bytes
    trust: Path | None = None
    """Folder of trusted certificates to which the signer's must chain."""
    signer: str | None = None
    """SHA-256 of the signer's certificate, if it is known."""
    policy: Policy | None = None

    @cached_property
    def _trusted(self) -> TrustFolder | None:
        return None if self.trust is None else read_trust(self.trust)

    def holding(self, changes: Sequence[Change]) -> list[int]:
        """Return the positions at which the evidence still holds although the byte was changed."""
        return asyncio.run(self._holding(changes))

    async def _holding(self, changes: Sequence[Change]) -> list[int]:
        found = []
        for place, by in changes:
            changed = bytearray(self.whole)
            changed[place] ^= by
            try:
                verdict = await verify_evidence_in(
                    io.BytesIO(changed), self._trusted, self.signer, self.policy
                )
            except MoveError:
                continue
            except Exception as unexpected:
                raise AssertionError(f"byte {place}: {type(unexpected).__name__} escapes") from None
            if verdict.valid:
                found.append(place)
        return found

    def holding_by_many(self, changes: Sequence[Change]) -> Iterator[tuple[int, list[int]]]:
        """Try changes in a process for each core; yield how many were tried, and which of them still hold."""
        pieces = [changes[at : at + _AT_ONCE] for at in range(0, len(changes), _AT_ONCE)]
        with ProcessPoolExecutor(None, get_context("spawn"), initializer=_begin, initargs=(self,)) as pool:
            tried = 0
            for piece, found in zip(pieces, pool.map(_tried, pieces), strict=True):
                tried += len(piece)
                yield tried, found


_own: list[Verifier] = []
"""Verifier of a worker process in :meth:`Verifier.holding_by_many`."""


def _begin(verifier: Verifier) -> None:
    """Prepare a worker process, with caches for the results of pure functions.

    Most changes leave their inputs as they were: a certificate, a header, an entry, the text of a checkpoint.
    """
    os.nice(_NICE)
    grounds.decide = trustfolder.decide = cache(decide)
    archive._member = cache(archive._member)
    verifying._entry = cache(verifying._entry)
    verifying.from_der = grounds.from_der = cache(grounds.from_der)
    receipts.parse = cache(receipts.parse)
    verifying._transport_receipt = _remembered(verifying._transport_receipt)
    Note.parse = cache(Note.parse)  # type: ignore[method-assign]
    VerifierKey.verifies = cache(VerifierKey.verifies)  # type: ignore[method-assign]
    _own.append(verifier)


def _remembered(receipt: Callable[[Any, str, bytes], Finding]) -> Callable[[Any, str, bytes], Finding]:
    """Cache the finding about a transport receipt, and the receipt's owner, which is recorded separately."""
    known: dict[tuple[str, bytes], tuple[Finding, tuple[str, str] | None]] = {}

    def found(said: Any, name: str, data: bytes) -> Finding:
        if (name, data) not in known:
            finding = receipt(said, name, data)
            known[name, data] = finding, said.receipts.get(name)
        finding, whose = known[name, data]
        if whose is not None:
            said.receipts[name] = whose
        return finding

    return found


def _tried(changes: Sequence[Change]) -> list[int]:
    return _own[0].holding(changes)
