"""The HSMs of an installation, by organisation and by the references that vaults have to them.

A vault with keys in an HSM is locked with it: its secret opens only with a value that is computed by a key
that never leaves the HSM. So without HSM and PIN nothing of the vault opens, including its software keys and
content.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote, quote_from_bytes, unquote, unquote_to_bytes

from samdrift.keystore.hsm import objects
from samdrift.keystore.hsm.module import Token, Watch, module, unwatched
from samdrift.keystore.keyfiles import HsmUnavailable, KeyFault, KeyStoreError
from samdrift.keystore.settings import HsmSettings
from samdrift.wire.identifiers import ParticipantIdentifier

_URI = re.compile(r"pkcs11:token=([^;]+);id=([^;]+);type=secret-key")


@dataclass(frozen=True, slots=True)
class HsmLock:
    """The key in an HSM with which a vault's secret opens, as a URI (RFC 7512)."""

    label: str
    key_id: bytes

    @property
    def uri(self) -> str:
        key_id = quote_from_bytes(self.key_id, safe="")
        return f"pkcs11:token={quote(self.label, safe='')};id={key_id};type=secret-key"

    @classmethod
    def read(cls, uri: str) -> HsmLock:
        """Return the lock that a URI stands for; ``DAMAGED`` if it was not written here."""
        match = _URI.fullmatch(uri)
        if match is None:
            raise KeyStoreError(KeyFault.DAMAGED, "a vault's record of its token cannot be read")
        return cls(unquote(match[1]), unquote_to_bytes(match[2]))


class Hsm:
    """The HSMs that the configuration names; none is contacted until it is used."""

    def __init__(self, settings: HsmSettings | None, watch: Watch = unwatched) -> None:
        self._labels: dict[ParticipantIdentifier, str] = {}
        self._tokens: dict[str, Token] = {}
        if settings is not None:
            library = module(settings.module)
            for organisation, access in settings.tokens.items():
                self._labels[organisation] = access.label
                self._tokens[access.label] = Token(
                    library, access.label, access.pin_file, owner_only=access.owner_only, watch=watch
                )

    def take(self, organisation: ParticipantIdentifier, pin: str) -> None:
        """Log in to the organisation's HSM with this PIN from now on."""
        self._tokens[self._labels[organisation]].take(pin)

    def lock(self, vault: str, organisation: ParticipantIdentifier) -> str | None:
        """Return a new lock for the vault by its organisation's HSM; ``None`` if that has none."""
        label = self._labels.get(organisation)
        if label is None:
            return None
        return HsmLock(label, objects.make_secret(self._tokens[label], vault)).uri

    def open(self, vault: str, uri: str) -> bytes:
        """Return the 32-byte value that the key of a lock computes for the vault."""
        lock = HsmLock.read(uri)
        return objects.authenticate(self.token(uri), lock.key_id, f"samdrift vault {vault}".encode())

    def token(self, uri: str) -> Token:
        """Return the HSM that a lock names; ``UNAVAILABLE`` if the configuration no longer has it."""
        token = self._tokens.get(HsmLock.read(uri).label)
        if token is None:
            raise HsmUnavailable(
                KeyFault.UNAVAILABLE, "the vault's keys are in an HSM that the configuration does not name"
            )
        return token
