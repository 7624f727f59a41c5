"""The register of issued and revoked certificates, kept in one append-only file.

One line for each event, so that a second start reads it in no time and a crash
loses at most the last line.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509

from samdrift.federation.shapes import Ca
from samdrift.federation.store import FederationError


@dataclass(frozen=True, slots=True)
class Revocation:
    """When a certificate was revoked, and why (RFC 5280 5.3.1)."""

    at: datetime
    reason: x509.ReasonFlags


class Register:
    """Issued certificates by authority and serial number, with their revocations."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._issued: dict[tuple[Ca, int], Revocation | None] = {}
        if path.exists():
            for line in path.read_text("utf-8").splitlines():
                self._read(line)

    def issued(self, ca: Ca, certificate: x509.Certificate) -> None:
        """Note that ``ca`` issued ``certificate``."""
        self._issued[ca, certificate.serial_number] = None
        self._append({"ca": ca, "serial": f"{certificate.serial_number:x}"})

    def revoked(self, ca: Ca, serial: int, revocation: Revocation) -> None:
        """Note a revocation; the first one of a certificate stands."""
        if (ca, serial) not in self._issued:
            raise FederationError("that certificate was not issued here")
        if self._issued[ca, serial] is None:
            self._issued[ca, serial] = revocation
            event = {"ca": ca, "serial": f"{serial:x}"}
            self._append({**event, "revoked": revocation.at.isoformat(), "reason": revocation.reason.name})

    def knows(self, ca: Ca, serial: int) -> bool:
        """Return whether ``ca`` issued a certificate with that number."""
        return (ca, serial) in self._issued

    def revocation(self, ca: Ca, serial: int) -> Revocation | None:
        """The revocation of a certificate, if it has one."""
        return self._issued.get((ca, serial))

    def revocations(self, ca: Ca) -> list[tuple[int, Revocation]]:
        """Serial numbers and revocations of what ``ca`` issued."""
        return [(serial, entry) for (issuer, serial), entry in self._issued.items() if issuer is ca and entry]

    def _append(self, event: dict[str, str]) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(event) + "\n")

    def _read(self, line: str) -> None:
        try:
            event = json.loads(line)
            key = Ca(event["ca"]), int(event["serial"], 16)
            revoked = event.get("revoked")
            self._issued[key] = (
                Revocation(datetime.fromisoformat(revoked), x509.ReasonFlags[event["reason"]])
                if revoked
                else None
            )
        except (ValueError, KeyError, TypeError):
            raise FederationError("the register of issued certificates is damaged") from None
