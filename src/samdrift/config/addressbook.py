"""The table ``address_book`` of the configuration file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from samdrift.config.keys import Key
from samdrift.config.kinds import PATH, POSITIVE, TEXT


@dataclass(frozen=True, slots=True)
class AddressBookConfig:
    """Addresses of the federation's address book and of its copy."""

    url: Annotated[
        str,
        Key(
            "Address of the federation's address book; in production it begins with `https://`.",
            TEXT,
            example='"https://addressbook.example.se"',
        ),
    ]
    file: Annotated[
        Path,
        Key("File of the copy, which serves while the address book is down.", PATH, example='"book.json"'),
    ]
    refresh_seconds: Annotated[
        int, Key("Time between two refreshes of the copy.", POSITIVE, unit="seconds")
    ] = 3600
    retry_seconds: Annotated[
        int, Key("Time until a refresh that failed is tried again.", POSITIVE, unit="seconds")
    ] = 60
