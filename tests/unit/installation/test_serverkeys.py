"""The server's certificate that each host shows, and what destroying one would leave without."""

from __future__ import annotations

import pytest
from cryptography import x509

from samdrift.installation.keyrows import last_valid, shown_keys
from samdrift.keystore.interface import HeldKey
from samdrift.keystore.keyfiles import KeyName
from tests.pki import DAY, NOW
from tests.unit.net.test_tls import FIRST, certified

LATER = NOW + 30 * DAY


def held(number: int, years: float, *hosts: str) -> HeldKey:
    own = certified(FIRST, "server", [x509.DNSName(host) for host in hosts], years=years)
    return HeldKey(KeyName.TLS_SERVER, number, own.certificate)


OLD, SHORT, PAGES = held(1, 5, "ap.se"), held(3, 0.01, "ap.se", "d.se"), held(2, 5, "*.pages.se")
HELD = [OLD, PAGES, SHORT]


def test_each_host_has_the_newest_valid_certificate_that_names_it() -> None:
    before = {host: key.number for host, key in shown_keys(HELD, NOW).items()}
    assert before == {"": 3, "ap.se": 3, "d.se": 3, "*.pages.se": 2}
    after = {host: key.number for host, key in shown_keys(HELD, LATER).items()}
    assert after == {"": 2, "ap.se": 1, "d.se": 3, "*.pages.se": 2}, "only d.se has none that is valid"


def test_without_a_server_key_none_is_shown() -> None:
    assert shown_keys([], NOW) == {}
    assert last_valid([], 1, NOW) == []


@pytest.mark.parametrize(("number", "hosts"), [(1, ["ap.se"]), (2, ["*.pages.se"]), (3, []), (9, [])])
def test_the_last_valid_certificate_of_a_host_is_known(number: int, hosts: list[str]) -> None:
    """Key 3 has expired, so it is nobody's last valid one."""
    assert last_valid(HELD, number, LATER) == hosts
