"""A rolling upgrade: two hosts with an earlier commit, upgraded in turn while messages are exchanged.

The earlier program is a commit of this repository, taken from git; it makes the vaults, keys and schemas, and
serves on both hosts. Messages are sent through interface D, as the systems of organisations do.
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
"""Maximum number of seconds to wait for anything."""


class NotInHistory(LookupError):
    """The commit is not in this copy of the git repository."""


def program_of(commit: str, folder: Path) -> Path:
    """Unpack the source of a commit, and return its folder."""
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
    """Return the earlier version whose source is in a folder."""

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
    """An upgrade of two hosts, and all faults found afterwards."""

    exchanges: int = 0
    beside: int = 0
    """Exchanges accepted while both versions were running."""
    faults: list[str] = field(default_factory=list)
    """Messages that were lost, duplicated, changed or left behind (:mod:`tests.roles.soak`)."""
    scripts: list[int] = field(default_factory=list)
    """Number of scripts applied to the registry's schema: before, while both versions run, and afterwards."""
    alarming: list[str] = field(default_factory=list)
    """Lines about errors in this version's logs; those in the former version's logs are not considered."""


async def rolled(
    federation: LocalFederation,
    sources: Path,
    rng: random.Random,
    exchanges: int,
    patience: float,
    which: tuple[str, str] = ("all", "all"),
    report: Callable[[str], None] = lambda line: None,
) -> Rolled:
    """Upgrade one host, then the other, with at least ``exchanges`` accepted messages in each state between.

    While both versions are running, each is killed and started again. ``which`` are the roles that the hosts
    serve, the first of which is upgraded first; ``report`` receives a line for each step.
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
    """Stop a host and start it with this version; return where its part of the log begins."""
    await host.process.end(signal.SIGTERM)
    begins = len(host.process.log.read_text())
    host.process.sources = SOURCES
    await host.process.start()
    await _shared(those)
    return begins


async def _shared(those: Hosts) -> None:
    """Wait until both hosts are ready and together hold the leases of all partitions."""

    def share() -> bool:
        ready = all(host.readiness.ready for host in those.hosts)
        return ready and those.lessees() == len(those.hosts) and those.free() == 0

    await _until(those, share)


async def _more(those: Hosts, traffic: Traffic, exchanges: int) -> None:
    """Wait until a number of further messages were accepted, or a fault is found."""
    aim = len(traffic.exchanges) + exchanges
    await _until(those, lambda: len(traffic.exchanges) >= aim or bool(traffic.faults))


async def _until(those: Hosts, holds: Callable[[], bool]) -> None:
    """Wait for a condition, and restart any host that exits meanwhile, as would be done in operation."""
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
