"""Statements about the key of a log: `log verify` reports who made one, or why it does not hold."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding

from samdrift.administration.logs import FORMAT, NAMESPACE
from samdrift.attestation.signatures import canonical, signed
from samdrift.audit.events import LogEvent
from samdrift.wire.crypto import sshsig
from samdrift.wire.crypto.softwarekeys import SoftwareSigningKey
from tests import pki
from tests.unit.audit.logs import BEGUN, POLICY, Log, made
from tests.unit.audit.signing import LOG
from tests.unit.cli.commandline import Ended, in_process

ROOT = pki.root("habo.se", 0)
KEY = SoftwareSigningKey(pki.key(0), ROOT.certificate)
CUSTODIAN = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
Document = dict[str, Any]


def stated(**changed: str) -> Document:
    document = {
        "format": FORMAT,
        "organisation": "0203:habo.se",
        "role": "mt",
        "origin": LOG.name,
        "key": str(LOG.key),
        "at": BEGUN.isoformat(),
        "by": "organisation",
    }
    return document | changed


def by_certificate(document: Document) -> bytes:
    return json.dumps({**document, "signature": signed(document, KEY)}).encode()


def by_custodian(document: Document, key: Ed25519PrivateKey = CUSTODIAN) -> bytes:
    document = document | {"by": "custodian anna", "public": sshsig.public_line(CUSTODIAN)}
    return json.dumps({**document, "sshsig": sshsig.sign(key, canonical(document), NAMESPACE)}).encode()


def log_with(statement: bytes | None, *, name: str = "0203:habo.se mt", digest: str | None = None) -> Log:
    """Return a log whose entries name a statement, and whose export has it."""
    log = made(30, each=10)
    log.name = name
    log.keys.append((LOG.key, b""))
    if statement is not None:
        log.statements[str(LOG.key)] = statement
        named = hashlib.sha256(statement).hexdigest() if digest is None else digest
        at = log.rows[-1].happening.at
        log.add(LogEvent.LOG_KEY_STATED, at, bytes(16), key=str(LOG.key), by="x", statement=named)
        log.sign(at)
    return log


def verified(log: Log, folder: Path, *more: str | Path) -> Ended:
    (folder / "policy").write_bytes(POLICY)
    return in_process(
        "log", "verify", log.write(folder / "log"), "--policy", folder / "policy", "--max-age", "0", *more
    )


@pytest.mark.parametrize("make", [by_certificate, by_custodian])
def test_who_states_whose_log_it_is_is_shown(make: Callable[[Document], bytes], tmp_path: Path) -> None:
    log = log_with(make(stated()))
    ended = verified(log, tmp_path, "--json")
    (key,) = ended.document["keys"]
    assert (ended.status, ended.document["holds"], key["fault"]) == (0, True, None)
    assert (key["organisation"], key["role"], key["signer_checked"]) == ("0203:habo.se", "mt", False)
    (tmp_path / "log").unlink()
    assert "that of 0203:habo.se mt, as the " in verified(log, tmp_path).output


def test_the_signer_is_judged_by_the_folder_that_is_given(tmp_path: Path) -> None:
    trusted, other = tmp_path / "trusted", tmp_path / "other"
    for folder, certificate in ((trusted, ROOT.certificate), (other, pki.root("Other", 1).certificate)):
        folder.mkdir()
        (folder / "ca.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    log = log_with(by_certificate(stated(at=pki.NOW.isoformat())))
    ended = verified(log, tmp_path, "--json", "--trust", trusted)
    assert (ended.status, ended.document["keys"][0]["signer_checked"]) == (0, True)
    (tmp_path / "log").unlink()
    ended = verified(log, tmp_path, "--json", "--trust", other)
    assert (ended.status, ended.document["holds"]) == (1, False)
    assert "not trusted" in ended.document["keys"][0]["fault"]


def test_a_log_of_whose_key_nobody_has_stated_anything_says_so_and_holds(tmp_path: Path) -> None:
    ended = verified(log_with(None), tmp_path)
    assert ended.status == 0
    assert "its owner has not been stated" in ended.output


def changed(statement: bytes, **facts: str) -> bytes:
    return json.dumps(json.loads(statement) | facts).encode()


WRONG = {
    "other-log": (log_with(by_certificate(stated(organisation="0203:other.se"))), "not 0203:habo.se mt"),
    "other-key": (log_with(by_certificate(stated(key="x+1+y"))), "about another key"),
    "changed": (log_with(changed(by_certificate(stated()), role="ap")), "not signed by the key"),
    "changed-of-custodian": (log_with(changed(by_custodian(stated()), role="ap")), "not signed by the key"),
    "by-another-key": (
        log_with(by_custodian(stated(), Ed25519PrivateKey.from_private_bytes(bytes(32)))),
        "not signed by the key",
    ),
    "other-statement": (log_with(by_certificate(stated()), digest="00" * 32), "not the one that the log's"),
    "no-json": (log_with(b"{"), "cannot be read"),
    "no-object": (log_with(b"[]"), "cannot be read"),
    "no-signature": (log_with(json.dumps(stated()).encode()), "cannot be read"),
    "no-ssh-signature": (log_with(changed(by_custodian(stated()), sshsig="x")), "cannot be read"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_statement_that_does_not_hold_is_named(case: str, tmp_path: Path) -> None:
    log, why = WRONG[case]
    ended = verified(log, tmp_path, "--json")
    assert ended.status == 1
    assert why in ended.document["keys"][0]["fault"]
    assert ended.document["first_wrong"] is None


def test_a_statement_that_was_left_out_of_the_file_is_missed(tmp_path: Path) -> None:
    log = log_with(by_certificate(stated()))
    log.statements.clear()
    ended = verified(log, tmp_path, "--json")
    assert (ended.status, "the file does not" in ended.document["keys"][0]["fault"]) == (1, True)
