"""Peers whose messages do not conform: collected from the logs, and reported to DIGG.

:class:`PeerRefusals` opens each organisation of the installation separately, and the organisation's log
records the requester.

:func:`write_report` creates the report about one peer (operator-common-rules 4.1.1 a), which is ready to be
sent: a text in Swedish, the same as JSON, the peer's certificate, and the log entries that show each refusal.
It includes no content of a message; the messages were deleted.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from samdrift.accesspoint.refusals import clauses_of, is_of_peer
from samdrift.administration.events import AdminEvent
from samdrift.administration.queue import Refusal, TransferQueues
from samdrift.audit.entries import LogEntry
from samdrift.config.errors import printable
from samdrift.contracts.principals import NOT_PROVEN, Principal, PrincipalKind, Proof, Role
from samdrift.vault.gate import Gate
from samdrift.wire.identifiers import ParticipantIdentifier

TEXT_FILE = "rapport.txt"
DOCUMENT_FILE = "rapport.json"
EVIDENCE_FILE = "bevis.jsonl"
CERTIFICATE_FILE = "certifikat.pem"
FORMAT = "samdrift peer report"
VERSION = 1
_NAMED = ("as4", "conversation", "envelope", "message_type", "sender", "recipient")


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
    """Nonconforming messages of one access point with one certificate, the latest first."""

    party: str
    certificate: str
    """SHA-256 of the certificate, in hex."""
    breaches: tuple[Breach, ...]


class PeerRefusals:
    """Refusals by all access points of one installation, as accessed by one member of its staff."""

    def __init__(self, gate: Gate, name: str, proof: Proof = NOT_PROVEN) -> None:
        self._gate = gate
        self._name = name
        self._proof = proof
        self.unreached: Mapping[ParticipantIdentifier, str] = {}
        """Organisations whose vaults could not be opened, with the reason."""

    async def since(self, start: datetime, limit: int) -> tuple[PeerBreaches, ...]:
        """Return the peers that were refused since ``start``, those with the most refusals first.

        At most the latest ``limit`` refusals are considered.
        """
        return by_peer(await self._refused(self._proof, limit), start)

    async def of(self, peer: str, start: datetime, limit: int) -> tuple[PeerBreaches, ...]:
        """Return the result of :meth:`since` for one peer, by its party or the SHA-256 of its certificate.

        The proof names the peer, with which other organisations may have no contact: their logs record
        that they were searched, and refer to the operator's log for the proof.
        """
        facts = {"command": "peers report", "by": self._name, **self._proof.facts()}
        await self._gate.operator_log(AdminEvent.ORGANISATION_COMMAND, **facts)
        found = await self._refused(self._proof.elsewhere(), limit)
        return tuple(one for one in by_peer(found, start) if peer in (one.party, one.certificate))

    async def _refused(self, proof: Proof, limit: int) -> Sequence[Refusal]:
        queues = TransferQueues(self._gate, self._name, proof=proof)
        found = await queues.refused(limit)
        self.unreached = queues.unreached
        return found

    async def certificate(self, peer: PeerBreaches) -> bytes | None:
        """Return the certificate of a peer, in DER, from the first vault that has it.

        Only organisations whose refusals are reported get the proof of identity in their logs.
        """
        concerned = {each.organisation for each in peer.breaches}
        found: bytes | None = None
        for organisation in self._gate.registry.organisations(Role.ACCESS_POINT):
            if organisation.value in concerned:
                found = await self._certificate(organisation, peer.certificate, self._proof) or found
        for organisation in self._gate.registry.organisations(Role.ACCESS_POINT):
            if found is None and organisation.value not in concerned:
                found = await self._certificate(organisation, peer.certificate, self._proof.elsewhere())
        return found

    async def _certificate(
        self, organisation: ParticipantIdentifier, sha256: str, proof: Proof
    ) -> bytes | None:
        if organisation in self.unreached:
            return None
        principal = Principal(PrincipalKind.OPERATOR, self._name, proof=proof)
        async with self._gate.operate(principal, organisation) as desk:
            return await desk.certificate(sha256)

    async def reported(self, peer: PeerBreaches, report: str) -> None:
        """Log that a report was written about a peer; ``report`` is the SHA-256 of its JSON document."""
        await self._gate.operator_log(
            AdminEvent.AP_PEER_REPORTED,
            peer=peer.party,
            certificate=peer.certificate,
            refusals=str(len(peer.breaches)),
            report=report,
            by=self._name,
            **self._proof.facts(),
        )


def by_peer(refusals: Sequence[Refusal], start: datetime) -> tuple[PeerBreaches, ...]:
    """Return the peers that were refused since ``start``, those with the most refusals first."""
    found: dict[tuple[str, str], list[Breach]] = {}
    for breach in _breaches(refusals, start):
        ids = breach.entry.ids
        found.setdefault((ids.get("peer", ""), ids["certificate"]), []).append(breach)
    peers = [PeerBreaches(*peer, tuple(breaches)) for peer, breaches in found.items()]
    return tuple(sorted(peers, key=lambda peer: (-len(peer.breaches), peer.party, peer.certificate)))


def _breaches(refusals: Sequence[Refusal], start: datetime) -> Iterator[Breach]:
    for refusal in refusals:
        entry, of_organisation = refusal.entry, bool(refusal.organisation)
        if entry.at >= start and is_of_peer(entry.ids, in_organisations_log=of_organisation):
            yield Breach(refusal.organisation, entry)


@dataclass(frozen=True, slots=True)
class Reporter:
    """The access point that reports, in its environment and federation."""

    party: str
    environment: str
    federation: str


def write_report(
    peer: PeerBreaches, certificate: bytes | None, reporter: Reporter, at: datetime
) -> Mapping[str, bytes]:
    """Return the files of the report, by their names.

    Clauses: accesspoint-test-cases 6.2.4 TF-09; transport-model-base 2.9.5 sentence 1.
    """
    files = {
        TEXT_FILE: _text(peer, reporter, at, kept=certificate is not None).encode(),
        DOCUMENT_FILE: _json(_document(peer, reporter, at), indent=2),
        EVIDENCE_FILE: b"".join(_json(_evidence(breach)) for breach in peer.breaches),
    }
    if certificate is not None:
        pem = x509.load_der_x509_certificate(certificate).public_bytes(Encoding.PEM)
        files[CERTIFICATE_FILE] = pem
    return files


def _document(peer: PeerBreaches, reporter: Reporter, at: datetime) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "version": VERSION,
        "madeAt": at.isoformat(),
        "reporter": {
            "accessPoint": reporter.party,
            "environment": reporter.environment,
            "federation": reporter.federation,
        },
        "peer": {"accessPoint": peer.party, "certificateSha256": peer.certificate},
        "refusals": [_refusal(breach, number) for number, breach in enumerate(peer.breaches, 1)],
    }


def _refusal(breach: Breach, line: int) -> dict[str, Any]:
    ids = breach.entry.ids
    return {
        "at": breach.entry.at.isoformat(),
        **{name: ids[name] for name in _NAMED if name in ids},
        "reason": breach.reason,
        "clauses": list(breach.clauses),
        "evidenceLine": line,
    }


def _evidence(breach: Breach) -> dict[str, Any]:
    """Return an entry as recorded in its log, with the data that its hash is computed from."""
    return {"log": breach.organisation or "operator", **breach.entry.document()}


def _json(document: dict[str, Any], indent: int | None = None) -> bytes:
    return (json.dumps(document, ensure_ascii=False, indent=indent) + "\n").encode()


def _text(peer: PeerBreaches, reporter: Reporter, at: datetime, *, kept: bool) -> str:
    """Return the text; values chosen by a peer are escaped, so that they can neither hide nor add a line."""
    first, last = peer.breaches[-1].entry.at, peer.breaches[0].entry.at
    certificate = f"bifogat i {CERTIFICATE_FILE}" if kept else "endast fingeravtrycket är sparat"
    lines = [
        "Till Digg, plattformsansvarig för eDelivery",
        "",
        "FÖLJSAMHETSFEL: motpart som inte agerar på ett följsamt sätt",
        "Rapport enligt Accesspunktsoperatör – Gemensamma regler och rutiner, 4.1.1 [a]",
        "",
        f"Rapporterande accesspunkt:  {reporter.party}",
        f"Miljö och federation:       {reporter.environment}, {reporter.federation}",
        f"Rapporten skapad:           {_time(at)}",
        "",
        f"Motpartens accesspunkt:     {peer.party}",
        f"Motpartens certifikat:      SHA-256 {peer.certificate} ({certificate})",
        f"Antal nekade meddelanden:   {len(peer.breaches)}",
        f"Period:                     {_time(first)} till {_time(last)}",
        "",
        "Signaturen på vart och ett av meddelandena är kontrollerad mot certifikatet, som vid kontrollen var",
        "utfärdat för federationen och miljön och inte spärrat. Meddelandena lämnades inte vidare till",
        "mottagaren och är raderade. Rapporten innehåller inget av deras innehåll.",
        "",
    ]
    for number, breach in enumerate(peer.breaches, 1):
        lines += _listed(number, breach)
    lines += [
        f"Bevis: {EVIDENCE_FILE} har en rad per nekat meddelande, numrerade som ovan: posten i",
        "händelseloggen med löpnummer och hash. Där det finns ett salt är hashen SHA-256 över salt och",
        "innehåll, annars över föregående hash, löpnumret i 8 byte och innehållet.",
        f"{DOCUMENT_FILE} har samma uppgifter som denna text, för maskinell läsning.",
    ]
    return "".join(f"{printable(line)}\n" for line in lines)


def _listed(number: int, breach: Breach) -> list[str]:
    ids = breach.entry.ids
    return [
        f"{number}. Mottaget:            {_time(breach.entry.at)}",
        f"   AS4 Message ID:      {ids.get('as4', '')}",
        f"   AS4 Conversation ID: {ids.get('conversation', '')}",
        f"   Avsändare:           {ids.get('sender', '')}",
        f"   Mottagare:           {ids.get('recipient', '')}",
        f"   Skäl för nekandet:   {breach.reason}",
        f"   Regel:               {', '.join(breach.clauses)}",
        "",
    ]


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}Z"
