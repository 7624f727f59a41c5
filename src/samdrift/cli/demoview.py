"""Terminal output of the demonstration: progress, the path of each message, and addresses."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.status import Status
from rich.table import Table

from samdrift.accesspoint.events import APEvent
from samdrift.config.errors import printable
from samdrift.demo.scenario import Exchange
from samdrift.demo.witnessing import Verified
from samdrift.evidence.trace import Step
from samdrift.messageservice.events import MTEvent

if TYPE_CHECKING:
    from samdrift.demo.world import World


_NARROWEST = 150


def console() -> Console:
    """Return standard output as a console that is wide enough for the tables even if it is not a terminal."""
    plain = Console(highlight=False, emoji=False)
    return plain if plain.is_terminal else Console(highlight=False, emoji=False, width=_NARROWEST)


class Steps:
    """Progress on the terminal: the current step, and then its duration."""

    def __init__(self, console: Console, status: Status) -> None:
        self._console = console
        self._status = status
        self._current = ""
        self._since = 0.0

    def __call__(self, text: str) -> None:
        self.done()
        self._current, self._since = text, time.monotonic()
        self._status.update(f"{text} …")
        self._status.start()

    def done(self) -> None:
        """Print the duration of the current step and end it."""
        if self._current:
            self._console.print(f"[green]✓[/] {self._current} [dim]{time.monotonic() - self._since:.1f} s[/]")
            self._current = ""
        self._status.stop()


@contextlib.contextmanager
def progress(console: Console) -> Iterator[Steps]:
    """Display the current step while the context lasts."""
    status = console.status("")
    try:
        yield Steps(console, status)
    finally:
        status.stop()


_WORDS: Mapping[str, str] = {
    MTEvent.MT_MESSAGE_SCHEDULED: "message validated and stored",
    MTEvent.MT_MESSAGE_SUBMITTED: "encrypted for the recipient, signed, handed to the access point",
    APEvent.AP_TRANSFER_QUEUED: "envelope stored for transfer",
    APEvent.AP_TRANSFER_DELIVERED: "AS4 receipt verified; envelope deleted here",
    APEvent.AP_ENVELOPE_RECEIVED: "AS4 message verified and decrypted; envelope stored; receipt signed",
    MTEvent.MT_MESSAGE_RETRIEVED: "signature verified, decrypted, validated, accepted",
    MTEvent.MT_RECEIPT_QUEUED: "message receipt written",
    APEvent.AP_ENVELOPE_ACKNOWLEDGED: "envelope taken over by the message service; deleted here",
    MTEvent.MT_RECEIPT_SUBMITTED: "message receipt signed, handed to the access point",
    MTEvent.MT_RECEIPT_ACKNOWLEDGED: "message receipt delivered",
    MTEvent.MT_MESSAGE_NEW: "message ready to be fetched",
    MTEvent.MT_MESSAGE_ACKNOWLEDGED: "transport receipt noted; waiting for the message receipt",
    MTEvent.MT_RECEIPT_RECEIVED: "message receipt verified",
    MTEvent.MT_MESSAGE_ACCEPTED: "message accepted by the recipient",
    MTEvent.MT_MESSAGE_READ: "message read by the client",
}


def exchange(console: Console, done: Exchange, steps: Sequence[Step]) -> None:
    """Print the path of one message at both organisations, and where it is stored now."""
    sender, recipient = done.sender.organisation.value, done.recipient.organisation.value
    console.print(f"\n[bold]{done.what}[/]: {sender} → {recipient}")
    console.print(
        f"  message and envelope  {done.message_id}\n  conversation          {done.conversation_id}"
    )
    for label, value in _identifiers(steps):
        console.print(f"  {label:<21} {escape(printable(value))}")
    table = Table(box=None, pad_edge=True, header_style="dim")
    for column in ("time (UTC)", "where", "what", "event"):
        table.add_column(column, no_wrap=column != "what", overflow="fold")
    for step in steps:
        table.add_row(f"{step.at:%H:%M:%S.%f}"[:-3], step.where, _WORDS.get(step.what, ""), step.what)
    console.print(table)
    console.print(
        f"  now: in the vaults of both message services ({sender} as sent and accepted, {recipient} as"
        " received), encrypted with each organisation's data key;\n"
        "  the access points hold facts and signed receipts, no envelope"
    )


def _identifiers(steps: Sequence[Step]) -> list[tuple[str, str]]:
    """Return the AS4 messages, access points and signing certificates named in steps, without duplicates."""
    named: dict[tuple[str, str], None] = {}
    for step in steps:
        if "as4" in step.ids and step.what == APEvent.AP_TRANSFER_QUEUED:
            named["AS4 message", step.ids["as4"]] = None
        if step.what == APEvent.AP_ENVELOPE_RECEIVED:
            named["AS4 signed by", f"{step.ids['peer']}  sha256 {step.ids['certificate'][:16]}…"] = None
        if "signer" in step.ids:
            named["envelope signed by", f"{step.ids['signer']}  sha256 {step.ids['certificate'][:16]}…"] = (
                None
            )
    return list(named)


def logs(console: Console, verified: Sequence[Verified]) -> None:
    """Print each log with its number of entries and its witness."""
    table = Table(box=None, title="\nLogs", title_justify="left", header_style="dim")
    for column in ("log", "entries", "verified with the witness"):
        table.add_column(column, justify="right" if column == "entries" else "left")
    for one in verified:
        table.add_row(one.whose, str(one.entries), one.witness)
    console.print(table)


def reachable(console: Console, world: World) -> None:
    """Print the addresses of everything that is running."""
    federation = world.federation
    table = Table(box=None, title="\nRunning until interrupted", title_justify="left", show_header=False)
    table.add_row("SML (DNS)", f"127.0.0.1 port {federation.dns_port}, zone {federation.sml_zone}")
    table.add_row("SMP and CertPub", federation.smp_url)
    table.add_row("address book", federation.address_book_url)
    table.add_row("CRL and OCSP", federation.responder_url)
    for enrolled, _ in world.operators:
        own = enrolled.config.access_point
        if own is not None:
            table.add_row(f"{own.party}, AS4", enrolled.as4_address)
            table.add_row(f"{own.party}, interface C", f"https://{own.listen_c.host}:{own.listen_c.port}")
        if (service := enrolled.config.message_service) is not None:
            table.add_row(f"{enrolled.demo.party}, interface D", f"{service.address_d}/v1")
        table.add_row(f"{enrolled.demo.party}, configuration", str(enrolled.config_file))
    for name, file in world.clients.items():
        table.add_row(f"{name}, message client", f"./samdrift client list --config {file}")
    console.print(table)
    _pages(console, world)


def _pages(console: Console, world: World) -> None:
    """Print the addresses of the pages, and the people who can sign in there."""
    for url in dict.fromkeys(page.url for page in world.pages):
        here = [page for page in world.pages if page.url == url]
        title = f"\n{here[0].organisation}: {url} – follow “Logga in”, then choose who you are"
        table = Table(box=None, title=title, title_justify="left", show_header=False)
        for page in here:
            table.add_row(page.person, page.about)
        console.print(table)


def failed(console: Console, why: str) -> None:
    """Print why the demonstration ended early."""
    console.print(f"[bold red]The demonstration failed:[/] {escape(printable(why))}")


def stopping(console: Console) -> None:
    """Print that the demonstration is stopping after an interrupt."""
    console.print("Stopping.")
