"""Every command and sub-command: it reveals nothing about another organisation's records (R5).

The commands are taken from the command line itself. Each has a case that names
records of another organisation, or a reason why it can name none.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import psycopg
import pyrage
import pytest
import pytest_asyncio
import typer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding

from samdrift.audit.entries import Happening
from samdrift.audit.events import Retention
from samdrift.config.errors import Unusable
from samdrift.config.reader import load
from samdrift.contracts.principals import Purpose, Role
from samdrift.demo.cast import DemoOrganisation
from samdrift.demo.enrolment import write_client
from samdrift.evidence.logreading import MAX_SAMPLE
from samdrift.governance.operatorview import Kind, lines
from samdrift.installation import rolesettings
from samdrift.installation.vaultsettings import vault_settings
from samdrift.isolationcheck.calls import unnamed
from samdrift.isolationcheck.canary import Planted, nonexistent, plant, remove, state
from samdrift.messageservice.events import MTEvent
from samdrift.messageservice.oauth.registrations import OwnIssuers
from samdrift.vault.database.server import Database
from samdrift.vault.logbook import append_statement
from samdrift.wire.crypto.sshsig import public_line
from tests.roles.canaries import FIRST, SECOND, Canaries
from tests.secretfiles import secret_file
from tests.separation.vaultlogin import Row, Superuser
from tests.sizes import sampled
from tests.unit.cli.commandtree import commands
from tests.vaults import WORKER

Path_ = tuple[str, ...]
OWN, THEIRS = FIRST, SECOND


@dataclass(frozen=True)
class Ground:
    """An installation, an organisation in it that asks, and another organisation's records."""

    config: Path
    client: Path
    planted: Planted
    folder: Path
    secrets: Path
    """Folder of the key store."""
    exported: Path
    """Exported log of the asking organisation's message service, made after the other one's records."""


ASKED = ("--by", "anna", "--reason", "test")
Case = Callable[[Ground, Planted], Sequence[str | Path]]
"""Arguments that name the asking organisation, and records of any organisation."""


def trace(ground: Ground, about: Planted) -> Sequence[str | Path]:
    return OWN.identifier.value, about.message_id, *ASKED, "--config", ground.config


def of_queue(*more: str) -> Case:
    def case(ground: Ground, about: Planted) -> Sequence[str | Path]:
        return about.envelope_id, *more, "--organisation", OWN.identifier.value, "--config", ground.config

    return case


def of_whole_queue(ground: Ground, about: Planted) -> Sequence[str | Path]:
    return "--organisation", OWN.identifier.value, "--config", ground.config


def of_client(ground: Ground, about: Planted) -> Sequence[str | Path]:
    return about.message_id, "--config", ground.client


def client_list(ground: Ground, about: Planted) -> Sequence[str | Path]:
    return "--from", about.address, "--config", ground.client


def client_send(ground: Ground, about: Planted) -> Sequence[str | Path]:
    to = "--to", about.organisation.value, "--address", about.address, "--label", "Fråga", "--text", "?"
    return *to, "--from", about.address, "--id", about.message_id, "--config", ground.client


def client_answer(ground: Ground, about: Planted) -> Sequence[str | Path]:
    return "--answers", about.message_id, "--text", "?", "--config", ground.client


def evidence(ground: Ground, about: Planted) -> Sequence[str | Path]:
    """Export evidence; this case comes first, before the own log records requests for that message."""
    out = ground.folder / f"{about.message_id}.evidence"
    own = OWN.identifier.value, about.message_id
    return *own, "--out", out, "--section", *ASKED, "--config", ground.config


def mailbox_add(ground: Ground, about: Planted) -> Sequence[str | Path]:
    return OWN.identifier.value, about.address, "Registrator", *ASKED, "--config", ground.config


def mailbox_change(ground: Ground, about: Planted) -> Sequence[str | Path]:
    return OWN.identifier.value, about.address, "--ask-why", *ASKED, "--config", ground.config


def of_mailbox(*more: str) -> Case:
    """Name the mailbox by the address in a record, which does not exist in the asking organisation."""

    def case(ground: Ground, about: Planted) -> Sequence[str | Path]:
        return OWN.identifier.value, about.address, *more, "--config", ground.config

    return case


def of_preset(*more: str) -> Case:
    """Name a template, rule or list by the id of another organisation's record."""

    def case(ground: Ground, about: Planted) -> Sequence[str | Path]:
        named = OWN.identifier.value, about.address, about.message_id, *more
        return *named, *ASKED, "--config", ground.config

    return case


def text_keep(ground: Ground, about: Planted) -> Sequence[str | Path]:
    (file := ground.folder / "template").write_text("Hej")
    named = OWN.identifier.value, about.address, "--title", "Hej", "--file", file
    return *named, "--id", about.message_id, *ASKED, "--config", ground.config


def recipients_keep(ground: Ground, about: Planted) -> Sequence[str | Path]:
    to = f"{about.organisation.value} {about.address}"
    named = OWN.identifier.value, about.address, "--name", "Alla", "--to", to
    return *named, "--id", about.message_id, *ASKED, "--config", ground.config


def log_search(ground: Ground, about: Planted) -> Sequence[str | Path]:
    return ground.exported, about.message_id


