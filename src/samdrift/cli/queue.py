"""`samdrift queue`: waiting transfers, their reasons, and the operator's actions on them.

Each transfer and each refusal is shown as lines for people, or with `--json` as a document for programs.
Neither contains anything of a message's content.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from samdrift.administration.queue import Refusal, Retried, TransferQueues
from samdrift.cli.output import complain, complain_of_unreached, print_json, print_line, print_table
from samdrift.cli.persons import Acting, Actor, acting
from samdrift.config.errors import Unusable
from samdrift.config.failures import reported_as_usage_errors
from samdrift.config.inputs import read_participant
from samdrift.config.reader import load
from samdrift.contracts.principals import Role
from samdrift.contracts.transfer import TransferReason
from samdrift.installation.loop import run
from samdrift.installation.vaultsettings import vault_settings
from samdrift.vault.accesspoint import Standing
from samdrift.vault.errors import VaultDenied
from samdrift.vault.gate import Gate
from samdrift.vault.records import TransferStatus
from samdrift.vault.transferdesk import TransferHistory
from samdrift.vault.transferrows import reason_and_detail
from samdrift.wire.identifiers import ParticipantIdentifier

T = TypeVar("T")
app = typer.Typer(add_completion=False)

_ANSWERS = {
    Standing.UNKNOWN: "no transfer has that id here",
    Standing.UNDER_WAY: "an attempt is under way; nothing was done",
    Standing.DELIVERED: "was already delivered; nothing was done",
    Standing.FAILED: "had already failed; nothing was done",
}
Unreached = Mapping[ParticipantIdentifier, str]
Waiting = tuple[ParticipantIdentifier, TransferStatus]
_WAITING_HEADERS = ("transfer", "organisation", "recipient", "queued", "attempts", "next", "last result")
_REFUSED_HEADERS = ("at", "to", "reason", "facts")
_TELLING = ("peer", "reason", "detail")
_NAMING = ("peer", "sender", "recipient", "as4", "envelope")
ConfigFile = Annotated[Path, typer.Option("--config", help="The installation's configuration file (TOML).")]

Organisation = Annotated[
    str | None, typer.Option("--organisation", help="Only this organisation, like 0203:habo.se.")
]

Json = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]
Limit = Annotated[int, typer.Option("--limit", min=1, help="The maximum number of rows.")]
Identifier = Annotated[str, typer.Argument(metavar="ID", help="The id of the transfer or of its envelope.")]

Reason = Annotated[
    str, typer.Option("--reason", help="The reason, which is reported to the sender. Nothing about content.")
]


@app.callback()
def queue() -> None:
    """Inspect and manage transfers. The organisation's log records who did so; content is not shown."""


@app.command("list")
def list_waiting(
    config: ConfigFile,
    organisation: Organisation = None,
    by: Actor = None,
    limit: Limit = 100,
    as_json: Json = False,
) -> int:
    """List queued transfers: recipient, next attempt, number of attempts, and the result of the last one.

    Exit status 1 if an organisation's vault, which is then named, cannot be reached; the others are listed.
    """

    async def ask(queues: TransferQueues) -> list[Waiting]:
        return [found async for found in queues.waiting(limit)]

    found, unreached = _with_queues(config, organisation, by, ask)
    if as_json:
        print_json({"transfers": [_waiting_document(*each) for each in found]})
    else:
        print_table(_WAITING_HEADERS, [_waiting_row(*each) for each in found])
    return complain_of_unreached(unreached)


@app.command()
def why(
    identifier: Identifier,
    config: ConfigFile,
    organisation: Organisation = None,
    by: Actor = None,
    as_json: Json = False,
) -> int:
    """Show every attempt at a transfer, with the answer of the peer or the failure on the way to it."""
    found, unreached = _with_queues(config, organisation, by, lambda queues: queues.history(identifier))
    if found is None:
        complain(_ANSWERS[Standing.UNKNOWN])
        complain_of_unreached(unreached)
        return 1
    if as_json:
        print_json(_history_document(*found))
    else:
        for line in _history_lines(*found):
            print_line(line)
    return 0


