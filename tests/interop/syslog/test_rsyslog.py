"""Hand-over to Debian's rsyslog with GnuTLS: it is killed and restarted, and nothing is lost."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from samdrift.audit.entries import Happening
from samdrift.net.addresses import any_address
from samdrift.net.entered import EnteredAddressClient
from samdrift.net.server import listening_socket
from samdrift.net.tls import TlsIdentity, client_tls
from samdrift.transparency.handover import Connect, HandedEntry, LogName, NotTaken, frame, hand_over
from tests.programs import found, requires
from tests.unit.net.test_tls import CLIENTS, FIRST, SECOND, certified, identity, localhost, write
from tests.vaults import NOW, until

pytestmark = [
    requires("rsyslogd", "rsyslog-gnutls"),
    pytest.mark.skipif(
        found("rsyslogd") is not None and not list(Path("/usr/lib").glob("**/rsyslog/lmnsd_gtls.so")),
        reason="there is no driver for TLS here: Debian has it in rsyslog-gnutls",
    ),
]

BEGINS = "audit samdrift "
"""Beginning of each of its lines: facility and source."""

LOG = LogName("samdrift.log/00", "0203:habo.se", "mt")
CONFIGURATION = """
global(
    workDirectory="{folder}" maxMessageSize="64k" defaultNetstreamDriver="gtls"
    defaultNetstreamDriverCAFile="{folder}/clients.pem"
    defaultNetstreamDriverCertFile="{folder}/server.pem" defaultNetstreamDriverKeyFile="{folder}/server.pem"
)
module(
    load="imtcp" streamDriver.name="gtls" streamDriver.mode="1" streamDriver.authMode="x509/name"
    permittedPeer=["habo"]
)
input(type="imtcp" address="127.0.0.1" port="{port}")
template(name="facts" type="string" string="%syslogfacility-text% %app-name% %procid% %msgid% %msg%\\n")
action(type="omfile" file="{folder}/log" template="facts")
"""


@dataclass
class Rsyslog:
    """An rsyslogd with its own folder, which can be killed and started again."""

    folder: Path
    process: subprocess.Popen[bytes] | None = None
    lines: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        with listening_socket("127.0.0.1") as sock:
            self.port = sock.getsockname()[1]
        identity(self.folder / "server.pem", localhost(FIRST))
        write(self.folder / "clients.pem", CLIENTS.certificate)
        write(self.folder / "issuers.pem", FIRST.certificate)
        text = CONFIGURATION.format(folder=self.folder, port=self.port)
        (self.folder / "rsyslog.conf").write_text(text)

    async def start(self) -> None:
        program = found("rsyslogd") or "rsyslogd"
        files = ["-f", self.folder / "rsyslog.conf", "-i", self.folder / "pid"]
        self.process = subprocess.Popen([program, "-n", *files])

        def listens() -> bool:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
                return True
            return False

        await until(listens)

    def kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        (self.folder / "pid").unlink(missing_ok=True)

    def stored(self) -> list[tuple[str, int]]:
        """Return header and number of each complete message in its file.

        If it was killed while writing a line, the next message follows the incomplete one on the same line.
        """
        file = self.folder / "log"
        lines = file.read_text(errors="replace").splitlines() if file.exists() else []
        last = [line[max(line.rfind(BEGINS), 0) :] for line in lines]
        heads = [line.partition("{") for line in last if line.endswith("}")]
        return [(head.strip(), json.loads("{" + rest)["number"]) for head, _, rest in heads]


@pytest.fixture
def rsyslog(tmp_path: Path) -> Iterator[Rsyslog]:
    system = Rsyslog(tmp_path)
    yield system
    if system.process is not None and system.process.poll() is None:
        system.kill()


@asynccontextmanager
async def connecting(system: Rsyslog, own: TlsIdentity) -> AsyncIterator[Connect]:
    tls = client_tls(own, system.folder / "issuers.pem", http=False)
    async with EnteredAddressClient(any_address, tls) as client:
        yield lambda: client.connect("localhost", system.port)


def known(folder: Path) -> TlsIdentity:
    return identity(folder / "habo.pem", certified(CLIENTS, "habo", []))


def frames(first: int, last: int) -> list[bytes]:
    facts = {"message": 'å\n]" \\ 日本'}
    happening = Happening(NOW, "mt:message:read", "system:journal", "read", facts)
    return [frame(LOG, HandedEntry(each, happening, bytes(32))) for each in range(first, last + 1)]


async def test_rsyslog_reads_facility_source_role_event_and_facts(rsyslog: Rsyslog) -> None:
    await rsyslog.start()
    async with connecting(rsyslog, known(rsyslog.folder)) as connect:
        await hand_over(connect, frames(1, 100), settle=0.1)
    await until(lambda: len(rsyslog.stored()) == 100)
    head = "audit samdrift mt mt:message:read"
    assert rsyslog.stored() == [(head, number) for number in range(1, 101)]


async def test_rsyslog_takes_nothing_from_another_client(rsyslog: Rsyslog) -> None:
    """TLS is mutual: a client with an unknown issuer, or with another name, is refused."""
    await rsyslog.start()
    for name, stranger in (("a", certified(SECOND, "habo", [])), ("b", certified(CLIENTS, "other", []))):
        own = identity(rsyslog.folder / f"{name}.pem", stranger)
        async with connecting(rsyslog, own) as connect:
            with pytest.raises(NotTaken):
                await hand_over(connect, frames(1, 3), settle=5)
    assert rsyslog.stored() == []


def test_of_a_line_that_was_being_written_what_came_is_not_counted(tmp_path: Path) -> None:
    """rsyslog left such a line when it was killed: it ends with a complete message."""
    whole = 'audit samdrift mt mt:message:read {"log": "samdrift.log/00", "number": %d}'
    torn = (whole % 2)[:51]
    (tmp_path / "log").write_text(f"{whole % 1}\n{torn}{whole % 3}\n{torn}")
    assert [number for _, number in Rsyslog(tmp_path).stored()] == [1, 3]


async def test_rsyslog_is_killed_again_and_again_and_nothing_is_lost(rsyslog: Rsyslog) -> None:
    """It is killed while entries are under way or just accepted; entries not accepted are sent again."""
    await rsyslog.start()
    place, killed = 0, 0
    async with connecting(rsyslog, known(rsyslog.folder)) as connect:
        while place < 3000:
            handing = asyncio.create_task(hand_over(connect, frames(place + 1, place + 500), settle=0.5))
            if killed < 4:
                enough = len(rsyslog.stored()) + 100 * killed
                await until(lambda enough=enough: len(rsyslog.stored()) > enough)  # type: ignore[misc]
                rsyslog.kill()
                killed += 1
                with pytest.raises(NotTaken):
                    await handing
                await rsyslog.start()
                continue
            await handing
            place += 500
    numbers = [number for _, number in rsyslog.stored()]
    assert set(numbers) == set(range(1, 3001))
    assert len(numbers) > 3000
