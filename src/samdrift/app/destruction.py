"""The certificate of destruction: what an operator signs when an organisation is closed. Pure.

One JSON document for programs, with the same in Swedish for people, under one
signature of the operator's. It names what was destroyed by counts,
fingerprints and the head of the log, and repeats nothing of what it said.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from samdrift.wire.keys import SigningKey

FORM = "samdrift certificate of destruction 1"
ALGORITHM = "RSASSA-PKCS1-v1_5 SHA-256"
_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)
_ROLES = {"ap": "accesspunkt", "mt": "meddelandetjänst"}

Facts = Mapping[str, Any]
"""What was decided and what there was, from before anything is destroyed (:mod:`samdrift.app.closing`)."""

REMAINS = (
    "this certificate, and identifier, time and decision in the operator's register and log",
    "backups of database, object store and key store from before, which no key opens any more",
    "what other organisations have received, which is theirs",
)
_REMAINS_IN_SWEDISH = (
    "Detta intyg, samt identifierare, tidpunkt och beslut i driftleverantörens register och logg.",
    "Tidigare säkerhetskopior av databas, objektlager och nyckellager, som ingen nyckel längre öppnar.",
    "Det som andra organisationer har tagit emot och som är deras.",
)


@dataclass(frozen=True, slots=True)
class DestructionVerdict:
    """Whether a certificate is as its signer made it; ``facts`` and ``signer`` are there only then."""

    valid: bool
    reason: str
    facts: Facts | None = None
    text: str = ""
    signer: x509.Certificate | None = None


def canonical(document: Facts) -> bytes:
    """The bytes that stand for a document: sorted names, no spaces."""
    return _CANONICAL.encode(document).encode()


def certificate(facts: Facts, ended_at: datetime, key: SigningKey) -> bytes:
    """The certificate, signed: everything that ``facts`` name is destroyed by ``ended_at``."""
    stated = {
        **facts,
        "form": FORM,
        "ended_at": ended_at.isoformat(timespec="seconds"),
        "remains": list(REMAINS),
    }
    signed = {"certificate": stated, "text": _in_swedish(stated)}
    signature = {
        "algorithm": ALGORITHM,
        "certificate": key.certificate.public_bytes(Encoding.PEM).decode(),
        "value": b64encode(key.sign(canonical(signed))).decode(),
    }
    return json.dumps({**signed, "signature": signature}, ensure_ascii=False, indent=2).encode() + b"\n"


def verify(data: bytes) -> DestructionVerdict:
    """Whether the signature holds; whose it is, and whether that one is to be trusted, is for the caller."""
    try:
        document = json.loads(data)
        facts, text, signature = document["certificate"], document["text"], document["signature"]
        if facts["form"] != FORM or signature["algorithm"] != ALGORITHM or not isinstance(text, str):
            raise ValueError
        signer = x509.load_pem_x509_certificate(signature["certificate"].encode())
        value = b64decode(signature["value"], validate=True)
        key = signer.public_key()
        signed = canonical({"certificate": facts, "text": text})
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return DestructionVerdict(False, "is no certificate of destruction")
    if not isinstance(key, rsa.RSAPublicKey):
        return DestructionVerdict(False, "is signed with another kind of key")
    try:
        key.verify(value, signed, padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature:
        return DestructionVerdict(False, "the signature does not hold: it was changed after it was signed")
    return DestructionVerdict(True, "the signature holds", facts, text, signer)


def _in_swedish(stated: Facts) -> str:
    """The same for people: municipalities keep it with the decision."""
    persons = " och ".join(stated["approved_by"])
    lines = [
        "DESTRUKTIONSINTYG",
        "",
        f"Organisation: {stated['organisation']}",
        f"Driftleverantör: {stated['operator']}",
        f"Beslut: {stated['decision']}",
        f"Godkänt av: {persons}",
        f"Påbörjat: {stated['begun_at']}",
        f"Slutfört: {stated['ended_at']}",
        "",
        "Driftleverantören intygar att allt som organisationen hade här är förstört:",
    ]
    for vault in stated["vaults"]:
        lines += ["", *_vault_in_swedish(vault)]
    lines += ["", _export_in_swedish(stated["log_exported"])]
    if unfinished := stated["unfinished"]:
        lines += ["", f"Avslutat utan att ha blivit klart: {len(unfinished)}", *map(_unfinished, unfinished)]
    if backups := stated["key_backups"]:
        lines += ["", f"Krypterade nyckelkopior som nyckelförvaltare har och ska förstöra: {len(backups)}"]
        lines += [
            f"  {backup['number']}, {backup['at']}: {', '.join(backup['held_by'])}" for backup in backups
        ]
    lines += ["", "Kvar finns:", *(f"  {each}" for each in _REMAINS_IN_SWEDISH)]
    return "\n".join(lines) + "\n"


def _vault_in_swedish(vault: Facts) -> list[str]:
    log = vault["log"]
    keys = [f"    {key['key']} {key['number']}, SHA-256 {key['sha256'] or '-'}" for key in vault["keys"]]
    return [
        f"  {_ROLES[vault['role']].capitalize()}",
        f"    poster: {vault['records']}, innehåll: {vault['bodies']}",
        f"    loggens längd: {log['length']}, sista hash: {log['head']}",
        "    datanyckel och alla hemligheter, samt nycklarna" + (":" if keys else " (inga)"),
        *keys,
    ]


def _export_in_swedish(exported: bool) -> str:
    if exported:
        return "Loggen exporterades innan den förstördes."
    return "Loggen förstördes utan att ha exporterats, enligt beslutet."


def _unfinished(one: Facts) -> str:
    return f"  {_ROLES[one['role']]} {one['what']} {one['id']}: {one['status']}, {one['reason']}"
