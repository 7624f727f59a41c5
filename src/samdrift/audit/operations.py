"""The operator's own log: faults and outages of the platform, without content.

The text of an unexpected exception may contain part of a message. Its type and the places in our code that it
passed through are enough to find the fault, and all that may be logged (invariant 9).
"""

from __future__ import annotations

import logging
import math
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from errno import errorcode

_LOGGER = logging.getLogger("samdrift")
_SUMMARY_SECONDS = 60.0
_OVER_SECONDS = 150.0
_LASTING_SECONDS = 300.0
_AGAIN_SECONDS = 3600.0
_MOST_CAUSES = 5
_MOST_TOLD = 100


def unexpected(where: str) -> Callable[[BaseException], None]:
    """Return a handler that logs an unexpected exception in ``where`` by its type and place.

    A repeated exception is logged once a minute, with the number of occurrences.
    """
    told = _Minutely(logging.ERROR)

    def log(error: BaseException) -> None:
        frames = traceback.extract_tb(error.__traceback__)[-6:]
        places = " < ".join(f"{frame.name}:{frame.lineno}" for frame in reversed(frames))
        told(f"unexpected {type(error).__name__} in {where} ({places}){_causes(error)}")

    return log


class _Minutely:
    """A logger that writes each line at most once a minute, with the number of omitted repetitions."""

    def __init__(self, level: int) -> None:
        self._level = level
        self._told: dict[str, tuple[float, int]] = {}

    def __call__(self, what: str, *, each: bool = False) -> None:
        """Log the line if it is due; with ``each``, log it every time."""
        now = time.monotonic()
        last, count = self._told.get(what, (-_SUMMARY_SECONDS, 0))
        if not each and now - last < _SUMMARY_SECONDS:
            self._told[what] = last, count + 1
            return
        if len(self._told) >= _MOST_TOLD:
            self._told.clear()
        self._told[what] = now, 0
        more = f", {count} more times since the last such line" if count else ""
        _LOGGER.log(self._level, "%s%s", what, more)


@dataclass(slots=True)
class _Met:
    """An outage as one piece of work encounters it."""

    first: float
    last: float
    told: float = -math.inf


class _Lasting:
    """A logger of outages: one line when an outage has lasted for some time, and hourly from then on.

    An outage not met for two and a half minutes counts as over, since waiting work is retried each minute.
    """

    def __init__(self, after: float) -> None:
        self._after = after
        self._met: dict[str, _Met] = {}

    def __call__(self, what: str) -> None:
        now = time.monotonic()
        self._met = {key: met for key, met in self._met.items() if now - met.last < _OVER_SECONDS}
        met = self._met.setdefault(what, _Met(now, now))
        met.last = now
        if now - met.first >= self._after and now - met.told >= _AGAIN_SECONDS:
            met.told = now
            _LOGGER.warning("%s", what)


def _causes(error: BaseException) -> str:
    """Return the causes of an error: its cause in our own words, and the types of underlying exceptions."""
    said = getattr(error, "cause", "")
    text = f": {said}" if isinstance(said, str) and said else ""
    behind, seen = error.__cause__ or error.__context__, 0
    while behind is not None and seen < _MOST_CAUSES:
        number = getattr(behind, "errno", None)
        text += f", from {type(behind).__name__}" + (f" {errorcode.get(number, number)}" if number else "")
        behind, seen = behind.__cause__ or behind.__context__, seen + 1
    return text


def failing(
    where: str, outages: type[Exception], after: float = _LASTING_SECONDS
) -> Callable[[BaseException], None]:
    """Return a handler that logs failures of work that is retried: long ``outages``, and unexpected errors.

    An outage is logged by the dependency that is affected, which has a state with a reason. If each piece of
    work of each process logged it too, that line would be buried. So a piece of work only logs an outage, by
    its cause, that it has met for five minutes, and once an hour from then on. Work that is tried less often
    than every two minutes leaves it to the dependency; where no dependency logs it, ``after`` is 0 seconds.
    """
    unforeseen, lasting = unexpected(where), _Lasting(after)

    def log(error: BaseException) -> None:
        if isinstance(error, outages):
            lasting(f"{where} waits: {getattr(error, 'cause', '') or error}")
        else:
            unforeseen(error)

    return log


