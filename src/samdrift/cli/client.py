"""`samdrift client`: send and fetch messages over interface D, from a terminal or a script.

It lets integrators try the interface, and scripts of small organisations can rely on it permanently.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from samdrift.cli import clientview as view
from samdrift.cli.clientconfig import ClientConfig, connected, load_client
from samdrift.cli.output import complain, print_json, print_line, print_table
from samdrift.client.errors import Refused, Unreachable
from samdrift.client.keys import ClientKey
from samdrift.client.mailbox import Document, Filter, Mailbox
from samdrift.client.outgoing import Attachment, Correspondent, OutgoingDocument, OutgoingMessage
from samdrift.client.tokens import Tokens
from samdrift.config.errors import Unusable, shown
from samdrift.config.failures import reported_as_usage_errors
from samdrift.config.inputs import reason
from samdrift.installation.loop import run

T = TypeVar("T")
app = typer.Typer(add_completion=False)

_REFUSED = 1
_PAUSE = 5.0
"""Seconds before an event stream that has ended or failed is resumed."""

ConfigFile = Annotated[Path, typer.Option("--config", help="The message client's configuration file (TOML).")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]
MessageId = Annotated[str, typer.Argument(metavar="ID", help="The message's id.")]


@app.callback()
def client() -> None:
    """Send, list, fetch and delete messages over interface D, as a message client of an organisation."""


@app.command()
def keys(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A new file for the private key.")],
) -> None:
    """Make a key pair: the private key stays in the file, the public one is printed for registration."""
    key = ClientKey.new()
    try:
        key.write(file)
    except FileExistsError:
        raise Unusable(f"{shown(file)}: already exists, and a key is never replaced") from None
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
    text: Annotated[str, typer.Option("--text", help="The text, in Markdown.")] = "",
    text_file: Annotated[
        Path | None, typer.Option("--text-file", help="A file with the text; - is standard input.")
    ] = None,
    attach: Annotated[
        list[Path] | None, typer.Option("--attach", help="A file to attach; may be repeated.")
    ] = None,
    answers: Annotated[
        str, typer.Option("--answers", help="The message to answer; it determines the recipient.")
    ] = "",
    sender: Annotated[
        str, typer.Option("--from", help="The functional address to send from, if not the configured one.")
    ] = "",
    confidential: Annotated[bool, typer.Option(help="Mark the message as confidential.")] = True,
    message_id: Annotated[
        str, typer.Option("--id", help="The message's id; sending the same id again sends nothing twice.")
    ] = "",
    as_json: Json = False,
) -> int:
    """Send a message, and print its id. `samdrift client get ID` shows its progress."""
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
        (OutgoingDocument(label, (body,) if body else (), tuple(map(Attachment.of_file, attach or ()))),),
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
    status: Annotated[str, typer.Option("--status", help="A status, such as NEW or ACCEPTED.")] = "",
    sender: Annotated[str, typer.Option("--from", help="Functional address of the sender.")] = "",
    recipient: Annotated[str, typer.Option("--to", help="Functional address of the recipient.")] = "",
    since: Annotated[
        str, typer.Option("--since", help="Created at this time or later: 2026-11-24T09:00:00Z.")
    ] = "",
    until: Annotated[str, typer.Option("--until", help="Created at this time or earlier.")] = "",
    limit: Annotated[int, typer.Option("--limit", min=1, help="The maximum number of rows.")] = 100,
    as_json: Json = False,
) -> int:
    """List sent and received messages, newest first, without their content."""

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
            print_table(view.HEADERS, map(view.cells, found))

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
    """Show a message with its text, status and history."""

    files = view.StoredFiles(save) if save else None

    async def work(box: Mailbox) -> Document:
        with files or contextlib.nullcontext():
            message = await box.get(message_id, files)
            for file in files.named(message) if files else ():
                complain(f"stored {shown(file)}")
            return message

    def show(message: Document) -> None:
        if as_json:
            print_json(dict(message))
        else:
            for row in view.page(message):
                print_line(row)

    return _with_mailbox(_load(config), work, show)


@app.command()
def delete(message_id: MessageId, config: ConfigFile) -> int:
    """Delete a message at the message service, once its exchange has ended."""
    return _with_mailbox(_load(config), lambda box: box.delete(message_id), lambda _: None)


@app.command()
def watch(config: ConfigFile) -> int:
    """Print new messages and changes of status, a line of JSON each. Ends with Ctrl-C."""

    return _with_mailbox(_load(config), follow, lambda _: None)


async def follow(box: Mailbox) -> None:
    """Print events until cancelled; a stream that ends is resumed after its last event."""
    last_id = ""
    while True:
        try:
            async for event in box.events(last_id):
                last_id = event.id or last_id
                print_line(json.dumps({"event": event.kind, **view.event(event.data)}))
        except Unreachable as failure:
            complain(str(failure))
        await asyncio.sleep(_PAUSE)


def _load(path: Path) -> ClientConfig:
    with reported_as_usage_errors():
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
    """Do the work and show its result; exit status 1 for a refusal, 2 if no request was possible."""

    async def ask() -> T:
        async with connected(config) as (box, tokens):
            return await work(box, tokens)

    with reported_as_usage_errors():
        try:
            show(run(ask()))
        except Refused as error:
            complain(str(error))
            return _REFUSED
        except KeyboardInterrupt:
            return 0
    return 0
