"""Checks of an installation's running processes, and of the limits set for them by systemd or the system."""

from __future__ import annotations

import os
import resource
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from samdrift.config.errors import shown
from samdrift.config.model import Config
from samdrift.installation.control import control_folder, is_hidden, listening_processes, workers_folder
from samdrift.installation.health import Condition, Dependency
from samdrift.installation.metrics import NEEDED
from samdrift.installation.reports import every_report
from samdrift.operations.findings import Finding, Subject

_RUNNING = Subject("process", "nothing is accepted or sent while no process runs")
_DESCRIPTORS = Subject("process.descriptors", "without free descriptors, connections are refused")
_SERVED = Subject("process.served", "messages for a role that no process serves wait or are refused")
_TASKS = Subject("process.tasks", "without tasks no worker can be started")
_MEMORY = Subject("process.memory", "the system kills processes that use more")
_BESIDE = (Dependency.TIME_STAMPS, Dependency.LOG_SYSTEM, Dependency.WEBHOOK, Dependency.MAIL)
"""Dependencies that no message waits for."""
_LOG = "samdrift.log/"
"""Beginning of the name of each of our own logs."""
_LEAST_DESCRIPTORS = 8192
_FULL = 0.9
_GROUPS = Path("/sys/fs/cgroup")


async def running(config: Config) -> list[int]:
    """Return the ids of the installation's processes that listen for commands, and of their workers."""
    found = await listening_processes(control_folder(config.vaults))
    return found + await listening_processes(workers_folder(config.vaults))


async def check_health(config: Config) -> AsyncIterator[Finding]:
    """Check what running processes report: which roles they serve, and which dependencies they lack."""
    running = await every_report(config)
    if not running:
        if is_hidden(config.vaults):
            yield _of(Dependency.KEY_STORE).fail(
                f"{shown(config.vaults.secrets)} does not exist, so running processes cannot be queried",
                "docs/runbooks/key-store-lost.md; running processes answer at /health of metrics.listen",
            )
        return
    served = {role for each in running for role in each.roles}
    away = sorted(name for each in running for name, serves in each.workers.items() if not serves)
    missing = [f"role {role.value}" for role in sorted(config.roles - served)] + away
    fault = f"not served: {', '.join(missing)}" if missing else ""
    yield _SERVED.judged(fault, "every role is served", "samdrift serve all; its log shows what is missing")
    for one in (one for each in running for one in each.conditions):
        subject = _of(one.dependency)
        told = subject.warn if _goes_on_without(one) else subject.fail
        name = f"{one.dependency} {one.at}".rstrip()
        if one.gone_since is None:
            yield subject.ok(f"{name} is there")
        else:
            since = f"{one.gone_since:%Y-%m-%d %H:%M:%S}Z"
            yield told(f"{name} is gone since {since}: {one.reason}", "samdrift status --watch")


def _of(dependency: str) -> Subject:
    needed = dependency in NEEDED
    why = "running processes cannot do without it" if needed else "what needs it waits, or goes on without it"
    return Subject(f"health.{dependency}", why)


def _goes_on_without(one: Condition) -> bool:
    """Return whether messages go on without a dependency, as they do without a witness that is away.

    A log that is not signed, or that a witness refused, is named by its own name and is a failure. So is one
    whose name is not known here, because a worker found it.
    """
    witness = one.dependency == Dependency.LOG and one.at and not one.at.startswith(_LOG)
    return bool(witness) or one.dependency in _BESIDE


def check_processes(
    processes: list[int], groups: Path = _GROUPS, *, hidden: bool = False
) -> Iterator[Finding]:
    """Check the limits of running processes, or the limits that a process started from here would get.

    ``hidden`` is true when the key store, and with it the way to ask processes, is gone: then it is not known
    whether any run.
    """
    if hidden and not processes:
        yield _RUNNING.skipped("running processes cannot be queried")
        return
    if not processes:
        yield _RUNNING.fail(
            "no process listens for commands", "systemctl start samdrift; journalctl -u samdrift"
        )
        yield descriptors(*resource.getrlimit(resource.RLIMIT_NOFILE))
        return
    yield _RUNNING.ok(f"{len(processes)} listening for commands: {', '.join(map(str, processes))}")
    for process in processes:
        try:
            limits = resource.prlimit(process, resource.RLIMIT_NOFILE)
            yield descriptors(*limits, used=len(os.listdir(f"/proc/{process}/fd")))
            yield from check_group(groups / group_of(process), groups)
        except OSError:
            yield _DESCRIPTORS.skipped(f"process {process} has ended, or is another user's")


def descriptors(soft: int, hard: int, *, used: int | None = None) -> Finding:
    """Judge the limit on open descriptors and, if a process is running, how many it uses.

    ``serve`` raises the soft limit towards the hard one.
    """
    may = resource.RLIM_INFINITY if resource.RLIM_INFINITY in (soft, hard) else max(soft, hard)
    number = "any number" if may == resource.RLIM_INFINITY else str(may)
    text = f"{used} of {number} are open" if used is not None else f"a process from here may open {number}"
    todo = "LimitNOFILE=65536 in the unit, then systemctl daemon-reload and a restart"
    if may == resource.RLIM_INFINITY:
        return _DESCRIPTORS.ok(text)
    if used is not None and used >= _FULL * may:
        return _DESCRIPTORS.fail(text, todo)
    return _DESCRIPTORS.warn(text, todo) if may < _LEAST_DESCRIPTORS else _DESCRIPTORS.ok(text)


def group_of(process: int) -> str:
    """Return a process's control group; under systemd that is its unit's."""
    for line in Path(f"/proc/{process}/cgroup").read_text().splitlines():
        hierarchy, _, path = line.split(":", 2)
        if hierarchy == "0":
            return path.lstrip("/")
    return ""


def check_group(group: Path, root: Path) -> Iterator[Finding]:
    """Check how much a control group, and each one above it, may still use."""
    groups = [at for at in (group, *group.parents) if at.is_relative_to(root)]
    for subject, used, most in (
        (_TASKS, "pids.current", "pids.max"),
        (_MEMORY, "memory.current", "memory.max"),
    ):
        yield _limits(subject, [(_number(at / used), _number(at / most)) for at in groups])


def _limits(subject: Subject, found: list[tuple[int | None, int | None]]) -> Finding:
    """Judge the usage against each limit that is set."""
    limits = [(used, most) for used, most in found if used is not None and most is not None]
    for used, most in limits:
        if used >= _FULL * most:
            todo = "TasksMax= or MemoryMax= of the unit: systemctl show samdrift"
            return subject.fail(f"{used} of {most} in use in the unit's control group", todo)
    return subject.ok("no limit is near" if limits else "no limit is set")


def _number(file: Path) -> int | None:
    """Return the number in a kernel file; ``None`` for a limit that is not set."""
    try:
        text = file.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdecimal() else None
