"""Signatures by other parties in evidence, for each incoming message and receipt, without the envelope.

An envelope is removed when the next store has it (invariant 7). What remains is the signed part of its
signature, which has the digest of the whole envelope, and the signature over it. This proves that the sender
signed an envelope with that digest, without relying on us. The log entry shows that the envelope held this
message, because it committed to the digests of both on arrival.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256

from cryptography.hazmat.primitives.hashes import SHA256

from samdrift.attestation.signatures import holds
from samdrift.audit.entries import LogEntry
from samdrift.evidence import grounds
from samdrift.evidence.findings import Finding
from samdrift.wire import xml
from samdrift.wire.crypto.certificates import common_name, from_der
from samdrift.wire.crypto.xmldsig import ENVELOPED, Reference, ds, read_signed_info
from samdrift.wire.errors import WireError, WireFault

FOLDER = "signatures"
_INFO, _VALUE = "signed_info", "signature_value"
_ENDINGS = {_INFO: "xml", _VALUE: "sig"}


def files(ids: Mapping[str, str]) -> dict[str, str]:
    """Return the file names of the signature that an entry names, by SHA-256; empty if it names none."""
    if not _ENDINGS.keys() <= ids.keys():
        return {}
    return {ids[fact]: f"{FOLDER}/{ids[fact]}.{ending}" for fact, ending in _ENDINGS.items()}


def findings(
    entries: Mapping[str, Sequence[LogEntry]], kept: Mapping[str, bytes], judged: Mapping[str, bytes]
) -> Iterator[Finding]:
    """Verify each signature that an entry names; ``judged`` has the files of grounds, with certificates."""
    used = set[str]()
    for log in entries.values():
        for entry in log:
            if named := files(entry.ids):
                used.update(named.values())
                yield _signed(entry, named, kept, judged)
    for file in sorted(kept.keys() - used):
        yield Finding(file, False, "belongs to no signature that an entry names")


def _signed(
    entry: LogEntry, named: Mapping[str, str], kept: Mapping[str, bytes], judged: Mapping[str, bytes]
) -> Finding:
    what = f"signature in entry {entry.sequence}"
    for digest, file in named.items():
        if sha256(kept.get(file, b"")).hexdigest() != digest:
            return Finding(what, False, f"{file} is not the one that the entry names, or is missing")
    info, value = (kept[named[entry.ids[fact]]] for fact in _ENDINGS)
    try:
        file = grounds.certificate_file(entry.ids["certificate"])
        certificate = from_der(judged[file])
        reference = _reference(info)
    except WireError:
        return Finding(what, False, "what is signed is not part of a signature on an envelope")
    except (KeyError, ValueError):
        return Finding(what, False, "the certificate that the entry names is not in the evidence")
    if certificate.fingerprint(SHA256()).hex() != entry.ids["certificate"]:
        return Finding(what, False, "the certificate is not the one that the entry names")
    if not holds(info, value, certificate):
        return Finding(what, False, f"is not of the key of {common_name(certificate)}")
    who = f"{common_name(certificate)} has signed an envelope"
    return Finding(what, True, f"{who} whose canonical form has SHA-256 {reference.digest.hex()}")


def _reference(info: bytes) -> Reference:
    """Return the only reference, to the whole document; raise :class:`WireError` for anything else."""
    root = xml.parse(info)
    if root.tag != ds("SignedInfo"):
        raise WireError(WireFault.SIGNATURE, "something other than ds:SignedInfo", "SignedInfo")
    (reference,) = read_signed_info(root, ENVELOPED).references
    if reference.uri:
        raise WireError(WireFault.SIGNATURE, "a reference to a part", "Reference")
    return reference
