"""Time stamps in an exported log: what they cover, who issued them, and whether they are still valid.

A time stamp is valid as long as its authority's certificates are. Its digest is an entry of the log, so that
every later time stamp covers it too. A time stamp whose certificates have expired is still valid if a later
one was issued before that, and so on up to one that is valid now.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from pathlib import Path

from samdrift.audit.notes import Checkpoint, Note, VerifierKey
from samdrift.audit.reading import Malformed, Unverified
from samdrift.evidence.logexport import stamps_of
from samdrift.transparency.timestamps import Trusted, examine


@dataclass(frozen=True, slots=True)
class LogStamp:
    """A time stamp in a log, with its fault if it is not valid."""

    place: int
    """Its number among the time stamps in the file."""
    size: int
    checkpoint: Checkpoint | None = None
    at: datetime | None = None
    until: datetime | None = None
    signer: str = ""
    digest: str = ""
    checked: bool = False
    """True if an authority that the verifier trusts issued it."""
    fault: str = ""


def read_stamps(path: Path, keys: Iterable[VerifierKey], trusted: Trusted | None) -> tuple[LogStamp, ...]:
    """Return the time stamps of an exported log, each examined separately; ``keys`` are those of the log."""
    known = list(keys)
    found = (stamp for stamp in stamps_of(path))
    return tuple(_read(place, note, stamp, known, trusted) for place, (note, stamp) in enumerate(found, 1))


def judge_stamps(
    stamps: Sequence[LogStamp], entries: Mapping[str, int], first: int, now: datetime
) -> tuple[LogStamp, ...]:
    """Return the time stamps with a fault for each that is no longer valid and was not renewed in time.

    ``entries`` has the numbers of the log's entries about time stamps, by their digests, and ``first``
    is the number of the tree's first entry.
    """
    judged, good = list[LogStamp](), list[LogStamp]()
    for stamp in reversed(stamps):
        verdict = _carried(stamp, good, entries.get(stamp.digest), first, now)
        judged.append(verdict)
        if not verdict.fault:
            good.append(verdict)
    return tuple(reversed(judged))


def _read(
    place: int, note: bytes, data: bytes, keys: Sequence[VerifierKey], trusted: Trusted | None
) -> LogStamp:
    try:
        parsed = Note.parse(note)
        checkpoint = Checkpoint.parse(parsed.text)
        parsed.verified([key for key in keys if key.name == checkpoint.origin])
        stamp = trusted.verify(data, note) if trusted else examine(data, note)
    except (Malformed, Unverified) as fault:
        return LogStamp(place, 0, fault=str(fault))
    digest = sha256(data).hexdigest()
    checked = trusted is not None
    return LogStamp(place, checkpoint.size, checkpoint, stamp.at, stamp.until, stamp.signer, digest, checked)


def _carried(
    stamp: LogStamp, later: Sequence[LogStamp], entry: int | None, first: int, now: datetime
) -> LogStamp:
    if stamp.fault or stamp.until is None or stamp.until >= now:
        return stamp
    over = [each.at for each in later if entry is not None and each.size > entry - first]
    if any(at is not None and at <= stamp.until for at in over):
        return stamp
    why = f"its certificates have ended {stamp.until:%Y-%m-%d}, and no time stamp of before that is over it"
    return replace(stamp, fault=why)
