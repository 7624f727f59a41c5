"""The state of an organisation's keys, and which of them need attention. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from cryptography import x509

from samdrift.keystore.interface import HeldKey
from samdrift.keystore.keyfiles import KeyName
from samdrift.trust.keycertificate import KeyPurpose
from samdrift.wire.crypto.certificates import hosts_of, is_valid, names_host, shown_for

WARNED = timedelta(days=30)
"""Time before a certificate expires in which a warning is shown, long enough to have a new one issued."""

PURPOSES = {
    KeyName.SIGNING: KeyPurpose.SIGNATURE,
    KeyName.ENCRYPTION: KeyPurpose.DECRYPTION,
    KeyName.TLS_CLIENT: KeyPurpose.TLS_CLIENT,
    KeyName.LOG_SIGNING: KeyPurpose.SIGNATURE,
}
"""An organisation's keys, each with the purpose that its certificate is for."""


class Standing(StrEnum):
    """Current standing of a key, in words for people."""

    WAITS = "waits for its certificate"
    PLANNED = "planned"
    IN_USE = "in use"
    OLD = "old"
    REVOKED = "revoked"
    COMPROMISED = "compromised"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class KeyRow:
    """One key of an organisation, or the place of one that is missing."""

    name: KeyName
    standing: Standing
    key: HeldKey | None = None
    attention: str = ""
    """Matter that needs attention, if any."""

    @property
    def in_use(self) -> bool:
        return self.standing is Standing.IN_USE

    def days_left(self, now: datetime) -> int | None:
        """Return the whole days until the certificate expires; negative afterwards."""
        if self.key is None or self.key.certificate is None:
            return None
        return (self.key.certificate.not_valid_after_utc - now) // timedelta(days=1)


def key_rows(
    held: Iterable[HeldKey], now: datetime, names: Iterable[KeyName] = tuple(PURPOSES)
) -> list[KeyRow]:
    """Return every key, by name and newest first, and a row for each name without a key in use."""
    held = list(held)
    return [row for name in names for row in _rows(name, [key for key in held if key.name is name], now)]


def not_used(key: HeldKey, held: Iterable[HeldKey], at: datetime) -> str:
    """Return the reason why a key could not be the one in use at a given time; empty if it could be."""
    if key.certificate is None:
        return "that key has no certificate yet"
    if key.state.revoked:
        return "that key was revoked, which cannot be undone: make a new one"
    if not key.certificate.not_valid_before_utc <= at <= key.certificate.not_valid_after_utc:
        return "the certificate of that key is not valid then"
    newer = [
        one.number for one in held if one.name is key.name and one.number > key.number and _used(one, at)
    ]
    if newer:
        return f"key {max(newer)} is newer and is used then: decide on a later time for it, or revoke it"
    return ""


def server_keys(held: Iterable[HeldKey], now: datetime) -> list[HeldKey]:
    """Return the keys of TLS servers with a certificate that may be shown now, in the order of preference."""
    keys = [key for key in held if key.name is KeyName.TLS_SERVER and _used(key, now)]
    return sorted(keys, key=lambda key: key.number, reverse=True)


def shown_keys(held: Iterable[HeldKey], now: datetime) -> dict[str, HeldKey]:
    """Return the server key that is shown for each host that any certificate names, and for no host."""
    keys = server_keys(held, now)
    certificates = [key.certificate for key in keys if key.certificate is not None]
    hosts = dict.fromkeys(host for each in certificates for host in hosts_of(each))
    return {host: keys[shown_for(certificates, host, now)] for host in ("", *hosts)} if keys else {}


def last_valid(held: Iterable[HeldKey], number: int, now: datetime) -> list[str]:
    """Return the hosts that would be left without a valid certificate if a server key were destroyed."""
    held = list(held)
    others = [key for key in held if (key.name, key.number) != (KeyName.TLS_SERVER, number)]
    then = {host: key.certificate for host, key in shown_keys(others, now).items()}

    def shows(host: str, certificate: x509.Certificate | None) -> bool:
        named = certificate is not None and (not host or names_host(certificate, host))
        return named and certificate is not None and is_valid(certificate, now)

    before = shown_keys(held, now).items()
    return [host for host, key in before if shows(host, key.certificate) and not shows(host, then.get(host))]


def _used(key: HeldKey, at: datetime) -> bool:
    return key.certificate is not None and key.state.in_use(at)


def _rows(name: KeyName, keys: Sequence[HeldKey], now: datetime) -> Iterator[KeyRow]:
    newest = sorted(keys, key=lambda key: key.number, reverse=True)
    current = next((key for key in newest if _used(key, now)), None)
    if current is None:
        yield KeyRow(name, Standing.MISSING, attention="no key of this name is in use")
    for key in newest:
        standing = _standing(key, now, current)
        attention = _expiring(key, newest, now) if key is current else ""
        yield KeyRow(name, standing, key, attention)


def _standing(key: HeldKey, now: datetime, current: HeldKey | None) -> Standing:
    if key.state.compromised:
        return Standing.COMPROMISED
    if key.state.revoked:
        return Standing.REVOKED
    if key.certificate is None:
        return Standing.WAITS
    if key.state.planned(now):
        return Standing.PLANNED
    return Standing.IN_USE if key is current else Standing.OLD


def _expiring(key: HeldKey, keys: Iterable[HeldKey], now: datetime) -> str:
    """Return a warning if the certificate of the key in use ends soon, or has ended, without a successor."""
    if key.certificate is None:
        return ""
    end = key.certificate.not_valid_after_utc
    if end <= now:
        return "its certificate has expired"
    successors = (one for one in keys if one.certificate is not None and one.state.planned(now))
    if end - now > WARNED or any((one.state.active_from or now) < end for one in successors):
        return ""
    return f"its certificate expires within {WARNED.days} days, and no other key is to take over"
