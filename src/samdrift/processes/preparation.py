"""Everything that a process is handed when it starts: keys, sockets, logins and files."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import logging
import os
import secrets
import socket
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from cryptography import x509

from samdrift.config.model import Config
from samdrift.config.organisations import HOST_KEYS, OrganisationConfig
from samdrift.contracts.principals import Role
from samdrift.installation.doors import Door
from samdrift.installation.listeners import bound_socket
from samdrift.installation.lives import Lives
from samdrift.installation.replaceable import certified
from samdrift.keystore.durablefiles import NotPrivate, private_folder, read_private
from samdrift.keystore.interface import OPERATOR_KEYS, KeyStore
from samdrift.keystore.keyfiles import (
    KeyFault,
    KeyName,
    KeyStoreError,
    decode_key,
    encode_certificates,
    encode_key,
)
from samdrift.net.clock import system_clock
from samdrift.processes.child import Handed, UnixUser
from samdrift.processes.handover import (
    NOBODY,
    FrontHandOver,
    Limits,
    ReaderLogin,
    Routes,
    WorkerHandOver,
    certificate_files,
    copy_folder,
    place_of,
)
from samdrift.processes.survivors import end_survivors
from samdrift.processes.users import Users
from samdrift.vault.gate import Gate
from samdrift.vault.provision import Provisioner
from samdrift.vault.registry import Registration
from samdrift.vault.settings import VaultSettings

_LOGGER = logging.getLogger("samdrift")

WITH_TOKEN_KEYS = frozenset({Role.MESSAGE_SERVICE, Role.MESSAGE_CLIENT, Role.GOVERNANCE})
"""Roles whose vaults have self-renewing keys: for access tokens, or for a client's statements."""