def log_sample(ground: Ground, about: Planted) -> Sequence[str | Path]:
    """Draw only entries about the log itself, since message clients of both organisations share a name."""
    return ground.exported, "--seed", about.message_id, "--class", "log", "--count", str(MAX_SAMPLE)


def log_hints(ground: Ground, about: Planted) -> Sequence[str | Path]:
    """Search for all unusual entries; the command has no argument that could name another log."""
    return ground.exported, "--many", "1"


CASES: dict[Path_, tuple[Case, ...]] = {
    ("evidence", "export"): (evidence,),
    ("trace",): (trace,),
    ("queue", "list"): (of_whole_queue,),
    ("storage",): (of_whole_queue,),
    ("queue", "why"): (of_queue(),),
    ("queue", "retry"): (of_queue(),),
    ("queue", "give-up"): (of_queue("--reason", "test"),),
    ("queue", "refused"): (of_whole_queue,),
    ("mailbox", "add"): (mailbox_add,),
    ("mailbox", "change"): (mailbox_change,),
    ("mailbox", "manning"): (of_mailbox(*ASKED), of_mailbox("--hours", "sat=closed", *ASKED)),
    ("mailbox", "disposal-rule"): (
        of_mailbox("--since", "done", "--days", "30", "--decision", "dnr 1", *ASKED),
    ),
    ("mailbox", "text", "list"): (of_mailbox(*ASKED),),
    ("mailbox", "text", "keep"): (text_keep,),
    ("mailbox", "text", "remove"): (of_preset(),),
    ("mailbox", "rule", "list"): (of_mailbox(*ASKED),),
    ("mailbox", "rule", "add"): (of_mailbox("--handler", "kim", "--from", "kommun", *ASKED),),
    ("mailbox", "rule", "remove"): (of_preset(),),
    ("mailbox", "recipients", "list"): (of_mailbox(*ASKED),),
    ("mailbox", "recipients", "keep"): (recipients_keep,),
    ("mailbox", "recipients", "remove"): (of_preset(),),
    ("log", "search"): (log_search,),
    ("log", "sample"): (log_sample,),
    ("log", "hints"): (log_hints,),
    ("client", "send"): (client_send, client_answer),
    ("client", "list"): (client_list,),
    ("client", "get"): (of_client,),
    ("client", "delete"): (of_client,),
}
SIZE = re.compile(rb"\d[\d.]* [kMGTP]?B\b")
"""Sizes in what `storage` prints: the own organisation's, which its own work may change between two calls."""
OF_THE_OPERATOR = "the operator's view of the whole installation, without any organisation's records"
PERSONS = ("--by", "anna", "--by-passphrase-file", "{anna}", "--with", "bo", "--with-passphrase-file", "{bo}")
OLD_READINGS = ("--class", "reading", "--before", "2022-01-01")
DISPOSE = ("{own}", "--role", "mt", *OLD_READINGS, "--decision", "test", *PERSONS)
OUTCOME = ("{own}", "--role", "mt", "--outcome", "nothing", "--period", "April", *PERSONS[:4])
OFFICER = ("--key", "{folder}/officer.pub", "--name", "Kim", "--person", "kim", "--role", "administrator")
SIGNED = ("--by", "nobody", "--why", "test", "--out", "{folder}/to-be-signed")
NOTICE = (
    *("--performer", "SE:212000-0142", "--functions", "hosting", "--countries", "SE"),
    *("--window", "2027-01-01", "--from", "2027-01-02"),
)
FOLDER = ("--by", "nobody", "--why", "test", "--folder", "{folder}/sign-over")
WANTED = ("--extent", "everything", "--ground", "outage", "--ticket", "INC-1")
REVIEWED = ("--reviewer", "{person}", "--stand-in", "person:kim", "--until", "2027-01-01")
GIVEN = ("--rights", "read", "--mailbox", "any", "--until", "2027-01-01T00:00:00Z")
ALONE: list[tuple[Path_, Sequence[str], int]] = [
    (("database", "rotate-logins"), ("--organisation", "{own}"), 0),
    (("backup", "create"), ("{folder}", "--organisation", "{own}", "--to", "{recipient}", *ASKED), 0),
    (("backup", "drill"), ("{folder}", "--organisation", "{own}", "--identity", "{identity}", *ASKED), 2),
    (("backup", "restore"), ("{folder}", "--organisation", "{own}", "--identity", "{identity}", *ASKED), 2),
    (("log", "checkpoint"), ("{own}", "--reason", "test"), 0),
    (("log", "status"), ("{own}", *ASKED), 0),
    (("log", "resolve"), ("{own}", "--role", "mt", "--decision", "test", *PERSONS), 2),
    (("log", "export"), ("{own}", "--role", "mt", "--out", "{folder}/log", *ASKED), 0),
    (("log", "retention"), ("{own}", "--role", "mt", *ASKED), 0),
    (("log", "outcome"), OUTCOME, 0),
    (("log", "names"), ("{own}", "--out", "{folder}/names", "--to", "{recipient}", *PERSONS), 0),
    (("log", "dispose"), DISPOSE, 0),
    (("mailbox", "list"), ("{own}", *ASKED), 0),
    (("mailbox", "rights"), ("{own}", *ASKED), 0),
    (("mailbox", "figures"), ("{own}", *ASKED), 0),
    (("mailbox", "disposals"), ("{own}", *ASKED), 0),
    (("mailbox", "check"), ("{own}", *ASKED), 0),
    (("mailbox", "notices"), ("{own}", *ASKED), 0),
    (("mailbox", "deletion"), ("{own}", *ASKED), 0),
    (("mailbox", "backup-verified"), ("{own}", "--taken-at", "2026-01-01", *ASKED), 0),
    (("mailbox", "dismiss"), ("{own}", "--subject", "{person}", "--reason", "test", *PERSONS), 2),
    (
        ("mailbox", "appoint"),
        ("{own}", "security-officer", "--subject", "{person}", "--name", "Kim", "--reason", "test", *PERSONS),
        0,
    ),
    (("mailbox", "dismiss"), ("{own}", "--subject", "{person}", "--reason", "test", *PERSONS), 0),
    (("gov", "officer", "enrol"), ("{own}", *OFFICER, *PERSONS), 0),
    (("gov", "officer", "list"), ("{own}", *ASKED), 0),
    (("gov", "officer", "confirm"), ("{own}", "{theirs}", *PERSONS[:4]), 2),
    (("gov", "officer", "end"), ("{own}", "{theirs}", *SIGNED), 2),
    (("gov", "officer", "lost"), ("{own}", "{theirs}", "--since", "2026-01-01", *SIGNED), 2),
    (("gov", "grant", "give"), ("{own}", "--to", "{person}", *GIVEN, *SIGNED), 2),
    (("gov", "grant", "approve"), ("{own}", "{theirs}", *SIGNED), 2),
    (("gov", "grant", "object"), ("{own}", "{theirs}", *SIGNED), 2),
    (("gov", "grant", "end"), ("{own}", "{theirs}", *SIGNED), 2),
    (("gov", "grant", "end-all"), ("{own}", "--to", "{person}", *SIGNED), 2),
    (("gov", "grant", "list"), ("{own}", *ASKED), 0),
    (("gov", "group", "show"), ("{own}", *ASKED), 0),
    (("gov", "group", "synchronise"), ("{own}", *ASKED), 2),
    (("gov", "review", "open"), ("{own}", "--roles", *REVIEWED, *SIGNED), 2),
    (("gov", "review", "answer"), ("{own}", "{theirs}", "--outcome", "keep", *SIGNED), 2),
    (("gov", "review", "close"), ("{own}", "{theirs}", *SIGNED), 2),
    (("gov", "review", "list"), ("{own}", *ASKED), 0),
    (("gov", "review", "show"), ("{own}", "{theirs}", *ASKED), 2),
    (("gov", "review", "remind"), ("{own}", *ASKED), 0),
    (("gov", "statement", "list"), ("{own}", *ASKED), 0),
    (("gov", "statement", "copy"), ("{own}", *ASKED), 0),
    (("gov", "statement", "propose"), ("{own}", "{folder}/own-log", *SIGNED), 2),
    (("gov", "statement", "show"), ("{own}", "{folder}/own-log", *ASKED), 2),
    (("gov", "statement", "append"), ("{own}", "{folder}/own-log"), 2),
    (("gov", "export"), ("{own}", "--out", "{folder}/record", *ASKED), 0),
    (("gov", "party", "state"), ("{own}", "SE:212000-0142", "--name", "X", "--form", "company", *SIGNED), 2),
    (("gov", "party", "list"), ("{own}", *ASKED), 0),
    (("gov", "agreement", "enter"), ("{own}", "{folder}/own-log", *SIGNED), 2),
    (("gov", "agreement", "countersign"), ("{own}", "{theirs}", *SIGNED), 2),
    (("gov", "agreement", "object"), ("{own}", "{theirs}", *SIGNED), 2),
    (("gov", "agreement", "end"), ("{own}", "{theirs}", *SIGNED), 2),
    (("gov", "agreement", "notice"), ("{own}", "{theirs}", *NOTICE, *SIGNED), 2),
    (("gov", "agreement", "extend"), ("{own}", "{theirs}", "--until", "2027-01-01", *SIGNED), 2),
    (("gov", "agreement", "at-end"), ("{own}", "stop", *SIGNED), 2),
    (("gov", "agreement", "release"), ("{own}", "gone-1", *SIGNED), 2),
    (("gov", "agreement", "list"), ("{own}", *ASKED), 0),
    (("gov", "coverage"), ("{own}", *ASKED), 1),
    (("gov", "grant", "unsigned"), ("{own}", *ASKED), 0),
    (("gov", "grant", "sign-over"), ("{own}", *FOLDER), 0),
    (("gov", "grant", "settle"), ("{own}", *SIGNED), 2),
    (("gov", "statement", "append-all"), ("{own}", "{folder}/sign-over"), 2),
    (("gov", "consent", "request"), ("{own}", *WANTED, *SIGNED), 2),
    (("gov", "consent", "approve"), ("{own}", "{theirs}", *SIGNED), 2),
    (("gov", "consent", "revoke"), ("{own}", "{theirs}", *SIGNED), 2),
    (("gov", "consent", "list"), ("{own}", *ASKED), 0),
    (("gov", "emergency", "state"), ("{own}", *WANTED, *SIGNED), 2),
    (("gov", "emergency", "sign"), ("{own}", "{theirs}", *SIGNED), 2),
    (("gov", "emergency", "account"), ("{own}", "{theirs}", "--done", "nothing", *SIGNED), 2),
    (("gov", "emergency", "list"), ("{own}", *ASKED), 0),
    (("gov", "emergency", "reach"), ("{own}", *ASKED), 1),
    (("gov", "report"), ("{own}", "--offline", *ASKED), 1),
    (("gov", "board"), ("SE:212000-0142#it", "{own}", "0203:elsewhere.se", *ASKED), 2),
    (("gov", "incident", "open"), ("{own}", "--title", "X", *SIGNED), 2),
    (("gov", "incident", "note"), ("{own}", "{theirs}", *SIGNED), 2),
    (("gov", "incident", "attach"), ("{own}", "{theirs}", "{folder}/own-log", *SIGNED), 2),
    (("gov", "incident", "tell"), ("{own}", "{theirs}", "concerned", "--reference", "X", *SIGNED), 2),
    (("gov", "incident", "close"), ("{own}", "{theirs}", *SIGNED), 2),
    (("gov", "incident", "list"), ("{own}", *ASKED), 0),
    (("gov", "incident", "reached"), ("{own}", "{theirs}", *ASKED), 2),
    (("gov", "incident", "draft"), ("{own}", "{theirs}", "federation", "--out", "{folder}/draft", *ASKED), 2),
    (("gov", "incident", "shared", "open"), ("--organisation", "{own}", "--title", "X", *ASKED), 0),
    (("gov", "count-doors"), ("--organisation", "{own}", *ASKED), 0),
    (("gov", "who-can"), ("{own}", "--json", *ASKED), 0),
    (("gov", "who-could"), ("{own}", "--from", "2026-01-01", "--json", *ASKED), 0),
    (("gov", "who-did"), ("{own}", "--from", "2026-01-01", "--json", *ASKED), 0),
    (("org", "show"), ("{own}", "--offline"), 1),
    (("org", "add"), ("{own}", "--offline"), 1),
    (("org", "suspend"), ("{own}", "--by", "anna", "--why", "test"), 0),
    (("org", "resume"), ("{own}", "--by", "anna", "--why", "test"), 0),
    (("org", "keys", "list"), ("{own}",), 0),
    (("org", "keys", "create"), ("{own}", "signing", *PERSONS, "--out", "{folder}/request.pem"), 0),
    (("org", "keys", "create-all"), ("{own}", *PERSONS, "--out", "{folder}/requests"), 2),
    (("org", "keys", "install"), ("{own}", "signing", "{theirs}"), 2),
    (("org", "keys", "install-all"), ("{own}", "{theirs}"), 2),
    (("org", "keys", "activate"), ("{own}", "signing", "9"), 2),
    (("org", "keys", "revoke"), ("{own}", "signing", "9", "--reason", "superseded"), 2),
    (("org", "keys", "retire"), ("{own}", "signing", "9", *PERSONS), 2),
    (("org", "keys", "publish"), ("{own}", "--out", "{folder}/published.xml"), 0),
    (("org", "keys", "rotate-data-key"), ("{own}", "--rewrap"), 0),
    (("org", "keys", "rotate-log-key"), ("{own}", *PERSONS), 0),
    (("org", "keys", "lost-marks"), ("{own}",), 0),
    (("org", "keys", "backup"), ("{own}", "--out", "{folder}/backup", *PERSONS), 0),
    (
        ("org", "keys", "restore"),
        ("{folder}/backup", "--by-passphrase-file", "{anna}", "--with-passphrase-file", "{bo}"),
        2,
    ),
    (("org", "use-hsm"), ("{own}",), 2),
    (("org", "sign-in", "renew"), ("{own}", *PERSONS), 0),
    (("org", "sign-in", "list"), ("{own}",), 0),
    (("org", "sign-in", "metadata"), ("{own}",), 0),
    (("org", "sign-in", "jwks"), ("{own}",), 0),
    (("org", "sign-in", "retire"), ("{own}", "signing", "9", *PERSONS), 2),
    (("org", "use-token"), ("{own}",), 2),
    (("org", "lock"), ("{own}", "--passphrase-file", "{anna}"), 0),
    (("org", "unlock"), ("{own}", "--passphrase-file", "{anna}"), 0),
    (("org", "lock"), ("{own}", "--operator", "--present-passphrase-file", "{anna}"), 0),
    (("org", "export"), ("{own}", "--out", "{folder}/export", "--to", "{recipient}", *PERSONS), 0),
    (
        ("org", "import"),
        ("{own}", "{folder}/export", "--identity", "{identity}", "--signer", "{theirs}", "--by", "anna"),
        2,
    ),
    (("org", "close"), ("{own}", "--decision", "dnr 1", *PERSONS), 2),
]
"""Commands that act on the organisation that they name, in this order, with their exit statuses.

Of another organisation they can only name its certificate, and a person known from a sign-in service
that both use; a running organisation is not closed.
"""
_UNSIGNED = [case for case in ALONE if case[1][-len(SIGNED) :] == SIGNED and case[2] == 2]
"""Statements without a signing key, which change nothing for the commands that follow."""
OF_REQUESTS = "a request of custodians, under its own number; what they agree to is in the request"
OF_PEERS = "the operator's view of access points, by the transfer desk alone, without any message's content"
OF_NO_VAULT = "opens no organisation's vault"
NO_RECORDS: dict[Path_, str] = {
    ("demo",): "runs an installation of its own, in a folder of its own",
    ("serve",): "serves all, each by the interfaces that are tried elsewhere",
    ("console",): "serves the operator's pages, which are tried in test_every_console_page.py",
    ("watch",): OF_NO_VAULT,
    ("config", "check"): OF_NO_VAULT,
    ("gov", "declaration"): OF_THE_OPERATOR,
    ("gov", "duty", "diff"): OF_NO_VAULT,
    ("gov", "incident", "shared", "close"): OF_THE_OPERATOR,
    ("gov", "incident", "shared", "list"): OF_THE_OPERATOR,
    ("gov", "incident", "shared", "note"): OF_THE_OPERATOR,
    ("gov", "incident", "shared", "tell"): OF_THE_OPERATOR,
    ("backup", "list"): OF_NO_VAULT,
    ("backup", "verify"): OF_NO_VAULT,
    ("gov", "officer", "code"): OF_NO_VAULT,
    ("gov", "operator-view"): OF_NO_VAULT,
    ("gov", "verify"): OF_NO_VAULT,
    ("gov", "duty", "list"): OF_NO_VAULT,
    ("gov", "duty", "show"): OF_NO_VAULT,
    ("log", "follow"): OF_NO_VAULT,
    ("log", "promises"): OF_NO_VAULT,
    ("log", "verify"): OF_NO_VAULT,
    ("log", "reconcile"): OF_NO_VAULT,
    ("witness", "serve"): OF_NO_VAULT,
    ("config", "reference"): OF_NO_VAULT,
    ("completion",): OF_NO_VAULT,
    ("init",): OF_NO_VAULT,
    ("doctor",): OF_THE_OPERATOR,
    ("status",): OF_THE_OPERATOR,
    ("org", "list"): OF_THE_OPERATOR,
    ("peers", "list"): OF_PEERS,
    ("peers", "report"): OF_PEERS,
    ("org", "verify-closing"): OF_NO_VAULT,
    ("org", "unpack"): OF_NO_VAULT,
    ("database", "hardening"): OF_NO_VAULT,
    ("database", "merge"): "moves all vaults alike, each as it is, and shows nothing of any",
    ("evidence", "verify"): OF_NO_VAULT,
    ("custodian", "add"): OF_THE_OPERATOR,
    ("custodian", "key"): OF_THE_OPERATOR,
    ("custodian", "restart"): OF_THE_OPERATOR,
    ("custodian", "remove"): OF_THE_OPERATOR,
    ("custodian", "list"): OF_THE_OPERATOR,
    (
        "log",
        "kept",
    ): "the operator's list of logs of closed organisations, for which no vault is opened",
    ("custodian", "approve"): OF_REQUESTS,
    ("keys", "request"): "the operator's own keys",
    ("keys", "install"): "the operator's own keys",
    ("keys", "import"): "the operator's own keys",
    ("keys", "list"): "the operator's own keys",
    ("keys", "retire"): "the operator's own keys",
    ("client", "token"): "names nothing but the client itself",
    ("client", "keys"): OF_NO_VAULT,
    ("client", "watch"): "names nothing; its events are those of interface D, which are tried there",
    ("routing",): OF_THE_OPERATOR,
    ("addressbook",): "the federation's public address book",
    ("isolation", "check"): "tries all of this itself (test_isolation_check.py)",
    ("isolation", "verify"): OF_NO_VAULT,
    ("validate",): OF_NO_VAULT,
    ("envelope", "verify"): OF_NO_VAULT,
    ("as4", "inspect"): "a file, opened with the operator's own keys at most",
    (
        "testbed",
        "run",
    ): "a federation of its own, or messages that it sends and awaits for whom the file names",
    ("testbed", "evidence"): OF_NO_VAULT,
    ("bench",): "makes an installation of its own",
    ("build",): OF_NO_VAULT,
    ("test",): OF_NO_VAULT,
}


