"""A scanner that is believed only after it has shown what it can.

A scanner without signatures, or with limits lower than a message may be large,
calls everything clean that it has not looked through. So before its first
verdict, after every time that it could not be reached, and every hour, since it
may have been another one's turn unseen, it is given two files in which it must
find the test file that every scanner knows (EICAR):

* packed behind as much as a message may hold, which takes limits that are high enough;
* packed into itself so often that no scanner follows: it must say so, not "clean".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from io import BytesIO
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile

from samdrift.contracts.clock import Clock
from samdrift.contracts.malware import MalwareScanner, ScannerUnavailable, ScanVerdict
from samdrift.net.cache import SingleFlight

LARGEST = 30 << 20
"""Bytes that a file in a message may have at most (content-specification 4.3.3.3 content)."""
_BELIEVED = timedelta(hours=1)
"""How long a scanner is believed: one that was restarted in a quiet moment was never away."""
_DEPTH = 100
_PIECE = 1 << 20
_ROOM = 1 << 10
_LIMIT = "Heuristics.Limits.Exceeded"


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
                "the malware scanner does not tell what it has not looked into: see AlertExceedsMax"
            )
        large = await self._scanner.scan(_pieces(behind(self._largest)))
        if large.clean or large.signature.startswith(_LIMIT):
            raise ScannerUnavailable(
                "the malware scanner finds no test file behind as much as a message may hold:"
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
    for start in range(0, len(data), _PIECE):
        yield data[start : start + _PIECE]