class Handovers:
    """Preparation of the handover for each process, limited to what that process needs."""

    def __init__(
        self,
        config: Config,
        organisations: Callable[[], Sequence[OrganisationConfig]],
        gate: Gate,
        keys: KeyStore,
        folder: Path,
        users: Users,
        readers: Readers,
    ) -> None:
        """Prepare handovers; ``organisations`` returns the currently configured organisations."""
        if config.file is None:
            raise LookupError("the processes read the configuration from its file")
        self.users = users
        self._readers = readers
        self._config = config
        self._organisations = organisations
        self.named = organisations()
        """The organisations in the configuration, as of the last refresh."""
        self._file = config.file
        self._gate = gate
        self._keys = keys
        self._folder = folder
        self._lives = Lives(config)
        isolation = config.isolation
        processes = None if isolation.first_user is None else isolation.processes
        self._limits = Limits(isolation.memory_mb << 20, isolation.open_files, processes)
        self._password = secrets.token_hex(32)
        self._shown: tuple[int, ...] = ()
        self._logged: dict[str, str] = {}
        self._tampered: set[str] = set()
        _let_enter(folder, users.front())

    def refresh(self) -> None:
        """Update the files that processes read by themselves while they run."""
        self.named = self._organisations()
        self.users.let_in(self._config.vaults.secrets / OPERATOR_KEYS)
        with certified(self._keys, KeyName.TLS_SERVER):
            installed = self._keys.installed(OPERATOR_KEYS, KeyName.TLS_SERVER)
        if installed != self._shown:
            self._write_certificates()
            self._shown = installed

    def opening(self, vault: str) -> bytes | None:
        """Return a digest of the key and PIN that open a vault; empty if nothing opens it now.

        ``None`` while the organisation's HSM is unavailable: a process that opened the vault before
        continues.
        """
        try:
            if self._keys.locked(vault) or not self._keys.has_data_key(vault):
                return b""
            opens = self._keys.unlock_key(vault) + (self._keys.pin(vault) or "").encode()
            return hashlib.sha256(opens).digest()
        except KeyStoreError as error:
            self._log_once(vault, error)
            return None if error.fault is KeyFault.UNAVAILABLE else b""

    @property
    def alarms(self) -> int:
        """Return the number of vaults whose key folders have been tampered with."""
        return len(self._tampered)

    def _log_once(self, vault: str, error: KeyStoreError) -> None:
        """Log each cause once, since the keys are checked every second."""
        if error.fault in (KeyFault.LOCKED, KeyFault.MISSING) or self._logged.get(vault) == error.text:
            return
        self._logged[vault] = error.text
        if error.fault is KeyFault.TAMPERED:
            self._tampered.add(vault)
            _LOGGER.error("ALARM: an organisation's keys are not opened: %s", error.text)
        else:
            _LOGGER.warning("supervisor: an organisation's keys cannot be opened: %s", error.text)

    def to_front(self, doors: Sequence[Door], routes: Routes) -> Handed:
        """Prepare the front's handover: the addresses, and the password of the file with the server's key."""
        end_survivors(self.users.front())
        sockets = [bound_socket(self._config, door) for door in doors]
        handed = FrontHandOver(self._file, tuple(doors), self._limits, self._folder, routes, self._password)
        return Handed(handed.line(), sockets, self.users.front())

    def to_worker(
        self, registration: Registration | None, roles: tuple[Role, ...], doors: tuple[Door, ...]
    ) -> Handed:
        """Prepare a worker's handover: its vault's keys, its login to the registry, its sockets and files.

        An access point gets the operator's own keys as well.
        """
        vault = registration.vault if registration is not None else None
        name = registration.public_name if registration is not None else NOBODY
        needed = [vault] if vault is not None else []
        if Role.ACCESS_POINT in roles:
            needed.append(OPERATOR_KEYS)
        user = self._user(registration, roles)
        keys = {each: self._keys.unlock_key(each) for each in needed}
        pin = self._keys.pin(vault) if vault is not None else None
        self._prepare_files(name, registration, roles, user)
        sockets = [self._socket(name, door) for door in doors]
        # Earlier workers of the vault have ended by now.
        ended = self._lives.ended(vault) if vault is not None else frozenset()
        life = self._lives.begin(vault) if vault is not None else None
        handed = WorkerHandOver(
            name=name,
            config=self._file,
            roles=roles,
            doors=doors,
            limits=self._limits,
            organisation=registration.organisation.value if registration is not None else None,
            vault=vault,
            keys=keys,
            pin=pin,
            database=self._gate.database.address,
            reader=self._readers.last(vault),
            claimant=life.name if life is not None else "",
            ended=tuple(ended),
        )
        return Handed(handed.line(), sockets, user, life)

    def end_closed(self, vaults: Collection[str]) -> None:
        """End the remaining processes of users of vaults that are no longer among ``vaults``."""
        for user in self.users.closed(vaults):
            end_survivors(user)

    def renew(self, vault: str) -> None:
        """Create and remove the keys that sign access tokens, since a worker may not write keys."""
        self._keys.renew_token_keys(vault, system_clock().date())

    def _user(self, registration: Registration | None, roles: tuple[Role, ...]) -> UnixUser | None:
        """Return a worker's Unix user, after ending any processes left from an earlier start."""
        if registration is None:
            user = self.users.nobody()
            end_survivors(user)
            return user
        if (known := self.users.known(registration.vault)) is not None:
            end_survivors(UnixUser(known, known))
        self._keys.make_log_key(registration.vault)
        if WITH_TOKEN_KEYS & {*roles}:
            self.renew(registration.vault)
        access_point = registration.role is Role.ACCESS_POINT
        return self.users.of_vault(registration.vault, access_point=access_point)

    def _give_files(self, name: str, registration: Registration, user: UnixUser | None) -> None:
        """Give a worker the files that it reads itself: its organisation's secrets for other services."""
        for one in self.named:
            if one.identifier != registration.organisation:
                continue
            files: list[Path | None] = []
            if registration.role is Role.MESSAGE_SERVICE and one.domibus is not None:
                files.append(one.domibus.password_file)
            if registration.role is Role.MESSAGE_CLIENT and one.message_service is not None:
                files.append(one.message_service.key_file)
            for file in filter(None, files):
                _own(file.resolve(), user)
            copied: list[Path | None] = [*(one.log_system.identity if one.log_system is not None else ())]
            for file in filter(None, copied):
                self._copy(file, name, user)
            if registration.role in HOST_KEYS and one.sign_in is not None and one.sign_in.secret_file:
                self._copy(one.sign_in.secret_file, name, user, read_private)

    def _copy(
        self,
        file: Path,
        worker: str,
        user: UnixUser | None,
        read: Callable[[Path], bytes] = Path.read_bytes,
    ) -> None:
        """Give a worker its own copy of a file that others read as well."""
        folder = private_folder(copy_folder(file, worker))
        if user is not None:
            self.users.let_pass(folder)
        _let_enter(folder, user)
        try:
            _write_for(folder / file.name, read(file), user)
        except OSError as error:
            _LOGGER.warning("supervisor: a file of an organisation cannot be read (%s)", type(error).__name__)
        except NotPrivate:
            text = "supervisor: %s: users other than its owner can read or write it: chmod 600"
            _LOGGER.warning(text, file.name)

    def _prepare_files(
        self,
        name: str,
        registration: Registration | None,
        roles: tuple[Role, ...],
        user: UnixUser | None,
    ) -> None:
        """Give a worker the files that it reads itself, and a folder for its copy of the address book."""
        book, mail = self._config.address_book, self._config.mail
        if registration is not None:
            self._give_files(name, registration, user)
        if Role.MESSAGE_CLIENT in roles and mail is not None and mail.password_file is not None:
            self._copy(mail.password_file, name, user)
        if book is None or not {Role.MESSAGE_SERVICE, Role.MESSAGE_CLIENT} & {*roles}:
            return
        folder = private_folder(copy_folder(book.file, name))
        if user is not None:
            self.users.let_pass(folder)
        _own(folder, user)

    def _socket(self, worker: str, door: Door) -> socket.socket:
        """Create a worker's socket, in a folder that only the front may enter."""
        place = place_of(self._folder, worker, door)
        place.unlink(missing_ok=True)
        sock = socket.socket(socket.AF_UNIX)
        sock.bind(str(place))
        place.chmod(0o600)
        _own(place, self.users.front())
        return sock

    def _write_certificates(self) -> None:
        """Write the server's keys for the front, under a password of their own.

        The key store's password is not used for this, since it opens other keys as well.
        """
        places = certificate_files(self._folder)
        for (file, password), place in zip(self._keys.tls_servers(OPERATOR_KEYS), places, strict=False):
            data = file.read_bytes()
            key = encode_key(decode_key(data, password.encode()), self._password.encode())
            chain = encode_certificates(tuple(x509.load_pem_x509_certificates(data)))
            _write_for(place, key + chain, self.users.front())
        for surplus in itertools.takewhile(Path.exists, places):
            surplus.unlink()


