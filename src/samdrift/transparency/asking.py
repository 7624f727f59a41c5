"""A log's side of the witness protocol, which requests cosignatures and distinguishes refusals from outages.

A witness that refuses, or has seen more than the log has, knows something that its log does not: that is a
:class:`WitnessRefused`, and if it has seen another history (:attr:`Refusal.stops`) no further checkpoint may
be signed before people have investigated. Any other response without a valid cosignature counts as no answer
(:class:`WitnessUnanswered`): the witness is asked again later, and its last cosignature ages. That includes a
response that is late, too long, signed by another key, or dated in the future.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from samdrift.audit.notes import Checkpoint, Note, VerifierKey
from samdrift.audit.policies import Member
from samdrift.audit.proofs import WitnessRequest
from samdrift.audit.reading import Malformed, Unverified, number
from samdrift.contracts.errors import Explained, Temporary
from samdrift.net.client import Fetched, FetchLimits, NoAnswer

AHEAD_SECONDS = 300
"""Maximum number of seconds that a witness's clock may be ahead of ours."""
LIMITS = FetchLimits(max_bytes=64 * 1024, seconds=10)
"""Limits on the size and duration of a witness's response."""

_TOO_MANY = 429
_ATTEMPTS = 3
"""Maximum number of requests for one checkpoint, since others may advance the witness meanwhile (409)."""

Prove = Callable[[int, int], Awaitable[Sequence[bytes]]]
"""A function that makes the proof that the tree of the second size continues the tree of the first."""


class Refusal(StrEnum):
    """A witness's reason for not cosigning."""

    UNKNOWN_LOG = "unknown-log"
    UNKNOWN_KEY = "unknown-key"
    CONTRADICTED = "contradicted"
    """The witness has seen another tree of the log, which the checkpoint does not continue."""
    AHEAD = "ahead"
    """The witness has seen more entries than the log has now."""

    @property
    def stops(self) -> bool:
        """Return whether the witness knows another history, so that nothing more may be signed.

        A witness that does not know the log or its key has only not been configured for it.
        """
        return self in (Refusal.CONTRADICTED, Refusal.AHEAD)

    @property
    def text(self) -> str:
        """Return the reason in words, to be written after the witness's name."""
        return _TEXTS[self]


_TEXTS = {
    Refusal.UNKNOWN_LOG: "does not know this log: enter the log's origin and key there",
    Refusal.UNKNOWN_KEY: "does not accept the log's signature: enter the key in use there",
    Refusal.CONTRADICTED: "has cosigned another history of this log, which the checkpoint does not continue",
    Refusal.AHEAD: "has seen more of this log than the log has now",
}
_STATUSES = {404: Refusal.UNKNOWN_LOG, 403: Refusal.UNKNOWN_KEY, 422: Refusal.CONTRADICTED}


class WitnessRefused(Explained):
    """A refusal by a witness; ``seen`` is the size that it names, if it names one."""

    def __init__(self, witness: VerifierKey, reason: Refusal, seen: int | None = None) -> None:
        super().__init__(f"the witness {witness.name} {reason.text}")
        self.witness = witness
        self.reason = reason
        self.seen = seen


class WitnessUnanswered(Temporary):
    """A failure to get a usable response from a witness."""

    service = "witness"

    def __init__(self, witness: VerifierKey, text: str, *, of_all: bool = False) -> None:
        """Report a failure; ``of_all`` is true if it concerns all logs, such as a wrong clock."""
        super().__init__(f"the witness {witness.name} has not answered: {text}")
        self.witness = witness
        self.text = text
        self.of_all = of_all


class Caller(Protocol):
    """A client that calls an address, such as the guarded client for addresses entered by people."""

    async def fetch(
        self,
        url: str,
        limits: FetchLimits,
        *,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Fetched:
        """GET ``url``, or POST ``content``; :class:`NoAnswer` if no complete response came in ``limits``."""
        ...


@dataclass(frozen=True, slots=True)
class Cosigned:
    """A witness's valid cosignature: its line for the note, and its time."""

    line: bytes
    time: int


async def cosign(
    caller: Caller, witness: Member, note: bytes, seen: int, prove: Prove, now: datetime
) -> Cosigned:
    """Ask ``witness`` to cosign the signed checkpoint ``note``.

    ``seen`` is the size that it last cosigned, as far as is known: if the witness names another size, the
    proof is made from there. Raises :class:`WitnessRefused` or :class:`WitnessUnanswered` if it does not
    cosign.
    """
    if witness.address is None:
        raise WitnessUnanswered(witness.key, "the policy has no address for it", of_all=True)
    checkpoint = Checkpoint.parse(Note.parse(note).text)
    url = f"{witness.address.rstrip('/')}/add-checkpoint"
    old = min(seen, checkpoint.size)
    for _ in range(_ATTEMPTS):
        request = WitnessRequest(old, tuple(await prove(old, checkpoint.size)), note)
        answer = await _asked(caller, witness.key, url, bytes(request))
        if answer.status == 200:
            return _cosigned(witness.key, checkpoint, answer.body, now)
        if answer.status in _STATUSES:
            raise WitnessRefused(witness.key, _STATUSES[answer.status])
        if answer.status != 409:
            outage = answer.status >= 500 or answer.status == _TOO_MANY
            raise WitnessUnanswered(witness.key, f"it answers {answer.status}", of_all=outage)
        named = _size(witness.key, answer.body)
        if named > checkpoint.size:
            raise WitnessRefused(witness.key, Refusal.AHEAD, named)
        if named == old:
            raise WitnessUnanswered(witness.key, "it reports a conflict with the very size in the request")
        old = named
    raise WitnessUnanswered(witness.key, "it reports another size each time")


async def _asked(caller: Caller, witness: VerifierKey, url: str, content: bytes) -> Fetched:
    try:
        return await caller.fetch(url, LIMITS, content=content, headers={"content-type": "text/plain"})
    except NoAnswer as failure:
        raise WitnessUnanswered(witness, failure.words, of_all=True) from None


def _cosigned(witness: VerifierKey, checkpoint: Checkpoint, body: bytes, now: datetime) -> Cosigned:
    """Return the witness's cosignature; lines by other keys are ignored (tlog-witness)."""
    try:
        note = Note.parse(checkpoint.signed([body]))
        if note.text != checkpoint.text:
            raise Malformed("it has an empty line")
        line = note.verified([witness])[witness]
    except (Malformed, Unverified):
        raise WitnessUnanswered(witness, "its response has no valid cosignature") from None
    time = int.from_bytes(line.signature[:8])
    if not 0 < time <= now.timestamp() + AHEAD_SECONDS:
        text = "the time of its cosignature is impossible; compare the clocks"
        raise WitnessUnanswered(witness, text, of_all=True)
    return Cosigned(bytes(line), time)


def _size(witness: VerifierKey, body: bytes) -> int:
    try:
        return number(body.decode("ascii").removesuffix("\n"), "body")
    except (UnicodeDecodeError, Malformed):
        raise WitnessUnanswered(witness, "its response has no size") from None
