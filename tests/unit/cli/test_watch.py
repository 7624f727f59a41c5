"""`samdrift watch`: a trial with a real mail server, and a process that watches until it is stopped."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from samdrift.net.tls import server_tls
from tests.unit.cli.commandline import in_process
from tests.unit.config.test_reader import GOOD, write
from tests.unit.net.mailserver import TestMailServer
from tests.unit.net.test_tls import FIRST, identity, localhost
from tests.unit.net.test_tls import write as write_certificate

TABLES = """
[metrics]
listen = "127.0.0.1:METRICS"

[mail]
host = "localhost"
port = PORT
sender = "samdrift@driftbolaget.se"
tls_issuers = "trust.pem"

[alerts]
mail_to = ["drift@driftbolaget.se"]
name = "Samdrift, prov"
"""
WITHOUT_METRICS = GOOD.replace('\n[metrics]\nlisten = "127.0.0.1:9100"\n', "\n")


@pytest_asyncio.fixture
async def server(tmp_path: Path) -> AsyncIterator[TestMailServer]:
    found = TestMailServer(server_tls(identity(tmp_path / "server.pem", localhost(FIRST))).serving())
    async with found.running():
        yield found


def configured(folder: Path, server: TestMailServer) -> Path:
    write_certificate(folder / "trust.pem", FIRST.certificate)
    assert "[metrics]" not in WITHOUT_METRICS
    return write(folder, WITHOUT_METRICS + TABLES.replace("PORT", str(server.port)).replace("METRICS", "9"))


async def test_a_trial_sends_one_mail_and_ends(server: TestMailServer, tmp_path: Path) -> None:
    config = configured(tmp_path, server)
    ended = await asyncio.to_thread(in_process, "watch", "--trial", "--config", config)
    assert (ended.status, ended.complaints) == (0, "")
    ((recipient, mail),) = server.mails
    assert (recipient, mail["Subject"]) == ("drift@driftbolaget.se", "Samdrift, prov: ett prov")
    assert "kommer fram hit" in mail.get_content()


async def test_a_trial_that_does_not_arrive_says_why_in_one_line(
    server: TestMailServer, tmp_path: Path
) -> None:
    server.refuse = b"550 unknown"
    ended = await asyncio.to_thread(in_process, "watch", "--trial", "--config", configured(tmp_path, server))
    assert ended.status == 2
    assert ended.complaints.strip().endswith("the mail server refuses the mail (status 550)")


async def test_it_watches_until_it_is_told_to_stop_and_leaves_no_traceback(
    server: TestMailServer, tmp_path: Path
) -> None:
    config = configured(tmp_path, server)
    command = (sys.executable, "-P", "-m", "samdrift.cli.main", "watch", "--config", str(config))
    running = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)
    assert running.stderr is not None
    lines = [await running.stderr.readline()]
    running.send_signal(signal.SIGTERM)
    lines += (await running.stderr.read()).splitlines()
    assert await running.wait() == 0
    assert b"watching" in lines[0]
    assert not any(b"Traceback" in line for line in lines)


@pytest.mark.parametrize(
    ("table", "said"), [("[metrics]", "metrics"), ("[mail]", "mail"), ("[alerts]", "[alerts]")]
)
async def test_what_it_needs_and_is_not_configured_is_named(
    server: TestMailServer, tmp_path: Path, table: str, said: str
) -> None:
    config = configured(tmp_path, server)
    before, _, rest = config.read_text().partition(table)
    _, following, after = rest.partition("\n[")
    config.write_text(before + following + after)
    ended = await asyncio.to_thread(in_process, "watch", "--config", config)
    assert ended.status == 2
    assert said in ended.complaints
    assert "Traceback" not in ended.complaints
