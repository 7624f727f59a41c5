"""Arguments and set-up shared by the commands about an organisation's keys."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from samdrift.administration.administration import Administration, administering, note
from samdrift.administration.keyholder import Keeper, keeper
from samdrift.audit.events import AuditEvent
from samdrift.config.errors import Unusable
from samdrift.config.failures import reported_as_usage_errors
from samdrift.config.reader import load
from samdrift.installation.loop import run
from samdrift.keystore.interface import HeldKey, LogKeyPlace
from samdrift.keystore.keyfiles import KeyName
from samdrift.wire.identifiers import ParticipantIdentifier

T = TypeVar("T")


class Which(StrEnum):
    """The keys of an organisation."""

    SIGNING = KeyName.SIGNING.value
    ENCRYPTION = KeyName.ENCRYPTION.value
    TLS_CLIENT = KeyName.TLS_CLIENT.value
    LOG_SIGNING = KeyName.LOG_SIGNING.value

    @property
    def key(self) -> KeyName:
        return KeyName(self.value)


_LOG_KEY_WORDS = {
    LogKeyPlace.FILE: "the log is signed with a key in a file",
    LogKeyPlace.HSM: "the log is signed in the HSM",
    LogKeyPlace.MOVABLE: "the log is signed with a key in a file, which opens with the HSM alone",
    LogKeyPlace.UNSUPPORTED: "the HSM does not do Ed25519: the log is signed with a key in a file, "
    "which opens with the HSM alone",
}


def log_key_words(place: LogKeyPlace) -> str:
    """Return a text that describes the place of a log's key."""
    return _LOG_KEY_WORDS[place]


Key = Annotated[Which, typer.Argument(help="One of the organisation's keys.")]
Number = Annotated[int, typer.Argument(min=1, help="The number in the list.")]
From = Annotated[
    str | None,
    typer.Option("--from", metavar="TIME", help="The time of first use (ISO 8601; UTC without an offset)."),
]


@dataclass(frozen=True, slots=True)
class Workplace:
    """An open installation, and the organisation in it whose keys are managed."""

    installation: Administration
    organisation: ParticipantIdentifier
    keeper: Keeper

    async def note(self, event: AuditEvent, by: str, **facts: str) -> None:
        """Record the operation in the operator's log and the organisation's."""
        await note(self.installation, event, by, self.organisation, facts)

    def held(self, name: KeyName, number: int) -> HeldKey:
        """Return one of the organisation's keys; :class:`Unusable` if it does not have that key."""
        for key in self.installation.keys.keys(self.keeper.vault):
            if (key.name, key.number) == (name, number):
                return key
        raise Unusable(f"the organisation has no {name} key with the number {number}")


@asynccontextmanager
async def _workplace(config: Path, organisation: ParticipantIdentifier) -> AsyncIterator[Workplace]:
    async with administering(load(config)) as installation:
        yield Workplace(installation, organisation, keeper(installation, organisation))


def worked(config: Path, organisation: ParticipantIdentifier, work: Callable[[Workplace], Awaitable[T]]) -> T:
    """Do ``work`` on an organisation's keys; report a failure in one line."""

    async def doing() -> T:
        async with _workplace(config, organisation) as place:
            return await work(place)

    with reported_as_usage_errors():
        return run(doing())
