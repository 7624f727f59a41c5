"""A worker: serves one organisation in one role with only that vault's keys, or is the catch-all worker."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

from prometheus_client import CollectorRegistry

from samdrift.audit.operations import unexpected
from samdrift.config.hsm import hsm_settings
from samdrift.config.model import Config
from samdrift.config.organisations import OrganisationConfig
from samdrift.config.reader import load
from samdrift.installation.databasecare import NotificationMetrics
from samdrift.installation.doors import Door
from samdrift.installation.expiry import Expiries, expiry_gauge, watching
from samdrift.installation.health import Dependency, Health
from samdrift.installation.listeners import InnerDoors
from samdrift.installation.metrics import named_in_metrics
from samdrift.installation.operator import Parts, put_together
from samdrift.installation.replaceable import registered_clients
from samdrift.installation.vaultsettings import connection_idle
from samdrift.keystore.hsm.locks import Hsm
from samdrift.keystore.hsm.module import Watch
from samdrift.keystore.hsm.store import HsmKeyStore
from samdrift.keystore.interface import KeyStore
from samdrift.keystore.unlocking import HandedUnlocker
from samdrift.net.clock import system_clock
from samdrift.net.guard import guarded
from samdrift.processes.handover import ReaderLogin, WorkerHandOver, copy_folder
from samdrift.processes.logdoor import LogDoor
from samdrift.processes.loglines import name_in_log, write_lines
from samdrift.processes.memory import MemoryMetrics
from samdrift.scheduling.claims import Claimant
from samdrift.vault.database.server import HandedDatabase
from samdrift.vault.gate import Gate
from samdrift.vault.settings import VaultSettings
from samdrift.wire.identifiers import ParticipantIdentifier


@contextlib.asynccontextmanager
async def working(
    handed: WorkerHandOver, sockets: Mapping[Door, socket.socket]
) -> AsyncIterator[Callable[[bytes], None]]:
    """Run the role that was handed over; all listeners are reachable when the context is entered.

    Yields a function that accepts a line with a new login to the registry.
    """
    config = narrowed(load(handed.config), handed)
    write_lines(config.log_lines, name_in_log(handed.kind, handed.organisation))
    vaults = config.vaults
    health = Health(system_clock, elsewhere=[Dependency.SCANNER])  # The supervisor checks the scanner.
    tokens = _tokens(config, handed.pin, health.of_tokens())
    keys = HsmKeyStore(vaults.secrets, HandedUnlocker(handed.keys), tokens)
    database = HandedDatabase(handed.database, handed.reader.name, handed.reader.password)
    settings = VaultSettings(
        vaults.database,
        vaults.objects,
        vaults.secrets,
        vaults.seals,
        b"",
        connections=vaults.connections,
        idle=connection_idle(config),
    )
    only = [handed.vault] if handed.vault is not None else []
    metrics = CollectorRegistry()
    named = named_in_metrics(config)
    metrics.register(MemoryMetrics(handed, named=named))
    async with AsyncExitStack() as stack:
        claimant = Claimant(handed.claimant, frozenset(handed.ended)) if handed.vault is not None else None
        gate = await Gate.start(
            settings, roles=handed.roles, keys=keys, database=database, only=only, claimant=claimant
        )
        stack.push_async_callback(gate.close)
        metrics.register(NotificationMetrics(lambda: gate.failed_notifications))
        await stack.enter_async_context(watching(_expiries(keys, gate, handed, metrics, named=named)))
        doors = InnerDoors(sockets)
        await put_together(
            stack, Parts(config, frozenset(handed.roles), keys, gate, doors, metrics, health=health)
        )
        if handed.organisation is not None:
            whose, (role,) = ParticipantIdentifier(handed.organisation), handed.roles
            log = LogDoor(gate, role, whose, registered_clients(config)).application()
            await doors.open(stack, Door.LOG, guarded(log, unexpected("reading along")))
        yield partial(_replace_reader, database)


def _replace_reader(database: HandedDatabase, line: bytes) -> None:
    reader = ReaderLogin.read(line)
    database.replace_reader(reader.name, reader.password)


def narrowed(config: Config, handed: WorkerHandOver) -> Config:
    """Return the configuration without other organisations, and with the worker's copies of shared files."""
    own = tuple(
        _with_copies(one, handed.name)
        for one in config.organisations
        if one.identifier.value == handed.organisation
    )
    book = config.address_book
    if book is not None:
        book = replace(book, file=_copy_of(book.file, handed.name))
    mail = config.mail
    if mail is not None and mail.password_file is not None:
        mail = replace(mail, password_file=_copy_of(mail.password_file, handed.name))
    return replace(config, organisations=own, address_book=book, mail=mail)


def _copy_of(file: Path, worker: str) -> Path:
    return copy_folder(file, worker) / file.name


def _with_copies(one: OrganisationConfig, worker: str) -> OrganisationConfig:
    """Return the organisation with the worker's own copies of files that several of its workers read."""

    def copied(file: Path) -> Path:
        return _copy_of(file, worker)

    if one.sign_in is not None and one.sign_in.secret_file is not None:
        one = replace(one, sign_in=replace(one.sign_in, secret_file=copied(one.sign_in.secret_file)))
    own = one.log_system
    if own is None:
        return one
    key = None if own.key_file is None else copied(own.key_file)
    return replace(one, log_system=replace(own, certificate=copied(own.certificate), key_file=key))


def _expiries(
    keys: KeyStore, gate: Gate, handed: WorkerHandOver, metrics: CollectorRegistry, *, named: bool
) -> Expiries:
    """Return the certificates' expiries for the metrics only; the supervisor logs warnings.

    The catch-all worker reports the operator's certificates.
    """
    return Expiries(
        keys,
        gate.registry,
        system_clock,
        named,
        expiry_gauge(metrics),
        operators=handed.vault is None,
        warns=lambda: False,
    )


def _tokens(config: Config, pin: str | None, watch: Watch) -> Hsm:
    """Return the HSM with only the organisation's slot, using the PIN that was handed over."""
    named = {one.identifier: one.hsm for one in config.organisations if one.hsm is not None}
    bare = {whose: replace(token, pin_file=None, pin_credential="") for whose, token in named.items()}
    tokens = Hsm(hsm_settings(config.vaults.hsm, bare), watch)
    for organisation in bare if pin is not None else ():
        tokens.take(organisation, pin or "")
    return tokens