def postponing(where: str) -> Callable[[Exception], None]:
    """Return a handler that logs a request to retry later, which no organisation's log can record.

    It logs the type and, for an outage, its cause in our own words, once a minute however many callers there
    are. An expected reason, which a person has caused and will end, is logged in its own words, the same for
    every organisation: a suspended organisation's peers call as often as they like. An outage of a dependency
    that has its own line in the log is not logged as a second warning.
    """
    told, known = _Minutely(logging.WARNING), _Minutely(logging.INFO)

    def log(why: Exception) -> None:
        cause, expected = getattr(why, "cause", ""), getattr(why, "expected", False)
        reason = str(why) if expected else f"{type(why).__name__}{f': {cause}' if cause else ''}"
        (known if getattr(why, "reported", False) else told)(
            f"{where} asked the caller to retry later: {reason}", each=not cause and not expected
        )

    return log


def summarised(what: str) -> Callable[[], None]:
    """Return a handler that logs an event strangers can cause at will: one line a minute with the count."""
    last, count = -_SUMMARY_SECONDS, 0

    def log() -> None:
        nonlocal last, count
        count += 1
        now = time.monotonic()
        if now - last >= _SUMMARY_SECONDS:
            _LOGGER.warning("%s (%d times since the last such line)", what, count)
            last, count = now, 0

    return log


def sender_limited() -> None:
    """Log that envelopes of a sender wait; only the organisation's log names the sender and mailbox."""
    _LOGGER.warning(
        "message service: too many envelopes of one sender could not be decrypted; its others wait."
        " The organisation's log names it (mt:sender:limited)"
    )


def peer_alarm() -> None:
    """Log that a peer's messages violate the rules too often; the operator's audit log names the peer."""
    _LOGGER.error(
        "ALARM access point: a peer has sent too many messages that do not conform."
        " 'samdrift peers list' names it, 'samdrift peers report' writes the report to DIGG"
    )


_BEHIND = _Minutely(logging.ERROR)


def record_behind(organisation: str, role: str, record: str, has: int, head: int) -> None:
    """Log that something was taken out of a record that only grows; the line is written once a minute."""
    _BEHIND(
        f"ALARM {organisation} ({role}): its record {record} ends with number {has} and had number {head}."
        " Its database came back from a backup, or rows were deleted or replaced. Nothing is decided from it;"
        " see docs/backup.md#a-record-behind-its-head"
    )


_SESSIONS = _Minutely(logging.ERROR)


def session_ended(whose: str, bound: str) -> None:
    """Log that a session took too much of what all logins share; the line is written once a minute."""
    _SESSIONS(
        f"ALARM {whose}: a session of its login exceeded the bound '{bound}' and was ended."
        " Someone else may have that login's password; see docs/database.md#bounds-of-a-session"
    )


def ids_spent(login: str) -> None:
    """Log that another system's login uses up the cluster's transaction ids, once a minute."""
    _SESSIONS(
        f"ALARM database: the login {login}, which is not ours, uses up the transaction ids of the cluster;"
        " see docs/database.md#bounds-of-a-session"
    )


def marks_lost() -> None:
    """Log that a database was restored to a state that lacks the session keys that were used last."""
    _LOGGER.error(
        "message service: the database of an organisation is older than the last session key that was"
        " marked there. See docs/session-keys.md; 'samdrift org keys lost-marks' says which are lost"
    )


def log_not_kept() -> None:
    """Log that a vault's database reported success but did not store the entries appended to its log."""
    _LOGGER.error(
        "ALARM a log: the database did not store the appended entries; no promises are made for them. Its"
        " function append_log is not ours. See docs/log.md"
    )
