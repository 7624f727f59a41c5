"""Asks clamd, the daemon of ClamAV, whether a file is malicious (its INSTREAM command).

A file is sent in a stream of pieces, so that none is held whole. Only the one
answer that means it is a verdict of clean; a limit, an error, silence or a
broken connection is none, and what was asked about must wait.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from samdrift.contracts.malware import ScannerUnavailable, ScanVerdict

_COMMAND = b"zINSTREAM\0"
_END = bytes(4)
_LENGTH = 4
_PIECE = 1 << 18
_LONGEST_ANSWER = 4096
_AT_ONCE = 4
"""How many files are scanned at the same time; clamd has a dozen threads unless it is told otherwise."""
_CLEAN = "stream: OK"
_FOUND = re.compile(r"stream: (?P<signature>.+) FOUND")
_TOO_LARGE = "INSTREAM size limit exceeded. ERROR"
_SIGNATURE = re.compile(r"[\w.:/()-]{1,128}", re.ASCII)


@dataclass(frozen=True, slots=True)
class ClamdAddress:
    """Where clamd listens: a Unix socket, or a port on a host."""

    socket: Path | None = None
    host: str = ""
    port: int = 0


class ClamdScanner:
    """clamd at ``address``; ``seconds`` is the longest silence at any step."""

    def __init__(self, address: ClamdAddress, seconds: float = 60.0) -> None:
        self._address = address
        self._seconds = seconds
        self._places = asyncio.Semaphore(_AT_ONCE)

    async def scan(self, pieces: Iterable[bytes]) -> ScanVerdict:
        """The verdict on a file; :class:`ScannerUnavailable` when clamd gives none."""
        async with self._places:
            try:
                return await self._answer(pieces)
            except TimeoutError:
                raise ScannerUnavailable("the malware scanner does not answer in time") from None
            except OSError:
                raise ScannerUnavailable("the malware scanner cannot be reached") from None

    async def _answer(self, pieces: Iterable[bytes]) -> ScanVerdict:
        async with asyncio.timeout(self._seconds):
            reader, writer = await self._connected()
        try:
            answer = asyncio.create_task(reader.readuntil(b"\0"))
            whole = False
            try:
                with contextlib.suppress(ConnectionError):  # clamd may have answered before it hung up
                    whole = await self._send(writer, pieces, answer)
                async with asyncio.timeout(self._seconds):
                    verdict = _verdict(await answer)
            except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError):
                raise ScannerUnavailable("the malware scanner hung up") from None
            finally:
                answer.cancel()
                with contextlib.suppress(
                    asyncio.CancelledError, OSError, EOFError, asyncio.LimitOverrunError
                ):
                    await answer
        finally:
            writer.close()
        if verdict.clean and not whole:
            raise ScannerUnavailable("the malware scanner answered before it had the whole file")
        return verdict

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        address = self._address
        if address.socket is not None:
            return await asyncio.open_unix_connection(str(address.socket), limit=_LONGEST_ANSWER)
        return await asyncio.open_connection(address.host, address.port, limit=_LONGEST_ANSWER)

    async def _send(
        self, writer: asyncio.StreamWriter, pieces: Iterable[bytes], answer: asyncio.Task[bytes]
    ) -> bool:
        """Send the file; gives whether all of it went. clamd answers early when it has had enough."""
        writer.write(_COMMAND)
        for piece in pieces:
            for start in range(0, len(piece), _PIECE):
                part = piece[start : start + _PIECE]
                writer.write(len(part).to_bytes(_LENGTH, "big") + part)
                async with asyncio.timeout(self._seconds):
                    await writer.drain()
                if answer.done():
                    return False
        writer.write(_END)
        async with asyncio.timeout(self._seconds):
            await writer.drain()
        return True


def _verdict(answer: bytes) -> ScanVerdict:
    said = answer.removesuffix(b"\0").decode("ascii", "replace").strip()
    if said == _CLEAN:
        return ScanVerdict()
    if found := _FOUND.fullmatch(said):
        named = _SIGNATURE.fullmatch(found["signature"])
        return ScanVerdict(named[0] if named else "unnamed")
    if said == _TOO_LARGE:
        raise ScannerUnavailable("the file is larger than the malware scanner's StreamMaxLength")
    raise ScannerUnavailable("the malware scanner answered with an error")
