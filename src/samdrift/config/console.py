"""The table `console` of the configuration file: the operator's own pages, and who may see them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from cryptography import x509

from samdrift.config.keys import Change, Key, Shape, Tables
from samdrift.config.kinds import ADDRESS, HOST, NETWORKS, PATH, POSITIVE, TEXT, kind
from samdrift.config.reading import Breaches
from samdrift.config.roles import PagesPlain, PagesPort
from samdrift.config.signin import SignInConfig
from samdrift.config.toml import Table
from samdrift.config.values import SocketAddress, texts

_DIGEST = re.compile(r"[0-9a-f]{64}")
_A_DIGEST = '["' + "ab" * 32 + '"]'


def digest(text: str) -> str | None:
    """Return a SHA-256 in lower-case hexadecimal from any common notation; ``None`` for other text."""
    plain = text.replace(":", "").lower()
    return plain if _DIGEST.fullmatch(plain) else None


def digests(value: Any) -> tuple[str, ...]:
    """Return a list of SHA-256 values; raise :class:`ValueError` if an item is anything else."""
    found = [digest(each) for each in texts(value)]
    if None in found:
        raise ValueError("has something that is not a SHA-256 in hexadecimal")
    return tuple(each for each in found if each is not None)


def certificate_subject(text: str) -> str | None:
    """Return a certificate's SHA-256 or subject in normal form; ``None`` for text that is neither."""
    if (found := digest(text)) is not None:
        return found
    try:
        name = x509.Name.from_rfc4514_string(text)
    except ValueError:
        return None
    return name.rfc4514_string() or None


@dataclass(frozen=True, slots=True)
class StaffConfig:
    """A member of the operator's staff who may sign in to the console."""

    subject: Annotated[
        str,
        Key(
            "What the sign-in service calls the person (`sub`); with `certificates` the SHA-256 of theirs, or"
            " its subject as RFC 4514 has it, such as `CN=Jill Lind,O=Driftbolaget`.",
            TEXT,
            example='"5f1c9a"',
            since="0.2",
        ),
    ]
    name: Annotated[
        str,
        Key(
            "Their name as logs have it: what they do is recorded under it, as by `--by`.",
            TEXT,
            example='"jl"',
            since="0.2",
        ),
    ]


@dataclass(frozen=True, slots=True)
class ConsoleCertificatesConfig:
    """Sign-in to the console by client certificates, in place of a sign-in service."""

    issuers: Annotated[
        Path,
        Key(
            "The issuers of the staff's certificates (PEM), each of which issues them itself.",
            PATH,
            example='"staff-issuers.pem"',
            since="0.2",
            change=Change.FOLLOWED,
        ),
    ]
    revocation_lists: Annotated[
        Path | None,
        Key(
            "Their revocation lists (PEM, or one in DER). With it, a certificate whose issuer has no list in"
            " force there signs nobody in.",
            PATH,
            otherwise="only `revoked` and `staff` determine who may no longer sign in",
            example='"staff.crl"',
            since="0.2",
            change=Change.FOLLOWED,
        ),
    ] = None
    revoked: Annotated[
        tuple[str, ...],
        Key(
            "SHA-256 of certificates that are no longer valid.",
            kind("list of SHA-256 in hexadecimal", digests),
            otherwise="none",
            example=_A_DIGEST,
            since="0.2",
        ),
    ] = ()
    idle_seconds: Annotated[
        int, Key("Time after which an unused session ends.", POSITIVE, unit="seconds", since="0.2")
    ] = 1800
    whole_seconds: Annotated[
        int, Key("Time after which any session ends.", POSITIVE, unit="seconds", since="0.2")
    ] = 36000


@dataclass(frozen=True, slots=True)
class ConsoleConfig:
    """The operator's console, which `samdrift console` serves."""

    listen: Annotated[
        SocketAddress,
        Key(
            "Address at which the operator's staff reach the console.",
            ADDRESS,
            example='"192.0.2.20:443"',
            since="0.2",
        ),
    ]
    host: Annotated[
        str,
        Key(
            "Name of its host, which no organisation uses.",
            HOST,
            example='"console.example.se"',
            since="0.2",
        ),
    ]
    name: Annotated[
        str,
        Key("Name at the top of each page.", TEXT, example='"Driftbolaget, driftkonsol"', since="0.2"),
    ]
    staff: Annotated[
        tuple[StaffConfig, ...],
        Key(
            "The persons who may sign in.",
            Tables(StaffConfig, Shape.LIST),
            since="0.2",
            change=Change.RESTART,
        ),
    ]
    sign_in: Annotated[
        SignInConfig | None,
        Key(
            "The operator's own sign-in service; its `levels` are those with several factors, and"
            " `secret_file` is needed.",
            Tables(SignInConfig),
            otherwise="persons sign in by `certificates`",
            since="0.2",
        ),
    ] = None
    certificates: Annotated[
        ConsoleCertificatesConfig | None,
        Key(
            "Sign-in by client certificates ([console](console.md#sign-in-by-certificate)).",
            Tables(ConsoleCertificatesConfig),
            otherwise="persons sign in at `sign_in`",
            since="0.2",
        ),
    ] = None
    port: PagesPort = None
    networks: Annotated[
        tuple[str, ...],
        Key(
            "Private networks in which the sign-in service may be called.",
            NETWORKS,
            otherwise="public addresses alone",
            example='["10.1.2.0/24"]',
            since="0.2",
        ),
    ] = ()
    plain: PagesPlain = False

    @property
    def origin(self) -> str:
        """Return the origin of the console's pages as the staff's browsers use it."""
        scheme, usual = ("http", 80) if self.plain else ("https", 443)
        port = self.port or self.listen.port
        return f"{scheme}://{self.host}{'' if port == usual else f':{port}'}"


def check_console(own: ConsoleConfig, _: Table) -> Breaches:
    """Require one way to sign in with its secret, and people with distinct subjects and names.

    The console has no vault, so it cannot use a key in place of a secret.
    """
    if (own.sign_in is None) == (own.certificates is None):
        yield "sign_in", "or certificates: one of them is needed"
    if own.sign_in is not None and own.sign_in.secret_file is None:
        yield "sign_in.secret_file", "is missing; the console has no vault with its own key"
    if own.certificates is not None:
        if own.plain:
            yield "plain", "shows no certificates: with certificates the console itself ends TLS"
        for number, one in enumerate(own.staff):
            if certificate_subject(one.subject) is None:
                text = "is neither a SHA-256 in hexadecimal nor a subject such as CN=Jill Lind,O=Driftbolaget"
                yield f"staff[{number}].subject", text
    if not own.staff:
        yield "staff", "is empty"
    by_certificate = own.certificates is not None
    for what in ("subject", "name"):
        named = [getattr(one, what) for one in own.staff]
        if what == "subject" and by_certificate:
            named = [certificate_subject(one) or one for one in named]
        if len(set(named)) != len(named):
            yield "staff", f"has two persons with the same {what}"
