"""What the tests are not about costs them little: nothing waits for the disk, a template is compiled once,
a client reads one public issuer, and a command in the process of a test does not put an installation in
order that is.

What a test kills is a process, of which the kernel has every write. PostgreSQL is in
``tests/postgrestemplate.py``, keys are in ``tests/throwawaykeys.py``.
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
    """Templates as they were compiled for whichever pages had them first in this process."""

    def __init__(self) -> None:
        self._known: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if (known := self._known.get(bucket.key)) is not None:
            bucket.bytecode_from_string(known)

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._known[bucket.key] = bucket.bytecode_to_string()


@contextmanager
def cheap_files() -> Iterator[None]:
    """Leave writes to the kernel, and compile templates and texts of pages once for all that have them."""
    compiled = cache(texts.compiled)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        patch.setattr(os, "sync", lambda: None)
        patch.setattr(pages, "Environment", partial(pages.Environment, bytecode_cache=_Compiled()))
        patch.setattr(texts, "compiled", lambda files: compiled(tuple(files)))
        yield


@contextmanager
def few_issuers() -> Iterator[None]:
    """Have the first of Mozilla's issuers alone: to read them all takes longer than most tests, which make
    clients and ask nobody who has a certificate of theirs.
    """
    end = b"-----END CERTIFICATE-----\n"
    make = default.create_ssl_context
    first = Path(certifi.where()).read_bytes().partition(end)[0] + end
    with tempfile.NamedTemporaryFile() as file, pytest.MonkeyPatch.context() as patch:
        file.write(first)
        file.flush()
        patch.setattr(certifi, "where", lambda: file.name)
        # Nor those that SSL_CERT_FILE names, for programs that install others.
        patch.setattr(default, "create_ssl_context", lambda **given: make(**given | {"trust_env": False}))
        yield


class _Beside(Provisioner):
    """Leaves an installation of tests as it is, which has been in order since it was made."""

    async def install(self, *, beside_others: bool = False) -> None:
        if self.database.address not in IN_ORDER:
            await super().install(beside_others=beside_others)


@contextmanager
def cheap_commands() -> Iterator[None]:
    """Have commands in the process of a test begin without looking at rights and schemas, each time anew.

    Those with a process of their own look, as do those that enter an installation that a test has made in
    another way than :func:`~tests.vaults.installed`.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(administration, "Provisioner", _Beside)
        yield


@contextmanager
def commands_of_the_product() -> Iterator[None]:
    """Leave what a command begins with as it is in the product."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(administration, "Provisioner", Provisioner)
        yield
