"""Certificates in evidence are judged again, as of their time, with nothing but the evidence."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from hashlib import sha256
from importlib.resources import files as files_in
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from samdrift.accesspoint.events import APEvent
from samdrift.attestation.trustfolder import TrustFolder
from samdrift.audit.entries import LogEntry
from samdrift.evidence.findings import Finding
from samdrift.evidence.grounds import Named, document_file, findings
from samdrift.wire.verdicts import Grounds
from tests import pki
from tests.pki import DAY, NOW
from tests.programs import requires

ROOT = pki.root("Rot", 1)
ISSUER = ROOT.subordinate("CA", 2, ocsp_url="http://responder.example/ocsp")
PEER = ISSUER.issue("AP0001").certificate
OTHER = ISSUER.issue("AP0002").certificate
TRUST = TrustFolder((ROOT.certificate,), ())
Files = dict[str, bytes]


def der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)


def judged_by(
    answers: tuple[bytes, ...],
    lists: tuple[bytes, ...],
    *,
    mode: str = "required",
    issuer: pki.Authority = ISSUER,
    peer: x509.Certificate = PEER,
) -> Grounds:
    chain = [der(each) for each in (peer, issuer.certificate, ROOT.certificate)]
    return Grounds.of(chain, answers, lists, mode, NOW + DAY)


GOOD = judged_by((ISSUER.ocsp(PEER),), (ROOT.crl(),))


def files_of(grounds: Grounds) -> Files:
    """Return the folder as an export writes it."""
    named = Named.read(grounds.document)
    digests = {sha256(piece).hexdigest(): piece for piece in grounds.pieces}
    return {document_file(grounds.name): grounds.document} | {
        file: digests[digest] for digest, file in named.files().items()
    }


def entry(name: str, certificate: x509.Certificate = PEER, at: datetime = NOW) -> LogEntry:
    facts = {"grounds": name, "certificate": certificate.fingerprint(SHA256()).hex()}
    event = APEvent.AP_ENVELOPE_RECEIVED
    return LogEntry(7, at, event, "worker:test", "receive", facts, bytes(32), bytes(32))


def judged(
    grounds: Grounds,
    files: Files | None = None,
    *,
    trust: TrustFolder | None = TRUST,
    at: datetime = NOW,
    certificate: x509.Certificate = PEER,
    log: str = "log/mt.jsonl",
) -> list[Finding]:
    entries = {log: [entry(grounds.name, certificate, at)]}
    return list(findings(entries, files_of(grounds) if files is None else files, trust))


def test_a_certificate_that_was_trusted_then_is_found_so_again() -> None:
    (finding,) = judged(GOOD)
    assert (finding.what, finding.holds) == ("certificate in entry 7", True)
    assert finding.why.startswith("AP0001, at 20")
    assert finding.why.endswith("chain and revocation answers of that time hold")


def test_without_a_folder_to_trust_the_report_says_up_to_whom_it_was_checked() -> None:
    (finding,) = judged(GOOD, trust=None)
    assert finding.holds
    assert finding.why.endswith("up to Rot, which was not checked (--trust)")


@pytest.mark.parametrize("trusted", [ISSUER.certificate, ROOT.certificate], ids=["issuer", "root"])
def test_an_issuer_that_is_trusted_without_its_root_will_do(trusted: x509.Certificate) -> None:
    assert judged(GOOD, trust=TrustFolder((trusted,), ()))[0].holds


def test_a_chain_that_leads_to_nobody_who_is_trusted_does_not_hold() -> None:
    stranger = TrustFolder((pki.root("Rot", 4).certificate,), ())
    assert judged(GOOD, trust=stranger)[0].why == "no issuer of it leads to a certificate in --trust"
    (finding,) = judged(GOOD, trust=stranger, log="log/ap.jsonl")
    assert finding.holds, "a verifier need not have the issuers of access points"
    assert finding.why.endswith("up to Rot, which was not checked (--trust)")


def test_a_list_that_is_too_long_to_be_kept_is_not_missed_where_an_answer_is_enough() -> None:
    grounds = judged_by((ISSUER.ocsp(PEER), ROOT.ocsp(ISSUER.certificate)), (ISSUER.crl(),))
    files = {name: data for name, data in files_of(grounds).items() if not name.endswith(".crl")}
    assert judged(grounds, files)[0].holds
    alone = judged_by((), (ISSUER.crl(), ROOT.crl()))
    left = {name: data for name, data in files_of(alone).items() if not name.endswith(".crl")}
    (finding,) = judged(alone, left)
    assert (finding.holds, "revocation-unknown" in finding.why) == (False, True)


def test_what_took_long_is_judged_while_the_answers_held() -> None:
    """A large message may arrive after the OCSP answer about its sender has ended, but not a day later."""
    short = judged_by((ISSUER.ocsp(PEER, lasts=timedelta(minutes=10)),), (ROOT.crl(),))
    assert judged(short, at=NOW + timedelta(minutes=50))[0].holds
    assert not judged(short, at=NOW + DAY)[0].holds


def test_a_revoked_certificate_does_not_hold() -> None:
    issuer = ROOT.subordinate("CA", 2, ocsp_url="http://responder.example/ocsp")
    peer = issuer.issue("AP0001").certificate
    issuer.revoke(peer)
    for answers, lists in (((issuer.ocsp(peer),), ()), ((), (issuer.crl(),))):
        grounds = judged_by(answers, (*lists, ROOT.crl()), issuer=issuer, peer=peer)
        (finding,) = judged(grounds, certificate=peer)
        assert (finding.holds, "revoked" in finding.why) == (False, True)


def test_where_revocation_is_not_asked_for_the_report_says_so() -> None:
    (finding,) = judged(judged_by((), (), mode="none"))
    assert (finding.holds, "where revocation is not asked for" in finding.why) == (True, True)


def test_another_certificate_than_the_entry_names_does_not_pass() -> None:
    (finding,) = judged(GOOD, certificate=OTHER)
    assert finding.why == "the certificate that was judged is not the one that the entry names"


CHANGED: dict[str, Callable[[Files], Files]] = {
    "nothing": lambda files: {},
    "no document": lambda files: {name: data for name, data in files.items() if not name.endswith(".json")},
    "another document": lambda files: {
        name: data.replace(b"required", b"none") if name.endswith(".json") else data
        for name, data in files.items()
    },
    "no chain": lambda files: {name: data for name, data in files.items() if not name.endswith(".der")},
    "another answer that would do, too": lambda files: {
        name: ISSUER.ocsp(PEER, lasts=timedelta(hours=3)) if name.endswith(".ocsp") else data
        for name, data in files.items()
    },
    "no answer": lambda files: {name: data for name, data in files.items() if not name.endswith(".ocsp")},
    "another list": lambda files: {
        name: data + b"." if name.endswith(".crl") else data for name, data in files.items()
    },
}


@pytest.mark.parametrize("change", CHANGED)
def test_what_was_left_out_or_changed_is_found(change: str) -> None:
    assert any(not finding.holds for finding in judged(GOOD, CHANGED[change](files_of(GOOD))))


def test_what_no_entry_names_is_found() -> None:
    extra = files_of(GOOD) | files_of(judged_by((), (ISSUER.crl(),)))
    assert [finding.what for finding in judged(GOOD, extra) if not finding.holds] == sorted(
        extra.keys() - files_of(GOOD).keys()
    )


BAD = (
    b"",
    b"[]",
    b"{}",
    b"\xff",
    b"[" * 100_000,
    b'{"chain":[],"answers":[],"lists":[],"revocation":"required"}',
    b'{"chain":["a","b"],"answers":[],"lists":[],"revocation":"required"}',
    b'{"chain":7,"answers":[],"lists":[],"revocation":"required"}',
    b'{"chain":["%s","%s"],"answers":[],"lists":[],"revocation":"never"}' % (b"0" * 64, b"1" * 64),
    b'{"chain":[%s],"answers":[],"lists":[],"revocation":"none"}' % b",".join([b'"%s"' % (b"0" * 64)] * 9),
)


@pytest.mark.parametrize("document", BAD)
def test_a_document_that_is_none_is_one_finding(document: bytes) -> None:
    grounds = replace(GOOD, document=document)
    assert [finding.holds for finding in judged(grounds, {document_file(grounds.name): document})] == [False]


@pytest.mark.parametrize("ending", [".der", ".ocsp", ".crl"])
def test_pieces_that_cannot_be_read_are_one_finding(ending: str) -> None:
    """The pieces are named by their own digests, so that only their content is wrong."""
    parts = {".der": [b"no", b"certificate"], ".ocsp": [b"no"], ".crl": [b"no"]}
    chain = parts[".der"] if ending == ".der" else [der(PEER), der(ISSUER.certificate), der(ROOT.certificate)]
    answers = parts[".ocsp"] if ending == ".ocsp" else []
    lists = parts[".crl"] if ending == ".crl" else []
    (finding,) = judged(Grounds.of(chain, answers, lists, "required", NOW))
    assert not finding.holds


@requires("openssl", "openssl")
def test_openssl_comes_to_the_same_with_the_commands_of_the_instructions(tmp_path: Path) -> None:
    """OpenSSL trusts only the root."""
    answer, crl = ISSUER.ocsp(PEER), ISSUER.crl()
    (tmp_path / "grounds").mkdir()
    for name, data in files_of(judged_by((answer,), (crl, ROOT.crl()))).items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "trusted.pem").write_bytes(ROOT.certificate.public_bytes(Encoding.PEM))
    pieces = {"CERTIFICATE": der(PEER), "ISSUER": der(ISSUER.certificate), "ANSWER": answer, "LIST": crl}
    names = {name: sha256(piece).hexdigest() for name, piece in pieces.items()}
    names["TIME"] = str(int(NOW.timestamp()))
    said = "".join(walked(tmp_path, command, names) for command in instructions())
    assert "leaf.pem: OK" in said
    assert "Response verify OK" in said
    assert "good\n" in said
    assert "verify OK" in said.replace("Response verify OK", "")


def instructions() -> list[str]:
    """Return the commands of the instructions about grounds, one per line."""
    readme = (files_in("samdrift.evidence") / "readme.txt").read_text()
    section = readme.partition("\n6. ")[2].partition("\n7. ")[0].replace("\\\n", " ")
    return [line.strip() for line in section.splitlines() if line.startswith("   openssl ")]


def walked(folder: Path, command: str, names: dict[str, str]) -> str:
    for name, value in names.items():
        command = re.sub(rf"\b{name}\b", value, command)
    command = command.replace("/tmp/", f"{folder}/")
    ended = subprocess.run(
        command,
        shell=True,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, (command, ended.stdout)
    return ended.stdout