@app.command()
def retry(
    identifier: Identifier, config: ConfigFile, organisation: Organisation = None, by: Actor = None
) -> int:
    """Attempt a waiting transfer now, and show what it is waiting for. Counts as one of its attempts."""
    now = datetime.now(UTC)
    retried, unreached = _with_queues(config, organisation, by, lambda queues: queues.retry(identifier, now))
    if retried.stood is Standing.UNDER_WAY and retried.status is not None:
        complain(_under_way(retried.status))
        return 1
    return _answer(retried.stood, _waits_for(config, retried), unreached)


@app.command("give-up")
def give_up(
    identifier: Identifier,
    reason: Reason,
    config: ConfigFile,
    organisation: Organisation = None,
    by: Actor = None,
) -> int:
    """End a waiting transfer as failed, and report the reason to its sender."""
    now = datetime.now(UTC)
    stood, unreached = _with_queues(
        config, organisation, by, lambda queues: queues.give_up(identifier, reason, now)
    )
    return _answer(stood, "has failed, and its sender is notified", unreached)


@app.command()
def refused(
    config: ConfigFile,
    organisation: Organisation = None,
    by: Actor = None,
    limit: Limit = 100,
    as_json: Json = False,
) -> int:
    """Show refused incoming envelopes, latest first: only facts, since their content is not stored.

    Exit status 1 if an organisation's vault, which is then named, cannot be reached; the others are listed.
    """
    found, unreached = _with_queues(config, organisation, by, lambda queues: queues.refused(limit))
    if as_json:
        print_json({"refused": [_refusal_document(refusal) for refusal in found]})
    else:
        print_table(_REFUSED_HEADERS, map(_refusal_row, found))
    return complain_of_unreached(unreached)


def _under_way(status: TransferStatus) -> str:
    """Describe an attempt in progress: when it started, and when it ends at the latest."""
    began = f" since {_time(status.last_attempt)}" if status.last_attempt else ""
    ends = f", until {_time(status.next_attempt)} at most" if status.next_attempt else ""
    return f"an attempt is under way{began}{ends}; nothing was done"


def _waits_for(config: Path, retried: Retried) -> str:
    """Return a line that describes whether a due transfer is attempted now or waits for a serving process."""
    # Imported here: slow to import, and no other command here queries a running process.
    from samdrift.installation.control import ControlRefused, control_folder
    from samdrift.installation.reporting import ask_running

    whose, status = retried.organisation, retried.status
    if whose is None or status is None:
        return ""
    met = _met(status.reason, status.detail)
    last = f"; its last attempt met {met}" if met else ""
    try:
        running = run(ask_running(control_folder(load(config).vaults)))
    except ControlRefused as refused:
        return f"is attempted as soon as its access point is served, which is not known now: {refused}{last}"
    if any(each.serves(whose, Role.ACCESS_POINT) for each in running):
        return f"is attempted now{last}"
    return f"waits for serve: no process on this machine serves the access point of {whose}{last}"


def _answer(stood: Standing, done: str, unreached: Unreached) -> int:
    if stood is Standing.WAITING:
        print_line(done)
        return 0
    complain(_ANSWERS[stood])
    if stood is Standing.UNKNOWN:
        complain_of_unreached(unreached)
    return 1


def _with_queues(
    config: Path, organisation: str | None, by: str | None, ask: Callable[[TransferQueues], Awaitable[T]]
) -> tuple[T, Unreached]:
    with reported_as_usage_errors():
        return run(_asked(config, organisation, acting(by), ask))


async def _asked(
    config: Path, organisation: str | None, who: Acting, ask: Callable[[TransferQueues], Awaitable[T]]
) -> tuple[T, Unreached]:
    only = read_participant(organisation) if organisation is not None else None
    async with _gate(config) as gate:
        queues = TransferQueues(gate, who.name, only, who.proof)
        try:
            return await ask(queues), queues.unreached
        except VaultDenied:
            raise Unusable("no access point of this installation serves that organisation") from None


