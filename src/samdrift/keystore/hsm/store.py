"""The key store of an installation in which some organisations have HSMs.

If a vault is locked with an HSM (:mod:`samdrift.keystore.hsm.module`), its keys for signing and decryption
are made and used in that HSM. So is the key that signs its log (:mod:`samdrift.keystore.hsm.logkeys`), if the
HSM makes such keys. Other keys stay in files under the vault's secret, and so behind the HSM's PIN: TLS keys,
which Python's TLS cannot use in an HSM; keys that sign access tokens, which are replaced automatically; and
data keys, which have to be in memory to encrypt a stream.

A vault that got its HSM later keeps its earlier keys until they are retired: moving a key into an HSM
would not undo that it was in a file.

A vault's folder has a reference to each key in the HSM (:class:`References`): its id, its public key,
and its certificate once there is one. These files contain no secret. They are named like those of
software keys, and never change once written either.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Final
from urllib.parse import quote_from_bytes, unquote_to_bytes

import pkcs11
from asn1crypto import csr, pem
from asn1crypto.algos import SignedDigestAlgorithm
from asn1crypto.keys import PublicKeyInfo
from asn1crypto.x509 import Name
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key
from pkcs11 import MGF, Attribute, Mechanism

from samdrift.keystore import confined, vaultfolder
from samdrift.keystore.choice import now
from samdrift.keystore.confined import TOKEN, remove, write_new
from samdrift.keystore.hsm import objects
from samdrift.keystore.hsm.locks import Hsm
from samdrift.keystore.hsm.logkeys import LogReferences
from samdrift.keystore.hsm.module import Session, Token
from samdrift.keystore.hsm.objects import MadeKey
from samdrift.keystore.hsm.unlocking import HsmUnlocker
from samdrift.keystore.interface import HeldKey, LogKeyPlace
from samdrift.keystore.keyfiles import (
    KeyFault,
    KeyFile,
    KeyName,
    KeyStoreError,
    decode_certificate,
    encode_certificates,
    file_name,
    key_name,
)
from samdrift.keystore.selfsigned import self_signed
from samdrift.keystore.software import SoftwareKeyStore, require_strong
from samdrift.keystore.unlocking import Unlocker
from samdrift.keystore.vaultfiles import VaultFiles, log_key_numbers
from samdrift.keystore.vaultfolder import Values, key_files
from samdrift.wire.crypto.keys import DecryptionKey, LogKey, Oaep, OaepNotOffered, SigningKey
from samdrift.wire.errors import WireError, WireFault
from samdrift.wire.identifiers import ParticipantIdentifier

_FORMS: Final = {
    Oaep.SHA1: (Mechanism.SHA_1, MGF.SHA1, None),
    Oaep.SHA256_MGF1_SHA1: (Mechanism.SHA256, MGF.SHA1, None),
    Oaep.SHA256: (Mechanism.SHA256, MGF.SHA256, None),
}

_NOT_OFFERED = (pkcs11.ArgumentsBad, pkcs11.MechanismParamInvalid, pkcs11.MechanismInvalid)

_DOES_NOT_OPEN = (
    pkcs11.EncryptedDataInvalid,
    pkcs11.EncryptedDataLenRange,
    pkcs11.DataInvalid,
    pkcs11.DataLenRange,
)

_UNCLEAR = (pkcs11.GeneralError, pkcs11.FunctionFailed)
_URI = re.compile(rb"pkcs11:id=((?:%[0-9A-F]{2}|[0-9A-Za-z._~-])+);type=private\n")
_RETIRED = ".retired"
_IN_FILES: Final = frozenset({KeyName.TLS_CLIENT, KeyName.TLS_SERVER})


class HsmKeyStore(SoftwareKeyStore):
    """The software key store, with the keys of some vaults in HSMs."""

    def __init__(
        self, folder: Path, unlocker: Unlocker, tokens: Hsm, clock: Callable[[], datetime] = now
    ) -> None:
        super().__init__(folder, unlocker, clock)
        self._tokens = tokens
        self._known_references: dict[str, References] = {}
        self._known_locks: dict[Path, str] = {}

    def begin(self, vault: str, organisation: ParticipantIdentifier | None = None) -> None:
        """Begin a vault as in software; a new one is locked with the organisation's HSM, if that has one."""
        path = self._vault_folder(vault)
        with vaultfolder.writing(path):
            if organisation is not None and vaultfolder.current(path) is None:
                token = self._tokens.lock(vault, organisation)
                if token is not None:
                    self._new_files(vault, *self._locking().hsm_lock(vault, token))
        super().begin(vault, organisation)

    def use_hsm(self, vault: str, organisation: ParticipantIdentifier) -> None:
        """Lock a vault with its organisation's HSM, in which its keys are made from now on.

        The vault gets a new seal. The former one is destroyed, so copies that were made before do not open.
        """
        with vaultfolder.writing(self._vault_folder(vault)):
            self._unlocker.key(vault)
            lock = self._locked(vault).lock
            if lock.token:
                self._unlocker.settle(vault, lock)  # Finish what an interrupted call may have left undone.
            else:
                token = self._tokens.lock(vault, organisation)
                if token is None:
                    text = "no token is configured for the organisation"
                    raise KeyStoreError(KeyFault.MISSING, text)
                self._lock_anew(vault, *self._locking().hsm_lock(vault, token))
            if self.log_key_place(vault) is LogKeyPlace.MOVABLE:
                self._add_hsm_log_key(vault)

    def create_key(
        self, vault: str, name: str, subject: x509.Name, bits: int = 3072, *, hosts: Sequence[str] = ()
    ) -> bytes:
        """Make a key in the vault's HSM; without one, and for TLS, make it in software."""
        key, token = key_name(name), self._token(vault)
        if token is None or key in _IN_FILES:
            return super().create_key(vault, name, subject, bits, hosts=hosts)
        require_strong(bits)
        made = objects.make_key(token, vault, key, bits, partial(certificate_request, subject))
        with vaultfolder.writing(self._vault_folder(vault)):
            self._add(vault, key, made)
        return made.request

    def create_certified_key(
        self,
        vault: str,
        name: str,
        subject: x509.Name,
        until: datetime,
        bits: int = 3072,
        *,
        active_from: datetime | None = None,
    ) -> x509.Certificate:
        """Make a key in the vault's HSM; without one, and for TLS, make it in software."""
        key, token = key_name(name), self._token(vault)
        if token is None or key in _IN_FILES:
            return super().create_certified_key(vault, name, subject, until, bits, active_from=active_from)
        require_strong(bits)
        own = partial(self_signed, subject, (self._clock(), until))
        made = objects.make_key(token, vault, key, bits, own)
        certificate = x509.load_pem_x509_certificate(made.request)
        with vaultfolder.writing(self._vault_folder(vault)):
            self._add(vault, key, made)
        self.install_certificate(vault, name, certificate, (), active_from)
        return certificate

    def install_certificate(
        self,
        vault: str,
        name: str,
        certificate: x509.Certificate,
        chain: tuple[x509.Certificate, ...] = (),
        active_from: datetime | None = None,
    ) -> None:
        """Install a certificate as in software: certificates are not secret, and stay in files."""
        references, key = self._references(vault), key_name(name)
        if certificate.public_key() in references.waiting(key).values():
            with vaultfolder.writing(self._vault_folder(vault)):
                for number, public in references.waiting(key).items():
                    if public == certificate.public_key():
                        if active_from is not None:
                            self._states(vault).activate(key, number, active_from)
                        references.install(key, number, (certificate, *chain))
                        return
        super().install_certificate(vault, name, certificate, chain, active_from)

    def waiting(self, vault: str, name: str) -> tuple[rsa.RSAPublicKey, ...]:
        """Return the keys that wait for a certificate, as in software."""
        return (*self._references(vault).waiting(key_name(name)).values(), *super().waiting(vault, name))

    def log_key_place(self, vault: str) -> LogKeyPlace:
        """Return the place of the newest log key; for one in a file, also whether the HSM could make one."""
        token = self._token(vault)
        if token is None:
            return LogKeyPlace.FILE
        if self._log_references(vault).numbers():
            return LogKeyPlace.HSM
        if not objects.offers_log_keys(token):
            return LogKeyPlace.UNSUPPORTED
        return LogKeyPlace.MOVABLE if super()._has_log_key(vault) else LogKeyPlace.HSM

    def destroy(self, vault: str) -> None:
        """Destroy a vault's keys, those in the HSM first; without those nothing of the vault opens."""
        token = self._token(vault)
        if token is not None:
            objects.destroy_all(token, vault)
        super().destroy(vault)

    def pin(self, vault: str) -> str | None:
        """Return the PIN of the vault's HSM, for a process of this vault alone; ``None`` without one."""
        token = self._token(vault)
        return token.pin() if token is not None else None

    def _add(self, vault: str, key: KeyName, made: objects.MadeKey) -> None:
        numbers = [held.number for held in super()._held(vault) if held.name is key]
        self._references(vault).add(key, made, after=max(numbers, default=0))

    def _held(self, vault: str) -> list[HeldKey]:
        references, held = self._references(vault), super()._held(vault)
        for name in KeyName:
            held += [HeldKey(name, number, None) for number in references.waiting(name)]
            held += [HeldKey(name, each.file.number, each.certificate) for each in references.installed(name)]
        return held

    def _numbers(self, vault: str, name: KeyName, values: Values) -> list[int]:
        there = [each.file.number for each in self._in_token(vault, name, values)]
        return there + super()._numbers(vault, name, values)

    def _signing(self, vault: str, name: KeyName, values: Values) -> Mapping[int, SigningKey]:
        there: dict[int, SigningKey] = {
            each.file.number: HsmSigningKey(self._required(vault), each.key_id, each.certificate)
            for each in self._in_token(vault, name, values)
        }
        return {**there, **super()._signing(vault, name, values)}

    def _decrypting(self, vault: str, name: KeyName, values: Values) -> Mapping[int, DecryptionKey]:
        there: dict[int, DecryptionKey] = {
            each.file.number: HsmDecryptionKey(self._required(vault), each.key_id, each.certificate)
            for each in self._in_token(vault, name, values)
        }
        return {**there, **super()._decrypting(vault, name, values)}

    def _in_token(self, vault: str, name: KeyName, values: Values) -> list[Reference]:
        return values.of(("in token", name), partial(self._references(vault).installed, name))

    def _has_log_key(self, vault: str) -> bool:
        return bool(self._log_references(vault).numbers()) or super()._has_log_key(vault)

    def _log_keys(self, vault: str) -> Mapping[int, LogKey]:
        there = self._log_references(vault).keys(lambda: self._required(vault))
        return {**super()._log_keys(vault), **there}

    def _add_log_key(self, vault: str, files: VaultFiles) -> None:
        """Make a log key in the HSM, or in a file if there is no HSM or it cannot make one."""
        if self.log_key_place(vault) in (LogKeyPlace.HSM, LogKeyPlace.MOVABLE):
            self._add_hsm_log_key(vault)
        else:
            super()._add_log_key(vault, files)

    def _add_hsm_log_key(self, vault: str) -> None:
        """Make a log key in the HSM, numbered above those in files, within :func:`vaultfolder.writing`."""
        folder = vaultfolder.current(self._vault_folder(vault))
        in_files = log_key_numbers(folder) if folder is not None else []
        made = objects.make_log_key(self._required(vault), vault)
        self._log_references(vault).add(made, after=max(in_files, default=0))

    def _log_references(self, vault: str) -> LogReferences:
        return LogReferences(self._vault_folder(vault) / TOKEN)

    def _remove(self, vault: str, name: KeyName, number: int) -> None:
        references = self._references(vault)
        if number in references.numbers(name):
            references.set_aside(name, number)
            self._finish_removals(vault)
        else:
            super()._remove(vault, name, number)

    def _finish_removals(self, vault: str) -> None:
        for path, key_id in self._references(vault).aside():
            objects.destroy(self._required(vault), key_id)
            remove(path)

    def _token(self, vault: str) -> Token | None:
        """Return the HSM with which the vault is locked, if any."""
        folder = vaultfolder.current(self._vault_folder(vault))
        if folder is None:
            return None
        uri = self._known_locks.get(folder)
        if uri is None:
            uri = self._known_locks[folder] = self._locked(vault).lock.token
        return self._tokens.token(uri) if uri else None

    def _required(self, vault: str) -> Token:
        token = self._token(vault)
        if token is None:
            raise KeyStoreError(KeyFault.DAMAGED, "a vault has keys in a token but is not locked with one")
        return token

    def _references(self, vault: str) -> References:
        known = self._known_references.get(vault)
        if known is None:
            known = self._known_references[vault] = References(self._vault_folder(vault) / TOKEN)
        return known

    def _locking(self) -> HsmUnlocker:
        if not isinstance(self._unlocker, HsmUnlocker):
            raise KeyStoreError(KeyFault.LOCKED, "this process cannot create vaults")
        return self._unlocker


