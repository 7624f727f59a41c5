"""Malware scanning with clamd, the ClamAV daemon (its INSTREAM command), after a test of the scanner itself.

A file is streamed in pieces, so that it is never held whole in memory. Only one response means clean. After a
limit, an error, silence or a broken connection the file is not considered clean, and must wait.

A scanner without signatures, or with limits below the largest message size, reports files as clean that it
has not fully scanned. So before its first verdict, after each time that it could not be reached, when its
version, signatures or socket have changed, and every hour (it may have been restarted unnoticed),
:class:`ProvenScanner` sends it two files that contain the test file every scanner recognises (EICAR):

* placed at the end of an archive of the largest message size, which requires sufficient limits;
* nested in archives more deeply than any scanner follows: the scanner must report that, not "clean".
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Protocol
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile

from samdrift.contracts.clock import Clock
from samdrift.contracts.malware import MalwareScanner, ScannerUnavailable, ScanVerdict
from samdrift.net.cache import SingleFlight

_COMMAND = b"zINSTREAM\0"
_ASK_VERSION = b"zVERSION\0"
_END = bytes(4)
_LENGTH = 4
_PIECE = 1 << 18
_MAX_ANSWER = 4096

_AT_ONCE = 4
"""Maximum number of files that are scanned concurrently; clamd has a dozen threads by default."""

_CLEAN = "stream: OK"
_FOUND = re.compile(r"stream: (?P<signature>.+) FOUND")
_TOO_LARGE = "INSTREAM size limit exceeded. ERROR"
_PROGRAM = re.compile(r"[\w. +~-]{1,64}", re.ASCII)
_DATE = "%a %b %d %H:%M:%S %Y"
_SIGNATURE = re.compile(r"[\w.:/()-]{1,128}", re.ASCII)

LARGEST = 30 << 20
"""Size limit of a file in a message, in bytes (content-specification 4.3.3.3 content)."""

_BELIEVED = timedelta(hours=1)
"""Interval between tests of a scanner, which may have been restarted while there was nothing to scan."""

_DEPTH = 100
_TEST_PIECE = 1 << 20
_ROOM = 1 << 10
_LIMIT = "Heuristics.Limits.Exceeded"


@dataclass(frozen=True, slots=True)
class ClamdAddress:
    """The address that clamd listens on: a Unix socket, or a host and port."""

    socket: Path | None = None
    host: str = ""
    port: int = 0

    def __str__(self) -> str:
        return str(self.socket) if self.socket is not None else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class ClamdVersion:
    """The program's version and the date of its newest official signatures, if it has any."""

    program: str
    signatures: datetime | None
    started: int = 0
    """Moment at which its Unix socket was made, in nanoseconds, which is at its start; otherwise 0."""


class ClamdScanner:
    """Client for clamd at ``address``; no step may take longer than ``seconds``."""

    def __init__(self, address: ClamdAddress, seconds: float) -> None:
        self._address = address
        self._seconds = seconds
        self._places = asyncio.Semaphore(_AT_ONCE)

    async def scan(self, pieces: Iterable[bytes]) -> ScanVerdict:
        """Return the verdict on a file; raise :class:`ScannerUnavailable` if clamd returns none."""
        async with self._places:
            with self._explained():
                return await self._answer(pieces)

    async def version(self) -> ClamdVersion:
        """Return the version of clamd; raise :class:`ScannerUnavailable` if it does not respond."""
        with self._explained():
            async with asyncio.timeout(self._seconds):
                connection = await self._connected()
                try:
                    await asyncio.get_running_loop().sock_sendall(connection, _ASK_VERSION)
                    said = read_version((await _read(connection)).decode("ascii", "replace"))
                    return replace(said, started=self._started())
                except ConnectionError:
                    raise ScannerUnavailable("the malware scanner hung up") from None
                finally:
                    connection.close()

    def _started(self) -> int:
        return 0 if self._address.socket is None else self._address.socket.stat().st_ctime_ns

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except TimeoutError:
            text = "the malware scanner does not answer in time"
            raise ScannerUnavailable(text, f"no answer in time at {self._address}") from None
        except OSError as error:
            why = (error.strerror or type(error).__name__).lower()
            text = "the malware scanner cannot be reached"
            raise ScannerUnavailable(text, f"{why} at {self._address}") from None

    async def _answer(self, pieces: Iterable[bytes]) -> ScanVerdict:
        async with asyncio.timeout(self._seconds):
            connection = await self._connected()
        answer = asyncio.create_task(_read(connection))
        whole = False
        try:
            with contextlib.suppress(ConnectionError):  # clamd may have answered before it hung up
                whole = await self._send(connection, pieces, answer)
            async with asyncio.timeout(self._seconds):
                verdict = _verdict(await answer)
        except ConnectionError:
            raise ScannerUnavailable("the malware scanner hung up") from None
        finally:
            answer.cancel()
            with contextlib.suppress(asyncio.CancelledError, OSError):
                await answer
            connection.close()
        if verdict.clean and not whole:
            raise ScannerUnavailable("the malware scanner answered before it had the whole file")
        return verdict

    async def _connected(self) -> socket.socket:
        """Connect through a plain socket.

        An asyncio stream drops a response that has not been read when sending fails; a socket keeps it.
        """
        address = self._address
        if address.socket is not None:
            return await _connect(socket.AF_UNIX, str(address.socket))
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
        for family, _, _, _, at in found[:-1]:
            with contextlib.suppress(OSError):
                return await _connect(family, at)
        return await _connect(found[-1][0], found[-1][4])

    async def _send(
        self, connection: socket.socket, pieces: Iterable[bytes], answer: asyncio.Task[bytes]
    ) -> bool:
        """Send the file and return whether all of it was sent; clamd may respond early, at a limit."""
        await self._send_part(connection, _COMMAND)
        for piece in pieces:
            for start in range(0, len(piece), _PIECE):
                part = piece[start : start + _PIECE]
                await self._send_part(connection, len(part).to_bytes(_LENGTH, "big") + part)
                if answer.done():
                    return False
        await self._send_part(connection, _END)
        return True

    async def _send_part(self, connection: socket.socket, part: bytes) -> None:
        async with asyncio.timeout(self._seconds):
            await asyncio.get_running_loop().sock_sendall(connection, part)


