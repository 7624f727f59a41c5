"""Peers whose messages do not conform, collected from the logs of all organisations of an installation.

Each organisation is opened for itself, and its log says who asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from samdrift.accesspoint.conformity import clauses_of, is_of_peer
from samdrift.administration.queue import Refusal, TransferQueues
from samdrift.audit.entries import LogEntry
from samdrift.audit.events import AuditEvent
from samdrift.contracts.principals import Principal, PrincipalKind, Role
from samdrift.vault.gate import Gate


@dataclass(frozen=True, slots=True)
class Breach:
    """One message of a peer that was refused."""

    organisation: str
    """Organisation whose log has the entry; empty for the operator's own."""
    entry: LogEntry

    @property
    def reason(self) -> str:
        return self.entry.ids.get("reason", "")

    @property
    def clauses(self) -> tuple[str, ...]:
        return clauses_of(self.reason)


@dataclass(frozen=True, slots=True)
class PeerBreaches:
    """Messages of one access point, with one certificate, that do not conform: the latest first."""

    party: str
    certificate: str
    """SHA-256 of it, in hex."""
    breaches: tuple[Breach, ...]


class PeerRefusals:
    """The refusals of all access points of one installation, as one member of its staff sees them."""

    def __init__(self, gate: Gate, name: str) -> None:
        self._gate = gate
        self._principal = Principal(PrincipalKind.OPERATOR, name)
        self._queues = TransferQueues(gate, name)

    async def since(self, start: datetime, limit: int) -> tuple[PeerBreaches, ...]:
        """Return the peers that were refused since ``start``, those with the most refusals first.

        At most ``limit`` refusals are looked at, the latest.
        """
        found: dict[tuple[str, str], list[Breach]] = {}
        for breach in _breaches(await self._queues.refused(limit), start):
            ids = breach.entry.ids
            found.setdefault((ids.get("peer", ""), ids["certificate"]), []).append(breach)
        peers = [PeerBreaches(*peer, tuple(breaches)) for peer, breaches in found.items()]
        return tuple(sorted(peers, key=lambda peer: (-len(peer.breaches), peer.party, peer.certificate)))

    async def certificate(self, sha256: str) -> bytes | None:
        """Return the certificate of a peer, in DER, from the first vault that has it."""
        for organisation in self._gate.registry.organisations(Role.ACCESS_POINT):
            async with self._gate.operate(self._principal, organisation) as desk:
                certificate = await desk.certificate(sha256)
            if certificate is not None:
                return certificate
        return None

    async def reported(self, peer: PeerBreaches, report: str) -> None:
        """Log that a report was written about a peer; ``report`` is the SHA-256 of its JSON document."""
        await self._gate.operator_log(
            AuditEvent.AP_PEER_REPORTED,
            peer=peer.party,
            certificate=peer.certificate,
            refusals=str(len(peer.breaches)),
            report=report,
            by=self._principal.name,
        )


def _breaches(refusals: Sequence[Refusal], start: datetime) -> Iterator[Breach]:
    for refusal in refusals:
        entry, of_organisation = refusal.entry, bool(refusal.organisation)
        if entry.at >= start and is_of_peer(entry.ids, in_organisations_log=of_organisation):
            yield Breach(refusal.organisation, entry)
