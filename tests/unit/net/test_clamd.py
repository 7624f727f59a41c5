"""Answers of a real clamd, and of servers that do not keep to its protocol."""

from __future__ import annotations

import asyncio
import signal
import socket
import threading
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import urlsplit
from zipfile import ZIP_DEFLATED

import pytest
import pytest_asyncio

from samdrift.contracts.malware import ScannerUnavailable, ScanVerdict
from samdrift.net.clamd import LARGEST, ClamdAddress, ClamdScanner, archive, eicar, nested
from tests.scanner import SIGNATURE, Clamd, requires_clamd, running_clamd
from tests.unit.net.servers import Talk, talking
from tests.vaults import server_folder

MEGABYTE = 1 << 20


@pytest_asyncio.fixture(scope="module")
async def daemon() -> AsyncIterator[Clamd]:
    with server_folder() as folder:
        async with running_clamd(folder) as one:
            yield one


def scanner(daemon: Clamd, seconds: float = 30.0) -> ClamdScanner:
    return ClamdScanner(ClamdAddress(daemon.socket), seconds)


@requires_clamd
async def test_what_is_malicious_is_found_with_its_name(daemon: Clamd) -> None:
    assert await scanner(daemon).scan([eicar()]) == ScanVerdict(SIGNATURE)
    assert await scanner(daemon).scan([b"%PDF-1.4 ", b"hello"]) == ScanVerdict()
    assert (await scanner(daemon).scan([])).clean


@requires_clamd
async def test_it_is_found_in_an_archive_and_across_pieces(daemon: Clamd) -> None:
    data = archive((b"harmless", ZIP_DEFLATED), (eicar(), ZIP_DEFLATED))
    assert not (await scanner(daemon).scan([data])).clean
    assert not (await scanner(daemon).scan(bytes([each]) for each in data)).clean


