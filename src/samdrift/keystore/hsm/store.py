"""The key store of an installation in which organisations have tokens, beside others that have none.

Where a vault is locked with a token (:mod:`samdrift.keystore.hsm.tokens`), its
keys for signing and decryption are made in that token and used there. What stays
in files under the vault's secret, and so behind the token's PIN: keys of TLS,
which Python's TLS cannot use from a token; keys that sign access tokens, which are
replaced by themselves; data keys, which have to be in memory to encrypt a stream.

A vault that got its token later keeps the keys that were made before until they
are retired: a key cannot be moved into a token so that nobody has had it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Final

from asn1crypto import csr, pem
from asn1crypto.algos import SignedDigestAlgorithm
from asn1crypto.keys import PublicKeyInfo
from asn1crypto.x509 import Name
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from samdrift.keystore import vaultfolder
from samdrift.keystore.choice import now
from samdrift.keystore.confined import TOKEN, remove
from samdrift.keystore.hsm import objects
from samdrift.keystore.hsm.keys import TokenDecryptionKey, TokenSigningKey
from samdrift.keystore.hsm.references import References
from samdrift.keystore.hsm.token import Token
from samdrift.keystore.hsm.tokens import Tokens
from samdrift.keystore.hsm.unlocking import TokenUnlocker
from samdrift.keystore.interface import HeldKey
from samdrift.keystore.keyfiles import KeyFault, KeyName, KeyStoreError, key_name
from samdrift.keystore.software import SoftwareKeyStore, require_strong
from samdrift.keystore.unlocking import Unlocker
from samdrift.wire.crypto.keys import DecryptionKey, SigningKey
from samdrift.wire.identifiers import ParticipantIdentifier

_IN_FILES: Final = frozenset({KeyName.TLS_CLIENT, KeyName.TLS_SERVER})


class TokenKeyStore(SoftwareKeyStore):
    """As the software key store, with the keys of some vaults in tokens."""

    def __init__(
        self, folder: Path, unlocker: Unlocker, tokens: Tokens, clock: Callable[[], datetime] = now
    ) -> None:
        super().__init__(folder, unlocker, clock)
        self._tokens = tokens
        self._known_references: dict[str, References] = {}
        self._known_locks: dict[Path, str] = {}

    def begin(self, vault: str, organisation: ParticipantIdentifier | None = None) -> None:
        """As in software; a new vault is locked with the organisation's token, if that has one."""
        path = self._vault_folder(vault)
        with vaultfolder.writing(path):
            if organisation is not None and vaultfolder.current(path) is None:
                token = self._tokens.lock(vault, organisation)
                if token is not None:
                    self._new_files(vault, *self._locking().token_lock(vault, token))
        super().begin(vault, organisation)

    def use_token(self, vault: str, organisation: ParticipantIdentifier) -> None:
        """Lock a vault with its organisation's token; keys that are made from now on are in it.

        With a new seal; the former one is destroyed, and copies that were made before do not open.
        """
        with vaultfolder.writing(self._vault_folder(vault)):
            self._unlocker.key(vault)
            lock = self._locked(vault).lock
            if lock.token:
                self._unlocker.settle(vault, lock)  # As a call that was killed would have done.
                return
            token = self._tokens.lock(vault, organisation)
            if token is None:
                raise KeyStoreError(KeyFault.MISSING, "the configuration names no token for the organisation")
            self._lock_anew(vault, *self._locking().token_lock(vault, token))

    def create_key(self, vault: str, name: str, subject: x509.Name, bits: int = 3072) -> bytes:
        """As in software, but in the token."""
        key, token = key_name(name), self._token(vault)
        if token is None or key in _IN_FILES:
            return super().create_key(vault, name, subject, bits)
        require_strong(bits)
        made = objects.make_key(token, vault, key, bits, partial(certificate_request, subject))
        with vaultfolder.writing(self._vault_folder(vault)):
            numbers = [held.number for held in super()._held(vault) if held.name is key]
            self._references(vault).add(key, made, after=max(numbers, default=0))
        return made.request

    def install_certificate(
        self,
        vault: str,
        name: str,
        certificate: x509.Certificate,
        chain: tuple[x509.Certificate, ...] = (),
        active_from: datetime | None = None,
    ) -> None:
        """As in software: certificates are no secrets, and stay in files."""
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
        """As in software."""
        return (*self._references(vault).waiting(key_name(name)).values(), *super().waiting(vault, name))

    def destroy(self, vault: str) -> None:
        """As in software; first what is in the token, without which nothing of the vault opens."""
        token = self._token(vault)
        if token is not None:
            objects.destroy_all(token, vault)
        super().destroy(vault)

    def pin(self, vault: str) -> str | None:
        """The PIN of the vault's token, for a process that is for this vault alone; ``None`` without one."""
        token = self._token(vault)
        return token.pin() if token is not None else None

    def _held(self, vault: str) -> list[HeldKey]:
        references, held = self._references(vault), super()._held(vault)
        for name in KeyName:
            held += [HeldKey(name, number, None) for number in references.waiting(name)]
            held += [HeldKey(name, each.file.number, each.certificate) for each in references.installed(name)]
        return held

    def _numbers(self, vault: str, name: KeyName) -> list[int]:
        there = [each.file.number for each in self._references(vault).installed(name)]
        return there + super()._numbers(vault, name)

    def _signing(self, vault: str, name: KeyName) -> Mapping[int, SigningKey]:
        there: dict[int, SigningKey] = {
            each.file.number: TokenSigningKey(self._required(vault), each.key_id, each.certificate)
            for each in self._references(vault).installed(name)
        }
        return {**there, **super()._signing(vault, name)}

    def _decrypting(self, vault: str, name: KeyName) -> Mapping[int, DecryptionKey]:
        there: dict[int, DecryptionKey] = {
            each.file.number: TokenDecryptionKey(self._required(vault), each.key_id, each.certificate)
            for each in self._references(vault).installed(name)
        }
        return {**there, **super()._decrypting(vault, name)}

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
        """The token that the vault is locked with."""
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
            raise KeyStoreError(KeyFault.DAMAGED, "a vault has keys in a token, and is not locked with one")
        return token

    def _references(self, vault: str) -> References:
        known = self._known_references.get(vault)
        if known is None:
            known = self._known_references[vault] = References(self._vault_folder(vault) / TOKEN)
        return known

    def _locking(self) -> TokenUnlocker:
        if not isinstance(self._unlocker, TokenUnlocker):
            raise KeyStoreError(KeyFault.LOCKED, "this process makes no vaults")
        return self._unlocker


def certificate_request(
    subject: x509.Name, public: rsa.RSAPublicKey, sign: Callable[[bytes], bytes]
) -> bytes:
    """The request (PEM); ``sign`` is RSASSA-PKCS1-v1_5 with SHA-256 by the private key of ``public``."""
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
