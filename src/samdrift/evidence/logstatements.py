"""Statements that a key belongs to a log: who made them, and whether they are valid.

A log is signed with a key that was made where the log is kept. A statement about that key shows whose log it
is. It is made by the organisation's certificate, by a custodian (SSHSIG), or by the operator's certificate
for its own log, and the log has its digest as an entry. The verifier decides whether the signer is the right
one, by a folder of trusted certificates, or by the fingerprint or key that is shown.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256

from samdrift.attestation.signatures import canonical, signer, time_of
from samdrift.attestation.trustfolder import TrustFolder
from samdrift.evidence.logexport import DescribedKey, Description
from samdrift.wire.crypto import certificates, sshsig

FORMAT = "samdrift log key 1"
"""Form of a statement that a key belongs to a log."""
NAMESPACE = "samdrift-log-key"
"""Namespace of a custodian's signature on it (SSHSIG)."""


@dataclass(frozen=True, slots=True)
class KeyStatement:
    """The statement about one key of a log."""

    key: str
    by: str = ""
    """The signer: ``organisation``, ``operator``, or ``custodian`` with a name; empty without a statement."""
    organisation: str = ""
    role: str = ""
    signed_with: str = ""
    """The signer's certificate or key, for the verifier to compare."""
    checked: bool = False
    """True if the verifier's folder of trusted certificates confirms the signer."""
    fault: str = ""

    @property
    def holds(self) -> bool:
        """True also if there is no statement, which is shown but is not a fault of the log."""
        return not self.fault


def check_statements(
    log: Description, stated: Mapping[str, Sequence[str]], trust: TrustFolder | None
) -> tuple[KeyStatement, ...]:
    """Return the statement about each key that signed the log.

    ``stated`` has for each key the digests of statements named by the log's own entries.
    """
    found = [_checked(each, stated.get(str(each.key), ()), trust) for each in log.keys]
    return tuple(_named(each, log.name) for each in found)


def _named(found: KeyStatement, name: str) -> KeyStatement:
    """Set a fault if a statement is about a log other than the one that the file claims to be."""
    if found.by and not found.fault and name != (f"{found.organisation} {found.role}".strip() or "operator"):
        return replace(found, fault=f"the statement is about {found.organisation} {found.role}, not {name}")
    return found


def _checked(described: DescribedKey, named: Sequence[str], trust: TrustFolder | None) -> KeyStatement:
    key = str(described.key)
    if not described.statement:
        return KeyStatement(
            key, fault="the log has a statement on it, but the file does not" if named else ""
        )
    if sha256(described.statement).hexdigest() not in named:
        return KeyStatement(key, fault="the statement is not the one that the log's entry names")
    try:
        document = json.loads(described.statement)
        return _read(key, document, trust)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return KeyStatement(key, fault="the statement cannot be read")


def _read(key: str, document: dict[str, Any], trust: TrustFolder | None) -> KeyStatement:
    by, organisation, role = (str(document[name]) for name in ("by", "organisation", "role"))
    at, found = time_of(document["at"]), KeyStatement(key, by, organisation, role)
    if document["format"] != FORMAT or document["key"] != key:
        return replace(found, fault="the statement is about another key")
    if "sshsig" in document:
        signature = document.pop("sshsig")
        holds = sshsig.verify(document["public"], canonical(document), NAMESPACE, signature)
        signed = f"the key {document['public']}"
        return replace(found, signed_with=signed, fault="" if holds else _NOT_SIGNED)
    certificate = signer(document, document.pop("signature"))
    if certificate is None:
        return replace(found, fault=_NOT_SIGNED)
    fault = _distrust(certificate, at, trust)
    signed = f"{certificates.subject(certificate)} (SHA-256 {certificate.fingerprint(SHA256()).hex()})"
    return replace(found, signed_with=signed, checked=trust is not None and not fault, fault=fault)


_NOT_SIGNED = "the statement is not signed by the key that it names"


def _distrust(certificate: x509.Certificate, at: datetime, trust: TrustFolder | None) -> str:
    if trust is None:
        return ""
    judged = trust.judge(certificate, at)
    return "" if judged.trusted else f"the signer of the statement is not trusted: {judged.reason.value}"
