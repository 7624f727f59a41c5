"""The demonstration's world: a federation, two operators and three organisations, kept in one folder.

An existing folder is reused, so that a second run is quick; one made by an older version of the demonstration
is emptied first. A folder that holds anything else, or in which another demonstration runs, is left
unchanged.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import shutil
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence, Set
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from samdrift.config.errors import Unusable, shown
from samdrift.demo.cast import OPERATORS, DemoOrganisation, with_pages
from samdrift.demo.enrolment import EnrolledOperator, enrol, write_client
from samdrift.demo.governing import govern
from samdrift.demo.persons import persons_of
from samdrift.demo.scenario import Party, Progress
from samdrift.demo.settling import Page, settle, settle_office
from samdrift.demo.witnessing import POLICY, DemoWitness
from samdrift.federation.server import LocalFederation
from samdrift.federation.server import running as federation_running
from samdrift.federation.signin import sign_in_service
from samdrift.installation.operator import Operator, running
from samdrift.net.addressbook import kept_copy

_LAYOUT = "6"
_PORT = "sign-in-port"
_SOON = 0.1
"""Seconds between two checks of a copy of the address book."""


@dataclass(frozen=True, slots=True)
class World:
    """Everything that is running."""

    federation: LocalFederation
    operators: tuple[tuple[EnrolledOperator, Operator], ...]
    clients: Mapping[str, Path]
    """Configuration file of each organisation's message client, by the organisation's name."""
    witnesses: tuple[DemoWitness, ...]
    """Witness of each operator's logs, which the other operator runs."""
    pages: Sequence[Page] = ()
    """Pages for people, if the demonstration has them."""

    def party(self, organisation: DemoOrganisation) -> Party:
        """Return the organisation with its operator."""
        for enrolled, operator in self.operators:
            if organisation.identifier in {each.identifier for each in enrolled.demo.organisations}:
                return Party(operator, organisation.address)
        raise LookupError("no operator of the demonstration serves that organisation")


@contextlib.asynccontextmanager
async def world(folder: Path, progress: Progress, *, pages: bool = False) -> AsyncIterator[World]:
    """Start federation and operators in ``folder``; everything is ready when the context is entered.

    With ``pages``, organisations have a message client and people who sign in to it.
    """
    operators = with_pages() if pages else OPERATORS
    async with AsyncExitStack() as outlasting, AsyncExitStack() as stack:
        outlasting.enter_context(_alone(folder))
        prepare(folder)
        progress("A federation starts: certificate authorities, SML in DNS, SMP, CertPub, address book")
        federation = await stack.enter_async_context(federation_running(folder / "federation"))
        sign_in = await stack.enter_async_context(sign_in_service(kept=folder / _PORT)) if pages else None
        run, clients, opened = [], {}, list[Page]()
        own = [DemoWitness.of(operator, folder / operator.folder) for operator in operators]
        witnesses = [*own[1:], own[0]]
        for operator, witness in zip(operators, witnesses, strict=True):
            witness.write_policy(folder / operator.folder)
            names = " and ".join(one.identifier.value for one in operator.organisations)
            progress(f"{operator.party} starts: PostgreSQL, vaults and keys of {names}")
            enrolled = await enrol(
                federation, operator, folder / operator.folder, sign_in=sign_in, witnesses=POLICY
            )
            started = await stack.enter_async_context(running(enrolled.config))
            run.append((enrolled, started))
            if started.authorization is not None:
                for one in operator.organisations:
                    clients[one.name] = write_client(
                        folder / operator.folder, one, started.authorization.issuers
                    )
            for one in operator.organisations if sign_in is not None else ():
                opened += await settle(started.gate, enrolled.config, one, persons_of(one))
                officers = await govern(started.gate, one, persons_of(one), folder / operator.folder)
                opened += await settle_office(started.gate, enrolled.config, one, officers)
        for (_, started), witness in zip(run, witnesses, strict=True):
            await witness.enter(started)
            await witness.serve(outlasting)  # It must outlast the operators, which use it until they end.
        if pages:
            await _know_each_other(tuple(enrolled for enrolled, _ in run))
        yield World(federation, tuple(run), clients, tuple(witnesses), opened)


async def _know_each_other(operators: Sequence[EnrolledOperator]) -> None:
    """Wait until every operator's copy of the address book has all addresses, which the pages look up."""
    organisations = [each for one in operators for each in one.demo.organisations]
    everybody = {box.identifier for each in organisations for box in each.mailboxes}
    for one in operators:
        if (book := one.config.address_book) is not None:
            await _lists(book.file, everybody)


async def _lists(file: Path, addresses: Set[str]) -> None:
    """Wait until the copy of the address book in ``file`` has all ``addresses``."""
    while True:
        copy = await asyncio.to_thread(kept_copy, file)
        if copy is not None and addresses <= {each.identifier for each in copy.addresses}:
            return
        await asyncio.sleep(_SOON)


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Create and lock the folder, because two demonstrations would delete each other's files and share ports.

    :class:`Unusable` when another one has locked it. The folder itself is locked, without a lock file in it.
    """
    if not folder.exists():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(held)
        raise Unusable(
            f"{shown(folder)}: a demonstration runs there; end it, or choose another --folder"
        ) from None
    try:
        yield
    finally:
        os.close(held)


def prepare(folder: Path) -> None:
    """Create the folder, or empty it if it is of an older version; :class:`Unusable` for other content."""
    stamp = folder / "layout"
    made_by = stamp.read_text("utf-8", "replace") if stamp.is_file() else ""
    if made_by != _LAYOUT and folder.exists() and any(folder.iterdir()):
        if not made_by.isdecimal():
            raise Unusable(f"{shown(folder)}: contains something other than a demonstration")
        for each in folder.iterdir():
            shutil.rmtree(each) if each.is_dir() and not each.is_symlink() else each.unlink()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    stamp.write_text(_LAYOUT)
