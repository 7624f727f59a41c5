"""Configuration of a command-line message client: its service, its credentials and its mailbox."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from samdrift.client.keys import ClientKey, KeyUnusable
from samdrift.client.mailbox import Mailbox
from samdrift.client.outgoing import Correspondent
from samdrift.client.tokens import Tokens
from samdrift.config.keys import Compound, Key, Kind, Tables
from samdrift.config.kinds import PATH, TEXT, kind
from samdrift.config.reading import read_table
from samdrift.config.toml import read_file
from samdrift.config.values import text
from samdrift.net.client import HttpClient, http_client
from samdrift.net.clock import system_clock
from samdrift.net.tls import client_tls


def _key(value: Any, folder: Path) -> ClientKey:
    try:
        return ClientKey.read((folder / text(value)).read_bytes())
    except OSError as error:
        raise ValueError(f"cannot be read ({type(error).__name__})") from None
    except KeyUnusable as error:
        raise ValueError(str(error)) from None


def _address(value: Any) -> str:
    if not text(value).startswith("https://"):
        raise ValueError("is not an address that begins with https://")
    return text(value)


_ADDRESS = kind("https:// address", _address)


@dataclass(frozen=True, slots=True)
class ClientConfig:
    """One message client at one message service."""

    interface: Annotated[str, Key("Base address of interface D with its version.", _ADDRESS)]
    token_endpoint: Annotated[str, Key("Where it gets access tokens.", _ADDRESS)]
    client: Annotated[str, Key("Its `client_id`.", TEXT)]
    key: Annotated[ClientKey, Key("File with its private key.", Kind("path", _key))]
    sender: Annotated[
        Correspondent,
        Compound(
            Correspondent,
            (
                Key("The organisation that sends.", TEXT, name="organisation"),
                Key("The mailbox that is sent from unless another is named.", TEXT, name="address"),
                Key("Name of the mailbox.", TEXT, name="label", default=""),
            ),
        ),
    ]
    issuers: Annotated[
        Path | None,
        Key("Bundle (PEM) of issuers of the servers' certificates.", PATH, otherwise="Mozilla's"),
    ] = None
    audience: Annotated[
        str | None,
        Key("The authorisation server's name in assertions.", TEXT, otherwise="its token endpoint"),
    ] = None


def load_client(path: Path) -> ClientConfig:
    """Read and check the file, or raise :class:`~samdrift.config.toml.ConfigError` with all faults."""
    table = read_file(path)
    config: ClientConfig = read_table(Tables(ClientConfig), table, {})
    table.found.require_no_faults()
    return config


@asynccontextmanager
async def connected(config: ClientConfig) -> AsyncIterator[tuple[Mailbox, Tokens]]:
    """Open the client's mailbox, with its access tokens, while the context lasts."""
    async with http_client(client_tls(trust=config.issuers), public_only=False) as http:
        tokens = tokens_for(config, http)
        yield Mailbox(http, config.interface, tokens), tokens


def tokens_for(config: ClientConfig, http: HttpClient, scope: str = "") -> Tokens:
    """Return the client's access tokens, for ``scope`` or for every scope that it may have."""
    return Tokens(
        http,
        config.token_endpoint,
        config.client,
        config.key,
        system_clock,
        scope=scope,
        audience=config.audience,
    )
