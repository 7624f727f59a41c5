"""Our alerting rules tested with promtool: each fires on its fault, and none on a normal day."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.monitoring import ALERTS, FOLDER, PROMTOOL_TESTS, alerts
from tests.programs import found, requires

pytestmark = requires("promtool", "prometheus")


def promtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    program = found("promtool") or "promtool"
    return subprocess.run([program, *arguments], capture_output=True, text=True)


def test_promtool_finds_nothing_wrong_with_the_rules() -> None:
    ended = promtool("check", "rules", ALERTS)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert f"SUCCESS: {len(alerts())} rules found" in ended.stdout


def test_promtool_finds_nothing_wrong_with_the_example_of_a_configuration() -> None:
    ended = promtool("check", "config", FOLDER / "prometheus.yml")
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.parametrize("file", ["faults.yml", "normal_day.yml"])
def test_each_alert_fires_on_its_fault_and_none_on_a_normal_day(file: str) -> None:
    ended = promtool("test", "rules", PROMTOOL_TESTS / file)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_a_rule_that_never_fires_is_found_out(tmp_path: Path) -> None:
    """The control: promtool reads our file of rules, and reports an expected alert that does not fire."""
    text = ALERTS.read_text()
    (tmp_path / "alerts.yml").write_text(
        text.replace("samdrift_logs_stopped > 0", "samdrift_logs_stopped > 1")
    )
    tests = (PROMTOOL_TESTS / "faults.yml").read_text()
    (tmp_path / "faults.yml").write_text(tests.replace("../../../deploy/monitoring/alerts.yml", "alerts.yml"))
    ended = promtool("test", "rules", tmp_path / "faults.yml")
    assert ended.returncode == 1
    assert "SamdriftLogStopped" in ended.stdout + ended.stderr