def certificate_request(
    subject: x509.Name, public: rsa.RSAPublicKey, sign: Callable[[bytes], bytes]
) -> bytes:
    """Return the request (PEM); ``sign`` returns RSASSA-PKCS1-v1_5 with SHA-256 by the key of ``public``."""
    info = csr.CertificationRequestInfo(
        {
            "version": "v1",
            "subject": Name.load(subject.public_bytes()),
            "subject_pk_info": PublicKeyInfo.load(
                public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
            ),
            "attributes": [],
        }
    )
    request = csr.CertificationRequest(
        {
            "certification_request_info": info,
            "signature_algorithm": SignedDigestAlgorithm({"algorithm": "sha256_rsa"}),
            "signature": sign(info.dump()),
        }
    )
    return bytes(pem.armor("CERTIFICATE REQUEST", request.dump()))


class HsmSigningKey:
    """An RSA key that signs in an HSM, with its certificate."""

    remote = True

    def __init__(self, token: Token, key_id: bytes, certificate: x509.Certificate) -> None:
        self._token = token
        self._key_id = key_id
        self.certificate = certificate

    def sign(self, data: bytes) -> bytes:
        """Return the RSASSA-PKCS1-v1_5 signature of ``data`` with SHA-256."""
        return objects.sign(self._token, self._key_id, data)