def _write_for(place: Path, data: bytes, user: UnixUser | None) -> None:
    """Write a file for a process into a folder that the process itself cannot write to."""
    draft = place.with_name(f".{place.name}")
    draft.unlink(missing_ok=True)
    draft.touch(0o600)
    draft.write_bytes(data)
    _own(draft, user)
    draft.replace(place)


def _own(path: Path, user: UnixUser | None) -> None:
    if user is not None:
        os.chown(path, user.user, user.group, follow_symlinks=False)


def _let_enter(folder: Path, user: UnixUser | None) -> None:
    """Allow a process to read the files in ``folder``, but not to create any.

    If the process could create a link there, root would write to the link's target and change its owner.
    """
    if user is not None:
        os.chown(folder, os.geteuid(), user.group)
        folder.chmod(0o710)


class Readers:
    """Logins with which workers read the registry: one per worker, created by the administrator's login.

    A worker gets a new login with each start, and logins are not stored. Since a login may change its own
    password and settings, any worker could break a shared one; a login of its own can be broken only by its
    worker, and only until that is restarted.
    """

    def __init__(self, settings: VaultSettings, keys: KeyStore) -> None:
        self._settings = settings
        self._keys = keys
        self._last: dict[str | None, ReaderLogin] = {}
        self._one_at_a_time = asyncio.Lock()

    async def renew(self, vault: str | None) -> ReaderLogin:
        """Create a new login for a vault's worker, or the catch-all worker, and drop the previous one."""
        async with self._one_at_a_time:
            provisioner = await Provisioner.connect(self._settings, keys=self._keys)
            try:
                made = self._last[vault] = ReaderLogin(*await provisioner.new_reader(vault))
            finally:
                await provisioner.close()
        return made

    def last(self, vault: str | None) -> ReaderLogin:
        """Return the login that was created last."""
        return self._last[vault]
