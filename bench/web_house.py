"""One organisation's message client for benchmarks: a full mailbox, and a person who is signed in."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import random
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
from starlette.types import ASGIApp, Message

from samdrift.contracts.addressbook import Listing
from samdrift.contracts.messages import Direction
from samdrift.contracts.principals import Principal, PrincipalKind, Purpose, Role
from samdrift.entrance.sites import Sites, SiteSettings
from samdrift.installation.services import NoAddressBook
from samdrift.messageclient import content
from samdrift.messageclient.mail import Identifier, Party, Stage
from samdrift.messageclient.permissions import person_subject
from samdrift.messageclient.role import MessageClientRole
from samdrift.net.client import Fetched, FetchLimits
from samdrift.net.clock import system_clock
from samdrift.rights import ORGANISATION, Right, Rights, Scope, Subject, SubjectKind
from samdrift.rights.statements import Approved, Given
from samdrift.vault.bodies import new_id
from samdrift.vault.gate import Gate
from samdrift.vault.mailrecords import MailboxRecord, MailRecord, NewMail
from samdrift.vault.people import Identity
from samdrift.vault.provision import Provisioner
from samdrift.vault.settings import VaultSettings
from samdrift.web.cookies import SESSION
from samdrift.web.sessions import Person
from samdrift.web.signin.provider import Provider, ProviderSettings, by_secret
from samdrift.web.signin.service import OidcService
from samdrift.wire.identifiers import ParticipantIdentifier

HABO = ParticipantIdentifier("0203:habo.se")
BOX, ADDRESS = "box", "social@habo.se"
WORKER = Principal(PrincipalKind.WORKER, "bench")
MK = Role.MESSAGE_CLIENT
_ISSUER, _ORIGIN = "https://sign-in.example.se", "https://habo.example.se"
_YEAR = timedelta(days=300)
_WORDS = """
ärende barn skola familj utredning beslut yttrande bilaga möte vårdnad kommun handläggare ansökan uppgift
samtycke boende insats socialtjänst orosanmälan komplettering förälder stöd kontakt
""".split()  # noqa: SIM905 - words are easier to read this way
_BATCH = 200
_SECOND = 1.1
"""Seconds to wait between dependent statements, whose times are whole seconds."""


def settings_in(folder: Path) -> VaultSettings:
    """Return the settings of an installation in ``folder``."""
    return VaultSettings(
        folder / "database", folder / "objects", folder / "secrets", folder / "seals", b"bench"
    )


def database_of(folder: Path) -> psutil.Process:
    """Return the running embedded server of an installation in ``folder``."""
    return psutil.Process(int((folder / "database/data/postmaster.pid").read_text().split()[0]))


def cpu_of(server: psutil.Process) -> float:
    """Return the seconds of CPU that a server and its processes have used."""
    found = 0.0
    for each in (server, *server.children()):
        with contextlib.suppress(psutil.NoSuchProcess, OSError):
            found += _used(each)
    return found


def _used(process: psutil.Process) -> float:
    """Return the seconds of CPU of a process, to the nanosecond if the kernel counts them."""
    finely = Path(f"/proc/{process.pid}/schedstat")
    if finely.exists():
        return int(finely.read_text().split()[0]) / 1e9
    return process.cpu_times().user + process.cpu_times().system


@asynccontextmanager
async def installed(
    settings: VaultSettings, organisations: tuple[ParticipantIdentifier, ...] = (HABO,)
) -> AsyncIterator[Gate]:
    """Host organisations, each with the vault of a message client."""
    provisioner = await Provisioner.connect(settings)
    await provisioner.install()
    for each in organisations:
        await provisioner.add_organisation(each, [MK])
    # An embedded server then restarts, with enough connections for all of these vaults.
    await provisioner.close()
    gate = await Gate.start(settings)
    try:
        yield gate
    finally:
        await gate.close()


class Letters:
    """Incoming messages with texts from a fixed seed."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._drawn = random.Random(12)
        self._at = datetime.now(UTC) - timedelta(days=200)

    async def fill(self, messages: int, thread: int) -> str:
        """Store conversations of two messages, and one long one; return the id of the long one."""
        async with self._gate.open(WORKER, HABO, MK, Purpose.PROCESS) as vault:
            await vault.keep_mailbox(MailboxRecord(BOX, ADDRESS, "Socialtjänst"))
        left = [f"thread-{number // 2}" for number in range(messages - thread)] + ["long"] * thread
        conversation = ""
        while left:
            async with self._gate.open(WORKER, HABO, MK, Purpose.RECEIVE) as vault:
                for name in left[:_BATCH]:
                    writer = vault.new_body()
                    text = self._text(name == "long")
                    document = content.DocumentText("Meddelande", (text,), ())
                    await writer.write(
                        content.document_content_bytes([content.document_content(document, [])])
                    )
                    new = self._letter(name)
                    mail = NewMail(new, new.content["message_id"], name, await writer.finish(), new.id)
                    conversation = await vault.store_mail(mail, BOX, (), ()) or conversation
            left = left[_BATCH:]
        return conversation

    def _text(self, marked: bool) -> str:
        lines = [" ".join(self._drawn.choices(_WORDS, k=12)) for _ in range(12)]
        lines[2] = f"## {lines[2]}"
        lines[4:7] = [f"- **{line[:20]}** {line[20:]}" for line in lines[4:7]]
        return "\n".join(lines) if marked else "\n\n".join(lines)

    def _letter(self, thread: str) -> MailRecord:
        self._at += timedelta(minutes=20)
        number, moment = self._drawn.randrange(1 << 40), self._at
        reference = (Identifier("dnr", f"SN 2026-{number % 10_000}", "Diarienummer"),)
        head = content.Head(
            remote_id=str(number),
            message_id=f"m-{number}",
            conversation_id=thread,
            refers_to=None,
            status="NEW",
            subject=" ".join(self._drawn.choices(_WORDS, k=5)),
            confidential=True,
            dated_at=moment,
            sender=Party("0203:mullsjo.se", "registrator@mullsjo.se", "", "Registrator", (), reference),
            recipient=Party(HABO.value, ADDRESS, "", "Socialtjänst"),
            events=(),
        )
        return MailRecord(
            id=new_id(),
            conversation=new_id(),
            direction=Direction.IN,
            stage=Stage.ARRIVED.value,
            status="NEW",
            draft=None,
            author=None,
            at=moment,
            dated_at=moment,
            since=moment,
            confidential=True,
            due_at=None,
            deadline=None,
            attempts=0,
            opened_at=None,
            files=0,
            content=head.content(),
            delivery={},
        )


