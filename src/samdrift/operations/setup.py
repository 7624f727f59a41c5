"""The files of a new installation: configuration, systemd units and database script.

Each configuration key is preceded by the text that the reader declares for it
(:mod:`samdrift.config.reference`), so the file explains itself in the words of the reference.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from samdrift.config.errors import Unusable, printable
from samdrift.config.isolation import Isolation
from samdrift.config.model import Environment
from samdrift.config.reference import sections
from samdrift.contracts.principals import Role
from samdrift.vault.database.migrations import hardening_for

FEDERATIONS = {
    Environment.PRODUCTION: "urn:fdc:digg.se:edelivery:federation:sdk",
    Environment.TEST: "urn:fdc:digg.se:edelivery:federation:test",
}
CONFIGURATION, UNIT, DATABASE = "samdrift.toml", "samdrift.service", "database.sql"
CONSOLE_UNIT, WATCH_UNIT = "samdrift-console.service", "samdrift-watch.service"
EMBEDDED = "embedded"
"""The answer that selects the database included with Samdrift."""
FIRST_USER = 210_000
"""First of the Unix user numbers at level ``process``; no distribution assigns it by itself."""
_HOST = re.compile(r"(?=.{1,253}\Z)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}")
_PARTY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_USER = re.compile(r"[a-z_][a-z0-9_-]{0,31}")
_FORMS = {
    "party": (_PARTY, "letters, digits, dots, hyphens and underscores, such as AP0001-SDK-TEST"),
    "host": (_HOST, "a name with its domain, such as ap.example.se"),
    "sml_zone": (_HOST, "a zone in DNS, such as sml.example.se"),
    "user": (_USER, "lower-case letters, digits, hyphens and underscores, such as samdrift"),
}
"""Pattern of each answer that is a name, with a description for error messages."""
_CLUSTER = re.compile(r"postgresql://[a-z_][a-z0-9_]{0,62}@[^\s/\"\\]+/[a-z_][a-z0-9_]{0,62}(\?[^\s\"\\]*)?")


@dataclass(frozen=True, slots=True)
class Answers:
    """The answers that describe a new installation."""

    environment: Environment
    party: str
    """Name of the access point in the federation, as in its certificate."""
    host: str
    """Host at which peers and message clients reach the installation."""
    sml_zone: str
    address_book: str = ""
    database: str = EMBEDDED
    """``embedded``, or the URL of the operator's own cluster."""
    scanner: str = "/run/clamav/clamd.ctl"
    """Path of clamd's socket; ``none`` to scan nothing."""
    user: str = "samdrift"
    """Operating-system user of the service."""
    roles: tuple[Role, ...] = (Role.ACCESS_POINT, Role.MESSAGE_SERVICE)
    program: str = "/opt/samdrift/samdrift"
    isolation: Isolation = Isolation.SHARED

    @classmethod
    def read(cls, given: Mapping[str, str]) -> Answers:
        """Read answers by name; raise :class:`Unusable` for the first one that cannot be used."""
        unknown = sorted(given.keys() - {*QUESTIONS, *_OTHERS})
        if unknown:
            raise Unusable(
                f"{unknown[0]}: is not a known answer; use one of {', '.join([*QUESTIONS, *_OTHERS])}"
            )
        for name in QUESTIONS:
            if not given.get(name):
                raise Unusable(f"{name}: is missing: {QUESTIONS[name]}")
        try:
            environment = Environment(given["environment"])
            roles = tuple(Role(each.strip()) for each in given.get("roles", "ap,mt").split(","))
            isolation = Isolation(given.get("isolation") or Isolation.SHARED)
        except ValueError as error:
            raise Unusable(f"{error}") from None
        answers = cls(
            environment,
            given["party"],
            given["host"].lower(),
            given["sml_zone"].rstrip("."),
            **{name: given[name] for name in _TEXTS if given.get(name)},
            roles=roles,
            isolation=isolation,
        )
        answers._require()
        return answers

    def _require(self) -> None:
        if self.environment not in FEDERATIONS:
            raise Unusable("environment: must be production or test; samdrift demo makes a demonstration")
        for name, (form, must) in _FORMS.items():
            if not form.fullmatch(getattr(self, name)):
                raise Unusable(f"{name}: {printable(getattr(self, name))} cannot be used: {must}")
        if self.address_book and not self.address_book.startswith("https://"):
            raise Unusable("address_book: must begin with https://")
        if self.database != EMBEDDED and not _CLUSTER.fullmatch(self.database):
            raise Unusable(
                f"database: must be {EMBEDDED}, or like postgresql://samdrift_admin@db.example.se/samdrift"
            )
        if self.scanner == "none" and self.environment is Environment.PRODUCTION:
            raise Unusable("scanner: production scans messages; give the socket of clamd")
        unit = (self.program, self.scanner)
        if any(not each.isprintable() or any(sign in each for sign in " \"'\\%") for each in unit):
            raise Unusable("program and scanner must be paths without spaces, quotes and percent signs")
        if not set(self.roles) <= {Role.ACCESS_POINT, Role.MESSAGE_SERVICE}:
            raise Unusable("roles: ap and mt are set up here; add the tables of other roles by hand")
        if self.each_its_process and self.embedded:
            raise Unusable(
                "isolation: level process needs a PostgreSQL of your own; give its address as database"
            )

    @property
    def embedded(self) -> bool:
        return self.database == EMBEDDED

    @property
    def each_its_process(self) -> bool:
        return self.isolation is Isolation.PROCESS

    @property
    def serves_as(self) -> str:
        """Return the user that runs the service and owns the folder; root at level ``process``."""
        return "root" if self.each_its_process else self.user


