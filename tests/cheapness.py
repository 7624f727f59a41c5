"""What the tests are not about costs them little: nothing waits for the disk, a template is compiled once.

What a test kills is a process, of which the kernel has every write. PostgreSQL is in
``tests/postgrestemplate.py``, keys are in ``tests/throwawaykeys.py``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import pytest
from jinja2.bccache import Bucket, BytecodeCache

from samdrift.web import pages


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
    """Leave writes to the kernel, and compile the templates of pages once for all that have them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        patch.setattr(pages, "Environment", partial(pages.Environment, bytecode_cache=_Compiled()))
        yield