class AnyBook(NoAddressBook):
    """An address book that contains every address."""

    async def listing(self, organisation: ParticipantIdentifier, address: str) -> Listing:
        return Listing.LISTED


class _NoSignIn:
    """A sign-in service that is never used, because the person is signed in already."""

    async def fetch(self, url: str, limits: FetchLimits, **more: object) -> Fetched:
        raise RuntimeError("nobody signs in here")


@dataclass(frozen=True)
class Answered:
    """An answer as it was sent over the wire."""

    status: int
    headers: dict[str, str]
    body: bytes = field(repr=False)
    size: int

    def text(self) -> str:
        """Return the page, unpacked."""
        packed = self.headers.get("content-encoding") == "gzip"
        return (gzip.decompress(self.body) if packed else self.body).decode()


class Browser:
    """A signed-in person's browser, which calls the role's application without a network."""

    def __init__(self, application: ASGIApp, value: str) -> None:
        self._application = application
        self._cookie = f"{SESSION}={value}"

    async def get(self, path: str) -> Answered:
        """Fetch a page."""
        return await self._ask("GET", path, (), {})

    async def post(
        self, path: str, body: Iterable[bytes], kind: str = "application/x-www-form-urlencoded"
    ) -> Answered:
        """Post a form, whose pieces are generated as they are read."""
        return await self._ask("POST", path, body, {"content-type": kind})

    async def count(self, path: str) -> int:
        """Download a file without keeping it, and return its size."""
        return (await self._ask("GET", path, (), {}, held=False)).size

    async def _ask(
        self, method: str, path: str, body: Iterable[bytes], more: dict[str, str], *, held: bool = True
    ) -> Answered:
        named = {
            "host": _ORIGIN.partition("://")[2],
            "cookie": self._cookie,
            "accept-encoding": "gzip",
            "accept-language": "sv",
            "sec-fetch-site": "same-origin",
            "origin": _ORIGIN,
            **more,
        }
        plain, _, query = path.partition("?")
        scope = {
            "type": "http",
            "method": method,
            "path": plain,
            "raw_path": plain.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "scheme": "https",
            "http_version": "1.1",
            "server": ("habo.example.se", 443),
            "client": ("127.0.0.1", 1),
            "headers": [(name.encode(), value.encode()) for name, value in named.items()],
        }
        pieces, begun, came, size = iter(body), list[Message](), list[bytes](), 0
        over = asyncio.Event()

        async def receive() -> Message:
            piece = next(pieces, None)
            if piece is None and over.is_set():
                await asyncio.Event().wait()  # The browser keeps the connection open.
            if piece is None:
                over.set()
            return {"type": "http.request", "body": piece or b"", "more_body": piece is not None}

        async def send(message: Message) -> None:
            nonlocal size
            if message["type"] == "http.response.start":
                begun.append(message)
                return
            size += len(message.get("body", b""))
            if held:
                came.append(message.get("body", b""))

        await self._application(scope, receive, send)
        headers = {name.decode(): value.decode() for name, value in begun[0]["headers"]}
        return Answered(begun[0]["status"], headers, b"".join(came), size)


