"""A scanner is believed only after it has found the test sample."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from samdrift.config.malware import MalwareConfig
from samdrift.contracts.malware import ScannerUnavailable, ScanVerdict
from samdrift.installation.services import proven_scanner
from samdrift.net.clamd import ClamdAddress, ClamdScanner, ClamdVersion, ProvenScanner, eicar
from tests.scanner import requires_clamd, running_clamd
from tests.vaults import NOW, server_folder

SMALL = 1 << 16
GOOD = ("AlertExceedsMax yes", "StreamMaxLength 40M", "MaxFileSize 40M", "MaxScanSize 200M")


@requires_clamd
@pytest.mark.parametrize(
    ("settings", "wrong"),
    [
        (GOOD, None),
        (("AlertExceedsMax no", *GOOD[1:]), "AlertExceedsMax"),
        ((*GOOD[:1], "StreamMaxLength 25M", *GOOD[2:]), "StreamMaxLength|hung up"),
        ((*GOOD[:2], "MaxFileSize 25M", *GOOD[3:]), "MaxFileSize"),
        ((*GOOD[:3], "MaxScanSize 25M"), "MaxScanSize"),
        (("ScanArchive no", *GOOD), "AlertExceedsMax"),
    ],
    ids=["good", "limits not told", "stream", "file", "sum", "archives"],
)
async def test_settings_of_clamd_that_would_pass_what_was_not_scanned(
    settings: tuple[str, ...], wrong: str | None
) -> None:
    with server_folder() as folder:
        async with running_clamd(folder, *settings) as daemon:
            scanner = ProvenScanner(ClamdScanner(ClamdAddress(daemon.socket), 60.0), lambda: NOW)
            if wrong is None:
                assert (await scanner.scan([b"hello"])).clean
                return
            with pytest.raises(ScannerUnavailable, match=wrong):
                await scanner.scan([b"hello"])


class Scanner:
    """A scanner that finds the sample or nothing, can be away, and counts its files."""

    def __init__(self) -> None:
        self.blind = self.away = False
        self.files = 0
        self.answers = ClamdVersion("ClamAV 1.4.3", NOW)

    async def version(self) -> ClamdVersion:
        if self.away:
            raise ScannerUnavailable("away")
        return self.answers

    async def scan(self, pieces: Iterable[bytes]) -> ScanVerdict:
        self.files += 1
        data = b"".join(pieces)
        if self.away:
            raise ScannerUnavailable("away")
        return ScanVerdict() if self.blind or data == b"hello" else ScanVerdict("Found")


async def test_the_proof_is_asked_for_once() -> None:
    inner = Scanner()
    scanner = ProvenScanner(inner, lambda: NOW, SMALL)
    for _ in range(3):
        assert (await scanner.scan([b"hello"])).clean
    assert inner.files == 2 + 3
    assert not (await scanner.scan([eicar()])).clean


async def test_a_scanner_that_finds_nothing_calls_nothing_clean() -> None:
    inner = Scanner()
    inner.blind = True
    with pytest.raises(ScannerUnavailable):
        await ProvenScanner(inner, lambda: NOW, SMALL).scan([b"hello"])


async def test_after_it_was_away_it_is_asked_again() -> None:
    """After an outage it may be another scanner, without signatures."""
    inner = Scanner()
    scanner = ProvenScanner(inner, lambda: NOW, SMALL)
    assert (await scanner.scan([b"hello"])).clean
    inner.away = True
    with pytest.raises(ScannerUnavailable, match="away"):
        await scanner.scan([b"hello"])
    inner.away, inner.blind = False, True
    with pytest.raises(ScannerUnavailable, match="AlertExceedsMax"):
        await scanner.scan([b"hello"])


@pytest.mark.parametrize("hours", [1, -1])
async def test_a_scanner_that_was_replaced_in_a_quiet_moment_is_found_out(hours: int) -> None:
    """No request came while it was away, so the outage was not noticed. The clock may have been set, too."""
    inner, now = Scanner(), NOW
    scanner = ProvenScanner(inner, lambda: now, SMALL)
    assert (await scanner.scan([b"hello"])).clean
    inner.blind = True
    now += timedelta(hours=hours)
    with pytest.raises(ScannerUnavailable, match="AlertExceedsMax"):
        await scanner.scan([b"hello"])


@pytest.mark.parametrize(
    "change", [{"program": "ClamAV 1.5.0"}, {"signatures": NOW + timedelta(days=1)}, {"started": 7}]
)
async def test_a_changed_version_or_a_restart_is_tested_at_once(change: dict[str, Any]) -> None:
    inner = Scanner()
    scanner = ProvenScanner(inner, lambda: NOW, SMALL)
    await scanner.check()
    inner.answers, inner.blind = replace(inner.answers, **change), True
    with pytest.raises(ScannerUnavailable, match="AlertExceedsMax"):
        await scanner.scan([b"hello"])


async def test_a_scanner_that_fails_its_test_is_gone_until_it_passes() -> None:
    """It goes on answering, which says nothing."""
    inner = Scanner()
    scanner = ProvenScanner(inner, lambda: NOW, SMALL)
    await scanner.check()
    inner.blind, inner.answers = True, replace(inner.answers, started=7)
    for _ in range(3):
        with pytest.raises(ScannerUnavailable, match="AlertExceedsMax"):
            await scanner.check()
    inner.blind = False
    await scanner.check()
    assert (await scanner.scan([b"hello"])).clean


@requires_clamd
async def test_the_health_of_a_scanner_is_its_test_and_not_its_answer() -> None:
    with server_folder() as folder:
        async with running_clamd(folder, "AlertExceedsMax no", *GOOD[1:]) as daemon:
            address = ClamdAddress(daemon.socket)
            config = MalwareConfig(clamd=address)
            assert (await ClamdScanner(address, 60.0).version()).program.startswith("ClamAV")
            with pytest.raises(ScannerUnavailable, match="AlertExceedsMax"):
                await proven_scanner(config, address).check()