async def _connect(family: int, address: object) -> socket.socket:
    connection = socket.socket(family, socket.SOCK_STREAM)
    try:
        connection.setblocking(False)
        await asyncio.get_running_loop().sock_connect(connection, address)  # type: ignore[arg-type]
    except BaseException:
        connection.close()
        raise
    return connection


async def _read(connection: socket.socket) -> bytes:
    """Return the response up to its terminator; raise :class:`ConnectionError` if missing or too long."""
    answer = b""
    while b"\0" not in answer:
        piece = await asyncio.get_running_loop().sock_recv(connection, _MAX_ANSWER)
        if not piece or len(answer) > _MAX_ANSWER:
            raise ConnectionResetError
        answer += piece
    return answer.partition(b"\0")[0]


def _verdict(answer: bytes) -> ScanVerdict:
    said = answer.decode("ascii", "replace").strip()
    if said == _CLEAN:
        return ScanVerdict()
    if found := _FOUND.fullmatch(said):
        named = _SIGNATURE.fullmatch(found["signature"])
        return ScanVerdict(named[0] if named else "unnamed")
    if said == _TOO_LARGE:
        raise ScannerUnavailable("the file is larger than the malware scanner's StreamMaxLength")
    raise ScannerUnavailable("the malware scanner answered with an error")


def read_version(answer: str) -> ClamdVersion:
    """Parse ``ClamAV 1.4.3/27800/Thu Oct 16 09:41:07 2025``; the parts after the first may be missing."""
    program, _, dated = answer.strip().partition("/")
    try:
        signatures = datetime.strptime(dated.partition("/")[2], _DATE).replace(tzinfo=UTC)
    except ValueError:
        signatures = None
    named = _PROGRAM.match(program)
    return ClamdVersion(named[0] if named else "unnamed", signatures)


class _Scanner(MalwareScanner, Protocol):
    async def version(self) -> ClamdVersion: ...


class ProvenScanner:
    """A scanner that is used only while it detects the test files, up to ``largest`` bytes in size."""

    def __init__(self, scanner: _Scanner, clock: Clock, largest: int = LARGEST) -> None:
        self._scanner = scanner
        self._clock = clock
        self._largest = largest
        self._proof = SingleFlight[None, None]()
        self._proven: datetime | None = None
        self._version: ClamdVersion | None = None

    async def scan(self, pieces: Iterable[bytes]) -> ScanVerdict:
        """Return the verdict on a file; raise :class:`ScannerUnavailable` also if a test fails."""
        await self.check()
        try:
            return await self._scanner.scan(pieces)
        except ScannerUnavailable:
            self._proven = None
            raise

    async def check(self) -> None:
        """Test the scanner if that is due; raise :class:`ScannerUnavailable` until it has passed.

        An answer alone is not enough: a scanner that fails its test answers like any other.
        """
        try:
            await self._proof.run(None, self._check)
        except ScannerUnavailable:
            self._proven = None
            raise

    async def _check(self) -> None:
        version = await self._scanner.version()
        if version != self._version or not self._believed():
            await self._prove()
            self._version, self._proven = version, self._clock()

    def _believed(self) -> bool:
        return self._proven is not None and abs(self._clock() - self._proven) < _BELIEVED

    async def _prove(self) -> None:
        deep = await self._scanner.scan([nested(_DEPTH)])
        if deep.clean:
            raise ScannerUnavailable(
                "the malware scanner does not report archives that it did not scan: see AlertExceedsMax"
            )
        large = await self._scanner.scan(_pieces(archive_with_test_file(self._largest)))
        if large.clean or large.signature.startswith(_LIMIT):
            raise ScannerUnavailable(
                "the malware scanner does not find a test file at the end of the largest message:"
                " see its signatures, MaxFileSize and MaxScanSize"
            )


def eicar() -> bytes:
    """Return the EICAR test file, assembled at run time so that no scanner finds it in our own source."""
    return rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$" + b"EICAR-STANDARD-ANTIVIRUS-" + b"TEST-FILE!$H+H*"


def nested(depth: int) -> bytes:
    """Return the test file nested in ``depth`` archives."""
    data = archive((eicar(), ZIP_DEFLATED))
    for _ in range(depth - 1):
        data = archive((data, ZIP_STORED))
    return data


def archive_with_test_file(size: int) -> bytes:
    """Return an archive of almost ``size`` bytes, with the test file at its end."""
    return archive((bytes(size - _ROOM), ZIP_STORED), (eicar(), ZIP_DEFLATED))


def archive(*files: tuple[bytes, int]) -> bytes:
    """Return a ZIP archive of files, each given with its compression method."""
    written = BytesIO()
    with ZipFile(written, "w") as target:
        for number, (data, method) in enumerate(files):
            target.writestr(str(number), data, method)
    return written.getvalue()


def _pieces(data: bytes) -> Iterator[bytes]:
    for start in range(0, len(data), _TEST_PIECE):
        yield data[start : start + _TEST_PIECE]