async def signed_in(gate: Gate) -> Browser:
    """Sign in a person who may read and write in the mailbox, with a session in the vault."""
    role, sites = _pages(gate, _ISSUER)
    async with gate.open(WORKER, HABO, MK, Purpose.PROCESS) as vault:
        anna, eva = [await vault.know_person(Identity(_ISSUER, name, name)) for name in ("anna", "eva")]
    first, second = (Subject(SubjectKind.CUSTODIAN, name) for name in ("kim", "lo"))
    administrator = Rights(person_subject(eva), ORGANISATION, frozenset({Right.ADMINISTRATOR}))
    state = role.assignments.state
    asked = await state(HABO, first, "bench", lambda at: Given(administrator, at, at + _YEAR, asked=True))
    await state(HABO, second, "bench", lambda at: Approved(asked.digest))
    await asyncio.sleep(_SECOND)
    wanted = Rights(person_subject(anna), Scope(BOX), frozenset({Right.READ, Right.WRITE}))
    await state(HABO, person_subject(eva), "bench", lambda at: Given(wanted, at, at + _YEAR, asked=False))
    await asyncio.sleep(_SECOND)
    return await _let_in(role, sites, Person(_ISSUER, "anna", "Anna Andersson", "loa3", datetime.now(UTC)))


async def known(gate: Gate, issuer: str, subject: str, name: str) -> Browser:
    """Sign in a person who has rights already."""
    role, sites = _pages(gate, issuer)
    return await _let_in(role, sites, Person(issuer, subject, name, "loa3", datetime.now(UTC)))


def _pages(gate: Gate, issuer: str) -> tuple[MessageClientRole, Sites]:
    provider = ProviderSettings(issuer, "samdrift", ("loa3",))
    signs_in = OidcService(Provider(provider, by_secret("samdrift", "bench"), _NoSignIn(), system_clock))
    sites = Sites(gate, [SiteSettings(HABO, "Håbo kommun", _ORIGIN, signs_in)], system_clock)
    return MessageClientRole(gate, {"habo.example.se": HABO}, sites, system_clock, AnyBook()), sites


async def _let_in(role: MessageClientRole, sites: Sites, person: Person) -> Browser:
    found = await sites.find("habo.example.se")
    assert found is not None
    value = await found.sessions.begin(person, found.sessions.mark("sign-in", "bench"))
    assert value is not None

    def fail(error: BaseException) -> None:
        raise error

    return Browser(role.application(fail), value)
