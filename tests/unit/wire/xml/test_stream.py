"""XML as it streams in: its interpretation does not depend on how it is cut into pieces."""

from __future__ import annotations

import pytest

from samdrift.wire.errors import WireError, WireFault
from samdrift.wire.xml import LARGE
from samdrift.wire.xml.stream import XmlStream


class Nothing:
    """A receiver that wants no text."""

    def start(self, tag: str, attributes: list[tuple[str, str]]) -> bool:
        return False

    def text(self, data: str) -> None:
        """Ignore the text."""

    def end(self) -> None:
        """Ignore the end."""


def read(*pieces: bytes) -> None:
    stream = XmlStream(Nothing(), LARGE)
    for piece in pieces:
        stream.feed(piece)
    stream.close()


def fault(data: bytes, cut: int) -> WireFault:
    with pytest.raises(WireError) as caught:
        read(data[:cut], data[cut:])
    return caught.value.fault


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("<a/>".encode("utf-16"), WireFault.FORBIDDEN_XML),
        ("<a/>".encode("utf-16-le"), WireFault.FORBIDDEN_XML),
        ("<a/>".encode("utf-16-be"), WireFault.FORBIDDEN_XML),
        (b"<a\xff/>", WireFault.NOT_XML),
        (b"<a\x00/>", WireFault.NOT_XML),
    ],
)
def test_another_encoding_shows_in_the_first_two_bytes_and_only_there(
    data: bytes, expected: WireFault
) -> None:
    assert {fault(data, cut) for cut in range(len(data))} == {expected}
