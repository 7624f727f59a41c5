"""Addresses in the form shown to operators; their refusal is tested where they are called."""

from __future__ import annotations

import pytest

from samdrift.wire.webaddress import place_of


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("https://s3.example.se/bucket", "s3.example.se:443"),
        ("HTTP://a_b.example.se", "a_b.example.se:80"),
        ("https://[2001:db8::1]:8443/", "[2001:db8::1]:8443"),
    ],
)
def test_an_operator_reads_host_and_port_of_an_address(address: str, place: str) -> None:
    assert place_of(address) == place
