"""Services that people and keys depend on, each of which can be broken: sign-in, mail, directory and HSM.

Traffic between organisations needs neither sign-in nor mail, so each has something that needs it: a person
who begins to sign in, and a notice that waits to be mailed.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import subprocess
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from samdrift.config.organisations import DEMONSTRATION_LEVEL, host_of
from samdrift.contracts.principals import Purpose, Role
from samdrift.federation.signin import SignInClient, SignInService
from samdrift.governance.records import Records
from samdrift.keystore.settings import HsmAccess, HsmSettings
from samdrift.messageclient.notices.worker import Kind
from samdrift.net.client import http_client
from samdrift.net.server import listening_socket, serving
from samdrift.net.tls import server_tls
from samdrift.rights import Given, Right, Rights, Subject
from samdrift.vault.noticing import NoticeRecord
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.roles.member import Member, until
from tests.roles.stage import HOST
from tests.roles.tap import Tap, tapped
from tests.secretfiles import secret_file
from tests.slapd import GROUPS, PASSWORD, PEOPLE, READER, Slapd, group, person
from tests.softhsm import SoftHsm, softhsm
from tests.unit.governance.test_records import roots, statements
from tests.unit.net.mailserver import TestMailServer
from tests.unit.net.test_tls import FIRST, identity, localhost, write
from tests.unit.rights.building import AD, ANNA, BO, SCHOOL
from tests.unit.rights.signers import Ssh, founded
from tests.vaults import WORKER

_MAIL = """
[mail]
host = "localhost"
port = {port}
sender = "samdrift@driftbolaget.se"
tls_issuers = "{issuers}"
"""
_TO = "registrator@example.se"
_AD = Ssh(AD, "directory of an outage")
_GROUP = f"cn=Nattskiftet,{GROUPS}"
_OPENSSH = (Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())


def _now() -> datetime:
    """Return the current time to the second, the precision of statements."""
    return datetime.now(UTC).replace(microsecond=0)


@dataclass
class Beside:
    """The four services, with ports in front of the sign-in service and the mail server."""

    sign_in: SignInService
    sign_in_tap: Tap
    secret: Path
    mail: TestMailServer
    mail_tap: Tap
    mail_issuers: Path
    hsm: SoftHsm
    label: str
    tokens: HsmSettings
    directory: Slapd
    directory_password: Path
    directory_key: Path
    notices: int = 0
    """Number of notices that were queued for mailing."""

    def configured(self, text: str) -> str:
        """Add all services to the configuration; the first organisation has sign-in service and directory."""
        (organisation, access), *_ = self.tokens.tokens.items()
        entry = f'identifier = "{organisation}"\n'
        assert entry in text
        token = f'hsm = {{ label = "{access.label}", pin_file = "{access.pin_file}" }}\n'
        text = text.replace(entry, entry + token)
        text = text.replace("[message_client]\n", "[message_client]\nplain = true\n", 1)
        sign_in = f'issuer = "{self.sign_in.issuer("persons")}", client_id = "pages", claims = ["groups"]'
        given = f'secret_file = "{self.secret}", levels = ["{DEMONSTRATION_LEVEL}"]'
        text = text.replace(
            "[[organisations]]\n",
            f"[[organisations]]\nsign_in = {{ {sign_in}, {given} }}\ndirectories = [{self._ad}]\n",
            1,
        )
        mail = _MAIL.format(port=self.mail_tap.port, issuers=self.mail_issuers)
        return f'{text}{mail}\n[vaults.hsm]\nmodule = "{self.hsm.library}"\n'

    @property
    def _ad(self) -> str:
        """Return the directory's table for the configuration; it is read each minute."""
        values = {
            "name": "ad",
            "host": "localhost",
            "user": READER,
            "password_file": f"{self.directory_password}",
            "key_file": f"{self.directory_key}",
            "people": PEOPLE,
            "subject": "employeeNumber",
            "port": self.directory.plain_port,
            "security": "none",
            "minutes": 1,
            "seconds": 10,
        }
        each = (f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in values.items())
        return f"{{ {', '.join(each)} }}"

    async def enrol_directory(self, member: Member) -> None:
        """Enrol the organisation's directory by its officers, and give one of its groups a right."""
        house = founded(member.organisation.value, _now() - timedelta(hours=1))
        house.enrolled(_AD, ANNA, BO)
        start = house.now + timedelta(minutes=2)
        what = Rights(Subject.group("ad", _GROUP), SCHOOL, frozenset({Right.READ}))
        house.state(ANNA, Given(what, start, start + timedelta(days=90), asked=False))
        records = Records(member.operator.gate, _now)
        await records.append(member.organisation, statements(house), roots)

    @asynccontextmanager
    async def no_directory(self) -> AsyncIterator[None]:
        """Stop the directory while the context lasts, so that connections are refused."""
        self.directory.stop()
        try:
            yield
        finally:
            await self.directory.start()

    @asynccontextmanager
    async def silent_directory(self) -> AsyncIterator[None]:
        """Keep the directory from answering while the context lasts."""
        self.directory.pause()
        try:
            yield
        finally:
            self.directory.go_on()

    def open_to_workers(self) -> None:
        """Let workers with Unix users of their own use the token, in whose folder they also write."""
        subprocess.run(["chmod", "-R", "a+rwX", self.hsm.folder, self.mail_issuers], check=True)
        for access in self.tokens.tokens.values():
            assert access.pin_file is not None
            access.pin_file.chmod(0o600)

    @asynccontextmanager
    async def no_token(self) -> AsyncIterator[None]:
        """Remove the token while the context lasts, as if it had been pulled out."""
        folder = self.hsm.folder_of(self.label)
        away = folder.rename(self.hsm.folder / "away")
        try:
            yield
        finally:
            away.rename(folder)

    async def signs_in(self, member: Member) -> str:
        """Begin to sign in, as a person does; return a line with the answer's status."""
        own = member.config.message_client
        assert own is not None
        headers = {"host": f"{host_of(member.own_config, Role.MESSAGE_CLIENT)}:{own.listen.port}"}
        url = f"http://{own.listen.host}:{own.listen.port}/sign-in/start"
        async with (
            aiohttp.ClientSession() as client,
            client.get(url, headers=headers, allow_redirects=False) as answer,
        ):
            return f"a person who begins to sign in gets HTTP status {answer.status}"

    async def is_told(self, member: Member) -> str:
        """Queue a notice for mailing."""
        now = datetime.now(UTC)
        content = {"to": _TO, "until": (now + timedelta(days=1)).isoformat()}
        notice = NoticeRecord(
            secrets.token_hex(16), Kind.UNREAD.value, None, now, now, 0, None, None, content
        )
        gate = member.operator.gate
        async with gate.open(WORKER, member.organisation, Role.MESSAGE_CLIENT, Purpose.PROCESS) as vault:
            vault.add_notice(notice)
        self.notices += 1
        return "a notice waits to be mailed"

    async def not_mailed(self, patience: float) -> list[str]:
        """Return a fault unless every notice was mailed exactly once within ``patience``."""

        async def look() -> bool | None:
            return True if len(self.mail.mails) >= self.notices else None

        with contextlib.suppress(AssertionError):
            await until(look, "all notices are mailed", within=patience)
        mailed = len(self.mail.mails)
        return [f"lost or twice: {mailed} mails of {self.notices} notices"] if mailed != self.notices else []