def test_every_command_has_a_case() -> None:
    alone = {path for path, _, _ in ALONE}
    named = {*CASES, *alone, *NO_RECORDS}
    missing = {" ".join(path) for path in set(commands()) - named}
    assert not missing, (
        f"write a case that names another organisation's records, or say why none can: {missing}"
    )
    assert not named - set(commands()), "a case is about a command that does not exist"
    assert len(named) == len(CASES) + len(alone) + len(NO_RECORDS)


def test_a_command_that_takes_an_identifier_is_not_excused() -> None:
    """Every command that accepts an organisation, a message, a transfer or a client by name has a case.

    The address book is public, and the requests of custodians are nobody's records.
    """
    records = {"organisation", "message_id", "identifier", "transfer", "envelope"}
    excused = {
        " ".join(path)
        for path, command in commands().items()
        if path in NO_RECORDS and records & {str(each.name) for each in command.params}
    } - {"addressbook", "custodian approve"}
    assert not excused


SIGN_IN = """
[organisations.sign_in]
issuer = "https://login.samdrift.test"
client_id = "samdrift"
secret_file = "sign-in.secret"
levels = ["loa3"]

"""
"""One sign-in service for all organisations, so a person of one can be named in another."""


def with_sign_in(config: Path) -> Path:
    """Write the running installation's configuration, with a sign-in service, beside the original."""
    text, after = config.read_text(), "[organisations.message_service]"
    assert text.count(after) == len(load(config).organisations)
    secret_file(config.with_name("sign-in.secret"), "secret")
    found = config.with_name("with-sign-in.toml")
    found.write_text(text.replace(after, SIGN_IN + after))
    return found


