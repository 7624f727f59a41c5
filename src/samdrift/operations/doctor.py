"""Examination of everything that an installation depends on, without changing anything.

Each check has a time limit, and one that fails unexpectedly becomes a finding like any other. So an
examination always completes, and reports what it could not examine.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from urllib.parse import urlsplit

from samdrift.administration.administration import Administration, beside
from samdrift.config.model import Config, Environment, SocketAddress
from samdrift.contracts.clock import Clock
from samdrift.contracts.errors import Explained
from samdrift.contracts.principals import Role
from samdrift.installation.accesspoints import name_of_own
from samdrift.installation.control import is_hidden
from samdrift.installation.doors import Door
from samdrift.installation.listeners import address_of
from samdrift.installation.vaultsettings import vault_settings
from samdrift.net.clock import system_clock
from samdrift.net.tlsprobe import Listener
from samdrift.operations import foundation, machine, neighbours, places
from samdrift.operations.agreementcheck import check_agreements
from samdrift.operations.alertmail import check_mail
from samdrift.operations.consolecheck import check_console
from samdrift.operations.emergencycheck import check_emergencies
from samdrift.operations.findings import Finding, State, Subject
from samdrift.operations.reviewcheck import check_reviews
from samdrift.operations.sharedfolders import check_shared
from samdrift.operations.tlsrules import Target, check_tls

_PATIENCE = 120.0
"""Time limit for one check, in seconds; a scanner may need a minute for the largest file."""
_PASSPHRASE = Subject("key-store", "without its keys nothing is signed, decrypted or read")
_ADMINISTRATION = Subject("organisations", "it is unknown whether organisations are ready")
_STAFF = Subject("staff", "logs record the name given to a command, with no proof of whose it was")
_TLS = Subject("tls", "peers, clients and browsers judge an installation by it")
Findings = Iterable[Finding] | AsyncIterator[Finding] | Awaitable[Finding]


@dataclass(frozen=True)
class Scope:
    """Scope of an examination."""

    offline: bool = False
    """True to contact nothing outside this machine."""
    time_server: str = "ntp.se"
    clock: Clock = system_clock


async def examine(config: Config, scope: Scope) -> list[Finding]:
    """Examine an installation and return the findings in the order in which to deal with them."""
    findings = await _all("files", lambda: places.check_files(config))
    findings += await _all("files", lambda: check_shared(config))
    findings.append(check_staff(config))
    findings += await _all("disk", lambda: places.check_disks(config))
    findings += await _all("trust", lambda: [neighbours.check_trust(config)])
    findings += await _foundation(config, scope)
    findings += await _surroundings(config, scope)
    processes = await machine.running(config)
    hidden = is_hidden(config.vaults)
    findings += await _all("process", lambda: machine.check_processes(processes, hidden=hidden))
    findings += await _all("health", lambda: machine.check_health(config))
    findings += await _listeners(config, running=bool(processes))
    findings += await _all("console", lambda: check_console(config, scope.clock()))
    return findings


async def _foundation(config: Config, scope: Scope) -> list[Finding]:
    """Examine the installation's own foundation, and what its keys and database make visible."""
    now = scope.clock()
    try:
        settings = vault_settings(config)
    except (Explained, OSError) as error:
        return [_PASSPHRASE.fail(str(error), "see vaults.passphrase_file, or passphrase_credential")]
    findings, base = await foundation.check_foundation(settings)
    keys = base.keys
    if keys is None:
        return findings
    findings += await _all("certificate", lambda: foundation.check_certificates(config, keys, now))
    if not scope.offline:
        findings += await _all("revocation", lambda: neighbours.check_revocation(config, keys, now))
    if base.unasked:
        return [*findings, _ADMINISTRATION.skipped(base.unasked)]
    try:
        async with beside(config, keys) as installation:
            findings += await _hosted(installation, scope, now)
    except Explained as error:
        findings.append(_ADMINISTRATION.fail(str(error), "restart serve; docs/database.md"))
    return findings


