"""The configuration of a message client on the command line: where, as whom, and from which mailbox."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from samdrift.client.keys import ClientKey, KeyUnusable
from samdrift.client.mailbox import Mailbox
from samdrift.client.outgoing import Correspondent
from samdrift.client.tokens import Tokens
from samdrift.config.toml import ConfigError, read_file, text
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
