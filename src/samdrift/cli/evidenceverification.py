"""`samdrift evidence verify`: verification of evidence about one message, without trusting its producer."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Annotated, Any

import typer
from cryptography.hazmat.primitives.hashes import SHA256

from samdrift.attestation.trustfolder import TrustFolder, read_trust
from samdrift.audit.ages import MAX_AGE, fault_of_age
from samdrift.audit.policies import Policy
from samdrift.cli.logverification import MaxAge, read_policy
from samdrift.cli.org.options import AsJson, fingerprint
from samdrift.cli.output import print_json, print_line
from samdrift.config.errors import shown
from samdrift.config.failures import reported_as_usage_errors
from samdrift.config.inputs import read_certificates
from samdrift.evidence.asic import is_container, read_container
from samdrift.evidence.findings import Finding
from samdrift.evidence.verifying import EvidenceVerdict, verify_evidence, verify_evidence_in
from samdrift.installation.loop import run
from samdrift.transparency.timestamps import Trusted
from samdrift.wire.crypto import certificates

NOT_VOUCHED = 3
"""Exit status for evidence that is consistent, but whose signer nobody vouches for."""


def verify(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file that samdrift evidence export wrote.")],
    trust: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder of certificates to trust: anchors and issuers, PEM or DER."),
    ] = None,
    signer: Annotated[
        str | None, typer.Option(help="SHA-256 of the organisation's certificate, which must have signed.")
    ] = None,
    policy: Annotated[
        Path | None,
        typer.Option(
            "--policy",
            help="Your policy (c2sp.org/tlog-policy): keys of the logs, witnesses, quorum.",
        ),
    ] = None,
    authorities: Annotated[
        Path | None,
        typer.Option("--tsa", metavar="FILE", help="Certificates (PEM) that its time stamp must lead to."),
    ] = None,
    max_age: MaxAge = MAX_AGE,
    as_json: AsJson = False,
) -> int:
    """Verify evidence offline: signature, digests, entries of logs, their proofs and age, receipts, signer.

    A certificate that --trust accepts may belong to another organisation: compare the name, or give --signer.
    Exit status 0 when everything is valid, 1 when something is not, 2 when the file is not evidence, 3 when
    it is consistent but neither --trust nor --signer vouches for its signer.
    """
    signer = None if signer is None else fingerprint("--signer", signer)
    with reported_as_usage_errors():
        folder = read_trust(trust) if trust is not None else None
        rules = read_policy(policy) if policy is not None else None
        trusted = Trusted(read_certificates(authorities)) if authorities is not None else None
        verdict = _aged(run(_verdict(file, folder, signer, rules, trusted)), rules, max_age)
    vouched = verdict.valid and (folder is not None or signer is not None)
    if as_json:
        print_json(_document(verdict, checked=folder is not None, vouched=vouched))
    else:
        _print(file, verdict, checked=folder is not None, vouched=vouched)
    if vouched:
        return 0
    return NOT_VOUCHED if verdict.consistent else 1


def _aged(verdict: EvidenceVerdict, rules: Policy | None, max_age: int) -> EvidenceVerdict:
    """Return the verdict with a finding about the age of the logs, which only a policy's witnesses state."""
    if rules is None or not max_age:
        return verdict
    fault = fault_of_age(verdict.witnessed_at, datetime.now(UTC), max_age)
    finding = Finding("age of the logs", not fault, fault or f"witnesses saw each in the last {max_age} s")
    return replace(verdict, findings=(*verdict.findings, finding))


async def _verdict(
    file: Path, folder: TrustFolder | None, signer: str | None, rules: Policy | None, trusted: Trusted | None
) -> EvidenceVerdict:
    """Return the verdict on evidence, or on a container with evidence and its time stamp."""
    if not is_container(file):
        verdict = await verify_evidence(file, folder, signer, rules)
        missing = Finding("time stamp", False, "the file has none: it is not a container (ASiC-S)")
        return replace(verdict, findings=(*verdict.findings, missing)) if trusted else verdict
    container = read_container(file)
    verdict = await verify_evidence_in(BytesIO(container.content), folder, signer, rules)
    return replace(verdict, findings=(*verdict.findings, container.finding(trusted)))


def _document(verdict: EvidenceVerdict, *, checked: bool, vouched: bool) -> dict[str, Any]:
    return {
        "valid": vouched,
        "consistent": verdict.consistent,
        "organisation": verdict.organisation,
        "message": verdict.message,
        "made_at": verdict.made_at,
        "signer": certificates.subject(verdict.signer),
        "signer_sha256": verdict.signer.fingerprint(SHA256()).hex(),
        "signer_checked": checked,
        "findings": [
            {"what": finding.what, "holds": finding.holds, "why": finding.why} for finding in verdict.findings
        ],
    }


def _print(file: Path, verdict: EvidenceVerdict, *, checked: bool, vouched: bool) -> None:
    unvouched = "consistent; nobody vouches for it" if verdict.consistent else "DOES NOT HOLD"
    print_line(f"{shown(file)}: {'holds' if vouched else unvouched}")
    print_line(f"  message {verdict.message} at {verdict.organisation}, as of {verdict.made_at}")
    signer = f"{certificates.subject(verdict.signer)} (SHA-256 {verdict.signer.fingerprint(SHA256()).hex()})"
    print_line(f"  signed by {signer}{'' if checked else ', not checked (--trust)'}")
    for finding in verdict.findings:
        mark = "yes" if finding.holds else "NO "
        print_line(f"  {mark}  {finding.what}: {finding.why}")