async def _hosted(installation: Administration, scope: Scope, now: datetime) -> list[Finding]:
    return [
        *await _all("hsm", lambda: foundation.check_tokens(installation)),
        *await _all(
            "organisations",
            lambda: neighbours.check_organisations(installation, now, offline=scope.offline),
        ),
        *await _all("agreements", lambda: check_agreements(installation, now)),
        *await _all("reviews", lambda: check_reviews(installation, now)),
        *await _all("emergencies", lambda: check_emergencies(installation, now)),
    ]


async def _surroundings(config: Config, scope: Scope) -> list[Finding]:
    """Examine the services around it, all at the same time, since each may be slow to fail."""
    checks: dict[str, Callable[[], Findings]] = {
        "scanner": lambda: neighbours.check_scanner(config.malware, scope.clock())
    }
    if not scope.offline:
        checks["mail"] = lambda: check_mail(config)
        checks["clock"] = lambda: neighbours.check_clock(scope.time_server)
        checks["dns"] = lambda: neighbours.check_dns(config)
    found = await asyncio.gather(*(_all(name, check) for name, check in checks.items()))
    return [each for some in found for each in some]


async def _listeners(config: Config, *, running: bool) -> list[Finding]:
    """Examine TLS of the listeners as a client sees it."""
    if not running:
        return [_TLS.skipped("no process is running")]
    found = await asyncio.gather(
        *(_all(f"tls.{target.door}", partial(check_tls, target)) for target in targets(config))
    )
    return [each for some in found for each in some]


def check_staff(config: Config) -> Finding:
    """Check that people who run commands must prove their identity; a trial needs no staff."""
    if config.staff:
        return _STAFF.ok(f"{len(config.staff)} may run commands, each signed")
    if config.environment is not Environment.PRODUCTION:
        return _STAFF.skipped("nobody is named: required only in production")
    return _STAFF.warn("nobody is named", "name them with their SSH keys: docs/operations.md#who-acts")


def targets(config: Config) -> Iterator[Target]:
    """Yield the TLS listeners of an installation, once for each name that clients use.

    A demonstration's pages are left out, because they are served without TLS to a browser on the same
    machine.
    """
    plain = {
        door
        for door, pages in ((Door.MK, config.message_client), (Door.GOV, config.governance))
        if pages is not None and pages.plain
    }
    for door in (Door.A, Door.C, Door.D, Door.MK, Door.GOV):
        address = address_of(config, door)
        if address is None or door in plain:
            continue
        issuers = config.inner_issuers if door is Door.C else config.federation.tls_issuers
        for name in _names(config, door, address):
            yield Target(door.value, Listener(address.called, address.port, name), issuers)


def _names(config: Config, door: Door, address: SocketAddress) -> Sequence[str]:
    match door:
        case Door.A:
            return [_host(config.access_point.address) if config.access_point else ""]
        case Door.C:
            called = [one.access_point for one in config.organisations if one.access_point]
            here = next((one for one in called if urlsplit(one).port == address.port), "")
            return [name_of_own(config, here) or _host(here)]
        case Door.D:
            return [_host(config.message_service.address_d) if config.message_service else ""]
        case Door.MK:
            return list(config.hosts(Role.MESSAGE_CLIENT)) or [""]
        case _:
            return list(config.hosts(Role.GOVERNANCE)) or [""]


def _host(url: str) -> str:
    return urlsplit(url).hostname or ""


async def _all(subject: str, check: Callable[[], Findings]) -> list[Finding]:
    """Return all findings of a check, even of one that hangs or fails."""
    found: list[Finding] = []
    unknown = Subject(subject, "there may be faults in what could not be examined")
    try:
        async with asyncio.timeout(_PATIENCE):
            findings = check()
            if isinstance(findings, AsyncIterator):
                async for each in findings:
                    found.append(each)  # noqa: PERF401
            elif isinstance(findings, Awaitable):
                found.append(await findings)
            else:
                found += findings
    except TimeoutError:
        found.append(unknown.fail("the examination did not finish in time", "samdrift doctor, again later"))
    except Explained as error:
        found.append(unknown.fail(str(error), "see the text"))
    except Exception as error:
        found.append(
            unknown.fail(f"the examination failed: {type(error).__name__}", "report it, with this line")
        )
    return found


def wrong(findings: Iterable[Finding]) -> list[Finding]:
    """Return the findings that need attention."""
    return [one for one in findings if one.state in (State.WARN, State.FAIL)]
