"""The table ``address_book`` of the configuration file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from samdrift.config.toml import Table, positive, text


@dataclass(frozen=True, slots=True)
class AddressBookConfig:
    """Where the federation's address book is, and the copy of it."""

    url: str
    file: Path
    refresh_seconds: int = 3600
    retry_seconds: int = 60


def read_address_book(table: Table) -> AddressBookConfig:
    """The table ``address_book``."""
    config = AddressBookConfig(
        url=table.take("url", text),
        file=table.path("file"),
        refresh_seconds=table.take("refresh_seconds", positive, 3600),
        retry_seconds=table.take("retry_seconds", positive, 60),
    )
    table.finish()
    return config
