"""PDFs of hand-overs and reports validated by veraPDF: PDF/A-2a (ISO 19005-2) and PDF/UA-1 (ISO 14289-1)."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from samdrift.attestation.pdfsigning import signed_pdf
from samdrift.governance.reportpdf import TEMPLATE as REPORT
from samdrift.governance.reportpdf import pdf_document
from samdrift.messageclient.handover.typesetting import typeset
from samdrift.messageclient.mail import File, Note, Person
from tests.interop.maven import MavenProject
from tests.interop.tools import Unavailable, left_out
from tests.pki import root
from tests.unit.governance.test_report import everything, made
from tests.unit.messageclient.test_handover import AT, HOSTILE, invented, written

_HERE = Path(__file__).parent
_TEXT = """# Rubrik

Ett **viktigt** och *kursivt* ord
på två rader.

## Under

1. ett
   - under ett
     1. djupt
2. två

   ett stycke till
"""
_FILES = tuple(File(f"f{number}", f"Beslut {number}.pdf", "application/pdf", 10**6) for number in range(60))


@pytest.fixture(scope="module")
def classpath() -> str:
    try:
        return MavenProject(_HERE).classpath()
    except Unavailable as reason:
        left_out("veraPDF", reason)


def judged(classpath: str, flavour: str, files: list[Path]) -> str:
    command = ["java", "-Xmx512m", "-cp", classpath, "verapdf.Judge", flavour, *map(str, files)]
    ended = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, check=True)
    return ended.stdout


@pytest.mark.parametrize("flavour", ["2a", "ua1"])
def test_every_hand_over_is_for_archives_and_for_those_who_listen(
    classpath: str, flavour: str, tmp_path: Path
) -> None:
    """This includes a usual one, a long one with notes and documents, and one with each hostile text."""
    usual = invented(_TEXT, files=_FILES[:1])
    (message,) = usual.conversation.messages
    two = replace(message, documents=(message.documents[0], replace(message.documents[0], name="Bilaga")))
    note = Note("n", Person("anna", "Anna Ek"), AT, "Ringde.\nIngen svarade.")
    many = replace(usual.conversation, messages=(two,) * 20, notes=(note,))
    handovers = [
        usual,
        replace(usual, conversation=many),
        invented(_TEXT, files=_FILES),
        *(invented(text, subject=text) for text in HOSTILE),
    ]
    files = []
    for number, handover in enumerate(handovers):
        files.append(tmp_path / f"{number}.pdf")
        files[-1].write_bytes(typeset(json.dumps(written(handover), ensure_ascii=False)))
    said = judged(classpath, flavour, files)
    assert [line for line in said.splitlines() if not line.endswith(" holds")] == []
    assert said.count(" holds") == len(files)


@pytest.mark.parametrize("flavour", ["2a", "ua1"])
async def test_a_signed_report_is_for_archives_and_for_those_who_listen(
    classpath: str, flavour: str, tmp_path: Path
) -> None:
    """Reports are with evidence and without, in both languages; the signature is appended to the file."""
    key = root("Test CA", 1).issue("Håbo kommun").signing_key()
    files = []
    for language in ("sv", "en"):
        for found in (made(), made(everything())):
            pdf = typeset(json.dumps(pdf_document(found, "Håbo kommun", language)), REPORT)
            files.append(tmp_path / f"report-{len(files)}.pdf")
            files[-1].write_bytes(await signed_pdf(pdf, key))
    said = judged(classpath, flavour, files)
    assert [line for line in said.splitlines() if not line.endswith(" holds")] == []
    assert said.count(" holds") == len(files)


def test_the_judge_finds_what_is_wrong(classpath: str, tmp_path: Path) -> None:
    good = typeset(json.dumps(written(invented()), ensure_ascii=False))
    bad = tmp_path / "bad.pdf"
    bad.write_bytes(good.replace(b"<pdfaid:part>2<", b"<pdfaid:part>4<"))
    assert "does not hold" in judged(classpath, "2a", [bad])
