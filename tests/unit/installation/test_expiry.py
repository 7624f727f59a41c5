"""The service's log lines about certificates that end."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Any

import pytest

from samdrift.installation.expiry import Expiries
from samdrift.keystore.interface import OPERATOR_KEYS, HeldKey
from samdrift.keystore.keyfiles import KeyName
from tests import pki
from tests.pki import DAY, NOW
from tests.unit.installation.test_serverkeys import LATER, held

CERTIFICATE = pki.root("Rot", 1).issue("AP0001", not_after=NOW + 10 * DAY).certificate


class Keys:
    """A key store with one certificate of the operator's."""

    def keys(self, vault: str) -> tuple[HeldKey, ...]:
        assert vault == OPERATOR_KEYS
        return (HeldKey(KeyName.ACCESS_POINT, 1, CERTIFICATE),)


class Registry:
    """A registry without organisations."""

    def all(self) -> tuple[()]:
        return ()


@pytest.mark.parametrize(
    ("after", "said"),
    [
        (timedelta(0), "expires in 10 days"),
        (9 * DAY, "expires in 1 days"),
        (10 * DAY, "has expired"),
        (40 * DAY, "has expired"),
    ],
)
def test_an_expired_certificate_is_called_that(
    after: timedelta, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    now: datetime = NOW + after
    keys, registry = Keys(), Registry()
    expiries: Any = Expiries(keys, registry, lambda: now)  # type: ignore[arg-type]
    with caplog.at_level(logging.WARNING):
        expiries.look()
        expiries.look()
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith(f"the access-point certificate of operator {said}: ")


def test_an_expired_certificate_that_a_host_still_shows_is_warned_of_though_another_is_newer(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The newest names other hosts: clients of the older one's host are shown the expired one."""
    newest, older = held(2, 5, "ap.se"), held(1, 0.01, "d.se")

    class Servers(Keys):
        def keys(self, vault: str) -> tuple[HeldKey, ...]:
            return (newest, older)

    expiries: Any = Expiries(Servers(), Registry(), lambda: LATER)  # type: ignore[arg-type]
    with caplog.at_level(logging.WARNING):
        expiries.look()
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith("the tls-server certificate of operator has expired")


def test_one_that_lasts_is_not_spoken_of(caplog: pytest.LogCaptureFixture) -> None:
    expiries: Any = Expiries(Keys(), Registry(), lambda: NOW - 40 * DAY)  # type: ignore[arg-type]
    with caplog.at_level(logging.WARNING):
        expiries.look()
    assert caplog.records == []
