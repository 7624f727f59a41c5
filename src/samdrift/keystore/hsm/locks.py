"""The tokens of an installation, by organisation and by what vaults remember of theirs.

A vault whose keys are in a token is locked with it: its secret opens only with
what a key computes that is in the token and stays there. So without token and
PIN nothing of the vault opens, its software keys and content included.
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
    """Key in an HSM that a vault's secret opens with, as a URI (RFC 7512)."""

    label: str
    key_id: bytes

    @property
    def uri(self) -> str:
        key_id = quote_from_bytes(self.key_id, safe="")
        return f"pkcs11:token={quote(self.label, safe='')};id={key_id};type=secret-key"

    @classmethod
    def read(cls, uri: str) -> HsmLock:
        """``DAMAGED`` for what was not written here."""
        match = _URI.fullmatch(uri)
        if match is None:
            raise KeyStoreError(KeyFault.DAMAGED, "what a vault knows of its token cannot be read")
        return cls(unquote(match[1]), unquote_to_bytes(match[2]))


class Hsm:
    """The tokens that the configuration names; nothing is asked of any until it is used."""

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
        """Log in to the organisation's token with this PIN from now on."""
        self._tokens[self._labels[organisation]].take(pin)

    def lock(self, vault: str, organisation: ParticipantIdentifier) -> str | None:
        """A new lock for the vault by its organisation's token; ``None`` when that has none."""
        label = self._labels.get(organisation)
        if label is None:
            return None
        return HsmLock(label, objects.make_secret(self._tokens[label], vault)).uri

    def open(self, vault: str, uri: str) -> bytes:
        """Return the value that the key of a lock computes for the vault, 32 bytes."""
        lock = HsmLock.read(uri)
        return objects.authenticate(self.token(uri), lock.key_id, f"samdrift vault {vault}".encode())

    def token(self, uri: str) -> Token:
        """The token that a lock names; ``UNAVAILABLE`` when the configuration no longer has it."""
        token = self._tokens.get(HsmLock.read(uri).label)
        if token is None:
            raise HsmUnavailable(
                KeyFault.UNAVAILABLE, "the vault's keys are in an HSM that the configuration does not name"
            )
        return token