QUESTIONS = {
    "environment": "production, or test",
    "party": "the access point's name in the federation, such as AP0001-SDK-TEST: DIGG assigns it",
    "host": "the host at which peers and message clients reach it, such as ap.example.se",
    "sml_zone": "the DNS zone of the federation's SML, which DIGG names",
}
"""Answers that are required, each with its question."""
_TEXTS = ("address_book", "database", "scanner", "user", "program")
_OTHERS = (*_TEXTS, "roles", "isolation")


def configuration(answers: Answers) -> str:
    """Return the configuration file, with a comment before each key."""
    return "\n".join(_tables(answers)) + "\n"


def _tables(answers: Answers) -> Iterator[str]:
    yield "# One installation of Samdrift. All keys: docs/configuration.md."
    yield "# `samdrift config check` finds faults; organisations are added below by `samdrift org add`."
    yield from _table("", {"environment": answers.environment.value, "inner_issuers": "inner.pem"})
    yield from _table(
        "[federation]",
        {
            "identifier": FEDERATIONS[answers.environment],
            "sml_zone": answers.sml_zone,
            "trust": "trust",
        },
    )
    yield from _table(
        "[vaults]",
        {
            "database": "database" if answers.embedded else answers.database,
            "objects": "objects",
            "secrets": "secrets",
            "seals": "seals",
            "passphrase_file": "passphrase",
        },
    )
    if Role.ACCESS_POINT in answers.roles:
        yield from _table(
            "[access_point]",
            {
                "party": answers.party,
                "message_id_domain": answers.host,
                "listen": "0.0.0.0:8443",
                "listen_c": "127.0.0.1:8444",
                "address": f"https://{answers.host}/as4",
            },
        )
    if Role.MESSAGE_SERVICE in answers.roles:
        yield from _table(
            "[message_service]",
            {"listen_d": "0.0.0.0:8445", "address_d": f"https://{answers.host}:8445"},
        )
        scanner = {"scanner": "none"}
        if answers.scanner != "none":
            scanner = {"scanner": "clamd", "socket": answers.scanner}
        yield from _table("[malware]", scanner)
    if answers.address_book:
        yield from _table("[address_book]", {"url": answers.address_book, "file": "address-book.json"})
    yield from _table("[metrics]", {"listen": "127.0.0.1:9100"})
    if answers.each_its_process:
        yield from _table("[isolation]", {"level": answers.isolation.value, "first_user": FIRST_USER})


