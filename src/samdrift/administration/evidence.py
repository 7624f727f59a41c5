"""Evidence about one message in a file, for the organisation to which the message belongs."""

from __future__ import annotations

import contextlib
import os
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from samdrift.administration import logs
from samdrift.administration.administration import (
    Administration,
    Check,
    hosted,
    nothing_to_check,
    signing_key,
)
from samdrift.attestation.archive import new_file
from samdrift.contracts.errors import Explained
from samdrift.contracts.principals import Role
from samdrift.evidence.asic import MAX_EVIDENCE, write_container
from samdrift.evidence.gathering import Evidence, Order
from samdrift.installation.logkeeping import stamp_caller
from samdrift.installation.logturns import LogPlace
from samdrift.installation.timestamping import trusted_authority
from samdrift.net.clock import system_clock
from samdrift.transparency.stamping import ask
from samdrift.transparency.timestamps import token_of
from samdrift.vault.logtree import SigningStopped


class NoAuthority(Explained):
    """A time stamp was requested, but the configuration names no time stamp authority."""

    def __init__(self) -> None:
        super().__init__(
            "--asic needs a time stamp: logs.time_stamps names no authority (docs/log.md#time-stamps)"
        )


class TooLarge(Explained):
    """Evidence in a container with a time stamp would be larger than what is read again."""

    def __init__(self, *, section: bool) -> None:
        less = "without --section or without --asic" if section else "without --asic"
        super().__init__(
            f"the evidence has more than the {MAX_EVIDENCE} bytes that a container with a time stamp may"
            f" contain: export it {less}"
        )


async def export_evidence(
    installation: Administration,
    order: Order,
    out: Path,
    *,
    stamped: bool = False,
    check: Check = nothing_to_check,
) -> bool:
    """Write evidence to the new file ``out``; return false, without a file, if the logs lack the message.

    ``stamped`` puts it into a container with a time stamp over it (ASiC-S), or raises :class:`TooLarge`.
    ``check`` is called before each part, and raises when reading must stop.
    """
    if stamped and trusted_authority(installation.config.logs) is None:
        raise NoAuthority
    organisation = order.organisation
    roles = hosted(installation.gate, organisation)
    await check()
    evidence = await Evidence.find(installation.gate, order, roles)
    if evidence is None:
        return False
    key = await signing_key(installation, organisation, roles)

    async def checkpoint(role: Role) -> None:
        with contextlib.suppress(SigningStopped):
            await logs.checkpoint(installation, LogPlace(organisation, role))

    with new_file(out) as draft, draft.open("r+b") as file:
        file.truncate()
        collected = _Collected(check, section=order.section)
        await evidence.write(collected if stamped else _Sink(file, check), key, checkpoint=checkpoint)
        if stamped:
            content = collected.file.getvalue()
            write_container(file, content, await _token(installation, content))
        file.flush()
        os.fsync(file.fileno())
    return True


async def _token(installation: Administration, content: bytes) -> bytes:
    """Return a time stamp over some content; raise ``StampUnavailable`` if the authority issues none."""
    config = installation.config.logs
    trusted = trusted_authority(config)
    if trusted is None or config.time_stamps is None:
        raise NoAuthority
    async with stamp_caller(installation.config) as caller:
        stamp = await ask(caller, config.time_stamps, trusted, content, system_clock())
    return token_of(stamp.data)


class _Sink:
    def __init__(self, file: BinaryIO, check: Check) -> None:
        self._file = file
        self._check = check

    async def write(self, data: bytes) -> None:
        await self._check()
        self._file.write(data)


class _Collected(_Sink):
    """Evidence for a container, in memory."""

    def __init__(self, check: Check, *, section: bool) -> None:
        self.file = BytesIO()
        super().__init__(self.file, check)
        self._section = section

    async def write(self, data: bytes) -> None:
        if self.file.tell() + len(data) > MAX_EVIDENCE:
            raise TooLarge(section=self._section)
        await super().write(data)
