"""Listening addresses of processes with one configuration file; those of metrics differ by role."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from samdrift.config.model import SocketAddress
from samdrift.config.reader import load
from samdrift.config.roles import MessageClientRoleConfig
from samdrift.config.toml import ConfigError
from samdrift.contracts.principals import Role
from samdrift.installation.doors import Door
from samdrift.installation.listeners import bound_socket, connections_per_address, with_own_metrics
from tests.unit.config.test_reader import GOOD, write

AP, MT = Role.ACCESS_POINT, Role.MESSAGE_SERVICE
APART = """
[metrics]
listen = "127.0.0.1:9100"
listen_ap = "127.0.0.1:9101"
listen_mt = "127.0.0.1:9102"
listen_mk = "127.0.0.1:9103"
listen_gov = "127.0.0.1:9104"
"""


def metrics_port(text: str, folder: Path, *roles: Role) -> int:
    config = with_own_metrics(load(write(folder, GOOD + text)), frozenset(roles))
    assert config.metrics is not None
    return config.metrics.listen.port


def test_a_process_of_one_role_has_the_address_of_its_role(tmp_path: Path) -> None:
    ports = [metrics_port(APART, tmp_path, role) for role in (AP, MT, Role.MESSAGE_CLIENT, Role.GOVERNANCE)]
    assert ports == [9101, 9102, 9103, 9104]


def test_a_process_of_several_roles_has_that_of_all(tmp_path: Path) -> None:
    assert metrics_port(APART, tmp_path, *Role) == 9100
    assert metrics_port(APART, tmp_path, AP, MT) == 9100


def test_a_role_without_an_address_of_its_own_has_that_of_all(tmp_path: Path) -> None:
    assert metrics_port('[metrics]\nlisten = "127.0.0.1:9100"\n', tmp_path, MT) == 9100


def test_an_installation_without_metrics_stays_without(tmp_path: Path) -> None:
    assert with_own_metrics(load(write(tmp_path, GOOD)), frozenset({AP})).metrics is None


def test_the_message_clients_of_an_installation_do_not_lock_each_other_out(tmp_path: Path) -> None:
    config = replace(
        load(write(tmp_path, GOOD)), message_client=MessageClientRoleConfig(SocketAddress("127.0.0.1", 443))
    )
    many = replace(config, organisations=config.organisations * 150)
    assert connections_per_address(many, Door.D) >= 200 + 2 * len(many.organisations)
    assert connections_per_address(many, Door.A) == 200
    assert connections_per_address(replace(many, message_client=None), Door.D) == 200
    assert connections_per_address(replace(many, connections_per_address=0), Door.D) == 0


def test_the_second_process_at_an_address_is_told_what_to_set(tmp_path: Path) -> None:
    config = load(write(tmp_path, GOOD + '[metrics]\nlisten = "127.0.0.1:0"\n'))
    with bound_socket(config, Door.METRICS) as first:
        first.listen()
        port = first.getsockname()[1]
        same = load(write(tmp_path, f'{GOOD}[metrics]\nlisten = "127.0.0.1:{port}"\n'))
        with pytest.raises(ConfigError) as caught:
            bound_socket(with_own_metrics(same, frozenset({MT})), Door.METRICS)
    assert str(caught.value) == (
        f"metrics: 127.0.0.1:{port}: address already in use; roles that are served apart need an address"
        " each: listen_ap, listen_mt, listen_mk, listen_gov"
    )


@pytest.mark.parametrize("key", ["listen_ap", "listen_mt", "listen_mk", "listen_gov"])
def test_metrics_of_a_role_are_on_this_host_alone(tmp_path: Path, key: str) -> None:
    with pytest.raises(ConfigError, match="loopback") as caught:
        load(write(tmp_path, f'{GOOD}[metrics]\nlisten = "127.0.0.1:9100"\n{key} = "0.0.0.0:9101"\n'))
    assert caught.value.where == f"metrics.{key}"