class HsmDecryptionKey:
    """An RSA key that unwraps session keys in an HSM, with its certificate."""

    remote = True

    def __init__(self, token: Token, key_id: bytes, certificate: x509.Certificate) -> None:
        self._token = token
        self._key_id = key_id
        self.certificate = certificate

    def unwrap(self, wrapped: bytes, oaep: Oaep) -> bytes:
        """Return the session key, as :class:`samdrift.wire.crypto.keys.DecryptionKey` specifies.

        The padding is removed in the HSM. There is no fallback to bare RSA: a key that offers it to any
        caller is an oracle, and we should not invent our own code for removing the padding in constant time.
        """
        return self._token.use(lambda session: self._unwrap(session, wrapped, oaep))

    def _unwrap(self, session: Session, wrapped: bytes, oaep: Oaep) -> bytes:
        key = session.private_key(self._key_id)
        try:
            opened = key.decrypt(wrapped, mechanism=Mechanism.RSA_PKCS_OAEP, mechanism_param=_FORMS[oaep])
        except _NOT_OFFERED:
            raise OaepNotOffered from None
        except _DOES_NOT_OPEN:
            raise _undecryptable() from None
        except _UNCLEAR:
            _ = key[Attribute.MODULUS]  # Raises if the token failed, rather than the ciphertext.
            raise _undecryptable() from None
        return bytes(opened)