def _table(header: str, values: Mapping[str, str | int]) -> Iterator[str]:
    section = next(one for one in sections() if one.header == header)
    yield ""
    if header:
        yield f"# {section.text}"
        yield header
    for name, value in values.items():
        key, _ = section.keys[name]
        yield f"# {key.text}"
        yield f"{name} = {json.dumps(value, ensure_ascii=False)}"


def unit(answers: Answers, folder: Path) -> str:
    """Return the systemd unit, without any privileges that its isolation level does not need.

    docs/deployment.md explains what each level keeps and why, with the figures of systemd-analyze.
    """
    file = folder / CONFIGURATION
    lines = [
        "# The service of one installation of Samdrift.",
        "[Unit]",
        "Description=Samdrift, SDK for many organisations",
        "After=network-online.target clamav-daemon.service postgresql.service",
        "Wants=network-online.target",
        "",
        "[Service]",
        f"ExecStart={answers.program} serve all --config {file}",
        "ExecReload=/bin/kill -USR1 $MAINPID",
        *_runs_as(answers),
        "TimeoutStopSec=90",
        f"ReadWritePaths={folder}",
        *_HARDENING,
        *(_SUPERVISOR if answers.each_its_process else _ALONE),
        *_INSTALL,
    ]
    return "\n".join(lines) + "\n"


def console_unit(answers: Answers, folder: Path) -> str:
    """Return the systemd unit of the operator's console, which may not change the installation's folder.

    With the embedded database it may write in that folder's database, where each process holds a lock.
    """
    own = [f"ReadWritePaths={folder / 'database'}"] if answers.embedded else []
    return _unit_beside(
        answers,
        folder,
        "console",
        "# The operator's console of an installation of Samdrift: docs/console.md.",
        "Description=Samdrift, the operator's console",
        [
            "# It looks at the key store and changes nothing there, and has no use for bodies of messages.",
            f"ReadOnlyPaths={folder}",
            *own,
            f"InaccessiblePaths=-{folder / 'objects'}",
        ],
    )


def watch_unit(answers: Answers, folder: Path) -> str:
    """Return the systemd unit of the watch that mails the operator; it can open neither keys nor vaults."""
    return _unit_beside(
        answers,
        folder,
        "watch",
        "# Mails to the operator of an installation of Samdrift: docs/monitoring.md.",
        "Description=Samdrift, mails to the operator",
        [
            "# It reads the configuration, and looks at room on disks. Without the passphrase no key opens.",
            f"ReadOnlyPaths={folder}",
            f"InaccessiblePaths=-{folder / 'passphrase'}",
        ],
    )


def _unit_beside(
    answers: Answers, folder: Path, command: str, comment: str, description: str, paths: Sequence[str]
) -> str:
    """Return the unit of a separate process of the installation, without any capabilities.

    It runs as the user that owns the files it reads, which is root at level ``process``.
    """
    lines = [
        comment,
        "[Unit]",
        description,
        "After=network-online.target",
        "Wants=network-online.target",
        "",
        "[Service]",
        f"ExecStart={answers.program} {command} --config {folder / CONFIGURATION}",
        *_runs_as(answers),
        *paths,
        *_HARDENING,
        *(_AS_ROOT if answers.each_its_process else _ALONE),
        *_INSTALL,
    ]
    return "\n".join(lines) + "\n"


def _runs_as(answers: Answers) -> tuple[str, ...]:
    return (
        f"User={answers.serves_as}",
        f"Group={answers.serves_as}",
        "Restart=on-failure",
        "RestartSec=5",
        "LimitNOFILE=65536",
    )


_INSTALL = ("", "[Install]", "WantedBy=multi-user.target")

