"""Shortcuts for work that tests are not about: no waiting for the disk, templates compiled once, one issuer.

Commands in the process of a test also do not provision an installation that is already in order. Skipping
fsync is safe because a test kills processes, whose writes the kernel has. Shortcuts for PostgreSQL are in
``tests/postgrestemplate.py``, those for keys in ``tests/throwawaykeys.py``.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path

import certifi
import pytest
from httpx._transports import default
from jinja2.bccache import Bucket, BytecodeCache

from samdrift.administration import administration
from samdrift.vault.provision import Provisioner
from samdrift.web import pages, texts
from tests.vaults import IN_ORDER


class _Compiled(BytecodeCache):
    """Compiled templates, shared by all pages in this process."""

    def __init__(self) -> None:
        self._known: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if (known := self._known.get(bucket.key)) is not None:
            bucket.bytecode_from_string(known)

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._known[bucket.key] = bucket.bytecode_to_string()


@contextmanager
def cheap_files() -> Iterator[None]:
    """Do not sync files, and compile templates and texts of pages only once."""
    compiled = cache(texts.compiled)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        patch.setattr(os, "sync", lambda: None)
        patch.setattr(pages, "Environment", partial(pages.Environment, bytecode_cache=_Compiled()))
        patch.setattr(texts, "compiled", lambda files: compiled(tuple(files)))
        yield


@contextmanager
def few_issuers() -> Iterator[None]:
    """Use only the first of Mozilla's issuers while the context lasts.

    Reading them all takes longer than most tests, which create clients but never call a server with a
    certificate of theirs.
    """
    end = b"-----END CERTIFICATE-----\n"
    make = default.create_ssl_context
    first = Path(certifi.where()).read_bytes().partition(end)[0] + end
    with tempfile.NamedTemporaryFile() as file, pytest.MonkeyPatch.context() as patch:
        file.write(first)
        file.flush()
        patch.setattr(certifi, "where", lambda: file.name)
        # Ignore SSL_CERT_FILE, too, which may be set for programs that install packages.
        patch.setattr(default, "create_ssl_context", lambda **given: make(**given | {"trust_env": False}))
        yield


class _Beside(Provisioner):
    """A provisioner that skips installations of tests, which have been in order since they were made."""

    async def install(self, *, beside_others: bool = False) -> None:
        if self.database.address not in IN_ORDER:
            await super().install(beside_others=beside_others)


@contextmanager
def cheap_commands() -> Iterator[None]:
    """Keep commands in the process of a test from checking rights and schemas each time.

    Commands in a process of their own still check, as do those on an installation that was not made by
    :func:`~tests.vaults.installed`.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(administration, "Provisioner", _Beside)
        yield


@contextmanager
def commands_of_the_product() -> Iterator[None]:
    """Have commands check rights and schemas as in the product."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(administration, "Provisioner", Provisioner)
        yield
