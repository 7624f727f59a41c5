"""`samdrift client`: send and fetch messages over interface D, from a terminal or a script.

What an integrator tries first, and what a small organisation's scripts may go on using.
"""

from __future__ import annotations

import asyncio
import json
import sys
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from samdrift.cli import clientview as view
from samdrift.cli.output import complain, print_json, print_line
from samdrift.client.errors import Refused, Unreachable
from samdrift.client.keys import ClientKey, KeyUnusable
from samdrift.client.mailbox import Document, Filter, Mailbox
from samdrift.client.outgoing import Attachment, Correspondent, OutgoingMessage
from samdrift.client.tokens import Tokens
from samdrift.config.errors import Unusable, shown
from samdrift.config.failures import told
from samdrift.config.inputs import reason
from samdrift.config.toml import ConfigError, read_file, text
from samdrift.installation.loop import run
from samdrift.net.client import http_client
from samdrift.net.clock import system_clock
from samdrift.net.tls import client_tls


@dataclass(frozen=True, slots=True)
class ClientConfig:
    """One message client at one message service."""

    interface: str
    """Base address of interface D with its version."""
    token_endpoint: str
    client: str
    key: ClientKey
    sender: Correspondent
    """The mailbox that is sent from unless another is named."""
    issuers: Path | None = None
    """Bundle (PEM) of issuers of the servers' certificates; Mozilla's when absent."""
    audience: str | None = None
    """What the authorisation server wants to be called in assertions, if not by its token endpoint."""


def load_client(path: Path) -> ClientConfig:
    """Read and check the file, or raise :class:`ConfigError`."""
    table = read_file(path)
    config = ClientConfig(
        interface=table.take("interface", _address),
        token_endpoint=table.take("token_endpoint", _address),
        client=table.take("client", text),
        key=_key(table.path("key")),
        sender=Correspondent(
            table.take("organisation", text),
            table.take("address", text),
            table.take("label", text, ""),
        ),
        issuers=table.path("issuers") if "issuers" in table else None,
        audience=table.take("audience", text) if "audience" in table else None,
    )
    table.finish()
    return config


@asynccontextmanager
async def connected(config: ClientConfig) -> AsyncIterator[tuple[Mailbox, Tokens]]:
    """The client's mailboxes and the tokens that open them, while the context lasts."""
    async with http_client(client_tls(trust=config.issuers), public_only=False) as http:
        tokens = Tokens(
            http,
            config.token_endpoint,
            config.client,
            config.key,
            system_clock,
            audience=config.audience,
        )
        yield Mailbox(http, config.interface, tokens), tokens


def _address(value: Any) -> str:
    if not text(value).startswith("https://"):
        raise ValueError("is not an address that begins with https://")
    return text(value)


def _key(path: Path) -> ClientKey:
    try:
        return ClientKey.read(path.read_bytes())
    except OSError as error:
        raise ConfigError("key", f"cannot be read ({type(error).__name__})") from None
    except KeyUnusable as error:
        raise ConfigError("key", str(error)) from None


T = TypeVar("T")
app = typer.Typer(add_completion=False)

_REFUSED = 1
_PAUSE = 5.0
"""Seconds before a broken stream of events is taken up again."""

ConfigFile = Annotated[Path, typer.Option("--config", help="The message client's configuration file (TOML).")]
Json = Annotated[bool, typer.Option("--json", help="JSON on standard output.")]
MessageId = Annotated[str, typer.Argument(metavar="ID", help="The message's id.")]


@app.callback()
def client() -> None:
    """Send, list, fetch and delete messages over interface D, as a message client of an organisation."""


@app.command()
def keys(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where the private key goes; a new file.")],
) -> None:
    """Make a key pair: the private key stays in the file, the public one is printed, to be registered."""
    key = ClientKey.new()
    try:
        key.write(file)
    except FileExistsError:
        raise Unusable(f"{shown(file)}: is there already, and a key is never replaced") from None
    except OSError as error:
        raise Unusable(f"{shown(file)}: {reason(error)}") from None
    print_json(key.public)


@app.command()
def token(config: ConfigFile) -> int:
    """Print an access token, for calls with other tools: curl -H "Authorization: Bearer $(...)"."""
    return _with_interface(_load(config), lambda box, tokens: tokens.token(), print_line)


