"""Read-only commands do not create a key store: a mistyped path leaves no trace."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from uuid import uuid4

import pyrage
import pytest
import typer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from samdrift.config.errors import Unusable
from tests import pki
from tests.roles.test_command_line_separation import Path_, commands
from tests.secretfiles import secret_file
from tests.sizes import sampled
from tests.unit.config.test_reader import GOOD, write

CERTIFICATE = pki.root("CA", 1).certificate.public_bytes(Encoding.PEM)
OFFICER = Ed25519PrivateKey.generate().public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
ORGANISATION, MESSAGE = "0203:habo.se", str(uuid4())
PERSONS = (
    "--by",
    "anna",
    "--by-passphrase-file",
    "{words}",
    "--with",
    "bo",
    "--with-passphrase-file",
    "{words}",
)
WHY = ("--by", "anna", "--reason", "test")
WANTED = ("--extent", "everything", "--ground", "outage", "--ticket", "INC-1")
SIGNED = ("--by", "anna", "--why", "test", "--out", "{folder}/to-be-signed")
DIGEST = "0" * 64
NEXT_YEAR = ("--until", "2027-01-01T00:00:00Z")
READS: dict[Path_, Sequence[str]] = {
    ("doctor",): ("--offline",),
    ("status",): (),
    ("console",): (),
    ("watch",): (),
    ("org", "show"): (ORGANISATION, "--offline"),
    ("org", "list"): (),
    ("as4", "inspect"): ("{certificate}",),
    ("org", "suspend"): (ORGANISATION, "--by", "anna", "--why", "test"),
    ("org", "resume"): (ORGANISATION, "--by", "anna", "--why", "test"),
    ("org", "export"): (ORGANISATION, "--out", "{folder}/export", "--to", "{recipient}", *PERSONS),
    ("org", "close"): (ORGANISATION, "--decision", "dnr 1", *PERSONS),
    ("org", "lock"): (ORGANISATION, "--passphrase-file", "{words}"),
    ("org", "unlock"): (ORGANISATION, "--passphrase-file", "{words}"),
    ("org", "use-hsm"): (ORGANISATION,),
    ("org", "use-token"): (ORGANISATION,),
    ("org", "sign-in", "list"): (ORGANISATION,),
    ("org", "sign-in", "renew"): (ORGANISATION, *PERSONS),
    ("org", "sign-in", "metadata"): (ORGANISATION,),
    ("org", "sign-in", "jwks"): (ORGANISATION,),
    ("org", "sign-in", "retire"): (ORGANISATION, "signing", "1", *PERSONS),
    ("org", "keys", "list"): (),
    ("org", "keys", "create"): (ORGANISATION, "signing", *PERSONS),
    ("org", "keys", "create-all"): (ORGANISATION, *PERSONS, "--out", "{folder}/requests"),
    ("org", "keys", "install"): (ORGANISATION, "signing", "{certificate}"),
    ("org", "keys", "install-all"): (ORGANISATION, "{certificate}"),
    ("org", "keys", "activate"): (ORGANISATION, "signing", "1"),
    ("org", "keys", "revoke"): (ORGANISATION, "signing", "1", "--reason", "superseded"),
    ("org", "keys", "retire"): (ORGANISATION, "signing", "1", *PERSONS),
    ("org", "keys", "publish"): (ORGANISATION,),
    ("org", "keys", "rotate-data-key"): (ORGANISATION,),
    ("org", "keys", "rotate-log-key"): (ORGANISATION, *PERSONS),
    ("org", "keys", "lost-marks"): (ORGANISATION,),
    ("org", "keys", "backup"): (ORGANISATION, "--out", "{folder}/backup", *PERSONS),
    ("org", "keys", "restore"): (
        "{words}",
        *("--by-passphrase-file", "{words}", "--with-passphrase-file", "{words}"),
    ),
    ("custodian", "list"): (),
    ("custodian", "key"): ("anna", "--passphrase-file", "{words}"),
    ("custodian", "restart"): ("--why", "test"),
    ("custodian", "remove"): ("anna", *PERSONS),
    ("custodian", "approve"): ("12345678", "--by", "anna", "--by-passphrase-file", "{words}"),
    ("backup", "create"): ("{folder}", "--to", "{recipient}", "--reason", "test"),
    ("backup", "list"): ("{folder}",),
    ("backup", "verify"): ("{folder}", "--identity", "{words}"),
    ("backup", "drill"): ("{folder}", "--identity", "{words}", "--reason", "test"),
    ("backup", "restore"): ("{folder}", "--everything", "--identity", "{words}", "--reason", "test"),
    ("database", "rotate-logins"): (),
    ("database", "merge"): (),
    ("keys", "list"): (),
    ("keys", "install"): ("tls-server", "{certificate}"),
    ("keys", "retire"): ("access-point", "1"),
    ("trace",): (ORGANISATION, MESSAGE, "--reason", "test"),
    ("evidence", "export"): (
        *(ORGANISATION, MESSAGE, "--out", "{folder}/evidence"),
        *("--by", "anna", "--reason", "test"),
    ),
    ("peers", "list"): (),
    ("peers", "report"): ("AP0040-SDK-TEST", "--out", "{folder}/report"),
    ("routing",): (),
    ("storage",): (),
    ("queue", "list"): ("--organisation", ORGANISATION),
    ("queue", "why"): (MESSAGE, "--organisation", ORGANISATION),
    ("queue", "retry"): (MESSAGE, "--organisation", ORGANISATION),
    ("queue", "give-up"): (MESSAGE, "--organisation", ORGANISATION, "--reason", "test"),
    ("queue", "refused"): ("--organisation", ORGANISATION),
    ("addressbook",): ("habo",),
    ("isolation", "check"): (),
    ("log", "checkpoint"): ("--reason", "test"),
    ("log", "dispose"): (
        ORGANISATION,
        *("--role", "mt", "--class", "reading", "--decision", "dnr 1"),
        *PERSONS,
    ),
    ("log", "names"): (ORGANISATION, "--out", "{folder}/names", "--to", "{recipient}", *PERSONS),
    ("log", "outcome"): (
        ORGANISATION,
        *("--role", "mt", "--outcome", "nothing", "--period", "April", "--by", "anna"),
    ),
    ("log", "retention"): (ORGANISATION, "--role", "mt", "--reason", "test"),
    ("log", "export"): ("--out", "{folder}/log", "--by", "anna", "--reason", "test"),
    ("log", "resolve"): (ORGANISATION, "--role", "mt", "--decision", "dnr 1", "--by", "anna"),
    ("log", "status"): ("--reason", "test"),
    ("log", "kept"): ("--reason", "test"),
    ("mailbox", "add"): (ORGANISATION, "sdk.soc.0203:habo.se", "Socialtjänsten", "--reason", "test"),
    ("mailbox", "change"): (ORGANISATION, "sdk.soc.0203:habo.se", "--end", "--reason", "test"),
    ("mailbox", "figures"): (ORGANISATION, "--reason", "test"),
    ("mailbox", "disposals"): (ORGANISATION, "--reason", "test"),
    ("mailbox", "check"): (ORGANISATION, "--reason", "test"),
    ("mailbox", "deletion"): (ORGANISATION, *WHY),
    ("mailbox", "backup-verified"): (ORGANISATION, "--taken-at", "2026-01-01", *WHY),
    ("mailbox", "disposal-rule"): (
        *(ORGANISATION, "sdk.soc", "--since", "done", "--days", "30", "--decision", "dnr 1"),
        *WHY,
    ),
    ("mailbox", "manning"): (ORGANISATION, "sdk.soc", *WHY),
    ("mailbox", "notices"): (ORGANISATION, *WHY),
    ("mailbox", "text", "list"): (ORGANISATION, "sdk.soc", *WHY),
    ("mailbox", "text", "keep"): (ORGANISATION, "sdk.soc", "--title", "Hej", "--file", "{words}", *WHY),
    ("mailbox", "text", "remove"): (ORGANISATION, "sdk.soc", "1", *WHY),
    ("mailbox", "rule", "list"): (ORGANISATION, "sdk.soc", *WHY),
    ("mailbox", "rule", "add"): (ORGANISATION, "sdk.soc", "--handler", "kim", "--from", "kommun", *WHY),
    ("mailbox", "rule", "remove"): (ORGANISATION, "sdk.soc", "1", *WHY),
    ("mailbox", "recipients", "list"): (ORGANISATION, "sdk.soc", *WHY),
    ("mailbox", "recipients", "keep"): (
        *(ORGANISATION, "sdk.soc", "--name", "Alla", "--to", f"{ORGANISATION} sdk.soc"),
        *WHY,
    ),
    ("mailbox", "recipients", "remove"): (ORGANISATION, "sdk.soc", "1", *WHY),
    ("mailbox", "appoint"): (
        ORGANISATION,
        "administrator",
        "--subject",
        "1",
        "--name",
        "Anna",
        "--by",
        "anna",
        "--reason",
        "test",
    ),
    ("mailbox", "dismiss"): (ORGANISATION, "--subject", "1", "--by", "anna", "--reason", "test"),
    ("mailbox", "list"): (ORGANISATION, "--reason", "test"),
    ("mailbox", "rights"): (ORGANISATION, "--reason", "test"),
    ("gov", "officer", "enrol"): (
        *(ORGANISATION, "--key", "{officer}", "--name", "Kim", "--person", "kim", "--role", "administrator"),
        *PERSONS,
    ),
    ("gov", "officer", "confirm"): (ORGANISATION, DIGEST, *PERSONS[:4]),
    ("gov", "officer", "list"): (ORGANISATION, *WHY),
    ("gov", "officer", "end"): (ORGANISATION, DIGEST, *SIGNED),
    ("gov", "officer", "lost"): (ORGANISATION, DIGEST, "--since", "2026-01-01", *SIGNED),
    ("gov", "grant", "give"): (
        *(ORGANISATION, "--to", "person:kim", "--rights", "read", "--mailbox", "any", *NEXT_YEAR),
        *SIGNED,
    ),
    ("gov", "grant", "approve"): (ORGANISATION, DIGEST, *SIGNED),
    ("gov", "grant", "object"): (ORGANISATION, DIGEST, *SIGNED),
    ("gov", "grant", "end"): (ORGANISATION, DIGEST, *SIGNED),
    ("gov", "grant", "end-all"): (ORGANISATION, "--to", "person:kim", *SIGNED),
    ("gov", "grant", "list"): (ORGANISATION, *WHY),
    ("gov", "group", "show"): (ORGANISATION, *WHY),
    ("gov", "group", "synchronise"): (ORGANISATION, *WHY),
    ("gov", "review", "open"): (
        *(ORGANISATION, "--roles", "--reviewer", "kim", "--stand-in", "bo", "--until", "2027-01-01"),
        *SIGNED,
    ),
    ("gov", "review", "answer"): (ORGANISATION, DIGEST, "--outcome", "keep", *SIGNED),
    ("gov", "review", "close"): (ORGANISATION, DIGEST, *SIGNED),
    ("gov", "review", "list"): (ORGANISATION, *WHY),
    ("gov", "review", "show"): (ORGANISATION, DIGEST, *WHY),
    ("gov", "review", "remind"): (ORGANISATION, *WHY),
    ("gov", "statement", "propose"): (ORGANISATION, "{words}", *SIGNED),
    ("gov", "statement", "show"): (ORGANISATION, "{words}", *WHY),
    ("gov", "statement", "append"): (ORGANISATION, "{words}"),
    ("gov", "statement", "list"): (ORGANISATION, *WHY),
    ("gov", "statement", "copy"): (ORGANISATION, *WHY),
    ("gov", "grant", "unsigned"): (ORGANISATION, *WHY),
    ("gov", "grant", "sign-over"): (
        *(ORGANISATION, "--by", "person:kim", "--why", "test"),
        *("--folder", "{folder}/sign-over"),
    ),
    ("gov", "grant", "settle"): (ORGANISATION, *SIGNED),
    ("gov", "statement", "append-all"): (ORGANISATION, "{folder}/none"),
    ("gov", "consent", "request"): (ORGANISATION, *WANTED, *SIGNED),
    ("gov", "consent", "approve"): (ORGANISATION, DIGEST, *SIGNED),
    ("gov", "consent", "revoke"): (ORGANISATION, DIGEST, *SIGNED),
    ("gov", "consent", "list"): (ORGANISATION, *WHY),
    ("gov", "emergency", "state"): (ORGANISATION, *WANTED, *SIGNED),
    ("gov", "emergency", "sign"): (ORGANISATION, DIGEST, *SIGNED),
    ("gov", "emergency", "account"): (ORGANISATION, DIGEST, "--done", "nothing", *SIGNED),
    ("gov", "emergency", "list"): (ORGANISATION, *WHY),
    ("gov", "emergency", "reach"): (ORGANISATION, *WHY),
    ("gov", "export"): (ORGANISATION, "--out", "{folder}/record", *WHY),
    ("gov", "party", "state"): (
        *(ORGANISATION, "SE:212000-0142", "--name", "X", "--form", "company"),
        *SIGNED,
    ),
    ("gov", "party", "list"): (ORGANISATION, *WHY),
    ("gov", "agreement", "enter"): (ORGANISATION, "{words}", *SIGNED),
    ("gov", "agreement", "countersign"): (ORGANISATION, DIGEST, *SIGNED),
    ("gov", "agreement", "object"): (ORGANISATION, DIGEST, *SIGNED),
    ("gov", "agreement", "end"): (ORGANISATION, DIGEST, *SIGNED),
    ("gov", "agreement", "notice"): (
        *(ORGANISATION, DIGEST, "--performer", "SE:212000-0142", "--functions", "backup"),
        *("--countries", "SE", "--window", "2026-12-31", "--from", "2027-01-31"),
        *SIGNED,
    ),
    ("gov", "agreement", "extend"): (ORGANISATION, DIGEST, "--until", "2027-01-01", *SIGNED),
    ("gov", "agreement", "at-end"): (ORGANISATION, "stop", *SIGNED),
    ("gov", "agreement", "release"): (ORGANISATION, "gone-1", *SIGNED),
    ("gov", "agreement", "list"): (ORGANISATION, *WHY),
    ("gov", "coverage"): (ORGANISATION, *WHY),
    ("gov", "report"): (ORGANISATION, "--offline", *WHY),
    ("gov", "board"): ("SE:212000-0142#it", ORGANISATION, "0203:mullsjo.se", *WHY),
    ("gov", "incident", "open"): (ORGANISATION, "--title", "X", *SIGNED),
    ("gov", "incident", "note"): (ORGANISATION, DIGEST, *SIGNED),
    ("gov", "incident", "attach"): (ORGANISATION, DIGEST, __file__, *SIGNED),
    ("gov", "incident", "tell"): (ORGANISATION, DIGEST, "concerned", "--reference", "X", *SIGNED),
    ("gov", "incident", "close"): (ORGANISATION, DIGEST, *SIGNED),
    ("gov", "incident", "list"): (ORGANISATION, *WHY),
    ("gov", "incident", "reached"): (ORGANISATION, DIGEST, *WHY),
    ("gov", "incident", "draft"): (ORGANISATION, DIGEST, "federation", "--out", "{folder}/draft", *WHY),
    ("gov", "incident", "shared", "open"): ("--organisation", ORGANISATION, "--title", "X", *WHY),
    ("gov", "incident", "shared", "note"): (DIGEST, *WHY),
    ("gov", "incident", "shared", "tell"): (DIGEST, "concerned", "--reference", "X", *WHY),
    ("gov", "incident", "shared", "close"): (DIGEST, *WHY),
    ("gov", "incident", "shared", "list"): WHY,
    ("gov", "count-doors"): WHY,
    ("gov", "who-can"): (ORGANISATION, *WHY),
    ("gov", "who-could"): (ORGANISATION, "--on", "2026-03-03", *WHY),
    ("gov", "who-did"): (ORGANISATION, "--on", "2026-03-03", *WHY),
    ("gov", "declaration"): WHY,
}
"""Commands that read from an installation, with the arguments that they are called with."""
END_BEFORE: frozenset[Path_] = frozenset(
    {
        ("console",),
        ("watch",),
        ("org", "unlock"),
        ("org", "keys", "restore"),
        ("custodian", "list"),
        ("custodian", "remove"),
        ("custodian", "approve"),
        ("addressbook",),
        ("isolation", "check"),
        ("mailbox", "appoint"),
        ("mailbox", "dismiss"),
        ("status",),
        ("gov", "statement", "propose"),
        ("gov", "statement", "show"),
        ("gov", "statement", "append"),
        ("gov", "statement", "append-all"),
    }
)
"""Commands that end before they open a key store, because something else is missing too."""
MAKES: dict[Path_, str] = {
    ("serve",): "runs the installation",
    ("org", "add"): "adds the first organisation",
    ("org", "import"): "takes in the first organisation",
    ("custodian", "add"): "adds the first custodian",
    ("keys", "request"): "makes the operator's first key",
    ("keys", "import"): "brings the operator's first key",
}
"""Commands that put something into an installation and may therefore be the first to run."""


def test_every_command_with_an_installation_reads_or_makes() -> None:
    with_config = {
        path
        for path, command in commands().items()
        if path[0] != "client" and "config" in {parameter.name for parameter in command.params}
    }
    assert with_config == {*READS, *MAKES}


@pytest.mark.parametrize("path", sampled(map(pytest.param, READS)), ids=" ".join)
def test_a_command_that_reads_leaves_nothing_where_there_is_no_key_store(tmp_path: Path, path: Path_) -> None:
    text = GOOD.replace('"postgresql://db.example/samdrift"', '"database"')
    served = text.replace("[message_service]", '[message_service]\naddress_d = "https://localhost:8445"')
    config = write(tmp_path, served)
    things = {
        "folder": str(tmp_path),
        "words": str(secret_file(tmp_path / "words", "a long row of words")),
        "certificate": str(secret_file(tmp_path / "certificate", CERTIFICATE)),
        "officer": str(secret_file(tmp_path / "officer.pub", OFFICER)),
        "recipient": str(pyrage.x25519.Identity.generate().to_public()),
    }
    secret_file(tmp_path / "passphrase", "open sesame")
    before = {each.name for each in tmp_path.rglob("*")}
    command = typer.main.get_command(import_module(f"samdrift.cli.{path[0]}").app)
    arguments = [*path[1:], *(each.format(**things) for each in READS[path]), "--config", str(config)]
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            status = command.main(arguments, standalone_mode=False)
        except Unusable as error:
            status, _ = 2, said.write(str(error))
    assert {each.name for each in tmp_path.rglob("*")} == before
    if path not in END_BEFORE:
        assert (status, "there is no key store" in said.getvalue()) == (2, True), said.getvalue()