@asynccontextmanager
async def _gate(config: Path) -> AsyncIterator[Gate]:
    gate = await Gate.start(vault_settings(load(config)))
    try:
        yield gate
    finally:
        await gate.close()


def _waiting_document(organisation: ParticipantIdentifier, status: TransferStatus) -> dict[str, Any]:
    """Return one transfer as JSON, with times in ISO 8601 and UTC."""
    return {
        "organisation": organisation.value,
        "transfer": status.id,
        "envelope": status.envelope_id,
        "as4": status.as4_message_id,
        "recipient": status.recipient,
        "document": status.document,
        "queuedAt": status.created_at.isoformat(),
        "state": status.state.value,
        "attempts": status.attempts,
        "spared": status.spared,
        "lastAttempt": status.last_attempt.isoformat() if status.last_attempt else None,
        "nextAttempt": status.next_attempt.isoformat() if status.next_attempt else None,
        "reason": status.reason.value,
        "detail": status.detail,
    }


def _waiting_row(organisation: ParticipantIdentifier, status: TransferStatus) -> tuple[str, ...]:
    """Return one transfer that is not final, as a table row."""
    spared = f" and {status.spared} that are not counted" if status.spared else ""
    following = _time(status.next_attempt) if status.next_attempt else status.state.value
    return (
        status.id,
        organisation.value,
        status.recipient,
        _time(status.created_at),
        f"{status.attempts}{spared}",
        following,
        _met(status.reason, status.detail),
    )


def _history_document(organisation: ParticipantIdentifier, history: TransferHistory) -> dict[str, Any]:
    """Return a transfer as JSON, with every attempt and every log entry about it."""
    attempts = [(attempt.at, *reason_and_detail(attempt.error)) for attempt in history.attempts]
    return _waiting_document(organisation, history.status) | {
        "tried": [
            {"at": at.isoformat(), "reason": reason.value, "detail": detail}
            for at, reason, detail in attempts
        ],
        "log": [
            {
                "at": entry.at.isoformat(),
                "event": entry.event,
                "by": entry.principal,
                "facts": dict(entry.ids),
            }
            for entry in history.log
        ],
    }


def _history_lines(organisation: ParticipantIdentifier, history: TransferHistory) -> Iterator[str]:
    """Yield the same facts as lines for people."""
    status = history.status
    yield f"transfer  {status.id}  {status.state}"
    yield f"envelope  {status.envelope_id}  AS4 {status.as4_message_id}"
    yield f"from      {organisation}  to {status.recipient}"
    if status.next_attempt is not None:
        yield f"next      {_time(status.next_attempt)}"
    for number, attempt in enumerate(history.attempts, 1):
        yield f"attempt {number}  {_time(attempt.at)}  {_met(*reason_and_detail(attempt.error))}".rstrip()
    for entry in history.log:
        facts = "  ".join(f"{name}={entry.ids[name]}" for name in _TELLING if name in entry.ids)
        yield f"log       {_time(entry.at)}  {entry.event}  {entry.principal}  {facts}".rstrip()


def _refusal_document(refusal: Refusal) -> dict[str, Any]:
    """Return one refused envelope as JSON."""
    entry = refusal.entry
    return {
        "organisation": refusal.organisation or None,
        "at": entry.at.isoformat(),
        "reason": entry.ids.get("reason", ""),
        "facts": {name: value for name, value in entry.ids.items() if name != "reason"},
    }


def _refusal_row(refusal: Refusal) -> tuple[str, ...]:
    """Return one refused envelope as a table row."""
    ids = refusal.entry.ids
    facts = "  ".join(f"{name}={ids[name]}" for name in _NAMING if name in ids)
    to = refusal.organisation or "nobody served here"
    return _time(refusal.entry.at), to, ids.get("reason", ""), facts


def _met(reason: TransferReason, detail: str) -> str:
    return detail if reason is TransferReason.NONE else f"{reason}  {detail}".rstrip()


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}Z"
