"""Evidence that its signer has crafted: whatever its parts are, there are findings, or it is not evidence."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st

from samdrift.accesspoint.events import APEvent
from samdrift.attestation.errors import MoveError
from samdrift.attestation.trustfolder import TrustFolder
from samdrift.audit.chain import link
from samdrift.audit.entries import LogEntry
from samdrift.audit.leaves import commitment
from samdrift.audit.merkle import inclusion_proof
from samdrift.audit.proofs import EntryProof
from samdrift.evidence import grounds, verifying
from samdrift.messageservice.events import MTEvent
from samdrift.wire.receipt import build
from tests.unit.audit.logs import Log, policy, stated
from tests.unit.evidence import test_grounds, test_signatures
from tests.unit.evidence.crafted import canonical, changed, changed_bytes, either, json_line
from tests.unit.evidence.test_proofs import SEEN, archive, transport_receipt
from tests.unit.evidence.test_verifying import KEY, MESSAGE, digest, entry, hash_of, statement
from tests.unit.wire.receipt.samples import ACCEPTED

Parts = dict[str, bytes]


def valid() -> tuple[Parts, bytes]:
    """Return the parts of evidence that has everything that evidence can have, and its statement."""
    parts, before = {verifying.README_FILE: b"read me"}, entry(1, bytes(32))
    kept = digest()
    log = Log()
    log.add(MTEvent.MT_MESSAGE_READ, SEEN, bytes(16), message=MESSAGE, message_commitment=kept.commitment)
    der = test_signatures.DER
    assert test_signatures.SIGNED is not None
    log.add(
        MTEvent.MT_MESSAGE_RETRIEVED,
        SEEN,
        bytes(16),
        message=MESSAGE,
        certificate=sha256(der).hexdigest(),
        message_type="t",
        **test_signatures.SIGNED.facts,
    )
    peer = test_grounds.PEER.public_bytes(Encoding.DER)
    named = {"grounds": test_grounds.GOOD.name, "certificate": sha256(peer).hexdigest()}
    log.add(APEvent.AP_ENVELOPE_RECEIVED, test_grounds.NOW, bytes(16), message=MESSAGE, **named)
    entries = [
        LogEntry.placed(row.happening, row.number, b"", row.hash, row.retention, row.salt) for row in log.rows
    ]
    lines = [json.dumps(each.document()).encode() for each in entries]
    parts["log/mt.jsonl"] = b"\n".join(lines)
    parts["log/mt-former.jsonl"] = before
    parts["section/ap-000001.jsonl"] = b"\n".join([before, entry(2, hash_of(before))])
    parts["section/mt-before.json"] = json.dumps({"size": 1, "peaks": ["00" * 32]}).encode()
    leaf = {"sequence": 2, "retention": 1, "hash": "00" * 32}
    parts["section/mt-000001.jsonl"] = b"\n".join([lines[0].replace(b": 1,", b": 1,"), json_line(leaf)])
    for index, each in enumerate(entries):
        assert each.leaf is not None
        path = tuple(inclusion_proof(index, 3, log.tree().node))
        file = f"proofs/mt-{each.sequence}"
        parts[f"{file}.entry"] = each.leaf.entry
        parts[f"{file}.facts"] = each.salt + each.happening.content()
        parts[f"{file}.tlog-proof"] = bytes(EntryProof(index, path, stated(log, 3, SEEN)))
    parts["transport-receipts/1-got.soap"] = transport_receipt(covered=True)
    parts["message-receipts/1-got.xml"] = build(replace(ACCEPTED, message_id=MESSAGE))
    parts[verifying.certificate_file(sha256(der).hexdigest())] = der
    parts |= test_grounds.files_of(test_grounds.GOOD)
    parts[grounds.certificate_file(sha256(der).hexdigest())] = der
    parts |= test_signatures.files_of(test_signatures.SIGNED)
    document = {"salt": kept.salt.hex(), "sha256": kept.sha256.hex(), "commitment": kept.commitment}
    parts[verifying.DIGESTS_FILE] = json.dumps(document).encode()
    return parts, statement(logs={"mt": {"entries": 3, "head": "00", "size": 3}})


PARTS, STATEMENT = valid()


def findings(
    parts: Parts,
    document: bytes = STATEMENT,
    *,
    trust: TrustFolder | None = None,
    witnessed: bool = False,
    made: bool = True,
) -> dict[str, verifying.Finding] | None:
    """Return the findings about these parts, signed again; ``None`` if they are not evidence at all."""
    if made:
        files = {name: sha256(data).hexdigest() for name, data in parts.items()}
        document = json.dumps(json.loads(document) | {"files": files}).encode()
    certificate = KEY.certificate.public_bytes(Encoding.PEM)
    signed = {
        verifying.STATEMENT_FILE: document,
        verifying.SIGNATURE_FILE: KEY.sign(document),
        verifying.SIGNER_FILE: certificate,
    }

    async def verified() -> verifying.EvidenceVerdict:
        file = await archive(*parts.items(), *signed.items())
        return await verifying.verify_evidence_in(file, trust, policy=policy() if witnessed else None)

    try:
        verdict = asyncio.run(verified())
    except MoveError:
        return None
    except Exception as error:
        raise AssertionError(f"the verification ends with {error!r}") from error
    return {finding.what: finding for finding in verdict.findings}


def test_the_evidence_from_which_others_are_crafted_is_read_to_its_end() -> None:
    found = findings(PARTS, trust=test_grounds.TRUST, witnessed=True)
    assert found is not None
    held = {what for what, each in found.items() if each.holds}
    assert {"files", "signature", "certificate in entry 3", "signature in entry 2", "proofs/mt-3"} <= held
    assert {"transport-receipts/1-got.soap", "message-receipts/1-got.xml", "digests.jsonl"} <= held


def matching(line: dict[str, Any]) -> bytes:
    """Return the line of an entry with the hash of its content."""
    try:
        content = line["content"].encode()
        if "retention" in line:
            line["hash"] = commitment(bytes.fromhex(line["salt"]), content).hex()
        else:
            line["hash"] = link(bytes.fromhex(line["previous"]), line["sequence"], content).hex()
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        pass
    return json_line(line)


def another_entry(data: st.DataObject, parts: Parts) -> Parts:
    """Return evidence in which a line of a log or section is another one, with its hash if possible."""
    name = data.draw(st.sampled_from([name for name in parts if name.endswith(".jsonl")]))
    lines = parts[name].splitlines()
    place = data.draw(st.integers(0, len(lines) - 1))
    line = json.loads(lines[place])
    if "content" in line and data.draw(st.booleans()):
        line["content"] = either(data, line["content"].encode(), canonical).decode("utf-8", "replace")
        lines[place] = matching(line)
    else:
        line = changed(data, line)
        lines[place] = matching(line) if isinstance(line, dict) else json_line(line)
    return parts | {name: b"\n".join(lines)}


def another_part(data: st.DataObject, parts: Parts) -> Parts:
    """Return evidence in which a part is another one, and files that are named after their digest agree."""
    name = data.draw(st.sampled_from(sorted(parts)))
    content = parts[name]
    made = either(data, content) if name.endswith(".json") else changed_bytes(data, content)
    folder, _, file = name.partition("/")
    if folder not in ("grounds", "signatures", "peer-certificates"):
        return parts | {name: made}
    old, new = file.partition(".")[0], sha256(made).hexdigest()
    others = {each: data for each, data in parts.items() if each != name} | {
        f"{folder}/{new}.{file.partition('.')[2]}": made
    }
    document, renamed = test_grounds.GOOD.name, dict[str, bytes]()
    for each, content in others.items():
        if each == grounds.document_file(document) and old != document:
            content = content.replace(old.encode(), new.encode())
            each = grounds.document_file(sha256(content).hexdigest())
        renamed[each] = content
    names = {
        old: new,
        document: next(each for each in renamed if each.endswith(".json") and "grounds" in each),
    }
    names[document] = names[document].partition("/")[2].partition(".")[0]
    return {each: with_names(each, content, names) for each, content in renamed.items()}


def with_names(name: str, content: bytes, names: dict[str, str]) -> bytes:
    if not name.startswith("log/"):
        return content
    lines = []
    for line in map(json.loads, content.splitlines()):
        for old, new in names.items():
            line["content"] = line["content"].replace(old, new)
        lines.append(matching(line))
    return b"\n".join(lines)


def another_name(data: st.DataObject, parts: Parts) -> Parts:
    """Return evidence without a part, or with it under the name of another."""
    name = data.draw(st.sampled_from(sorted(parts)))
    others = {each: content for each, content in parts.items() if each != name}
    new = data.draw(st.sampled_from([None, "log/x.jsonl", "section/x.jsonl", "log/mt", *sorted(others)]))
    return others if new is None else others | {new: parts[name]}


KINDS: tuple[Callable[[st.DataObject, Parts], Parts], ...] = (another_entry, another_part, another_name)


@settings(max_examples=100, deadline=None)
@given(st.data(), st.booleans(), st.booleans())
def test_whatever_the_parts_of_evidence_are_there_are_findings(
    data: st.DataObject, trusted: bool, witnessed: bool
) -> None:
    made = data.draw(st.sampled_from(KINDS))(data, PARTS)
    found = findings(made, trust=test_grounds.TRUST if trusted else None, witnessed=witnessed)
    assert found is not None


@settings(max_examples=50, deadline=None)
@given(st.data(), st.booleans())
def test_whatever_is_signed_there_are_findings_or_it_is_not_evidence(
    data: st.DataObject, trusted: bool
) -> None:
    document = either(data, STATEMENT)
    findings(PARTS, document, trust=test_grounds.TRUST if trusted else None, made=False)


def test_a_log_of_no_role_is_not_a_part_of_evidence() -> None:
    found = findings(PARTS | {"log/x.jsonl": PARTS["log/mt.jsonl"]})
    assert found is not None
    assert [each.why for what, each in found.items() if "log/x.jsonl" in what] == [
        "is not a part of evidence"
    ]


def test_a_signature_by_a_key_of_an_unknown_kind_does_not_hold() -> None:
    der = test_signatures.DER.replace(RSA, RSA[:-1] + b"\x63")
    old, new = (sha256(each).hexdigest() for each in (test_signatures.DER, der))
    parts = {name: with_names(name, data, {old: new}) for name, data in PARTS.items()}
    found = findings(parts | {grounds.certificate_file(new): der})
    assert found is not None
    assert found["signature in entry 2"].why.startswith("is not of the key of")


RSA = bytes.fromhex("06092a864886f70d010101")
"""The kind of key in a certificate (rsaEncryption), in DER."""
