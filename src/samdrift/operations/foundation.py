"""Checks of an installation's own foundation: database, object store, key store and certificates."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from samdrift.administration.administration import Administration
from samdrift.config.model import Config
from samdrift.contracts.errors import Explained, Temporary
from samdrift.installation.keyrows import WARNED, Standing, key_rows, shown_keys
from samdrift.keystore.interface import OPERATOR_KEYS, HeldKey, KeyStore, LogKeyPlace
from samdrift.keystore.keyfiles import KeyName, KeyStoreError
from samdrift.net.clock import system_clock
from samdrift.operations.findings import Finding, Subject
from samdrift.vault.errors import ServerBusy, VaultError
from samdrift.vault.examination import DatabaseFacts, examine_database, made
from samdrift.vault.objects import try_out
from samdrift.vault.openkeys import open_keys
from samdrift.vault.registry import Registration
from samdrift.vault.settings import ObjectPlace, VaultSettings

_KEYS = Subject("key-store", "without its keys nothing is signed, decrypted or read")
_REACH = Subject("database", "every message is in it: without it nothing is accepted or sent")
_VERSION = Subject("database.version", "older versions lack permissions that separate organisations")
_ACCESS = Subject("database.access", "every login of the cluster could connect to this database")
_HARDENING = Subject(
    "database.hardening", "catalogs readable by every login show who is served and who is busy"
)
_RIGHTS = Subject(
    "database.rights", "an excess permission lets one organisation's login reach another's tables"
)
_LOGINS = Subject("database.logins", "a login with more than its due can reach every organisation's tables")
_DURABLE = Subject(
    "database.durable",
    "senders were told that their message is stored: data not yet on disk then can be lost",
)
_CONNECTIONS = Subject("database.connections", "without a free connection, work waits")
_OBJECTS = Subject("objects", "bodies of messages are in it: without it nothing is accepted or delivered")
_OBJECTS_CLOCK = Subject(
    "objects.clock", "an S3 store refuses requests signed by a clock that is fifteen minutes off"
)
_APART, _SECOND = timedelta(seconds=60), timedelta(seconds=1)
_S3_TODO = {
    "RequestTimeTooSkewed": "set the clock of this machine, or the store's: timedatectl",
    "NoSuchBucket": "make the bucket, or correct vaults.objects",
    "InvalidAccessKeyId": "correct vaults.s3.access_key: the store does not recognise it",
    "SignatureDoesNotMatch": "hand in the secret of vaults.s3.access_key again, or correct vaults.s3.region",
    "AuthorizationHeaderMalformed": "correct vaults.s3.region",
    "AccessDenied": "allow the access key to write, read, list and remove in the bucket, and abort uploads",
}
_HSM = Subject("hsm", "organisations whose keys are in it can neither sign nor decrypt")
_LOG_KEY = Subject("hsm.log-key", "anyone with the key of a log can sign another history of it")
_NONE_YET = "no organisation has been added yet"
_FULL, _ALMOST_FULL = 0.98, 0.85


@dataclass(frozen=True, slots=True)
class Foundation:
    """Results that later checks need."""

    keys: KeyStore | None
    unasked: str
    """Reason why the database cannot be asked about organisations; empty if it can."""


async def check_foundation(settings: VaultSettings) -> tuple[list[Finding], Foundation]:
    """Check the database, object store and key store; return the findings and what later checks need."""
    findings: list[Finding] = []
    keys = None
    try:
        keys = await asyncio.to_thread(open_keys, settings)
        findings.append(_KEYS.ok("opens with the passphrase"))
    except KeyStoreError as error:
        findings.append(
            _KEYS.fail(error.text, "docs/keys.md: the passphrase of this key store; or the backup")
        )
    facts = None
    if keys is None:
        findings.append(_REACH.skipped("the administrator's password is in the key store"))
    elif not made(settings):
        findings.append(_REACH.skipped("is created when the first organisation is added"))
    else:
        facts = await _database(settings, keys, findings)
    findings += [each async for each in _objects(settings.objects)]
    return findings, Foundation(keys, _unasked(facts))


def _unasked(facts: DatabaseFacts | None) -> str:
    if facts is None or facts.outdated:
        return "the database cannot be queried"
    return _NONE_YET if facts.disordered is None else ""


async def _database(settings: VaultSettings, keys: KeyStore, findings: list[Finding]) -> DatabaseFacts | None:
    try:
        facts = await examine_database(settings, keys)
    except VaultError as error:
        cause = error.cause if isinstance(error, Temporary) and error.cause else str(error)
        start = "start the database, or correct vaults.database: docs/database.md"
        findings.append(_REACH.fail(cause, error.todo if isinstance(error, ServerBusy) else start))
        return None
    findings.append(_REACH.ok("accepts its administrator's login"))
    findings += judge_database(facts)
    return facts


def judge_database(facts: DatabaseFacts) -> Iterator[Finding]:
    """Judge the state of a database that could be reached."""
    if facts.outdated:
        yield _VERSION.fail(
            f"PostgreSQL {facts.version}", "move the cluster to 17 or newer: docs/database.md"
        )
    else:
        yield _VERSION.ok(f"PostgreSQL {facts.version}")
    if facts.disordered is None:
        yield _RIGHTS.skipped(_NONE_YET)
        return
    hardening = "samdrift database hardening ADMINISTRATOR prints what a superuser runs there"
    if facts.everybody_connects:
        yield _ACCESS.fail(
            "every login of the cluster may connect to it", "restart serve, which revokes that"
        )
    elif facts.unfit and not facts.outdated:
        yield _ACCESS.fail(facts.unfit, "ask for SCRAM in pg_hba.conf: docs/database.md")
    else:
        yield _ACCESS.ok("our logins may connect, by SCRAM")
    if facts.readable_catalogs:
        yield _HARDENING.fail(f"{facts.readable_catalogs} catalogs are readable by every login", hardening)
    else:
        yield _HARDENING.ok("catalogs are closed to the vaults' logins")
    if facts.disordered:
        found = f"{facts.disordered} vaults have the wrong tables or rights"
        yield _RIGHTS.fail(found, "restart serve, which corrects them")
    else:
        yield _RIGHTS.ok("each vault has its own, and no other")
    if facts.excess:
        todo = "docs/database.md#who-else-reaches-the-vaults; a restart of serve takes back what is ours"
        yield _LOGINS.fail("; ".join(facts.excess), todo)
    else:
        yield _LOGINS.ok("each is what it should be")
    yield _durable(facts)
    used, todo = (
        f"{facts.connections} of {facts.room} connections are open",
        "raise max_connections: docs/database.md",
    )
    share = facts.connections / max(1, facts.room)
    if share >= _FULL:
        yield _CONNECTIONS.fail(used, todo)
    elif share >= _ALMOST_FULL:
        yield _CONNECTIONS.warn(used, todo)
    else:
        yield _CONNECTIONS.ok(used)


def _durable(facts: DatabaseFacts) -> Finding:
    if facts.loses:
        found = f"{' and '.join(facts.loses)} off: a crash loses what was committed"
        return _DURABLE.fail(found, "ALTER SYSTEM RESET, each of them; SELECT pg_reload_conf()")
    if facts.failover_loses:
        return _DURABLE.warn(
            "the URL names a standby that commits do not wait for: it may lack committed data",
            "set synchronous_standby_names: docs/database.md#a-standby",
        )
    return _DURABLE.ok("what is committed is on the disk")


async def _objects(place: ObjectPlace) -> AsyncIterator[Finding]:
    before = system_clock()
    try:
        written = await try_out(place)
    except VaultError as error:
        cause = error.cause if isinstance(error, Temporary) and error.cause else str(error)
        todo = "see vaults.objects: that it is there, and that this user may write in it"
        yield _OBJECTS.fail(cause, todo if isinstance(place, Path) else _todo_for(cause))
        return
    yield _OBJECTS.ok("an object was written, listed, read and removed")
    if isinstance(place, Path):
        return
    apart = max(before - written - _SECOND, written - system_clock(), timedelta())
    if apart >= _APART:
        found = f"the store's clock and this machine's differ by {apart.total_seconds():.0f} seconds"
        yield _OBJECTS_CLOCK.warn(found, "set the wrong one: timedatectl")
    else:
        yield _OBJECTS_CLOCK.ok("the store's clock agrees with this machine's")


def _todo_for(cause: str) -> str:
    """Return advice for the error code that the S3 store has answered with."""
    known = (each for word, each in _S3_TODO.items() if word in cause)
    return next(
        known, "docs/objects.md: that it is there, and that the access key may write, list, remove and abort"
    )


async def check_tokens(installation: Administration) -> AsyncIterator[Finding]:
    """Check that each vault with keys in the HSM opens with it."""
    keys, registry = installation.keys, installation.gate.registry
    found = [one for one in registry.all() if keys.in_token(one.vault)]
    if not found:
        yield _HSM.skipped("no organisation has its keys in one")
    for one in found:
        subject = Subject(_HSM.id, _HSM.why, one.organisation.value)
        try:
            await asyncio.to_thread(keys.data_keys, one.vault)
        except Explained as error:
            yield subject.fail(str(error), "docs/hsm.md: the module, the token's label, and its PIN")
        else:
            yield subject.ok(f"opens the vault {one.role.value}")
        yield await _log_key(keys, one)


async def _log_key(keys: KeyStore, vault: Registration) -> Finding:
    """Check where the log signing key of a vault in the HSM is kept."""
    subject = Subject(_LOG_KEY.id, _LOG_KEY.why, f"{vault.organisation.value} {vault.role.value}")
    try:
        match await asyncio.to_thread(keys.log_key_place, vault.vault):
            case LogKeyPlace.HSM | LogKeyPlace.FILE:
                return subject.ok("the log is signed in the HSM")
            case LogKeyPlace.MOVABLE:
                found = "the log is signed with a key in a file that only the HSM opens"
                return subject.warn(found, f"samdrift org use-hsm {vault.organisation.value}")
            case LogKeyPlace.UNSUPPORTED:
                found = "the HSM does not do Ed25519: the log is signed with a key in a file, which it opens"
                return subject.warn(found, "docs/hsm.md: what a module must do")
    except Explained as error:
        return subject.skipped(str(error))


def _soonest(held: Sequence[HeldKey], now: datetime) -> tuple[HeldKey | None, str]:
    """Return the key that ends first of those that servers show, and for which hosts it is shown."""
    shown = shown_keys(held, now)
    ends = [(key.certificate.not_valid_after_utc, key) for key in shown.values() if key.certificate]
    if not ends:
        return None, ""
    _, soonest = min(ends, key=lambda each: each[0])
    hosts = [host for host, key in shown.items() if key is soonest and host]
    return soonest, f" for {', '.join(hosts)}" if hosts else ""


def check_certificates(config: Config, keys: KeyStore, now: datetime) -> Iterator[Finding]:
    """Check the operator's own certificates: the access point's and the TLS server's."""
    wanted = {KeyName.TLS_SERVER: "browsers, clients and peers refuse the connection"}
    if config.access_point is not None:
        wanted[KeyName.ACCESS_POINT] = "peers refuse its signatures and send nothing"
    try:
        held = keys.keys(OPERATOR_KEYS)
    except KeyStoreError as error:
        yield Subject("certificate", "nothing can be served without one").fail(error.text, "docs/keys.md")
        return
    for name, why in wanted.items():
        subject = Subject(f"certificate.{name.value}", why)
        rows = key_rows(held, now, [name])
        used = next((row.key for row in rows if row.in_use and row.key is not None), None)
        used, hosts = _soonest(held, now) if name is KeyName.TLS_SERVER and used is not None else (used, "")
        again = (
            f"samdrift keys request {name.value}, have it certified, samdrift keys install {name.value} FILE"
        )
        if used is None or used.certificate is None:
            waits = any(row.standing is Standing.WAITS for row in rows)
            todo = f"samdrift keys install {name.value} FILE" if waits else again
            yield subject.fail("waits for its certificate" if waits else "there is none", todo)
            continue
        until = used.certificate.not_valid_after_utc
        if until <= now:
            yield subject.fail(f"expired on {until:%Y-%m-%d}{hosts}", again)
        elif (hosts and until - now <= WARNED) or any(row.attention for row in rows):
            yield subject.warn(f"expires on {until:%Y-%m-%d}{hosts}", again)
        else:
            yield subject.ok(f"valid until {until:%Y-%m-%d}")