@pytest_asyncio.fixture(scope="module")
async def ground(canaries: Canaries, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Ground]:
    file = with_sign_in(canaries.config)
    config = load(file)
    assert config.message_service is not None
    gate = canaries.process.gate
    issuers = OwnIssuers(config.message_service.address_d, gate.registry, rolesettings.profiles(config))
    client = write_client(canaries.config.parent, OWN, issuers)
    theirs = next(one for one in config.organisations if one.identifier == THEIRS.identifier)
    planted = await plant(gate, theirs, datetime.now(UTC))
    try:
        async with canaries.member(THEIRS).open(Role.MESSAGE_SERVICE) as vault:
            vault.record(MTEvent.MT_MESSAGE_SCHEDULED, message=planted.message_id)
        folder = tmp_path_factory.mktemp("files")
        (folder / "officer.pub").write_text(public_line(Ed25519PrivateKey.from_private_bytes(bytes(32))))
        exported = await log_of(OWN, file, folder / "own-log")
        yield Ground(file, client, planted, folder, vault_settings(config).secrets, exported)
    finally:
        await remove(gate, THEIRS.identifier, datetime.now(UTC))


def told(path: Path_, arguments: Sequence[str | Path]) -> tuple[int, bytes]:
    """Run a command; return its exit status and all of its output."""
    command = typer.main.get_command(import_module(f"samdrift.cli.{path[0]}").app)
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            status = command.main([*path[1:], *map(str, arguments)], standalone_mode=False)
        except Unusable as error:
            status = 2
            said.write(str(error))
    return status or 0, said.getvalue().encode()


