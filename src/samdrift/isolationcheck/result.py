"""The result of an isolation check as a signed document, which an organisation can show to others.

The signature covers everything else in the document, as JSON with sorted names and without spaces; its
SHA-256 is recorded in every organisation's log.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from samdrift import __version__
from samdrift.attestation import signatures
from samdrift.config.isolationcheck import IsolationCheckConfig
from samdrift.contracts.errors import Explained
from samdrift.contracts.isolation import Attempt, Verdict
from samdrift.isolationcheck.ledger import Ledger
from samdrift.wire.crypto.certificates import subject
from samdrift.wire.crypto.keys import SigningKey

FORMAT = "samdrift isolation check 1"
Document = dict[str, Any]


class NoResult(Explained, ValueError):
    """A file that is not the signed result of a check; the text gives the reason."""


def document(ledger: Ledger, config: IsolationCheckConfig, federation: str, at: datetime) -> Document:
    """Return the attempts and their results, without any content or identifiers of records."""
    return {
        "format": FORMAT,
        "at": at.isoformat(timespec="seconds"),
        "version": __version__,
        "federation": federation,
        "canaries": [canary.value for canary in config.canaries],
        "attempts": len(ledger.of(Verdict.DENIED, Verdict.LEAKED)),
        "denied": len(ledger.of(Verdict.DENIED)),
        "leaks": _grouped(ledger.of(Verdict.LEAKED)),
        "untried": _grouped(ledger.of(Verdict.UNTRIED)),
        "interfaces": ledger.counts(),
        "passed": ledger.passed,
    }


def digest(result: Document) -> str:
    """Return the SHA-256 of the signed content, in hexadecimal."""
    return hashlib.sha256(signatures.canonical(_said(result))).hexdigest()


def sign(result: Document, key: SigningKey) -> Document:
    """Return the document with its signature."""
    return {**result, "sha256": digest(result), "signature": signatures.signed(_said(result), key)}


def verify(data: bytes) -> tuple[Document, x509.Certificate]:
    """Return a signed result and the signer's certificate; raise :class:`NoResult` if it is invalid."""
    try:
        found = json.loads(data)
        kind, stated = found["format"], found["sha256"]
        certificate = signatures.signer(_said(found), found["signature"])
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError):
        raise NoResult("is not a signed result of an isolation check") from None
    if kind != FORMAT:
        raise NoResult("is not a signed result of an isolation check in a form that this version knows")
    if certificate is None:
        raise NoResult("has been changed since it was signed, or was signed with another key")
    if stated != digest(found):
        raise NoResult("states a wrong checksum")
    if not _is_whole(found):
        raise NoResult("contains something other than a result of an isolation check")
    return found, certificate


def _is_whole(found: Document) -> bool:
    """Return whether the document has everything that is shown to a reader."""
    counts, rows = ("attempts", "denied"), ("interface", "operation", "actor", "why")
    interfaces, listed = found.get("interfaces"), [found.get(name) for name in ("leaks", "untried")]
    return (
        isinstance(found.get("passed"), bool)
        and all(isinstance(found.get(name), int) for name in counts)
        and isinstance(interfaces, dict)
        and all(isinstance(row, dict) for row in interfaces.values())
        and all(isinstance(row.get(name), int) for row in interfaces.values() for name in counts)
        and all(isinstance(each, list) for each in listed)
        and all(isinstance(row, dict) and set(rows) <= set(row) for each in listed for row in each or ())
        and (not found["passed"] or _all_held(found))
    )


def _all_held(found: Document) -> bool:
    """Return whether the listed attempts are consistent with a passed check."""
    tried = 0 < found["attempts"] == found["denied"]
    return tried and not found["leaks"] and all(row.get("expected") is True for row in found["untried"])


def signer(certificate: x509.Certificate) -> dict[str, str]:
    """Return the signer's identity, for comparison with the certificate that the reader knows."""
    return {
        "subject": subject(certificate),
        "certificate_sha256": certificate.fingerprint(hashes.SHA256()).hex(),
    }


def facts(result: Mapping[str, Any]) -> dict[str, str]:
    """Return the facts for the log of each organisation."""
    return {
        "attempts": str(result["attempts"]),
        "denied": str(result["denied"]),
        "leaks": str(len(result["leaks"])),
        "untried": str(len(result["untried"])),
        "passed": str(result["passed"]).lower(),
        "sha256": digest(dict(result)),
    }


def _said(result: Document) -> Document:
    """Return the part of the document that is signed."""
    return {name: value for name, value in result.items() if name not in ("signature", "sha256")}


def _grouped(attempts: list[Attempt]) -> list[dict[str, Any]]:
    """Return one row for each group of identical attempts."""
    rows: dict[tuple[str, str, str, str], dict[str, Any]] = {}
    for one in attempts:
        row: dict[str, Any] = {
            "interface": one.interface,
            "operation": one.operation,
            "actor": one.actor,
            "why": one.why,
        }
        if one.verdict is Verdict.UNTRIED:
            row |= {"expected": one.expected}
        rows.setdefault((one.interface, one.operation, one.actor, one.why), row)
    return list(rows.values())