@requires_clamd
async def test_the_largest_file_is_scanned_without_being_held(daemon: Clamd) -> None:
    def pieces() -> Iterator[bytes]:
        for number in range(LARGEST // MEGABYTE):
            yield number.to_bytes(4, "big") * (MEGABYTE // 4)

    tracemalloc.start()
    try:
        assert (await scanner(daemon).scan(pieces())).clean
        assert tracemalloc.get_traced_memory()[1] < 4 * MEGABYTE
    finally:
        tracemalloc.stop()


@requires_clamd
async def test_many_files_at_once_each_get_their_own_verdict(daemon: Clamd) -> None:
    one = scanner(daemon)
    verdicts = await asyncio.gather(*(one.scan([eicar() if n % 3 == 0 else b"hello"]) for n in range(40)))
    assert [verdict.clean for verdict in verdicts] == [n % 3 != 0 for n in range(40)]


@requires_clamd
async def test_more_than_it_takes_is_not_clean() -> None:
    with server_folder() as folder:
        async with running_clamd(folder, "StreamMaxLength 1M") as small:
            with pytest.raises(ScannerUnavailable, match="StreamMaxLength"):
                await scanner(small).scan([bytes(MEGABYTE)] * 5)
            with pytest.raises(ScannerUnavailable, match="StreamMaxLength"):
                await scanner(small).scan([bytes(MEGABYTE + 1)])
            assert (await scanner(small).scan([bytes(MEGABYTE // 2)])).clean


@requires_clamd
async def test_what_it_does_not_look_into_has_a_name_too(daemon: Clamd) -> None:
    """A too deeply nested archive is not scanned, so it is not clean."""
    verdict = await scanner(daemon).scan([nested(100)])
    assert verdict.signature.startswith("Heuristics.Limits.Exceeded")


@requires_clamd
async def test_stopped_killed_in_the_middle_and_back_again() -> None:
    with server_folder() as folder:
        async with running_clamd(folder) as daemon:
            daemon.pause()
            with pytest.raises(ScannerUnavailable, match="in time"):
                await scanner(daemon, 0.2).scan([eicar()])
            asked = asyncio.Event()

            def file() -> Iterator[bytes]:
                asked.set()
                yield eicar()

            in_the_middle = asyncio.create_task(scanner(daemon).scan(file()))
            await asyncio.wait_for(asked.wait(), 60)
            daemon.stop(signal.SIGKILL)
            with pytest.raises(ScannerUnavailable, match="hung up"):
                await in_the_middle
            with pytest.raises(ScannerUnavailable, match="cannot be reached"):
                await scanner(daemon).scan([b"hello"])
            await daemon.start()
            assert (await scanner(daemon).scan([b"hello"])).clean


async def test_there_is_no_scanner(tmp_path: Path) -> None:
    with pytest.raises(ScannerUnavailable, match="cannot be reached"):
        await ClamdScanner(ClamdAddress(tmp_path / "none"), 5.0).scan([b"hello"])


async def answered(said: bytes) -> ScanVerdict:
    """Return the verdict when a server reads the file and answers with ``said``."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.readuntil(b"\0") == b"zINSTREAM\0"
        while length := int.from_bytes(await reader.readexactly(4), "big"):
            await reader.readexactly(length)
        writer.write(said)

    return await asked(talk)


async def asked(talk: Talk, *pieces: bytes, seconds: float = 5.0) -> ScanVerdict:
    async with talking(talk) as url:
        at = urlsplit(url)
        address = ClamdAddress(host=at.hostname or "", port=at.port or 0)
        return await ClamdScanner(address, seconds).scan(pieces or (b"hello",))


async def test_only_the_answer_that_means_it_is_clean() -> None:
    assert (await answered(b"stream: OK\0")).clean
    for said in (
        b"OK\0",
        b"stream: OK FOUND\0",
        b"stream: OK ERROR\0",
        b"stream: OK\nstream: Bad FOUND\0",
        b"stream: OK",
        b"stream:\0",
        b"\0",
        b"",
        b"COMMAND READ TIMED OUT\0",
        b"UNKNOWN COMMAND\0",
        b"INSTREAM size limit exceeded. ERROR\0",
        b"stream: Can't allocate memory ERROR\0",
        b"x" * 100_000,
    ):
        try:
            verdict = await answered(said)
        except ScannerUnavailable:
            continue
        assert not verdict.clean, said


async def test_a_name_that_is_none_is_not_passed_on() -> None:
    assert (await answered("stream: Räksmörgås\x1b[31m FOUND\0".encode())).signature == "unnamed"
    assert (await answered(b"stream: Win.Test.EICAR_HDB-1 FOUND\0")).signature == "Win.Test.EICAR_HDB-1"


async def test_an_answer_before_the_end_of_the_file_is_heard() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(100_000)
        writer.write(b"stream: Early.Bird FOUND\0")
        await writer.drain()
        await reader.read()

    verdict = await asked(talk, *[bytes(MEGABYTE)] * 50)
    assert verdict.signature == "Early.Bird"


@pytest.mark.parametrize("family", [socket.AF_UNIX, socket.AF_INET])
async def test_an_answer_is_read_though_the_scanner_hung_up_before_it_was(
    family: socket.AddressFamily,
) -> None:
    """clamd answers and closes while the file is being sent, so sending fails before the answer is read."""
    hung_up = threading.Event()
    with server_folder() as folder, socket.socket(family) as listener:
        listener.bind(str(folder / "clamd") if family == socket.AF_UNIX else ("127.0.0.1", 0))
        listener.listen()

        def refuse() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(10, socket.MSG_WAITALL)
                connection.sendall(b"INSTREAM size limit exceeded. ERROR\0")
            hung_up.set()

        def pieces() -> Iterator[bytes]:
            yield bytes(1000)
            assert hung_up.wait(60)
            yield from [bytes(MEGABYTE)] * 5

        refusing = threading.Thread(target=refuse)
        refusing.start()
        at = listener.getsockname()
        address = ClamdAddress(Path(at)) if isinstance(at, str) else ClamdAddress(host=at[0], port=at[1])
        with pytest.raises(ScannerUnavailable, match="StreamMaxLength"):
            await ClamdScanner(address, 5.0).scan(pieces())
        refusing.join()


@pytest.mark.parametrize("hangs_up", [True, False])
async def test_nothing_is_clean_before_its_end_was_seen(hangs_up: bool) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(100_000)
        writer.write(b"stream: OK\0")
        await writer.drain()
        if not hangs_up:
            await reader.read()

    with pytest.raises(ScannerUnavailable, match=r"whole file|hung up"):
        await asked(talk, *[bytes(MEGABYTE)] * 50)


async def test_a_scanner_that_takes_nothing_more_is_given_up() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(10)
        await asyncio.Event().wait()

    with pytest.raises(ScannerUnavailable, match="in time"):
        await asked(talk, *[bytes(MEGABYTE)] * 50, seconds=0.2)
