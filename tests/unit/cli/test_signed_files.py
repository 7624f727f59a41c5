"""Files that a command reads: the command's signature covers their content, and a changed file is refused."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyrage
import pytest
import typer
from cryptography.hazmat.primitives.serialization import Encoding
from typer.core import TyperCommand

from samdrift.administration.staff import proven
from samdrift.attestation.agefile import decrypting
from samdrift.attestation.errors import MoveError
from samdrift.cli import proving
from samdrift.cli.inputs import known_digest, read_input, require_unchanged
from samdrift.cli.proving import KEYS, UNSIGNED, WRITTEN
from samdrift.config.errors import Unusable
from samdrift.config.staff import StaffKeysConfig
from samdrift.contracts.principals import Role
from samdrift.governance.duties import catalogue
from samdrift.wire.crypto.sshsig import SshKey
from tests.pki import root
from tests.secretfiles import secret_file
from tests.unit.cli.commandtree import commands
from tests.unit.cli.test_backup import Ground, ground
from tests.unit.cli.test_proving import Staff, act_of, refusals, staff
from tests.unit.rights.building import founding
from tests.vaults import Installation

__all__ = ["ground", "staff"]
ROLES = (Role.ACCESS_POINT,)
AP = Role.ACCESS_POINT
WHO = ("--by", "ola", "--reason", "test")
PREPARED = ("--by", "person:anna", "--why", "test", "--prepared-by", "ola", "--out", "out.json")
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop"
RECIPIENT = str(pyrage.x25519.Identity.generate().to_public())
OTHERS = "0203:kommun.se"
"""Another organisation, which is never looked at because the command is refused before."""
CATALOGUE = next(Path(catalogue.__file__).parent.glob("*.json")).read_text()
STATEMENT = founding()[0].content.decode()
CERTIFICATE = root("Issuer", 1).certificate.public_bytes(Encoding.PEM).decode()
OLD_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIP2sT0Twb24BUkl/op6pZ0BSF9sRxBSJPow1Zi8STSdZ"
OLD_TEXT = (
    '{"at":"2026-11-20T09:30:00Z","by":"ola","command":"gov statement show","environment":"production",'
    '"federation":"edelivery:federation:sdk","installation":"PSE000000001",'
    '"nonce":"4bf1c0a7d2e94e0f8a6d3c5b7e1f2a90","parameters":{"file":"/home/ola/statement.json",'
    '"organisation":"0203:habo.se","reason":"incident 41"}}'
)
OLD_SIGNATURE = """\
U1NIU0lHAAAAAQAAADMAAAALc3NoLWVkMjU1MTkAAAAg/axPRPBvbgFSSX+inqlnQFIX2x
HEFIk+jDVmLxJNJ1kAAAAQc2FtZHJpZnQtY29tbWFuZAAAAAAAAAAGc2hhNTEyAAAAUwAA
AAtzc2gtZWQyNTUxOQAAAECmZ/APJrfRDyktq+GIVIREX6VdTjE5Ih9O9Xfj3YNe2dt0Vp
yFggVKxVQwid3gZTL7lhB4iqFCcb0jPlWk8SYN"""
"""A signature as a log has it from an earlier version, made with `ssh-keygen -Y sign -n samdrift-command`."""

READ_ONCE: dict[tuple[str, ...], tuple[str, Callable[[str], tuple[str, ...]]]] = {
    ("backup", "create", "to_file"): (RECIPIENT, lambda file: (".", "--to-file", file, *WHO)),
    ("gov", "agreement", "enter", "file"): ("{}", lambda file: ("{organisation}", file, *PREPARED)),
    ("gov", "agreement", "release", "catalogue"): (
        CATALOGUE,
        lambda file: ("{organisation}", "no-such", "--catalogue", file, *PREPARED),
    ),
    ("gov", "coverage", "catalogue"): (
        CATALOGUE,
        lambda file: ("{organisation}", "--catalogue", file, *WHO),
    ),
    ("gov", "report", "catalogue"): (
        CATALOGUE,
        lambda file: ("{organisation}", "--catalogue", file, *WHO),
    ),
    ("gov", "declaration", "attested"): ("", lambda file: ("--attested", file, *WHO)),
    ("gov", "incident", "attach", "file"): ("a log", lambda file: ("{organisation}", "1", file, *PREPARED)),
    ("gov", "officer", "enrol", "key"): (
        KEY,
        lambda file: ("{organisation}", "--name", "Kim", "--key", file, *PREPARED),
    ),
    ("gov", "statement", "propose", "act"): ("{}", lambda file: ("{organisation}", file, *PREPARED)),
    ("gov", "statement", "show", "file"): (STATEMENT, lambda file: ("{organisation}", file, *WHO)),
    ("mailbox", "text", "keep", "file"): (
        "Hello",
        lambda file: ("{organisation}", "box@a.se", "--title", "Greeting", "--file", file, *WHO),
    ),
    ("keys", "install", "certificate"): (
        CERTIFICATE,
        lambda file: ("tls-server", file, "--by", "ola"),
    ),
    ("org", "keys", "install", "certificate"): (
        CERTIFICATE,
        lambda file: ("{organisation}", "signing", file, "--by", "ola"),
    ),
    ("org", "keys", "install-all", "certificates"): (
        CERTIFICATE,
        lambda file: ("{organisation}", file, "--by", "ola"),
    ),
}
"""Files that are read once, by command and parameter, with usable content and the command's arguments."""
READ_FOR_OFFICERS = {
    ("log", "resolve", "signed"),
    *((("gov", "statement", "append", each)) for each in ("file", "signature")),
    ("gov", "statement", "append-all", "statements"),
}
"""Files signed by an organisation's own officers, also read once (test_preparing.py, test_bringing.py)."""
READ_LATER = {
    ("backup", "drill", "backup"),
    ("backup", "restore", "backup"),
    ("org", "import", "file"),
}
"""Files that are read as needed, and compared then."""
BY_OTHERS = {
    ("gov", "coverage", "statements"),
    ("log", "names", "to_file"),
    ("org", "close", "certificate"),
    ("org", "export", "to_file"),
    ("testbed", "evidence", "file"),
    ("testbed", "run", "against"),
    ("testbed", "run", "participants"),
}
"""Files of commands that the staff do not sign, proven by custodians' passphrases or not at all."""


