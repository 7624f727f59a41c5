"""PDF of a hand-over, typeset by a process that has none of our keys."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from samdrift.contracts.errors import Explained
from samdrift.scheduling.places import Turns

_PROGRAM = "samdrift.messageclient.handover.typesetting"
_AT_ONCE, _AT_ONCE_OF_ONE = 2, 1
"""Limits on concurrent typesetting, for one process and for one organisation.

Each document takes a core and some 100 MB, for a moment or for up to two minutes, and others should not
wait for that.
"""
_MAX_WANTED = 16
"""Maximum number of an organisation's documents being typeset or waiting, all of which are in memory."""
_SECONDS = 120.0
_MAX_PDF = 64 << 20


class NoPdf(Explained):
    """A document that could not be typeset; the package can be made without it."""

    def __init__(self, why: str) -> None:
        super().__init__(f"the PDF could not be made: {why}. The rest of the package is available without it")


class Typesetter:
    """Typesetting of documents as PDF/A-2a, shared by all requests of a process."""

    def __init__(self, template: Path | None = None) -> None:
        """``template`` replaces the template for hand-overs."""
        self._turns = Turns(_AT_ONCE)
        self._of_one = defaultdict[str, Turns](lambda: Turns(_AT_ONCE_OF_ONE))
        self._wanted = Counter[str]()
        self._template = [] if template is None else [str(template)]

    @property
    def available(self) -> bool:
        """True if typesetting is installed, an optional part of the program (extra ``pdf``)."""
        return find_spec("typst") is not None

    async def pdf(self, document: Mapping[str, Any], whose: str, person: str = "") -> bytes:
        """Return a document of an organisation as a PDF; raises :class:`NoPdf` with the reason for a failure.

        Organisations, and the people in each, take fair turns.
        """
        if not self.available:
            raise NoPdf("PDF support is not installed (extra pdf)")
        if self._wanted[whose] == _MAX_WANTED:
            raise NoPdf("too many PDFs are being made for the organisation; try again soon")
        content = json.dumps(document, ensure_ascii=False).encode("utf-8", "replace")
        self._wanted[whose] += 1
        try:
            async with self._of_one[whose].turn(person), self._turns.turn(whose):
                return await self._run(content)
        finally:
            self._wanted[whose] -= 1

    async def _run(self, content: bytes) -> bytes:
        pipe = asyncio.subprocess.PIPE
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-m", _PROGRAM, *self._template),
                stdin=pipe,
                stdout=pipe,
                stderr=asyncio.subprocess.DEVNULL,
                env={"RAYON_NUM_THREADS": "1"},
                cwd="/",
                limit=_MAX_PDF,
            )
        except OSError:
            raise NoPdf("the process that makes it could not be started") from None
        try:
            async with asyncio.timeout(_SECONDS):
                pdf, _ = await process.communicate(content)
        except TimeoutError:
            raise NoPdf(f"it was not ready after {_SECONDS:.0f} seconds") from None
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        if process.returncode != 0:
            raise NoPdf("the process that makes the PDF failed")
        if len(pdf) > _MAX_PDF:
            raise NoPdf("it is too large")
        return pdf
