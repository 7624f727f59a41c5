"""The grounds on which certificates in evidence were trusted: their files, and a repetition of the judgement.

The chain and the revocation answers of that time are in the evidence, under the SHA-256 that the log entry
names. A verifier can therefore confirm, without asking anyone, that the certificate was trusted at the time
of the message.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509 import ocsp

from samdrift.attestation.trustfolder import TrustFolder
from samdrift.audit.entries import LogEntry
from samdrift.contracts.principals import Role
from samdrift.evidence.findings import Finding
from samdrift.trust.chain import find_chain
from samdrift.trust.decide import Evidence, decide
from samdrift.trust.policy import ChainPolicy, RevocationMode
from samdrift.wire.crypto.certificates import common_name, from_der

FOLDER = "grounds"
_ENDINGS = {"chain": "der", "answers": "ocsp", "lists": "crl"}
_MOST_LATE = timedelta(hours=1)
"""Maximum time between the judgement of a certificate and the log entry about the message."""
_MAX_CHAIN = 8


def document_file(name: str) -> str:
    """Return the file name of the document that names the pieces."""
    return f"{FOLDER}/{name}.json"


def certificate_file(digest: str) -> str:
    """Return the file name of a certificate, by its SHA-256 in hexadecimal."""
    return f"{FOLDER}/{digest}.{_ENDINGS['chain']}"


def role_of(name: str) -> Role:
    """Return the role whose log a file belongs to."""
    match = re.match(r"[a-z]+/([a-z]+)", name)
    return Role(match[1] if match else "")


@dataclass(frozen=True, slots=True)
class Named:
    """The pieces of some grounds, by their SHA-256 in hexadecimal."""

    chain: tuple[str, ...]
    answers: tuple[str, ...]
    lists: tuple[str, ...]
    revocation: RevocationMode

    @classmethod
    def read(cls, document: bytes) -> Named:
        """Parse the document; raise :class:`ValueError` if it is invalid."""
        try:
            read = json.loads(document)
            chain, answers, lists = (tuple(read[kind]) for kind in _ENDINGS)
            mode = RevocationMode(read["revocation"])
        except (KeyError, TypeError, ValueError, RecursionError):
            raise ValueError("is not a document that names grounds") from None
        if not 2 <= len(chain) <= _MAX_CHAIN or not all(map(_is_digest, (*chain, *answers, *lists))):
            raise ValueError("is not a document that names grounds")
        return cls(chain, answers, lists, mode)

    def files(self) -> dict[str, str]:
        """Return the file name of each piece, by its digest."""
        kinds = zip(_ENDINGS.values(), (self.chain, self.answers, self.lists), strict=True)
        return {each: f"{FOLDER}/{each}.{ending}" for ending, kind in kinds for each in kind}


def _is_digest(text: object) -> bool:
    return isinstance(text, str) and len(text) == 64 and set(text) <= set("0123456789abcdef")


def findings(
    entries: Mapping[str, Sequence[LogEntry]], files: Mapping[str, bytes], trust: TrustFolder | None
) -> Iterator[Finding]:
    """Repeat the judgement of each certificate that an entry records; ``files`` are those of the folder.

    An organisation's certificate must lead to ``trust``. An access point's need not, because it has
    other issuers, which the verifier may not have: its finding names the issuer up to which it was
    checked.
    """
    used = set[str]()
    for log_name, log in entries.items():
        strict = role_of(log_name) is Role.MESSAGE_SERVICE
        for entry in log:
            name = entry.ids.get(FOLDER)
            if name is not None:
                used.add(document_file(name))
                yield _judged(entry, name, files, used, trust, strict=strict)
    for file in sorted(files.keys() - used):
        yield Finding(file, False, "belongs to no certificate that an entry names")


def _judged(
    entry: LogEntry,
    name: str,
    files: Mapping[str, bytes],
    used: set[str],
    trust: TrustFolder | None,
    *,
    strict: bool,
) -> Finding:
    what, document = f"certificate in entry {entry.sequence}", files.get(document_file(name))
    if document is None or sha256(document).hexdigest() != name:
        return Finding(what, False, "what it was judged by is not in the evidence")
    try:
        named = Named.read(document)
        where = named.files()
        used.update(where.values())
        changed = [file for each, file in where.items() if sha256(files.get(file, b"")).hexdigest() != each]
        missing = [file for file in changed if file in files or not file.endswith(".crl")]
        if missing:
            return Finding(what, False, f"{min(missing)} is not the one that it was judged by, or is missing")
        return _judged_again(entry, what, named, files, trust, strict=strict)
    except (ValueError, x509.InvalidVersion) as error:
        return Finding(document_file(name), False, str(error) or "cannot be read")


def _judged_again(
    entry: LogEntry,
    what: str,
    named: Named,
    files: Mapping[str, bytes],
    trust: TrustFolder | None,
    *,
    strict: bool,
) -> Finding:
    where = named.files()
    chain = [from_der(files[where[each]]) for each in named.chain]
    certificate, *issuers = chain
    if entry.ids.get("certificate") != certificate.fingerprint(SHA256()).hex():
        return Finding(what, False, "the certificate that was judged is not the one that the entry names")
    trusted = None if trust is None else _anchored(issuers, trust)
    if trust is not None and trusted is None and strict:
        return Finding(what, False, "no issuer of it leads to a certificate in --trust")
    anchor = trusted or issuers[-1]
    evidence = Evidence(
        crls=tuple(files[where[each]] for each in named.lists if where[each] in files),
        ocsps=tuple(files[where[each]] for each in named.answers),
    )
    policy = ChainPolicy((anchor,), intermediates=tuple(issuers), revocation=named.revocation)
    at = _moment(entry.at, evidence)
    verdict = decide(certificate, policy, evidence, at)
    who = f"{common_name(certificate)}, at {at.isoformat()}"
    if not verdict.trusted:
        return Finding(what, False, f"{who}: {verdict.reason.value} {verdict.detail}".rstrip())
    if named.revocation is RevocationMode.NONE:
        who += ", where revocation is not asked for"
    up_to = "" if trusted else f", up to {common_name(anchor)}, which was not checked (--trust)"
    return Finding(what, True, f"{who}: chain and revocation answers of that time hold{up_to}")


def _anchored(issuers: Sequence[x509.Certificate], trust: TrustFolder) -> x509.Certificate | None:
    """Return the first issuer that is in the trust folder or was issued by one in it, or ``None``."""
    policy = ChainPolicy(trust.anchors, intermediates=trust.intermediates)
    for issuer in issuers:
        if issuer in trust.anchors or issuer in trust.intermediates or find_chain(issuer, policy):
            return issuer
    return None


def _moment(at: datetime, evidence: Evidence) -> datetime:
    """Return the moment at which to repeat a judgement.

    This is the moment of the entry or, if the message took long to arrive, the last one at which all
    answers were valid.
    """
    ends = [ocsp.load_der_ocsp_response(each).next_update_utc for each in evidence.ocsps]
    ends += [x509.load_der_x509_crl(each).next_update_utc for each in evidence.crls]
    first = min((end for end in ends if end is not None), default=at)
    return first if first < at <= first + _MOST_LATE else at
