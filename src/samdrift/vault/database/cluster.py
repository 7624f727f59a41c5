"""Requirements on the operator's own PostgreSQL before vaults are created in it, and how to reach it.

Samdrift does not set up such a cluster, so it checks it; requirements that it cannot check are in
docs/database.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import ip_address
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from samdrift.vault.errors import DatabaseMissing, DatabaseUnfit, LoginRefused, VaultUnavailable

OLDEST = 17
"""The oldest version of PostgreSQL with all the features that are needed."""
SCRAM = {"require_auth": "scram-sha-256"}
"""Parameters that allow only SCRAM: the server must require the password, and prove that it knows it."""

_CAUSES = {
    "connection refused": "connection refused",
    "no such file or directory": "no socket",
    "timeout expired": "no answer in time",
    "timed out": "no answer in time",
    "could not translate host name": "the host's name is not known",
    "failed to resolve host": "the host's name is not known",
    "name or service not known": "the host's name is not known",
    "no route to host": "no route to the host",
    "network is unreachable": "the network cannot be reached",
    "starting up": "the database is starting",
    "shutting down": "the database is shutting down",
    "too many clients": "the database has no free connections",
    "too many connections": "the database has no free connections",
    "remaining connection slots": "the database has no free connections",
    "does not exist": "the database does not exist",
    "certificate": "the database's certificate is not trusted",
    "does not support ssl": "the database does not offer TLS",
}
"""Signs in an error of libpq, with the words that replace them."""
_NAMES = re.compile(r'"[^"]*"')
"""Names of hosts, logins and databases in an error, which may contain one of the signs."""
_OTHER_ATTEMPTS = "Multiple connection attempts failed"
"""Beginning of the errors of all hosts, which psycopg appends to that of the last one."""
_STANDBY = "hot standby mode"
_NO_DATABASE = re.compile(r'database ".*" does not exist')
_NO_SCRAM = "authentication method requirement"
_NO_PASSWORD_ASKED = ("trust", "ident", "password")
_EVERYBODY = "all"
_EVERYWHERE = (None, "all")
_ORGANISATIONS = "d" + "0" * 32
"""An example of the name of an organisation's database."""
_RULES = """
SELECT line_number, type, database, user_name, address, auth_method FROM pg_hba_file_rules
WHERE error IS NULL ORDER BY rule_number
"""


def check_address(address: str) -> None:
    """Raise :class:`DatabaseUnfit` for a URL that is incomplete or would send secrets in the clear."""
    try:
        said = {key: str(value) for key, value in conninfo_to_dict(address).items() if value}
    except psycopg.ProgrammingError:
        raise DatabaseUnfit("the URL of the database cannot be read") from None
    if "password" in said:
        raise DatabaseUnfit("the URL of the database contains a password: put it in a file instead")
    for part in ("dbname", "user"):
        if part not in said:
            raise DatabaseUnfit(f"the URL of the database names no {part}")
    hosts = (said.get("host") or said.get("hostaddr") or "localhost").split(",")
    if not all(map(_of_this_machine, hosts)) and said.get("sslmode") != "verify-full":
        raise DatabaseUnfit(
            "the URL of the database names a remote host: add sslmode=verify-full and sslrootcert"
        )


def _of_this_machine(host: str) -> bool:
    """Return whether a host is on this machine: a folder of sockets, or a loopback address."""
    if host.startswith(("/", "@")) or host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def refused_login(error: psycopg.Error) -> VaultUnavailable | DatabaseUnfit:
    """Return the error for a failed login; a server with wrong authentication is unfit, not unavailable."""
    if _NO_SCRAM in str(error):
        return DatabaseUnfit(
            "the database does not ask for passwords by SCRAM: see pg_hba.conf and password_encryption"
        )
    if _STANDBY in str(error):  # The server reports this after it has accepted the password.
        return VaultUnavailable("only a standby responds: no host of the URL accepts writes")
    if _NO_DATABASE.search(str(error)):  # Likewise.
        return DatabaseMissing()
    asked = error.pgconn is not None and error.pgconn.used_password
    last, _, _ = str(error).partition(_OTHER_ATTEMPTS)
    # A server also asks for the password before it reports that it has no free connection.
    return LoginRefused() if asked and not _known_cause(last) else VaultUnavailable(cause_of(error))


def _known_cause(said: str) -> str | None:
    """Return the cause in our own words that an error of libpq shows a sign of, if any."""
    signs = _NAMES.sub("", said).lower()
    return next((words for sign, words in _CAUSES.items() if sign in signs), None)


def cause_of(error: psycopg.Error) -> str:
    """Return in our own words why the server was not reached, and where.

    The server's own text is not passed on, since it may repeat names and values.
    """
    why = _known_cause(str(error)) or "no connection to the database"
    if error.pgconn is None:
        return why
    try:
        host, port = error.pgconn.host.decode(), error.pgconn.port.decode()
    except psycopg.Error:
        return why
    return f"{why} at {host}:{port}" if host else why


async def check_server(connection: psycopg.AsyncConnection[Any], database: str) -> None:
    """Raise :class:`DatabaseUnfit` when the server is too old or lets anyone in without a password."""
    if connection.info.server_version < OLDEST * 10_000:
        raise DatabaseUnfit(f"the database is older than PostgreSQL {OLDEST}")
    try:
        rules = await (await connection.execute(_RULES)).fetchall()
    except psycopg.errors.InsufficientPrivilege:
        return
    if lines := {*open_doors(rules, database), *open_doors(rules, _ORGANISATIONS)}:
        where = ", ".join(map(str, sorted(lines)))
        raise DatabaseUnfit(f"pg_hba.conf lets logins in without SCRAM, in line {where}")


def open_doors(rules: Iterable[tuple[Any, ...]], database: str) -> list[int]:
    """Return the lines of pg_hba.conf that let the vaults' logins in without a secure password check.

    The first rule that fits a connection decides. So rules after one that fits every connection of that type
    do not count. ``password`` sends the password in the clear. ``peer`` is accepted: it admits an operating
    system user under its own name, and no such user has a login's name.
    """
    closed: set[str] = set()
    found = []
    for line, kind, databases, users, address, method in rules:
        if not any(_fits(each, database) for each in databases) or _EVERYBODY not in users:
            continue
        if kind not in closed and method in _NO_PASSWORD_ASKED:
            found.append(line)
        if address in _EVERYWHERE:
            closed.add(kind)
    return found


def _fits(entry: str, database: str) -> bool:
    """Return whether an entry of pg_hba.conf applies to a database; an unreadable one is assumed to."""
    if not entry.startswith("/"):
        return entry in (_EVERYBODY, database)
    try:
        return re.search(entry[1:], database) is not None
    except re.error:
        return True
