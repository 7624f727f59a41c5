"""The table ``isolation``, and reports of several processes put together."""

from __future__ import annotations

from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest

from samdrift.config.isolation import Isolation, IsolationConfig, require_protected_links, require_rights
from samdrift.config.reader import load
from samdrift.config.toml import ConfigError
from samdrift.processes.metrics import merged
from tests.unit.config.test_reader import GOOD


def read(folder: Path, table: str) -> IsolationConfig:
    file = folder / "samdrift.toml"
    file.write_text(GOOD + table)
    return load(file).isolation


def test_organisations_share_a_process_unless_told(tmp_path: Path) -> None:
    assert read(tmp_path, "") == IsolationConfig(Isolation.SHARED)
    assert read(tmp_path, '[isolation]\nlevel = "shared"') == IsolationConfig(Isolation.SHARED)


def test_what_each_process_gets_can_be_said(tmp_path: Path) -> None:
    table = '[isolation]\nlevel = "process"\nfirst_user = 210000\nmemory_mb = 512\nopen_files = 1000\n'
    expected = IsolationConfig(Isolation.PROCESS, 210_000, 512, 1000, tmp_path / "run")
    assert read(tmp_path, f'{table}sockets = "run"') == expected


def test_workers_may_share_the_work_of_level_shared(tmp_path: Path) -> None:
    assert read(tmp_path, "").workers == 1
    assert read(tmp_path, '[isolation]\nlevel = "shared"\nworkers = 4').workers == 4


@pytest.mark.parametrize(
    ("table", "where"),
    [
        ("", "isolation.level"),
        ('level = "vault"', "isolation.level"),
        ('level = "shared"\nfirst_user = 210000', "isolation.first_user"),
        ('level = "process"\nfirst_user = 0', "isolation.first_user"),
        ('level = "process"\nfirst_user = 999', "isolation.first_user"),
        ('level = "process"\nmemory_mb = 10', "isolation.memory_mb"),
        ('level = "process"\nopen_files = 3', "isolation.open_files"),
        ('level = "process"\nusers = 3', "isolation.users"),
        ('level = "process"\nworkers = 2', "isolation.workers"),
        ('level = "shared"\nworkers = 0', "isolation.workers"),
        ('level = "shared"\nworkers = 65', "isolation.workers"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, table: str, where: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, f"[isolation]\n{table}\n")
    assert caught.value.where == where


def test_only_root_gives_processes_users_of_their_own() -> None:
    config = IsolationConfig(Isolation.PROCESS, first_user=210_000)
    require_rights(config, root=True)
    require_rights(IsolationConfig(Isolation.PROCESS), root=False)
    with pytest.raises(ConfigError, match="only root"):
        require_rights(config, root=False)


@pytest.mark.parametrize(("setting", "refused"), [("1\n", False), ("0\n", True)])
def test_where_hard_links_are_not_protected_nothing_starts(
    tmp_path: Path, setting: str, refused: bool
) -> None:
    (tmp_path / "protected_hardlinks").write_text(setting)
    if not refused:
        require_protected_links(tmp_path / "protected_hardlinks")
        return
    with pytest.raises(ConfigError, match="protected_hardlinks"):
        require_protected_links(tmp_path / "protected_hardlinks")


def told(received: int, oldest: float) -> str:
    registry = CollectorRegistry()
    Counter("samdrift_ap_refused", "Refused", ("reason",), registry=registry).labels("x").inc(received)
    Gauge("samdrift_ap_queued", "Queued", registry=registry).set(received)
    Gauge("samdrift_ap_oldest_queued_seconds", "Oldest", registry=registry).set(oldest)
    return generate_latest(registry).decode()


def test_metrics_of_processes_add_up_but_for_ages() -> None:
    samples = {
        (one.name, *one.labels.values()): one.value
        for family in merged([told(3, 7.0), told(4, 2.0)])
        for one in family.samples
        if not one.name.endswith("_created")
    }
    assert samples == {
        ("samdrift_ap_refused_total", "x"): 7,
        ("samdrift_ap_queued",): 7,
        ("samdrift_ap_oldest_queued_seconds",): 7.0,
    }
