"""The certificate of destruction: what an operator signs when an organisation is closed. Pure.

One JSON document for programs, with the same in Swedish for people, under one
signature of the operator's. It names what was destroyed by counts,
fingerprints and the head of the log, and repeats nothing of what it said.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cryptography import x509

from samdrift.attestation import signatures
from samdrift.wire.crypto.keys import SigningKey

FORM = "samdrift certificate of destruction 1"
_ROLES = {"ap": "accesspunkt", "mt": "meddelandetjänst", "mk": "meddelandeklient", "gov": "styrning"}

Facts = Mapping[str, Any]
"""Decisions and inventory, from before anything is destroyed (:mod:`samdrift.administration.closing`)."""

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
    """Whether a certificate is as its signer made it; everything but the reason is there only then."""

    valid: bool
    reason: str
    facts: Facts | None = None
    text: str = ""
    signer: x509.Certificate | None = None
    ended_at: datetime | None = None


def certificate(facts: Facts, ended_at: datetime, key: SigningKey) -> bytes:
    """The certificate, signed: everything that ``facts`` name is destroyed by ``ended_at``."""
    stated = {
        **facts,
        "form": FORM,
        "ended_at": ended_at.isoformat(timespec="seconds"),
        "remains": list(REMAINS),
    }
    signed = {"certificate": stated, "text": _in_swedish(stated)}
    document = {**signed, "signature": signatures.signed(signed, key)}
    return json.dumps(document, ensure_ascii=False, indent=2).encode() + b"\n"


def verify(data: bytes) -> DestructionVerdict:
    """Return whether the signature holds; whose it is, and whether that one is to be trusted, is for the
    caller.
    """
    try:
        document = json.loads(data)
        facts, text = document["certificate"], document["text"]
        if facts["form"] != FORM or not isinstance(text, str):
            raise ValueError
        ended_at = signatures.time_of(facts["ended_at"])
        signer = signatures.signer({"certificate": facts, "text": text}, document["signature"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return DestructionVerdict(False, "is no certificate of destruction")
    if signer is None:
        return DestructionVerdict(False, "the signature does not hold: it was changed after it was signed")
    return DestructionVerdict(True, "the signature holds", facts, text, signer, ended_at)


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
    kept = vault.get("not_handed_over", 0)
    return [
        f"  {_ROLES[vault['role']].capitalize()}",
        f"    poster: {vault['records']}, innehåll: {vault['bodies']}",
        *([f"    allmänna handlingar som inte hade överlämnats: {kept}, enligt beslutet"] if kept else []),
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
