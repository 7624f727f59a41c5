"""A rolling upgrade: two hosts of an earlier commit, upgraded in turn while messages go to and fro.

The earlier program is a commit of this repository, as git has it; it makes the vaults, keys and schemas, and
serves on both hosts. What a message needs goes through interface D, as the systems of organisations send.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import random
import re
import signal
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

from samdrift.contracts.principals import Role
from samdrift.demo.cast import DemoOperator
from samdrift.federation.server import LocalFederation
from samdrift.vault.database import migrations
from tests.roles.hosts import Former, Host, Hosts, two_hosts
from tests.roles.processes import SOURCES
from tests.roles.soak import faults_of
from tests.roles.traffic import Traffic, flowing

FORMER = "db64ae6b2fff03b17220f9fe5f72e69630c113a3"
"""The commit from which hosts are upgraded."""
_ROOT = Path(__file__).parents[2]
_BEGUN = Path(__file__).with_name("begun.py")
_ALARMING = re.compile(r"(?m)^.*(?: ERROR |Traceback).*$")
_LONGEST = 900.0
"""Seconds after which what is waited for will not come."""


class NotInHistory(LookupError):
    """Git does not have the commit here."""


def program_of(commit: str, folder: Path) -> Path:
    """Unpack the source of a commit."""
    packed = subprocess.run(
        ["git", "-C", _ROOT, "archive", "--format=tar", commit, "src"], capture_output=True, check=False
    )
    if packed.returncode:
        raise NotInHistory(commit)
    with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as archive:
        archive.extraction_filter = getattr(tarfile, "tar_filter", None)
        archive.extractall(folder)
    return folder / "src"


def former(sources: Path) -> Former:
    """Return the version of the program whose source is in a folder."""

    @contextlib.contextmanager
    def begin(operator: DemoOperator, folder: Path) -> Iterator[None]:
        parts = json.loads(
            subprocess.run(
                [sys.executable, _BEGUN, folder],
                input=json.dumps(_told(operator)),
                env={**os.environ, "PYTHONPATH": str(sources), "PYTHONSAFEPATH": "1"},
                stdout=subprocess.PIPE,
                text=True,
                check=True,
            ).stdout
        )
        with contextlib.ExitStack() as stack:
            for name, known in (
                ("REGISTRY", tuple(parts["registry"])),
                ("WORKERS", tuple(parts["workers"])),
                ("VAULT", {Role(role): tuple(each) for role, each in parts["vaults"].items()}),
            ):
                stack.enter_context(patch.object(migrations, name, known))
            yield

    return Former(sources, begin)


def _told(operator: DemoOperator) -> dict[str, object]:
    return {
        "folder": operator.folder,
        "party": operator.party,
        "organisations": [
            {
                "identifier": each.identifier.value,
                "name": each.name,
                "number": each.number,
                "mailbox": [each.mailbox.identifier, each.mailbox.name],
                "roles": [role.value for role in each.roles],
            }
            for each in operator.organisations
        ],
    }


@dataclass
class Rolled:
    """An upgrade of two hosts, and everything that is not as it should be afterwards."""

    exchanges: int = 0
    beside: int = 0
    """Exchanges that were accepted while the versions ran beside each other."""
    faults: list[str] = field(default_factory=list)
    """What was lost, came twice, was changed or left (:mod:`tests.roles.soak`)."""
    scripts: list[int] = field(default_factory=list)
    """Scripts that the registry's schema has had: before, beside each other, afterwards."""
    alarming: list[str] = field(default_factory=list)
    """Lines of this version's logs that tell of errors: those of the former one are its own."""


async def rolled(
    federation: LocalFederation,
    sources: Path,
    rng: random.Random,
    exchanges: int,
    patience: float,
    which: tuple[str, str] = ("all", "all"),
    report: Callable[[str], None] = lambda line: None,
) -> Rolled:
    """Upgrade one host, then the other; ``exchanges`` are accepted at least in each state between.

    While the versions run beside each other, each is killed and started again. ``which`` are the roles that
    the hosts serve, the first of which is upgraded first; ``report`` is given a line for each step.
    """
    found = Rolled()
    async with two_hosts(federation, which=which, former=former(sources)) as those:
        async with flowing(those.known, rng) as traffic:
            await traffic.began()
            await _more(those, traffic, exchanges)
            found.scripts.append(_scripts(those))
            report("both hosts have the former version")
            first, second = those.hosts
            begins = [await _upgraded(those, first)]
            found.scripts.append(_scripts(those))
            report("the first host is upgraded")
            before = len(traffic.exchanges)
            await _more(those, traffic, exchanges)
            for host in (second, first):
                await host.process.end(signal.SIGKILL)
                await host.process.start()
                await _shared(those)
                report(f"{host.process.config_file.stem} was killed and serves again")
                await _more(those, traffic, exchanges)
            found.beside = len(traffic.exchanges) - before
            begins.append(await _upgraded(those, second))
            found.scripts.append(_scripts(those))
            report("the second host is upgraded")
            await _more(those, traffic, exchanges)
        sent = await traffic.settled()
        found.exchanges = len(sent)
        found.faults = [*traffic.faults, *await faults_of(sent, those.members, patience)]
        logs = [host.process.log.read_text() for host in those.hosts]
        said = [log[begin:] for log, begin in zip(logs, begins, strict=True)]
        found.alarming = [line for log in said for line in _ALARMING.findall(log)]
    return found


async def _upgraded(those: Hosts, host: Host) -> int:
    """Have a host end, and start with this version; return where the log of that begins."""
    await host.process.end(signal.SIGTERM)
    begins = len(host.process.log.read_text())
    host.process.sources = SOURCES
    await host.process.start()
    await _shared(those)
    return begins


async def _shared(those: Hosts) -> None:
    """Wait until both hosts are ready, and in charge of everything between them."""

    def share() -> bool:
        ready = all(host.readiness.ready for host in those.hosts)
        return ready and those.lessees() == len(those.hosts) and those.free() == 0

    await _until(those, share)


async def _more(those: Hosts, traffic: Traffic, exchanges: int) -> None:
    """Wait until so many more messages were accepted."""
    aim = len(traffic.exchanges) + exchanges
    await _until(those, lambda: len(traffic.exchanges) >= aim or bool(traffic.faults))


async def _until(those: Hosts, holds: Callable[[], bool]) -> None:
    """Wait for something; a host that gives up meanwhile is started again, as it would be for real."""
    async with asyncio.timeout(_LONGEST):
        while not await asyncio.to_thread(holds):
            for host in those.hosts:
                if host.process.running is not None and host.process.running.poll() is not None:
                    await host.process.start()
            await asyncio.sleep(0.2)


def _scripts(those: Hosts) -> int:
    parts = "SELECT sum(version) FROM registry.versions WHERE part = ANY(%s)"
    ((number,),) = those.superuser.rows(parts, [*migrations.REGISTRY])
    return int(number)
