"""``samdrift validate`` on DIGG's published files, and on files of other kinds."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.official import DIGG, requires_digg
from tests.unit.cli.commandline import in_process, samdrift
from tests.unit.cli.unusable import make_unusable

EXAMPLES = {
    "messageWithAttachments3.xml": "sdk-message",
    "XHE-tm-base.xml": "envelope",
    "XHE-tm-base-ext-sigenc.xml": "envelope",
    "Kvittens_AP-Accepterat.xml": "receipt",
    "Kvittens_RE-AnnatFel.xml": "receipt",
    "Kvittens_RE-SIG.xml": "receipt",
}


@requires_digg
def test_published_examples_are_valid() -> None:
    files = [DIGG / "examples" / name for name in EXAMPLES]
    ended = in_process("validate", "--json", *files)
    assert (ended.status, ended.complaints) == (0, "")
    assert ended.document == {
        "files": [
            {"file": str(file), "kind": kind, "valid": True, "findings": []}
            for file, kind in zip(files, EXAMPLES.values(), strict=True)
        ]
    }


@requires_digg
def test_a_violation_is_named_with_its_receipt_codes_and_place(tmp_path: Path) -> None:
    text = (DIGG / "examples" / "messageWithAttachments3.xml").read_text()
    wrong = tmp_path / "wrong.xml"
    wrong.write_text(text.replace("confidentiality>", "secrecy>"))
    ended = in_process("validate", wrong, "--json")
    (file,) = ended.document["files"]
    assert (ended.status, file["kind"], file["valid"]) == (1, "sdk-message", False)
    assert all(finding.keys() == {"reason", "detail", "text", "path"} for finding in file["findings"])
    assert ("SV", "structure") in {(finding["reason"], finding["detail"]) for finding in file["findings"]}
    assert all(finding["path"].startswith("/messagePayload") for finding in file["findings"])


@requires_digg
def test_text_says_the_same_as_json(tmp_path: Path) -> None:
    text = (DIGG / "examples" / "Kvittens_RE-SIG.xml").read_text()
    wrong = tmp_path / "wrong.xml"
    wrong.write_text(text.replace(">REJECTED<", ">PERHAPS<"))
    (file,) = in_process("validate", wrong, "--json").document["files"]
    ended = in_process("validate", wrong, DIGG / "examples" / "messageWithAttachments3.xml")
    lines = [f"{wrong}: receipt, not valid"]
    for each in file["findings"]:
        lines += [f"  {each['reason']} {each['detail']}: {each['text']}", f"    at {each['path']}"]
    lines.append(f"{DIGG / 'examples' / 'messageWithAttachments3.xml'}: sdk-message, valid")
    assert file["findings"]
    assert (ended.status, ended.output.splitlines(), ended.complaints) == (1, lines, "")


def test_each_unusable_file_is_told_in_one_line(tmp_path: Path) -> None:
    unusable = make_unusable(tmp_path)
    ended = in_process("validate", *(path for path, _ in unusable.values()))
    assert (ended.status, ended.output) == (2, "")
    for line, (_, words) in zip(ended.complaints.splitlines(), unusable.values(), strict=True):
        assert line.startswith("samdrift: ")
        assert words in line


@pytest.mark.parametrize("case", ["entity-bomb", "unknown-root", "directory", "huge"])
def test_one_unusable_file_ends_with_status_2(tmp_path: Path, case: str) -> None:
    path, words = make_unusable(tmp_path)[case]
    ended = in_process("validate", path)
    assert (ended.status, ended.output, ended.complaints.count("\n")) == (2, "", 1)
    assert words in ended.complaints


@requires_digg
def test_the_other_files_are_validated_all_the_same(tmp_path: Path) -> None:
    good = DIGG / "examples" / "XHE-tm-base.xml"
    empty, _ = make_unusable(tmp_path)["empty"]
    ended = in_process("validate", "--json", empty, good)
    first, second = ended.document["files"]
    assert (ended.status, ended.complaints) == (2, f"samdrift: {empty}: is empty\n")
    assert (first["kind"], first["valid"], first["error"]) == (None, False, f"{empty}: is empty")
    assert (second["kind"], second["valid"]) == ("envelope", True)


def test_a_name_that_is_no_utf_8_can_be_shown(tmp_path: Path) -> None:
    ended = samdrift("validate", "--json", tmp_path / "k\udce4nslig.xml")
    assert ended.status == 2
    assert ended.document["files"][0]["file"] == str(tmp_path / "k\\xe4nslig.xml")
