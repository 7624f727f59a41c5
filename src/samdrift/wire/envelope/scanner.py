"""Reads an envelope's header from a stream, with bounded memory, and checks the envelope on the way.

For access points: they hand on envelopes of 100 MB and more that they cannot
decrypt, and must know sender, recipient, document and process, and that the
envelope follows the profile (component-accesspoint 3.1.4 a, 3.1.6, 3.2.2 a).
"""

from __future__ import annotations

from collections.abc import Iterable

from samdrift.wire.envelope.checker import Checker
from samdrift.wire.envelope.header import EnvelopeHeader
from samdrift.wire.errors import WireError, WireFault
from samdrift.wire.xml import LARGE, XmlLimits
from samdrift.wire.xml.stream import XmlStream


class HeaderScanner:
    """Feed it the envelope's bytes in pieces; what breaks the profile raises :class:`WireError`.

    Says of an envelope what :func:`samdrift.wire.envelope.validate` says of it,
    through the same checker. After an error the scanner is of no further use.
    """

    def __init__(self, limits: XmlLimits = LARGE) -> None:
        self._checker = _Strict()
        self._stream = XmlStream(self._checker, limits)

    @property
    def header(self) -> EnvelopeHeader | None:
        """The header as soon as the payload has begun; preliminary until :meth:`close`."""
        return self._checker.header

    def feed(self, chunk: bytes) -> None:
        """The next bytes of the envelope."""
        self._stream.feed(chunk)

    def close(self) -> EnvelopeHeader:
        """The envelope ended; its header."""
        self._stream.close()
        self._checker.finish()
        if self._checker.header is None:
            raise AssertionError("an envelope without findings has a header")
        return self._checker.header


class _Strict(Checker):
    """A checker that raises what it finds."""

    def start(self, tag: str, attributes: Iterable[tuple[str, str]]) -> bool:
        wanted = super().start(tag, attributes)
        self._raise_finding()
        return wanted

    def end(self) -> None:
        super().end()
        self._raise_finding()

    def finish(self) -> None:
        super().finish()
        self._raise_finding()

    def _raise_finding(self) -> None:
        for finding in self.findings:
            raise WireError(WireFault.STRUCTURE, finding.text, finding.path)