async def log_of(organisation: DemoOrganisation, config: Path, out: Path) -> Path:
    """Export the log of an organisation's message service."""
    arguments = (
        organisation.identifier.value,
        "--role",
        "mt",
        "--out",
        out,
        *ASKED,
        "--config",
        config,
    )
    ended, said = await asyncio.to_thread(told, ("log", "export"), arguments)
    assert ended == 0, said
    return out


@pytest.mark.parametrize(
    ("path", "case"),
    sampled([(path, case) for path, cases in CASES.items() for case in cases], every=2),
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else value.__name__,
)
async def test_a_command_tells_and_does_nothing_about_anothers_records(
    canaries: Canaries, ground: Ground, seen_by: SeenBy, path: Path_, case: Case
) -> None:
    """Its output equals the output for records that do not exist."""
    planted, gate = ground.planted, canaries.process.gate
    nobody = nonexistent(planted.created_at)
    before, logged = await state(gate, planted), seen_by.entries_of(OWN)
    theirs, nobodys_answer = [
        await asyncio.to_thread(told, path, case(ground, about)) for about in (planted, nobody)
    ]
    if path[0] != "client":  # `client` acts as the organisation's system, not as the operator.
        require_recorded(path, done=True, new=seen_by.entries_of(OWN) - logged)
    answers = [
        (status, unnamed(said if path != ("storage",) else SIZE.sub(b"#", said), about))
        for (status, said), about in ((theirs, planted), (nobodys_answer, nobody))
    ]
    assert answers[0] == answers[1]
    assert planted.marker.encode() not in theirs[1]
    assert await state(gate, planted) == before