def test_every_file_that_a_command_is_given_is_written_secret_or_covered_by_a_signature_here() -> None:
    """A new parameter must be added to one of these lists; otherwise an exchanged file would go unnoticed."""
    left_out = UNSIGNED | WRITTEN | KEYS
    given = {
        (*words, each.name)
        for words, command in commands().items()
        if {"by", "prepared_by"} & {one.name for one in command.params}
        for each in command.params
        if "Path" in str(each.type_descriptor) and each.name not in left_out  # type: ignore[attr-defined]
    }
    assert given == {*READ_ONCE, *READ_LATER, *READ_FOR_OFFICERS, *BY_OTHERS}


@pytest.mark.parametrize(
    ("what", "how"),
    [
        *((what, "replaced") for what in READ_ONCE),
        (("gov", "statement", "propose", "act"), "written over"),
        (("gov", "statement", "propose", "act"), "link led elsewhere"),
        (("gov", "statement", "propose", "act"), "removed"),
    ],
    ids=lambda each: each if isinstance(each, str) else " ".join(each),
)
async def test_a_file_that_is_exchanged_while_its_signature_is_made_is_refused(
    installation: Installation,
    staff: Staff,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    what: tuple[str, ...],
    how: str,
) -> None:
    """A person who signs elsewhere takes minutes; after a swap nothing is done, whatever was signed."""
    monkeypatch.chdir(tmp_path)
    content, words = READ_ONCE[what]
    (tmp_path / "own").write_text(content)
    (file := tmp_path / "given").symlink_to("own")
    texts = exchanging(monkeypatch, lambda: EXCHANGES[how](file))
    before = len(await refusals(installation))
    ended = await staff.run(*what[:-1], *(each.format(organisation=OTHERS) for each in words(str(file))))
    assert ended.status == 2
    told = (
        "no such file" if how == "removed" else "was changed while the command ran; nothing was done with it"
    )
    assert told in ended.complaints
    (text,) = texts
    assert json.loads(text).get("contents") == {what[-1]: hashlib.sha256(content.encode()).hexdigest()}
    assert (await refusals(installation))[before:] == [
        {"by": "ola", "command": " ".join(what[:-1]), "reason": "changed"}
    ]


