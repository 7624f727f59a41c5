"""Unusable files, at every command that reads a log, a policy, promises or evidence.

Each command ends with status 2 and one line with the place, whatever the bytes: no traceback and no
verdict.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Sequence
from itertools import product
from pathlib import Path

import pytest

from samdrift.audit.policies import MAX_POLICY
from tests.sizes import sampled
from tests.unit.audit.logs import POLICY, made
from tests.unit.audit.signing import LOG, ONE
from tests.unit.cli.commandline import in_process


def archive(*members: tuple[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


BYTES: dict[str, bytes] = {
    "nothing": b"",
    "zeros": bytes(600),
    "too long": b"x" * 2_000_000,
    "not text": b"\xff\xfe\xff\n" * 40,
    "control characters": b"log \x1b[31m\x00\n" * 4,
    "deep": b"[" * 100_000,
    "ends early": b"samdrift.log/1\n12",
    "numbers without end": b"9" * 50_000 + b"\n",
    "an archive of nothing": archive(),
    "an archive of something else": archive(("readme", b"x")),
    "an archive whose description is deep": archive(("log.json", b"[" * 60_000)),
    "an archive that ends early": archive(("log.json", b"{}" * 400))[:700],
    "an archive that leads elsewhere": archive(("../../etc/passwd", b"x")),
}
"""Contents of files that are not a log, a policy, a copy, promises or evidence."""
POLICIES: dict[str, bytes] = {
    "a quorum that cannot be met": POLICY.replace(b"quorum", b"group g 2 %b\nquorum" % b"one"),
    "a key twice": b"log %b\nlog %b\nquorum none\n" % ((str(LOG.key).encode(),) * 2),
    "a witness twice": b"witness a %b\nwitness b %b\nquorum none\n" % ((str(ONE.key).encode(),) * 2),
    "a name with a space": b"log log example+00000000+AAAA\nquorum none\n",
    "no quorum": b"log %b\n" % str(LOG.key).encode(),
    "ends early": POLICY[:-1],
    "too long": b"#" * (MAX_POLICY + 1) + b"\n",
}
WITH_A_LOG: dict[str, Sequence[str]] = {
    "log verify": ("log", "verify", "{bad}", "--policy", "{policy}"),
    "log search": ("log", "search", "{bad}", "7"),
    "log sample": ("log", "sample", "{bad}", "--seed", "1"),
    "log hints": ("log", "hints", "{bad}"),
    "log reconcile, one side": ("log", "reconcile", "{bad}", "{log}", "--policy", "{policy}"),
    "log promises, the copy": ("log", "promises", "{promises}", "{bad}", "--policy", "{policy}"),
    "evidence verify": ("evidence", "verify", "{bad}"),
}
WITH_A_POLICY: dict[str, Sequence[str]] = {
    "log verify": ("log", "verify", "{log}", "--policy", "{bad}"),
    "log reconcile": ("log", "reconcile", "{log}", "{log}", "--policy", "{bad}"),
    "log promises": ("log", "promises", "{promises}", "{log}", "--policy", "{bad}"),
    "evidence verify": ("evidence", "verify", "{log}", "--policy", "{bad}"),
    "witness serve": ("witness", "serve", "{folder}/witness", "--name", "w.example/1", "--logs", "{bad}"),
}


def ended(command: Sequence[str], content: bytes, folder: Path) -> None:
    (folder / "bad").write_bytes(content)
    (folder / "policy").write_bytes(POLICY)
    (folder / "promises").write_text("")
    log = made(60, each=30).write(folder / "log")
    files = {"bad": folder / "bad", "policy": folder / "policy", "promises": folder / "promises"}
    said = in_process(*(part.format(**files, log=log, folder=folder) for part in command))
    assert (said.status, said.output) == (2, ""), said.complaints
    assert len(said.complaints.splitlines()) == 1, said.complaints
    assert "Traceback" not in said.complaints
    assert said.complaints.isprintable() or said.complaints.rstrip("\n").isprintable()


@pytest.mark.parametrize(("command", "content"), sampled(product(WITH_A_LOG, BYTES)))
def test_what_is_no_log_ends_with_2_and_one_line(command: str, content: str, tmp_path: Path) -> None:
    ended(WITH_A_LOG[command], BYTES[content], tmp_path)


@pytest.mark.parametrize(("command", "content"), sampled(product(WITH_A_POLICY, (*BYTES, *POLICIES))))
def test_what_is_no_policy_ends_with_2_and_one_line(command: str, content: str, tmp_path: Path) -> None:
    ended(WITH_A_POLICY[command], (BYTES | POLICIES)[content], tmp_path)
    assert not (tmp_path / "witness").exists(), "a witness without a valid policy must not create files"


@pytest.mark.parametrize("content", [each for each in BYTES.values() if each], ids=[*BYTES][1:])
def test_what_is_no_list_of_promises_ends_with_2_and_one_line(content: bytes, tmp_path: Path) -> None:
    ended(("log", "promises", "{bad}", "{log}", "--policy", "{policy}"), content, tmp_path)


def test_promises_are_not_compared_with_a_copy_that_is_not_there(tmp_path: Path) -> None:
    """A copy is not created either: with a mistyped name every promise would be open, and then broken."""
    (tmp_path / "policy").write_bytes(POLICY)
    (tmp_path / "promises").write_text("")
    copy = tmp_path / "copy"
    said = in_process("log", "promises", tmp_path / "promises", copy, "--policy", tmp_path / "policy")
    assert (said.status, said.output, copy.exists()) == (2, "", False)


@pytest.mark.parametrize(
    "options",
    [
        ("--hand-over", "0203:habo.se"),
        ("--hand-over", "0203:habo.se", "--to", "Kim"),
        ("--hand-over", "0203:habo.se", "--out", "logs"),
        ("--hand-over", "0203:habo.se", "--to", "Kim\n", "--out", "logs\n", "--to", " "),
        ("--hand-over", "habo", "--to", "Kim", "--out", "logs"),
        ("--to", "Kim"),
        ("--out", "logs"),
    ],
)
def test_a_hand_over_that_is_not_whole_is_unusable(options: Sequence[str], tmp_path: Path) -> None:
    config = tmp_path / "missing.toml"
    ended = in_process("log", "kept", "--reason", "test", "--config", config, *options)
    assert (ended.status, "Traceback" in ended.complaints) == (2, False)
    assert "missing.toml" not in ended.complaints, "wrong options must be reported before any file is read"