@asynccontextmanager
async def beside(folder: Path, organisation: ParticipantIdentifier) -> AsyncIterator[Beside]:
    """Run all services; ``organisation`` is the one whose keys are in the token."""
    folder.mkdir()
    async with AsyncExitStack() as stack:
        http = http_client(public_only=False)
        stack.push_async_callback(http.aclose)
        sock = listening_socket(HOST)
        tap = await tapped(stack, sock.getsockname()[1])
        sign_in = SignInService(f"http://localhost:{tap.port}", http)
        await stack.enter_async_context(serving(sign_in.application(), sock, per_address=0))
        secret = secret_file(folder / "pages.secret", "words of a test")
        sign_in.add(
            SignInClient("persons", "Persons", "pages", "words of a test", DEMONSTRATION_LEVEL, (), "", "")
        )
        mail = TestMailServer(server_tls(identity(folder / "mail.pem", localhost(FIRST))).serving())
        await stack.enter_async_context(mail.running())
        mail_tap = await tapped(stack, mail.port)
        issuers = write(folder / "mail-issuers.pem", FIRST.certificate)
        place = folder / "hsm"
        place.mkdir()
        hsm = stack.enter_context(softhsm(place))
        label, pin = hsm.unused(), hsm.pin_file()
        tokens = HsmSettings(hsm.library, {organisation: HsmAccess(label, pin)})
        directory = Slapd(folder / "slapd")
        directory.fill(person("anna"), group("Nattskiftet", f"uid=anna,{PEOPLE}"))
        await directory.start()
        stack.callback(directory.stop)
        password = secret_file(folder / "directory.password", PASSWORD)
        key = secret_file(folder / "directory.key", _AD.private.private_bytes(*_OPENSSH))
        yield Beside(
            *(sign_in, tap, secret, mail, mail_tap, issuers, hsm, label, tokens),
            *(directory, password, key),
        )
