"""The report to DIGG about a peer that does not conform (operator-common-rules 4.1.1 a): pure.

It can be sent as it is: a text in Swedish, the same as JSON, the peer's certificate, and the entries of
the logs that show each refusal. Nothing in it is of a message's content, which was deleted.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from samdrift.administration.peers import Breach, PeerBreaches
from samdrift.config.errors import printable

TEXT_FILE = "rapport.txt"
DOCUMENT_FILE = "rapport.json"
EVIDENCE_FILE = "bevis.jsonl"
CERTIFICATE_FILE = "certifikat.pem"
FORMAT = "samdrift peer report"
VERSION = 1
_NAMED = ("as4", "conversation", "envelope", "message_type", "sender", "recipient")


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
    """An entry as it is in its log, with what its hash is computed from."""
    return {"log": breach.organisation or "operator", **breach.entry.document()}


def _json(document: dict[str, Any], indent: int | None = None) -> bytes:
    return (json.dumps(document, ensure_ascii=False, indent=indent) + "\n").encode()


def _text(peer: PeerBreaches, reporter: Reporter, at: datetime, *, kept: bool) -> str:
    """Return the text; what a peer chose is escaped, so that it can neither hide nor add a line."""
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