_HARDENING = (
    "UMask=0077",
    "NoNewPrivileges=yes",
    "AmbientCapabilities=",
    "ProtectSystem=strict",
    "ProtectHome=yes",
    "PrivateTmp=yes",
    "PrivateDevices=yes",
    "PrivateMounts=yes",
    "ProtectClock=yes",
    "ProtectControlGroups=yes",
    "ProtectHostname=yes",
    "ProtectKernelLogs=yes",
    "ProtectKernelModules=yes",
    "ProtectKernelTunables=yes",
    "RemoveIPC=yes",
    "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX",
    "RestrictNamespaces=yes",
    "RestrictRealtime=yes",
    "RestrictSUIDSGID=yes",
    "LockPersonality=yes",
    "DevicePolicy=closed",
    "KeyringMode=private",
    "SystemCallArchitectures=native",
    "SystemCallErrorNumber=EPERM",
    "SystemCallFilter=@system-service",
)
_ALONE = (
    "CapabilityBoundingSet=",
    "PrivateUsers=yes",
    "ProtectProc=invisible",
    "SystemCallFilter=~@privileged @resources",
)
_SUPERVISOR = (
    "# The supervisor starts and ends each process as a user of its own, and hands it its folders.",
    "CapabilityBoundingSet=CAP_CHOWN CAP_KILL CAP_SETGID CAP_SETUID",
    "SystemCallFilter=~@resources",
)


_AS_ROOT = (
    "# What it reads is root's own: root without capabilities reads its own files, and no one else's.",
    "CapabilityBoundingSet=",
    "ProtectProc=invisible",
    "SystemCallFilter=~@privileged @resources",
)


def database_script(answers: Answers) -> str:
    """Return the psql script that a superuser runs in the operator's own cluster (docs/database.md)."""
    url = urlsplit(answers.database)
    administrator, name = url.username, url.path.strip("/")
    return (
        "-- Run as a superuser: psql --set ON_ERROR_STOP=1 --file database.sql postgres\n"
        "-- It asks for the password, which is then handed in as the file secrets/administrator.\n"
        f"\\prompt 'Password of {administrator}: ' password\n"
        f"CREATE ROLE {administrator} LOGIN CREATEROLE CREATEDB PASSWORD :'password';\n"
    ) + "".join(
        f"CREATE DATABASE {each} OWNER {administrator} ENCODING 'UTF8' TEMPLATE template0;\n"
        f"\\connect {each}\n" + hardening_for(str(administrator))
        for each in (name, f"{name}_template")
    )


def remaining(answers: Answers, folder: Path, requests: Sequence[Path]) -> list[str]:
    """Return the remaining steps of a set-up in order, each with what to type or send."""
    file, sudo = folder / CONFIGURATION, f"sudo -u {answers.serves_as} {answers.program}"
    steps = []
    if not answers.embedded:
        steps += [
            f"Make the database: psql --set ON_ERROR_STOP=1 --file {folder / DATABASE} postgres",
            f"Hand in its administrator's password as {folder / 'secrets' / 'administrator'}, mode 0600",
        ]
    for request in requests:
        name = request.stem
        whom = "DIGG, as the access point's" if name == "access-point" else "an issuer that clients trust"
        steps.append(
            f"Send {request} to {whom}; then {sudo} keys install {name} FILE --config {file};"
            f" or use an existing certificate and key: keys import {name}"
        )
    steps += [
        f"Put DIGG's certificates into {folder / 'trust'}, by purpose: access-point, smp, organisation",
        f"Put the issuers of certificates on interface C, the server's and those of its clients, into"
        f" {folder / 'inner.pem'}",
        f"Forward port 443 of {answers.host} to port 8443 of this machine, by the firewall or a proxy",
    ]
    if answers.scanner != "none":
        steps.append(f"Install clamd, with the settings of docs/malware.md, at {answers.scanner}")
    return [
        *steps,
        f"Add an organisation, and its entry to the file: {sudo} org add 0203:example.se --config {file}",
        f"Start it: cp {folder / UNIT} /etc/systemd/system/ && systemctl enable --now samdrift",
        f"Look at all of it: {sudo} doctor --config {file}",
    ]