async def test_an_exported_log_has_entries_of_its_own_organisation_alone(ground: Ground) -> None:
    """The other organisation's log contains entries that a search of the own log does not find."""
    theirs = await log_of(THEIRS, ground.config, ground.folder / "their-log")
    found, said = told(("log", "search"), (theirs, ground.planted.message_id))
    assert (found, ground.planted.message_id.encode() in said) == (0, True)
    everything = "--seed", "7", "--class", "all", "--count", MAX_SAMPLE
    ended, drawn = told(("log", "sample"), (ground.exported, *map(str, everything)))
    assert ended == 0
    assert not any(trace.encode() in drawn for trace in ground.planted.traces)


@pytest_asyncio.fixture(scope="module")
async def seen_by(canaries: Canaries, ground: Ground) -> AsyncIterator[SeenBy]:
    """The running installation's database, as its administrator sees it."""
    database = await Database.start(vault_settings(load(canaries.config)))
    with ExitStack() as stack:
        try:
            yield SeenBy(Superuser(database.administrator()), ground.secrets, stack)
        finally:
            await database.stop()


class SeenBy:
    """Data of organisations, read through connections that stay open: each case looks four times."""

    def __init__(self, administrator: Superuser, secrets: Path, stack: ExitStack) -> None:
        connect = administrator.connect
        self._registry = stack.enter_context(connect())
        self._secrets = secrets
        self._vaults: dict[str, list[tuple[str, str, str]]] = {}
        self._places: dict[str, psycopg.Connection[Row]] = {}
        self._contents: dict[str, Callable[[], dict[str, dict[str, Row]]]] = {}
        for organisation in (OWN.identifier.value, THEIRS.identifier.value):
            question = "SELECT vault, role, schema FROM registry.registrations WHERE organisation = %s"
            vaults = self._vaults[organisation] = self._registry.execute(question, (organisation,)).fetchall()
            schemas = [schema for _, _, schema in vaults]
            self._places[organisation] = stack.enter_context(connect(" ".join(schemas)))
            self._contents[organisation] = stack.enter_context(administrator.watching(schemas))

    def everything_of(self, organisation: DemoOrganisation) -> dict[str, object]:
        """Return registrations, vault content without the log and its checkpoints, and key files.

        The log grows while the installation runs, so only the number of entries without facts is included.
        """
        name = organisation.identifier.value
        question = "SELECT vault, t::text FROM registry.registrations t WHERE organisation = %s ORDER BY role"
        found: dict[str, object] = dict(self._registry.execute(question, (name,)).fetchall())
        assert found.keys() == {vault for vault, _, _ in self._vaults[name]}
        for schema, content in self._contents[name]().items():
            found |= {
                f"{schema}.{table}": rows for table, rows in content.items() if not table.startswith("log")
            }
        for vault, _, _ in self._vaults[name]:
            files = [file for file in (self._secrets / vault).rglob("*") if file.is_file()]
            found |= {str(file): file.read_bytes() for file in files if not file.name.startswith("log-key")}
        gone = " UNION ALL ".join(
            f"SELECT '{schema} without facts', count(*) FROM {schema}.log WHERE content IS NULL"
            for _, _, schema in self._vaults[name]
        )
        return found | dict(self._places[name].execute(gone.encode()).fetchall())

    def entries_of(self, organisation: DemoOrganisation) -> set[tuple[str, int, str]]:
        """Return log, number and event of commands' entries in an organisation's logs and the operator's."""
        name = organisation.identifier.value
        of_vaults = " UNION ALL ".join(
            f"SELECT '{role}', sequence, content FROM {schema}.log WHERE content IS NOT NULL"
            for _, role, schema in self._vaults[name]
        )
        of_operator = f"SELECT '{OF_THE_OPERATORS_LOG}', sequence, content FROM registry.log"
        found = set()
        for log, number, content in (
            *self._places[name].execute(of_vaults.encode()),
            *self._registry.execute(of_operator.encode()),
        ):
            principal, event = told_by(bytes(content)) if content is not None else (None, "")
            if principal and principal not in ALWAYS and not event.startswith(BY_ITSELF):
                found.add((log, number, event))
        return found


