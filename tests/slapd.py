"""A real slapd of OpenLDAP with a directory of its own, filled by slapadd: people, and groups of them."""

from __future__ import annotations

import asyncio
import base64
import signal
import socket
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from samdrift.federation.ports import free_port
from samdrift.net.directories import LdapSecurity, LdapSettings
from samdrift.net.ldap import LdapDirectory
from samdrift.net.tls import client_tls
from tests.programs import found, requires

slapd, slapadd = found("slapd"), found("slapadd")
requires_slapd = requires("slapd", "slapd")

HOST = "127.0.0.1"
SUFFIX = "dc=habo,dc=se"
PEOPLE = f"ou=Personer,{SUFFIX}"
GROUPS = f"ou=Grupper,{SUFFIX}"
READER = f"cn=samdrift,{SUFFIX}"
PASSWORD = "läsa men inte skriva"
Entry = tuple[str, Mapping[str, Iterable[str]]]


def person(uid: str, subject: str | None = None, name: str | None = None) -> Entry:
    """Return a person, whose ``employeeNumber`` is the subject that the sign-in service uses."""
    values = {"objectClass": ["inetOrgPerson"], "uid": [uid], "cn": [name or uid], "sn": [uid]}
    subjects = {} if subject == "" else {"employeeNumber": [subject or f"sub-{uid}"]}
    return f"uid={uid},{PEOPLE}", values | subjects


def group(name: str, *members: str) -> Entry:
    """Return a group whose members are distinguished names."""
    values = {"objectClass": ["groupOfNames"], "cn": [name], "member": list(members)}
    return f"cn={name},{GROUPS}", values


def posix(name: str, *uids: str) -> Entry:
    """Return a group whose members are listed by uid."""
    values = {"objectClass": ["posixGroup"], "cn": [name], "gidNumber": ["1"], "memberUid": list(uids)}
    return f"cn={name},{GROUPS}", values


def ldif(entries: Iterable[Entry]) -> str:
    """Return the entries as LDIF for slapadd."""

    def line(attribute: str, value: str) -> str:
        return f"{attribute}:: {base64.b64encode(value.encode()).decode()}"

    blocks = []
    for name, values in entries:
        lines = [line("dn", name)]
        lines += [line(attribute, each) for attribute, those in values.items() for each in those]
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks) + "\n"


def base() -> list[Entry]:
    """Return the entries that every directory here has."""
    return [
        (SUFFIX, {"objectClass": ["dcObject", "organization"], "dc": ["habo"], "o": ["Habo kommun"]}),
        (PEOPLE, {"objectClass": ["organizationalUnit"], "ou": ["Personer"]}),
        (GROUPS, {"objectClass": ["organizationalUnit"], "ou": ["Grupper"]}),
        (
            READER,
            {"objectClass": ["organizationalRole", "simpleSecurityObject"], "userPassword": [PASSWORD]},
        ),
    ]


@dataclass
class Slapd:
    """slapd in a folder; it can be refilled, paused and stopped."""

    folder: Path
    certificate: Path | None = None
    """File with certificate and key; without one there is no TLS."""
    size_limit: str = "unlimited"
    process: subprocess.Popen[bytes] | None = None
    plain_port: int = 0
    tls_port: int = 0
    entries: list[Entry] = field(default_factory=base)

    def fill(self, *entries: Entry) -> None:
        """Replace all entries by these; it must not be running."""
        data = self.folder / "data"
        data.mkdir(parents=True, exist_ok=True)
        for each in data.iterdir():
            each.unlink()
        self._configure()
        (self.folder / "entries.ldif").write_text(ldif([*self.entries, *entries]), encoding="utf-8")
        assert slapadd is not None, "slapd is not installed"
        command = [slapadd, "-q", "-f", f"{self.folder}/slapd.conf", "-l", f"{self.folder}/entries.ldif"]
        done = subprocess.run(command, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode(errors="replace")

    async def start(self) -> None:
        """Start the process, and wait until it listens."""
        assert slapd is not None, "slapd is not installed"
        self.plain_port = self.plain_port or free_port(HOST)
        self.tls_port = self.tls_port or free_port(HOST)
        places = [("ldap", self.plain_port), *([("ldaps", self.tls_port)] if self.certificate else [])]
        hosts = (HOST, "127.0.0.2")  # The certificate does not name the second one.
        urls = " ".join(f"{scheme}://{host}:{port}/" for scheme, port in places for host in hosts)
        with (self.folder / "output").open("wb") as output:
            self.process = subprocess.Popen(
                [slapd, "-f", f"{self.folder}/slapd.conf", "-h", urls, "-d", "0"],
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
            )
        async with asyncio.timeout(60):
            while not _listens(self.plain_port):
                assert self.process.poll() is None, (self.folder / "output").read_text("utf-8", "replace")
                await asyncio.sleep(0.01)

    async def refill(self, *entries: Entry) -> None:
        """Replace all entries while it stays at the same address."""
        self.stop()
        self.fill(*entries)
        await self.start()

    def pause(self) -> None:
        """Suspend the process: it does not answer, but connections to it still succeed."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Resume the process after a pause."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """End the process."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(60)
            self.process = None

    def settings(self, **changed: object) -> LdapSettings:
        """Return settings for reading it; without TLS by default, as in a demonstration."""
        security = changed.setdefault("security", LdapSecurity.NONE)
        values: dict[str, object] = {
            "host": "localhost",
            "port": self.tls_port if security is LdapSecurity.TLS else self.plain_port,
            "user": READER,
            "password": PASSWORD,
            "people": PEOPLE,
            "people_filter": "(objectClass=inetOrgPerson)",
            "subject": "employeeNumber",
            "name": "cn",
            "member": "member",
            "seconds": 60.0,
        }
        return LdapSettings(**{**values, **changed})  # type: ignore[arg-type]

    def directory(self, trust: Path | None = None, **changed: object) -> LdapDirectory:
        """Return the directory as the program's own client reads it."""
        tls = None if trust is None else client_tls(trust=trust, http=False)
        return LdapDirectory(self.settings(**changed), tls)

    def _configure(self) -> None:
        lines = [
            *(
                f"include /etc/ldap/schema/{each}.schema"
                for each in ("core", "cosine", "nis", "inetorgperson")
            ),
            "modulepath /usr/lib/ldap",
            "moduleload back_mdb",
            f"pidfile {self.folder}/slapd.pid",
        ]
        if self.certificate is not None:
            lines += [
                f"{name} {self.certificate}" for name in ("TLSCertificateFile", "TLSCertificateKeyFile")
            ]
        lines += [
            "database mdb",
            f'suffix "{SUFFIX}"',
            f"directory {self.folder}/data",
            f"maxsize {64 << 20}",
            "dbnosync",
            f"limits users size={self.size_limit} size.pr=unlimited size.prtotal={self.size_limit}",
            "access to attrs=userPassword by anonymous auth by * none",
            "access to * by users read by * none",
        ]
        (self.folder / "slapd.conf").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _listens(port: int) -> bool:
    try:
        socket.create_connection((HOST, port), 1).close()
    except OSError:
        return False
    return True
