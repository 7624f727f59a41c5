"""The tables ``mail`` and ``alerts`` of the configuration file, for notices and mails to the operator."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from samdrift.config.keys import Key
from samdrift.config.kinds import HOST, PATH, PORT, POSITIVE, TEXT, choice, kind
from samdrift.config.values import items, text
from samdrift.net.smtp import MailSecurity

_MAIL_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)+")


def is_mail_address(value: str) -> bool:
    """Return whether a text is an ordinary mail address, without quoting or address literals."""
    return len(value) <= 254 and _MAIL_ADDRESS.fullmatch(value) is not None


def _mail_address(value: Any) -> str:
    named = text(value)
    if not is_mail_address(named):
        raise ValueError("is not a mail address such as samdrift@example.se")
    return named


def _mail_addresses(value: Any) -> tuple[str, ...]:
    if not (found := tuple(_mail_address(each) for each in items(value))):
        raise ValueError("has no address")
    return found


@dataclass(frozen=True, slots=True)
class MailConfig:
    """The mail server for outgoing notices."""

    host: Annotated[
        str,
        Key(
            "Name of the mail server, which its certificate must show.",
            HOST,
            example='"smtp.example.se"',
            since="0.2",
        ),
    ]
    sender: Annotated[
        str,
        Key(
            "Sender of the mails.",
            kind("mail address", _mail_address),
            example='"samdrift@example.se"',
            since="0.2",
        ),
    ]
    port: Annotated[int, Key("Port of the mail server.", PORT, since="0.2")] = 587
    security: Annotated[
        MailSecurity,
        Key(
            "How it is reached: by `starttls`, or by `tls` from the beginning; never without TLS.",
            choice(MailSecurity),
            since="0.2",
        ),
    ] = MailSecurity.STARTTLS
    user: Annotated[
        str,
        Key("User to log in as.", TEXT, otherwise="without logging in", example='"samdrift"', since="0.2"),
    ] = ""
    password_file: Annotated[
        Path | None,
        Key("File with the user's password.", PATH, otherwise="none", example='"smtp-password"', since="0.2"),
    ] = None
    tls_issuers: Annotated[
        Path | None,
        Key(
            "Issuers that may vouch for the mail server, in PEM.",
            PATH,
            otherwise="Mozilla's",
            example='"ca.pem"',
            since="0.2",
        ),
    ] = None


@dataclass(frozen=True, slots=True)
class AlertsConfig:
    """Mails to the operator when something is wrong, which `samdrift watch` sends."""

    mail_to: Annotated[
        tuple[str, ...],
        Key(
            "Addresses of the operator's own that get the mails.",
            kind("list of mail addresses", _mail_addresses),
            example='["drift@example.se"]',
            since="0.2",
        ),
    ]
    name: Annotated[
        str,
        Key(
            "Name of the installation in the subject of the mails.",
            TEXT,
            example='"Samdrift, production"',
            since="0.2",
        ),
    ] = "Samdrift"
    minutes: Annotated[
        int,
        Key(
            "Least time between two mails; changes meanwhile go into the next one.",
            POSITIVE,
            unit="minutes",
            since="0.2",
        ),
    ] = 15