async def test_a_backup_that_is_exchanged_for_an_older_one_after_signing_is_not_put_back(
    ground: Ground, staff: Staff, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both are whole and signed by this installation, but the person's signature is for one of them."""
    only = ("--organisation", ground.organisation.value)
    to = ("--to", ground.recipient, *only, *WHO, "--json")
    made = []
    for folder in (ground.folder / "older", ground.folder / "newer"):
        folder.mkdir()  # One folder each, since backups are named by the second.
        made.append((await ground.run("create", folder, *to)).document)
    older, newer = made
    latest = ground.folder / "latest"

    def back() -> None:
        latest.unlink()
        latest.symlink_to(older["backup"])

    texts = exchanging(monkeypatch, back)
    for command in ("drill", "restore"):
        latest.unlink(missing_ok=True)
        latest.symlink_to(newer["backup"])
        ended = await staff.run("backup", command, latest, "--identity", ground.identity, *only, *WHO)
        assert ended.status == 2
        assert "was changed while the command ran; nothing was done with it" in ended.complaints
        assert json.loads(texts.pop())["contents"] == {"backup": newer["sha256"]}


async def test_an_export_is_taken_in_as_the_file_that_was_signed_for(
    staff: Staff, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The export is large and read as a stream; its digest is compared before anything is stored."""
    identity = secret_file(tmp_path / "identity", str(pyrage.x25519.Identity.generate()))
    (file := tmp_path / "export.age").write_bytes(b"as it was")
    orders: list[Any] = []

    async def taken_in(config: object, order: Any) -> None:
        orders.append(order)
        raise Unusable("far enough")

    monkeypatch.setattr("samdrift.cli.org.moving._import", taken_in)
    exchanging(monkeypatch, lambda: file.write_bytes(b"another"))
    given = ("--identity", identity, "--signer", "0" * 64, "--by", "ola")
    ended = await staff.run("org", "import", OTHERS, file, *given)
    assert "far enough" in ended.complaints
    assert orders[0].file_digest == hashlib.sha256(b"as it was").hexdigest()


async def test_a_file_that_is_decrypted_is_the_one_whose_digest_is_named(tmp_path: Path) -> None:
    """Even if it is not read to its end, another file with the same content for the same key is refused."""
    key = pyrage.x25519.Identity.generate()
    file, content = tmp_path / "file.age", b"content" * 100_000
    for ended_early in (False, True):
        file.write_bytes(pyrage.encrypt(content, [key.to_public()]))
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        async with decrypting(file, [key], digest) as source:
            assert await source.read(10 if ended_early else len(content) + 1)
        file.write_bytes(pyrage.encrypt(content, [key.to_public()]))
        with pytest.raises(MoveError, match="was changed after its SHA-256 was computed"):
            async with decrypting(file, [key], digest) as source:
                assert await source.read(10 if ended_early else len(content) + 1)


def test_what_can_be_read_once_alone_is_signed_as_it_was_read(tmp_path: Path) -> None:
    """A pipe such as `<(gpg --decrypt …)` is not opened again, which would wait for ever."""
    os.mkfifo(pipe := tmp_path / "pipe")
    writing = threading.Thread(target=pipe.write_bytes, args=(b"once",))
    with typer.Context(TyperCommand("any")).scope():
        writing.start()
        assert read_input(pipe) == b"once"
        writing.join()
        require_unchanged(pipe)
        assert known_digest(pipe) == hashlib.sha256(b"once").hexdigest()


def test_a_file_that_is_read_twice_is_the_same_or_refused(tmp_path: Path) -> None:
    file = tmp_path / "file"
    with typer.Context(TyperCommand("any")).scope():
        for content, same in ((b"one", True), (b"one", True), (b"two", False)):
            file.write_bytes(content)
            with contextlib.nullcontext() if same else pytest.raises(Unusable, match="was changed"):
                read_input(file)
    with typer.Context(TyperCommand("another run")).scope():
        assert read_input(file) == b"two"


def test_a_folder_is_no_file_and_one_that_is_too_large_is_told_so(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(b"12345")
    for file, told in ((tmp_path, "is a directory"), (tmp_path / "large", "larger than 4 bytes")):
        with pytest.raises(Unusable, match=told):
            read_input(file, 4)


def test_a_command_that_reads_no_file_is_signed_as_before(staff: Staff) -> None:
    assert "contents" not in json.loads(act_of(staff, {}).text())


def test_a_proof_that_was_made_before_contents_were_signed_still_verifies() -> None:
    signer = StaffKeysConfig("ola", (SshKey.parse(OLD_KEY),))
    armoured = f"-----BEGIN SSH SIGNATURE-----\n{OLD_SIGNATURE}\n-----END SSH SIGNATURE-----\n"
    assert proven(signer, OLD_TEXT.encode(), armoured).text == OLD_TEXT


def exchanging(monkeypatch: pytest.MonkeyPatch, exchange: Callable[[], object]) -> list[bytes]:
    """Call ``exchange`` while a signature is made; return the texts that are signed."""
    texts: list[bytes] = []
    sign = proving._signature

    def signature(who: StaffKeysConfig, text: bytes) -> str:
        texts.append(text)
        made = sign(who, text)
        exchange()
        return made

    monkeypatch.setattr(proving, "_signature", signature)
    return texts


def replaced(file: Path) -> None:
    (other := file.with_name("other")).write_text("something else")
    other.replace(file.resolve())


def linked(file: Path) -> None:
    (other := file.with_name("other")).write_text("something else")
    file.unlink()
    file.symlink_to(other)


EXCHANGES: dict[str, Callable[[Path], object]] = {
    "replaced": replaced,
    "written over": lambda file: file.write_text("something else"),
    "link led elsewhere": linked,
    "removed": lambda file: file.resolve().unlink(),
}
