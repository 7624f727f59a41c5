"""An operator's own PostgreSQL for tests: a plain server on a port, which Samdrift has not set up."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psycopg

from samdrift.federation.ports import free_port
from samdrift.keystore.durablefiles import private_folder
from samdrift.vault.database.postgres import EmbeddedPostgres
from samdrift.vault.settings import VaultSettings
from tests.vaults import settings_in

ADMINISTRATOR = "samdrift_admin"


@dataclass(frozen=True)
class Cluster:
    """A running server, with a database whose owner may create roles but is not a superuser."""

    folder: Path
    server: EmbeddedPostgres
    port: int
    password: str

    @property
    def url(self) -> str:
        return f"postgresql://{ADMINISTRATOR}@127.0.0.1:{self.port}/samdrift"

    def superuser(self, statement: str, database: str = "samdrift") -> None:
        """Execute a statement as the database administrator."""
        address = f"host=127.0.0.1 port={self.port} user=postgres dbname={database}"
        with psycopg.connect(address, password=self.password, autocommit=True) as connection:
            connection.execute(statement.encode())

    def ask(self, question: str, database: str = "samdrift") -> list[tuple[Any, ...]]:
        """Run a query as the database administrator."""
        address = f"host=127.0.0.1 port={self.port} user=postgres dbname={database}"
        with psycopg.connect(address, password=self.password, autocommit=True) as connection:
            return connection.execute(question.encode()).fetchall()

    def allow(self, rules: str) -> None:
        """Replace the rules in its pg_hba.conf."""
        (self.folder / "data/pg_hba.conf").write_text(rules)
        self.server.control("restart", "-m", "fast")

    def settings(self) -> VaultSettings:
        """Return the settings of an installation whose vaults are in this server."""
        settings = settings_in(self.folder.parent / "installation")
        (private_folder(settings.secrets) / "administrator").write_text(self.password)
        return replace(settings, database=self.url)


SCRAM = "host all all 127.0.0.1/32 scram-sha-256\n"


@contextlib.contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """Run a server while the context lasts."""
    password = secrets.token_hex(8)
    server = EmbeddedPostgres(folder, lambda: password)
    server.start()
    port = free_port("127.0.0.1")
    with (folder / "data/postgresql.conf").open("a") as configuration:
        configuration.write(f"listen_addresses = '127.0.0.1'\nport = {port}\n")
    made = Cluster(folder, server, port, password)
    (folder / "data/pg_hba.conf").write_text(SCRAM)
    server.control("restart", "-m", "fast")
    try:
        made.superuser(
            f"CREATE ROLE {ADMINISTRATOR} LOGIN CREATEROLE CREATEDB PASSWORD '{password}'", "postgres"
        )
        made.superuser(f"CREATE DATABASE samdrift OWNER {ADMINISTRATOR}", "postgres")
        yield made
    finally:
        server.control("stop", "-m", "immediate")