@pytest_asyncio.fixture(scope="module")
async def things(canaries: Canaries, ground: Ground) -> dict[str, str]:
    """Values for commands: two custodians, a certificate of the other organisation, an age key.

    The other one has a mailbox and an administrator, and both have old entries in their logs.
    """
    folder, identity = ground.folder, pyrage.x25519.Identity.generate()
    found = {"own": OWN.identifier.value, "folder": str(folder), "recipient": str(identity.to_public())}
    for name in ("anna", "bo"):
        file = folder / name
        secret_file(file, f"the long passphrase of {name}")
        found[name] = str(file)
        arguments = name, "--passphrase-file", file, "--config", ground.config
        assert (await asyncio.to_thread(told, ("custodian", "add"), arguments))[0] == 0
    async with canaries.member(THEIRS).open(Role.MESSAGE_SERVICE) as vault:
        certificate = vault.keys().signing.certificate
    contents = {"theirs": certificate.public_bytes(Encoding.PEM), "identity": str(identity).encode()}
    for name, content in contents.items():
        (folder / name).write_bytes(content)
        found[name] = str(folder / name)
    found["person"] = PERSON
    await settled(ground, found)
    for organisation, readings in ((OWN, OLD), (THEIRS, THEIR_OLD)):
        await read_long_ago(canaries, organisation, readings)
    return found


PERSON = "kim"
OLD, THEIR_OLD = 2, 3


async def settled(ground: Ground, things: dict[str, str]) -> None:
    """Give the other organisation a mailbox, and an administrator."""
    theirs, config = THEIRS.identifier.value, ("--config", ground.config)
    person = (
        "--subject",
        PERSON,
        "--name",
        "Kim",
        "--reason",
        "test",
        *(each.format(**things) for each in PERSONS),
    )
    for path, arguments in (
        (("mailbox", "add"), (theirs, THEIRS.mailbox.identifier, "Registrator", *ASKED)),
        (("mailbox", "appoint"), (theirs, "administrator", *person)),
    ):
        ended, said = await asyncio.to_thread(told, path, (*arguments, *config))
        assert ended == 0, said


