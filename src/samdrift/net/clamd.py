"""Scans files for malware with clamd, the daemon of ClamAV (its INSTREAM command), once it has been proved.

A file is sent in a stream of pieces, so that none is held whole. Only the one
answer that means it is a verdict of clean; a limit, an error, silence or a
broken connection is none, and what was asked about must wait.

A scanner without signatures, or with limits lower than a message may be large,
calls everything clean that it has not looked through. So before its first
verdict, after every time that it could not be reached, and every hour, since it may
have been restarted unseen, :class:`ProvenScanner` sends it two files in which it must
find the test file that every scanner knows (EICAR):

* packed behind as much as a message may hold, which takes limits that are high enough;
* packed into itself so often that no scanner follows: it must say so, not "clean".
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile

from samdrift.contracts.clock import Clock
from samdrift.contracts.malware import MalwareScanner, ScannerUnavailable, ScanVerdict
from samdrift.net.cache import SingleFlight

_COMMAND = b"zINSTREAM\0"
_ASK_VERSION = b"zVERSION\0"
_END = bytes(4)
_LENGTH = 4
_PIECE = 1 << 18
_LONGEST_ANSWER = 4096

_AT_ONCE = 4
"""Limit of files that are scanned at the same time; clamd has a dozen threads by default."""

_CLEAN = "stream: OK"
_FOUND = re.compile(r"stream: (?P<signature>.+) FOUND")
_TOO_LARGE = "INSTREAM size limit exceeded. ERROR"
_PROGRAM = re.compile(r"[\w. +~-]{1,64}", re.ASCII)
_DATE = "%a %b %d %H:%M:%S %Y"
_SIGNATURE = re.compile(r"[\w.:/()-]{1,128}", re.ASCII)

LARGEST = 30 << 20
"""Size limit of a file in a message, in bytes (content-specification 4.3.3.3 content)."""

_BELIEVED = timedelta(hours=1)
"""Time for which a scanner is believed: one that was restarted in a quiet moment was never away."""

_DEPTH = 100
_TEST_PIECE = 1 << 20
_ROOM = 1 << 10
_LIMIT = "Heuristics.Limits.Exceeded"


@dataclass(frozen=True, slots=True)
class ClamdAddress:
    """Listener of clamd: a Unix socket, or a port on a host."""

    socket: Path | None = None
    host: str = ""
    port: int = 0

    def __str__(self) -> str:
        return str(self.socket) if self.socket is not None else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class ClamdVersion:
    """The program's version, and the day of its newest official signatures, where it has any."""

    program: str
    signatures: datetime | None


class ClamdScanner:
    """clamd at ``address``; ``seconds`` is the longest silence at any step."""

    def __init__(self, address: ClamdAddress, seconds: float) -> None:
        self._address = address
        self._seconds = seconds
        self._places = asyncio.Semaphore(_AT_ONCE)

    async def scan(self, pieces: Iterable[bytes]) -> ScanVerdict:
        """The verdict on a file; :class:`ScannerUnavailable` when clamd gives none."""
        async with self._places:
            with self._explained():
                return await self._answer(pieces)

    async def version(self) -> ClamdVersion:
        """Ask which version it is; :class:`ScannerUnavailable` when clamd does not say."""
        with self._explained():
            async with asyncio.timeout(self._seconds):
                connection = await self._connected()
                try:
                    await asyncio.get_running_loop().sock_sendall(connection, _ASK_VERSION)
                    return read_version((await _read(connection)).decode("ascii", "replace"))
                except ConnectionError:
                    raise ScannerUnavailable("the malware scanner hung up") from None
                finally:
                    connection.close()

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
        """Connect a socket of our own.

        A stream of asyncio drops an answer that it has not read when sending fails; a socket keeps it.
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
        """Send the file; return whether all of it went. clamd answers early when it has had enough."""
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
    """The answer up to its end mark; :class:`ConnectionError` when there is none, or it is too long."""
    answer = b""
    while b"\0" not in answer:
        piece = await asyncio.get_running_loop().sock_recv(connection, _LONGEST_ANSWER)
        if not piece or len(answer) > _LONGEST_ANSWER:
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
    """Read ``ClamAV 1.4.3/27800/Thu Oct 16 09:41:07 2025``; without official signatures, the first part."""
    program, _, dated = answer.strip().partition("/")
    try:
        signatures = datetime.strptime(dated.partition("/")[2], _DATE).replace(tzinfo=UTC)
    except ValueError:
        signatures = None
    named = _PROGRAM.match(program)
    return ClamdVersion(named[0] if named else "unnamed", signatures)


class ProvenScanner:
    """``scanner``, held to find what it must find in files of up to ``largest`` bytes."""

    def __init__(self, scanner: MalwareScanner, clock: Clock, largest: int = LARGEST) -> None:
        self._scanner = scanner
        self._clock = clock
        self._largest = largest
        self._proof = SingleFlight[None, None]()
        self._proven: datetime | None = None

    async def scan(self, pieces: Iterable[bytes]) -> ScanVerdict:
        """The verdict on a file; :class:`ScannerUnavailable` also when the scanner is not to be believed."""
        try:
            if not self._believed():
                await self._proof.run(None, self._prove)
            return await self._scanner.scan(pieces)
        except ScannerUnavailable:
            self._proven = None
            raise

    def _believed(self) -> bool:
        return self._proven is not None and abs(self._clock() - self._proven) < _BELIEVED

    async def _prove(self) -> None:
        deep = await self._scanner.scan([nested(_DEPTH)])
        if deep.clean:
            raise ScannerUnavailable(
                "the malware scanner does not report what it has not looked into: see AlertExceedsMax"
            )
        large = await self._scanner.scan(_pieces(behind(self._largest)))
        if large.clean or large.signature.startswith(_LIMIT):
            raise ScannerUnavailable(
                "the malware scanner does not find a test file at the end of the largest message:"
                " see its signatures, MaxFileSize and MaxScanSize"
            )
        self._proven = self._clock()


def eicar() -> bytes:
    """The test file of EICAR, put together here so that no scanner finds it in our own files."""
    return rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$" + b"EICAR-STANDARD-ANTIVIRUS-" + b"TEST-FILE!$H+H*"


def nested(depth: int) -> bytes:
    """The test file in an archive in an archive, and so on."""
    data = archive((eicar(), ZIP_DEFLATED))
    for _ in range(depth - 1):
        data = archive((data, ZIP_STORED))
    return data


def behind(size: int) -> bytes:
    """An archive of almost ``size`` bytes, with the test file last."""
    return archive((bytes(size - _ROOM), ZIP_STORED), (eicar(), ZIP_DEFLATED))


def archive(*files: tuple[bytes, int]) -> bytes:
    """A ZIP archive of files, each with the way it is compressed."""
    written = BytesIO()
    with ZipFile(written, "w") as target:
        for number, (data, method) in enumerate(files):
            target.writestr(str(number), data, method)
    return written.getvalue()


def _pieces(data: bytes) -> Iterator[bytes]:
    for start in range(0, len(data), _TEST_PIECE):
        yield data[start : start + _TEST_PIECE]
