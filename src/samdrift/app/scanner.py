"""The malware scanner that an installation asks."""

from __future__ import annotations

from collections.abc import Iterable

from samdrift.app.malware import MalwareConfig
from samdrift.contracts.malware import MalwareScanner, ScanVerdict
from samdrift.net.clamd import ClamdScanner
from samdrift.net.clock import system_clock
from samdrift.net.provenscanner import ProvenScanner


def malware_scanner(config: MalwareConfig) -> MalwareScanner:
    """The scanner to ask."""
    if config.clamd is None:
        return _NoScanner()
    return ProvenScanner(ClamdScanner(config.clamd, config.answer_seconds), system_clock)


class _NoScanner:
    """Calls everything clean, where the configuration says that nothing is scanned."""

    async def scan(self, pieces: Iterable[bytes]) -> ScanVerdict:
        return ScanVerdict()