@app.command()
def send(
    config: ConfigFile,
    to: Annotated[str, typer.Option("--to", help="The receiving organisation, such as 0203:habo.se.")] = "",
    address: Annotated[str, typer.Option("--address", help="Its functional address.")] = "",
    label: Annotated[str, typer.Option("--label", help="The message's heading.")] = "",
    text: Annotated[str, typer.Option("--text", help="The text, in markdown.")] = "",
    text_file: Annotated[
        Path | None, typer.Option("--text-file", help="A file with the text; - is standard input.")
    ] = None,
    attach: Annotated[
        list[Path] | None, typer.Option("--attach", help="A file to send along; may be repeated.")
    ] = None,
    answers: Annotated[
        str, typer.Option("--answers", help="The message that this one answers: tells where it goes.")
    ] = "",
    sender: Annotated[
        str, typer.Option("--from", help="The functional address to send from, if not the configured one.")
    ] = "",
    confidential: Annotated[bool, typer.Option(help="Whether it is marked as confidential.")] = True,
    message_id: Annotated[str, typer.Option("--id", help="Its id; the same again sends nothing twice.")] = "",
    as_json: Json = False,
) -> int:
    """Send a message, and print its id. What becomes of it: `samdrift client get ID`."""
    settings = _load(config)
    if not answers and not (to and address and label):
        raise Unusable("a message needs --to, --address and --label, or --answers")
    body = _text(text, text_file)
    own = replace(settings.sender, address=sender) if sender else settings.sender
    message = OutgoingMessage(
        message_id or str(uuid.uuid4()),
        own,
        Correspondent(to, address),
        label,
        body,
        tuple(Attachment(each) for each in attach or ()),
        confidential,
    )

    async def work(box: Mailbox) -> str:
        await box.send(view.answering(message, await box.get(answers)) if answers else message)
        return message.message_id

    return _with_mailbox(
        settings, work, lambda sent: print_json({"id": sent}) if as_json else print_line(sent)
    )


@app.command("list")
def list_messages(
    config: ConfigFile,
    status: Annotated[str, typer.Option("--status", help="Such as NEW or ACCEPTED.")] = "",
    sender: Annotated[str, typer.Option("--from", help="Functional address of the sender.")] = "",
    recipient: Annotated[str, typer.Option("--to", help="Functional address of the recipient.")] = "",
    since: Annotated[str, typer.Option("--since", help="Created then or later: 2026-11-24T09:00:00Z.")] = "",
    until: Annotated[str, typer.Option("--until", help="Created then or earlier.")] = "",
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many.")] = 100,
    as_json: Json = False,
) -> int:
    """List messages, the newest first: sent and received, without their content."""

    async def work(box: Mailbox) -> list[Document]:
        found: list[Document] = []
        async for message in box.list(Filter(status, sender, recipient, since, until)):
            found.append(message)
            if len(found) == limit:
                break
        return found

    def show(found: list[Document]) -> None:
        if as_json:
            print_json({"messages": found})
        else:
            for message in found:
                print_line(view.line(message))

    return _with_mailbox(_load(config), work, show)


@app.command()
def get(
    message_id: MessageId,
    config: ConfigFile,
    save: Annotated[
        Path | None, typer.Option("--save", help="A folder to store the attached files in.")
    ] = None,
    as_json: Json = False,
) -> int:
    """Show a message with its text, its status and what has happened to it."""

    def show(message: Document) -> None:
        if as_json:
            print_json(dict(message))
        else:
            for row in view.page(message):
                print_line(row)
        for file in view.stored(message, save) if save else ():
            complain(f"stored {shown(file)}")

    return _with_mailbox(_load(config), lambda box: box.get(message_id), show)


@app.command()
def delete(message_id: MessageId, config: ConfigFile) -> int:
    """Delete a message at the message service, once its flow is over."""
    return _with_mailbox(_load(config), lambda box: box.delete(message_id), lambda _: None)


@app.command()
def watch(config: ConfigFile) -> int:
    """Print what happens, a line of JSON each: new messages, and changes of status. Ends with Ctrl-C."""

    async def work(box: Mailbox) -> None:
        last_id = ""
        while True:
            try:
                async for event in box.events(last_id):
                    last_id = event.id or last_id
                    print_line(json.dumps({"event": event.kind, **view.event(event.data)}))
            except Unreachable as failure:
                complain(str(failure))
                await asyncio.sleep(_PAUSE)

    return _with_mailbox(_load(config), work, lambda _: None)


def _load(path: Path) -> ClientConfig:
    with told():
        return load_client(path)


def _text(text: str, file: Path | None) -> str:
    if file is None:
        return text
    if text:
        raise Unusable("--text and --text-file cannot both be given")
    try:
        return sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise Unusable(f"{shown(file)}: is not text in UTF-8") from None
    except OSError as error:
        raise Unusable(f"{shown(file)}: {reason(error)}") from None


def _with_mailbox(
    config: ClientConfig, work: Callable[[Mailbox], Awaitable[T]], show: Callable[[T], None]
) -> int:
    async def ask(box: Mailbox, tokens: Tokens) -> T:
        return await work(box)

    return _with_interface(config, ask, show)


def _with_interface(
    config: ClientConfig, work: Callable[[Mailbox, Tokens], Awaitable[T]], show: Callable[[T], None]
) -> int:
    """Do the work and show its result; exit status 1 for a refusal, 2 when nothing could be asked."""

    async def ask() -> T:
        async with connected(config) as (box, tokens):
            return await work(box, tokens)

    with told():
        try:
            show(run(ask()))
        except Refused as error:
            complain(str(error))
            return _REFUSED
        except KeyboardInterrupt:
            return 0
    return 0