async def read_long_ago(canaries: Canaries, organisation: DemoOrganisation, readings: int) -> None:
    """Append readings of 2021 to the log of an organisation's message service."""
    happening = Happening(
        datetime(2021, 5, 1, tzinfo=UTC),
        MTEvent.MT_MESSAGE_READ,
        "system:journal",
        "serve",
        {"message": "7"},
    )
    statement, values = append_statement([happening] * readings)
    async with canaries.member(organisation).open(Role.MESSAGE_SERVICE) as vault:
        await vault._work.query(statement, *values)


def sampled_alone() -> list[Any]:
    """Return all cases of ``ALONE``; every run has a third of those that end without a signature."""
    unsigned = iter(sampled(_UNSIGNED, every=3))
    return [next(unsigned) if case in _UNSIGNED else case for case in ALONE]


@pytest.mark.parametrize(("path", "arguments", "status"), sampled_alone(), ids=lambda value: str(value)[:60])
async def test_a_command_for_one_organisation_leaves_another_alone(
    seen_by: SeenBy,
    ground: Ground,
    things: dict[str, str],
    path: Path_,
    arguments: Sequence[str],
    status: int,
) -> None:
    before = seen_by.everything_of(THEIRS)
    logged = seen_by.entries_of(OWN)
    assert len(before) > 20
    given = [argument.format(**things) for argument in arguments]
    ended, said = await asyncio.to_thread(told, path, (*given, "--config", ground.config))
    assert ended == status, said
    assert THEIRS.identifier.value.encode() not in said
    assert seen_by.everything_of(THEIRS) == before
    require_recorded(path, done=status == 0, new=seen_by.entries_of(OWN) - logged)


_ROUNDS = frozenset({"worker:deletion", "worker:disposal", "worker:fetching", "worker:sending"})
"""Workers of the message client that look into its vaults now and then; no command opens one as these."""
ALWAYS = _ROUNDS | {"system:demo", "worker:access-point", "worker:agreements", "worker:message-service"}
"""Principals that open vaults or log cover by agreements all the time while the installation runs."""
BY_ITSELF = ("log:key:", "gov:cover:changed")
"""Events of the running installation: a log's key, and cover by agreements, also in the operator's log."""
OF_THE_OPERATORS_LOG = "operator"


@cache
def told_by(content: bytes) -> tuple[str, str]:
    """Return principal and event of an entry, cached because all later commands look at it again."""
    entry = json.loads(content)
    return entry["principal"], entry["event"]


def require_recorded(path: Path_, *, done: bool, new: set[tuple[str, int, str]]) -> None:
    """Check that the list of operator-visible facts is right about the logs that record the command."""
    line = next(each for each in lines() if (each.kind, each.name) == (Kind.COMMAND, " ".join(path)))
    operators = {event for log, _, event in new if log == OF_THE_OPERATORS_LOG}
    assert operators <= {each.name for each in lines() if each.kind is Kind.EVENT}
    by_operator, by_organisation = bool(operators), any(log != OF_THE_OPERATORS_LOG for log, _, _ in new)
    assert by_operator <= line.recorded.by_operator, new
    assert by_organisation <= line.recorded.by_organisation, new
    if done and line.name not in MAY_CHANGE_NOTHING:
        assert by_organisation == line.recorded.by_organisation, new
        assert by_operator == line.recorded.by_operator, new


MAY_CHANGE_NOTHING = frozenset({"gov statement copy", "mailbox add", "org keys lost-marks", "org unlock"})
"""Commands that log an entry, or another one, only if there is something to do."""


async def test_facts_are_disposed_of_in_the_log_of_the_named_organisation_alone(
    canaries: Canaries, ground: Ground, things: dict[str, str]
) -> None:
    given = [each.format(**things) for each in DISPOSE]
    ended, said = await asyncio.to_thread(told, ("log", "dispose"), (*given, "--config", ground.config))
    assert ended == 0, said
    before = {Retention.READING: datetime(2022, 1, 1, tzinfo=UTC)}
    found = []
    for organisation in (OWN, THEIRS):
        async with canaries.process.gate.open(
            WORKER, organisation.identifier, Role.MESSAGE_SERVICE, Purpose.MAINTAIN
        ) as vault:
            _, older, gone = (await vault.tree.ages(before))[Retention.READING]
            found.append((older, gone))
    assert found == [(0, OLD), (THEIR_OLD, 0)]


async def test_mailboxes_and_rights_are_those_of_the_named_organisation_alone(
    ground: Ground, things: dict[str, str]
) -> None:
    """The other one has a mailbox and an administrator, whose id differs between organisations."""

    async def listed(what: str, organisation: DemoOrganisation) -> list[dict[str, str]]:
        arguments = organisation.identifier.value, "--json", *ASKED, "--config", ground.config
        ended, said = await asyncio.to_thread(told, ("mailbox", what), arguments)
        assert ended == 0, said
        (rows,) = json.loads(said).values()
        return list(rows)

    for what, column in (("list", "id"), ("rights", "to")):
        own, theirs = [{row[column] for row in await listed(what, one)} for one in (OWN, THEIRS)]
        assert len(theirs) == 1
        assert not own & theirs
