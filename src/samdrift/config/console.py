"""The table `console` of the configuration file: the operator's own pages, and who may see them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from samdrift.config.keys import Change, Key, Shape, Tables
from samdrift.config.kinds import ADDRESS, HOST, NETWORKS, TEXT
from samdrift.config.reading import Breaches
from samdrift.config.roles import PagesPlain, PagesPort
from samdrift.config.signin import SignInConfig
from samdrift.config.toml import Table
from samdrift.config.values import SocketAddress


@dataclass(frozen=True, slots=True)
class StaffConfig:
    """A person of the operator's who may sign in to the console."""

    subject: Annotated[
        str, Key("What the sign-in service calls the person (`sub`).", TEXT, example='"5f1c9a"', since="0.2")
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
class ConsoleConfig:
    """The operator's console, which `samdrift console` serves."""

    listen: Annotated[
        SocketAddress,
        Key(
            "Where the operator's staff reach the console.", ADDRESS, example='"192.0.2.20:443"', since="0.2"
        ),
    ]
    host: Annotated[
        str,
        Key(
            "Name of its host, which is no organisation's.",
            HOST,
            example='"console.example.se"',
            since="0.2",
        ),
    ]
    name: Annotated[
        str,
        Key("Name at the top of each page.", TEXT, example='"Driftbolaget, driftkonsol"', since="0.2"),
    ]
    sign_in: Annotated[
        SignInConfig,
        Key(
            "The operator's own sign-in service; its `levels` are those with several factors, and"
            " `secret_file` is needed.",
            Tables(SignInConfig),
            since="0.2",
        ),
    ]
    staff: Annotated[
        tuple[StaffConfig, ...],
        Key(
            "The persons who may sign in, and nobody else.",
            Tables(StaffConfig, Shape.LIST),
            since="0.2",
            change=Change.RESTART,
        ),
    ]
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
        """The origin of the pages, as the staff have it."""
        scheme, usual = ("http", 80) if self.plain else ("https", 443)
        port = self.port or self.listen.port
        return f"{scheme}://{self.host}{'' if port == usual else f':{port}'}"


def check_console(own: ConsoleConfig, _: Table) -> Breaches:
    """Require persons who can sign in, each once, and a secret: the console has no vault for a key."""
    if own.sign_in.secret_file is None:
        yield "sign_in.secret_file", "is missing; the console has no vault with a key of its own"
    if not own.staff:
        yield "staff", "names nobody"
    for what in ("subject", "name"):
        named = [getattr(one, what) for one in own.staff]
        if len(set(named)) != len(named):
            yield "staff", f"has two persons with the same {what}"