def _undecryptable() -> WireError:
    return WireError(WireFault.DECRYPTION, "cannot be decrypted")


@dataclass(frozen=True, slots=True)
class Reference:
    """A key in the HSM that has its certificate."""

    file: KeyFile
    key_id: bytes
    certificate: x509.Certificate


class References:
    """References to keys in an HSM: the files in ``folder``, which may be missing."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[Path, Reference] = {}

    def numbers(self, name: KeyName) -> list[int]:
        """Return the numbers of all keys, the newest first, with or without a certificate."""
        return [file.number for file in key_files(self._folder, name)]

    def waiting(self, name: KeyName) -> dict[int, rsa.RSAPublicKey]:
        """Return the keys without a certificate, by number."""
        files = [file for file in key_files(self._folder, name) if not file.installed]
        return {file.number: _public_key(confined.read(file.path)) for file in files}

    def installed(self, name: KeyName) -> list[Reference]:
        """Return the keys with certificates, the newest first."""
        files = [file for file in key_files(self._folder, name) if file.installed]
        for file in files:
            if file.path not in self._known:
                self._known[file.path] = _read(file)
        return [self._known[file.path] for file in files]

    def add(self, name: KeyName, made: MadeKey, after: int) -> None:
        """Store a reference to a key that waits for its certificate, with a number above ``after``."""
        confined.make(self._folder)
        data = (
            f"pkcs11:id={quote_from_bytes(made.key_id, safe='')};type=private\n".encode()
            + made.public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        )
        number = max([after, *self.numbers(name)]) + 1
        while not write_new(self._folder / file_name(name, number), data):
            number += 1

    def install(self, name: KeyName, number: int, certificates: tuple[x509.Certificate, ...]) -> None:
        """Put a waiting key to use, with its certificate and those of its issuers."""
        path = self._folder / file_name(name, number)
        write_new(path.with_suffix(".pem"), confined.read(path) + encode_certificates(certificates))
        remove(path)

    def set_aside(self, name: KeyName, number: int) -> None:
        """Stop using a key, which stays in :meth:`aside` until it is destroyed in the HSM."""
        for file in key_files(self._folder, name):
            if file.number == number:
                if file.installed:  # A kill during the installation may have left the .key file too.
                    remove(file.path.with_suffix(".key"))
                confined.rename(file.path, file.path.with_suffix(_RETIRED).name)

    def aside(self) -> list[tuple[Path, bytes]]:
        """List the references that were set aside, each with its key's id.

        A reference is to be removed once its key is destroyed.
        """
        paths = [self._folder / name for name in confined.names(self._folder) if name.endswith(_RETIRED)]
        return [(path, _key_id(confined.read(path))) for path in paths]


def _read(file: KeyFile) -> Reference:
    data = confined.read(file.path)
    certificate = decode_certificate(data)
    if _public_key(data) != certificate.public_key():
        raise _damaged()
    return Reference(file, _key_id(data), certificate)


def _key_id(data: bytes) -> bytes:
    match = _URI.match(data)
    if match is None:
        raise _damaged()
    return unquote_to_bytes(match[1])


def _public_key(data: bytes) -> rsa.RSAPublicKey:
    try:
        key = load_pem_public_key(data)
    except ValueError:
        key = None
    if not isinstance(key, rsa.RSAPublicKey):
        raise _damaged()
    return key


def _damaged() -> KeyStoreError:
    return KeyStoreError(KeyFault.DAMAGED, "the file of a key in a token cannot be read")
